/*
 * Create of a container.
 *
 *	PLAN	  the document is read and rewritten as far as that needs no disk
 *	DISK	  job: folders, hosts files, mounts of the pod, users, config.json
 *	CGROUP	  of the pod (sandbox)
 *	RUNTIME	  the runtime makes the container; its init process waits in it
 *	SETTLE	  who that process is
 *	NETWORK	  adapters move into its network namespace (sandbox, standalone)
 *
 * What fails is undone in full (W-G21): the runtime deletes by force what it
 * has made, folders and mounts go, the cgroup, and the id is free again. The
 * request is answered when that is over, so that it can be repeated at once. A
 * create goes on when its host goes away.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/guest/container.h"
#include "bridge/guest/create_own.h"
#include "bridge/guest/guestpath.h"
#include "bridge/guest/handlers.h"
#include "bridge/guest/keep.h"
#include "bridge/guest/movable.h"
#include "bridge/guest/notice.h"
#include "bridge/guest/oci.h"
#include "bridge/guest/reply.h"
#include "bridge/guest/runtime.h"
#include "bridge/hresult.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "bridge/msg_container.h"
#include "bridge/wire.h"

static void on_oom(void *ctx, uint64_t kills)
{
	struct container *c = ctx;

	log_err("container=%s is out of memory, processes killed so far: %llu",
		c->facts.id, (unsigned long long)kills);
	c->facts.oom_kills = kills;
	notice_oom(c);
}

void container_watch_oom(struct container *c)
{
	struct err e = { 0 };

	/* Without it kills are counted, and not told at once. */
	if (oom_watch(&c->agent->cgroups, c->facts.oci.cgroup, 0, on_oom, c,
		      &c->oom, &e) < 0)
		log_warn("container=%s: %s", c->facts.id, e.text);
}

static void create_done(struct create *x)
{
	struct container *c = x->container;
	const struct msg_create_result result = {
		.base = { .activity_id = c->facts.activity },
	};

	c->facts.state = CONTAINER_CREATED;
	keep_container(c);
	log_info("container=%s is created pid=%u", c->facts.id,
		 c->facts.init_pid);
	container_watch_oom(c);
	if (x->request)
		(void)reply_with(x->agent, &x->request->to,
				 &msg_create_result_schema, &result);
	create_free(x);
	/* It may have ended while nobody was told of it. */
	if (c->init->state == PROCESS_OVER)
		container_process_over(c->init);
}

/* --- network --------------------------------------------------------------- */

static void on_network(void *ctx, int result, const struct err *why)
{
	struct create *x = ctx;

	if (result < 0)
		create_fail(x, HR_FAIL, why);
	else
		create_done(x);
}

static void step_network(struct create *x)
{
	struct container *c = x->container;
	struct networks *all = &x->agent->networks;
	const char *ns = c->facts.oci.namespace;
	struct err e = { 0 };
	int r;

	if (c->facts.oci.kind == OCI_WORKLOAD || ns[0] == '\0' ||
	    !network_exists(all, ns)) {
		create_done(x);
		return;
	}
	if (c->facts.host_network)
		r = network_host(all, ns, on_network, x, &e);
	else
		r = network_assign(all, ns, c->init->pid, on_network, x, &e);
	if (r < 0)
		create_fail(x, HR_FAIL, &e);
}

/* --- the runtime ----------------------------------------------------------- */

static void on_settled(void *ctx, struct process *p)
{
	struct create *x = ctx;
	struct container *c = x->container;

	list_push(&c->processes, &p->sibling);
	c->init = p;
	c->facts.init_pid = (uint32_t)p->pid;
	keep_container(c);
	step_network(x);
}

static void on_made(void *ctx, struct runtime_result *r)
{
	static const bool all_three[MSG_STDIO] = { true, true, true };
	struct create *x = ctx;
	struct container *c = x->container;
	struct keep_process kept = { .init = true };
	struct err e = { 0 };

	/* A create that failed may have left its state behind. */
	x->did |= r->code == HR_SYSTEM_ALREADY_EXISTS ? 0 : DID_RUNTIME;
	ends_close_child(&c->ends);
	if (r->code != HR_OK) {
		create_fail(x, r->code, &r->err);
		return;
	}
	if (c->facts.oci.terminal &&
	    ends_master(&c->ends, all_three, fd_take(&r->master), &e) < 0) {
		orphans_close(&x->agent->orphans, r->ticket);
		create_fail(x, HR_FAIL, &e);
		return;
	}
	if (c->facts.oci.terminal)
		c->facts.number = ends_deposit(&c->ends, &x->agent->pid1);
	kept.number = c->facts.number;
	kept.request = x->request ? x->request->to.id : PROCESS_NO_REQUEST;
	if (orphans_adopt(&x->agent->orphans, r->ticket, r->pid, c, &kept, 0,
			  on_settled, x, &e) < 0)
		create_fail(x, HR_FAIL, &e);
}

