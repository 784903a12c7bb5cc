/* Processes of the UVM that move with it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "bridge/session.h"
#include "migration/status.h"
#include "tools/carried.h"
#include "tools/shim/spec.h"
#include "tools/shim/uvm.h"

/* Of the payload. */
#define VERSION 1u

/* --- the source ----------------------------------------------------------------- */

static size_t kept(const void *streams, enum msg_stdio which,
		   const uint8_t **ret)
{
	return shim_stdio_kept(streams, which, ret);
}

/* Its command, for people; the environment is nobody's business. */
static int put_document(const struct uvm_proc *p, struct arena *a,
			struct saved_text *ret, struct err *e)
{
	const struct shim_spec spec = {
		.terminal = p->terminal,
		.args = p->parameters.command_args,
		.cwd = p->parameters.working_directory,
	};
	const struct msg_pairs none = { 0 };
	struct text document;
	int r = shim_spec_put(&spec, &none, &document, e);

	ret->n = document.len;
	ret->p = r == 0 ? arena_strn(a, text_str(&document), document.len)
			: NULL;
	text_done(&document);
	return ret->p ? 0 : err_set(e, ENOMEM, "exec %s", p->exec_id);
}

static int save_running(struct uvm_proc *p, struct arena *a,
			struct saved_process *ret, struct err *e)
{
	struct host_process_state state;
	int r = shim_stdio_freeze(p->io, true, e);

	if (r < 0)
		return r;
	if (host_process_state(p->process, &state) < 0)
		return err_set(e, EPRECONDITION, "exec %s is just ending",
			       p->exec_id);
	memcpy(ret->port, state.port, sizeof(ret->port));
	ret->wait_id = (int64_t)state.wait_id;
	return carried_take(p->process, kept, p->io, a, ret, e);
}

/* What it wrote may not have been read yet. */
static int save_stopped(struct uvm_proc *p, bool session, struct arena *a,
			struct saved_process *ret, struct err *e)
{
	int r = 0;

	ret->stage = SAVED_STAGE_STOPPED;
	ret->exit_status = p->exit_status;
	ret->exited_at_ns = p->exited_ns;
	if (!session || !p->io)
		return 0;
	r = shim_stdio_freeze(p->io, true, e);
	return r < 0 ? r : carried_take(NULL, kept, p->io, a, ret, e);
}

static int save(struct uvm_proc *p, bool session, struct arena *a,
		struct saved_process *ret, struct err *e)
{
	int r;

	*ret = (struct saved_process){
		.key = saved_text_of(p->exec_id),
		.version = VERSION,
		.exec_id = saved_text_of(p->exec_id),
		.pid = (int32_t)p->pid,
		.terminal = p->terminal,
		.started_at_ns = p->started_ns,
		.bundle = { "", 0 },
	};
	r = put_document(p, a, &ret->document, e);
	for (int i = 0; i < MSG_STDIO; i++)
		ret->stdio[i] = saved_text_of(p->path[i]);
	if (r < 0)
		return r;
	if (p->state == UVM_STOPPED) {
		r = save_stopped(p, session, a, ret, e);
		return r < 0 ? err_wrap(e, "exec %s", p->exec_id) : 0;
	}
	if (!session)
		return err_set(e, EPRECONDITION,
			       "process %.64s of the UVM runs: without a "
			       "session with the agent only containers move",
			       p->exec_id);
	if (p->state != UVM_RUNNING || !p->process)
		return err_set(e, EPRECONDITION,
			       "process %.64s of the UVM does not run yet",
			       p->exec_id);
	return save_running(p, a, ret, e);
}

static int by_name(const void *a, const void *b)
{
	const struct saved_process *x = a, *y = b;

	return strcmp(x->exec_id.p, y->exec_id.p); /* they are C strings */
}

int uvm_procs_save(struct uvm_procs *t, struct arena *a, struct saved_vm *ret,
		   struct err *e)
{
	int r = 0;

	ret->processes = arena_array(a, t->n + 1, sizeof(*ret->processes));
	if (!ret->processes)
		return err_set(e, ENOMEM, "no memory for processes");
	for (struct uvm_proc *p = t->first; p && r == 0; p = p->next)
		/* One that never ran is known to nobody in the guest. */
		if (p->state != UVM_STOPPED || p->pid != 0)
			r = save(p, ret->session.n > 0, a,
				 &ret->processes[ret->n_processes++], e);
	qsort(ret->processes, ret->n_processes, sizeof(*ret->processes),
	      by_name);
	return r;
}

void uvm_procs_thaw(struct uvm_procs *t)
{
	for (struct uvm_proc *p = t->first; p; p = p->next)
		if (p->io)
			(void)shim_stdio_freeze(p->io, false, NULL);
}

/* --- the destination ---------------------------------------------------------------- */

static int copy(struct arena *a, struct saved_text *t)
{
	t->p = arena_strn(a, t->p ? t->p : "", t->n);
	return t->p ? 0 : -ENOMEM;
}

/* What is needed to open it. */
static int remember(struct uvm_proc *p, const struct saved_process *s,
		    struct err *e)
{
	struct saved_process *came;
	int r = 0;

