/*
 * PrepareAndExport. The platform is armed first, so that nothing is frozen when
 * it refuses; then everything is looked at, written down, and only when the
 * bytes are there is it frozen (W1, F2): a failed export leaves all containers
 * as they were, and finalize with RESUME only has to disarm the platform.
 */
#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "migration/move.h"
#include "migration/names.h"
#include "migration/saved.h"
#include "migration/session_life.h"
#include "migration/status.h"

/* What the state is taken into: many small structs, no blobs. */
#define TAKE_BYTES_MAX ((size_t)64 * 1024 * 1024)

static int go_init(void *obj, struct op *op, struct err *e)
{
	struct session_ctl *s = obj;
	const struct seams *seams = &s->sandbox->seams;
	int r = seams->vmm->source_init(seams->vmm_ctx, &s->options, op, e);

	return r < 0 ? r : SEQ_WAIT;
}

static int landed_init(void *obj, int result, const struct op *op UNUSED)
{
	struct session_ctl *s = obj;

	if (result < 0)
		return result;
	if (s->sandbox->vm.state != VM_RUNNING)
		return -ESHUTDOWN;
	s->sandbox->vm.state = VM_SOURCE_INITIALIZED;
	return SEQ_NEXT;
}

static int go_compat(void *obj, struct op *op, struct err *e)
{
	struct session_ctl *s = obj;
	const struct seams *seams = &s->sandbox->seams;
	int r = vm_ctl_check(&s->sandbox->vm, VM_EV_COMPAT, e);

	if (r < 0)
		return r;
	r = seams->vmm->compat(seams->vmm_ctx, &s->compat, &s->compat_len, op,
			       e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_compat(void *obj, int result, const struct op *op UNUSED)
{
	struct session_ctl *s = obj;
	struct vm_ctl *v = &s->sandbox->vm;
	void *copy = NULL;

	if (result < 0)
		return result;
	if (s->compat_len > VM_COMPAT_MAX)
		return -E2BIG;
	if (vm_ctl_blob(s->compat, s->compat_len, &copy) < 0)
		return -ENOMEM;
	free(v->compat);
	v->compat = copy;
	v->compat_len = s->compat_len;
	return SEQ_NEXT;
}

/* Held from before the state exists, so that none of it is without it. */
static int hold_lease(struct session_ctl *s, struct err *e)
{
	const struct seams *seams = &s->sandbox->seams;
	struct vm_ctl *v = &s->sandbox->vm;
	const char *path = NULL;
	char *copy = NULL;
	int r = 0;

	if (!v->machine[0]) /* it came from a host that gave no names */
		lease_machine_make(seams->seed, v->machine);
	if (strcmp(s->options.lease, LEASE_NONE) != 0)
		r = seams->vmm->lease_hold(seams->vmm_ctx, s->options.lease,
					   v->machine, v->epoch, &path, e);
	if (r == 0 && path)
		r = names_copy(path, &copy, e);
	if (r < 0)
		return r;
	free(v->lease);
	v->lease = copy;
	return 0;
}

/* No operation: it is over when it returns. */
static int go_save(void *obj, struct op *op UNUSED, struct err *e)
{
	struct session_ctl *s = obj;
	struct saved saved;
	struct arena a;
	int r = hold_lease(s, e);

	if (r < 0)
		return r;
	arena_init(&a, TAKE_BYTES_MAX);
	r = move_take(s->sandbox, &a, &saved, e);
	text_reset(&s->exported);
	if (r == 0)
		saved.vm.producer = saved_text_of(s->producer);
	if (r == 0)
		r = saved_encode(&saved, &s->exported, e);
	arena_done(&a);
	if (r < 0) {
		if (s->sandbox->seams.guest->session_thaw)
			s->sandbox->seams.guest->session_thaw(
				s->sandbox->seams.guest_ctx);
		return r;
	}
	move_freeze(s->sandbox);
	return SEQ_NEXT;
}

static const struct seq_step export_steps[] = {
	{ "initialize the platform", go_init, landed_init, false },
	{ "compatibility", go_compat, landed_compat, false },
	{ "save", go_save, NULL, false },
};

static void exported(void *obj, int result, const struct err *e)
{
	struct session_ctl *s = obj;
	const enum vm_state vm = s->sandbox->vm.state;

	if (result < 0 && s->state == SESSION_SOURCE_PREPARED &&
	    vm == VM_RUNNING) {
		session_close(s); /* F1: nothing has happened */
	} else if (result < 0) {
		session_fail(s);
	} else if (s->state == SESSION_SOURCE_PREPARED) {
		s->state = SESSION_SOURCE_EXPORTED;
	}
	session_ended(s, result, e);
}

int session_ctl_export(struct session_ctl *s, const char *id,
		       const struct vmm_options *options, struct op *op,
		       struct err *e)
{
	int r = session_options_check(options, e); /* W21: before anything */

	if (r < 0)
		return r;
	r = session_begin(s, id, SESSION_EV_EXPORT, op, e);
	if (r != 0)
		return r < 0 ? r : 0;
	r = vm_ctl_check(&s->sandbox->vm, VM_EV_INIT_SOURCE, e);
	if (r < 0)
		return r;
	if (!s->sandbox->vm.migratable)
		return err_set(e, EPRECONDITION,
			       "the sandbox was not made for migration");
	s->options = options ? *options : (struct vmm_options){ 0 };
	session_open(s, id, SESSION_SOURCE, SESSION_SOURCE_PREPARED);
	session_run(s, SESSION_EV_EXPORT, export_steps, ARRAY_LEN(export_steps),
		    false, op, exported);
	return 0;
}
