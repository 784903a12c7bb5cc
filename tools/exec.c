/*
 * tools/exec.c - ferry exec and ferry attach: a process of a running sandbox
 *
 *	exec:	Exec, Start -> Wait ... streams ... -> its code -> Delete
 *	attach:	State, Attach -> Wait ... streams ... -> its code
 *
 * We end when the process has ended and its outputs have, or a while after its
 * end when something keeps them open. A process goes on when we are killed;
 * ferry attach takes it up again.
 */
#include "tools/exec.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "build/proto/ferry.pb-c.h"
#include "build/proto/task.pb-c.h"
#include "config/util.h"
#include "tools/exec_args.h"
#include "tools/remote.h"
#include "tools/shim/shim.h"
#include "tools/shim/spec.h"
#include "tools/tool.h"
#include "tools/ttrpc/pb.h"
#include "tools/tty.h"

#define EXIT_SIGNAL 128
/* Starting a program, in a guest that has much to do. */
#define START_MS 70000
/* Output that something keeps open behind the exit. */
#define LINGER_MS 12000

/* What the user may send while we run. */
static const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH };

static void decide(struct exec *x, int code)
{
	if (!x->decided)
		x->code = code;
	x->decided = true;
	loop_stop(x->remote.loop);
}

static void complain(const struct err *e)
{
	tty_restore();
	(void)fprintf(stderr, "ferry: %s\n", e->text);
}

/* --- calls that nobody waits for ------------------------------------------------------ */

static void ask_only(struct exec *x, const char *method,
		     const ProtobufCMessage *m)
{
	const struct ttrpc_ask ask = {
		.service = "Ferry",
		.method = method,
		.request = m,
		.timeout_ms = REMOTE_CALL_MS,
	};
	struct err e;

	/* The end of the process, or of the connection, tells what counts. */
	(void)ttrpc_client_call(x->remote.client, &ask, &e);
}

static void resize(struct exec *x)
{
	TaskResizePtyRequest m = TASK_RESIZE_PTY_REQUEST__INIT;
	uint16_t height = 0;
	uint16_t width = 0;

	if (!x->tty || (!tty_size(STDIN_FILENO, &height, &width) &&
			!tty_size(STDOUT_FILENO, &height, &width)))
		return;
	m.id = x->remote.container;
	m.exec_id = pb_text(x->exec_id);
	m.height = height;
	m.width = width;
	ask_only(x, "ResizePty", &m.base);
}

static void on_input_ended(void *ctx)
{
	struct exec *x = ctx;
	TaskCloseIORequest m = TASK_CLOSE_IOREQUEST__INIT;

	m.id = x->remote.container;
	m.exec_id = pb_text(x->exec_id);
	m.stdin = true;
	ask_only(x, "CloseIO", &m.base);
}

/* --- the end ----------------------------------------------------------------------------- */

static void finish(struct exec *x)
{
	struct err e;

	if (x->io.output_cut) {
		(void)err_set(&e, EIO,
			      "the command's output could not all be written");
		complain(&e);
		x->code = TOOL_CANNOT_RUN;
	}
	decide(x, x->code);
}

static void on_output_ended(void *ctx)
{
	struct exec *x = ctx;

	if (x->exited)
		finish(x);
}

static void on_linger(void *ctx)
{
	finish(ctx);
}

static void on_exit_known(void *ctx, enum ttrpc_code code, const char *text,
			  const ProtobufCMessage *m)
{
	struct exec *x = ctx;
	struct err e;

	tty_restore();
	if (code != TTRPC_OK) {
		(void)err_set(&e, EIO, "%s", text);
		complain(&e);
		decide(x, TOOL_CANNOT_RUN);
		return;
	}
	x->exited = true;
	x->code =
		(int)(((const TaskWaitResponse *)(const void *)m)->exit_status &
		      0xffu);
	if (!exec_io_output_open(&x->io) ||
	    loop_at(x->remote.loop, loop_now_ms(x->remote.loop) + LINGER_MS,
		    on_linger, x, &x->linger, &e) < 0)
		finish(x);
}

static int wait_for_exit(struct exec *x, struct err *e)
{
	TaskProcessRequest m = TASK_PROCESS_REQUEST__INIT;
	const struct ttrpc_ask ask = {
		.service = "Ferry",
		.method = "Wait",
		.request = &m.base,
		.response = &task_wait_response__descriptor,
		.done = on_exit_known,
		.ctx = x,
	};

	m.id = x->remote.container;
	m.exec_id = pb_text(x->exec_id);
	return ttrpc_client_call(x->remote.client, &ask, e);
}

/* --- signals ---------------------------------------------------------------------------------- */