	/* Its own limit is for a document. */
	p->arena.max += MSG_STDIO *
			(SAVED_KEPT_MAX + STREAM_WINDOW_BYTES + SAVED_BLOB_MAX);
	came = arena_alloc(&p->arena, sizeof(*came));
	if (!came)
		return err_set(e, ENOMEM, "no memory for a process");
	*came = *s;
	came->streams = arena_array(&p->arena, s->n_streams + 1,
				    sizeof(*came->streams));
	if (!came->streams)
		return err_set(e, ENOMEM, "no memory for a process");
	for (int i = 0; i < MSG_STDIO && r == 0; i++)
		r = copy(&p->arena, &came->unread[i]);
	for (size_t i = 0; i < s->n_streams && r == 0; i++) {
		came->streams[i] = s->streams[i];
		r = copy(&p->arena, &came->streams[i].kept);
		if (r == 0)
			r = copy(&p->arena, &came->streams[i].unacknowledged);
	}
	if (r < 0)
		return err_set(e, ENOMEM, "no memory for streams");
	p->came = came;
	return 0;
}

/* A path as a string, cut at a NUL, which no path has. */
static const char *path_of(struct arena *a, struct saved_text t)
{
	return arena_strn(a, t.p ? t.p : "", t.n);
}

static bool is_unread(const struct saved_process *s)
{
	return s->unread[MSG_STDOUT].n > 0 || s->unread[MSG_STDERR].n > 0;
}

static int give(struct uvm_procs *t, const struct saved_process *s,
		struct err *e)
{
	struct uvm_spec spec = {
		.document = s->document.p,
		.document_len = s->document.n,
		.terminal = s->terminal,
	};
	struct uvm_proc *p = NULL;
	struct arena a;
	int r;

	arena_init(&a, UVM_SPEC_MAX);
	spec.exec_id = path_of(&a, s->exec_id);
	for (int i = 0; i < MSG_STDIO; i++)
		spec.path[i] = path_of(&a, s->stdio[i]);
	r = spec.exec_id && spec.path[0] && spec.path[1] && spec.path[2]
		    ? uvm_proc_new(t, &spec, &p, e)
		    : err_set(e, ENOMEM, "no memory for a process");
	arena_done(&a);
	if (r < 0)
		return err_wrap(e, "a process of the UVM");
	p->pid = (uint32_t)s->pid;
	p->started_ns = s->started_at_ns;
	p->state = UVM_RUNNING;
	if (s->stage == SAVED_STAGE_STOPPED) {
		p->state = UVM_STOPPED;
		p->exit_status = s->exit_status;
		p->exited_ns = s->exited_at_ns;
		uvm_proc_keep(p);
		if (!is_unread(s))
			return 0;
	}
	return remember(p, s, e);
}

int uvm_procs_give(struct uvm_procs *t, const struct saved_vm *saved,
		   struct err *e)
{
	int r = 0;

	uvm_procs_done(t); /* of an import that was refused */
	for (size_t i = 0; i < saved->n_processes && r == 0; i++)
		r = give(t, &saved->processes[i], e);
	if (r < 0)
		uvm_procs_done(t);
	return r;
}

/* Whoever was attached may be gone, or on the other host. */
static int open_streams(struct uvm_proc *p, int fd[MSG_STDIO], struct err *e)
{
	const struct saved_process *came = p->came;
	const char *alone[MSG_STDIO];
	int r = shim_stdio_new(p->table->loop, p->path, &p->io, fd, e);

	for (int i = 0; i < MSG_STDIO; i++)
		alone[i] = *p->path[i] ? "-" : "";
	if (r < 0)
		r = shim_stdio_new(p->table->loop, alone, &p->io, fd, e);
	for (int i = 0; i < MSG_STDIO && r == 0; i++) {
		const struct saved_stream *s = carried_find(
			came->streams, came->n_streams, came->port[i]);
		const struct saved_text *t = s ? &s->kept : &came->unread[i];

		r = shim_stdio_give(p->io, (enum msg_stdio)i, t->p, t->n,
				    came->exited_at_ns != 0, e);
	}
	return r;
}

static void arrived(struct uvm_proc *p, struct host_client *c)
{
	const struct saved_process *came = p->came;
	struct host_stream_state stream[MSG_STDIO];
	const struct host_process_state state = {
		.pid = p->pid,
		.port = { came->port[0], came->port[1], came->port[2] },
		.wait_id = (uint64_t)came->wait_id,
		.exited = came->exited_at_ns != 0,
		.code = came->exit_status,
		.stream = stream,
	};
	struct host_process_config config = {
		.parameters = &p->parameters,
		.fd = { -1, -1, -1 },
		.ended = uvm_proc_ended,
		.ctx = p,
	};
	const struct host_failure lost = { .kind = HOST_FAIL_LOCAL };
	struct err e = { 0 };
	int r;

	carried_state(came->streams, came->n_streams, came->port, stream);
	r = open_streams(p, config.fd, &e);
	if (r == 0 && p->state != UVM_STOPPED)
		r = host_process_open(c, &config, &state, true, &p->process,
				      &e);
	for (int i = 0; i < MSG_STDIO; i++)
		fd_close(&config.fd[i]);
	p->came = NULL;
	if (r == 0)
		return;
	if (p->state == UVM_STOPPED) {
		log_err("exec %s: what it had written is lost: %s", p->exec_id,
			e.text);
		return;
	}
	log_err("exec %s came and cannot be opened: %s", p->exec_id, e.text);
	uvm_proc_ended(p, &(struct host_process_end){ .failure = &lost,
						      .started = true });
}

void uvm_procs_arrived(struct uvm_procs *t, struct host_client *c)
{
	for (struct uvm_proc *p = t->first; p; p = p->next)
		if (p->came)
			arrived(p, c);
}
