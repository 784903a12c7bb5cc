/*
 * tools/shim/service.c - the service Ferry of a shim (tools/proto/ferry.proto)
 *
 * For processes it has the methods and messages of containerd's task service;
 * an empty container id is the UVM itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/host/calls.h"
#include "bridge/io/log.h"
#include "build/proto/ferry.pb-c.h"
#include "build/proto/task.pb-c.h"
#include "config/arena.h"
#include "config/util.h"
#include "migration/status.h"
#include "tools/shim/ask.h"
#include "tools/shim/debug.h"
#include "tools/shim/metrics.h"
#include "tools/shim/move_service.h"
#include "tools/shim/shim.h"
#include "tools/shim/task_service.h"
#include "tools/ttrpc/pb.h"

/* Bytes of PID 1's log in one answer; the agent may give less. */
#define LOG_PIECE 65536u

static void refuse(struct ttrpc_call *call, const struct err *e)
{
	ttrpc_fail(call, ask_code(e->code), "%s", e->text);
}

/* --- processes of the UVM ---------------------------------------------------------- */

/* The process that a call names, or NULL and the call is refused. */
static struct uvm_proc *find(struct shim *s, struct ttrpc_call *call,
			     const char *exec_id)
{
	struct uvm_proc *p = uvm_proc_find(&s->procs, exec_id);

	if (!p)
		ttrpc_fail(call, TTRPC_NOT_FOUND, "no exec %.64s", exec_id);
	return p;
}

static void on_exec(void *ctx, struct ttrpc_call *call,
		    const ProtobufCMessage *m)
{
	const TaskExecRequest *q = (const void *)m;
	struct shim *s = ctx;
	struct uvm_proc *p = NULL;
	struct uvm_spec spec = {
		.exec_id = q->exec_id,
		.terminal = q->terminal,
		.path = { q->stdin, q->stdout, q->stderr },
	};
	struct err e;

	if (s->state != SHIM_READY) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "the sandbox is %s",
			   shim_state_name(s->state));
		return;
	}
	if (!q->spec) {
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT, "no spec");
		return;
	}
	spec.document = (const char *)q->spec->value.data;
	spec.document_len = q->spec->value.len;
	if (uvm_proc_new(&s->procs, &spec, &p, &e) < 0)
		refuse(call, &e);
	else
		ttrpc_reply(call, NULL);
}

static void reply_pid(struct ask *a)
{
	TaskStartResponse m = TASK_START_RESPONSE__INIT;

	m.pid = (uint32_t)a->op.value;
	ttrpc_reply(a->call, &m.base);
}

static void on_start(void *ctx, struct ttrpc_call *call,
		     const ProtobufCMessage *m)
{
	const TaskProcessRequest *q = (const void *)m;
	struct shim *s = ctx;
	struct uvm_proc *p = find(s, call, q->exec_id);
	struct ask *a = p ? ask_new(s, call, reply_pid) : NULL;
	struct err e;

	if (a && uvm_proc_start(p, sandbox_client(s->sandbox), &a->op, &e) < 0)
		ask_refuse(a, &e);
}

static void on_state(void *ctx, struct ttrpc_call *call,
		     const ProtobufCMessage *m)
{
	static const TaskStatus status[] = {
		[UVM_CREATED] = TASK_STATUS__TASK_CREATED,
		[UVM_STARTING] = TASK_STATUS__TASK_CREATED,
		[UVM_RUNNING] = TASK_STATUS__TASK_RUNNING,
		[UVM_STOPPED] = TASK_STATUS__TASK_STOPPED,
	};
	const TaskProcessRequest *q = (const void *)m;
	const struct uvm_proc *p = find(ctx, call, q->exec_id);
	TaskStateResponse a = TASK_STATE_RESPONSE__INIT;
	PbTimestamp at;

	if (!p)
		return;
	a.id = q->id;
	a.exec_id = q->exec_id;
	a.pid = p->pid;
	a.status = status[p->state];
	a.terminal = p->terminal;
	a.stdin = pb_text(p->path[MSG_STDIN]);
	a.stdout = pb_text(p->path[MSG_STDOUT]);
	a.stderr = pb_text(p->path[MSG_STDERR]);
	a.exit_status = p->exit_status;
	a.exited_at = pb_time_if(&at, p->exited_ns);
	ttrpc_reply(call, &a.base);
}

