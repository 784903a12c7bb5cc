#include "tools/shim/migrate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/io/log.h"
#include "config/util.h"
#include "migration/status.h"
#include "tools/shim/ask.h"
#include "tools/shim/debug.h"
#include "tools/shim/shim.h"
#include "tools/tool.h"
#include "tools/ttrpc/codec.h"
#include "tools/ttrpc/pb.h"

#define MS_PER_S 1000

/* --- options ------------------------------------------------------------------------ */

static int throttle(const MigrationThrottle *t, struct vmm_options *o,
		    struct err *e)
{
	if (t->has_throttling_scale &&
	    !(t->throttling_scale >= 1 && t->throttling_scale <= 100))
		return err_set(e, EINVAL, "throttling_scale: not in 1 to 100");
	if (t->minimum_throttle_percentage > 100)
		return err_set(e, EINVAL,
			       "minimum_throttle_percentage: above 100");
	o->skip_throttling = t->skip_throttling;
	if (t->has_throttling_scale)
		o->throttle_increment = (uint32_t)(t->throttling_scale + 0.5);
	if (o->throttle_increment > 99)
		o->throttle_increment = 99;
	o->throttle_initial = t->minimum_throttle_percentage;
	if (o->throttle_initial > 99)
		o->throttle_initial = 99;
	o->passes_target = t->target_brownout_passes;
	o->passes_max = t->maximum_brownout_passes;
	o->downtime_ms = t->target_blackout_ms;
	o->blackout_limit_ms = t->blackout_limit_ms;
	if (t->has_starting_brownout_pass)
		log_info(
			"starting_brownout_pass_number has no counterpart, ignored");
	return 0;
}

int migrate_options(const MigrationOptions *from, struct vmm_options *ret,
		    struct err *e)
{
	struct vmm_options o = { 0 };
	int r = 0;

	if (!from) {
		*ret = o;
		return 0;
	}
	if (from->memory_transport !=
		    MIGRATION_TRANSPORT__MIGRATION_TRANSPORT_TCP ||
	    !from->has_memory_transport)
		return err_set(e, EINVAL, "memory_transport: TCP is wanted");
	if (from->checksum_verification)
		return err_set(e, EPRECONDITION,
			       "checksum_verification: the transport has none");
	if (from->throttle)
		r = throttle(from->throttle, &o, e);
	if (r == 0 && from->compression &&
	    from->compression->has_throttle_worker_count) {
		o.compress_threads = from->compression->throttle_worker_count;
		if (o.compress_threads == 0 || o.compress_threads > 255)
			r = err_set(e, EINVAL,
				    "throttle_worker_count: not in 1 to 255");
	}
	o.trace = from->perf_tracing_enabled;
	o.to_file = from->ferry_to_file;
	o.idle_s = from->ferry_idle_seconds;
	if (r == 0 && from->ferry_lease) {
		const size_t n = strlen(from->ferry_lease);

		if (n >= sizeof(o.lease) ||
		    (*from->ferry_lease != '/' &&
		     strcmp(from->ferry_lease, LEASE_NONE) != 0))
			r = err_set(e, EINVAL,
				    "ferry_lease: want an absolute path of at "
				    "most %u bytes",
				    LEASE_PATH_MAX);
		else
			memcpy(o.lease, from->ferry_lease, n + 1);
	}
	o.cancel_over_limit = from->cancel_over_blackout_limit;
	o.long_timeouts = from->prepare_memory_transfer_mode;
	if (r == 0)
		r = session_options_check(&o, e);
	if (r == 0)
		*ret = o;
	return r;
}

/* --- timers -------------------------------------------------------------------------- */

static void on_idle(void *ctx)
{
	struct shim_migration *m = ctx;

	loop_cancel(m->loop, &m->idle_timer);
	if (session_ctl_idle(&m->session))
		log_warn("nobody goes on with the migration: rolled back");
	else if (m->unwanted)
		m->unwanted(m->owner);
}

/* Somebody called: the time without a call begins anew. */
void shim_migration_touch(struct shim_migration *m)
{
	int64_t s = SESSION_IDLE_S;

	if (m->session.state != SESSION_IDLE && m->session.options.idle_s > 0)
		s = m->session.options.idle_s;
	/* Without memory for a timer the orchestrator has to cancel. */
	(void)loop_at(m->loop,
		      loop_now_ms(m->loop) + (m->unwanted ? MIGRATE_UNWANTED_MS
							  : s * MS_PER_S),
		      on_idle, m, &m->idle_timer, NULL);
}

static void on_socket_late(void *ctx)
{
	struct shim_migration *m = ctx;

	loop_cancel(m->loop, &m->socket_timer);
	session_ctl_socket_late(&m->session);
}

