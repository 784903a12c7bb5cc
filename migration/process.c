#include "migration/process.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "migration/container_life.h"
#include "migration/lists.h"
#include "migration/status.h"

/* clang-format off */
static const char *const states[] = {
	[PROCESS_NOT_CREATED] = "not created",
	[PROCESS_CREATED] = "created",
	[PROCESS_RUNNING] = "running",
	[PROCESS_TERMINATED] = "terminated",
	[PROCESS_DESTINATION_MIGRATING] = "destination-migrating",
	[PROCESS_SOURCE_MIGRATING] = "source-migrating",
};

static const char *const events[] = {
	[PROCESS_EV_START] = "start",
	[PROCESS_EV_KILL] = "kill",
	[PROCESS_EV_IO] = "terminal or stdin",
	[PROCESS_EV_EXIT] = "exit",
	[PROCESS_EV_DELETE] = "delete",
	[PROCESS_EV_SAVE] = "save",
	[PROCESS_EV_PATCH] = "patch",
	[PROCESS_EV_RESUME] = "resume",
	[PROCESS_EV_ABORT] = "abort",
};

#define CREATED MACHINE_BIT(PROCESS_CREATED)
#define RUNNING MACHINE_BIT(PROCESS_RUNNING)
#define TERMINATED MACHINE_BIT(PROCESS_TERMINATED)
#define DESTINATION MACHINE_BIT(PROCESS_DESTINATION_MIGRATING)
#define SOURCE MACHINE_BIT(PROCESS_SOURCE_MIGRATING)

static const struct machine_row rows[] = {
	{ CREATED, PROCESS_EV_START, MACHINE_GO, PROCESS_RUNNING, MACHINE_SAME, 0, "ExecuteProcess" },
	{ RUNNING, PROCESS_EV_KILL, MACHINE_GO, MACHINE_SAME, MACHINE_SAME, 0, "SignalProcess" },
	{ TERMINATED, PROCESS_EV_KILL, MACHINE_REFUSE, MACHINE_SAME, MACHINE_SAME, ESRCH, "" },
	{ RUNNING, PROCESS_EV_IO, MACHINE_GO, MACHINE_SAME, MACHINE_SAME, 0, "" },
	{ CREATED | RUNNING | SOURCE, PROCESS_EV_EXIT, MACHINE_GO, PROCESS_TERMINATED, MACHINE_SAME, 0, "/tasks/exit" },
	{ DESTINATION, PROCESS_EV_EXIT, MACHINE_GO, PROCESS_TERMINATED, MACHINE_SAME, 0, "the VM ended: /tasks/exit" },
	{ TERMINATED, PROCESS_EV_EXIT, MACHINE_NOOP, MACHINE_SAME, MACHINE_SAME, 0, "" },
	{ CREATED | TERMINATED, PROCESS_EV_DELETE, MACHINE_GO, PROCESS_NOT_CREATED, MACHINE_SAME, 0, "/tasks/delete" },
	{ RUNNING | SOURCE, PROCESS_EV_SAVE, MACHINE_GO, PROCESS_SOURCE_MIGRATING, MACHINE_SAME, 0, "remembers ports and wait id" },
	{ DESTINATION, PROCESS_EV_PATCH, MACHINE_GO, MACHINE_SAME, MACHINE_SAME, 0, "opens the upstream pipes" },
	{ DESTINATION, PROCESS_EV_RESUME, MACHINE_GO, PROCESS_RUNNING, MACHINE_SAME, 0, "ports, wait, probe, relays; owns the exit" },
	{ SOURCE, PROCESS_EV_RESUME, MACHINE_GO, PROCESS_RUNNING, MACHINE_SAME, 0, "ports, relays" },
	{ RUNNING | TERMINATED, PROCESS_EV_RESUME, MACHINE_NOOP, MACHINE_SAME, MACHINE_SAME, 0, "" },
	{ DESTINATION, PROCESS_EV_ABORT, MACHINE_GO, PROCESS_TERMINATED, MACHINE_SAME, 0, "exit status 137" },
	{ CREATED | RUNNING | TERMINATED, PROCESS_EV_ABORT, MACHINE_NOOP, MACHINE_SAME, MACHINE_SAME, 0, "" },
};
/* clang-format on */

const struct machine process_machine = {
	.name = "process",
	.states = states,
	.n_states = ARRAY_LEN(states),
	.events = events,
	.n_events = ARRAY_LEN(events),
	.rows = rows,
	.n_rows = ARRAY_LEN(rows),
};

static const struct seams *seams_of(const struct process_ctl *p)
{
	return container_ctl_seams(p->container);
}

/* Strings out of the list; process_ctl_free() has taken it out of there. */
static void release(struct process_ctl *p)
{
	size_t i;

	free(p->exec_id);
	free(p->document);
	free(p->streams);
	for (i = 0; i < GUEST_STREAMS; i++)
		free(p->stdio[i]);
	free(p);
}

