/*
 * ExecuteProcess in a container: its init process, which was made with the
 * container and waits to be let go, or one more process in it.
 *
 *	dial the host's ports --> wait in the container's queue --> the runtime
 *	--> (exec) settle who the process is --> streams, answer
 *
 * Dialling is no part of the operation: a host that does not listen holds up
 * nothing but itself. The init process gets its streams before the runtime lets
 * it go, an exec after it began; both find their output in pipes.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/guest/container.h"
#include "bridge/guest/dial.h"
#include "bridge/guest/earlier.h"
#include "bridge/guest/ends.h"
#include "bridge/guest/handlers.h"
#include "bridge/guest/keep.h"
#include "bridge/guest/oci.h"
#include "bridge/guest/reply.h"
#include "bridge/guest/runtime.h"
#include "bridge/guest/takeover.h"
#include "bridge/hresult.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "config/util.h"

/**
 * struct start - one of them
 * @request:	while ports are dialled; later the operation has its own
 * @serial:	of the container, which may go meanwhile
 * @id:		its id
 * @process:	OCI process as JSON text, NULL: the init process
 * @terminal:	an exec with one
 * @exec:	what the job works on
 * @ends:	of an exec
 * @kept:	what a later agent has to know of it, the record is @slot
 */
struct start {
	struct op op;
	struct agent *agent;
	struct request *request;
	uint64_t serial;
	char *id;
	char *process;
	bool terminal;
	struct oci_exec exec;
	struct dial dial;
	struct ends ends;
	struct keep_process kept;
	uint32_t slot;
};

static void start_free(struct start *s)
{
	dial_stop(&s->dial);
	ends_close(&s->ends);
	free(s->process);
	free(s->id);
	free(s);
}

static void start_release(struct op *op)
{
	start_free(LIST_ITEM(op, struct start, op));
}

static void answer_pid(struct op *op, const struct process *p)
{
	if (op->request)
		process_tell_start(op->agent, &op->request->to, p);
}

/* --- the init process ------------------------------------------------------ */

/* A runtime that is killed between two of its steps may have taken away what
 * another one would need: it goes on without an agent. */
static struct runtime_call let_go(const struct container *c)
{
	return (struct runtime_call){
		.verb = RUNTIME_RUN,
		.id = c->facts.id,
		.started = slot_word(&c->agent->slots, c->slot),
	};
}

static void on_init_started(void *ctx, struct runtime_result *r)
{
	struct op *op = ctx;
	struct container *c = op->container;

	if (r->code != HR_OK) {
		/* It has no streams to be started with again. */
		log_warn("container=%s did not start: %s", c->facts.id,
			 r->err.text);
		(void)process_signal(c->init, SIGKILL, NULL);
		op_fail(op, r->code, &r->err);
		return;
	}
	/* It may have ended by now, and been told. */
	if (c->facts.state == CONTAINER_CREATED)
		c->facts.state = CONTAINER_RUNNING;
	keep_container(c);
	answer_pid(op, c->init);
	op_end(op);
}

/* --- the init process of an earlier agent's container ----------------------- */

/**
 * struct start_again - a container that an earlier agent was letting go
 * @runtime:	that agent's
 */
struct start_again {
	struct op op;
	struct earlier runtime;
};

static struct start_again *again_of(struct op *op)
{
	return LIST_ITEM(op, struct start_again, op);
}

static void release_again(struct op *op)
{
	earlier_stop(&again_of(op)->runtime);
	free(again_of(op));
}

/* A runtime that refuses has let it go before, or knows it no more: then its
 * end is told. What one that was killed has done nobody knows. */
static void on_started_again(void *ctx, struct runtime_result *r)
{
	struct op *op = ctx;
	struct container *c = op->container;

	if (r->code != HR_OK)
		log_info("container=%s was started by an earlier agent: %s",
			 c->facts.id, r->err.text);
	if (r->code != HR_OK && !r->refused)
		(void)process_signal(c->init, SIGKILL, NULL);
	if (c->facts.state == CONTAINER_CREATED)
		c->facts.state = CONTAINER_RUNNING;
	keep_container(c);
	answer_pid(op, c->init);
	op_end(op);
}

static void let_go_again(void *ctx)
{
	struct op *op = ctx;
	const struct runtime_call q = let_go(op->container);
	struct err e = { 0 };

	if (runtime_call(&op->agent->runtime, &q, on_started_again, op, &e) ==
	    0)
		return;
	log_warn("container=%s: %s", op->container->facts.id, e.text);
	(void)process_signal(op->container->init, SIGKILL, NULL);
	op_end(op);
}