static void expect_socket(struct shim_migration *m, const PbDuration *timeout)
{
	int64_t s = timeout && timeout->seconds > 0 ? timeout->seconds
						    : SESSION_SOCKET_S;

	if (s > TTRPC_TIMEOUT_MAX_MS / MS_PER_S)
		s = TTRPC_TIMEOUT_MAX_MS / MS_PER_S;
	if (m->session.state == SESSION_SOCKET_WAITING)
		(void)loop_at(m->loop, loop_now_ms(m->loop) + s * MS_PER_S,
			      on_socket_late, m, &m->socket_timer, NULL);
}

/* --- calls ------------------------------------------------------------------------------ */

/* The session, or NULL and the call is refused. */
static struct session_ctl *find(struct shim *s, struct ttrpc_call *call)
{
	if (!s->migration.there) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "the sandbox is %s",
			   shim_state_name(s->state));
		return NULL;
	}
	shim_migration_touch(&s->migration);
	return &s->migration.session;
}

static void refuse(struct ttrpc_call *call, const struct err *e)
{
	ttrpc_fail(call, ask_code(e->code), "%s", e->text);
}

static struct ask *ask_step(struct shim *s, struct ttrpc_call *call,
			    void (*reply)(struct ask *a), const char *step)
{
	struct ask *a = ask_new(s, call, reply);

	if (a)
		a->step = step;
	return a;
}

/* --- failures -------------------------------------------------------------------------- */

static void on_phase(void *ctx, const struct session_message *m)
{
	struct shim *s = ctx;
	const struct session_ctl *c = &s->migration.session;

	if (m->phase != SESSION_PHASE_FAILED ||
	    m->result == SESSION_RESULT_CANCELLED)
		return;
	s->migration.counts.ended[m->origin][m->result]++;
	log_err("the move failed: %s", c->transfer_err.text);
	shim_debug_leave(s, REMAINS_MOVE, c->transfer_err.text);
}

static void on_watch_over(void *ctx UNUSED)
{
}

/* The session has an id now, and until its cleanup. */
static void watch_failures(struct shim *s)
{
	struct shim_migration *m = &s->migration;

	m->watch = (struct session_listener){
		.message = on_phase,
		.ended = on_watch_over,
		.ctx = s,
	};
	/* With too many who listen somebody else will tell. */
	(void)session_ctl_listen(&m->session, m->session.id, &m->watch, NULL);
}

/* The state is a packed Any as it stands. */
static void reply_exported(struct ask *a)
{
	const struct text *state = &a->shim->migration.session.exported;
	MigrationExportResponse m = MIGRATION_EXPORT_RESPONSE__INIT;
	struct arena arena;

	watch_failures(a->shim);
	shim_migration_touch(
		&a->shim->migration); /* its own time from now on */
	arena_init(&arena, TTRPC_DECODE_MAX);
	m.config = (PbAny *)(void *)ttrpc_unpack(
		&pb_any__descriptor, state->buf, state->len, &arena);
	if (m.config)
		ttrpc_reply(a->call, &m.base);
	else
		ttrpc_fail(a->call, TTRPC_INTERNAL,
			   "the state cannot be handed out");
	arena_done(&arena);
}

static void on_forgotten(struct op *op UNUSED, int result UNUSED,
			 const struct err *e UNUSED)
{
}

/* A move that has had its outcome, and that nobody cleaned up, hinders none. */
static void forget_finished(struct session_ctl *session, const char *id)
{
	static struct op op = { .done = on_forgotten }; /* over at once */
	struct err e;

	if (session->state == SESSION_FINALIZED && !session->op &&
	    strcmp(session->id, id) != 0)
		(void)session_ctl_cleanup(session, session->id, &op, &e);
}

/* The session with options that are in their ranges, or NULL: it is refused. */
static struct session_ctl *prepared(struct shim *s, struct ttrpc_call *call,
				    const MigrationPrepareRequest *q,
				    struct vmm_options *ret)
{
	struct session_ctl *session = find(s, call);
	struct err e;

	if (!session || migrate_options(q->init_options, ret, &e) == 0)
		return session;
	refuse(call, &e);
	return NULL;
}

static void on_prepare_export(void *ctx, struct ttrpc_call *call,
			      const ProtobufCMessage *m)
{
	const MigrationPrepareRequest *q = (const void *)m;
	struct vmm_options o;
	struct session_ctl *session = prepared(ctx, call, q, &o);
	struct ask *a;
	struct err e;

	if (!session)
		return;
	forget_finished(session, pb_text(q->session_id));
	a = ask_step(ctx, call, reply_exported, "export");
	if (a &&
	    session_ctl_export(session, pb_text(q->session_id),
			       q->init_options ? &o : NULL, &a->op, &e) < 0)
		ask_refuse(a, &e);
}