static void on_kill(void *ctx, struct ttrpc_call *call,
		    const ProtobufCMessage *m)
{
	const TaskKillRequest *q = (const void *)m;
	struct uvm_proc *p = find(ctx, call, q->exec_id);
	struct ask *a = p ? ask_new(ctx, call, NULL) : NULL;
	struct err e;

	if (a && uvm_proc_kill(p, q->signal, &a->op, &e) < 0)
		ask_refuse(a, &e);
}

static void reply_exit(struct ask *a)
{
	TaskWaitResponse m = TASK_WAIT_RESPONSE__INIT;
	const struct uvm_proc *p = a->data;
	PbTimestamp at;

	m.exit_status = (uint32_t)a->op.value;
	m.exited_at = pb_time_if(&at, p->exited_ns);
	ttrpc_reply(a->call, &m.base);
}

/* Nobody waits for the answer any more. */
static void on_waiter_gone(void *ctx)
{
	struct ask *a = ctx;

	uvm_proc_unwait(a->data, &a->op);
	free(a);
}

static void on_wait(void *ctx, struct ttrpc_call *call,
		    const ProtobufCMessage *m)
{
	const TaskProcessRequest *q = (const void *)m;
	struct uvm_proc *p = find(ctx, call, q->exec_id);
	struct ask *a = p ? ask_new(ctx, call, reply_exit) : NULL;

	if (!a)
		return;
	a->data = p;
	ttrpc_call_watch(call, on_waiter_gone, a);
	uvm_proc_wait(p, &a->op);
}

static void on_delete(void *ctx, struct ttrpc_call *call,
		      const ProtobufCMessage *m)
{
	const TaskProcessRequest *q = (const void *)m;
	struct uvm_proc *p = find(ctx, call, q->exec_id);
	TaskDeleteResponse a = TASK_DELETE_RESPONSE__INIT;
	PbTimestamp at;
	struct err e;

	if (!p)
		return;
	a.pid = p->pid;
	a.exit_status = p->exit_status;
	a.exited_at = pb_time_if(&at, p->exited_ns);
	if (uvm_proc_delete(p, &e) < 0)
		refuse(call, &e);
	else
		ttrpc_reply(call, &a.base);
}

static void on_pids(void *ctx, struct ttrpc_call *call,
		    const ProtobufCMessage *m UNUSED)
{
	const struct shim *s = ctx;
	TaskPidsResponse a = TASK_PIDS_RESPONSE__INIT;
	struct arena arena;
	TaskPid *pid;

	arena_init(&arena, TTRPC_DATA_MAX);
	pid = arena_array(&arena, s->procs.n + 1, sizeof(*pid));
	a.processes = arena_array(&arena, s->procs.n + 1, sizeof(TaskPid *));
	for (const struct uvm_proc *p = s->procs.first; p && pid && a.processes;
	     p = p->next) {
		if (p->state != UVM_RUNNING)
			continue;
		task_pid__init(&pid[a.n_processes]);
		pid[a.n_processes].pid = p->pid;
		a.processes[a.n_processes] = &pid[a.n_processes];
		a.n_processes++;
	}
	ttrpc_reply(call, &a.base);
	arena_done(&arena);
}

static void on_close_io(void *ctx, struct ttrpc_call *call,
			const ProtobufCMessage *m)
{
	const TaskCloseIORequest *q = (const void *)m;
	struct uvm_proc *p = find(ctx, call, q->exec_id);

	if (!p)
		return;
	if (q->stdin && p->io)
		shim_stdio_close_stdin(p->io);
	ttrpc_reply(call, NULL);
}

static void on_resize(void *ctx, struct ttrpc_call *call,
		      const ProtobufCMessage *m)
{
	const TaskResizePtyRequest *q = (const void *)m;
	struct uvm_proc *p = find(ctx, call, q->exec_id);
	struct ask *a = p ? ask_new(ctx, call, NULL) : NULL;
	struct err e;

	if (a && uvm_proc_resize(p, q->height, q->width, &a->op, &e) < 0)
		ask_refuse(a, &e);
}

/* --- what only Ferry has --------------------------------------------------------------- */

