/*
 * DeleteContainerState.
 *
 *	created, not started: end its init process --> wait until it is over
 *	--> the pod's mounts go --> the runtime forgets it --> folders go --> the
 *	network record and the cgroup of the pod go --> the id is free
 *
 * A container that runs is left alone (W-G22). Whatever fails behind that is
 * told, and the rest is done all the same.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/guest/container.h"
#include "bridge/guest/handlers.h"
#include "bridge/guest/keep.h"
#include "bridge/guest/layers.h"
#include "bridge/guest/notice.h"
#include "bridge/guest/oci.h"
#include "bridge/guest/reply.h"
#include "bridge/guest/runtime.h"
#include "bridge/hresult.h"
#include "bridge/io/log.h"

/* Longest wait for a process that got SIGKILL, and its output. */
#define DELETE_OVER_MS 15000
/* How often folders and mounts are removed that did not go at once. */
#define DELETE_TRIES 3u

/**
 * struct delete - one of them
 * @code:	of the first thing that failed, with @err
 * @forced:	the runtime was asked a second time
 * @tries:	to remove the bundle
 * @work:	what the jobs work on
 */
struct delete
{
	struct op op;
	uint32_t code;
	struct err err;
	bool forced;
	unsigned int tries;
	struct loop_id timer;
	struct oci_work work;
};

static void delete_release(struct op *op)
{
	struct delete *d = LIST_ITEM(op, struct delete, op);

	loop_cancel(op->agent->loop, &d->timer);
	free(d);
}

static void failed(struct delete *d, uint32_t code, const struct err *e)
{
	log_warn("container=%s: delete: %s", d->op.container->facts.id,
		 e->text);
	if (d->code != HR_OK)
		return;
	d->code = code;
	d->err = *e;
}

/* --- the end --------------------------------------------------------------- */

static void forget_pod(struct delete *d)
{
	struct container *c = d->op.container;
	struct agent *a = d->op.agent;
	struct err e = { 0 };

	if (c->facts.oci.kind != OCI_WORKLOAD &&
	    c->facts.oci.namespace[0] != '\0')
		network_forget(&a->networks, c->facts.oci.namespace);
	if (c->facts.oci.pod_cgroup[0] != '\0' &&
	    cgroup_remove(&a->cgroups, c->facts.oci.pod_cgroup, &e) < 0)
		failed(d, HR_FAIL, &e);
}

static void delete_finish(struct delete *d)
{
	struct op *op = &d->op;
	struct container *c = op->container;
	struct agent *a = op->agent;

	forget_pod(d);
	if (!c->facts.told)
		notice_send(c);
	log_info("container=%s is deleted", c->facts.id);
	if (op->request) {
		if (d->code == HR_OK)
			(void)reply_ok(a, &op->request->to);
		else
			(void)reply_error(a, &op->request->to, d->code, "%s",
					  d->err.text);
		request_free(&a->requests, op->request);
		op->request = NULL;
	}
	list_remove(&op->node);
	container_free(c);
	delete_release(op);
}

/* The host's folder for a scratch is not below the bundle: then the bundle was
 * bound from it (bridge/guest/layers.h). */
static bool is_bound(const struct oci_work *w)
{
	const size_t n = strlen(w->bundle);

	return w->scratch[0] != '\0' &&
	       (strncmp(w->scratch, w->bundle, n) != 0 || w->scratch[n] != '/');
}

/* A job: the bind goes, then all that is there. */
static int remove_all(void *arg, struct text *out, struct err *e)
{
	struct oci_work *w = arg;
	const struct volume_env env = { .root = w->root };
	struct volume_facts f = { .kind = VOLUME_LAYERS };
	struct err later = { 0 };
	int r = 0, r2;

	if (is_bound(w)) {
		(void)snprintf(f.path, sizeof(f.path), "%s/rootfs", w->bundle);
		r = layers_unbind(&env, &f, e);
	}
	r2 = oci_remove(w, out, r < 0 ? &later : e);
	return r < 0 ? r : r2;
}

static int disk_job(struct delete *d, job_fn *fn, job_done_fn *done,
		    struct err *e)
{
	const struct container_facts *f = &d->op.container->facts;
	const struct job_call j = {
		.name = fn == remove_all ? "bundle remove" : "bundle unmount",
		.fn = fn,
		.arg = &d->work,
		.deadline_ms = OCI_REMOVE_MS,
		.class = JOB_WORK,
		.keep = &d->op.agent->root,
		.n_keep = 1,
		.done = done,
		.ctx = d,
	};

	d->work = (struct oci_work){
		.root = d->op.agent->root,
		.id = f->id,
		.bundle = f->bundle,
		.scratch = f->scratch,
		.facts = &f->oci,
		.sandbox_root = f->sandbox_root,
		.host_network = f->host_network,
	};
	return job_call(&d->op.agent->jobs, &j, NULL, e);
}

