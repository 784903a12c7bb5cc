/*
 * The child is started as vfork(2) does it: it shares the memory of the
 * caller, which waits until the child has executed the program or given up.
 * That costs the same for a small and for a large caller, and the child can
 * leave word of what failed in plain memory. Nothing that runs in the child
 * allocates, takes a lock or touches state that the caller keeps.
 */
#include "bridge/io/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/close_range.h>

#include "bridge/io/fd.h"
#include "bridge/io/novsock.h"
#include "config/util.h"

/* The child makes a few shallow calls; PATH_MAX is its largest variable. */
#define CHILD_STACK_SIZE (32u * 1024)

/* Signals of the kernel, one bit each in its sets. */
#define SIGNALS 64

/* What instrumentation would write into shadow memory is the caller's. */
#define IN_CHILD __attribute__((no_sanitize("address", "undefined")))

enum step {
	STEP_NONE,
	STEP_STDIO,
	STEP_SESSION,
	STEP_TERMINAL,
	STEP_CWD,
	STEP_LIMIT,
	STEP_FILTER,
	STEP_EXEC,
	STEPS, /* number of steps */
};

static const char *const step_names[] = {
	[STEP_NONE] = "start",
	[STEP_STDIO] = "standard descriptors",
	[STEP_SESSION] = "new session",
	[STEP_TERMINAL] = "controlling terminal",
	[STEP_CWD] = "working directory",
	[STEP_LIMIT] = "descriptor limit",
	[STEP_FILTER] = "system call filter",
	[STEP_EXEC] = "exec",
};
static_assert(ARRAY_LEN(step_names) == STEPS, "a step has no name");

struct child {
	const struct spawn *spawn;
	const char *path;
	pid_t parent;
	uint64_t ignored; /* by the caller; bit 0 is signal 1 */
	enum step step;	  /* what failed */
	int error;	  /* its errno; 0: the program was executed */
};

/* Sources below 3 are moved away first: a dup2 must not hit a later source. */
IN_CHILD static bool child_stdio(const struct spawn *s)
{
	int from[3];

	for (int i = 0; i < 3; i++) {
		from[i] = s->stdio[i];
		if (from[i] < 0)
			from[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (from[i] >= 0 && from[i] < 3)
			from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 3);
		if (from[i] < 0)
			return false;
	}
	for (int i = 0; i < 3; i++) {
		/* Non-blocking is for the caller's ends, not for a child. */
		if (dup2(from[i], i) < 0)
			return false;
	}
	/* Everything is close-on-exec at birth; this is the second lock. */
	(void)syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
	return true;
}

/*
 * What the caller ignores, one bit a signal. Asking for all of them takes as
 * long as a tenth of a start, so it is done once; SIGPIPE is the one that
 * programs here ignore on their own, whenever that is. The system call and not
 * the library: that one keeps some real-time signals to itself, and they can
 * be inherited ignored as any other.
 */
static uint64_t ignored_signals(void)
{
	static uint64_t ignored; /* 0: not asked yet */
	/* A struct of the kernel's: the handler is first on every machine. */
	uintptr_t action[8];

	if (ignored != 0)
		return ignored;
	ignored = UINT64_C(1) << (SIGPIPE - 1);
	for (unsigned int i = 1; i <= SIGNALS; i++) {
		if (syscall(SYS_rt_sigaction, i, NULL, action, SIGNALS / 8) ==
			    0 &&
		    action[0] == (uintptr_t)SIG_IGN)
			ignored |= UINT64_C(1) << (i - 1);
	}
	return ignored;
}

