/*
 * tools/run.c - ferry run: annotations to a command running in a UVM
 *
 * Theory of operation. Options are checked and made into a line before
 * anything is started. Then one loop runs until the sandbox has ended:
 *
 *	sandbox ready -> start the command -> it ended: its code is the result
 *	-> shut the sandbox down -> sandbox ended -> stop the loop
 *
 * Whatever goes wrong on the way sets the result, if there is none yet, and
 * ends the sandbox; there is no other way out of the loop. The terminal is raw
 * only while the command runs.
 */
#include "tools/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "bridge/host/calls.h"
#include "bridge/host/process.h"
#include "bridge/hresult.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "config/util.h"
#include "tools/launch.h"
#include "tools/pod_plan.h"
#include "tools/pod_run.h"
#include "tools/report.h"
#include "tools/run_detach.h"
#include "tools/sandbox.h"
#include "tools/start_code.h"
#include "tools/tool.h"
#include "tools/tty.h"

/* As timeout(1) has it. */
#define EXIT_TIMEOUT 124
#define EXIT_SIGNAL 128
/* Commands that cannot be started are told at once by the guest. */
#define START_MS 60000

/*
 * A command that SIGTERM or SIGHUP does not end (an interactive shell ignores
 * the first) has this long before all ends; nobody may be there to ask twice.
 */
#define FINISH_MS 10000

/* What the user may send while ferry runs. */
static const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH };

struct run {
	struct launch launch;
	struct report report;
	struct loop *loop;
	struct sandbox_config config;
	struct sandbox *sandbox;
	struct host_process *process;
	struct pod_plan plan; /* of --bundle and --pod */
	bool has_plan;
	struct pod_run *pod;
	bool running; /* the guest has started the command */
	int signal_fd;
	struct loop_id signal_watch;
	struct loop_id timer;
	int interrupts;
	int signal; /* the first one that asked for the end */
	struct loop_id finish_timer;
	bool decided;
	int code;
};

/* The first result counts. */
static void decide(struct run *run, int code)
{
	if (!run->decided)
		run->code = code;
	run->decided = true;
}

static void give_up(struct run *run, int code, const struct err *why)
{
	tty_restore();
	if (!run->decided)
		report_error(&run->report, why);
	decide(run, code);
	sandbox_shutdown(run->sandbox);
}

/* --- the command ---------------------------------------------------------- */

static void resize(struct run *run)
{
	const struct host_done nobody = { 0 };
	uint16_t height = 0;
	uint16_t width = 0;
	struct err e;

	if (!tty_size(STDIN_FILENO, &height, &width) &&
	    !tty_size(STDOUT_FILENO, &height, &width))
		return;
	if (run->pod)
		pod_run_resize(run->pod, height, width);
	else if (run->launch.args.tty && run->running && run->process)
		(void)host_process_resize(run->process, height, width, &nobody,
					  &e); /* it may have ended just now */
}

static void on_started(void *ctx, uint32_t pid UNUSED)
{
	struct run *run = ctx;
	struct err e;

	run->running = true;
	report_phase(&run->report, "process-started");
	if (run->launch.args.tty && isatty(STDIN_FILENO) &&
	    tty_raw(STDIN_FILENO, &e) < 0)
		report_warning(&run->report, e.text);
	resize(run);
}

/* What the end of the command means for the sandbox. */
static void command_ended(struct run *run, const struct host_process_end *end)
{
	struct err e;

	if (!end->exited) {
		e = end->failure->err;
		give_up(run,
			end->started ? TOOL_CANNOT_RUN
				     : start_code(end->failure),
			&e);
		return;
	}
	report_phase(&run->report, "exit");
	if (end->output_cut) {
		(void)err_set(&e, EIO,
			      "the command's output could not all be written");
		give_up(run, TOOL_CANNOT_RUN, &e);
		return;
	}
	if (end->output_held)
		report_warning(
			&run->report,
			"something that the command left behind keeps its output open; closed");
	decide(run, (int)(end->code & 0xff));
	sandbox_shutdown(run->sandbox);
}

