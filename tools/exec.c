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
#include <getopt.h>
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
#include "tools/exec_io.h"
#include "tools/remote.h"
#include "tools/run_args.h"
#include "tools/shim/shim.h"
#include "tools/shim/spec.h"
#include "tools/tool.h"
#include "tools/tty.h"

#define EXIT_SIGNAL 128
/* Starting a program, in a guest that has much to do. */
#define START_MS 70000
/* Output that something keeps open behind the exit. */
#define LINGER_MS 12000

static const char exec_help[] =
	"usage: ferry exec [OPTION...] SANDBOX[/CONTAINER] [--] COMMAND [ARG...]\n"
	"\n"
	"Runs COMMAND in a running sandbox and ends with its exit code.\n"
	"\n"
	"  -t, --tty           COMMAND gets a terminal; implies -i\n"
	"  -i, --interactive   COMMAND gets stdin even from a terminal\n"
	"  -d, --detach        print the id of the process and end\n"
	"  --env KEY=VALUE     a variable for COMMAND; repeatable\n"
	"  --workdir DIR       working directory of COMMAND\n"
	"  --id ID             id of the process, for attach, kill and ps\n"
	"\n"
	"Exit code: that of COMMAND; 125 ferry failed, 126 COMMAND is not\n"
	"executable, 127 it was not found, 2 bad usage.\n";

static const char attach_help[] =
	"usage: ferry attach [OPTION...] SANDBOX[/CONTAINER] [ID]\n"
	"\n"
	"Takes over the streams of a process of a running sandbox and ends with\n"
	"its exit code. Without ID: the command of 'ferry run --detach'.\n"
	"\n"
	"  --no-stdin          leave its input alone\n"
	"\n"
	"Exit code: that of the process; 125 ferry failed, 2 bad usage.\n";

enum option_id { OPT_ENV = 256, OPT_WORKDIR, OPT_ID, OPT_NO_STDIN };

static const struct option exec_options[] = {
	{ "tty", no_argument, NULL, 't' },
	{ "interactive", no_argument, NULL, 'i' },
	{ "detach", no_argument, NULL, 'd' },
	{ "env", required_argument, NULL, OPT_ENV },
	{ "workdir", required_argument, NULL, OPT_WORKDIR },
	{ "id", required_argument, NULL, OPT_ID },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static const struct option attach_options[] = {
	{ "no-stdin", no_argument, NULL, OPT_NO_STDIN },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* What the user may send while we run. */
static const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH };

struct exec {
	const char *target;
	const char *exec_id;
	char made_id[24];
	bool tty;
	bool interactive;
	bool detach;
	bool no_stdin;
	const char *workdir;
	struct msg_pairs env;
	struct msg_strings command;
	struct remote remote;
	struct exec_io io;
	int signal_fd;
	struct loop_id signal_watch;
	struct loop_id linger;
	int interrupts;
	bool exited;
	bool decided;
	int code;
};

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
	m.exec_id = remote_text(x->exec_id);
	m.height = height;
	m.width = width;
	ask_only(x, "ResizePty", &m.base);
}

static void on_input_ended(void *ctx)
{
	struct exec *x = ctx;
	TaskCloseIORequest m = TASK_CLOSE_IOREQUEST__INIT;

	m.id = x->remote.container;
	m.exec_id = remote_text(x->exec_id);
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
	m.exec_id = remote_text(x->exec_id);
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
	m.exec_id = remote_text(x->exec_id);
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
	r = shim_spec_put(&spec, &x->env, &document, e);
	if (r == 0) {
		any.type_url = remote_text(SPEC_PROCESS_URL);
		any.value.data = (uint8_t *)document.buf;
		any.value.len = document.len;
		m.id = x->remote.container;
		m.exec_id = remote_text(x->exec_id);
		m.terminal = x->tty;
		m.stdin = x->io.path[MSG_STDIN];
		m.stdout = x->io.path[MSG_STDOUT];
		m.stderr = x->io.path[MSG_STDERR];
		if (x->detach) {
			m.stdin = remote_text(x->interactive ? "-" : "");
			m.stdout = remote_text("-");
			m.stderr = remote_text(x->tty ? "" : "-");
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
	m.exec_id = remote_text(x->exec_id);
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
	m.exec_id = remote_text(x->exec_id);
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
	int r = remote_open(x->target, &x->remote, &e);

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
	which.exec_id = m.exec_id = remote_text(x->exec_id);
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
	int r = remote_open(x->target, &x->remote, &e);

	x->code = TOOL_CANNOT_RUN;
	if (r == 0)
		r = attach(x, &e);
	if (r == 0)
		r = follow(x, &e);
	if (r < 0)
		complain(&e);
	return x->code;
}

/* --- arguments ------------------------------------------------------------------------------------ */

/* Return: -1: go on, else the exit code. */
static int parse_exec(struct exec *x, int argc, char **argv)
{
	struct err e;
	int id;

	optind = 0;
	while ((id = getopt_long(argc, argv, "+tidh", exec_options, NULL)) !=
	       -1) {
		switch (id) {
		case 't':
			x->tty = x->interactive = true;
			break;
		case 'i':
			x->interactive = true;
			break;
		case 'd':
			x->detach = true;
			break;
		case OPT_ENV:
			if (run_args_env(optarg, &x->env, &e) < 0)
				return tool_usage("exec", "--env: %s", e.text);
			break;
		case OPT_WORKDIR:
			x->workdir = optarg;
			break;
		case OPT_ID:
			x->exec_id = optarg;
			break;
		case 'h':
			(void)fputs(exec_help, stdout);
			return TOOL_OK;
		default:
			(void)fputs("Try 'ferry exec --help'.\n", stderr);
			return TOOL_USAGE;
		}
	}
	if (optind < argc)
		x->target = argv[optind++];
	if (optind < argc && strcmp(argv[optind], "--") == 0)
		optind++;
	while (optind < argc)
		x->command.item[x->command.n++] = argv[optind++];
	if (!x->target)
		return tool_usage("exec", "no sandbox");
	if (x->command.n == 0)
		return tool_usage("exec", "no command");
	run_args_env_defaults(&x->env, x->tty);
	if (run_args_check(&x->command, &x->env, x->workdir, &e) < 0)
		return tool_usage("exec", "%s", e.text);
	return -1;
}

static int parse_attach(struct exec *x, int argc, char **argv)
{
	int id;

	optind = 0;
	while ((id = getopt_long(argc, argv, "+h", attach_options, NULL)) !=
	       -1) {
		if (id == 'h') {
			(void)fputs(attach_help, stdout);
			return TOOL_OK;
		}
		if (id != OPT_NO_STDIN) {
			(void)fputs("Try 'ferry attach --help'.\n", stderr);
			return TOOL_USAGE;
		}
		x->no_stdin = true;
	}
	if (optind < argc)
		x->target = argv[optind++];
	x->exec_id = optind < argc ? argv[optind++] : SHIM_MAIN;
	if (!x->target || optind < argc)
		return tool_usage("attach",
				  x->target ? "too many words" : "no sandbox");
	return -1;
}

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
	return tool_either(argc, argv, parse_exec, run_exec);
}

int tool_attach(int argc, char **argv)
{
	return tool_either(argc, argv, parse_attach, run_attach);
}
