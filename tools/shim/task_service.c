#include "tools/shim/task_service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build/proto/ferry.pb-c.h"
#include "build/proto/task.pb-c.h"
#include "config/util.h"
#include "migration/status.h"
#include "tools/shim/ask.h"
#include "tools/shim/mounts.h"
#include "tools/shim/shim.h"
#include "tools/shim/tasks.h"
#include "tools/ttrpc/pb.h"

#define VERSION "2"

void task_refuse(struct ttrpc_call *call, const struct err *e)
{
	ttrpc_fail(call, ask_code(e->code), "%s", e->text);
}

/* --- who is meant ----------------------------------------------------------------- */

struct shim_task *task_find(struct shim *s, struct ttrpc_call *call,
			    const char *id)
{
	struct shim_task *t = shim_task_find(&s->tasks, id);

	if (!t)
		ttrpc_fail(call, TTRPC_NOT_FOUND, "no container %.64s", id);
	else if (t->stage != TASK_THERE)
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION,
			   "container %.64s is busy", id);
	else
		return t;
	return NULL;
}

/* A session keeps these three from tasks: migration.md 2. */
static bool is_blocked(const struct shim *s, struct ttrpc_call *call)
{
	struct err e;

	if (!s->migration.there ||
	    session_ctl_blocks_tasks(&s->migration.session, &e) == 0)
		return false;
	task_refuse(call, &e);
	return true;
}

struct process_ctl *task_process(struct shim *s, struct ttrpc_call *call,
				 const char *id, const char *exec_id)
{
	struct shim_task *t = task_find(s, call, id);
	struct process_ctl *p = NULL;

	if (!t)
		return NULL;
	p = container_ctl_process(t->ctl, exec_id);
	if (!p)
		ttrpc_fail(call, TTRPC_NOT_FOUND, "no exec %.64s", exec_id);
	return p;
}

static void *streams_of(const struct shim *s, const struct process_ctl *p)
{
	return ops_streams_of(s->tasks.ops, p->container->gcs_id, p->exec_id);
}

/* --- create, start, delete ---------------------------------------------------------- */

static void reply_created(struct ask *a)
{
	TaskCreateResponse m = TASK_CREATE_RESPONSE__INIT;

	m.pid = (uint32_t)a->op.value;
	ttrpc_reply(a->call, &m.base);
}

static void on_create(void *ctx, struct ttrpc_call *call,
		      const ProtobufCMessage *m)
{
	const TaskCreateRequest *q = (const void *)m;
	struct shim *s = ctx;
	struct mounts mounts;
	struct task_wish wish = {
		.id = q->id,
		.dir = q->bundle,
		.stdio = { q->stdin, q->stdout, q->stderr },
		.terminal = q->terminal,
	};
	struct ask *a;
	struct err e;
	int r;

	if (*q->checkpoint || *q->parent_checkpoint) {
		ttrpc_fail(call, TTRPC_UNIMPLEMENTED, "no checkpoints");
		return;
	}
	if (s->state == SHIM_ENDING) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION,
			   "the sandbox is ending");
		return;
	}
	a = ask_new(s, call, reply_created);
	if (!a)
		return;
	r = mounts_read(&mounts, q->rootfs, q->n_rootfs, &e);
	wish.mounts = mounts.mount;
	wish.n_mounts = mounts.n;
	if (r == 0)
		r = shim_task_create(&s->tasks, &wish, &a->op, &e);
	if (r < 0)
		ask_refuse(a, &e);
	mounts_done(&mounts);
}

static void reply_pid(struct ask *a)
{
	TaskStartResponse m = TASK_START_RESPONSE__INIT;

	m.pid = (uint32_t)a->op.value;
	ttrpc_reply(a->call, &m.base);
}

void task_on_start(void *ctx, struct ttrpc_call *call,
		   const ProtobufCMessage *m)
{
	const TaskProcessRequest *q = (const void *)m;
	struct process_ctl *p = task_process(ctx, call, q->id, q->exec_id);
	struct ask *a = p ? ask_new(ctx, call, reply_pid) : NULL;
	struct err e;

	if (a && process_ctl_start(p, &a->op, &e) < 0)
		ask_refuse(a, &e);
}

