/*
 * ExecuteProcess in the UVM. The host's ports are dialled; then the process is
 * started on pipes or on a terminal, streams are put between these and the
 * sockets, and the request is answered. Until then it is a struct execute.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/guest/cmdsplit.h"
#include "bridge/guest/dial.h"
#include "bridge/guest/ends.h"
#include "bridge/guest/handlers.h"
#include "bridge/guest/keep.h"
#include "bridge/guest/reply.h"
#include "bridge/hresult.h"
#include "bridge/io/spawn.h"
#include "bridge/msg.h"
#include "config/util.h"

/**
 * struct execute - one start of a process, while ports are dialled
 * @arena:	holds what @m points at
 */
struct execute {
	struct agent *agent;
	struct request *request;
	struct arena arena;
	struct msg_execute_process m;
	char **argv;
	char **envp;
	struct dial dial;
};

static void execute_free(struct execute *x)
{
	dial_stop(&x->dial);
	arena_done(&x->arena);
	free(x);
}

static void on_drop(struct request *r)
{
	execute_free(r->ctx);
}

static void execute_fail(struct execute *x, const struct err *e)
{
	struct agent *a = x->agent;
	struct request *r = x->request;

	(void)reply_error(a, &r->to, HR_FAIL, "%s", e->text);
	execute_free(x);
	request_free(&a->requests, r);
}

/* --- what to run ----------------------------------------------------------- */

static int make_argv(struct execute *x, struct err *e)
{
	const struct msg_process_parameters *p = &x->m.parameters;
	size_t n = p->command_args.n;

	if (n == 0) {
		if (cmdsplit(p->command_line, &x->arena, &x->argv, &n, e) < 0)
			return err_wrap(e, "command line");
	} else {
		x->argv = arena_array(&x->arena, n + 1, sizeof(*x->argv));
		if (!x->argv)
			return err_set(e, ENOMEM, "no memory for arguments");
		/* execve() does not write to what it is declared to. */
		memcpy(x->argv, p->command_args.item, n * sizeof(*x->argv));
	}
	if (n == 0 || x->argv[0][0] == '\0')
		return err_set(e, EINVAL, "no program to run");
	return 0;
}

static char *variable(struct arena *a, const char *name, const char *value)
{
	const size_t size = strlen(name) + 1 + strlen(value) + 1;
	char *text = arena_alloc(a, size);

	if (text)
		(void)snprintf(text, size, "%s=%s", name, value);
	return text;
}

/* The request's environment is the whole one; without it a PATH at least. */
static int make_envp(struct execute *x, struct err *e)
{
	const struct msg_pairs *env = &x->m.parameters.environment;
	const char *path = getenv("PATH");
	size_t n = 0;

	x->envp = arena_array(&x->arena, env->n + 2, sizeof(*x->envp));
	if (!x->envp)
		return err_set(e, ENOMEM, "no memory for the environment");
	for (size_t i = 0; i < env->n; i++, n++) {
		x->envp[n] = variable(&x->arena, env->item[i].name,
				      env->item[i].value);
		if (!x->envp[n])
			return err_set(e, ENOMEM, "no memory for variables");
	}
	if (n == 0 && path)
		x->envp[n] = variable(&x->arena, "PATH", path);
	return 0;
}

/* --- the start ------------------------------------------------------------- */

