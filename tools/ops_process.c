/*
 * Theory of operation: an entry of the table is made before the guest is asked
 * and stays until the controllers close it. Its streams are opened by the
 * owner's functions; the guest's ends of them go to the bridge, which copies
 * them. The exit is told once the start has ended, never before.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/hresult.h"
#include "bridge/io/fd.h"
#include "config/util.h"
#include "tools/carried.h"
#include "tools/ops_own.h"
#include "tools/start_code.h"
#include "tools/tool.h"

/* A runtime that starts a process under load. */
#define START_MS 120000

/* --- the table ------------------------------------------------------------------- */

static struct ops_process *find(const struct ops *o, const char *container_id,
				const char *exec_id)
{
	struct ops_process *p = o->processes;

	while (p && (strcmp(p->container_id, container_id) != 0 ||
		     strcmp(p->exec_id, exec_id) != 0))
		p = p->next;
	return p;
}

static void release(struct ops_process *p)
{
	host_process_free(p->process);
	if (p->streams && p->ops->c.streams.close)
		p->ops->c.streams.close(p->streams);
	free(p);
}

static void forget(struct ops_process *p)
{
	struct ops_process **at = &p->ops->processes;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	release(p);
}

static int add(struct ops *o, const struct guest_process *spec,
	       struct ops_process **ret, struct err *e)
{
	const size_t id_size = strlen(spec->container_id) + 1;
	const size_t exec_size = strlen(spec->exec_id) + 1;
	struct ops_process *p = calloc(1, sizeof(*p) + id_size + exec_size);

	if (!p)
		return err_set(e, ENOMEM, "no memory for a process");
	p->ops = o;
	memcpy(p->container_id, spec->container_id, id_size);
	memcpy(p->container_id + id_size, spec->exec_id, exec_size);
	p->exec_id = p->container_id + id_size;
	p->next = o->processes;
	o->processes = p;
	*ret = p;
	return 0;
}

void ops_processes_done(struct ops *o, const struct err *why)
{
	while (o->processes) {
		struct op *op = o->processes->start;

		forget(o->processes);
		if (op)
			op_end(op, -why->code, why);
	}
}

struct host_process *ops_process(const struct ops *o, const char *container_id,
				 const char *exec_id)
{
	const struct ops_process *p = find(o, container_id, exec_id);

	return p ? p->process : NULL;
}

void *ops_streams_of(const struct ops *o, const char *container_id,
		     const char *exec_id)
{
	const struct ops_process *p = o ? find(o, container_id, exec_id) : NULL;

	return p ? p->streams : NULL;
}

/* --- its life ---------------------------------------------------------------------- */

static void on_started(void *ctx, uint32_t pid)
{
	struct ops_process *p = ctx;
	struct op *op = p->start;

	p->start = NULL;
	op->value = pid;
	op_end(op, 0, NULL);
}

/* An error about the program itself is one that callers tell apart. */
static int start_error(const struct ops *o, const struct host_failure *f,
		       struct err *e)
{
	const int r = ops_fail(o, f, e);
	const int code = start_code(f);

	if (code == TOOL_NOT_FOUND)
		e->code = ENOENT;
	else if (code == TOOL_NOT_EXECUTABLE)
		e->code = EACCES;
	else
		return r;
	return -e->code;
}

static uint32_t status_of_end(const struct host_process_end *end)
{
	if (!end->exited || end->code == UINT32_MAX)
		return TASK_EXIT_UNKNOWN;
	return end->code & 0xff;
}

static void on_ended(void *ctx, const struct host_process_end *end)
{
	struct ops_process *p = ctx;
	struct ops *o = p->ops;
	struct host_process *process = p->process;
	struct op *op = p->start;
	struct err e;
	int r;

	p->process = NULL;
	p->start = NULL;
	if (op) {
		r = end->failure
			    ? start_error(o, end->failure, &e)
			    : err_set(&e, EIO, "the process did not start");
		host_process_free(process);
		forget(p);
		op_end(op, r, &e);
		return;
	}
	o->c.process_exited(o->c.ctx, p->container_id, p->exec_id,
			    status_of_end(end), ops_now_ns(NULL), end);
	host_process_free(process);
}