static void fill_deleted(TaskDeleteResponse *m, const struct process_ctl *p,
			 PbTimestamp *at)
{
	task_delete_response__init(m);
	m->pid = p->pid;
	m->exit_status = p->exit_status;
	m->exited_at = pb_time_if(at, p->exited_at_ns);
}

/* What is told of a task that is gone when its deletion ends. */
struct deleted {
	uint32_t pid;
	uint32_t exit_status;
	uint64_t exited_at_ns;
};

static void reply_deleted(struct ask *a)
{
	struct deleted *d = a->data;
	TaskDeleteResponse m = TASK_DELETE_RESPONSE__INIT;
	PbTimestamp at;

	m.pid = d->pid;
	m.exit_status = d->exit_status;
	m.exited_at = pb_time_if(&at, d->exited_at_ns);
	ttrpc_reply(a->call, &m.base);
}

static void delete_task(struct shim *s, struct ttrpc_call *call,
			struct shim_task *t)
{
	struct ask *a = ask_new(s, call, reply_deleted);
	struct deleted *d = a ? ask_data(a, sizeof(*d)) : NULL;
	struct err e;

	if (!d)
		return;
	*d = (struct deleted){
		.pid = t->ctl->init->pid,
		.exit_status = t->ctl->init->exit_status,
		.exited_at_ns = t->ctl->init->exited_at_ns,
	};
	if (shim_task_delete(t, &a->op, &e) < 0)
		ask_refuse(a, &e);
}

void task_on_delete(void *ctx, struct ttrpc_call *call,
		    const ProtobufCMessage *m)
{
	const TaskProcessRequest *q = (const void *)m;
	struct shim *s = ctx;
	struct process_ctl *p;
	TaskDeleteResponse a;
	PbTimestamp at;
	struct err e;

	if (is_blocked(s, call))
		return;
	if (*q->exec_id == '\0') {
		struct shim_task *t = task_find(s, call, q->id);

		if (t)
			delete_task(s, call, t);
		return;
	}
	p = task_process(s, call, q->id, q->exec_id);
	if (!p)
		return;
	fill_deleted(&a, p, &at);
	if (process_ctl_delete(p, &e) < 0)
		task_refuse(call, &e);
	else
		ttrpc_reply(call, &a.base);
}

/* --- processes ------------------------------------------------------------------------ */

void task_on_state(void *ctx, struct ttrpc_call *call,
		   const ProtobufCMessage *m)
{
	static const TaskStatus status[PROCESS_STATES] = {
		[PROCESS_NOT_CREATED] = TASK_STATUS__TASK_UNKNOWN,
		[PROCESS_CREATED] = TASK_STATUS__TASK_CREATED,
		[PROCESS_RUNNING] = TASK_STATUS__TASK_RUNNING,
		[PROCESS_TERMINATED] = TASK_STATUS__TASK_STOPPED,
		[PROCESS_SOURCE_MIGRATING] = TASK_STATUS__TASK_RUNNING,
	};
	const TaskProcessRequest *q = (const void *)m;
	const struct process_ctl *p =
		task_process(ctx, call, q->id, q->exec_id);
	TaskStateResponse a = TASK_STATE_RESPONSE__INIT;
	PbTimestamp at;

	if (!p || is_blocked(ctx, call))
		return;
	if (p->state == PROCESS_DESTINATION_MIGRATING) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION,
			   "container %.64s has not arrived yet", q->id);
		return;
	}
	a.id = q->id;
	a.exec_id = q->exec_id;
	a.bundle = pb_text(p->container->bundle);
	a.pid = p->pid;
	a.status = status[p->state];
	a.terminal = p->terminal;
	a.stdin = pb_text(p->stdio[GUEST_STDIN]);
	a.stdout = pb_text(p->stdio[GUEST_STDOUT]);
	a.stderr = pb_text(p->stdio[GUEST_STDERR]);
	a.exit_status = p->exit_status;
	a.exited_at = pb_time_if(&at, p->exited_at_ns);
	ttrpc_reply(call, &a.base);
}

