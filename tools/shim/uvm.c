#include "tools/shim/uvm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bridge/hresult.h"
#include "bridge/io/fd.h"
#include "config/util.h"
#include "tools/shim/spec.h"
#include "tools/start_code.h"
#include "tools/tool.h"

#define START_MS 60000

uint64_t clock_wall_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail */
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* --- what to run -------------------------------------------------------------------- */

/* "NAME=VALUE" cut in two; of equal names the last one counts. */
static int environment(struct arena *a, const struct msg_strings *env,
		       struct msg_pairs *ret, struct err *e)
{
	ret->n = 0;
	ret->item = arena_array(a, env->n ? env->n : 1, sizeof(*ret->item));
	if (!ret->item)
		return err_set(e, ENOMEM, "no memory for an environment");
	for (size_t i = 0; i < env->n; i++) {
		const char *equals = strchr(env->item[i], '=');
		size_t at = 0;
		char *name;

		if (!equals || equals == env->item[i])
			return err_set(e, EINVAL, "env[%zu] is not NAME=VALUE",
				       i);
		name = arena_strn(a, env->item[i],
				  (size_t)(equals - env->item[i]));
		if (!name)
			return err_set(e, ENOMEM, "no memory for a variable");
		while (at < ret->n && strcmp(ret->item[at].name, name) != 0)
			at++;
		ret->item[at] =
			(struct msg_pair){ .name = name, .value = equals + 1 };
		if (at == ret->n)
			ret->n++;
	}
	return 0;
}

static int parse(struct uvm_proc *p, const struct uvm_spec *spec, struct err *e)
{
	struct shim_spec o;
	int r = msg_decode(&shim_spec_schema, spec->document,
			   spec->document_len, &p->arena, &o, e);

	if (r < 0)
		return err_wrap(e, "process");
	if (o.args.n == 0)
		return err_set(e, EINVAL, "process: no args");
	if (o.user.uid != 0 || o.user.gid != 0)
		return err_set(e, EINVAL,
			       "process: in the UVM itself there is root only");
	if (spec->terminal && *spec->path[MSG_STDERR])
		return err_set(e, EINVAL, "a terminal has no stderr");
	p->terminal = spec->terminal;
	p->parameters = (struct msg_process_parameters){
		.command_args = o.args,
		.command_line = "",
		.working_directory = o.cwd,
		.emulate_console = spec->terminal,
		.create_in_utility_vm = true,
		.console_size = { o.size.height, o.size.width },
	};
	return environment(&p->arena, &o.env, &p->parameters.environment, e);
}

static int check_id(const struct uvm_procs *t, const char *id, struct err *e)
{
	const size_t n = strlen(id);

	if (n == 0 || n >= UVM_EXEC_ID_MAX)
		return err_set(e, EINVAL, "an exec id has 1 to %u bytes",
			       UVM_EXEC_ID_MAX - 1);
	for (size_t i = 0; i < n; i++)
		if (id[i] <= ' ' || id[i] > '~' || id[i] == '/')
			return err_set(e, EINVAL,
				       "an exec id with other characters than "
				       "visible ASCII without '/'");
	if (uvm_proc_find(t, id))
		return err_set(e, EEXIST, "exec %s exists already", id);
	if (t->n >= UVM_PROCS_MAX)
		return err_set(e, ENOSPC, "too many processes");
	return 0;
}

static void release(struct uvm_proc *p)
{
	host_process_free(p->process);
	shim_stdio_free(p->io);
	loop_cancel(p->table->loop, &p->timer);
	arena_done(&p->arena);
	free(p);
}

int uvm_proc_new(struct uvm_procs *t, const struct uvm_spec *spec,
		 struct uvm_proc **ret, struct err *e)
{
	struct uvm_proc *p;
	int r = check_id(t, spec->exec_id, e);

	if (r < 0)
		return r;
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(e, ENOMEM, "no memory for a process");
	p->table = t;
	arena_init(&p->arena, UVM_SPEC_MAX);
	memcpy(p->exec_id, spec->exec_id, strlen(spec->exec_id));
	r = parse(p, spec, e);
	for (int i = 0; r == 0 && i < MSG_STDIO; i++) {
		p->path[i] = arena_strn(&p->arena, spec->path[i],
					strlen(spec->path[i]));
		if (!p->path[i])
			r = err_set(e, ENOMEM, "no memory for a path");
	}
	if (r < 0) {
		release(p);
		return r;
	}
	p->next = t->first;
	t->first = p;
	t->n++;
	*ret = p;
	return 0;
}

struct uvm_proc *uvm_proc_find(const struct uvm_procs *t, const char *exec_id)
{
	struct uvm_proc *p = t->first;

	while (p && strcmp(p->exec_id, exec_id) != 0)
		p = p->next;
	return p;
}

static void forget(struct uvm_proc *p)
{
	struct uvm_proc **at = &p->table->first;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->table->n--;
	release(p);
}

/* --- its life -------------------------------------------------------------------------- */

static void on_kept(void *ctx)
{
	forget(ctx);
}

void uvm_proc_keep(struct uvm_proc *p)
{
	/* Without memory for a timer it stays until it is deleted. */
	(void)loop_at(p->table->loop, loop_now_ms(p->table->loop) + UVM_KEEP_MS,
		      on_kept, p, &p->timer, NULL);
}

static void tell_waiters(struct uvm_proc *p)
{
	while (p->waiters) {
		struct op *op = p->waiters;

		p->waiters = op->impl;
		op->value = p->exit_status;
		op_end(op, 0, NULL);
	}
}

static int start_error(const struct host_failure *f, struct err *e)
{
	*e = f->err;
	switch (start_code(f)) {
	case TOOL_NOT_FOUND:
		e->code = ENOENT;
		break;
	case TOOL_NOT_EXECUTABLE:
		e->code = EACCES;
		break;
	default:
		e->code = EIO;
	}
	return -e->code;
}

