#include "migration/session.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/digest.h"
#include "config/util.h"
#include "migration/names.h"
#include "migration/saved.h"
#include "migration/session_life.h"
#include "migration/status.h"

/* clang-format off */
static const char *const states[] = {
	[SESSION_IDLE] = "idle",
	[SESSION_SOURCE_PREPARED] = "source-prepared",
	[SESSION_SOURCE_EXPORTED] = "source-exported",
	[SESSION_DESTINATION_IMPORTED] = "destination-imported",
	[SESSION_DESTINATION_PREPARED] = "destination-prepared",
	[SESSION_SOCKET_WAITING] = "socket-waiting",
	[SESSION_SOCKET_READY] = "socket-ready",
	[SESSION_TRANSFERRING] = "transferring",
	[SESSION_TRANSFER_COMPLETED] = "transfer-completed",
	[SESSION_FINALIZED] = "finalized",
	[SESSION_CANCELLED] = "cancelled",
	[SESSION_CANCELLING] = "cancelling",
	[SESSION_FAILED] = "failed",
};

static const char *const events[] = {
	[SESSION_EV_EXPORT] = "prepare and export",
	[SESSION_EV_IMPORT] = "import",
	[SESSION_EV_PATCH] = "patch",
	[SESSION_EV_PREPARE] = "prepare",
	[SESSION_EV_SOCKET] = "socket",
	[SESSION_EV_TRANSFER] = "transfer",
	[SESSION_EV_CANCEL] = "cancel",
	[SESSION_EV_FINALIZE_STOP] = "finalize with stop",
	[SESSION_EV_FINALIZE_RESUME] = "finalize with resume",
	[SESSION_EV_CLEANUP] = "cleanup",
};

#define B(state) MACHINE_BIT(SESSION_##state)
#define NO MACHINE_SAME

/* Rows that both sides have. */
#define COMMON(open) \
	{ B(SOCKET_WAITING) | (open), SESSION_EV_SOCKET, MACHINE_GO, SESSION_SOCKET_READY, SESSION_FAILED, 0, "adopted by the platform" }, \
	{ B(SOCKET_READY) | B(TRANSFERRING) | B(TRANSFER_COMPLETED), SESSION_EV_SOCKET, MACHINE_REFUSE, NO, NO, EEXIST, "" }, \
	{ (open), SESSION_EV_TRANSFER, MACHINE_GO, SESSION_SOCKET_WAITING, NO, 0, "" }, \
	{ B(SOCKET_READY), SESSION_EV_TRANSFER, MACHINE_GO, SESSION_TRANSFERRING, NO, 0, "memory moves in the background" }, \
	{ B(SOCKET_WAITING) | B(TRANSFERRING) | B(TRANSFER_COMPLETED), SESSION_EV_TRANSFER, MACHINE_NOOP, NO, NO, 0, "" }, \
	{ B(IDLE) | B(CANCELLED) | B(CANCELLING), SESSION_EV_CANCEL, MACHINE_NOOP, NO, NO, 0, "" }, \
	{ B(SOURCE_PREPARED) | (open) | B(SOCKET_WAITING) | B(SOCKET_READY) | B(TRANSFERRING) | B(TRANSFER_COMPLETED) | B(FINALIZED) | B(FAILED), SESSION_EV_CANCEL, MACHINE_GO, SESSION_CANCELLED, SESSION_FAILED, 0, "through cancelling" }, \
	{ B(TRANSFER_COMPLETED) | B(CANCELLED) | B(FAILED), SESSION_EV_FINALIZE_STOP, MACHINE_GO, SESSION_FINALIZED, NO, 0, "this side ends the VM" }, \
	{ B(TRANSFER_COMPLETED) | B(CANCELLED) | B(FAILED), SESSION_EV_FINALIZE_RESUME, MACHINE_GO, SESSION_FINALIZED, NO, 0, "this side runs the VM" }, \
	{ B(IDLE) | B(FINALIZED), SESSION_EV_FINALIZE_STOP, MACHINE_NOOP, NO, NO, 0, "" }, \
	{ B(IDLE) | B(FINALIZED), SESSION_EV_FINALIZE_RESUME, MACHINE_NOOP, NO, NO, 0, "" }, \
	{ B(FINALIZED), SESSION_EV_CLEANUP, MACHINE_GO, SESSION_IDLE, NO, 0, "" }, \
	{ B(IDLE), SESSION_EV_CLEANUP, MACHINE_NOOP, NO, NO, 0, "" }