/* Started, but the agent cannot look after it: it must not run on. */
static void abandon(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static int run_child(const struct execute *x, const struct ends *d,
		     const struct keep_process *k, uint32_t slot,
		     struct process **ret, struct err *e)
{
	struct agent *a = x->agent;
	const char *cwd = x->m.parameters.working_directory;
	struct spawn s = {
		.argv = x->argv,
		.envp = x->envp,
		.cwd = cwd[0] != '\0' ? cwd : NULL,
		.stdio = { d->child[0], d->child[1], d->child[2] },
		.terminal = x->m.parameters.emulate_console,
		.setsid = true,
		.nofile = &a->nofile,
	};
	int pidfd = -1, r;
	pid_t pid = -1;

	s.started = slot_word(&a->slots, slot);
	pid1_flush(&a->pid1);
	r = spawn_start(&s, &pid, &pidfd, e);
	if (r < 0) {
		pid1_ticket_close(&a->pid1, k->ticket);
		return r;
	}
	pid1_register(&a->pid1, k->ticket, pid);
	r = process_adopt(&a->processes, pid, pidfd, ret, e);
	if (r < 0) {
		abandon(pid);
		pid1_reaped(&a->pid1, k->ticket);
		return r;
	}
	(*ret)->ticket = k->ticket;
	(*ret)->number = k->number;
	(*ret)->request = k->request;
	(*ret)->slot = slot;
	memcpy((*ret)->port, k->port, sizeof(k->port));
	return 0;
}

/* What a later agent needs to take the process over, before there is one. */
static int run_kept(struct execute *x, struct ends *d, struct process **ret,
		    struct err *e)
{
	struct agent *a = x->agent;
	struct keep_process k = {
		.ticket = pid1_ticket(&a->pid1),
		.request = x->request->to.id,
		.console = x->m.parameters.emulate_console,
	};
	uint32_t slot = 0;
	int r;

	if (x->dial.carried)
		memcpy(k.port, x->dial.port, sizeof(k.port));
	k.number = ends_deposit(d, &a->pid1);
	keep_process_put(a, &slot, &k);
	r = run_child(x, d, &k, slot, ret, e);
	if (r < 0) {
		slot_drop(&a->slots, &slot);
		pid1_withdraw(&a->pid1, k.number, CONTROL_ROLE_ALL);
	}
	return r;
}

static int make_ends(const struct execute *x, struct ends *d, struct err *e)
{
	const struct msg_process_parameters *p = &x->m.parameters;
	bool wanted[MSG_STDIO];

	dial_has(&x->dial, wanted);
	if (p->emulate_console)
		return ends_terminal(d, wanted, p->console_size[0],
				     p->console_size[1], e);
	return ends_pipes(d, wanted, e);
}

static int execute_start(struct execute *x, struct process **ret, struct err *e)
{
	struct process *p = NULL;
	struct ends d;
	int r;

	ends_init(&d);
	r = make_ends(x, &d, e);
	if (r == 0)
		r = run_kept(x, &d, &p, e);
	if (r == 0) {
		r = ends_connect(&d, &x->agent->streams, p, x->dial.sock,
				 x->dial.carried ? x->dial.port : NULL, e);
		if (r < 0)
			(void)process_signal(p, SIGKILL, NULL);
	}
	ends_close(&d);
	*ret = p;
	return r;
}

void process_tell_start(struct agent *a, const struct answer_to *to,
			const struct process *p)
{
	const struct msg_execute_process_result result = {
		.base = { .activity_id = to->activity },
		.process_id = (uint32_t)p->pid,
	};

	(void)reply_with(a, to, &msg_execute_process_result_schema, &result);
}

void process_answer_start(struct agent *a, struct request *r,
			  const struct process *p)
{
	process_tell_start(a, &r->to, p);
	request_free(&a->requests, r);
}

static void execute_finish(struct execute *x)
{
	struct agent *a = x->agent;
	struct request *r = x->request;
	struct process *p = NULL;
	struct err e = { 0 };

	if (execute_start(x, &p, &e) < 0 || !p) {
		execute_fail(x, &e);
		return;
	}
	process_tell_start(a, &r->to, p);
	execute_free(x);
	request_free(&a->requests, r);
}

/* --- the request ----------------------------------------------------------- */

static void on_dialled(void *ctx, struct err *e)
{
	if (e)
		execute_fail(ctx, e);
	else
		execute_finish(ctx);
}

static struct execute *execute_new(struct call *c,
				   const struct msg_execute_process *m)
{
	struct agent *a = c->agent;
	struct execute *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->request = request_new(&a->requests, &c->to);
	if (!x->request) {
		free(x);
		return NULL;
	}
	x->request->ctx = x;
	x->request->on_drop = on_drop;
	x->agent = a;
	x->m = *m;
	/* What the message points at goes with it. */
	x->arena = a->arena;
	arena_init(&a->arena, AGENT_MESSAGE_MAX);
	dial_init(&x->dial, a->loop, &a->flags.transport, on_dialled, x);
	x->dial.carried = a->resume.on;
	dial_wanted(&x->dial, &x->m);
	return x;
}

bool policy_forbids(struct call *c)
{
	if (c->agent->policy.deny)
		(void)reply_error(c->agent, &c->to, HR_FAIL,
				  "the policy denies to run a process");
	return c->agent->policy.deny;
}

void handle_execute_process(struct call *c, const void *msg)
{
	const struct msg_execute_process *m = msg;
	struct agent *a = c->agent;
	struct execute *x;
	struct err e = { 0 };

	if (!is_uvm(m->base.container_id) &&
	    !m->parameters.create_in_utility_vm) {
		container_execute(c, m);
		return;
	}
	if (policy_forbids(c))
		return;
	x = process_room(&a->processes) ? execute_new(c, m) : NULL;
	if (!x)
		(void)reply_error(a, &c->to, HR_FAIL,
				  "too many processes (%zu) or requests (%zu)",
				  a->processes.n_live, a->requests.n);
	else if (make_argv(x, &e) < 0 || make_envp(x, &e) < 0)
		execute_fail(x, &e);
	else
		dial_start(&x->dial);
}
