/*
 * ExecuteProcess in the UVM. The host's ports are dialled one after the other,
 * in the order stdin, stdout, stderr, each without blocking; then the process
 * is started on pipes or on a terminal, streams are put between these and the
 * sockets, and the request is answered. Until then it is a struct execute.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/guest/cmdsplit.h"
#include "bridge/guest/handlers.h"
#include "bridge/guest/pty.h"
#include "bridge/guest/reply.h"
#include "bridge/hresult.h"
#include "bridge/io/fd.h"
#include "bridge/io/spawn.h"
#include "bridge/io/transport.h"
#include "bridge/msg.h"
#include "config/util.h"

/* A port that does not answer is dialled again, as the reference does it. */
#define DIALS_MAX 10u
#define DIAL_AGAIN_MS 100
/* Longest wait for one dial. */
#define DIAL_LIMIT_MS 5000

/**
 * struct execute - one start of a process, while ports are dialled
 * @arena:	holds what @m points at
 * @sock:	dialled so far; -1: not requested, or not yet
 * @at:		the stream being dialled
 * @dials:	attempts at it
 */
struct execute {
	struct agent *agent;
	struct request *request;
	struct arena arena;
	struct msg_execute_process m;
	char **argv;
	char **envp;
	int sock[MSG_STDIO];
	int at;
	unsigned int dials;
	struct loop_id watch;
	struct loop_id timer;
};

/**
 * struct ends - what lies between a process and its streams
 * @child:	becomes 0, 1, 2; -1: /dev/null
 * @ours:	the other ends, non-blocking
 * @terminal:	a master for the size of the terminal, -1: none
 * @slave:	to be closed after the start, -1: none
 */
struct ends {
	int child[MSG_STDIO];
	int ours[MSG_STDIO];
	int terminal;
	int slave;
};

static const struct ends no_ends = {
	.child = { -1, -1, -1 },
	.ours = { -1, -1, -1 },
	.terminal = -1,
	.slave = -1,
};

static void execute_dial(struct execute *x);

static void end_dial(struct execute *x)
{
	loop_unwatch(x->agent->loop, &x->watch);
	loop_cancel(x->agent->loop, &x->timer);
}