static const struct machine_row source_rows[] = {
	{ B(IDLE), SESSION_EV_EXPORT, MACHINE_GO, SESSION_SOURCE_EXPORTED, SESSION_FAILED, 0, "through source-prepared; idle again if the platform refuses" },
	COMMON(B(SOURCE_EXPORTED)),
};

static const struct machine_row destination_rows[] = {
	{ B(IDLE), SESSION_EV_IMPORT, MACHINE_GO, SESSION_DESTINATION_IMPORTED, NO, 0, "all or nothing" },
	{ B(DESTINATION_IMPORTED), SESSION_EV_PATCH, MACHINE_GO, NO, NO, 0, "one container" },
	{ B(DESTINATION_IMPORTED), SESSION_EV_PREPARE, MACHINE_GO, SESSION_DESTINATION_PREPARED, SESSION_FAILED, 0, "creates the VM; imported again if that fails" },
	{ B(DESTINATION_IMPORTED), SESSION_EV_CANCEL, MACHINE_GO, SESSION_CANCELLED, SESSION_FAILED, 0, "" },
	COMMON(B(DESTINATION_PREPARED)),
	{ B(CANCELLED), SESSION_EV_CLEANUP, MACHINE_GO, SESSION_IDLE, NO, 0, "ends the VM; imported tasks exit with 137" },
};
/* clang-format on */

const struct machine session_source_machine = {
	.name = "session (source)",
	.states = states,
	.n_states = ARRAY_LEN(states),
	.events = events,
	.n_events = ARRAY_LEN(events),
	.rows = source_rows,
	.n_rows = ARRAY_LEN(source_rows),
};

const struct machine session_destination_machine = {
	.name = "session (destination)",
	.states = states,
	.n_states = ARRAY_LEN(states),
	.events = events,
	.n_events = ARRAY_LEN(events),
	.rows = destination_rows,
	.n_rows = ARRAY_LEN(destination_rows),
};

const struct machine *session_machine(const struct session_ctl *s)
{
	return s->origin == SESSION_DESTINATION ? &session_destination_machine
						: &session_source_machine;
}

void session_ctl_init(struct session_ctl *s, struct sandbox_ctl *sandbox)
{
	*s = (struct session_ctl){ .sandbox = sandbox, .transfer_result = 1 };
	text_heap(&s->exported, SAVED_BYTES_MAX + 1);
	sandbox->session = s;
}

void session_ctl_done(struct session_ctl *s)
{
	assert(!s->seq.busy && !s->transfer.busy && !s->cancelling.busy);
	text_done(&s->exported);
	free(s->architecture);
	s->architecture = NULL;
	s->sandbox->session = NULL;
}

uint32_t session_number(const char *id)
{
	char lower[NAMES_GUID_SIZE];
	uint8_t sum[DIGEST_BYTES];
	struct digest d;

	if (names_guid_ok(id, strlen(id))) {
		names_guid_lower(id, lower);
		id = lower;
	}
	digest_init(&d);
	digest_add(&d, id, strlen(id));
	digest_done(&d, sum);
	return (uint32_t)sum[0] << 24 | (uint32_t)sum[1] << 16 |
	       (uint32_t)sum[2] << 8 | sum[3];
}

/* --- calls --- */