/* Signals that are caught become default by the exec itself. */
IN_CHILD static void child_signals(uint64_t ignored)
{
	/* SIG_DFL, no flags, no mask: all zero, whatever the layout. */
	static const unsigned long dfl[8];
	sigset_t none;

	for (unsigned int i = 1; i <= SIGNALS; i++) {
		if ((ignored >> (i - 1) & 1) != 0)
			(void)syscall(SYS_rt_sigaction, i, dfl, NULL,
				      SIGNALS / 8);
	}
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* One directory of the search path; false: it does not fit. */
IN_CHILD static bool child_candidate(char *out, const char *dir, size_t n,
				     const char *name)
{
	const size_t name_len = strlen(name);

	if (n == 0) { /* an empty entry is the working directory */
		dir = ".";
		n = 1;
	}
	if (n + 1 + name_len + 1 > PATH_MAX)
		return false;
	memcpy(out, dir, n);
	out[n] = '/';
	memcpy(out + n + 1, name, name_len + 1);
	return true;
}

/* Return: errno of the attempt that tells most */
IN_CHILD static int child_exec(const struct child *c)
{
	const struct spawn *s = c->spawn;
	char file[PATH_MAX];
	const char *at = c->path;
	int error = ENOENT;

	if (s->argv[0][0] == '\0')
		return ENOENT;
	if (strchr(s->argv[0], '/') != NULL) {
		(void)execve(s->argv[0], s->argv, s->envp);
		return errno;
	}
	for (;;) {
		const char *end = strchr(at, ':');
		const size_t n = end ? (size_t)(end - at) : strlen(at);

		if (child_candidate(file, at, n, s->argv[0])) {
			(void)execve(file, s->argv, s->envp);
			if (errno != ENOENT && errno != ENOTDIR)
				error = errno;
			if (error != ENOENT && error != EACCES)
				return error;
		}
		if (!end)
			return error;
		at = end + 1;
	}
}

/* The parent's death is told from now on; an earlier one is looked for. */
IN_CHILD static void child_bind(pid_t parent)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* valid: no failure */
	if (getppid() != parent)
		(void)syscall(SYS_exit_group, 127); /* nobody to tell */
}

IN_CHILD static enum step child_prepare(const struct spawn *s, pid_t parent)
{
	if (!child_stdio(s))
		return STEP_STDIO;
	if ((s->setsid || s->terminal) && setsid() < 0)
		return STEP_SESSION;
	if (s->terminal && ioctl(0, TIOCSCTTY, 0) < 0)
		return STEP_TERMINAL;
	if (s->cwd && chdir(s->cwd) < 0)
		return STEP_CWD;
	if (s->nofile && setrlimit(RLIMIT_NOFILE, s->nofile) < 0)
		return STEP_LIMIT;
	if (s->die_with_parent || s->started)
		child_bind(parent);
	if (s->no_vsock && (errno = -novsock()) != 0)
		return STEP_FILTER;
	return STEP_NONE;
}

/* In this order: what was told to have started is not killed any more, and
 * what a parent that died could not see told has not started. */
IN_CHILD static void child_tell(const struct spawn *s, pid_t parent)
{
	if (!s->started)
		return;
	if (!s->die_with_parent)
		(void)prctl(PR_SET_PDEATHSIG, 0);
	if (getppid() != parent)
		(void)syscall(SYS_exit_group, 127); /* nobody to tell */
	__atomic_store_n(s->started, (uint64_t)syscall(SYS_getpid),
			 __ATOMIC_RELEASE);
}

IN_CHILD static int child_main(void *arg)
{
	struct child *c = arg;

	c->step = child_prepare(c->spawn, c->parent);
	if (c->step != STEP_NONE) {
		c->error = errno;
	} else {
		child_signals(c->ignored);
		child_tell(c->spawn, c->parent);
		c->step = STEP_EXEC;
		c->error = child_exec(c);
	}
	(void)syscall(SYS_exit_group, 127);
	return 127;
}

static int clone_child(struct child *c, pid_t *ret_pid, int *ret_pidfd,
		       struct err *e)
{
	static char stack[CHILD_STACK_SIZE] __attribute__((aligned(16)));
	int pidfd = -1;
	sigset_t all, saved;
	pid_t pid;
	int code;

	/* No handler of the caller may run in the memory it shares. */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &saved);
	pid = clone(child_main, stack + sizeof(stack),
		    CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, c, &pidfd);
	code = errno;
	(void)sigprocmask(SIG_SETMASK, &saved, NULL);
	if (pid < 0) {
		errno = code;
		return err_sys(e, "new process");
	}
	*ret_pid = pid;
	*ret_pidfd = pidfd;
	return 0;
}

int spawn_start(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd,
		struct err *e)
{
	struct child c = {
		.spawn = s,
		.path = s->path,
		.parent = getpid(),
		.ignored = ignored_signals(),
	};
	cleanup_fd pidfd = -1;
	pid_t pid = -1;
	int r;

	if (!c.path)
		c.path = getenv("PATH");
	if (!c.path)
		c.path = "/bin:/usr/bin";

	r = clone_child(&c, &pid, &pidfd, e);
	if (r < 0)
		return r;
	if (c.error != 0) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return err_set(e, c.error, "%s%s%.128s: %s", step_names[c.step],
			       c.step == STEP_EXEC ? " " : "",
			       c.step == STEP_EXEC ? s->argv[0] : "",
			       strerror(c.error));
	}
	*ret_pid = pid;
	if (ret_pidfd)
		*ret_pidfd = fd_take(&pidfd);
	return 0;
}