static void execute_free(struct execute *x)
{
	end_dial(x);
	for (int i = 0; i < MSG_STDIO; i++)
		fd_close(&x->sock[i]);
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

/* --- pipes and terminals --------------------------------------------------- */

static void ends_close(struct ends *d)
{
	for (int i = 0; i < MSG_STDIO; i++) {
		if (d->child[i] != d->slave)
			fd_close(&d->child[i]);
		fd_close(&d->ours[i]);
	}
	fd_close(&d->slave);
	fd_close(&d->terminal);
}

static int make_pipe(struct ends *d, int i, struct err *e)
{
	int p[2], r;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	d->child[i] = i == MSG_STDIN ? p[0] : p[1];
	d->ours[i] = i == MSG_STDIN ? p[1] : p[0];
	r = fd_nonblock(d->ours[i], true);
	return r < 0 ? err_set(e, -r, "pipe: %s", strerror(-r)) : 0;
}

static int make_terminal(const struct execute *x, struct ends *d, struct err *e)
{
	const uint16_t *size = x->m.parameters.console_size;

	if (pty_open(size[0], size[1], &d->terminal, &d->slave, e) < 0)
		return -e->code;
	for (int i = 0; i < MSG_STDIO; i++) {
		d->child[i] = d->slave;
		if (x->sock[i] < 0 || i == MSG_STDERR)
			continue;
		d->ours[i] = fcntl(d->terminal, F_DUPFD_CLOEXEC, 3);
		if (d->ours[i] < 0)
			return err_sys(e, "terminal");
	}
	return 0;
}

static int make_ends(const struct execute *x, struct ends *d, struct err *e)
{
	int r = 0;

	*d = no_ends;
	if (x->m.parameters.emulate_console)
		return make_terminal(x, d, e);
	for (int i = 0; i < MSG_STDIO && r == 0; i++) {
		if (x->sock[i] >= 0)
			r = make_pipe(d, i, e);
	}
	return r;
}

/* --- the start ------------------------------------------------------------- */

static void on_stream_change(void *ctx)
{
	process_check(ctx);
}

static int make_stream(struct execute *x, struct process *p, struct ends *d,
		       int i, struct err *e)
{
	const bool tty = x->m.parameters.emulate_console;
	enum stream_kind kind = i == MSG_STDIN ? STREAM_IN : STREAM_OUT;

	if (x->sock[i] < 0)
		return 0;
	if (tty && i == MSG_STDERR)
		kind = STREAM_IDLE;
	return stream_new(&x->agent->streams, kind, fd_take(&x->sock[i]),
			  fd_take(&d->ours[i]), tty, on_stream_change, p,
			  &p->stream[i], e);
}

/* Started, but the agent cannot look after it: it must not run on. */
static void abandon(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static int run_child(struct execute *x, struct ends *d, struct process **ret,
		     struct err *e)
{
	struct agent *a = x->agent;
	const char *cwd = x->m.parameters.working_directory;
	const struct spawn s = {
		.argv = x->argv,
		.envp = x->envp,
		.cwd = cwd[0] != '\0' ? cwd : NULL,
		.stdio = { d->child[0], d->child[1], d->child[2] },
		.terminal = x->m.parameters.emulate_console,
		.setsid = true,
		.nofile = &a->nofile,
	};
	const uint64_t ticket = pid1_ticket(&a->pid1);
	int pidfd = -1, r;
	pid_t pid = -1;

	r = spawn_start(&s, &pid, &pidfd, e);
	if (r < 0) {
		pid1_ticket_close(&a->pid1, ticket);
		return r;
	}
	pid1_register(&a->pid1, ticket, pid);
	r = process_adopt(&a->processes, pid, pidfd, ret, e);
	if (r < 0) {
		abandon(pid);
		pid1_reaped(&a->pid1, ticket);
		return r;
	}
	(*ret)->ticket = ticket;
	(*ret)->console = s.terminal;
	return 0;
}

static int execute_start(struct execute *x, struct process **ret, struct err *e)
{
	struct process *p = NULL;
	struct ends d;
	int r = make_ends(x, &d, e);

	if (r == 0)
		r = run_child(x, &d, &p, e);
	if (r == 0)
		p->terminal = fd_take(&d.terminal);
	for (int i = 0; i < MSG_STDIO && r == 0; i++) {
		r = make_stream(x, p, &d, i, e);
		if (r < 0)
			(void)process_signal(p, SIGKILL, NULL);
	}
	ends_close(&d);
	*ret = p;
	return r;
}

static void execute_finish(struct execute *x)
{
	struct agent *a = x->agent;
	struct request *r = x->request;
	struct msg_execute_process_result result = {
		.base = { .activity_id = r->to.activity },
	};
	struct process *p = NULL;
	struct err e = { 0 };

	if (execute_start(x, &p, &e) < 0 || !p) {
		execute_fail(x, &e);
		return;
	}
	result.process_id = (uint32_t)p->pid;
	(void)reply_with(a, &r->to, &msg_execute_process_result_schema,
			 &result);
	execute_free(x);
	request_free(&a->requests, r);
}

/* --- dialling -------------------------------------------------------------- */

static void on_dial_again(void *ctx)
{
	execute_dial(ctx);
}

/* A dial has failed: again, or the request has. */
static void dial_failed(struct execute *x, struct err *e)
{
	struct agent *a = x->agent;

	end_dial(x);
	fd_close(&x->sock[x->at]);
	if ((e->code == ETIMEDOUT || e->code == EAGAIN) &&
	    ++x->dials < DIALS_MAX &&
	    loop_at(a->loop, loop_now_ms(a->loop) + DIAL_AGAIN_MS,
		    on_dial_again, x, &x->timer, e) == 0)
		return;
	(void)err_wrap(e, "standard stream %d", x->at);
	execute_fail(x, e);
}

static bool dial_stands(struct execute *x, struct err *e)
{
	const int r = transport_dial_result(x->sock[x->at]);

	if (r == 0) {
		end_dial(x);
		x->at++;
		x->dials = 0;
		return true;
	}
	(void)err_set(e, -r, "connect to host port %u: %s", x->m.port[x->at],
		      strerror(-r));
	return false;
}

static void on_dial_ready(void *ctx, uint32_t events)
{
	struct execute *x = ctx;
	struct err e = { 0 };

	(void)events; /* the result of the dial tells */
	if (dial_stands(x, &e))
		execute_dial(x);
	else
		dial_failed(x, &e);
}

static void on_dial_limit(void *ctx)
{
	struct execute *x = ctx;
	struct err e = { 0 };

	(void)err_set(&e, ETIMEDOUT, "connect to host port %u: no answer",
		      x->m.port[x->at]);
	dial_failed(x, &e);
}

static bool is_writable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) == 1;
}