static int check_id(const struct session_ctl *s, const char *id,
		    enum session_event event, struct err *e)
{
	if (event == SESSION_EV_EXPORT || event == SESSION_EV_IMPORT) {
		if (!id || !id[0] || strlen(id) > SESSION_ID_MAX)
			return err_set(e, EINVAL,
				       "session id: want 1 to %u bytes",
				       SESSION_ID_MAX);
		if (s->state == SESSION_IDLE)
			return 0;
		return strcmp(id, s->id) == 0
			       ? 0
			       : err_set(e, EINVAL, "another session is open");
	}
	if (event == SESSION_EV_CLEANUP && s->state == SESSION_IDLE)
		return 0;
	if (strcmp(id ? id : "", s->id) != 0)
		return err_set(e, EINVAL, "no such session");
	return 0;
}

int session_begin(struct session_ctl *s, const char *id,
		  enum session_event event, struct op *op, struct err *e)
{
	const struct machine *m = event == SESSION_EV_IMPORT
					  ? &session_destination_machine
					  : session_machine(s);
	int r = check_id(s, id, event, e);

	if (r < 0)
		return r;
	r = machine_check(m, s->state, event, e);
	if (r < 0)
		return r;
	if (r == MACHINE_NOOP) {
		if (op)
			op_end(op, 0, NULL);
		return 1;
	}
	if (s->op && event != SESSION_EV_CANCEL)
		return err_set(e, EBUSY, "%s is on its way", events[s->doing]);
	return 0;
}

void session_run(struct session_ctl *s, enum session_event event,
		 const struct seq_step *steps, size_t n, bool thorough,
		 struct op *op,
		 void (*ended)(void *obj, int result, const struct err *e))
{
	s->doing = event;
	s->op = op;
	seq_start(&s->seq, steps, n, thorough, s, ended);
}

void session_ended(struct session_ctl *s, int result, const struct err *e)
{
	struct op *op = s->op;
	struct err copy = e ? *e : (struct err){ 0 };

	s->op = NULL;
	session_wake(s);
	op_end(op, result, result < 0 ? &copy : NULL);
}

void session_open(struct session_ctl *s, const char *id,
		  enum session_origin origin, enum session_state state)
{
	const struct seams *seams = &s->sandbox->seams;

	(void)snprintf(s->id, sizeof(s->id), "%s", id);
	s->origin = origin;
	s->state = state;
	s->start_ns = seams->now_ns(seams->now_ctx);
	s->transfer_result = 1;
	s->socket = false;
	s->guest_ended = false;
	s->n_messages = 0;
	s->next_message = 1;
	text_reset(&s->exported);
}

void session_close(struct session_ctl *s)
{
	const struct seams *seams = &s->sandbox->seams;
	struct session_listener *l;

	seams->vmm->transport_close(seams->vmm_ctx);
	while ((l = s->listeners)) {
		s->listeners = l->next;
		l->ended(l->ctx);
	}
	text_done(&s->exported);
	text_heap(&s->exported, SAVED_BYTES_MAX + 1);
	s->state = SESSION_IDLE;
	s->origin = SESSION_ORIGIN_NONE;
	s->id[0] = '\0';
	s->socket = false;
	s->n_messages = 0;
}

void session_fail(struct session_ctl *s)
{
	if (s->state != SESSION_CANCELLING && s->state != SESSION_CANCELLED)
		s->state = SESSION_FAILED;
}

int session_ctl_blocks_tasks(const struct session_ctl *s, struct err *e)
{
	if (s->state == SESSION_IDLE)
		return 0;
	/* Its outcome is there, and nobody may ever come to clean up. */
	if (s->state == SESSION_FINALIZED &&
	    s->sandbox->vm.state == VM_RUNNING && !s->op)
		return 0;
	return err_set(e, EPRECONDITION, "the sandbox migrates: session is %s",
		       states[s->state]);
}

/* --- options --- */

