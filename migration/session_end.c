/*
 * Cancel, finalize, cleanup, and a source that nobody calls any more.
 *
 * Cancel ends what runs and asks the platform; it reverts nothing (L14). What
 * the VM is afterwards is known from the VM, not from the cancel (F16): a
 * transfer that completed meanwhile stays completed.
 *
 * Finalize looks at the VM and does what is missing (L13, W2): each of its
 * steps is skipped when it has been done, so it can be repeated until it works.
 */
#include "config/util.h"
#include "migration/lists.h"
#include "migration/move.h"
#include "migration/session_life.h"
#include "migration/status.h"

static const struct seams *seams_of(const struct session_ctl *s)
{
	return &s->sandbox->seams;
}

/* --- cancel --- */

void session_wake(struct session_ctl *s)
{
	struct op *op = s->wait_op;

	if (!op)
		return;
	s->wait_op = NULL;
	op_end(op, 0, NULL);
}

/* The call that runs ends first; it was asked to. */
static int go_wait_call(void *obj, struct op *op, struct err *e UNUSED)
{
	struct session_ctl *s = obj;

	if (!s->op)
		return SEQ_NEXT;
	s->wait_op = op;
	if (s->doing == SESSION_EV_PATCH)
		op_cancel(s->patch_op);
	else
		seq_cancel(&s->seq);
	return SEQ_WAIT;
}

static int landed_again(void *obj UNUSED, int result UNUSED,
			const struct op *op UNUSED)
{
	return SEQ_AGAIN;
}