/* @end belongs to the process, which is freed behind its last use. */
static void on_process_ended(void *ctx, const struct host_process_end *end)
{
	struct run *run = ctx;
	struct host_process *ended = run->process;

	run->process = NULL;
	tty_restore();
	command_ended(run, end);
	host_process_free(ended);
}

/* Without a terminal for the command every stream is its own. */
static void streams(const struct run *run, int fd[MSG_STDIO])
{
	const bool in = run->launch.args.interactive || !isatty(STDIN_FILENO);

	fd[MSG_STDIN] = in ? STDIN_FILENO : -1;
	fd[MSG_STDOUT] = STDOUT_FILENO;
	fd[MSG_STDERR] = run->launch.args.tty ? -1 : STDERR_FILENO;
}

static void start_command(struct run *run)
{
	struct msg_process_parameters p = {
		.command_args = run->launch.args.command,
		.command_line = "",
		.working_directory = run->launch.args.workdir,
		.environment = run->launch.args.env,
		.emulate_console = run->launch.args.tty,
		.create_in_utility_vm = true,
	};
	struct host_process_config config = {
		.parameters = &p,
		.start_timeout_ms = START_MS,
		.started = on_started,
		.ended = on_process_ended,
		.ctx = run,
	};
	struct err e;

	streams(run, config.fd);
	if (run->launch.args.tty &&
	    !tty_size(STDIN_FILENO, &p.console_size[0], &p.console_size[1]))
		(void)tty_size(STDOUT_FILENO, &p.console_size[0],
			       &p.console_size[1]);
	if (host_process_start(sandbox_client(run->sandbox), &config,
			       &run->process, &e) < 0) {
		(void)err_wrap(&e, "start the command");
		give_up(run, TOOL_CANNOT_RUN, &e);
	}
}

/* --- containers --------------------------------------------------------------- */

static void on_pod_started(void *ctx, bool terminal)
{
	struct run *run = ctx;
	struct err e;

	if (terminal && isatty(STDIN_FILENO) && tty_raw(STDIN_FILENO, &e) < 0)
		report_warning(&run->report, e.text);
	resize(run);
}

static void on_pod_ended(void *ctx, int code)
{
	struct run *run = ctx;

	tty_restore();
	report_phase(&run->report, "exit");
	decide(run, code);
	sandbox_shutdown(run->sandbox);
}

static void on_pod_failed(void *ctx, int code, const struct err *why)
{
	struct run *run = ctx;

	report_progress_end(&run->report);
	give_up(run, code, why);
}

static int plan_pod(struct run *run, struct err *e)
{
	const struct run_args *a = &run->launch.args;
	const struct pod_container one = {
		.name = RUN_CONTAINER,
		.bundle = a->bundle,
		.args = a->command,
		.env = a->env,
		.cwd = a->workdir,
		.output = "",
		.scratch_mib = a->scratch_mib,
	};

	run->has_plan = true;
	return a->pod ? pod_plan_read(a->pod, &run->plan, e)
		      : pod_plan_one(&one, a->network, &run->plan, e);
}

/* What is to be run in the UVM, when it is more than a command. */
static int prepare_pod(struct run *run, struct err *e)
{
	const struct run_args *a = &run->launch.args;
	struct pod_run_config c = {
		.loop = run->loop,
		.plan = &run->plan,
		.report = &run->report,
		.fs = a->fs,
		.tty = a->tty,
		.interactive = a->interactive,
		.started = on_pod_started,
		.ended = on_pod_ended,
		.failed = on_pod_failed,
		.ctx = run,
	};
	int r;

	if (!a->bundle && !a->pod)
		return 0;
	if (!tty_size(STDIN_FILENO, &c.height, &c.width))
		(void)tty_size(STDOUT_FILENO, &c.height, &c.width);
	r = plan_pod(run, e);
	if (r == 0)
		r = pod_run_new(&c, &run->pod, e);
	return r;
}