/* Return: true when the dial of the current stream is over and it stands */
static bool dial_one(struct execute *x)
{
	struct agent *a = x->agent;
	struct err e = { 0 };
	int *fd = &x->sock[x->at];

	if (transport_dial(&a->flags.transport, x->m.port[x->at], fd, &e) < 0) {
		dial_failed(x, &e);
		return false;
	}
	if (!is_writable(*fd)) {
		if (loop_watch(a->loop, *fd, EPOLLOUT, on_dial_ready, x,
			       &x->watch, &e) == 0 &&
		    loop_at(a->loop, loop_now_ms(a->loop) + DIAL_LIMIT_MS,
			    on_dial_limit, x, &x->timer, &e) == 0)
			return false;
	} else if (dial_stands(x, &e)) {
		return true;
	}
	dial_failed(x, &e);
	return false;
}

static void execute_dial(struct execute *x)
{
	loop_cancel(x->agent->loop, &x->timer);
	while (x->at < MSG_STDIO) {
		if (x->m.port[x->at] == 0)
			x->at++;
		else if (!dial_one(x))
			return;
	}
	execute_finish(x);
}

/* --- the request ----------------------------------------------------------- */

/* A port counts only with its flag. */
static void clear_unwanted_ports(struct msg_execute_process *m)
{
	const bool wanted[MSG_STDIO] = {
		[MSG_STDIN] = m->parameters.create_stdin_pipe,
		[MSG_STDOUT] = m->parameters.create_stdout_pipe,
		[MSG_STDERR] = m->parameters.create_stderr_pipe,
	};

	for (int i = 0; i < MSG_STDIO; i++) {
		if (!wanted[i])
			m->port[i] = 0;
	}
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
	for (int i = 0; i < MSG_STDIO; i++)
		x->sock[i] = -1;
	clear_unwanted_ports(&x->m);
	return x;
}

void handle_execute_process(struct call *c, const void *msg)
{
	const struct msg_execute_process *m = msg;
	struct agent *a = c->agent;
	struct execute *x;
	struct err e = { 0 };

	if (!is_uvm(m->base.container_id) &&
	    !m->parameters.create_in_utility_vm) {
		(void)reply_code(a, &c->to, HR_SYSTEM_NOT_FOUND);
		return;
	}
	if (a->flags.policy_deny) {
		(void)reply_error(a, &c->to, HR_FAIL,
				  "the policy denies to run a process");
		return;
	}
	x = process_room(&a->processes) ? execute_new(c, m) : NULL;
	if (!x)
		(void)reply_error(a, &c->to, HR_FAIL,
				  "too many processes (%zu) or requests (%zu)",
				  a->processes.n_live, a->requests.n);
	else if (make_argv(x, &e) < 0 || make_envp(x, &e) < 0)
		execute_fail(x, &e);
	else
		execute_dial(x);
}
