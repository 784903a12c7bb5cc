#include "tools/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "config/annotation_lock.h"
#include "config/util.h"
#include "tools/qemu/listener.h"
#include "tools/shim/debug.h"
#include "tools/shim/machine.h"
#include "tools/shim/move_service.h"
#include "tools/shim/spec.h"
#include "tools/shim/task_service.h"

/* Answers have this long to leave when all has ended. */
#define FAREWELL_MS 1000
#define FAREWELL_LOOK_MS 5
/* And an orchestrator to say that it has seen how the move ended. */
#define FAREWELL_MOVE_MS 10000
/* Clients that may knock at once. */
#define SHIM_BACKLOG 128
/* Between two pieces of a file that is summed. */
#define SUM_MS 1
/* Sockets of a folder have short names, see RUNDIR_MAX. */
#define PATH_SIZE (RUNDIR_MAX + 16)

const char *shim_state_name(enum shim_state state)
{
	static const char *const names[] = {
		[SHIM_BOOTING] = "booting",
		[SHIM_READY] = "ready",
		[SHIM_ENDING] = "ending",
		[SHIM_MOVING] = "moving",
	};

	static_assert(ARRAY_LEN(names) == SHIM_STATES, "a state has no name");
	return names[state];
}

enum shim_state shim_state_told(const struct shim *s)
{
	const enum vm_state vm = s->tasks.ctl.vm.state;
	const bool held =
		vm >= VM_SOURCE_INITIALIZED && vm <= VM_TRANSFER_COMPLETED;

	return s->state != SHIM_ENDING && s->migration.there && held
		       ? SHIM_MOVING
		       : s->state;
}

/* --- the verdict for the starter ------------------------------------------------------ */

/* Nothing: ready; else a code and words. */
static void verdict(struct shim *s, const struct err *e)
{
	char line[ERR_TEXT_MAX + 16];
	int n = 0;

	if (s->ready_fd < 0)
		return;
	if (s->loop)
		loop_unwatch(s->loop, &s->ready_watch);
	n = e ? snprintf(line, sizeof(line), "%d %s", e->code, e->text)
	      : snprintf(line, sizeof(line), "ready");
	/* A starter that has gone is seen by its watch. */
	(void)fd_write_full(s->ready_fd, line, (size_t)n);
	fd_close(&s->ready_fd);
}

static void on_starter_gone(void *ctx, uint32_t events UNUSED)
{
	struct shim *s = ctx;

	log_info("who started the sandbox has gone before it was ready");
	loop_unwatch(s->loop, &s->ready_watch);
	fd_close(&s->ready_fd);
	shim_stop(s, true);
}

/* --- the end ---------------------------------------------------------------------------- */

static void on_sandbox_ended(void *ctx, const struct err *why);

void shim_stop(struct shim *s, bool force)
{
	s->state = SHIM_ENDING;
	if (s->ended)
		return;
	s->forced |= force;
	if (!s->sandbox) /* a destination that nobody came to */
		on_sandbox_ended(s, NULL);
	else if (force)
		sandbox_kill(s->sandbox);
	else
		sandbox_shutdown(s->sandbox);
}

static void on_farewell(void *ctx)
{
	struct shim *s = ctx;
	const int64_t now = loop_now_ms(s->loop);

	const bool moves = s->migration.there && !s->migration.seen &&
			   s->migration.session.state != SESSION_IDLE;

	if ((moves || !ttrpc_server_idle(s->server) ||
	     !events_empty(s->events)) &&
	    now < s->end_limit_ms + (moves ? FAREWELL_MOVE_MS : 0) &&
	    loop_at(s->loop, now + FAREWELL_LOOK_MS, on_farewell, s,
		    &s->end_timer, NULL) == 0)
		return;
	loop_stop(s->loop);
}

static void answer_stops(struct shim *s);

/* Everything that waits is answered; then the loop has only to send. */
static void farewell(void *ctx)
{
	struct shim *s = ctx;

	uvm_procs_done(&s->procs);
	shim_tasks_ended(&s->tasks);
	answer_stops(s);
	s->end_limit_ms = loop_now_ms(s->loop) + FAREWELL_MS;
	on_farewell(s);
}

/* The reason, and where more about it is to be found. */
static void end_unasked(struct shim *s, const struct err *why)
{
	log_err("the sandbox has ended: %s", why->text);
	s->failed = true;
	s->why = *why;
	shim_debug_leave(s, sandbox_end_word(s->sandbox), why->text);
	shim_debug_refer(s, why->text, s->why.text, sizeof(s->why.text));
}

