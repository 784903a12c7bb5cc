#include "tools/migrate.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "build/proto/ferry.pb-c.h"
#include "build/proto/migration.pb-c.h"
#include "config/util.h"
#include "tools/receive.h"
#include "tools/shim/uvm.h"
#include "tools/tool.h"

/* How often both sides are asked how far they are. */
#define LOOK_MS 50
#define CALL_MS 30000
/* A guest that calls its new host, or the old one again. */
#define FINALIZE_MS 150000
#define MS_PER_S 1000
#define NS_PER_MS 1000000

static volatile sig_atomic_t stopped;

static void on_signal(int number UNUSED)
{
	stopped = 1;
}

/* --- calls ------------------------------------------------------------------------- */

int migrate_ask(struct migrate *m, struct migrate_side *side,
		const char *service, const char *method,
		const ProtobufCMessage *request,
		const ProtobufCMessageDescriptor *response,
		void (*got)(void *ctx, const ProtobufCMessage *m), void *ctx,
		int64_t timeout_ms, struct err *e)
{
	struct remote_wait w = { .e = e, .got = got, .ctx = ctx };
	const struct ttrpc_ask ask = {
		.service = service,
		.method = method,
		.request = request,
		.response = response,
		.timeout_ms = timeout_ms,
		.done = remote_answered,
		.ctx = &w,
	};
	int n;

	if (!side->client || side->lost)
		return err_set(e, ENOTCONN, "the link to the %s is broken",
			       side == &m->source ? "source" : "destination");
	n = ttrpc_client_call(side->client, &ask, e);
	while (n >= 0 && !w.over) /* our pulse is in there too */
		n = loop_turn(m->remote.loop, -1, e);
	if (n >= 0)
		n = w.result;
	if (n < 0)
		(void)err_wrap(e, "%s",
			       side == &m->source ? "source" : "destination");
	return n;
}

int migrate_call(struct migrate *m, struct migrate_side *side,
		 const char *method, struct err *e)
{
	MigrationSessionRequest q = MIGRATION_SESSION_REQUEST__INIT;

	q.session_id = m->session;
	return migrate_ask(m, side, "Migration", method, &q.base, NULL, NULL,
			   NULL, CALL_MS, e);
}

int migrate_finalize(struct migrate *m, struct migrate_side *side, bool resume,
		     struct err *e)
{
	MigrationFinalizeRequest q = MIGRATION_FINALIZE_REQUEST__INIT;

	q.session_id = m->session;
	q.has_action = true;
	q.action = resume ? MIGRATION_ACTION__MIGRATION_ACTION_RESUME
			  : MIGRATION_ACTION__MIGRATION_ACTION_STOP;
	return migrate_ask(m, side, "Migration", "FinalizeSandbox", &q.base,
			   NULL, NULL, NULL, FINALIZE_MS, e);
}

static void on_look(void *ctx, const ProtobufCMessage *answer)
{
	const FerryMoveResponse *a = (const void *)answer;
	struct migrate_side *s = ctx;

	(void)snprintf(s->session, sizeof(s->session), "%s", a->session);
	(void)snprintf(s->state, sizeof(s->state), "%s", a->state);
	(void)snprintf(s->vm, sizeof(s->vm), "%s", a->vm);
	(void)snprintf(s->reason, sizeof(s->reason), "%s", a->reason);
	remote_plain(s->state);
	remote_plain(s->reason);
	s->transferred = a->transferred;
	s->remaining = a->remaining;
	s->dirty = a->dirty;
	s->rate = a->rate;
	s->reconnect_ms = a->reconnect_ms;
	s->clock_ns = (int64_t)(a->now_ns - clock_wall_ns());
	s->stopped_ns = a->stopped_ns;
	s->running_ns = a->running_ns;
	(void)snprintf(s->lease, sizeof(s->lease), "%s", a->lease);
	(void)snprintf(s->owner, sizeof(s->owner), "%s", a->lease_owner);
}

int migrate_look(struct migrate *m, struct migrate_side *side, bool force,
		 struct err *e)
{
	FerryMoveRequest q = FERRY_MOVE_REQUEST__INIT;

	q.force = force;
	q.session = m->session;
	return migrate_ask(m, side, "Ferry", "Move", &q.base,
			   &ferry_move_response__descriptor, on_look, side,
			   CALL_MS, e);
}

/* --- the transfer --------------------------------------------------------------------- */

static bool is(const struct migrate_side *s, const char *state)
{
	return strcmp(s->state, state) == 0;
}