/* A waiter, for as long as its process is there. */
struct waiter {
	char id[257];
	char exec_id[257];
};

static void reply_exit(struct ask *a)
{
	const struct waiter *w = a->data;
	const struct shim_task *t = shim_task_find(&a->shim->tasks, w->id);
	const struct process_ctl *p =
		t && t->ctl ? container_ctl_process(t->ctl, w->exec_id) : NULL;
	TaskWaitResponse m = TASK_WAIT_RESPONSE__INIT;
	PbTimestamp at;

	m.exit_status = (uint32_t)a->op.value;
	m.exited_at = pb_time_if(&at, p ? p->exited_at_ns : clock_wall_ns());
	ttrpc_reply(a->call, &m.base);
}

static void on_waiter_gone(void *ctx)
{
	struct ask *a = ctx;
	const struct waiter *w = a->data;
	const struct shim_task *t = shim_task_find(&a->shim->tasks, w->id);
	struct process_ctl *p =
		t && t->ctl ? container_ctl_process(t->ctl, w->exec_id) : NULL;

	a->call = NULL; /* its end is told to nobody */
	if (p)
		process_ctl_unwait(p, &a->op);
}

void task_on_wait(void *ctx, struct ttrpc_call *call, const ProtobufCMessage *m)
{
	const TaskProcessRequest *q = (const void *)m;
	struct process_ctl *p = task_process(ctx, call, q->id, q->exec_id);
	struct ask *a = p ? ask_new(ctx, call, reply_exit) : NULL;
	struct waiter *w = a ? ask_data(a, sizeof(*w)) : NULL;
	struct err e;

	if (!w)
		return;
	/* Found by these names, so they fit. */
	memcpy(w->id, q->id, strlen(q->id) + 1);
	memcpy(w->exec_id, q->exec_id, strlen(q->exec_id) + 1);
	ttrpc_call_watch(call, on_waiter_gone, a);
	if (process_ctl_wait(p, &a->op, &e) < 0)
		ask_refuse(a, &e);
}

void task_on_exec(void *ctx, struct ttrpc_call *call, const ProtobufCMessage *m)
{
	const TaskExecRequest *q = (const void *)m;
	struct shim_task *t = task_find(ctx, call, q->id);
	struct process_ctl *p = NULL;
	cleanup_free char *document = NULL;
	struct process_spec spec = {
		.exec_id = q->exec_id,
		.stdio = { q->stdin, q->stdout, q->stderr },
		.terminal = q->terminal,
	};
	struct err e;

	if (!t)
		return;
	if (!q->spec || *q->exec_id == '\0' || strlen(q->exec_id) > 256) {
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT, "no spec, or no id");
		return;
	}
	document =
		strndup((const char *)q->spec->value.data, q->spec->value.len);
	if (!document) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "no memory");
		return;
	}
	spec.document = document;
	if (container_ctl_exec(t->ctl, &spec, &p, &e) < 0)
		task_refuse(call, &e);
	else
		ttrpc_reply(call, NULL);
}

/* The first process takes everything of its container with it. */
void task_on_kill(void *ctx, struct ttrpc_call *call, const ProtobufCMessage *m)
{
	const TaskKillRequest *q = (const void *)m;
	struct process_ctl *p = task_process(ctx, call, q->id, q->exec_id);
	struct ask *a;
	struct err e;

	if (!p || is_blocked(ctx, call))
		return;
	if (q->signal == 0 || q->signal > 64) {
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT, "no signal %u",
			   q->signal);
		return;
	}
	a = ask_new(ctx, call, NULL);
	if (a && process_ctl_kill(p, q->signal, &a->op, &e) < 0)
		ask_refuse(a, &e);
}