static void on_info(void *ctx, struct ttrpc_call *call,
		    const ProtobufCMessage *m UNUSED)
{
	const struct shim *s = ctx;
	const struct vm *vm =
		s->ended || !s->sandbox ? NULL : sandbox_vm(s->sandbox);
	const struct sandbox_options *o = &s->launch->options;
	FerryInfoResponse a = FERRY_INFO_RESPONSE__INIT;
	FerryAnnotation *pair;
	PbTimestamp at;
	struct arena arena;

	arena_init(&arena, TTRPC_DATA_MAX);
	pair = arena_array(&arena, s->lock.n + 1, sizeof(*pair));
	a.lock = arena_array(&arena, s->lock.n + 1, sizeof(FerryAnnotation *));
	for (size_t i = 0; i < s->lock.n && pair && a.lock; i++) {
		ferry_annotation__init(&pair[i]);
		pair[i].key = pb_text(s->lock.item[i].key);
		pair[i].value = pb_text(s->lock.item[i].value);
		a.lock[a.n_lock++] = &pair[i];
	}
	a.id = pb_text(s->name);
	a.state = pb_text(shim_state_name(shim_state_told(s)));
	a.shim_pid = (uint32_t)getpid();
	a.qemu_pid = vm ? (uint32_t)vm_pid(vm) : 0;
	a.started_at = pb_time_if(&at, s->started_ns);
	a.accel = pb_text(accel_name(s->sandbox ? sandbox_accel(s->sandbox)
						: ACCEL_AUTO));
	a.vsock = pb_text(!s->sandbox || sandbox_vsock(s->sandbox) == VHOST_USER
				  ? "user"
				  : "kernel");
	a.migratable = o->migratable;
	a.memory_mib = (uint32_t)o->memory_mib;
	a.processors = o->processor_count;
	a.processes = (uint32_t)s->procs.n;
	ttrpc_reply(call, &a.base);
	arena_done(&arena);
}

static bool describe(const struct uvm_proc *p, struct arena *arena,
		     FerryProcess *out)
{
	PbTimestamp *at = arena_array(arena, 2, sizeof(*at));
	char **args = arena_array(arena, p->parameters.command_args.n + 1,
				  sizeof(*args));

	if (!at || !args)
		return false;
	ferry_process__init(out);
	for (size_t i = 0; i < p->parameters.command_args.n; i++)
		args[i] = pb_text(p->parameters.command_args.item[i]);
	out->args = args;
	out->n_args = p->parameters.command_args.n;
	out->exec_id = pb_text(p->exec_id);
	out->pid = p->pid;
	out->state = pb_text(uvm_state_name(p->state));
	out->exit_status = p->exit_status;
	out->terminal = p->terminal;
	out->started_at = pb_time_if(&at[0], p->started_ns);
	out->exited_at = pb_time_if(&at[1], p->exited_ns);
	return true;
}

/* Processes of containers, whose documents are the guest's to read. */
static void describe_ctl(const struct process_ctl *p, struct arena *arena,
			 FerryProcess *out)
{
	static const char *const states[PROCESS_STATES] = {
		[PROCESS_NOT_CREATED] = "created",
		[PROCESS_CREATED] = "created",
		[PROCESS_RUNNING] = "running",
		[PROCESS_TERMINATED] = "stopped",
		[PROCESS_DESTINATION_MIGRATING] = "arriving",
		[PROCESS_SOURCE_MIGRATING] = "leaving",
	};
	PbTimestamp *at = arena_array(arena, 1, sizeof(*at));

	ferry_process__init(out);
	out->id = pb_text(p->container->id);
	out->exec_id = pb_text(p->exec_id);
	out->pid = p->pid;
	out->state = pb_text(states[p->state]);
	out->exit_status = p->exit_status;
	out->terminal = p->terminal;
	if (at)
		out->exited_at = pb_time_if(at, p->exited_at_ns);
}

/* One answer in the making. */
struct listing {
	struct arena arena;
	FerryProcessesResponse m;
	FerryProcess *row;
	size_t room;
};

static size_t count(const struct shim *s)
{
	size_t n = s->procs.n;

	for (const struct shim_task *t = s->tasks.first; t; t = t->next)
		n += t->ctl ? t->ctl->n_processes + 1 : 0;
	return n;
}