static void on_started(void *ctx, uint32_t pid)
{
	struct uvm_proc *p = ctx;
	struct op *op = p->start;

	p->pid = pid;
	p->state = UVM_RUNNING;
	p->started_ns = clock_wall_ns();
	p->start = NULL;
	op->value = pid;
	op_end(op, 0, NULL);
}

/* @end belongs to the process, which is freed behind its last use. */
void uvm_proc_ended(void *ctx, const struct host_process_end *end)
{
	struct uvm_proc *p = ctx;
	struct host_process *process = p->process;
	struct op *op = p->start;
	struct err e;
	int r;

	p->process = NULL;
	p->start = NULL;
	p->exit_status = end->exited ? end->code & 0xffu : UVM_EXIT_UNKNOWN;
	p->state = UVM_STOPPED;
	p->exited_ns = clock_wall_ns();
	uvm_proc_keep(p);
	if (op) {
		r = start_error(end->failure, &e);
		op_end(op, r, &e);
	}
	host_process_free(process);
	tell_waiters(p);
}

int uvm_proc_start(struct uvm_proc *p, struct host_client *c, struct op *op,
		   struct err *e)
{
	struct host_process_config config = {
		.parameters = &p->parameters,
		.start_timeout_ms = START_MS,
		.started = on_started,
		.ended = uvm_proc_ended,
		.ctx = p,
	};
	int r;

	if (p->state != UVM_CREATED)
		return err_set(e, EBADFD, "exec %s was started before",
			       p->exec_id);
	if (!c)
		return err_set(e, ENOTCONN, "the sandbox is ending");
	r = shim_stdio_new(p->table->loop, p->path, &p->io, config.fd, e);
	if (r < 0)
		return r;
	r = host_process_start(c, &config, &p->process, e);
	for (int i = 0; i < MSG_STDIO; i++)
		fd_close(&config.fd[i]);
	if (r < 0) {
		shim_stdio_free(p->io);
		p->io = NULL;
		return r;
	}
	p->state = UVM_STARTING;
	p->start = op;
	return 0;
}

void uvm_proc_wait(struct uvm_proc *p, struct op *op)
{
	op->impl = p->waiters;
	p->waiters = op;
	if (p->state == UVM_STOPPED)
		tell_waiters(p);
}

void uvm_proc_unwait(struct uvm_proc *p, struct op *op)
{
	struct op **at = &p->waiters;

	while (*at && *at != op)
		at = (struct op **)&(*at)->impl;
	if (*at)
		*at = op->impl;
}

static void on_done(void *ctx, const void *result UNUSED,
		    const struct host_failure *f)
{
	struct op *op = ctx;
	struct err e;

	if (!f) {
		op_end(op, 0, NULL);
		return;
	}
	e = f->err;
	if (f->kind == HOST_FAIL_REFUSED && f->hresult == HR_ELEMENT_NOT_FOUND)
		(void)err_set(&e, ESRCH, "the process has ended");
	op_end(op, e.code ? -e.code : -EIO, &e);
}

static int check_running(const struct uvm_proc *p, struct err *e)
{
	if (p->state == UVM_STOPPED)
		return err_set(e, ESRCH, "exec %s has ended", p->exec_id);
	if (p->state != UVM_RUNNING || !p->process)
		return err_set(e, EBADFD, "exec %s does not run yet",
			       p->exec_id);
	return 0;
}

int uvm_proc_kill(struct uvm_proc *p, uint32_t signal, struct op *op,
		  struct err *e)
{
	const struct host_done done = { .fn = on_done, .ctx = op };
	const int r = check_running(p, e);

	if (r < 0)
		return r;
	if (signal == 0 || signal > 64)
		return err_set(e, EINVAL, "no signal %u", signal);
	return host_process_signal(p->process, (int32_t)signal, &done, e);
}

int uvm_proc_resize(struct uvm_proc *p, uint32_t height, uint32_t width,
		    struct op *op, struct err *e)
{
	const struct host_done done = { .fn = on_done, .ctx = op };
	const int r = check_running(p, e);

	if (r < 0)
		return r;
	if (height > UINT16_MAX || width > UINT16_MAX || !p->terminal)
		return err_set(e, EINVAL, "no terminal of that size");
	return host_process_resize(p->process, (uint16_t)height,
				   (uint16_t)width, &done, e);
}

int uvm_proc_delete(struct uvm_proc *p, struct err *e)
{
	if (p->state == UVM_STARTING || p->state == UVM_RUNNING)
		return err_set(e, EBADFD, "exec %s runs", p->exec_id);
	tell_waiters(p);
	forget(p);
	return 0;
}

/* The end of one whose sandbox has ended. */
static void abandon(struct uvm_proc *p)
{
	struct op *op = p->start;
	struct err e;

	p->start = NULL;
	if (op)
		op_end(op, err_set(&e, ECANCELED, "the sandbox has ended"), &e);
	if (p->state != UVM_STOPPED)
		p->exit_status = UVM_EXIT_UNKNOWN;
	tell_waiters(p);
	release(p);
}

void uvm_procs_done(struct uvm_procs *t)
{
	struct uvm_proc *p;

	while ((p = t->first)) {
		t->first = p->next;
		t->n--;
		abandon(p);
	}
}

const char *uvm_state_name(enum uvm_state state)
{
	static const char *const names[] = {
		[UVM_CREATED] = "created",
		[UVM_STARTING] = "created",
		[UVM_RUNNING] = "running",
		[UVM_STOPPED] = "stopped",
	};

	static_assert(ARRAY_LEN(names) == UVM_STATES, "a state has no name");
	return names[state];
}
