/*
 * tools/shim/task_guest.c - the methods of the task service that ask the guest,
 * beside the controllers: sizes of terminals, processes, statistics, limits
 */
#include <errno.h>

#include "bridge/host/calls.h"
#include "bridge/msg_container.h"
#include "build/proto/task.pb-c.h"
#include "config/annotation_lock.h"
#include "config/arena.h"
#include "config/util.h"
#include "tools/shim/shim.h"
#include "tools/shim/stats.h"
#include "tools/shim/task_service.h"

static void on_done(void *ctx, const void *result UNUSED,
		    const struct host_failure *f)
{
	struct ttrpc_call *call = ctx;

	if (f)
		ttrpc_fail(call, TTRPC_UNKNOWN, "%s", f->err.text);
	else
		ttrpc_reply(call, NULL);
}

void task_on_resize(void *ctx, struct ttrpc_call *call,
		    const ProtobufCMessage *m)
{
	const TaskResizePtyRequest *q = (const void *)m;
	struct shim *s = ctx;
	struct process_ctl *p = task_process(s, call, q->id, q->exec_id);
	const struct host_done done = { .fn = on_done, .ctx = call };
	struct host_process *process;
	struct err e;

	if (!p)
		return;
	if (process_ctl_check(p, PROCESS_EV_IO, &e) < 0) {
		task_refuse(call, &e);
		return;
	}
	process = ops_process(s->tasks.ops, p->container->gcs_id, p->exec_id);
	if (!process || !p->terminal || q->height > UINT16_MAX ||
	    q->width > UINT16_MAX)
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT,
			   "no terminal of that size");
	else if (host_process_resize(process, (uint16_t)q->height,
				     (uint16_t)q->width, &done, &e) < 0)
		task_refuse(call, &e);
}

static int get_properties(struct shim *s, struct ttrpc_call *call,
			  const char *id, unsigned int what, host_answer_fn *fn)
{
	struct shim_task *t = task_find(s, call, id);
	struct host_client *c =
		s->ended || !s->sandbox ? NULL : sandbox_client(s->sandbox);
	const struct host_done done = { .fn = fn, .ctx = call };
	struct err e;
	int r = -ENOENT;

	if (!t)
		return r;
	if (container_ctl_check(t->ctl, CONTAINER_EV_QUERY, &e) < 0) {
		task_refuse(call, &e);
		return r;
	}
	r = c ? host_get_properties(c, t->ctl->gcs_id, what, &done, NULL, &e)
	      : err_set(&e, ENOTCONN, "the sandbox is ending");
	if (r < 0)
		task_refuse(call, &e);
	return r;
}

static void on_pids_known(void *ctx, const void *result,
			  const struct host_failure *f)
{
	const struct msg_get_properties_result *r = result;
	struct ttrpc_call *call = ctx;
	TaskPidsResponse a = TASK_PIDS_RESPONSE__INIT;
	struct arena arena;
	TaskPid *pid;

	if (f) {
		ttrpc_fail(call, TTRPC_UNKNOWN, "%s", f->err.text);
		return;
	}
	arena_init(&arena, TTRPC_DATA_MAX);
	pid = arena_array(&arena, r->properties.n_processes + 1, sizeof(*pid));
	a.processes = arena_array(&arena, r->properties.n_processes + 1,
				  sizeof(TaskPid *));
	for (size_t i = 0; i < r->properties.n_processes && pid && a.processes;
	     i++) {
		task_pid__init(&pid[i]);
		pid[i].pid = r->properties.process[i].process_id;
		a.processes[a.n_processes++] = &pid[i];
	}
	ttrpc_reply(call, &a.base);
	arena_done(&arena);
}

void task_on_pids(void *ctx, struct ttrpc_call *call, const ProtobufCMessage *m)
{
	const TaskIdRequest *q = (const void *)m;

	(void)get_properties(ctx, call, q->id, HOST_PROCESS_LIST,
			     on_pids_known);
}

static void on_stats_known(void *ctx, const void *result,
			   const struct host_failure *f)
{
	const struct msg_get_properties_result *r = result;
	struct ttrpc_call *call = ctx;

	if (f)
		ttrpc_fail(call, TTRPC_UNKNOWN, "%s", f->err.text);
	else if (!r->properties.metrics)
		ttrpc_fail(call, TTRPC_UNKNOWN, "the guest has no statistics");
	else
		stats_reply(call, r->properties.metrics);
}

void task_on_stats(void *ctx, struct ttrpc_call *call,
		   const ProtobufCMessage *m)
{
	const TaskIdRequest *q = (const void *)m;

	(void)get_properties(ctx, call, q->id, HOST_STATISTICS, on_stats_known);
}

/* What shaped the UVM stays as it was, whoever brings it. */
static int check_annotations(const struct shim *s, const TaskUpdateRequest *q,
			     struct err *e)
{
	struct annotation_map map;
	int r = 0;

	if (!s->launch->options.migratable)
		return 0;
	annotation_map_init(&map);
	for (size_t i = 0; r == 0 && i < q->n_annotations; i++)
		if (q->annotations[i])
			r = annotation_map_set(&map, q->annotations[i]->key,
					       q->annotations[i]->value, e);
	if (r == 0)
		r = annotation_lock_check(&s->lock, &map, e);
	annotation_map_done(&map);
	return r;
}

void task_on_update(void *ctx, struct ttrpc_call *call,
		    const ProtobufCMessage *m)
{
	const TaskUpdateRequest *q = (const void *)m;
	struct shim *s = ctx;
	struct shim_task *t = task_find(s, call, q->id);
	struct host_client *c =
		s->ended || !s->sandbox ? NULL : sandbox_client(s->sandbox);
	const struct host_done done = { .fn = on_done, .ctx = call };
	struct err e;

	if (!t)
		return;
	if (!q->resources || !c) {
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT, "no resources");
		return;
	}
	if (container_ctl_check(t->ctl, CONTAINER_EV_UPDATE, &e) < 0 ||
	    check_annotations(s, q, &e) < 0 ||
	    stats_update(c, t->ctl->gcs_id, q->resources->value.data,
			 q->resources->value.len, &done, &e) < 0)
		task_refuse(call, &e);
}