static void on_removed(void *ctx, const struct job_result *r);

/* Nobody else would: the host has its answer behind this. */
static void remove_bundle(struct delete *d, const struct err *failure)
{
	struct err e = { 0 };

	while (d->tries++ < DELETE_TRIES) {
		if (disk_job(d, remove_all, on_removed, &e) == 0)
			return;
		failure = &e;
	}
	failed(d, HR_FAIL, failure);
	delete_finish(d);
}

static void on_removed(void *ctx, const struct job_result *r)
{
	struct delete *d = ctx;

	if (r->result < 0) {
		remove_bundle(d, &r->err);
		return;
	}
	/* What the host has not taken away before keeps it busy, and known. */
	volumes_forget_below(&d->op.agent->modify.volumes,
			     d->op.container->facts.bundle);
	delete_finish(d);
}

/* --- the runtime ----------------------------------------------------------- */

static void ask_runtime(struct delete *d, enum runtime_verb verb);

static void on_runtime_deleted(void *ctx, struct runtime_result *r)
{
	struct delete *d = ctx;

	if (r->code == HR_OK || r->code == HR_SYSTEM_NOT_FOUND) {
		remove_bundle(d, &r->err);
	} else if (!d->forced) {
		/* Its init process has ended, whatever the runtime thinks. */
		d->forced = true;
		ask_runtime(d, RUNTIME_DELETE_FORCE);
	} else {
		failed(d, r->code, &r->err);
		remove_bundle(d, &r->err);
	}
}

static void ask_runtime(struct delete *d, enum runtime_verb verb)
{
	const struct runtime_call q = {
		.verb = verb,
		.id = d->op.container->facts.id,
	};
	struct err e = { 0 };

	if (runtime_call(&d->op.agent->runtime, &q, on_runtime_deleted, d,
			 &e) == 0)
		return;
	/* The runtime still knows the id: so do we, and the host asks again. */
	d->op.container->facts.deleting = false;
	op_fail(&d->op, HR_FAIL, &e);
}

static void on_unmounted(void *ctx, const struct job_result *r)
{
	struct delete *d = ctx;

	/* It is tried again behind the runtime, whose failure would count. */
	if (r->result < 0)
		log_debug("container=%s: %s", d->op.container->facts.id,
			  r->err.text);
	ask_runtime(d, RUNTIME_DELETE);
}

static void unmount(struct delete *d)
{
	struct err e = { 0 };

	if (disk_job(d, oci_unmount, on_unmounted, &e) < 0)
		ask_runtime(d, RUNTIME_DELETE);
}

/* --- its init process ------------------------------------------------------ */

static void on_over(void *ctx)
{
	struct delete *d = ctx;

	loop_cancel(d->op.agent->loop, &d->timer);
	unmount(d);
}

static void on_over_limit(void *ctx)
{
	struct delete *d = ctx;
	struct container *c = d->op.container;
	struct err e = { 0 };

	c->on_over = NULL;
	c->facts.deleting = false;
	(void)err_set(&e, ETIMEDOUT, "its init process does not end");
	op_fail(&d->op, HR_FAIL, &e);
}

/* Until then its exit is not told. */
static void wait_until_over(struct delete *d)
{
	struct container *c = d->op.container;
	struct loop *l = d->op.agent->loop;
	struct err e = { 0 };

	if (loop_at(l, loop_now_ms(l) + DELETE_OVER_MS, on_over_limit, d,
		    &d->timer, &e) < 0) {
		op_fail(&d->op, HR_FAIL, &e);
		return;
	}
	c->on_over = on_over;
	c->over_ctx = d;
	if (c->init->state == PROCESS_LIVE)
		(void)process_signal(c->init, SIGKILL, NULL);
}

static void delete_begin(struct op *op)
{
	struct delete *d = LIST_ITEM(op, struct delete, op);
	struct container *c = op->container;
	struct err e = { 0 };

	if (c->facts.state == CONTAINER_RUNNING && !container_init_ended(c)) {
		(void)err_set(&e, EBUSY, "container %s is still running",
			      c->facts.id);
		op_fail(op, HR_INVALID_STATE, &e);
		return;
	}
	c->facts.deleting = true;
	keep_container(c);
	if (c->facts.state == CONTAINER_TERMINATED)
		unmount(d);
	else
		wait_until_over(d);
}

void handle_delete_container_state(struct call *c, const void *msg)
{
	const struct msg_base *m = msg;
	struct container *found = named_container(c, m->container_id);
	struct delete *d =
		found ? op_new(sizeof(*d), found, delete_begin, delete_release)
		      : NULL;

	if (!found)
		return;
	if (!d) {
		(void)reply_error(c->agent, &c->to, HR_FAIL, "no memory");
		return;
	}
	op_queue(&d->op, &c->to);
}