void task_on_close_io(void *ctx, struct ttrpc_call *call,
		      const ProtobufCMessage *m)
{
	const TaskCloseIORequest *q = (const void *)m;
	struct shim *s = ctx;
	struct process_ctl *p = task_process(s, call, q->id, q->exec_id);
	struct shim_stdio *io = p ? streams_of(s, p) : NULL;

	if (!p)
		return;
	if (q->stdin && io)
		shim_stdio_close_stdin(io);
	ttrpc_reply(call, NULL);
}

void task_on_attach(void *ctx, struct ttrpc_call *call,
		    const ProtobufCMessage *m)
{
	const FerryAttachRequest *q = (const void *)m;
	const char *const path[MSG_STDIO] = { q->stdin, q->stdout, q->stderr };
	struct process_ctl *p = task_process(ctx, call, q->id, q->exec_id);
	struct shim_stdio *io = p ? streams_of(ctx, p) : NULL;
	struct err e;
	int r;

	if (!p)
		return;
	if (!io &&
	    (p->pid == 0 || p->state != PROCESS_TERMINATED || p->streams))
		r = err_set(&e, EPRECONDITION,
			    "the process has not begun here");
	else
		r = io ? shim_stdio_attach(io, path, &e)
		       : shim_stdio_ended(path, &e);
	if (r < 0)
		task_refuse(call, &e);
	else
		ttrpc_reply(call, NULL);
}

/* --- the shim itself -------------------------------------------------------------------------- */

static void on_connect(void *ctx, struct ttrpc_call *call,
		       const ProtobufCMessage *m)
{
	const TaskIdRequest *q = (const void *)m;
	const struct shim *s = ctx;
	const struct shim_task *t = shim_task_find(&s->tasks, q->id);
	TaskConnectResponse a = TASK_CONNECT_RESPONSE__INIT;

	a.shim_pid = (uint32_t)getpid();
	a.task_pid = t && t->ctl && t->ctl->init ? t->ctl->init->pid : 0;
	a.version = pb_text(VERSION);
	ttrpc_reply(call, &a.base);
}

/* It follows every Delete: only the last one's counts. */
static void on_shutdown(void *ctx, struct ttrpc_call *call,
			const ProtobufCMessage *m)
{
	const TaskShutdownRequest *q = (const void *)m;
	struct shim *s = ctx;

	ttrpc_reply(call, NULL);
	if (s->birth->of_containerd && (s->tasks.n == 0 || q->now))
		shim_stop(s, false);
}

static void not_here(void *ctx UNUSED, struct ttrpc_call *call,
		     const ProtobufCMessage *m UNUSED)
{
	ttrpc_fail(call, TTRPC_UNIMPLEMENTED, "not for a utility VM");
}

#define PROCESS &task_process_request__descriptor
#define ID &task_id_request__descriptor
static const struct ttrpc_method methods[] = {
	{ "Create", &task_create_request__descriptor, on_create },
	{ "Start", PROCESS, task_on_start },
	{ "State", PROCESS, task_on_state },
	{ "Delete", PROCESS, task_on_delete },
	{ "Wait", PROCESS, task_on_wait },
	{ "Exec", &task_exec_request__descriptor, task_on_exec },
	{ "Kill", &task_kill_request__descriptor, task_on_kill },
	{ "Pids", ID, task_on_pids },
	{ "Stats", ID, task_on_stats },
	{ "Update", &task_update_request__descriptor, task_on_update },
	{ "CloseIO", &task_close_iorequest__descriptor, task_on_close_io },
	{ "ResizePty", &task_resize_pty_request__descriptor, task_on_resize },
	{ "Connect", ID, on_connect },
	{ "Shutdown", &task_shutdown_request__descriptor, on_shutdown },
	{ "Pause", ID, not_here },
	{ "Resume", ID, not_here },
	{ "Checkpoint", ID, not_here },
};

const struct ttrpc_service shim_task_service = {
	.name = "containerd.task.v2.Task",
	.alias = "containerd.task.v3.Task",
	.method = methods,
	.n_methods = ARRAY_LEN(methods),
};