static FerryProcess *next_row(struct listing *l)
{
	if (l->m.n_processes == l->room)
		return NULL;
	l->m.processes[l->m.n_processes] = &l->row[l->m.n_processes];
	return &l->row[l->m.n_processes++];
}

static bool list_all(const struct shim *s, const char *id, struct listing *l)
{
	FerryProcess *row;

	for (const struct uvm_proc *p = s->procs.first; p && *id == '\0';
	     p = p->next)
		if (!(row = next_row(l)) || !describe(p, &l->arena, row))
			return false;
	for (const struct shim_task *t = s->tasks.first; t; t = t->next) {
		if (!t->ctl || (*id != '\0' && strcmp(t->id, id) != 0))
			continue;
		for (const struct process_ctl *p = t->ctl->processes; p;
		     p = p->next)
			if ((row = next_row(l)))
				describe_ctl(p, &l->arena, row);
	}
	return true;
}

static void on_processes(void *ctx, struct ttrpc_call *call,
			 const ProtobufCMessage *m)
{
	const FerryProcessesRequest *q = (const void *)m;
	const struct shim *s = ctx;
	struct listing l = { .m = FERRY_PROCESSES_RESPONSE__INIT };

	arena_init(&l.arena, 4 * (size_t)TTRPC_DATA_MAX);
	l.room = count(s);
	l.row = arena_array(&l.arena, l.room + 1, sizeof(*l.row));
	l.m.processes =
		arena_array(&l.arena, l.room + 1, sizeof(FerryProcess *));
	if (!l.row || !l.m.processes || !list_all(s, q->id, &l))
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED,
			   "too much to tell of %zu processes", l.room);
	else
		ttrpc_reply(call, &l.m.base);
	arena_done(&l.arena);
}

static void on_attach(void *ctx, struct ttrpc_call *call,
		      const ProtobufCMessage *m)
{
	const FerryAttachRequest *q = (const void *)m;
	const char *const path[MSG_STDIO] = { q->stdin, q->stdout, q->stderr };
	struct uvm_proc *p = find(ctx, call, q->exec_id);
	struct err e;
	int r;

	if (!p)
		return;
	if (!p->io && (p->pid == 0 || p->state != UVM_STOPPED || p->came))
		r = err_set(&e, EPRECONDITION, "exec %s has not begun here",
			    p->exec_id);
	else
		r = p->io ? shim_stdio_attach(p->io, path, &e)
			  : shim_stdio_ended(path, &e);
	if (r < 0)
		refuse(call, &e);
	else
		ttrpc_reply(call, NULL);
}

static void on_dumped(void *ctx, const void *result,
		      const struct host_failure *f)
{
	const struct msg_dump_stacks_result *r = result;
	FerryDumpResponse a = FERRY_DUMP_RESPONSE__INIT;
	struct ttrpc_call *call = ctx;

	if (f) {
		ttrpc_fail(call, TTRPC_UNAVAILABLE, "%s", f->err.text);
		return;
	}
	a.text = pb_text(r->guest_stacks);
	ttrpc_reply(call, &a.base);
}

static void on_dump(void *ctx, struct ttrpc_call *call,
		    const ProtobufCMessage *m UNUSED)
{
	struct shim *s = ctx;
	const struct host_done done = { .fn = on_dumped, .ctx = call };
	struct host_client *c =
		s->ended || !s->sandbox ? NULL : sandbox_client(s->sandbox);
	struct err e;

	if (!c)
		ttrpc_fail(call, TTRPC_UNAVAILABLE, "the sandbox is ending");
	else if (host_dump_stacks(c, &done, NULL, &e) < 0)
		refuse(call, &e);
}

static void on_log_read(void *ctx, const void *result,
			const struct host_failure *f)
{
	const struct msg_ferry_read_log_result *r = result;
	FerryLogResponse a = FERRY_LOG_RESPONSE__INIT;
	struct ttrpc_call *call = ctx;

	if (f) {
		ttrpc_fail(call,
			   f->kind == HOST_FAIL_REFUSED ? TTRPC_UNIMPLEMENTED
							: TTRPC_UNAVAILABLE,
			   "%s", f->err.text);
		return;
	}
	a.from = r->from;
	a.head = r->head;
	a.dropped = r->dropped;
	a.text = pb_text(r->text);
	ttrpc_reply(call, &a.base);
}

