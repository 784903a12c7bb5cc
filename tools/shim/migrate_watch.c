/*
 * What a shim does in a move that nobody calls it for: an orchestrator that has
 * died, a destination that nobody wants, and QEMU's word as notifications.
 */
#include <errno.h>

#include "bridge/io/log.h"
#include "config/util.h"
#include "tools/shim/migrate.h"
#include "tools/shim/uvm.h"

/* --- an orchestrator that has died ------------------------------------------------- */

static void go_back(struct op *op, int result, const struct err *e);

/* One step at a time, by what the session is now. */
static void step_back(struct shim_migration *m)
{
	struct session_ctl *s = &m->session;
	struct err e;
	int r = 0;

	m->back = (struct op){ .done = go_back, .ctx = m };
	if (s->state == SESSION_CANCELLED || s->state == SESSION_FAILED)
		r = session_ctl_finalize(s, s->id, VMM_RESUME, &m->back, &e);
	else if (s->state == SESSION_FINALIZED)
		r = session_ctl_cleanup(s, s->id, &m->back, &e);
	else if (s->state != SESSION_IDLE)
		r = session_ctl_cancel(s, s->id, &m->back, &e);
	if (r < 0) {
		log_err("the move cannot be called off: %s", e.text);
		m->back.ctx = NULL;
	}
}

/* Refused by the lease, or by QEMU for its locks: the guest went on elsewhere. */
static void go_back(struct op *op, int result, const struct err *e)
{
	struct shim_migration *m = op->ctx;
	struct session_ctl *s = &m->session;
	struct err why;

	if (result == 0 && s->state != SESSION_IDLE) {
		step_back(m);
		return;
	}
	op->ctx = NULL;
	if (result == 0) {
		if (s->sandbox->vm.state == VM_RUNNING)
			log_warn("the sandbox runs here");
	} else if (result == -EREMOTEIO || result == -ESTALE) {
		log_warn("%s: the sandbox is given up", e->text);
		m->back = (struct op){ .done = go_back, .ctx = m };
		if (session_ctl_finalize(s, s->id, VMM_STOP, &m->back, &why) <
		    0)
			m->back.ctx = NULL;
	} else {
		log_err("the sandbox does not go on: %s", e->text);
	}
}

static void on_silence(void *ctx)
{
	struct shim_migration *m = ctx;

	loop_cancel(m->loop, &m->silence);
	if (m->session.state == SESSION_IDLE || m->back.ctx)
		return;
	if (m->session.state == SESSION_FINALIZED) {
		step_back(m); /* nothing is left to do but to forget it */
		return;
	}
	if (m->session.origin != SESSION_SOURCE)
		return;
	/* The other side may have been told to let it go on. */
	if (m->session.state == SESSION_TRANSFER_COMPLETED && !m->judged) {
		log_err("nobody asks for the move any more, and no lease tells "
			"who runs the guest: it stands still here");
		return;
	}
	log_warn("nobody asks for the move any more: it is called off");
	step_back(m);
}

void shim_migration_asked(struct shim_migration *m, bool judged)
{
	if (!m->there)
		return;
	m->judged = judged;
	if (m->unwanted)
		shim_migration_touch(m);
	(void)loop_at(m->loop, loop_now_ms(m->loop) + MIGRATE_SILENCE_MS,
		      on_silence, m, &m->silence, NULL);
}

/* --- numbers --------------------------------------------------------------------------- */

const uint32_t move_bucket_ms[MOVE_BUCKETS] = {
	10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000,
};

void move_times_add(struct move_times *t, uint64_t ms)
{
	size_t i = 0;

	while (i < MOVE_BUCKETS && ms > move_bucket_ms[i])
		i++;
	t->bucket[i]++;
	t->sum_ms += ms;
}

/* --- QEMU's word --------------------------------------------------------------------- */

void shim_migration_note(struct shim_migration *m, enum vm_move_note note,
			 uint64_t number)
{
	static const enum session_phase phases[VM_MOVE_NOTES] = {
		[VM_MOVE_SETUP] = SESSION_SETUP_DONE,
		[VM_MOVE_PASS] = SESSION_IN_PROGRESS,
		[VM_MOVE_STOPPED] = SESSION_BLACKOUT_STARTED,
		[VM_MOVE_PRE_SWITCHOVER] = SESSION_OFFLINE_DONE,
		[VM_MOVE_RUNNING] = SESSION_BLACKOUT_EXITED,
		[VM_MOVE_COMPLETED] = SESSION_DONE,
		[VM_MOVE_CANCELLED] = SESSION_PHASE_FAILED,
		[VM_MOVE_FAILED] = SESSION_PHASE_NONE, /* the session tells */
		[VM_MOVE_PROGRESS] = SESSION_IN_PROGRESS,
		[VM_MOVE_GUEST_ENDED] =
			SESSION_PHASE_NONE, /* it tells that too */
	};
	const bool comes = m->session.origin == SESSION_DESTINATION;
	const int64_t now = loop_now_ms(m->loop);

	if (m->there && note == VM_MOVE_GUEST_ENDED)
		session_ctl_guest_ended(&m->session);
	if (!m->there || phases[note] == SESSION_PHASE_NONE)
		return;
	if (note == VM_MOVE_COMPLETED)
		m->counts.ended[m->session.origin][SESSION_SUCCESS]++;
	if (note == VM_MOVE_CANCELLED)
		m->counts.ended[m->session.origin][SESSION_RESULT_CANCELLED]++;
	if (note == VM_MOVE_COMPLETED)
		m->completed_ms = now;
	if (note == VM_MOVE_STOPPED)
		m->stopped_ns = clock_wall_ns();
	if (note == VM_MOVE_RUNNING)
		m->running_ns = clock_wall_ns();
	if (note == VM_MOVE_RUNNING && comes) {
		m->running_ms = now;
		number = (uint64_t)(now - m->completed_ms);
	}
	if (note == VM_MOVE_RUNNING)
		move_times_add(&m->counts.blackout[m->session.origin], number);
	session_ctl_notify(&m->session, phases[note],
			   note == VM_MOVE_CANCELLED ? SESSION_RESULT_CANCELLED
						     : SESSION_SUCCESS,
			   note == VM_MOVE_RUNNING ? number : 0);
	if (note == VM_MOVE_RUNNING && !comes)
		session_ctl_notify(&m->session, SESSION_RECOVERY_DONE,
				   SESSION_SUCCESS, 0);
}

void shim_migration_expect(struct shim_migration *m,
			   void (*unwanted)(void *owner), void *owner)
{
	m->unwanted = unwanted;
	m->owner = owner;
	shim_migration_touch(m);
}

void shim_migration_arrived(struct shim_migration *m)
{
	m->unwanted = NULL;
	loop_cancel(m->loop, &m->idle_timer);
	m->reconnect_ms = (uint64_t)(loop_now_ms(m->loop) - m->running_ms);
	move_times_add(&m->counts.reconnect, m->reconnect_ms);
}
