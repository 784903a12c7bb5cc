/*
 * tools/shim/start.c - the shim becomes a process of its own
 *
 * A fork without exec: all options are checked, and nothing else runs yet. The
 * child leaves the session, the terminal and the folder of its starter; it says
 * its verdict on a pipe, whose other end tells it when the starter dies.
 */
#include "tools/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/fd.h"

#define VERDICT_READY "ready"

static int make_name(char *out, struct err *e)
{
	unsigned char chance[6];

	if (getrandom(chance, sizeof(chance), 0) != (ssize_t)sizeof(chance))
		return err_sys(e, "random numbers");
	for (size_t i = 0; i < sizeof(chance); i++)
		(void)snprintf(out + 2 * i, 3, "%02x", chance[i]);
	return 0;
}

/* Paths that QEMU opens later must not depend on where we stand. */
static int make_absolute(char *path, struct err *e)
{
	char found[LAUNCH_PATH_MAX];

	if (*path == '\0' || *path == '/')
		return 0;
	if (!realpath(path, found))
		return err_sys(e, "%s", path);
	memcpy(path, found, strlen(found) + 1);
	return 0;
}

static int leave(struct launch *l, struct err *e)
{
	static char qemu[LAUNCH_PATH_MAX];
	cleanup_fd null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int r = make_absolute(l->kernel, e);

	if (r == 0)
		r = make_absolute(l->image, e);
	if (r == 0)
		r = make_absolute(l->vhost_lib, e);
	if (r == 0 && l->args.qemu && strchr(l->args.qemu, '/')) {
		(void)snprintf(qemu, sizeof(qemu), "%s", l->args.qemu);
		r = make_absolute(qemu, e);
		l->args.qemu = qemu;
	}
	if (r < 0)
		return r;
	if (setsid() < 0 || null < 0)
		return err_sys(e, "leave the session");
	for (int i = 0; i <= STDERR_FILENO; i++)
		if (dup2(null, i) < 0)
			return err_sys(e, "leave the terminal");
	if (chdir("/") < 0)
		return err_sys(e, "leave the folder");
	(void)prctl(PR_SET_NAME, "ferry-shim"); /* for people only */
	return 0;
}

static void child(struct launch *l, const struct shim_birth *birth, int fd)
{
	char line[ERR_TEXT_MAX + 16];
	struct err e;
	int n;

	if (leave(l, &e) == 0) {
		shim_run(l, birth, fd);
		return;
	}
	n = snprintf(line, sizeof(line), "%d %s", e.code, e.text);
	(void)fd_write_full(fd, line, (size_t)n); /* nobody else to tell */
	fd_close(&fd);
}

/* "ready", or "CODE TEXT"; nothing: the child has died. */
static int read_verdict(int fd, pid_t pid, struct err *e)
{
	char line[ERR_TEXT_MAX + 16];
	const ssize_t n = fd_read_full(fd, line, sizeof(line) - 1);
	char *space;
	long code;

	line[n > 0 ? n : 0] = '\0';
	if (strcmp(line, VERDICT_READY) == 0)
		return 0;
	(void)waitpid(pid, NULL, 0); /* it cleans up before it ends */
	space = strchr(line, ' ');
	if (!space)
		return err_set(e, EIO, "the shim died while it started");
	*space = '\0';
	code = strtol(line, NULL, 10); /* of our own child */
	return err_set(e, code > 0 && code < 4096 ? (int)code : EIO, "%s",
		       space + 1);
}

int shim_start(struct launch *l, const struct shim_birth *birth, char *ret_name,
	       struct err *e)
{
	struct shim_birth named = *birth;
	cleanup_fd from = -1;
	cleanup_fd to = -1;
	int fd[2];
	pid_t pid;

	if (birth->name)
		(void)snprintf(ret_name, RUNDIR_NAME_MAX, "%s", birth->name);
	else if (make_name(ret_name, e) < 0)
		return -e->code;
	named.name = ret_name;
	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	from = fd[0];
	to = fd[1];
	(void)fflush(NULL); /* else both of us would write it */
	pid = fork();
	if (pid < 0)
		return err_sys(e, "fork");
	if (pid == 0) {
		fd_close(&from);
		child(l, &named, fd_take(&to));
		_exit(EXIT_SUCCESS);
	}
	fd_close(&to);
	return read_verdict(from, pid, e);
}