/* It was moved away, or never came; a QEMU that went by itself is noted. */
static void note_move_away(struct shim *s, const struct err *why)
{
	if (why && why->code != ECANCELED && !s->forced && !s->left[0])
		shim_debug_leave(s, REMAINS_MOVE, why->text);
	s->forced = true;
}

static void on_sandbox_ended(void *ctx, const struct err *why)
{
	struct shim *s = ctx;

	const bool ours = move_is_ours(s);

	s->state = SHIM_ENDING;
	s->ended = true;
	if (s->migration.there && s->migration.session.state != SESSION_IDLE &&
	    !(ours && s->migration.session.origin == SESSION_DESTINATION))
		note_move_away(s, why);
	if (why && !s->forced) {
		end_unasked(s, why);
		verdict(s, &s->why);
	} else {
		log_info("the sandbox has ended%s%s", why ? ": " : "",
			 why ? why->text : "");
		(void)err_set(&s->why, ECANCELED, "stopped");
		verdict(s, &s->why);
	}
	if (loop_at(s->loop, loop_now_ms(s->loop), farewell, s, &s->end_timer,
		    NULL) < 0)
		loop_stop(s->loop);
}

/* --- the sandbox -------------------------------------------------------------------------- */

static void on_main_started(struct op *op UNUSED, int result,
			    const struct err *e)
{
	struct shim *s = op->ctx;

	if (result == 0) {
		verdict(s, NULL);
		return;
	}
	verdict(s, e);
	shim_stop(s, false);
}

/* The command that came with ferry run --detach. */
static int start_main(struct shim *s, struct err *e)
{
	static struct op op; /* one shim is one process */
	struct uvm_proc *p = uvm_proc_find(&s->procs, SHIM_MAIN);

	op = (struct op){ .done = on_main_started, .ctx = s };
	return uvm_proc_start(p, sandbox_client(s->sandbox), &op, e);
}

/* --- what a move compares ----------------------------------------------------------------- */

/* A piece a turn, and then everybody else. */
static void on_sum(void *ctx)
{
	struct shim *s = ctx;
	struct file_sum *f = s->machine.file;
	int i = 0;

	while (i < MACHINE_FILES && !file_sum_step(&f[i]))
		i++;
	/* What is left without a timer is done when it is asked for. */
	if (i < MACHINE_FILES)
		(void)loop_at(s->loop, loop_now_ms(s->loop) + SUM_MS, on_sum, s,
			      &s->sum_timer, NULL);
}

/* Opened before QEMU reads them, summed when there is time. */
static void open_files(struct shim *s)
{
	file_sum_open(&s->machine.file[MACHINE_KERNEL], s->launch->kernel);
	file_sum_open(&s->machine.file[MACHINE_IMAGE], s->launch->image);
}

static void on_identity(void *ctx, const struct vm_identity *id)
{
	struct shim *s = ctx;
	struct err e;

	s->machine.id = *id;
	if (!s->birth->incoming)
		return;
	ops_waiting(s->tasks.ops, machine_is_right(s, &e) < 0 ? &e : NULL);
}

static void on_waiting(void *ctx)
{
	struct shim *s = ctx;
	struct err e;

	if (vm_identity_ask(vm_qmp(sandbox_vm(s->sandbox)), on_identity, s,
			    &e) < 0 &&
	    s->birth->incoming)
		ops_waiting(s->tasks.ops, &e);
}

static void on_ready(void *ctx)
{
	struct shim *s = ctx;
	struct err e;

	s->state = SHIM_READY;
	log_info("the sandbox is ready");
	watch_begin(&s->watch, s);
	on_sum(s);
	if (s->birth->incoming) {
		shim_migration_arrived(&s->migration);
		uvm_procs_arrived(&s->procs, sandbox_client(s->sandbox));
		shim_tasks_arrived(&s->tasks);
		return;
	}
	if (shim_tasks_ready(&s->tasks, s->sandbox, &e) < 0)
		log_err("containers cannot be run: %s", e.text);
	if (s->launch->args.command.n == 0) {
		verdict(s, NULL);
	} else if (start_main(s, &e) < 0) {
		verdict(s, &e);
		shim_stop(s, false);
	}
}