/* L15: it really reaches the platform, whatever we think that runs there. */
static int go_platform(void *obj, struct op *op, struct err *e)
{
	struct session_ctl *s = obj;
	int r;

	if (vm_ctl_check(&s->sandbox->vm, VM_EV_CANCEL, NULL) < 0)
		return SEQ_NEXT; /* no VM: nothing to cancel (L16) */
	r = seams_of(s)->vmm->migrate_cancel(seams_of(s)->vmm_ctx, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_platform(void *obj, int result, const struct op *op UNUSED)
{
	const struct session_ctl *s = obj;

	if (result < 0 && s->sandbox->vm.state == VM_TERMINATED)
		return SEQ_NEXT; /* it ended meanwhile: cancelled enough */
	return result;
}

static int go_wait_transfer(void *obj, struct op *op, struct err *e UNUSED)
{
	struct session_ctl *s = obj;

	if (!s->transfer.busy)
		return SEQ_NEXT;
	s->wait_op = op;
	seq_cancel(&s->transfer);
	return SEQ_WAIT;
}

static const struct seq_step cancel_steps[] = {
	{ "end the running call", go_wait_call, landed_again, false },
	{ "cancel", go_platform, landed_platform, false },
	{ "end of the transfer", go_wait_transfer, landed_again, false },
};

static void cancelled(void *obj, int result, const struct err *e)
{
	struct session_ctl *s = obj;
	struct op *op = s->cancel_op;

	s->cancel_op = NULL;
	s->state = result < 0 ? SESSION_FAILED : SESSION_CANCELLED;
	op_end(op, result, e);
}

int session_ctl_cancel(struct session_ctl *s, const char *id, struct op *op,
		       struct err *e)
{
	int r = session_begin(s, id, SESSION_EV_CANCEL, op, e);

	if (r != 0)
		return r < 0 ? r : 0;
	if (s->op && (s->doing == SESSION_EV_FINALIZE_STOP ||
		      s->doing == SESSION_EV_FINALIZE_RESUME ||
		      s->doing == SESSION_EV_CLEANUP))
		return err_set(e, EBUSY, "the outcome is being applied");
	s->cancelled_from = s->state;
	s->state = SESSION_CANCELLING;
	s->cancel_op = op;
	seq_start(&s->cancelling, cancel_steps, ARRAY_LEN(cancel_steps), false,
		  s, cancelled);
	return 0;
}

/* --- finalize with STOP --- */

/* Is there a platform VM that can be given up? */
static bool vm_is_there(const struct vm_ctl *v)
{
	return v->state != VM_NOT_CREATED && v->state != VM_TERMINATED &&
	       v->state != VM_DESTINATION_IMPORTED;
}

static int go_stop(void *obj, struct op *op, struct err *e)
{
	struct session_ctl *s = obj;
	struct vm_ctl *v = &s->sandbox->vm;
	int r;

	if (!vm_is_there(v))
		return SEQ_NEXT;
	if (v->state == VM_RUNNING)
		return err_set(e, EPRECONDITION, "the VM runs here again");
	r = v->seams->vmm->finalize(v->seams->vmm_ctx, VMM_STOP, NULL, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_stop(void *obj, int result, const struct op *op UNUSED)
{
	struct session_ctl *s = obj;

	if (result < 0 && s->sandbox->vm.state != VM_TERMINATED)
		return result;
	sandbox_ctl_vm_exited(s->sandbox); /* unless it was told */
	return SEQ_NEXT;
}

static int go_abort(void *obj, struct op *op UNUSED, struct err *e UNUSED)
{
	struct session_ctl *s = obj;

	if (s->origin != SESSION_DESTINATION)
		return SEQ_NEXT;
	/* W16, F17: what was imported ends, so that it can be deleted. */
	move_abort(s->sandbox);
	if (s->sandbox->vm.state == VM_DESTINATION_IMPORTED)
		s->sandbox->vm.state = VM_TERMINATED;
	return SEQ_NEXT;
}

static const struct seq_step stop_steps[] = {
	{ "stop", go_stop, landed_stop, false },
	{ "abort", go_abort, NULL, false },
};

/* --- finalize with RESUME --- */

static int go_finalize(void *obj, struct op *op, struct err *e)
{
	struct session_ctl *s = obj;
	struct vm_ctl *v = &s->sandbox->vm;
	const struct lease_claim claim = vm_ctl_claim(v);
	int r = machine_check(&vm_machine, v->state, VM_EV_FINALIZE_RESUME, e);

	if (r < 0)
		return r;
	if (r == MACHINE_NOOP)
		return SEQ_NEXT;
	r = v->seams->vmm->finalize(v->seams->vmm_ctx, VMM_RESUME,
				    v->lease ? &claim : NULL, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_finalize(void *obj, int result, const struct op *op UNUSED)
{
	struct session_ctl *s = obj;

	if (result < 0)
		return result;
	if (s->sandbox->vm.state == VM_TERMINATED)
		return -ESHUTDOWN;
	s->sandbox->vm.state = VM_MIGRATION_FINALIZED;
	return SEQ_NEXT;
}

static int go_connect(void *obj, struct op *op, struct err *e)
{
	struct session_ctl *s = obj;
	const struct seams *seams = seams_of(s);
	int r;

	if (s->sandbox->vm.state == VM_RUNNING)
		return SEQ_NEXT;
	/* L18: a bridge that never broke is kept, nobody would dial again. */
	if (seams->guest->connected(seams->guest_ctx))
		return SEQ_NEXT;
	if (s->origin == SESSION_SOURCE)
		r = seams->guest->reconnect(seams->guest_ctx, op, e);
	else
		r = seams->guest->connect(seams->guest_ctx, false, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

/* O5, O6, O7: the mark, the floors, the disks; only then the pods. */
static int go_vm_runs(void *obj, struct op *op UNUSED, struct err *e)
{
	struct session_ctl *s = obj;
	const struct seams *seams = seams_of(s);
	struct vm_ctl *v = &s->sandbox->vm;
	int r = machine_check(&vm_machine, v->state, VM_EV_RESUME, e);

	if (r < 0)
		return r;
	if (r == MACHINE_NOOP)
		return SEQ_NEXT;
	seams->guest->set_migrating(seams->guest_ctx, false);
	seams->guest->raise(seams->guest_ctx, v->next_port, v->next_id);
	if (s->origin == SESSION_SOURCE && seams->guest->session_thaw)
		seams->guest->session_thaw(seams->guest_ctx);
	if (v->scsi.state == SCSI_MIGRATING) {
		r = scsi_ctl_resume(&v->scsi, e);
		if (r < 0)
			return r;
	}
	if (s->origin == SESSION_SOURCE)
		v->epoch += 2; /* past the one that was handed out */
	v->is_destination = false;
	v->state = VM_RUNNING;
	return SEQ_NEXT;
}

static int go_pods(void *obj, struct op *op, struct err *e)
{
	struct session_ctl *s = obj;
	struct pod_ctl *p = s->sandbox->pods;
	int r;

	while (p && !p->migrating)
		p = p->next;
	if (!p)
		return SEQ_NEXT;
	if (s->sandbox->vm.state != VM_RUNNING)
		return err_set(e, ESHUTDOWN, "the VM has ended");
	r = move_pod_resume(p, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_pods(void *obj UNUSED, int result, const struct op *op UNUSED)
{
	return result < 0 ? result : SEQ_AGAIN;
}

static const struct seq_step resume_steps[] = {
	{ "resume", go_finalize, landed_finalize, false },
	{ "guest connection", go_connect, NULL, false },
	{ "VM", go_vm_runs, NULL, false },
	{ "pod", go_pods, landed_pods, false },
};

/* Was it to be, and is it not? */
static bool recovery_failed(const struct session_ctl *s)
{
	const enum vm_state vm = s->sandbox->vm.state;

	return s->origin == SESSION_SOURCE &&
	       s->doing == SESSION_EV_FINALIZE_RESUME && vm != VM_RUNNING &&
	       vm != VM_MIGRATION_FINALIZED;
}

static void finalized(void *obj, int result, const struct err *e)
{
	struct session_ctl *s = obj;

	if (result == 0)
		s->state = SESSION_FINALIZED;
	else if (recovery_failed(s))
		session_ctl_notify(s, SESSION_RECOVERY_DONE,
				   SESSION_RECOVERY_FAILED, 0);
	session_ended(s, result, e);
}

/*
 * A destination runs only what has arrived whole: to let one run whose memory
 * is still coming would run it twice (W20).
 */
static int check_resume(const struct session_ctl *s, struct err *e)
{
	const enum vm_state vm = s->sandbox->vm.state;

	if (s->transfer.busy)
		return err_set(e, EBUSY, "the transfer has not ended");
	if (s->origin == SESSION_DESTINATION && vm != VM_TRANSFER_COMPLETED &&
	    vm != VM_MIGRATION_FINALIZED && vm != VM_RUNNING)
		return err_set(e, EPRECONDITION,
			       "the memory has not arrived: VM is %s",
			       machine_state_name(&vm_machine, vm));
	return machine_check(&vm_machine, vm, VM_EV_FINALIZE_RESUME, e);
}

int session_ctl_finalize(struct session_ctl *s, const char *id,
			 enum vmm_outcome action, struct op *op, struct err *e)
{
	const bool resume = action == VMM_RESUME;
	const enum session_event event =
		resume ? SESSION_EV_FINALIZE_RESUME : SESSION_EV_FINALIZE_STOP;
	int r;

	if (action != VMM_STOP && action != VMM_RESUME)
		return err_set(e, EINVAL, "finalize: neither stop nor resume");
	r = session_begin(s, id, event, op, e);
	if (r != 0)
		return r < 0 ? r : 0;
	r = resume ? check_resume(s, e) : 0;
	if (r < 0)
		return r;
	if (resume)
		session_run(s, event, resume_steps, ARRAY_LEN(resume_steps),
			    false, op, finalized);
	else
		session_run(s, event, stop_steps, ARRAY_LEN(stop_steps), false,
			    op, finalized);
	return 0;
}

/* --- cleanup --- */

static void cleaned(void *obj, int result, const struct err *e)
{
	struct session_ctl *s = obj;

	if (result == 0)
		session_close(s);
	session_ended(s, result, e);
}

int session_ctl_cleanup(struct session_ctl *s, const char *id, struct op *op,
			struct err *e)
{
	int r = session_begin(s, id, SESSION_EV_CLEANUP, op, e);

	if (r != 0)
		return r < 0 ? r : 0;
	/* A destination that was cancelled holds a VM that nobody wants. */
	session_run(s, SESSION_EV_CLEANUP, stop_steps,
		    s->state == SESSION_CANCELLED ? ARRAY_LEN(stop_steps) : 0,
		    false, op, cleaned);
	return 0;
}

/* --- a source that nobody calls --- */

static void idle_step(struct op *op, int result, const struct err *e);

static void idle_next(struct session_ctl *s)
{
	struct err e = { 0 };
	int r = -EPRECONDITION;

	s->idle_op = (struct op){ .done = idle_step, .ctx = s };
	if (s->state == SESSION_CANCELLED || s->state == SESSION_FAILED)
		r = session_ctl_finalize(s, s->id, VMM_RESUME, &s->idle_op, &e);
	else if (s->state == SESSION_FINALIZED)
		r = session_ctl_cleanup(s, s->id, &s->idle_op, &e);
	else if (s->state != SESSION_IDLE)
		r = session_ctl_cancel(s, s->id, &s->idle_op, &e);
	if (r < 0)
		s->idling = false; /* the timer comes again */
}

static void idle_step(struct op *op, int result, const struct err *e UNUSED)
{
	struct session_ctl *s = op->ctx;

	if (result < 0 || s->state == SESSION_IDLE)
		s->idling = false;
	else
		idle_next(s);
}

bool session_ctl_idle(struct session_ctl *s)
{
	if (s->origin != SESSION_SOURCE || s->op || s->idling ||
	    s->transfer.busy || s->cancelling.busy)
		return false;
	switch ((int)s->state) {
	case SESSION_SOURCE_PREPARED:
	case SESSION_SOURCE_EXPORTED:
	case SESSION_SOCKET_WAITING:
		break;
	case SESSION_FAILED:
		if (s->sandbox->vm.state != VM_SOURCE_INITIALIZED)
			return false; /* the destination may have it all */
		break;
	default:
		return false;
	}
	s->idling = true;
	idle_next(s);
	return true;
}

void session_ctl_vm_exited(struct session_ctl *s)
{
	if (s->state != SESSION_IDLE && s->state != SESSION_FINALIZED &&
	    !s->transfer.busy && !s->op && s->origin == SESSION_SOURCE)
		session_tell_failure(s);
}
