/*
 * Theory of operation. QEMU connects to a socket that was made before it was
 * started, so QMP comes as one accept. The end is the end of the process, told
 * by its pidfd; why it ended is known from QMP events that came before it:
 *
 *	GUEST_PANICKED		PID 1 wrote to the pvpanic port: not orderly
 *	SHUTDOWN guest-shutdown	the guest powered off
 *	SHUTDOWN guest-reset	its kernel panicked (panic=-1 and -no-reboot)
 *
 * QEMU writes its events before it ends, so what is left in the socket and in
 * the stderr pipe is read once more when the pidfd speaks.
 */
#include "tools/qemu/vm.h"

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

#include "bridge/io/fd.h"
#include "bridge/io/spawn.h"
#include "config/text.h"
#include "config/util.h"
#include "tools/qemu/listener.h"
#include "tools/vsock/worker.h"

/* What is kept of QEMU's stderr: its last words. */
#define STDERR_KEEP 2048
/* Environment variable that the preloaded library reads. */
#define VSOCK_BASE_ENV WORKER_BASE_ENV
#define ENV_MAX 8
/* Time for "quit" to be answered; the budget of the stop counts, not this. */
#define QUIT_MS 10000
/* vm_free() gives a killed process this long. */
#define FREE_MS 5000

enum stop_step { STOP_NONE, STOP_GUEST, STOP_QUIT, STOP_KILL };

struct vm {
	struct loop *loop;
	struct vm_handler h;
	pid_t pid;
	int pidfd;
	int listen_fd;
	int stderr_fd;
	struct loop_id pid_watch;
	struct loop_id listen_watch;
	struct loop_id stderr_watch;
	struct qmp *qmp;
	enum vm_end end;
	bool panicked; /* PID 1's sign */
	bool powered_off;
	bool reset;
	bool forced; /* by vm_stop() */
	enum stop_step step;
	struct vm_budget budget;
	struct loop_id timer;
	int status; /* as waitid gives: si_code and si_status */
	bool signalled;
	char words[STDERR_KEEP + 1];
	size_t n_words;
	struct history history;
};

static void keep_words(struct vm *vm, const char *buf, size_t n)
{
	if (n > STDERR_KEEP) {
		buf += n - STDERR_KEEP;
		n = STDERR_KEEP;
	}
	if (vm->n_words + n > STDERR_KEEP) {
		const size_t drop = vm->n_words + n - STDERR_KEEP;

		memmove(vm->words, vm->words + drop, vm->n_words - drop);
		vm->n_words -= drop;
	}
	memcpy(vm->words + vm->n_words, buf, n);
	vm->n_words += n;
	vm->words[vm->n_words] = '\0';
}