static void step_runtime(struct create *x)
{
	static const bool all_three[MSG_STDIO] = { true, true, true };
	struct container *c = x->container;
	struct runtime_start q = {
		.id = c->facts.id,
		.bundle = c->facts.bundle,
		.terminal = c->facts.oci.terminal,
		.vsock = c->facts.oci.vsock,
		.stdio = { -1, -1, -1 },
	};
	struct err e = { 0 };
	int r = 0;

	if (!c->facts.oci.terminal)
		r = ends_pipes(&c->ends, all_three, &e);
	for (int i = 0; i < MSG_STDIO; i++)
		q.stdio[i] = c->ends.child[i];
	c->facts.number = ends_deposit(&c->ends, &x->agent->pid1);
	keep_container(c);
	if (r == 0)
		r = runtime_start(&x->agent->runtime, &q, on_made, x, &e);
	if (r < 0)
		create_fail(x, HR_FAIL, &e);
}

/* --- disk, cgroup ---------------------------------------------------------- */

static void step_cgroup(struct create *x)
{
	const struct oci_facts *f = &x->container->facts.oci;
	struct arena arena;
	struct err e = { 0 };
	int r = 0;

	if (f->pod_cgroup[0] != '\0') {
		x->did |= DID_CGROUP;
		arena_init(&arena, CONTAINER_MEMORY_MAX);
		r = cgroup_pod_create(&x->agent->cgroups, f->pod_cgroup,
				      f->resources, &arena, &e);
		arena_done(&arena);
	}
	if (r < 0)
		create_fail(x, HR_FAIL, &e);
	else
		step_runtime(x);
}

static void on_disk_made(void *ctx, const struct job_result *r)
{
	struct create *x = ctx;
	struct container_facts *f = &x->container->facts;
	struct oci_prepared found = { 0 };
	struct err e = { 0 };

	if (r->result < 0) {
		create_fail(x, HR_FAIL, &r->err);
		return;
	}
	if (oci_prepared_get(r->out, r->out_len, &found) < 0) {
		(void)err_set(&e, EPROTO, "bundle: no answer");
		create_fail(x, HR_FAIL, &e);
		return;
	}
	f->has_user = found.has_user;
	f->uid = found.uid;
	f->gid = found.gid;
	step_cgroup(x);
}

static void step_disk(struct create *x)
{
	struct err e = { 0 };

	x->did |= DID_DISK;
	keep_container(x->container);
	if (create_disk_job(x, oci_prepare, OCI_PREPARE_MS, on_disk_made, &e) <
	    0)
		create_fail(x, HR_FAIL, &e);
}

/* --- plan ------------------------------------------------------------------ */

/* A workload shares what its sandbox has. */
static uint32_t join_pod(struct create *x, struct err *e)
{
	struct container_facts *f = &x->container->facts;
	const struct container *pod =
		container_find(&x->agent->containers, f->oci.sandbox_id);

	if (!pod || pod->facts.oci.kind != OCI_SANDBOX ||
	    pod->facts.state == CONTAINER_CREATING) {
		(void)err_set(e, ENOENT, "there is no pod '%.128s'",
			      f->oci.sandbox_id);
		return HR_FAIL;
	}
	f->sandbox_root =
		container_string(x->container, pod->facts.sandbox_root);
	f->host_network = pod->facts.host_network;
	if (f->sandbox_root)
		return HR_OK;
	(void)err_set(e, ENOMEM, "no memory for a path");
	return HR_FAIL;
}

