/*
 * The bridge's session in a move. It is frozen when the state is taken, so that
 * what is saved stays true until another host goes on with it, or this one does:
 * first the bridge, then what lies between it and the readers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "tools/carried.h"
#include "tools/ops_own.h"

static int freeze_streams(struct ops *o, bool frozen, struct err *e)
{
	const struct ops_streams *s = &o->c.streams;
	int r = 0;

	for (struct ops_process *p = o->processes; p && r == 0; p = p->next)
		if (p->streams && s->freeze)
			r = s->freeze(p->streams, frozen, e);
	return r;
}

int ops_session_save(void *ctx, struct arena *a, struct saved_text *ret,
		     struct err *e)
{
	struct ops *o = ctx;
	struct host_client *c = ops_client(o, e);
	uint8_t *bytes = NULL;
	size_t len = 0;
	int r;

	*ret = (struct saved_text){ "", 0 };
	if (!c)
		return -e->code;
	host_client_freeze(c, true);
	r = host_client_save(c, &bytes, &len, e);
	if (r == -ENOENT) {
		host_client_freeze(c, false);
		return 0;
	}
	o->move.frozen = true;
	if (r == 0)
		r = freeze_streams(o, true, e);
	if (r == 0) {
		ret->p = arena_strn(a, (const char *)bytes, len);
		ret->n = len;
	}
	if (r == 0 && !ret->p)
		r = err_set(e, ENOMEM, "no memory to save a session");
	if (bytes)
		explicit_bzero(bytes, len);
	free(bytes);
	if (r < 0)
		ops_session_thaw(o);
	return r;
}

void ops_session_thaw(void *ctx)
{
	struct ops *o = ctx;
	struct host_client *c;
	struct err e;

	if (!o->move.frozen)
		return;
	o->move.frozen = false;
	(void)freeze_streams(o, false, &e); /* that cannot fail */
	if (o->c.others_thaw)
		o->c.others_thaw(o->c.ctx);
	c = ops_client(o, &e);
	if (c)
		host_client_freeze(c, false);
}

int ops_others_save(void *ctx, struct arena *a, struct saved_vm *ret,
		    struct err *e)
{
	const struct ops *o = ctx;

	return o->c.others_save ? o->c.others_save(o->c.ctx, a, ret, e) : 0;
}

int ops_others_give(void *ctx, const struct saved_vm *saved, struct err *e)
{
	const struct ops *o = ctx;

	return o->c.others_give ? o->c.others_give(o->c.ctx, saved, e) : 0;
}