/* Opens the streams; the ends for the guest go to @config. */
static int open_streams(struct ops_process *p, const struct guest_process *spec,
			struct host_process_config *config, struct err *e)
{
	const struct ops_streams *s = &p->ops->c.streams;

	for (int i = 0; i < MSG_STDIO; i++)
		config->fd[i] = -1;
	return s->open(s->ctx, spec->stdio, &p->streams, config->fd, e);
}

static void close_fds(struct host_process_config *config)
{
	for (int i = 0; i < MSG_STDIO; i++)
		fd_close(&config->fd[i]);
}

int ops_process_start(void *ctx, const struct guest_process *spec,
		      struct op *op, struct err *e)
{
	struct ops *o = ctx;
	struct host_client *client = ops_client(o, e);
	const struct msg_process_parameters parameters = {
		.command_line = "",
		.working_directory = "",
		.emulate_console = spec->terminal,
		.oci_process = spec->document,
	};
	struct host_process_config config = {
		.container_id = spec->container_id,
		.parameters = &parameters,
		.start_timeout_ms = START_MS,
		.started = on_started,
		.ended = on_ended,
	};
	struct ops_process *p = NULL;
	int r;

	if (!client)
		return -e->code;
	if (find(o, spec->container_id, spec->exec_id))
		return err_set(e, EEXIST, "process %s is there already",
			       spec->exec_id);
	r = add(o, spec, &p, e);
	if (r < 0)
		return r;
	config.ctx = p;
	r = open_streams(p, spec, &config, e);
	if (r == 0)
		r = host_process_start(client, &config, &p->process, e);
	close_fds(&config);
	if (r < 0)
		forget(p);
	else
		p->start = op;
	return r;
}

void ops_process_close(void *ctx, const char *container_id, const char *exec_id)
{
	struct ops_process *p = find(ctx, container_id, exec_id);

	if (p && !p->start)
		forget(p);
}

/* --- signals -------------------------------------------------------------------------- */

static void on_signalled(void *ctx, const void *result UNUSED,
			 const struct host_failure *f)
{
	struct op *op = ctx;
	struct err e;
	int r = 0;

	op->value = !f;
	if (f && !(f->kind == HOST_FAIL_REFUSED &&
		   (f->hresult == HR_ELEMENT_NOT_FOUND ||
		    f->hresult == HR_SYSTEM_NOT_FOUND)))
		r = ops_fail(op->impl, f, &e);
	op_end(op, r, r < 0 ? &e : NULL);
}

int ops_process_signal(void *ctx, const char *container_id, const char *exec_id,
		       int32_t signal, struct op *op, struct err *e)
{
	struct ops *o = ctx;
	const struct host_done done = { .fn = on_signalled, .ctx = op };
	struct ops_process *p = find(o, container_id, exec_id);
	int r = -ESRCH;

	op->impl = o;
	if (p && p->process)
		r = host_process_signal(p->process, signal, &done, e);
	if (r != -ESRCH)
		return r;
	op->value = 0;
	op_end(op, 0, NULL);
	return 0;
}

/* --- migration -------------------------------------------------------------------------- */

int ops_process_state(void *ctx, const char *container_id, const char *exec_id,
		      uint32_t port[GUEST_STREAMS], uint64_t *ret_wait_id,
		      struct err *e)
{
	const struct ops_process *p = find(ctx, container_id, exec_id);
	struct host_process_state state;

	if (!p || !p->process || host_process_state(p->process, &state) < 0)
		return err_set(e, ESRCH, "process '%s' of %s does not run",
			       exec_id, container_id);
	memcpy(port, state.port, sizeof(state.port));
	*ret_wait_id = state.wait_id;
	return 0;
}