/* The network record of a sandbox was made by the host before. */
static uint32_t find_network(struct create *x, struct err *e)
{
	const struct oci_facts *f = &x->container->facts.oci;
	struct networks *all = &x->agent->networks;

	if (f->namespace[0] != '\0' && f->kind == OCI_SANDBOX &&
	    !f->virtual_pod && !f->skip_networking &&
	    !network_exists(all, f->namespace)) {
		(void)err_set(e, ENOENT,
			      "there is no network namespace '%.64s'",
			      f->namespace);
		return HR_ELEMENT_NOT_FOUND;
	}
	if (f->namespace[0] != '\0' && !f->skip_networking &&
	    network_create(all, f->namespace, e) < 0)
		return HR_FAIL;
	if (f->namespace[0] != '\0' &&
	    network_resolv_conf(all, f->namespace, &x->resolv, e) < 0)
		return HR_FAIL;
	return HR_OK;
}

static uint32_t plan(struct create *x, const struct msg_container_config *m,
		     struct err *e)
{
	struct container *c = x->container;
	struct container_facts *f = &c->facts;
	uint32_t code;

	f->bundle = container_string(c, m->oci_bundle_path);
	f->scratch = container_string(c, m->scratch_dir_path);
	if (!f->bundle || !f->scratch) {
		(void)err_set(e, ENOMEM, "no memory for paths");
		return HR_FAIL;
	}
	if (oci_read(f->id, f->bundle, m->oci_specification, &c->arena, &f->oci,
		     e) < 0)
		return HR_FAIL;
	if (x->agent->pid1.migratable &&
	    movable_check(m->oci_specification, &x->agent->modify.volumes,
			  &x->arena, e) < 0)
		return HR_FAIL;
	f->sandbox_root = f->oci.sandbox_root;
	f->host_network = f->oci.host_network;
	code = f->oci.kind == OCI_WORKLOAD ? join_pod(x, e)
					   : find_network(x, e);
	x->work = (struct oci_work){
		.root = x->agent->root,
		.id = f->id,
		.bundle = f->bundle,
		.document = m->oci_specification,
		.scratch = f->scratch,
		.facts = &f->oci,
		.sandbox_root = f->sandbox_root,
		.host_network = f->host_network,
		.resolv_conf = text_str(&x->resolv),
		.reference = x->agent->policy.reference,
		.hash_envelope = x->agent->policy.hash_envelope,
	};
	return code;
}

/* --- the request ----------------------------------------------------------- */

static uint32_t check(const struct call *c, const struct msg_create *m,
		      struct err *e)
{
	const struct msg_schema_version *v = &m->config.schema_version;
	const char *id = m->base.container_id;

	if (v->major < 2 || (v->major == 2 && v->minor < 1)) {
		(void)err_set(e, EINVAL, "schema version %u.%u is below 2.1",
			      v->major, v->minor);
		return HR_INVALID_JSON;
	}
	if (is_uvm(id) || !guestpath_id_ok(id)) {
		(void)err_set(e, EINVAL, "container id '%.64s' has a bad form",
			      id);
		return HR_INVALID_ARGUMENT;
	}
	if (container_find(&c->agent->containers, id)) {
		(void)err_set(e, EEXIST, "container %s exists", id);
		return HR_SYSTEM_ALREADY_EXISTS;
	}
	return HR_OK;
}

static struct create *create_new(struct call *c, const char *id)
{
	struct agent *a = c->agent;
	struct create *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->agent = a;
	x->container = container_new(&a->containers, id);
	if (x->container)
		x->request = request_new(&a->requests, &c->to);
	if (!x->request) {
		if (x->container)
			container_free(x->container);
		free(x);
		return NULL;
	}
	x->request->ctx = x;
	x->request->on_drop = create_drop;
	text_heap(&x->resolv, RESOLV_MAX);
	/* What the message points at goes with it. */
	x->arena = a->arena;
	arena_init(&a->arena, AGENT_MESSAGE_MAX);
	(void)snprintf(x->container->facts.activity,
		       sizeof(x->container->facts.activity), "%s",
		       c->to.activity);
	return x;
}

void handle_create(struct call *c, const void *msg)
{
	const struct msg_create *m = msg;
	struct err e = { 0 };
	uint32_t code = check(c, m, &e);
	struct create *x;

	if (code != HR_OK) {
		(void)reply_error(c->agent, &c->to, code, "%s", e.text);
		return;
	}
	if (policy_forbids(c))
		return;
	x = create_new(c, m->base.container_id);
	if (!x) {
		(void)reply_error(c->agent, &c->to, HR_FAIL,
				  "too many containers (%zu) or requests (%zu)",
				  c->agent->containers.n, c->agent->requests.n);
		return;
	}
	code = plan(x, &m->config, &e);
	if (code != HR_OK)
		create_fail(x, code, &e);
	else
		step_disk(x);
}