static void on_log(void *ctx, const struct host_log_line *line)
{
	struct shim *s = ctx;

	if (!shim_log_hears(&s->log, loop_now_ms(s->loop)))
		return;
	log_write(&(struct log_site){ 0 }, line->level, "uvm: %s", line->msg);
}

/* The command as a document, so that there is one way to make a process. */
static int prepare_main(struct shim *s, struct err *e)
{
	const struct run_args *a = &s->launch->args;
	const struct shim_spec command = {
		.args = a->command,
		.cwd = a->workdir,
	};
	struct uvm_spec spec = {
		.exec_id = SHIM_MAIN,
		.path = { "", "-", "-" },
	};
	struct uvm_proc *p = NULL;
	struct text document;
	int r;

	if (a->command.n == 0)
		return 0;
	r = shim_spec_put(&command, &a->env, &document, e);
	if (r == 0) {
		spec.document = text_str(&document);
		spec.document_len = document.len;
		r = uvm_proc_new(&s->procs, &spec, &p, e);
	}
	text_done(&document);
	return r;
}

static void on_signal(void *ctx, uint32_t events UNUSED)
{
	struct shim *s = ctx;
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) ==
	       (ssize_t)sizeof(info)) {
		log_info("signal %u of process %u: the sandbox is stopped",
			 info.ssi_signo, info.ssi_pid);
		shim_stop(s, s->state == SHIM_ENDING);
	}
}

static int watch_signals(struct shim *s, struct err *e)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_sys(e, "block signals");
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd < 0)
		return err_sys(e, "signalfd");
	return loop_watch(s->loop, s->signal_fd, EPOLLIN, on_signal, s,
			  &s->signal_watch, e);
}

/* Our own socket, or a link to that of containerd, so that one rule finds it. */
static int listen_here(struct shim *s, int *ret, struct err *e)
{
	char path[PATH_SIZE];
	int r;

	(void)snprintf(path, sizeof(path), "%s/" SHIM_SOCKET, s->dir.path);
	if (s->birth->listen_fd >= 0) {
		if (symlink(s->birth->socket, path) < 0)
			return err_sys(e, "%s", path);
		*ret = fcntl(s->birth->listen_fd, F_DUPFD_CLOEXEC, 3);
		return *ret < 0 ? err_sys(e, "socket of containerd") : 0;
	}
	r = listener_open(path, ret, e);
	if (r == 0 && chmod(path, 0600) < 0)
		return err_sys(e, "%s", path);
	return r;
}

static int serve(struct shim *s, struct err *e)
{
	cleanup_fd fd = -1;
	int r = listen_here(s, &fd, e);

	if (r < 0)
		return r;
	if (listen(fd, SHIM_BACKLOG) < 0)
		return err_sys(e, "listen");
	r = ttrpc_server_new(s->loop, fd, &s->server, e);
	if (r < 0)
		return r;
	(void)fd_take(&fd);
	r = ttrpc_server_add(s->server, &shim_ferry_service, s, e);
	if (r == 0)
		r = ttrpc_server_add(s->server, &shim_task_service, s, e);
	if (r == 0)
		r = ttrpc_server_add(s->server, &shim_migration_service, s, e);
	if (r == 0 && s->birth->events)
		r = events_new(s->loop, s->birth->events, s->birth->name_space,
			       &s->events, e);
	return r;
}