static void on_read_log(void *ctx, struct ttrpc_call *call,
			const ProtobufCMessage *m)
{
	const FerryLogRequest *q = (const void *)m;
	struct shim *s = ctx;
	const struct host_done done = { .fn = on_log_read, .ctx = call };
	struct host_client *c =
		s->ended || !s->sandbox ? NULL : sandbox_client(s->sandbox);
	struct err e;

	if (!c)
		ttrpc_fail(call, TTRPC_UNAVAILABLE, "the sandbox is ending");
	else if (host_read_log(c, q->from, LOG_PIECE, &done, NULL, &e) < 0)
		refuse(call, &e);
}

static void on_stop(void *ctx, struct ttrpc_call *call,
		    const ProtobufCMessage *m)
{
	const FerryStopRequest *q = (const void *)m;
	struct shim *s = ctx;
	struct ttrpc_call **more;

	if (s->ended) {
		ttrpc_reply(call, NULL);
		return;
	}
	more = realloc(s->stops,
		       (s->n_stops + 1) * sizeof(struct ttrpc_call *));
	if (!more) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "no memory");
		return;
	}
	s->stops = more;
	s->stops[s->n_stops++] = call;
	log_info("the sandbox is stopped on demand%s",
		 q->force ? ", by force" : "");
	shim_stop(s, q->force);
}

/* --- the table --------------------------------------------------------------------------- */

/* A call that names a container is the task service's. */
#define EITHER(name, type)                                                     \
	static void either_##name(void *ctx, struct ttrpc_call *call,          \
				  const ProtobufCMessage *m)                   \
	{                                                                      \
		if (*((const type *)(const void *)m)->id != '\0')              \
			task_on_##name(ctx, call, m);                          \
		else                                                           \
			on_##name(ctx, call, m);                               \
	}

EITHER(exec, TaskExecRequest)
EITHER(start, TaskProcessRequest)
EITHER(state, TaskProcessRequest)
EITHER(wait, TaskProcessRequest)
EITHER(delete, TaskProcessRequest)
EITHER(kill, TaskKillRequest)
EITHER(pids, TaskIdRequest)
EITHER(close_io, TaskCloseIORequest)
EITHER(resize, TaskResizePtyRequest)
EITHER(attach, FerryAttachRequest)

#define PROCESS &task_process_request__descriptor
#define ID &task_id_request__descriptor
static const struct ttrpc_method ferry_methods[] = {
	{ "Exec", &task_exec_request__descriptor, either_exec },
	{ "Start", PROCESS, either_start },
	{ "State", PROCESS, either_state },
	{ "Wait", PROCESS, either_wait },
	{ "Delete", PROCESS, either_delete },
	{ "Kill", &task_kill_request__descriptor, either_kill },
	{ "Pids", ID, either_pids },
	{ "Stats", ID, task_on_stats },
	{ "CloseIO", &task_close_iorequest__descriptor, either_close_io },
	{ "ResizePty", &task_resize_pty_request__descriptor, either_resize },
	{ "Attach", &ferry_attach_request__descriptor, either_attach },
	{ "Info", &ferry_info_request__descriptor, on_info },
	{ "Processes", &ferry_processes_request__descriptor, on_processes },
	{ "Dump", &ferry_dump_request__descriptor, on_dump },
	{ "Log", &ferry_log_request__descriptor, on_read_log },
	{ "Collect", &ferry_collect_request__descriptor, debug_on_collect },
	{ "Metrics", &ferry_metrics_request__descriptor, metrics_on_ask },
	{ "Stop", &ferry_stop_request__descriptor, on_stop },
	{ "Containers", &ferry_containers_request__descriptor,
	  move_on_containers },
	{ "Adopt", &ferry_adopt_request__descriptor, move_on_adopt },
	{ "Move", &ferry_move_request__descriptor, move_on_ask },
	{ "Abandon", &ferry_abandon_request__descriptor, move_on_abandon },
};

const struct ttrpc_service shim_ferry_service = {
	.name = "Ferry",
	.method = ferry_methods,
	.n_methods = ARRAY_LEN(ferry_methods),
};
