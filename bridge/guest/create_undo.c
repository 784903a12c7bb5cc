/*
 * The way back from a create that failed, or in which an agent died: the runtime
 * deletes by force what it has made, the cgroup goes, folders and mounts, and the
 * id is free again. The request is answered when that is over.
 */
#include "bridge/guest/create_own.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "bridge/guest/reply.h"
#include "bridge/guest/runtime.h"
#include "bridge/guest/takeover.h"
#include "bridge/hresult.h"
#include "bridge/io/log.h"
#include "config/util.h"

void create_drop(struct request *r)
{
	struct create *x = r->ctx;

	x->request = NULL;
}

void create_free(struct create *x)
{
	if (x->request)
		request_free(&x->agent->requests, x->request);
	loop_cancel(x->agent->loop, &x->timer);
	text_done(&x->resolv);
	arena_done(&x->arena);
	free(x);
}

static void undo(struct create *x);
static void undo_disk(struct create *x);

static void undone(struct create *x)
{
	struct container *c = x->container;

	log_warn("container=%s was not created: %s", c->facts.id, x->err.text);
	if (x->request)
		(void)reply_error(x->agent, &x->request->to, x->code, "%s",
				  x->err.text);
	container_free(c);
	create_free(x);
}

int create_disk_job(struct create *x, job_fn *fn, int64_t deadline_ms,
		    job_done_fn *done, struct err *e)
{
	const struct job_call j = {
		.name = fn == oci_prepare ? "bundle" : "bundle undo",
		.fn = fn,
		.arg = &x->work,
		.deadline_ms = deadline_ms,
		.class = JOB_WORK,
		.keep = &x->agent->root,
		.n_keep = 1,
		.done = done,
		.ctx = x,
	};

	return job_call(&x->agent->jobs, &j, NULL, e);
}

static void on_disk_undone(void *ctx, const struct job_result *r)
{
	struct create *x = ctx;
	/* The rootfs in the bundle is the host's, who has mounted it. */
	const bool stays = r->result < 0 && r->result != -EBUSY;

	if (stays && x->undone++ < CREATE_UNDO_TRIES) {
		undo_disk(x);
		return;
	}
	if (stays)
		log_warn("container=%s: its folders stay: %s",
			 x->container->facts.id, r->err.text);
	undo(x);
}

static void undo_disk(struct create *x)
{
	struct err e = { 0 };

	x->work.scratch = ""; /* it is the rootfs's, and the host's likewise */
	if (create_disk_job(x, oci_remove, OCI_REMOVE_MS, on_disk_undone, &e) ==
	    0)
		return;
	takeover_rather(x->agent, "a create that is undone");
	log_warn("container=%s: its folders stay: %s", x->container->facts.id,
		 e.text);
	undo(x);
}

static void on_runtime_undone(void *ctx, struct runtime_result *r)
{
	struct create *x = ctx;

	if (r->code != HR_OK && r->code != HR_SYSTEM_NOT_FOUND)
		log_warn("container=%s: the runtime keeps its state: %s",
			 x->container->facts.id, r->err.text);
	undo(x);
}

static void undo_runtime(struct create *x)
{
	const struct runtime_call q = {
		.verb = RUNTIME_DELETE_FORCE,
		.id = x->container->facts.id,
	};
	struct err e = { 0 };

	if (x->container->init)
		(void)process_signal(x->container->init, SIGKILL, NULL);
	if (runtime_call(&x->agent->runtime, &q, on_runtime_undone, x, &e) == 0)
		return;
	log_warn("container=%s: the runtime keeps its state: %s",
		 x->container->facts.id, e.text);
	undo(x);
}

static void undo_cgroup(const struct create *x, const char *path)
{
	struct err e = { 0 };

	if (cgroup_remove(&x->agent->cgroups, path, &e) < 0)
		log_warn("container=%s: its cgroup stays: %s",
			 x->container->facts.id, e.text);
}

static void on_look(void *ctx)
{
	undo(ctx);
}

/* A runtime that was killed has made it, and knows nothing of it. Return: false:
 * somebody still lives in it, and undo() comes again. */
static bool undo_own_cgroup(struct create *x)
{
	const char *path = x->container->facts.oci.cgroup;
	struct loop *l = x->agent->loop;
	pid_t pid[8];
	ssize_t n = cgroup_procs(&x->agent->cgroups, path, pid, ARRAY_LEN(pid),
				 NULL);

	for (ssize_t i = 0; i < n && i < (ssize_t)ARRAY_LEN(pid); i++)
		(void)kill(pid[i], SIGKILL);
	if (n > 0 && x->looks++ < CREATE_LOOKS_MAX &&
	    loop_at(l, loop_now_ms(l) + CREATE_LOOK_MS, on_look, x, &x->timer,
		    NULL) == 0)
		return false;
	x->did &= ~(unsigned int)DID_OWN_CGROUP;
	undo_cgroup(x, path);
	return true;
}

/* The last step that is left to undo, then again. */
static void undo(struct create *x)
{
	if ((x->did & DID_RUNTIME) != 0) {
		x->did &= ~(unsigned int)DID_RUNTIME;
		undo_runtime(x);
		return;
	}
	if ((x->did & DID_CGROUP) != 0) {
		x->did &= ~(unsigned int)DID_CGROUP;
		undo_cgroup(x, x->container->facts.oci.pod_cgroup);
	}
	if ((x->did & DID_OWN_CGROUP) != 0 && !undo_own_cgroup(x))
		return;
	if ((x->did & DID_DISK) != 0) {
		x->did &= ~(unsigned int)DID_DISK;
		undo_disk(x);
		return;
	}
	undone(x);
}

void create_fail(struct create *x, uint32_t code, const struct err *e)
{
	x->code = code;
	x->err = *e;
	undo(x);
}

/* --- taken over from an earlier agent --------------------------------------- */

void container_abandon(struct container *c)
{
	struct create *x = calloc(1, sizeof(*x));
	const struct container_facts *f = &c->facts;

	if (!x) {
		takeover_rather(c->agent, "a create that is undone");
		log_err("container=%s stays half made: no memory", f->id);
		return;
	}
	c->facts.state = CONTAINER_CREATING;
	x->agent = c->agent;
	x->container = c;
	x->did = DID_DISK | DID_RUNTIME;
	if (f->oci.pod_cgroup[0] != '\0')
		x->did |= DID_CGROUP;
	if (f->oci.cgroup[0] != '\0')
		x->did |= DID_OWN_CGROUP;
	text_heap(&x->resolv, RESOLV_MAX);
	arena_init(&x->arena, AGENT_MESSAGE_MAX);
	x->work = (struct oci_work){
		.root = c->agent->root,
		.id = f->id,
		.bundle = f->bundle,
		.facts = &f->oci,
		.sandbox_root = f->sandbox_root,
		.host_network = f->host_network,
	};
	x->code = HR_FAIL;
	(void)err_set(&x->err, ESTALE,
		      "the agent was restarted while it served this");
	c->abandoned = x;
	undo(x);
}

bool container_abandon_asked(struct container *c, struct request *r)
{
	struct create *x = c->abandoned;

	if (!x || x->request)
		return false;
	x->request = r;
	r->ctx = x;
	r->on_drop = create_drop;
	return true;
}