static void read_stderr(struct vm *vm)
{
	char buf[1024];

	while (vm->stderr_fd >= 0) {
		const ssize_t n = read(vm->stderr_fd, buf, sizeof(buf));

		if (n > 0) {
			keep_words(vm, buf, (size_t)n);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		loop_unwatch(vm->loop, &vm->stderr_watch);
		fd_close(&vm->stderr_fd);
	}
}

static void on_stderr(void *ctx, uint32_t events UNUSED)
{
	read_stderr(ctx);
}

static void on_qmp_ready(void *ctx)
{
	struct vm *vm = ctx;

	if (vm->h.ready)
		vm->h.ready(vm->h.ctx);
}

static void on_qmp_event(void *ctx, const char *name,
			 const struct qmp_data *data)
{
	struct vm *vm = ctx;
	const char *reason = qmp_data_text(data, "reason");

	history_add(&vm->history, name, data, loop_now_ms(vm->loop));
	if (strcmp(name, "GUEST_PANICKED") == 0)
		vm->panicked = true;
	if (strcmp(name, "SHUTDOWN") == 0 && reason) {
		vm->powered_off = strcmp(reason, "guest-shutdown") == 0;
		vm->reset = strcmp(reason, "guest-reset") == 0 ||
			    strcmp(reason, "guest-panic") == 0;
	}
	if (vm->h.event)
		vm->h.event(vm->h.ctx, name, data);
}

static void on_listen(void *ctx, uint32_t events UNUSED)
{
	struct vm *vm = ctx;
	const struct qmp_handler h = {
		.ready = on_qmp_ready,
		.event = on_qmp_event,
		.ctx = vm,
	};
	struct err e;
	int fd = -1;

	if (listener_accept(vm->listen_fd, &fd, &e) < 0)
		return;
	loop_unwatch(vm->loop, &vm->listen_watch);
	fd_close(&vm->listen_fd);
	if (qmp_new(&vm->qmp, vm->loop, fd, &h, &e) < 0) {
		vm->qmp = NULL;
		keep_words(vm, e.text, strlen(e.text));
		(void)kill(vm->pid, SIGKILL); /* its end is an event */
	}
}

static enum vm_end judge(const struct vm *vm)
{
	if (vm->reset)
		return VM_END_PANIC;
	if (vm->powered_off)
		return vm->panicked ? VM_END_FAILED : VM_END_ORDERLY;
	return vm->forced ? VM_END_STOPPED : VM_END_QEMU;
}

static void reap(struct vm *vm, int flags)
{
	siginfo_t info = { 0 };

	if (waitid(P_PID, (id_t)vm->pid, &info, WEXITED | flags) < 0 ||
	    info.si_pid == 0)
		return;
	vm->status = info.si_status;
	vm->signalled = info.si_code != CLD_EXITED;
	vm->pid = -1;
}

static void on_exit_of_qemu(void *ctx, uint32_t events UNUSED)
{
	struct vm *vm = ctx;

	reap(vm, WNOHANG);
	if (vm->pid > 0)
		return;
	loop_unwatch(vm->loop, &vm->pid_watch);
	loop_unwatch(vm->loop, &vm->listen_watch);
	loop_cancel(vm->loop, &vm->timer);
	read_stderr(vm);
	if (vm->qmp)
		qmp_drain(vm->qmp);
	vm->end = judge(vm);
	if (vm->h.ended)
		vm->h.ended(vm->h.ctx);
}

static void env_add(char *env[ENV_MAX], struct arena *a, const char *name,
		    const char *value)
{
	const size_t size = strlen(name) + (value ? strlen(value) : 0) + 2;
	size_t n = 0;

	if (!value)
		return;
	while (env[n])
		n++;
	assert(n + 1 < ENV_MAX);
	env[n] = arena_alloc(a, size);
	if (env[n])
		(void)snprintf(env[n], size, "%s=%s", name, value);
}

/* A small environment of known words; QEMU's messages come in English. */
static void environment(const struct vm_options *o, char *env[ENV_MAX],
			struct arena *a)
{
	static const char *const keep[] = { "PATH", "HOME", "TMPDIR" };

	for (size_t i = 0; i < ARRAY_LEN(keep); i++)
		env_add(env, a, keep[i], getenv(keep[i]));
	env_add(env, a, "LC_ALL", "C");
	env_add(env, a, "LD_PRELOAD", o->preload);
	env_add(env, a, VSOCK_BASE_ENV, o->vsock_base);
}

static int run(struct vm *vm, const struct vm_options *o, struct err *e)
{
	struct arena a;
	char *env[ENV_MAX] = { NULL };
	struct spawn s = {
		.envp = env,
		.stdio = { -1, -1, -1 },
		.setsid = true, /* Ctrl-C is ferry's to handle */
		.die_with_parent = true,
	};
	cleanup_fd write_end = -1;
	char **argv = NULL;
	int pipe_fd[2];
	int r;

	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	vm->stderr_fd = pipe_fd[0];
	write_end = pipe_fd[1];
	r = fd_nonblock(vm->stderr_fd, true);
	if (r < 0)
		return err_set(e, -r, "pipe");
	s.stdio[2] = write_end;
	arena_init(&a, QEMU_ARGV_BYTES);
	environment(o, env, &a);
	r = qemu_argv(&o->qemu, &a, &argv, e);
	if (r == 0) {
		s.argv = argv;
		r = spawn_start(&s, &vm->pid, &vm->pidfd, e);
	}
	arena_done(&a);
	return r;
}

static int watch(struct vm *vm, struct err *e)
{
	int r = loop_watch(vm->loop, vm->pidfd, EPOLLIN, on_exit_of_qemu, vm,
			   &vm->pid_watch, e);

	if (r == 0)
		r = loop_watch(vm->loop, vm->listen_fd, EPOLLIN, on_listen, vm,
			       &vm->listen_watch, e);
	if (r == 0)
		r = loop_watch(vm->loop, vm->stderr_fd, EPOLLIN, on_stderr, vm,
			       &vm->stderr_watch, e);
	return r;
}

int vm_start(struct vm **ret, struct loop *l, const struct vm_options *o,
	     const struct vm_handler *h, struct err *e)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	int r;

	if (!vm)
		return err_set(e, ENOMEM, "virtual machine");
	vm->loop = l;
	vm->h = *h;
	vm->pid = vm->pidfd = vm->listen_fd = vm->stderr_fd = -1;
	r = listener_open(o->qemu.qmp, &vm->listen_fd, e);
	if (r == 0)
		r = run(vm, o, e);
	if (r == 0)
		r = watch(vm, e);
	if (r < 0) {
		vm_free(vm);
		return r;
	}
	*ret = vm;
	return 0;
}

static void step(void *ctx);