static int check_spec(const struct container_ctl *c,
		      const struct process_spec *spec, struct err *e)
{
	const char *stderr_path = spec->stdio[GUEST_STDERR];

	if (spec->exec_id[0]) {
		int r = names_check_id("exec id", spec->exec_id, e);

		if (r < 0)
			return r;
	}
	if (spec->terminal && stderr_path && stderr_path[0])
		return err_set(e, EINVAL, "a terminal has no stderr");
	if (container_ctl_process(c, spec->exec_id))
		return err_set(e, EEXIST, "process %s is there already",
			       spec->exec_id);
	if (c->n_processes >= CONTAINER_PROCESSES_MAX)
		return err_set(e, EEXHAUSTED, "more than %u processes",
			       CONTAINER_PROCESSES_MAX);
	return 0;
}

static void insert(struct container_ctl *c, struct process_ctl *p)
{
	struct process_ctl *before = NULL, *behind = c->processes;

	for (; behind && strcmp(behind->exec_id, p->exec_id) < 0;
	     behind = behind->next)
		before = behind;
	p->next = behind;
	if (before)
		before->next = p;
	else
		c->processes = p;
	c->n_processes++;
}

int process_ctl_new(struct container_ctl *c, const struct process_spec *spec,
		    struct process_ctl **ret, struct err *e)
{
	struct process_ctl *p;
	size_t i;
	int r = check_spec(c, spec, e);

	if (r < 0)
		return r;
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(e, ENOMEM, "process: no memory");
	r = names_copy(spec->exec_id, &p->exec_id, e);
	if (r == 0 && spec->document)
		r = names_copy(spec->document, &p->document, e);
	for (i = 0; i < GUEST_STREAMS && r == 0; i++)
		r = names_copy(spec->stdio[i], &p->stdio[i], e);
	if (r < 0) {
		release(p);
		return r;
	}
	p->terminal = spec->terminal;
	p->container = c;
	p->state = PROCESS_CREATED;
	insert(c, p);
	*ret = p;
	return 0;
}

static void answer_waiters(struct process_ctl *p, int result,
			   const struct err *e)
{
	struct op *op;

	while ((op = p->waiters)) {
		p->waiters = op->impl;
		p->n_waiters--;
		op->value = p->exit_status;
		op_end(op, result, e);
	}
}

void process_ctl_free(struct process_ctl *p)
{
	struct container_ctl *c = p->container;
	struct process_ctl *before = NULL, *i;
	struct err gone = { 0 };

	assert(!p->starting);
	for (i = c->processes; i && i != p; i = i->next)
		before = i;
	if (i && before)
		before->next = p->next;
	else if (i)
		c->processes = p->next;
	if (i)
		c->n_processes--;
	if (c->init == p)
		c->init = NULL;
	(void)err_set(&gone, ENOENT, "the process was deleted");
	answer_waiters(p, -ENOENT, &gone);
	release(p);
}

int process_ctl_check(const struct process_ctl *p, enum process_event event,
		      struct err *e)
{
	int r = machine_check(&process_machine, p->state, event, e);

	return r < 0 ? r : 0;
}

void process_ctl_words(const struct process_ctl *p, struct guest_process *ret)
{
	size_t i;

	*ret = (struct guest_process){
		.container_id = p->container->gcs_id,
		.exec_id = p->exec_id,
		.document = p->document,
		.terminal = p->terminal,
		.pid = p->pid,
		.wait_id = p->wait_id,
		.streams = p->streams,
		.n_streams = p->n_streams,
		.exited = p->exited_at_ns != 0,
		.exit_status = p->exit_status,
		.unread = p->unread,
	};
	for (i = 0; i < GUEST_STREAMS; i++) {
		ret->stdio[i] = p->stdio[i];
		ret->port[i] = p->port[i];
	}
}

void process_ctl_event(const struct process_ctl *p, struct task_event *ret)
{
	size_t i;

	*ret = (struct task_event){
		.container_id = p->container->id,
		.exec_id = p->exec_id,
		.bundle = p->container->bundle,
		.terminal = p->terminal,
		.pid = p->pid,
		.exit_status = p->exit_status,
		.exited_at_ns = p->exited_at_ns,
	};
	for (i = 0; i < GUEST_STREAMS; i++)
		ret->stdio[i] = p->stdio[i];
}

/* --- start --- */

static void started(struct op *start_op, int result, const struct err *e)
{
	struct process_ctl *p = start_op->ctx;
	const struct seams *s = seams_of(p);
	const bool is_init = p == p->container->init;
	struct op *op = p->caller;
	struct task_event event;

	p->starting = false;
	p->caller = NULL;
	if (result < 0 || p->state != PROCESS_CREATED) {
		/* The VM may have ended meanwhile, and the process with it. */
		s->guest->process_close(s->guest_ctx, p->container->gcs_id,
					p->exec_id);
		op_end(op, result < 0 ? result : -ESHUTDOWN, e);
		return;
	}
	p->pid = (uint32_t)start_op->value;
	p->state = PROCESS_RUNNING;
	if (is_init)
		p->container->state = CONTAINER_RUNNING;
	process_ctl_event(p, &event);
	if (is_init)
		s->events->started(s->events_ctx, &event);
	else
		s->events->exec_started(s->events_ctx, &event);
	op->value = p->pid;
	if (p->early_exit)
		process_ctl_exited(p, p->early_status, p->early_at_ns);
	op_end(op, 0, NULL);
}