static void begin_again(struct op *op)
{
	struct runtime *rt = &op->agent->runtime;
	const uint64_t *pid = slot_word(&op->agent->slots, op->container->slot);

	const int r = earlier_wait(&again_of(op)->runtime, rt, pid ? *pid : 0,
				   runtime_limits.call, let_go_again, op);

	if (r < 0)
		takeover_rather(op->agent, "the start of a container");
	if (r <= 0)
		let_go_again(op);
}

void container_start_again(struct container *c)
{
	struct start_again *x =
		op_new(sizeof(*x), c, begin_again, release_again);

	if (!x) {
		takeover_rather(c->agent, "the start of a container");
		log_warn("container=%s: no memory to start it", c->facts.id);
		return;
	}
	earlier_init(&x->runtime, c->agent->loop);
	op_queue_own(&x->op);
}

void container_start_asked(struct container *c, struct request *r)
{
	struct op *op = list_empty(&c->ops)
				? NULL
				: LIST_ITEM(c->ops.next, struct op, node);

	if (op && op->begin == begin_again)
		op_answers(op, r);
	else
		process_answer_start(c->agent, r, c->init);
}

/* The host's ports may be dialled again, and the output goes to a log too. */
void container_streams(struct container *c)
{
	const struct container_facts *f = &c->facts;
	struct err e = { 0 };

	for (int i = 0; i < MSG_STDIO; i++) {
		struct stream *s = c->init->stream[i];
		int fd;

		if (!s)
			continue;
		if (s->kind != STREAM_IDLE && !s->carry)
			stream_redial(s, f->port[i]);
		if (s->kind != STREAM_OUT || f->oci.tee_log[0] == '\0')
			continue;
		fd = oci_tee_open(c->agent->root, f->sandbox_root,
				  f->oci.tee_log, &e);
		if (fd >= 0)
			stream_tee(s, fd);
		else
			log_warn("container=%s: its log: %s", f->id, e.text);
	}
}

/* Why it cannot be started, or HR_OK */
static uint32_t refuse_init(const struct container *c, struct err *e)
{
	if (container_init_ended(c)) {
		(void)err_set(e, ESRCH, "container %s is not running",
			      c->facts.id);
		return HR_SYSTEM_ALREADY_STOPPED;
	}
	if (c->facts.state == CONTAINER_CREATED)
		return HR_OK;
	(void)err_set(e, EALREADY, "container %s was started before",
		      c->facts.id);
	return HR_INVALID_STATE;
}

static const uint32_t *carried_ports(const struct start *s)
{
	return s->dial.carried ? s->dial.port : NULL;
}

static void begin_init(struct op *op)
{
	struct start *s = LIST_ITEM(op, struct start, op);
	struct container *c = op->container;
	struct agent *a = op->agent;
	struct runtime_call q;
	struct err e = { 0 };
	const uint32_t code = refuse_init(c, &e);
	int r;

	if (code != HR_OK) {
		op_fail(op, code, &e);
		return;
	}
	memcpy(c->facts.port, s->dial.port, sizeof(c->facts.port));
	if (s->dial.carried)
		memcpy(c->init->port, s->dial.port, sizeof(c->init->port));
	c->init->request =
		op->request ? op->request->to.id : PROCESS_NO_REQUEST;
	process_keep(c->init);
	c->facts.starting = true;
	keep_container(c);
	r = ends_connect(&c->ends, &a->streams, c->init, s->dial.sock,
			 carried_ports(s), &e);
	if (r == 0) {
		container_streams(c);
		q = let_go(c);
		r = runtime_call(&a->runtime, &q, on_init_started, op, &e);
	}
	if (r < 0) {
		(void)process_signal(c->init, SIGKILL, NULL);
		op_fail(op, HR_FAIL, &e);
	}
}

/* --- one more -------------------------------------------------------------- */

/* Who the process is, is known: nobody else has seen it before. */
static void on_settled(void *ctx, struct process *p)
{
	struct op *op = ctx;
	struct start *s = LIST_ITEM(op, struct start, op);
	struct err e = { 0 };

	list_push(&op->container->processes, &p->sibling);
	if (ends_connect(&s->ends, &op->agent->streams, p, s->dial.sock,
			 carried_ports(s), &e) < 0) {
		(void)process_signal(p, SIGKILL, NULL);
		op_fail(op, HR_FAIL, &e);
		return;
	}
	answer_pid(op, p);
	op_end(op);
}