static void next_step(struct vm *vm, enum stop_step to, int wait_ms)
{
	struct err e;

	vm->step = to;
	if (loop_at(vm->loop, loop_now_ms(vm->loop) + wait_ms, step, vm,
		    &vm->timer, &e) < 0)
		(void)kill(vm->pid, SIGKILL); /* no timer: the hardest step */
}

/* A step's time is over: the next one. */
static void step(void *ctx)
{
	struct vm *vm = ctx;
	struct err e;

	switch (vm->step) {
	case STOP_NONE:
		break;
	case STOP_GUEST:
		vm->forced = true;
		if (vm->qmp && qmp_send(vm->qmp, "quit", NULL, QUIT_MS, NULL,
					NULL, &e) == 0) {
			next_step(vm, STOP_QUIT, vm->budget.quit_ms);
			break;
		}
		/* fall through */
	case STOP_QUIT:
		vm->forced = true;
		(void)kill(vm->pid, SIGKILL);
		next_step(vm, STOP_KILL, vm->budget.kill_ms);
		break;
	case STOP_KILL:
		/* The kernel holds it; it is dead to us. */
		loop_unwatch(vm->loop, &vm->pid_watch);
		vm->end = VM_END_STOPPED;
		if (vm->h.ended)
			vm->h.ended(vm->h.ctx);
		break;
	}
}

void vm_stop(struct vm *vm, const struct vm_budget *b)
{
	if (vm->end != VM_END_NONE)
		return;
	vm->budget = *b;
	next_step(vm, STOP_GUEST, b->guest_ms);
}

/* Waits for a killed process, not for ever. */
static void bury(struct vm *vm)
{
	struct pollfd p = { .fd = vm->pidfd, .events = POLLIN };

	(void)kill(vm->pid, SIGKILL);
	(void)poll(&p, 1, FREE_MS); /* in doubt the next line reaps nothing */
	reap(vm, WNOHANG);
}

void vm_free(struct vm *vm)
{
	if (!vm)
		return;
	qmp_free(vm->qmp);
	loop_unwatch(vm->loop, &vm->pid_watch);
	loop_unwatch(vm->loop, &vm->listen_watch);
	loop_unwatch(vm->loop, &vm->stderr_watch);
	loop_cancel(vm->loop, &vm->timer);
	if (vm->pid > 0)
		bury(vm);
	fd_close(&vm->pidfd);
	fd_close(&vm->listen_fd);
	fd_close(&vm->stderr_fd);
	free(vm);
}

struct qmp *vm_qmp(const struct vm *vm)
{
	return vm->qmp;
}

enum vm_end vm_end(const struct vm *vm)
{
	return vm->end;
}

const char *vm_end_name(enum vm_end end)
{
	static const char *const names[] = {
		[VM_END_NONE] = "running",
		[VM_END_ORDERLY] = "powered off",
		[VM_END_FAILED] = "failed and powered off",
		[VM_END_PANIC] = "kernel panic",
		[VM_END_QEMU] = "QEMU ended",
		[VM_END_STOPPED] = "stopped",
	};

	return names[end];
}

/* The last line that QEMU printed, without the name of the program. */
static const char *last_words(const struct vm *vm, char *buf, size_t size)
{
	size_t end = vm->n_words;
	size_t start;
	struct text t;

	while (end && vm->words[end - 1] == '\n')
		end--;
	start = end;
	while (start && vm->words[start - 1] != '\n')
		start--;
	text_fixed(&t, buf, size);
	if (end > start) {
		char line[STDERR_KEEP + 1];

		memcpy(line, vm->words + start, end - start);
		line[end - start] = '\0';
		text_add(&t, ": ");
		text_quote(&t, line, size - 8);
	}
	return text_str(&t);
}

int vm_end_err(const struct vm *vm, struct err *e)
{
	char words[160];

	switch (vm->end) {
	case VM_END_NONE:
	case VM_END_ORDERLY:
		return 0;
	case VM_END_FAILED:
		return err_set(e, EIO,
			       "the UVM reported a failure and powered off");
	case VM_END_PANIC:
		return err_set(
			e, EIO,
			"the UVM's kernel panicked, or the UVM was reset; --console shows what it said");
	case VM_END_STOPPED:
		return err_set(e, ECANCELED, "the UVM was stopped by force");
	case VM_END_QEMU:
		break;
	}
	return err_set(e, EIO, "QEMU %s %d%s",
		       vm->signalled ? "was ended by signal"
				     : "ended with status",
		       vm->status, last_words(vm, words, sizeof(words)));
}

const struct history *vm_history(const struct vm *vm)
{
	return &vm->history;
}

const char *vm_stderr(const struct vm *vm)
{
	return vm->words;
}

int vm_pid(const struct vm *vm)
{
	return vm->pid;
}
