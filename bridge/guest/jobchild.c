#include "bridge/guest/jobchild.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"

/* Signals of the kernel, from 1. */
#define SIGNALS 64
/* What of a failed program's output is repeated in an error. */
#define RUN_TAIL 160u
/* Longest search path that a program is told. */
#define RUN_PATH_MAX 1024
#define RUN_OUTPUT_MAX ((off_t)256 << 10)

/* --- in the child ---------------------------------------------------------- */

/* Handlers and masks are the agent's; SIGPIPE stays ignored, so that a write
 * into a broken pipe is an error. */
static void default_signals(void)
{
	/* SIG_DFL, no flags, no mask: all zero, whatever the layout. */
	static const unsigned long dfl[8];
	sigset_t none;

	for (unsigned int i = 1; i <= SIGNALS; i++) {
		if (i != SIGPIPE)
			(void)syscall(SYS_rt_sigaction, i, dfl, NULL,
				      SIGNALS / 8);
	}
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int by_number(const void *a, const void *b)
{
	const int x = *(const int *)a;
	const int y = *(const int *)b;

	return (x > y) - (x < y);
}

/*
 * A child of an earlier agent was killed with it, and may all the same be in a
 * system call that mounts something: its lock is there until it has left it. Ours
 * is set before we look, and goes with us.
 */
static void wait_for_earlier(const struct jobs *all)
{
	const struct timespec again = { .tv_nsec = JOB_EARLIER_MS * 1000000L };
	struct flock f = {
		.l_type = F_RDLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)all->number,
		.l_len = 1,
	};

	if (all->locks < 0)
		return;
	(void)fcntl(all->locks, F_SETLK, &f); /* a shared one never waits */
	for (int i = 0; i < JOB_EARLIER_LOOKS; i++) {
		f = (struct flock){ .l_type = F_WRLCK,
				    .l_whence = SEEK_SET,
				    .l_len = (off_t)all->number };
		if (fcntl(all->locks, F_GETLK, &f) < 0 || f.l_type == F_UNLCK)
			return;
		(void)nanosleep(&again, NULL);
	}
}

/* Closes everything from 3 on but @report, the locks, and what the job keeps. */
static void close_others(const struct jobs *all, const struct job_call *c,
			 int report)
{
	int keep[JOB_KEEP_MAX + 2];
	size_t n = 0;
	unsigned int from = 3;

	keep[n++] = report;
	keep[n++] = all->locks;
	for (size_t i = 0; i < c->n_keep; i++)
		keep[n++] = c->keep[i];
	qsort(keep, n, sizeof(keep[0]), by_number);
	for (size_t i = 0; i < n; i++) {
		const unsigned int fd = (unsigned int)keep[i];

		if (keep[i] < (int)from)
			continue;
		if (fd > from)
			(void)syscall(SYS_close_range, from, fd - 1, 0U);
		from = fd + 1;
	}
	(void)syscall(SYS_close_range, from, ~0U, 0U);
}

static void null_stdio(void)
{
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return; /* an early test root without /dev: as they are */
	(void)dup2(null, STDIN_FILENO);
	(void)dup2(null, STDOUT_FILENO);
	if (null > STDERR_FILENO)
		(void)close(null);
}

static void report_and_exit(int fd, struct job_report *report,
			    const struct text *out)
{
	int r;

	report->out_len = (uint32_t)out->len;
	r = fd_write_full(fd, report, sizeof(*report));
	if (r == 0 && out->len > 0)
		r = fd_write_full(fd, out->buf, out->len);
	_exit(r == 0 ? 0 : 127);
}

static void child_main(const struct jobs *all, const struct job_call *c,
		       pid_t parent, int report_fd)
{
	struct job_report report = { 0 };
	struct text out;

	(void)setsid(); /* a forked child leads no group yet: no failure */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127); /* nobody to tell */
	default_signals();
	close_others(all, c, report_fd);
	null_stdio();
	wait_for_earlier(all);
	text_heap(&out, c->output_max + 1);
	report.result = c->fn(c->arg, &out, &report.err);
	if (out.full && report.result >= 0) {
		report.result = err_set(&report.err, EMSGSIZE,
					"%s: more than %zu bytes of output",
					c->name, c->output_max);
		text_reset(&out);
	}
	report_and_exit(report_fd, &report, &out);
}

/* --- in the agent ---------------------------------------------------------- */

/* A pipe whose reading end does not block. */
static int open_pipe(int ends[2], struct err *e)
{
	if (pipe2(ends, O_CLOEXEC) < 0) {
		ends[0] = ends[1] = -1;
		return err_sys(e, "pipe");
	}
	if (fd_nonblock(ends[0], true) < 0) {
		const int r = err_sys(e, "pipe");

		fd_close(&ends[0]);
		fd_close(&ends[1]);
		return r;
	}
	return 0;
}