int process_ctl_start(struct process_ctl *p, struct op *op, struct err *e)
{
	const enum container_event event = p == p->container->init
						   ? CONTAINER_EV_START
						   : CONTAINER_EV_EXEC;
	const struct seams *s = seams_of(p);
	struct guest_process words;
	int r = container_ctl_check(p->container, event, e);

	if (r < 0)
		return r;
	r = process_ctl_check(p, PROCESS_EV_START, e);
	if (r < 0)
		return r;
	if (p->starting)
		return err_set(e, EBUSY, "process %s is being started",
			       p->exec_id);
	process_ctl_words(p, &words);
	p->starting = true;
	p->caller = op;
	p->start_op = (struct op){ .done = started, .ctx = p };
	r = s->guest->process_start(s->guest_ctx, &words, &p->start_op, e);
	if (r < 0) {
		p->starting = false;
		p->caller = NULL;
	}
	return r;
}

/* --- kill, wait, delete --- */

int process_ctl_kill(struct process_ctl *p, uint32_t signal, struct op *op,
		     struct err *e)
{
	const struct seams *s = seams_of(p);
	int r;

	r = machine_check(&container_machine, p->container->state,
			  CONTAINER_EV_KILL, e);
	if (r == MACHINE_NOOP && p == p->container->init) {
		op_end(op, 0, NULL);
		return 0;
	}
	if (r < 0)
		return r;
	r = process_ctl_check(p, PROCESS_EV_KILL, e);
	if (r < 0)
		return r;
	return s->guest->process_signal(s->guest_ctx, p->container->gcs_id,
					p->exec_id, (int32_t)signal, op, e);
}

int process_ctl_wait(struct process_ctl *p, struct op *op, struct err *e)
{
	if (p->state == PROCESS_TERMINATED) {
		op->value = p->exit_status;
		op_end(op, 0, NULL);
		return 0;
	}
	if (p->n_waiters >= PROCESS_WAITS_MAX)
		return err_set(e, EEXHAUSTED, "more than %u waits",
			       PROCESS_WAITS_MAX);
	op->impl = p->waiters;
	p->waiters = op;
	p->n_waiters++;
	return 0;
}

void process_ctl_unwait(struct process_ctl *p, struct op *op)
{
	struct op *i, *before = NULL;
	struct err e = { 0 };

	for (i = p->waiters; i && i != op; i = i->impl)
		before = i;
	if (!i)
		return;
	if (before)
		before->impl = op->impl;
	else
		p->waiters = op->impl;
	p->n_waiters--;
	(void)err_set(&e, ECANCELED, "the wait was given up");
	op_end(op, -ECANCELED, &e);
}

int process_ctl_delete(struct process_ctl *p, struct err *e)
{
	const struct seams *s = seams_of(p);
	struct task_event event;
	int r;

	if (p == p->container->init)
		return err_set(e, EINVAL, "init goes with its container");
	r = container_ctl_check(p->container, CONTAINER_EV_DELETE_EXEC, e);
	if (r < 0)
		return r;
	r = process_ctl_check(p, PROCESS_EV_DELETE, e);
	if (r < 0)
		return r;
	if (p->starting)
		return err_set(e, EBUSY, "process %s is being started",
			       p->exec_id);
	s->guest->process_close(s->guest_ctx, p->container->gcs_id, p->exec_id);
	process_ctl_event(p, &event);
	s->events->deleted(s->events_ctx, &event);
	process_ctl_free(p);
	return 0;
}

/*
 * Does anybody know of it who wants to hear of its end? Not of an exec that
 * never started, not of a create that is on its way, not of a container that
 * was imported and belongs to no task here.
 */
static bool is_known(const struct process_ctl *p)
{
	if (p->state == PROCESS_DESTINATION_MIGRATING)
		return p->container->patched;
	if (p->state != PROCESS_CREATED)
		return true;
	return p == p->container->init &&
	       p->container->state != CONTAINER_NOT_CREATED;
}

void process_ctl_exited(struct process_ctl *p, uint32_t status,
			uint64_t exited_at_ns)
{
	const struct seams *s = seams_of(p);
	struct task_event event;
	const bool known = is_known(p);

	if (p->starting && p->state == PROCESS_CREATED) {
		p->early_exit = true;
		p->early_status = status;
		p->early_at_ns = exited_at_ns;
		return;
	}
	if (machine_check(&process_machine, p->state, PROCESS_EV_EXIT, NULL) !=
	    MACHINE_GO)
		return;
	p->state = PROCESS_TERMINATED;
	p->exit_status = status;
	p->exited_at_ns = exited_at_ns;
	if (known) {
		process_ctl_event(p, &event);
		s->events->exit(s->events_ctx, &event);
	}
	if (p == p->container->init)
		container_ctl_init_exited(p->container);
	answer_waiters(p, 0, NULL);
}