/* What is ours is with PID 1 before there is a process that has the rest. */
static uint64_t *on_begins(void *ctx, uint64_t ticket, uint64_t call,
			   int console)
{
	struct op *op = ctx;
	struct start *s = LIST_ITEM(op, struct start, op);
	struct pid1 *pid1 = &op->agent->pid1;

	s->kept.number =
		console < 0 ? ends_deposit(&s->ends, pid1) : pid1_number(pid1);
	if (console >= 0)
		pid1_deposit(pid1, s->kept.number, PROCESS_CONSOLE, console);
	s->kept.ticket = ticket;
	s->kept.call = call;
	keep_process_put(op->agent, &s->slot, &s->kept);
	return slot_word(&op->agent->slots, s->slot);
}

static void exec_fail(struct op *op, uint32_t code, const struct err *e)
{
	struct start *s = LIST_ITEM(op, struct start, op);

	slot_drop(&op->agent->slots, &s->slot);
	pid1_withdraw(&op->agent->pid1, s->kept.number, CONTROL_ROLE_ALL);
	op_fail(op, code, e);
}

static void on_exec_started(void *ctx, struct runtime_result *r)
{
	struct op *op = ctx;
	struct start *s = LIST_ITEM(op, struct start, op);
	bool wanted[MSG_STDIO];

	if (r->code != HR_OK) {
		exec_fail(op, r->code, &r->err);
		return;
	}
	ends_close_child(&s->ends);
	dial_has(&s->dial, wanted);
	/* Without its terminal the process ends by itself, of a hang-up. */
	if (s->terminal) {
		(void)ends_master(&s->ends, wanted, fd_take(&r->master),
				  &r->err);
		ends_deposit_master(&s->ends, &op->agent->pid1, s->kept.number);
	}
	if (orphans_adopt(&op->agent->orphans, r->ticket, r->pid, op->container,
			  &s->kept, s->slot, on_settled, op, &r->err) < 0)
		exec_fail(op, HR_FAIL, &r->err);
}

static uint32_t refuse_exec(const struct container *c, struct err *e)
{
	if (container_init_ended(c)) {
		(void)err_set(e, ESRCH, "container %s is not running",
			      c->facts.id);
		return HR_SYSTEM_ALREADY_STOPPED;
	}
	if (c->facts.state == CONTAINER_RUNNING)
		return HR_OK;
	(void)err_set(e, EAGAIN, "container %s was not started yet",
		      c->facts.id);
	return HR_INVALID_STATE;
}

/* @process: the document for the runtime */
static int start_exec(struct start *s, const char *process, struct err *e)
{
	struct op *op = &s->op;
	struct runtime_start q = {
		.id = op->container->facts.id,
		.process = process,
		.terminal = s->terminal,
		.vsock = op->container->facts.oci.vsock,
		.stdio = { -1, -1, -1 },
	};
	bool wanted[MSG_STDIO];
	int r = 0;

	s->kept.serial = op->container->facts.serial;
	s->kept.request = op->request ? op->request->to.id : PROCESS_NO_REQUEST;
	if (s->dial.carried)
		memcpy(s->kept.port, s->dial.port, sizeof(s->kept.port));
	s->kept.console = s->terminal;
	if (op->agent->pid1.fd >= 0)
		q.begins = on_begins;
	dial_has(&s->dial, wanted);
	if (!s->terminal)
		r = ends_pipes(&s->ends, wanted, e);
	for (int i = 0; i < MSG_STDIO; i++)
		q.stdio[i] = s->ends.child[i];
	return r < 0 ? r
		     : runtime_start(&op->agent->runtime, &q, on_exec_started,
				     op, e);
}

static void on_prepared(void *ctx, const struct job_result *r)
{
	struct start *s = ctx;
	struct err e = { 0 };
	uint32_t code = refuse_exec(s->op.container, &e);

	if (r->result < 0)
		op_fail(&s->op, HR_FAIL, &r->err);
	else if (code != HR_OK || start_exec(s, r->out, &e) < 0)
		op_fail(&s->op, code != HR_OK ? code : HR_FAIL, &e);
}