/* The state goes to the session packed, as it came. */
static int import(struct session_ctl *session, const MigrationImportRequest *q,
		  struct err *e)
{
	uint8_t *state;
	int r;

	if (!q->config)
		return err_set(e, EINVAL, "config: absent");
	state = malloc(pb_any__get_packed_size(q->config) + 1);
	if (!state)
		return err_set(e, ENOMEM, "no memory for a state");
	if (session->state == SESSION_IDLE) /* else it is refused */
		session->from_file = q->ferry_from_file;
	r = session_ctl_import(session, pb_text(q->session_id),
			       pb_text(q->sandbox_id), state,
			       pb_any__pack(q->config, state), e);
	free(state);
	return r;
}

static void on_import(void *ctx, struct ttrpc_call *call,
		      const ProtobufCMessage *m)
{
	struct session_ctl *session = find(ctx, call);
	struct err e;

	if (!session)
		return;
	if (import(session, (const void *)m, &e) < 0) {
		refuse(call, &e);
		return;
	}
	if (session->written_by[0])
		log_info("the state was written by %s", session->written_by);
	watch_failures(ctx);
	ttrpc_reply(call, NULL);
}

static void on_prepare(void *ctx, struct ttrpc_call *call,
		       const ProtobufCMessage *m)
{
	const MigrationPrepareRequest *q = (const void *)m;
	struct vmm_options o;
	struct session_ctl *session = prepared(ctx, call, q, &o);
	struct ask *a;
	struct err e;

	if (!session)
		return;
	a = ask_step(ctx, call, NULL, "prepare");
	if (a &&
	    session_ctl_prepare(session, pb_text(q->session_id),
				q->init_options ? &o : NULL, &a->op, &e) < 0)
		ask_refuse(a, &e);
}

static void on_transfer(void *ctx, struct ttrpc_call *call,
			const ProtobufCMessage *m)
{
	const MigrationTransferRequest *q = (const void *)m;
	struct shim *s = ctx;
	struct session_ctl *session = find(s, call);
	struct err e;

	if (!session)
		return;
	if (session_ctl_transfer(session, pb_text(q->session_id), &e) < 0) {
		refuse(call, &e);
		return;
	}
	expect_socket(&s->migration, q->timeout);
	ttrpc_reply(call, NULL);
}

static void on_finalize(void *ctx, struct ttrpc_call *call,
			const ProtobufCMessage *m)
{
	const MigrationFinalizeRequest *q = (const void *)m;
	struct session_ctl *session = find(ctx, call);
	struct ask *a;
	struct err e;

	if (!session)
		return;
	if (q->action != MIGRATION_ACTION__MIGRATION_ACTION_STOP &&
	    q->action != MIGRATION_ACTION__MIGRATION_ACTION_RESUME) {
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT,
			   "action: STOP or RESUME is wanted");
		return;
	}
	a = ask_step(ctx, call, NULL, "finalize");
	if (a && session_ctl_finalize(
			 session, pb_text(q->session_id),
			 q->action == MIGRATION_ACTION__MIGRATION_ACTION_STOP
				 ? VMM_STOP
				 : VMM_RESUME,
			 &a->op, &e) < 0)
		ask_refuse(a, &e);
}

static void on_socket(void *ctx, struct ttrpc_call *call,
		      const ProtobufCMessage *m)
{
	const MigrationSocketRequest *q = (const void *)m;
	struct shim *s = ctx;
	struct session_ctl *session = find(s, call);
	struct ask *a = session ? ask_new(s, call, NULL) : NULL;
	struct err e;

	if (a && session_ctl_socket(session, pb_text(q->session_id),
				    q->protocol_info.data, q->protocol_info.len,
				    &a->op, &e) < 0)
		ask_refuse(a, &e);
	else if (a)
		loop_cancel(s->loop, &s->migration.socket_timer);
}

static void on_cancel(void *ctx, struct ttrpc_call *call,
		      const ProtobufCMessage *m)
{
	const MigrationSessionRequest *q = (const void *)m;
	struct session_ctl *session = find(ctx, call);
	struct ask *a = session ? ask_new(ctx, call, NULL) : NULL;
	struct err e;

	if (a &&
	    session_ctl_cancel(session, pb_text(q->session_id), &a->op, &e) < 0)
		ask_refuse(a, &e);
}

static void on_cleanup(void *ctx, struct ttrpc_call *call,
		       const ProtobufCMessage *m)
{
	const MigrationSessionRequest *q = (const void *)m;
	struct session_ctl *session = find(ctx, call);
	struct ask *a = session ? ask_new(ctx, call, NULL) : NULL;
	struct err e;

	if (a && session_ctl_cleanup(session, pb_text(q->session_id), &a->op,
				     &e) < 0)
		ask_refuse(a, &e);
}