static int failed(const struct migrate *m, struct err *e)
{
	const struct migrate_side *const sides[] = { &m->source,
						     &m->destination };

	for (size_t i = 0; i < ARRAY_LEN(sides); i++)
		if (*sides[i]->reason)
			return err_set(e, EIO, "%s: %s",
				       i == 0 ? "source" : "destination",
				       sides[i]->reason);
	for (size_t i = 0; i < ARRAY_LEN(sides); i++)
		if (is(sides[i], "failed") || is(sides[i], "cancelled") ||
		    is(sides[i], "cancelling") || is(sides[i], "idle"))
			return err_set(e, EIO, "the %s is %s",
				       i == 0 ? "source" : "destination",
				       sides[i]->state);
	return 0;
}

static int limits(struct migrate *m, struct err *e)
{
	const int64_t now = loop_now_ms(m->remote.loop);
	const int64_t limit_ms = (int64_t)m->args.timeout_s * MS_PER_S;

	if (stopped)
		return err_set(e, ECANCELED, "called off");
	if (limit_ms == 0 || now < m->begun_ms + limit_ms)
		return 0;
	if (m->args.force) {
		m->forced = true;
		return 0;
	}
	return err_set(e, ETIMEDOUT, "not done in %u s", m->args.timeout_s);
}

/* A source that dies when the destination has it all takes nothing with it. */
static int look_at_both(struct migrate *m, bool force, struct err *e)
{
	struct err other;
	const int r = migrate_look(m, &m->source, force, e);
	const int n =
		migrate_look(m, &m->destination, false, r < 0 ? &other : e);

	if (r < 0 && n == 0 && is(&m->destination, "transfer-completed")) {
		(void)snprintf(m->source.state, sizeof(m->source.state), "%s",
			       m->destination.state);
		return 0;
	}
	return r < 0 ? r : n;
}

static int transfer(struct migrate *m, struct err *e)
{
	int r;

	for (;;) {
		const bool was = m->forced;

		r = limits(m, e);
		if (r == 0)
			r = look_at_both(m, m->forced && !was, e);
		if (r < 0)
			return r;
		migrate_report(m, "memory");
		r = failed(m, e);
		if (r < 0)
			return r;
		if (is(&m->source, "transfer-completed") &&
		    is(&m->destination, "transfer-completed"))
			return 0;
		(void)usleep(LOOK_MS * 1000);
	}
}

/* --- who runs it ------------------------------------------------------------------------ */

/* Is it certain that the destination does not run it, and never will? */
static bool destination_ended(struct migrate *m)
{
	FerryAbandonRequest q = FERRY_ABANDON_REQUEST__INIT;
	struct err e;

	if (!m->destination.client)
		return true;
	return migrate_ask(m, &m->destination, "Ferry", "Abandon", &q.base,
			   NULL, NULL, NULL, CALL_MS, &e) == 0;
}

static void clean(struct migrate *m, struct migrate_side *side)
{
	struct err e;

	(void)migrate_call(m, side, "Cleanup", &e);
}

/* When somebody else calls it off too, ours has nothing to wait for. */
static int cancel_source(struct migrate *m, struct err *e)
{
	const int64_t end = loop_now_ms(m->remote.loop) + CALL_MS;
	int r = migrate_call(m, &m->source, "Cancel", e);

	while (r == 0) {
		r = migrate_look(m, &m->source, false, e);
		if (r < 0 || !is(&m->source, "cancelling"))
			break;
		if (loop_now_ms(m->remote.loop) >= end)
			return err_set(e, ETIMEDOUT,
				       "source: it is still cancelling");
		(void)usleep(LOOK_MS * 1000);
	}
	return r;
}

/* The source runs it again, or may not: the disks are locked then. */
static int source_back(struct migrate *m, struct err *e)
{
	int r = cancel_source(m, e);

	if (r == 0)
		r = migrate_finalize(m, &m->source, true, e);
	if (r == 0)
		clean(m, &m->source);
	return r;
}

/* The lease was refused: its holder, or who had it last, is the other side. */
static const char *gone_on(struct migrate *m)
{
	const bool runs = strcmp(m->source.lease, "elsewhere") == 0;
	struct err e;

	(void)migrate_finalize(m, &m->source, false, &e);
	clean(m, &m->source);
	return runs ? "destination"
		    : "nobody: it went on at the destination and has ended "
		      "there";
}

static bool lease_is(const struct migrate_side *s, const char *word)
{
	return strcmp(s->lease, word) == 0;
}

/* @resuming: the destination may have been let go on */
static const char *roll_back(struct migrate *m, bool resuming)
{
	const bool ended = destination_ended(m);
	struct err e;

	if (migrate_look(m, &m->source, false, &e) == 0) {
		if (strcmp(m->source.session, m->session) != 0)
			return "source"; /* it had not begun */
		if (resuming && !ended && lease_is(&m->source, "none"))
			return "nobody knows; see both hosts";
		if (source_back(m, &e) == 0)
			return "source";
		(void)fprintf(stderr, "ferry: %s\n", e.text);
		if (migrate_look(m, &m->source, false, &e) == 0 &&
		    (lease_is(&m->source, "elsewhere") ||
		     lease_is(&m->source, "ended")))
			return gone_on(m);
		if (strcmp(m->source.vm, "running") == 0)
			return "source"; /* it has gone on by itself */
		if (strcmp(m->source.vm, "terminated") != 0)
			return "nobody: the source does not go on";
	}
	if (!resuming || ended)
		return "nobody: the source has ended";
	if (migrate_look(m, &m->destination, false, &e) == 0 &&
	    lease_is(&m->destination, "here"))
		return "destination";
	return "nobody knows; see both hosts";
}