/* The user's name has to be looked up. */
static int prepare_in_job(struct start *s, struct err *e)
{
	struct agent *a = s->op.agent;
	const struct job_call j = {
		.name = "exec",
		.fn = oci_exec_prepare,
		.arg = &s->exec,
		.deadline_ms = OCI_EXEC_MS,
		.class = JOB_WORK,
		.keep = &a->root,
		.n_keep = 1,
		.output_max = JOB_OUTPUT_MAX,
		.done = on_prepared,
		.ctx = s,
	};

	return job_call(&a->jobs, &j, NULL, e);
}

static int prepare(struct start *s, bool by_name, struct err *e)
{
	const struct container_facts *f = &s->op.container->facts;
	struct text out;
	int r;

	s->exec = (struct oci_exec){
		.root = s->op.agent->root,
		.process = s->process,
		.rlimits = f->oci.rlimits,
		.rootfs = f->oci.rootfs,
		.has_user = f->has_user,
		.uid = f->uid,
		.gid = f->gid,
	};
	if (by_name)
		return prepare_in_job(s, e);
	text_heap(&out, OCI_TEXT_MAX);
	r = oci_exec_prepare(&s->exec, &out, e);
	if (r == 0)
		r = start_exec(s, text_str(&out), e);
	text_done(&out);
	return r;
}

static void begin_exec(struct op *op)
{
	struct start *s = LIST_ITEM(op, struct start, op);
	struct err e = { 0 };
	uint32_t code = refuse_exec(op->container, &e);
	bool by_name = false;

	if (code == HR_OK && !process_room(&op->agent->processes)) {
		code = HR_FAIL;
		(void)err_set(&e, EAGAIN, "too many processes (%zu)",
			      op->agent->processes.n_live);
	}
	if (code == HR_OK &&
	    oci_exec_read(s->process, &s->terminal, &by_name, &e) < 0)
		code = HR_FAIL;
	if (code == HR_OK && prepare(s, by_name, &e) < 0)
		code = HR_FAIL;
	if (code != HR_OK)
		op_fail(op, code, &e);
}

/* --- the request ----------------------------------------------------------- */

static void on_drop(struct request *r)
{
	start_free(r->ctx);
}

/* The ports stand: the container may be gone, or another one, by now. */
static void on_dialled(void *ctx, struct err *e)
{
	struct start *s = ctx;
	struct agent *a = s->agent;
	const struct answer_to to = s->request->to;
	struct container *c = container_find(&a->containers, s->id);

	request_pass(&a->requests, s->request);
	s->request = NULL;
	if (e) {
		(void)reply_error(a, &to, HR_FAIL, "%s", e->text);
		start_free(s);
	} else if (!c || c->facts.serial != s->serial) {
		(void)reply_code(a, &to, HR_SYSTEM_NOT_FOUND);
		start_free(s);
	} else {
		s->op.container = c;
		s->op.begin = s->process ? begin_exec : begin_init;
		s->op.release = start_release;
		op_queue(&s->op, &to);
	}
	request_passed(&a->requests);
}

static struct start *start_new(struct call *c, const struct container *found,
			       const struct msg_execute_process *m)
{
	struct agent *a = c->agent;
	struct start *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->agent = a;
	s->serial = found->facts.serial;
	ends_init(&s->ends);
	dial_init(&s->dial, a->loop, &a->flags.transport, on_dialled, s);
	s->dial.carried = a->resume.on;
	dial_wanted(&s->dial, m);
	s->id = strdup(found->facts.id);
	if (m->parameters.oci_process)
		s->process = strdup(m->parameters.oci_process);
	if (s->id && (s->process || !m->parameters.oci_process))
		s->request = request_new(&a->requests, &c->to);
	if (!s->request) {
		start_free(s);
		return NULL;
	}
	s->request->ctx = s;
	s->request->on_drop = on_drop;
	return s;
}

void container_execute(struct call *c, const struct msg_execute_process *m)
{
	struct container *found = named_container(c, m->base.container_id);
	struct start *s;
	struct err e = { 0 };
	uint32_t code = HR_OK;

	if (!found || policy_forbids(c))
		return;
	/* Nothing is dialled for what is refused anyway. */
	if (!m->parameters.oci_process)
		code = refuse_init(found, &e);
	else if (container_init_ended(found))
		code = refuse_exec(found, &e);
	if (code != HR_OK) {
		(void)reply_error(c->agent, &c->to, code, "%s", e.text);
		return;
	}
	s = start_new(c, found, m);
	if (!s) {
		(void)reply_error(c->agent, &c->to, HR_FAIL,
				  "too many requests in progress (%zu)",
				  c->agent->requests.n);
		return;
	}
	dial_start(&s->dial);
}