/* --- notifications ------------------------------------------------------------------------ */

void migrate_message_fill(struct migrate_message *out,
			  const struct session_message *m, uint64_t start_ns)
{
	MigrationNotification *n = &out->notification;

	migration_notifications_response__init(&out->m);
	migration_notification__init(n);
	migration_blackout__init(&out->blackout);
	out->m.has_message_id = true;
	out->m.message_id = m->id;
	out->m.notification = n;
	out->m.start_time = pb_time(&out->start, start_ns);
	out->m.update_time = pb_time(&out->update, m->at_ns);
	n->has_origin = m->origin != SESSION_ORIGIN_NONE;
	n->origin = (uint32_t)m->origin;
	n->has_phase = m->phase != SESSION_PHASE_NONE;
	n->phase = (uint32_t)m->phase;
	n->has_state = m->result != SESSION_RESULT_NONE;
	n->state = (uint32_t)m->result;
	if (m->phase != SESSION_BLACKOUT_EXITED)
		return;
	n->blackout_exited = &out->blackout;
	out->blackout.has_blackout_ms = m->blackout_ms != 0;
	out->blackout.blackout_ms = m->blackout_ms;
}

/* One subscriber: a call that is answered by messages. */
struct subscriber {
	struct session_listener listener;
	struct shim *shim;
	struct ttrpc_call *call;
};

static void on_message(void *ctx, const struct session_message *m)
{
	const struct subscriber *x = ctx;
	struct migrate_message out;

	/* Progress is what may be lost: the rest has room then. */
	if (m->phase == SESSION_IN_PROGRESS && ttrpc_stream_lags(x->call))
		return;
	migrate_message_fill(&out, m, x->shim->migration.session.start_ns);
	(void)ttrpc_stream_send(x->call, &out.m.base);
}

static void on_session_ended(void *ctx)
{
	struct subscriber *x = ctx;

	ttrpc_stream_end(x->call);
	free(x);
}

static void on_subscriber_gone(void *ctx)
{
	struct subscriber *x = ctx;

	session_ctl_unlisten(&x->shim->migration.session, &x->listener);
	free(x);
}

static void on_notifications(void *ctx, struct ttrpc_call *call,
			     const ProtobufCMessage *m)
{
	const MigrationSessionRequest *q = (const void *)m;
	struct shim *s = ctx;
	struct session_ctl *session = find(s, call);
	struct subscriber *x = session ? calloc(1, sizeof(*x)) : NULL;
	struct err e;

	if (!session)
		return;
	if (!x) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "no memory");
		return;
	}
	x->shim = s;
	x->call = call;
	x->listener = (struct session_listener){
		.message = on_message,
		.ended = on_session_ended,
		.ctx = x,
	};
	ttrpc_call_watch(call, on_subscriber_gone, x);
	if (session_ctl_listen(session, pb_text(q->session_id), &x->listener,
			       &e) == 0)
		return;
	ttrpc_call_watch(call, NULL, NULL);
	refuse(call, &e);
	free(x);
}

/* --- its life ---------------------------------------------------------------------------------- */

void shim_migration_ready(struct shim_migration *m, struct loop *loop,
			  struct sandbox_ctl *sandbox)
{
	m->loop = loop;
	session_ctl_init(&m->session, sandbox);
	m->session.producer = "ferry " TOOL_VERSION;
	m->there = true;
}

void shim_migration_done(struct shim_migration *m)
{
	if (!m->there)
		return;
	m->there = false;
	loop_cancel(m->loop, &m->idle_timer);
	loop_cancel(m->loop, &m->socket_timer);
	loop_cancel(m->loop, &m->silence);
	session_ctl_done(&m->session);
}

#define SESSION &migration_session_request__descriptor
#define PREPARE &migration_prepare_request__descriptor
static const struct ttrpc_method methods[] = {
	{ "PrepareAndExportSandbox", PREPARE, on_prepare_export },
	{ "ImportSandbox", &migration_import_request__descriptor, on_import },
	{ "PrepareSandbox", PREPARE, on_prepare },
	{ "TransferSandbox", &migration_transfer_request__descriptor,
	  on_transfer },
	{ "FinalizeSandbox", &migration_finalize_request__descriptor,
	  on_finalize },
	{ "Notifications", SESSION, on_notifications },
	{ "CreateDuplicateSocket", &migration_socket_request__descriptor,
	  on_socket },
	{ "Cancel", SESSION, on_cancel },
	{ "Cleanup", SESSION, on_cleanup },
};

const struct ttrpc_service shim_migration_service = {
	.name = "Migration",
	.method = methods,
	.n_methods = ARRAY_LEN(methods),
};