int ops_process_streams(void *ctx, const char *container_id,
			const char *exec_id, struct arena *a,
			struct saved_process *ret, struct err *e)
{
	const struct ops *o = ctx;
	const struct ops_process *p = find(o, container_id, exec_id);

	ret->n_streams = 0;
	if (!p || !o->move.frozen)
		return 0;
	return carried_take(p->process, o->c.streams.kept, p->streams, a, ret,
			    e);
}

int ops_process_attach(void *ctx, const struct guest_process *spec,
		       struct op *op, struct err *e)
{
	struct ops *o = ctx;
	struct ops_process *p = find(o, spec->container_id, spec->exec_id);
	int r = 0;

	if (!o->c.streams.attach)
		return err_set(e, ENOTSUP, "streams cannot be attached here");
	if (p && p->streams)
		r = o->c.streams.attach(p->streams, spec->stdio, e);
	if (r == 0)
		op_end(op, 0, NULL);
	return r;
}

/*
 * The upstream ends of one that comes. Those of an exec were its client's, who
 * may be gone or on the other host: nobody is attached to it then.
 */
static int open_coming(struct ops_process *p, const struct guest_process *spec,
		       struct host_process_config *config, struct err *e)
{
	const struct ops_streams *s = &p->ops->c.streams;
	struct guest_process alone = *spec;
	int r = open_streams(p, spec, config, e);

	if (r < 0 && *spec->exec_id != '\0') {
		for (int i = 0; i < GUEST_STREAMS; i++)
			alone.stdio[i] =
				spec->stdio[i] && *spec->stdio[i] ? "-" : "";
		r = open_streams(p, &alone, config, e);
	}
	for (int i = 0; i < MSG_STDIO && r == 0 && s->give; i++) {
		const struct saved_stream *x = carried_find(
			spec->streams, spec->n_streams, spec->port[i]);
		const struct saved_text *t = x ? &x->kept : &spec->unread[i];

		r = s->give(p->streams, (enum msg_stdio)i, t->p, t->n,
			    spec->exited, e);
	}
	return r;
}

/*
 * The guest runs it; what it wrote in the meantime waits in the guest. Of one
 * whose exit was told nothing is left but what nobody has read.
 */
int ops_process_open(void *ctx, const struct guest_process *spec, struct op *op,
		     struct err *e)
{
	struct ops *o = ctx;
	struct host_client *client = ops_client(o, e);
	struct host_stream_state stream[MSG_STDIO];
	const struct host_process_state state = {
		.pid = spec->pid,
		.port = { spec->port[0], spec->port[1], spec->port[2] },
		.wait_id = spec->wait_id,
		.exited = spec->exited,
		.code = spec->exit_status,
		.stream = spec->n_streams > 0 ? stream : NULL,
	};
	const struct msg_process_parameters parameters = {
		.command_line = "",
		.working_directory = "",
		.oci_process = spec->document,
	};
	struct host_process_config config = {
		.container_id = spec->container_id,
		.parameters = &parameters,
		.ended = on_ended,
	};
	const bool is_told = spec->exited && spec->wait_id == 0;
	struct ops_process *p = find(o, spec->container_id, spec->exec_id);
	int r = 0;

	if (!client)
		return -e->code;
	if (p && p->process) {
		op->value = 1;
		op_end(op, 0, NULL);
		return 0;
	}
	if (!p)
		r = add(o, spec, &p, e);
	if (r < 0)
		return r;
	config.ctx = p;
	carried_state(spec->streams, spec->n_streams, spec->port, stream);
	r = open_coming(p, spec, &config, e);
	if (r == 0 && !is_told)
		r = host_process_open(client, &config, &state, spec->probe,
				      &p->process, e);
	close_fds(&config);
	if (r < 0) {
		forget(p);
		return r;
	}
	op->value = 1;
	op_end(op, 0, NULL);
	return 0;
}