/* The first one is the process's, the second one ours. */
static void interrupt(struct exec *x, int number)
{
	TaskKillRequest m = TASK_KILL_REQUEST__INIT;

	if (x->interrupts++ > 0) {
		decide(x, EXIT_SIGNAL + number);
		return;
	}
	m.id = x->remote.container;
	m.exec_id = pb_text(x->exec_id);
	m.signal = (uint32_t)number;
	ask_only(x, "Kill", &m.base);
}

static void on_signal(void *ctx, uint32_t events UNUSED)
{
	struct exec *x = ctx;
	struct signalfd_siginfo info;

	while (read(x->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo == SIGWINCH)
			resize(x);
		else
			interrupt(x, (int)info.ssi_signo);
}

static int watch_signals(struct exec *x, struct err *e)
{
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(caught); i++)
		(void)sigaddset(&set, caught[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_sys(e, "block signals");
	x->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (x->signal_fd < 0)
		return err_sys(e, "signalfd");
	return loop_watch(x->remote.loop, x->signal_fd, EPOLLIN, on_signal, x,
			  &x->signal_watch, e);
}

/* --- beginning --------------------------------------------------------------------------------- */

static int make_id(struct exec *x, struct err *e)
{
	uint32_t chance = 0;

	if (x->exec_id)
		return 0;
	if (getrandom(&chance, sizeof(chance), 0) != (ssize_t)sizeof(chance))
		return err_sys(e, "random numbers");
	(void)snprintf(x->made_id, sizeof(x->made_id), "x%08x", chance);
	x->exec_id = x->made_id;
	return 0;
}

static int put_exec(struct exec *x, struct err *e)
{
	TaskExecRequest m = TASK_EXEC_REQUEST__INIT;
	PbAny any = PB_ANY__INIT;
	struct shim_spec spec = {
		.terminal = x->tty,
		.args = x->command,
		.cwd = x->workdir,
	};
	struct text document;
	int r;

	if (x->tty &&
	    !tty_size(STDIN_FILENO, &spec.size.height, &spec.size.width))
		(void)tty_size(STDOUT_FILENO, &spec.size.height,
			       &spec.size.width);
	/* A container's process has to have one; the UVM's has the agent's. */
	if (x->remote.container[0] && *spec.cwd == '\0')
		spec.cwd = "/";
	r = shim_spec_put(&spec, &x->env, &document, e);
	if (r == 0) {
		any.type_url = pb_text(SPEC_PROCESS_URL);
		any.value.data = (uint8_t *)document.buf;
		any.value.len = document.len;
		m.id = x->remote.container;
		m.exec_id = pb_text(x->exec_id);
		m.terminal = x->tty;
		m.stdin = x->io.path[MSG_STDIN];
		m.stdout = x->io.path[MSG_STDOUT];
		m.stderr = x->io.path[MSG_STDERR];
		if (x->detach) {
			m.stdin = pb_text(x->interactive ? "-" : "");
			m.stdout = pb_text("-");
			m.stderr = pb_text(x->tty ? "" : "-");
		}
		m.spec = &any;
		r = remote_ask(&x->remote, "Exec", &m.base, NULL, NULL, NULL,
			       REMOTE_CALL_MS, e);
	}
	text_done(&document);
	return r;
}

/* The codes of a program that cannot be started. */
static int start_failed(const struct exec *x)
{
	if (x->remote.code == TTRPC_NOT_FOUND)
		return TOOL_NOT_FOUND;
	if (x->remote.code == TTRPC_PERMISSION_DENIED)
		return TOOL_NOT_EXECUTABLE;
	return TOOL_CANNOT_RUN;
}

static void forget(struct exec *x)
{
	TaskProcessRequest m = TASK_PROCESS_REQUEST__INIT;
	struct err e;

	m.id = x->remote.container;
	m.exec_id = pb_text(x->exec_id);
	/* The shim forgets it by itself, later. */
	(void)remote_ask(&x->remote, "Delete", &m.base, NULL, NULL, NULL,
			 REMOTE_CALL_MS, &e);
}

static int start(struct exec *x, struct err *e)
{
	TaskProcessRequest m = TASK_PROCESS_REQUEST__INIT;
	int r = put_exec(x, e);

	if (r < 0) {
		x->code = TOOL_CANNOT_RUN;
		return r;
	}
	m.id = x->remote.container;
	m.exec_id = pb_text(x->exec_id);
	r = remote_ask(&x->remote, "Start", &m.base, NULL, NULL, NULL, START_MS,
		       e);
	if (r < 0) {
		x->code = start_failed(x);
		forget(x);
	}
	return r;
}

static int open_streams(struct exec *x, struct err *e)
{
	const bool wanted[MSG_STDIO] = {
		[MSG_STDIN] = !x->no_stdin &&
			      (x->interactive || !isatty(STDIN_FILENO)),
		[MSG_STDOUT] = true,
		[MSG_STDERR] = !x->tty,
	};

	x->io.loop = x->remote.loop;
	x->io.input_ended = on_input_ended;
	x->io.output_ended = on_output_ended;
	x->io.ctx = x;
	return exec_io_init(&x->io, x->remote.dir, wanted, e);
}

/* From a started process to its exit code. */
static int follow(struct exec *x, struct err *e)
{
	int r = watch_signals(x, e);

	if (r == 0 && x->tty && isatty(STDIN_FILENO) && !x->no_stdin &&
	    tty_raw(STDIN_FILENO, e) < 0)
		(void)fprintf(stderr, "ferry: %s\n", e->text);
	if (r == 0)
		r = wait_for_exit(x, e);
	if (r == 0) {
		resize(x);
		r = loop_run(x->remote.loop, e);
	}
	tty_restore();
	return r;
}

static void release(struct exec *x)
{
	exec_io_done(&x->io);
	if (x->remote.loop) {
		loop_unwatch(x->remote.loop, &x->signal_watch);
		loop_cancel(x->remote.loop, &x->linger);
	}
	fd_close(&x->signal_fd);
	remote_close(&x->remote);
	free(x->env.item);
	free(x->command.item);
}

static int run_exec(struct exec *x)
{
	struct err e;
	int r = remote_open_in(x->target, &x->remote, &e);

	x->code = TOOL_CANNOT_RUN;
	if (r == 0)
		r = make_id(x, &e);
	if (r == 0 && !x->detach)
		r = open_streams(x, &e);
	if (r == 0)
		r = start(x, &e);
	if (r == 0 && x->detach) {
		(void)printf("%s\n", x->exec_id);
		x->code = TOOL_OK;
	} else if (r == 0) {
		r = follow(x, &e);
		if (r == 0 && x->exited)
			forget(x);
	}
	if (r < 0)
		complain(&e);
	return x->code;
}

static void on_state(void *ctx, const ProtobufCMessage *m)
{
	struct exec *x = ctx;

	x->tty = ((const TaskStateResponse *)(const void *)m)->terminal;
}

static int attach(struct exec *x, struct err *e)
{
	TaskProcessRequest which = TASK_PROCESS_REQUEST__INIT;
	FerryAttachRequest m = FERRY_ATTACH_REQUEST__INIT;
	int r;

	which.id = m.id = x->remote.container;
	which.exec_id = m.exec_id = pb_text(x->exec_id);
	r = remote_ask(&x->remote, "State", &which.base,
		       &task_state_response__descriptor, on_state, x,
		       REMOTE_CALL_MS, e);
	x->interactive = true;
	if (r == 0)
		r = open_streams(x, e);
	if (r < 0)
		return r;
	m.stdin = x->io.path[MSG_STDIN];
	m.stdout = x->io.path[MSG_STDOUT];
	m.stderr = x->io.path[MSG_STDERR];
	return remote_ask(&x->remote, "Attach", &m.base, NULL, NULL, NULL,
			  REMOTE_CALL_MS, e);
}

static int run_attach(struct exec *x)
{
	struct err e;
	int r = remote_open_in(x->target, &x->remote, &e);

	x->code = TOOL_CANNOT_RUN;
	if (r == 0)
		r = attach(x, &e);
	if (r == 0)
		r = follow(x, &e);
	if (r < 0)
		complain(&e);
	return x->code;
}

/* --- the commands ------------------------------------------------------------------------ */

static int tool_either(int argc, char **argv,
		       int (*parse)(struct exec *x, int argc, char **argv),
		       int (*run)(struct exec *x))
{
	struct exec x = {
		.signal_fd = -1,
		.workdir = "",
		/* There are fewer of either than words. */
		.env.item = calloc((size_t)argc + RUN_ARGS_ENV_DEFAULTS,
				   sizeof(struct msg_pair)),
		.command.item = calloc((size_t)argc, sizeof(const char *)),
	};
	int code = TOOL_CANNOT_RUN;

	if (!x.env.item || !x.command.item) {
		(void)fputs("ferry: out of memory\n", stderr);
	} else {
		code = parse(&x, argc, argv);
		if (code < 0)
			code = run(&x);
	}
	release(&x);
	return code;
}

int tool_exec(int argc, char **argv)
{
	return tool_either(argc, argv, exec_parse, run_exec);
}

int tool_attach(int argc, char **argv)
{
	return tool_either(argc, argv, attach_parse, run_attach);
}