static void on_ready(void *ctx)
{
	struct run *run = ctx;

	if (run->pod)
		pod_run_ready(run->pod, run->sandbox);
	else
		start_command(run);
}

/* --- the sandbox ----------------------------------------------------------- */

static void on_phase(void *ctx, enum sandbox_phase phase)
{
	struct run *run = ctx;

	report_phase(&run->report, sandbox_phase_name(phase));
}

static void on_log(void *ctx, const struct host_log_line *line)
{
	static const char *const levels[LOG_LEVELS] = {
		[LOG_LEVEL_ERR] = "error",
		[LOG_LEVEL_WARN] = "warning",
		[LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug",
	};
	const struct run *run = ctx;

	report_log(&run->report, levels[line->level], line->msg);
}

static void on_sandbox_ended(void *ctx, const struct err *why)
{
	struct run *run = ctx;

	host_process_free(run->process);
	run->process = NULL;
	if (run->pod)
		pod_run_ended(run->pod);
	report_progress_end(&run->report);
	tty_restore();
	if (why && run->decided)
		report_warning(&run->report, why->text);
	else if (why)
		report_error(&run->report, why);
	decide(run, TOOL_CANNOT_RUN);
	loop_stop(run->loop);
}

/* --- signals and time -------------------------------------------------------- */

static void end_by_signal(struct run *run, int number)
{
	decide(run, EXIT_SIGNAL + number);
	sandbox_kill(run->sandbox);
}

static void on_not_finished(void *ctx)
{
	struct run *run = ctx;

	end_by_signal(run, run->signal);
}

/* SIGINT and SIGQUIT are the command's to take as it likes, as Ctrl-C is. */
static int limit_finish(struct run *run, int number, struct err *e)
{
	if (number != SIGTERM && number != SIGHUP)
		return 0;
	run->signal = number;
	return loop_at(run->loop, loop_now_ms(run->loop) + FINISH_MS,
		       on_not_finished, run, &run->finish_timer, e);
}

/* To the command or the containers; false: none of them runs. */
static bool forward(struct run *run, int number)
{
	const struct host_done nobody = { 0 };
	struct err e;

	if (run->pod)
		return pod_run_signal(run->pod, number);
	return run->running && run->process &&
	       host_process_signal(run->process, number, &nobody, &e) == 0;
}

/*
 * The first signal is the command's, if there is one that runs; the second one
 * ends everything at once. A command that ended has its code already.
 */
static void interrupt(struct run *run, int number)
{
	struct err e;

	run->interrupts++;
	if (run->interrupts == 1 && forward(run, number) &&
	    limit_finish(run, number, &e) == 0)
		return;
	end_by_signal(run, number);
}

static void on_signal(void *ctx, uint32_t events UNUSED)
{
	struct run *run = ctx;
	struct signalfd_siginfo info;

	while (read(run->signal_fd, &info, sizeof(info)) ==
	       (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGWINCH)
			resize(run);
		else
			interrupt(run, (int)info.ssi_signo);
	}
}

static void on_timeout(void *ctx)
{
	struct run *run = ctx;
	struct err e;

	(void)err_set(&e, ETIMEDOUT, "not done after %u seconds",
		      run->launch.args.timeout_s);
	if (!run->decided)
		report_error(&run->report, &e);
	decide(run, EXIT_TIMEOUT);
	sandbox_kill(run->sandbox);
}

/* Of nohup(1), or of a shell for its background: stays ignored. */
static bool is_ignored(int number)
{
	struct sigaction now;

	return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

static int watch_signals(struct run *run, struct err *e)
{
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(caught); i++)
		if (caught[i] == SIGWINCH || !is_ignored(caught[i]))
			(void)sigaddset(&set, caught[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_sys(e, "block signals");
	run->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->signal_fd < 0)
		return err_sys(e, "signalfd");
	return loop_watch(run->loop, run->signal_fd, EPOLLIN, on_signal, run,
			  &run->signal_watch, e);
}

static int watch_time(struct run *run, struct err *e)
{
	if (run->launch.args.timeout_s == 0)
		return 0;
	return loop_at(run->loop,
		       loop_now_ms(run->loop) +
			       (int64_t)run->launch.args.timeout_s * 1000,
		       on_timeout, run, &run->timer, e);
}

/* --- from beginning to end ----------------------------------------------------- */

static int start(struct run *run, struct err *e)
{
	int r = loop_new(&run->loop, e);

	if (r == 0)
		r = watch_signals(run, e);
	if (r == 0)
		r = watch_time(run, e);
	if (r == 0) {
		r = prepare_pod(run, e);
		if (r < 0)
			decide(run, TOOL_USAGE);
	}
	if (r == 0 && run->pod)
		r = pod_run_disks(run->pod, e);
	if (r < 0)
		return r;
	run->config = launch_sandbox(&run->launch, run->loop);
	if (run->pod)
		pod_run_devices(run->pod, &run->config);
	run->config.console_fd = STDERR_FILENO;
	run->config.phase = on_phase;
	run->config.ready = on_ready;
	run->config.log = on_log;
	run->config.ended = on_sandbox_ended;
	run->config.ctx = run;
	return sandbox_new(&run->config, &run->sandbox, e);
}

static void finish(struct run *run)
{
	host_process_free(run->process);
	if (run->pod)
		pod_run_ended(run->pod);
	sandbox_free(run->sandbox);
	pod_run_free(run->pod);
	if (run->has_plan)
		pod_plan_done(&run->plan);
	tty_restore();
	if (run->loop) {
		loop_unwatch(run->loop, &run->signal_watch);
		loop_cancel(run->loop, &run->timer);
		loop_cancel(run->loop, &run->finish_timer);
	}
	fd_close(&run->signal_fd);
	loop_free(run->loop);
}

/* What the bridge logs is not for the eyes of a command's user. */
static void quiet_log(const struct run *run)
{
	log_setup(STDERR_FILENO,
		  run->launch.args.json ? LOG_FORM_JSON : LOG_FORM_TEXT,
		  run->launch.args.verbose || run->launch.args.json
			  ? LOG_LEVEL_INFO
			  : LOG_LEVEL_ERR);
}

static int run_it(struct run *run)
{
	struct err e;
	int r;

	quiet_log(run);
	if (launch_line(&run->launch, &e) < 0) {
		report_error(&run->report, &e);
		return TOOL_USAGE;
	}
	launch_notes(&run->launch, &run->report);
	r = launch_files(&run->launch, &e);
	if (r == 0)
		report_phase(&run->report, "options");
	if (r == 0 && run->launch.args.detach)
		return run_detach(&run->launch, &run->report);
	if (r == 0)
		r = start(run, &e);
	if (r == 0)
		r = loop_run(run->loop, &e);
	if (r < 0) {
		report_error(&run->report, &e);
		decide(run, TOOL_CANNOT_RUN);
	}
	finish(run);
	report_phase(&run->report, "done");
	report_exit(&run->report, run->code);
	return run->code;
}

int tool_run(int argc, char **argv)
{
	struct run *run = calloc(1, sizeof(*run));
	enum run_args_result args;
	int code;

	if (!run) {
		(void)fputs("ferry: out of memory\n", stderr);
		return TOOL_CANNOT_RUN;
	}
	report_init(&run->report);
	run->signal_fd = -1;
	launch_init(&run->launch);
	args = run_args_parse(argc, argv, &run->launch.args);
	run->report.verbose = run->launch.args.verbose;
	run->report.json = run->launch.args.json;
	if (args == RUN_ARGS_GO)
		code = run_it(run);
	else
		code = args == RUN_ARGS_HELP ? TOOL_OK : TOOL_USAGE;
	launch_done(&run->launch);
	free(run);
	return code;
}
