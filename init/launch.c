#include "init/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/control.h"
#include "init/program.h"

#define QUOTE_(x) #x
#define QUOTE(x) QUOTE_(x)

static char env_path[] = "PATH=" PROGRAM_PATH;
static char env_control[] = CONTROL_ENV "=" QUOTE(CONTROL_FD);

static char *const env_plain[] = { env_path, NULL };
static char *const env_agent[] = { env_path, env_control, NULL };

/* Moves a borrowed descriptor to its number, without close-on-exec. */
static int place(int fd, int number)
{
	if (fd < 0)
		return 0;
	if (fd == number)
		return fcntl(fd, F_SETFD, 0);
	return dup2(fd, number);
}

/*
 * The child, in its parent's memory: it changes nothing there but its own
 * stack and @failed, and calls nothing but the kernel.
 */
static void child(const struct launch *l, const char *path,
		  volatile int *failed)
{
	static const struct rlimit files = { LAUNCH_NOFILE_SOFT,
					     LAUNCH_NOFILE_HARD };
	sigset_t none;

	(void)sigemptyset(&none); /* cannot fail */
	(void)setsid();		  /* cannot fail: a new child leads no group */
	/* PID 1 has the right to; setrlimit() brings musl's threads along. */
	(void)prlimit(0, RLIMIT_NOFILE, &files, NULL);
	if (place(l->out, STDOUT_FILENO) >= 0 &&
	    place(l->err, STDERR_FILENO) >= 0 &&
	    place(l->control, CONTROL_FD) >= 0 &&
	    sigprocmask(SIG_SETMASK, &none, NULL) == 0)
		(void)execve(path, l->argv,
			     l->control < 0 ? env_plain : env_agent);
	*failed = errno;
	_exit(127);
}

int launch_start(const struct launch *l, pid_t *ret_pid, struct err *e)
{
	char path[PROGRAM_PATH_MAX];
	volatile int failed = 0;
	pid_t pid;
	int r;

	r = program_find(l->argv[0], PROGRAM_PATH, path, e);
	if (r < 0)
		return r;
	/* A copy of PID 1's memory map is a tenth of the time to the agent,
	 * and cannot be had when memory is short. All signals are blocked. */
	pid = vfork(); /* NOLINT: that is what it is for */
	if (pid < 0)
		return err_sys(e, "%.128s: fork", l->argv[0]);
	if (pid == 0)
		child(l, path, &failed); /* NOLINT: see child() */
	if (failed) {
		(void)waitpid(pid, NULL, 0); /* it has ended already */
		return err_set(e, failed, "%.128s: %s", l->argv[0],
			       strerror(failed));
	}
	*ret_pid = pid;
	return 0;
}
