/*
 * The socket and the transfer. Transfer answers at once; the work begins when
 * both have come, whichever is the last, and what came of it is a message, and
 * is kept until cleanup (W10).
 */
#include "config/util.h"
#include "migration/session_life.h"
#include "migration/status.h"

static const struct seams *seams_of(const struct session_ctl *s)
{
	return &s->sandbox->seams;
}

/* A transfer that failed; not one that was cancelled (W11). */
static void tell_failure(struct session_ctl *s)
{
	if (s->state == SESSION_FAILED)
		session_tell_failure(s);
}

/* --- the socket --- */

static int go_adopt(void *obj, struct op *op, struct err *e)
{
	struct session_ctl *s = obj;
	int r = seams_of(s)->vmm->transport_adopt(seams_of(s)->vmm_ctx, s->info,
						  s->info_len, op, e);

	s->info = NULL;
	return r < 0 ? r : SEQ_WAIT;
}

static const struct seq_step socket_steps[] = {
	{ "transport socket", go_adopt, NULL, false },
};

static void adopted(void *obj, int result, const struct err *e)
{
	struct session_ctl *s = obj;
	const bool waiting = s->state == SESSION_SOCKET_WAITING;

	s->socket = result == 0;
	if (result == -EINVAL) {
		session_ended(s, result, e); /* malformed: nothing happened */
		return;
	}
	if (result < 0) {
		session_fail(s);
		if (waiting)
			tell_failure(s);
	} else if (s->state == SESSION_SOURCE_EXPORTED ||
		   s->state == SESSION_DESTINATION_PREPARED || waiting) {
		s->state = SESSION_SOCKET_READY;
		if (waiting)
			session_transfer_start(s);
	}
	session_ended(s, result, e);
}

int session_ctl_socket(struct session_ctl *s, const char *id, const void *info,
		       size_t len, struct op *op, struct err *e)
{
	int r = session_begin(s, id, SESSION_EV_SOCKET, op, e);

	if (r != 0)
		return r < 0 ? r : 0;
	s->info = info; /* used before this returns */
	s->info_len = len;
	session_run(s, SESSION_EV_SOCKET, socket_steps, ARRAY_LEN(socket_steps),
		    false, op, adopted);
	return 0;
}

void session_ctl_socket_late(struct session_ctl *s)
{
	if (s->state != SESSION_SOCKET_WAITING)
		return;
	s->state = SESSION_FAILED;
	s->transfer_result = err_set(&s->transfer_err, ETIMEDOUT,
				     "the transport socket did not come");
	tell_failure(s);
}

/* --- the transfer --- */

static int go_listen(void *obj, struct op *op, struct err *e)
{
	struct session_ctl *s = obj;
	int r;

	if (s->origin == SESSION_SOURCE) {
		/* O4: from here on a lost bridge parks. */
		seams_of(s)->guest->set_migrating(seams_of(s)->guest_ctx, true);
		return SEQ_NEXT;
	}
	/* O3: bound before the VM can run. */
	r = seams_of(s)->guest->listen(seams_of(s)->guest_ctx, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int go_start(void *obj, struct op *op, struct err *e)
{
	struct session_ctl *s = obj;
	const struct seams *seams = seams_of(s);
	const bool source = s->origin == SESSION_SOURCE;
	const uint32_t number = session_number(s->id);
	int r = vm_ctl_check(
		&s->sandbox->vm,
		source ? VM_EV_START_SOURCE : VM_EV_START_DESTINATION, e);

	if (r < 0)
		return r;
	if (source)
		r = seams->vmm->source_start(seams->vmm_ctx, number, op, e);
	else
		r = seams->vmm->destination_start(seams->vmm_ctx, number, op,
						  e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_start(void *obj, int result, const struct op *op UNUSED)
{
	struct session_ctl *s = obj;
	struct vm_ctl *v = &s->sandbox->vm;
	const struct seams *seams = seams_of(s);

	if (result == 0 && v->state == VM_TERMINATED)
		result = -ESHUTDOWN;
	if (result < 0) { /* F10: the mark goes again */
		seams->guest->set_migrating(seams->guest_ctx, false);
		return result;
	}
	v->state = s->origin == SESSION_SOURCE ? VM_SOURCE_STARTED
					       : VM_DESTINATION_STARTED;
	return SEQ_NEXT;
}

static int go_transfer(void *obj, struct op *op, struct err *e)
{
	struct session_ctl *s = obj;
	const struct seams *seams = seams_of(s);
	int r = vm_ctl_check(&s->sandbox->vm, VM_EV_TRANSFER, e);

	if (r < 0)
		return r;
	r = seams->vmm->transfer(seams->vmm_ctx, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_transfer(void *obj, int result, const struct op *op UNUSED)
{
	struct session_ctl *s = obj;
	struct vm_ctl *v = &s->sandbox->vm;

	if (result == 0 && v->state == VM_TERMINATED)
		result = -ESHUTDOWN;
	if (result < 0)
		return result;
	v->state = VM_TRANSFER_COMPLETED;
	return SEQ_NEXT;
}

static const struct seq_step transfer_steps[] = {
	{ "guest connection", go_listen, NULL, false },
	{ "start", go_start, landed_start, false },
	{ "transfer", go_transfer, landed_transfer, false },
};

static void transferred(void *obj, int result, const struct err *e)
{
	struct session_ctl *s = obj;

	s->transfer_result = result;
	s->transfer_err = e ? *e : (struct err){ 0 };
	if (s->state == SESSION_TRANSFERRING && result == 0)
		s->state = SESSION_TRANSFER_COMPLETED;
	else if (result < 0)
		session_fail(s);
	if (result < 0)
		tell_failure(s);
	session_wake(s);
}

void session_transfer_start(struct session_ctl *s)
{
	s->state = SESSION_TRANSFERRING;
	s->transfer_result = 1;
	seq_start(&s->transfer, transfer_steps, ARRAY_LEN(transfer_steps),
		  false, s, transferred);
}

int session_ctl_transfer(struct session_ctl *s, const char *id, struct err *e)
{
	int r = session_begin(s, id, SESSION_EV_TRANSFER, NULL, e);

	if (r != 0)
		return r < 0 ? r : 0;
	if (s->state == SESSION_SOCKET_READY)
		session_transfer_start(s);
	else
		s->state = SESSION_SOCKET_WAITING;
	return 0;
}
