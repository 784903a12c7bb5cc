#include "tools/ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "config/util.h"
#include "tools/ops_own.h"

int ops_fail(const struct ops *o, const struct host_failure *f, struct err *e)
{
	static const int codes[HOST_FAILS] = {
		[HOST_FAIL_REFUSED] = EIO,	   [HOST_FAIL_LOST] = ENOTCONN,
		[HOST_FAIL_TIMEOUT] = ETIMEDOUT,   [HOST_FAIL_GARBLED] = EPROTO,
		[HOST_FAIL_CANCELLED] = ESHUTDOWN, [HOST_FAIL_LOCAL] = EIO,
	};

	*e = f->err;
	e->code = codes[f->kind];
	if (o->ended)
		e->code = ESHUTDOWN;
	return -e->code;
}

struct host_client *ops_client(const struct ops *o, struct err *e)
{
	const bool there =
		!o->ended && o->c.sandbox && sandbox_client(o->c.sandbox);
	struct host_client *c = there ? o->client : NULL;

	if (!c)
		(void)err_set(e, ESHUTDOWN, "the sandbox has ended");
	return c;
}

uint64_t ops_now_ns(void *ctx UNUSED)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail */
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void on_out_of_memory(void *ctx, const char *container_id,
			     uint64_t count UNUSED)
{
	const struct ops *o = ctx;

	if (o->c.out_of_memory)
		o->c.out_of_memory(o->c.ctx, container_id);
}

int ops_new(const struct ops_config *c, struct ops **ret, struct err *e)
{
	struct ops *o = calloc(1, sizeof(*o));

	if (!o)
		return err_set(e, ENOMEM, "no memory for a sandbox");
	o->c = *c;
	o->client = c->sandbox ? sandbox_client(c->sandbox) : NULL;
	o->move.socket = -1;
	lease_init(&o->move.lease, c->name ? c->name : "");
	if (getrandom(o->seed, sizeof(o->seed), 0) !=
	    (ssize_t)sizeof(o->seed)) {
		free(o);
		return err_sys(e, "getrandom");
	}
	o->observer = (struct host_observer){ .out_of_memory = on_out_of_memory,
					      .ctx = o };
	if (o->client)
		host_client_observe(o->client, &o->observer);
	*ret = o;
	return 0;
}

void ops_ended(struct ops *o)
{
	struct op *stop = o->stop;
	struct err e;

	if (o->ended)
		return;
	o->ended = true;
	host_client_unobserve(&o->observer);
	o->stop = NULL;
	(void)err_set(&e, ESHUTDOWN, "the sandbox has ended");
	ops_processes_done(o, &e);
	ops_containers_done(o, &e);
	ops_move_ended(o, &e);
	o->c.vm_exited(o->c.ctx);
	if (stop)
		op_end(stop, 0, NULL);
}

void ops_free(struct ops *o)
{
	if (o)
		ops_move_done(o);
	free(o);
}

void ops_seams(struct ops *o, struct seams *s)
{
	s->vmm = &ops_vmm;
	s->vmm_ctx = o;
	s->guest = &ops_guest;
	s->guest_ctx = o;
	s->now_ns = ops_now_ns;
	s->now_ctx = NULL;
	memcpy(s->seed, o->seed, sizeof(s->seed));
}