static int move(struct migrate *m, struct err *e)
{
	struct err ignored;
	bool resuming = false;
	int r = migrate_link(m, e);

	if (r == 0)
		r = migrate_hand_over(m, e);
	if (r == 0)
		r = transfer(m, e);
	if (r == 0) {
		migrate_report(m, "switchover");
		resuming = true;
		r = migrate_finalize(m, &m->destination, true, e);
	}
	if (r < 0) {
		migrate_report_failed(m, e, roll_back(m, resuming));
		return r;
	}
	/* It says that it runs: whatever fails from here on, it does. */
	(void)migrate_look(m, &m->destination, false, &ignored);
	clean(m, &m->destination);
	if (migrate_finalize(m, &m->source, false, &ignored) < 0)
		(void)fprintf(stderr, "ferry: %s\n", ignored.text);
	clean(m, &m->source);
	migrate_report_done(m);
	return 0;
}

/* --- calling off what another ferry migrate does -------------------------------------------- */

static void on_session(void *ctx, const ProtobufCMessage *answer)
{
	const FerryMoveResponse *a = (const void *)answer;
	struct migrate *m = ctx;

	(void)snprintf(m->session, sizeof(m->session), "%s", a->session);
	m->over = strcmp(a->state, "finalized") == 0;
}

static int find_session(struct migrate *m, struct err *e)
{
	FerryMoveRequest q = FERRY_MOVE_REQUEST__INIT;
	int r = migrate_ask(m, &m->source, "Ferry", "Move", &q.base,
			    &ferry_move_response__descriptor, on_session, m,
			    CALL_MS, e);

	if (r == 0 && (!*m->session || m->over))
		r = err_set(e, ENOENT, "%s does not move", m->remote.name);
	return r;
}

/* Who orchestrates it sees that and rolls back; else the shim does. */
static int call_off(struct migrate *m, struct err *e)
{
	struct err why;
	int r = find_session(m, e);

	if (r < 0)
		return r;
	r = migrate_call(m, &m->source, "Cancel", e);
	/* It may have ended since it was found. */
	if (r < 0 && find_session(m, &why) == -ENOENT)
		*e = why;
	return r;
}

/* --- the command -------------------------------------------------------------------------- */

int migrate_session(struct migrate *m, struct err *e)
{
	unsigned char c[16];

	if (getrandom(c, sizeof(c), 0) != (ssize_t)sizeof(c))
		return err_sys(e, "random numbers");
	for (size_t i = 0; i < sizeof(c); i++)
		(void)snprintf(m->session + 2 * i, 3, "%02x", c[i]);
	return 0;
}

static int run(struct migrate *m)
{
	struct err e;
	int r = remote_open(m->args.sandbox, &m->remote, &e);

	if (r == 0) {
		m->begun_ms = loop_now_ms(m->remote.loop);
		m->source.client = m->remote.client;
		if (m->args.cancel) {
			r = call_off(m, &e);
		} else {
			r = migrate_session(m, &e);
			if (r == 0 && move(m, &e) < 0)
				r = 1; /* it was told */
		}
	}
	if (m->remote.loop) {
		loop_unwatch(m->remote.loop, &m->offer_watch);
		loop_cancel(m->remote.loop, &m->pulse);
	}
	if (m->offer >= 0)
		(void)unlink(m->path);
	fd_close(&m->offer);
	fd_close(&m->data);
	ttrpc_client_free(m->destination.client);
	remote_close(&m->remote);
	if (r < 0)
		return tool_fail(&e);
	return r > 0 ? TOOL_FAILURE : TOOL_OK;
}

int tool_migrate(int argc, char **argv)
{
	const struct sigaction act = { .sa_handler = on_signal };
	static char receive[] = "ferry migrate receive"; /* for getopt */
	struct migrate m = { .data = -1, .offer = -1 };
	int code;

	if (argc > 1 && strcmp(argv[1], "receive") == 0) {
		argv[1] = receive;
		return tool_receive(argc - 1, argv + 1);
	}
	code = migrate_args(argc, argv, &m.args);
	if (code != TOOL_OK || !m.args.sandbox)
		return code;
	(void)sigaction(SIGINT, &act, NULL);
	(void)sigaction(SIGTERM, &act, NULL);
	return run(&m);
}