static int open_pidfd(pid_t pid, struct err *e)
{
	const int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0) {
		const int r = err_sys(e, "pidfd");

		(void)kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return r;
	}
	return fd;
}

int job_child_fork(const struct jobs *all, const struct job_call *c,
		   struct job_child *ret, struct err *e)
{
	const pid_t parent = getpid();
	int ends[2];
	int pidfd;
	pid_t pid;
	int r = open_pipe(ends, e);

	if (r < 0)
		return r;
	pid = fork();
	if (pid == 0)
		child_main(all, c, parent, ends[1]);
	if (pid < 0)
		r = err_sys(e, "new process");
	fd_close(&ends[1]);
	pidfd = pid < 0 ? r : open_pidfd(pid, e);
	if (pidfd < 0) {
		fd_close(&ends[0]);
		return pidfd;
	}
	*ret = (struct job_child){
		.pid = pid, .pidfd = pidfd, .out = ends[0], .errors = -1
	};
	return 0;
}

int job_child_spawn(struct spawn s, struct job_child *ret, struct err *e)
{
	int ends[3][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
	int pidfd = -1;
	pid_t pid = -1;
	int r = 0;

	for (int i = STDOUT_FILENO; i <= STDERR_FILENO && r == 0; i++) {
		if (s.stdio[i] >= 0)
			continue;
		r = open_pipe(ends[i], e);
		s.stdio[i] = ends[i][1];
	}
	s.setsid = true;
	s.die_with_parent = !s.started;
	if (r == 0)
		r = spawn_start(&s, &pid, &pidfd, e);
	for (int i = STDOUT_FILENO; i <= STDERR_FILENO; i++) {
		fd_close(&ends[i][1]);
		if (r < 0)
			fd_close(&ends[i][0]);
	}
	if (r < 0)
		return r;
	*ret = (struct job_child){ .pid = pid,
				   .pidfd = pidfd,
				   .out = ends[STDOUT_FILENO][0],
				   .errors = ends[STDERR_FILENO][0] };
	return 0;
}

/* --- programs inside a job ------------------------------------------------- */

int job_memory_file(const void *bytes, size_t len, struct err *e)
{
	cleanup_fd fd = memfd_create("ferry-job", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return err_sys(e, "memory file");
	r = fd_write_full(fd, bytes, len);
	if (r < 0)
		return err_set(e, -r, "memory file: %s", strerror(-r));
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, "memory file");
	return fd_take(&fd);
}

/* A file in memory for a program's output: what is beyond RUN_OUTPUT_MAX cannot
 * be written. */
static int output_file(struct err *e)
{
	cleanup_fd fd =
		memfd_create("ferry-job", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, RUN_OUTPUT_MAX) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) < 0)
		return err_sys(e, "memory file");
	return fd_take(&fd);
}

/* The last words of a program that failed. */
static void tail_of(int fd, char *buf, size_t size)
{
	const off_t len = lseek(fd, 0, SEEK_CUR); /* shared with the program */
	const off_t want = (off_t)size - 1;
	const off_t from = len > want ? len - want : 0;
	ssize_t n = pread(fd, buf, (size_t)(len - from), from);

	if (n < 0)
		n = 0;
	while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == ' '))
		n--;
	buf[n] = '\0';
	for (char *p = buf; *p; p++) {
		if ((unsigned char)*p < ' ')
			*p = ' ';
	}
}

static int wait_for(pid_t pid, const char *name, int output, struct err *e)
{
	char tail[RUN_TAIL];
	int status = 0;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return err_sys(e, "wait for %s", name);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	tail_of(output, tail, sizeof(tail));
	if (WIFSIGNALED(status))
		return err_set(e, EIO, "%s was killed by signal %d: %s", name,
			       WTERMSIG(status), tail);
	return err_set(e, EIO, "%s ended with %d: %s", name,
		       WEXITSTATUS(status), tail);
}

int job_run(char *const *argv, const char *path, const void *input,
	    size_t input_len, struct err *e)
{
	static const char usual[] = "/usr/sbin:/usr/bin:/sbin:/bin";
	char variable[RUN_PATH_MAX];
	char *const envp[] = { variable, NULL };
	cleanup_fd in = -1;
	cleanup_fd output = output_file(e);
	struct spawn s = {
		.argv = argv,
		.envp = envp,
		.path = path ? path : usual,
		.cwd = "/",
		.stdio = { -1, output, output },
		.die_with_parent = true,
	};
	pid_t pid = -1;
	int r;

	if (output < 0)
		return output;
	(void)snprintf(variable, sizeof(variable), "PATH=%s", s.path);
	if (input) {
		in = job_memory_file(input, input_len, e);
		if (in < 0)
			return err_code(e);
		s.stdio[0] = in;
	}
	r = spawn_start(&s, &pid, NULL, e);
	if (r < 0)
		return r;
	return wait_for(pid, argv[0], output, e);
}