static int open_log(struct shim *s, struct err *e)
{
	const int r = shim_log_open(&s->log, s->dir.lock, e);

	if (r < 0)
		return r;
	log_setup(s->log.fd, LOG_FORM_JSON,
		  s->launch->args.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	shim_debug_crash(s->log.fd);
	return 0;
}

static void on_moved(void *ctx, enum vm_move_note note, uint64_t number)
{
	struct shim *s = ctx;

	shim_migration_note(&s->migration, note, number);
}

static void configure(struct shim *s)
{
	s->config = launch_sandbox(s->launch, s->loop);
	s->config.scsi = QEMU_SCSI_MAX;
	s->config.nics = QEMU_NICS_MAX;
	s->config.console_fd = s->launch->args.console ? s->log.fd : -1;
	s->config.ready = on_ready;
	s->config.waiting = on_waiting;
	s->config.moved = on_moved;
	s->config.log = on_log;
	s->config.ended = on_sandbox_ended;
	s->config.ctx = s;
}

int shim_make(struct shim *s, const struct vmm_config *c, struct sandbox **ret,
	      struct err *e)
{
	int r = machine_take(s, c, e);

	if (r < 0)
		return r;
	configure(s);
	s->config.incoming = true;
	s->config.machine = s->machine.wanted;
	if (c->session_len > 0) {
		s->config.saved = c->session;
		s->config.saved_len = c->session_len;
	}
	r = sandbox_new(&s->config, &s->sandbox, e);
	if (r == 0)
		*ret = s->sandbox;
	return r;
}

static void on_unwanted(void *ctx)
{
	struct shim *s = ctx;

	if (move_is_ours(s))
		return;
	log_warn("nobody moves a sandbox here any more");
	s->migration.seen = true; /* as far as anybody will */
	shim_stop(s, true);
}

static int start(struct shim *s, struct err *e)
{
	int r = rundir_named(rundir_base(), s->name, &s->dir, e);

	if (r == 0)
		r = open_log(s, e);
	if (r == 0)
		r = loop_new(&s->loop, e);
	if (r < 0)
		return r;
	s->procs.loop = s->loop;
	s->tasks.shim = s;
	if (s->ready_fd >= 0)
		r = loop_watch(s->loop, s->ready_fd, 0, on_starter_gone, s,
			       &s->ready_watch, e);
	if (r == 0 && s->launch->options.migratable && !s->birth->incoming)
		r = annotation_lock_take(&s->launch->options, &s->lock, e);
	if (r == 0)
		r = watch_signals(s, e);
	if (r == 0)
		r = prepare_main(s, e);
	if (r == 0)
		r = serve(s, e);
	if (r < 0)
		return r;
	if (s->birth->incoming || s->launch->options.migratable)
		open_files(s);
	if (s->birth->incoming) {
		on_sum(s);
		r = shim_tasks_wait(&s->tasks, e);
		if (r == 0)
			shim_migration_expect(&s->migration, on_unwanted, s);
		verdict(s, r < 0 ? e : NULL);
		return r;
	}
	configure(s);
	r = sandbox_new(&s->config, &s->sandbox, e);
	if (r == 0 && s->birth->of_containerd)
		verdict(s, NULL);
	return r;
}

static void finish(struct shim *s)
{
	uvm_procs_done(&s->procs);
	shim_tasks_ended(&s->tasks);
	sandbox_free(s->sandbox);
	shim_migration_done(&s->migration);
	shim_tasks_done(&s->tasks);
	events_free(s->events);
	ttrpc_server_free(s->server);
	watch_end(&s->watch);
	if (s->loop) {
		loop_unwatch(s->loop, &s->signal_watch);
		loop_unwatch(s->loop, &s->ready_watch);
		loop_cancel(s->loop, &s->end_timer);
		loop_cancel(s->loop, &s->sum_timer);
	}
	file_sum_done(&s->machine.file[MACHINE_KERNEL]);
	file_sum_done(&s->machine.file[MACHINE_IMAGE]);
	loop_free(s->loop);
	fd_close(&s->signal_fd);
	fd_close(&s->ready_fd);
	annotation_map_done(&s->lock);
	free(s->stops);
	if (s->birth->socket)
		(void)unlink(s->birth->socket); /* nobody answers there now */
	rundir_done(&s->dir);
	log_setup(STDERR_FILENO, LOG_FORM_TEXT, LOG_LEVEL_ERR);
	shim_log_done(&s->log);
}

static void answer_stops(struct shim *s)
{
	for (size_t i = 0; i < s->n_stops; i++)
		if (s->failed)
			ttrpc_fail(s->stops[i], TTRPC_UNKNOWN, "%s",
				   s->why.text);
		else
			ttrpc_reply(s->stops[i], NULL);
	s->n_stops = 0;
}

void shim_run(struct launch *l, const struct shim_birth *birth, int ready_fd)
{
	struct shim s = {
		.launch = l,
		.birth = birth,
		.name = birth->name,
		.dir = RUNDIR_NONE,
		.log = SHIM_LOG_NONE,
		.signal_fd = -1,
		.ready_fd = ready_fd,
		.started_ns = clock_wall_ns(),
	};
	struct err e;

	annotation_map_init(&s.lock);
	file_sum_none(&s.machine.file[MACHINE_KERNEL]);
	file_sum_none(&s.machine.file[MACHINE_IMAGE]);
	if (start(&s, &e) < 0) {
		verdict(&s, &e);
	} else if (loop_run(s.loop, &e) < 0) {
		log_err("%s", e.text);
		verdict(&s, &e);
	}
	finish(&s);
}