int session_options_check(const struct vmm_options *o, struct err *e)
{
	if (!o)
		return 0;
	if (o->throttle_increment > 99 || o->throttle_initial > 99)
		return err_set(e, EINVAL, "throttling: want 1 to 99 percent");
	if (o->passes_target && o->passes_max &&
	    o->passes_max < o->passes_target)
		return err_set(e, EINVAL,
			       "passes: the most are fewer than the target");
	if (o->downtime_ms > 2000000)
		return err_set(e, EINVAL, "blackout: more than 2000000 ms");
	if (o->cancel_over_limit && !o->blackout_limit_ms)
		return err_set(e, EINVAL,
			       "cancel over the limit: there is no limit");
	if (o->idle_s > SESSION_IDLE_MAX_S)
		return err_set(e, EINVAL, "idle time: more than %u s",
			       SESSION_IDLE_MAX_S);
	if (o->compress_threads > 255)
		return err_set(e, EINVAL, "compression: more than 255 threads");
	return 0;
}

/* --- notifications --- */

/* Progress is what a full row can do without; nothing else is dropped. */
static void make_room(struct session_ctl *s)
{
	size_t i;

	for (i = 0; i + 1 < s->n_messages; i++)
		if (s->messages[i].phase == SESSION_IN_PROGRESS)
			break;
	if (i + 1 >= s->n_messages)
		i = 0;
	memmove(&s->messages[i], &s->messages[i + 1],
		(s->n_messages - i - 1) * sizeof(s->messages[0]));
	s->n_messages--;
}

/* Missing result: phases 1 to 5 are successes. */
static enum session_result result_of(enum session_phase phase,
				     enum session_result result)
{
	if (result == SESSION_RESULT_NONE && phase >= SESSION_SETUP_DONE &&
	    phase <= SESSION_BLACKOUT_EXITED)
		return SESSION_SUCCESS;
	return result;
}

void session_ctl_notify(struct session_ctl *s, enum session_phase phase,
			enum session_result result, uint64_t blackout_ms)
{
	const struct seams *seams = &s->sandbox->seams;
	struct session_listener *l, *next;
	struct session_message *m;

	if (s->state == SESSION_IDLE)
		return;
	if (s->n_messages == SESSION_MESSAGES)
		make_room(s);
	m = &s->messages[s->n_messages++];
	*m = (struct session_message){
		.id = s->next_message++,
		.origin = s->origin,
		.phase = phase,
		.result = result_of(phase, result),
		.blackout_ms = blackout_ms,
		.at_ns = seams->now_ns(seams->now_ctx),
	};
	for (l = s->listeners; l; l = next) {
		next = l->next;
		l->message(l->ctx, m);
	}
}

void session_ctl_guest_ended(struct session_ctl *s)
{
	s->guest_ended = true;
}

void session_tell_failure(struct session_ctl *s)
{
	enum session_result why = s->origin == SESSION_SOURCE
					  ? SESSION_SOURCE_FAILED
					  : SESSION_DESTINATION_FAILED;

	session_ctl_notify(s, SESSION_PHASE_FAILED,
			   s->guest_ended ? SESSION_GUEST_CANCELLED : why, 0);
}

int session_ctl_listen(struct session_ctl *s, const char *id,
		       struct session_listener *l, struct err *e)
{
	struct session_listener *i;
	size_t n = 0;

	if (s->state == SESSION_IDLE || strcmp(id ? id : "", s->id) != 0)
		return err_set(e, EINVAL, "no such session");
	for (i = s->listeners; i; i = i->next)
		n++;
	if (n >= SESSION_LISTENERS_MAX)
		return err_set(e, EEXHAUSTED, "more than %u listeners",
			       SESSION_LISTENERS_MAX);
	l->next = s->listeners;
	s->listeners = l;
	for (n = 0; n < s->n_messages; n++)
		l->message(l->ctx, &s->messages[n]);
	return 0;
}

void session_ctl_unlisten(struct session_ctl *s, struct session_listener *l)
{
	struct session_listener **at;

	for (at = &s->listeners; *at; at = &(*at)->next)
		if (*at == l) {
			*at = l->next;
			return;
		}
}
