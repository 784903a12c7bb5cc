#include "tools/image_applets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "bridge/io/spawn.h"

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* All that comes from @fd, as a string; never waits past the limit. */
static int drain(int fd, char *buf, size_t size, const char *name,
		 struct err *e)
{
	const int64_t end = now_ms() + IMAGE_APPLETS_LIMIT_MS;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = 0;

	for (;;) {
		const int64_t left = end - now_ms();
		ssize_t n;

		if (left <= 0)
			return err_set(e, ETIMEDOUT, "%s: no list of applets",
				       name);
		if (poll(&p, 1, (int)left) <= 0)
			continue; /* interrupted, or time is up */
		n = read(fd, buf + len, size - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "%s", name);
		if (n == 0)
			break;
		len += (size_t)n;
		if (len == size - 1)
			return err_set(e, E2BIG, "%s: list of applets too long",
				       name);
	}
	buf[len] = '\0';
	return 0;
}

static bool own(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;

	return strcmp(base, "init") == 0 || strcmp(base, "linuxrc") == 0;
}

static int hand_on(char *list, image_applet_fn *take, void *arg,
		   const char *name, struct err *e)
{
	size_t count = 0;
	char *rest = list;
	char *line;

	while ((line = strsep(&rest, "\n"))) {
		int r;

		if (line[0] == '\0' || own(line))
			continue;
		if (++count > IMAGE_APPLETS_MAX)
			return err_set(e, E2BIG, "%s: more than %d applets",
				       name, IMAGE_APPLETS_MAX);
		r = take(arg, line, e);
		if (r < 0)
			return r;
	}
	return count ? 0 : err_set(e, EINVAL, "%s: lists no applets", name);
}

/* Ends the child in any case, and tells whether it was content. */
static int finish(pid_t pid, int r, const char *name, struct err *e)
{
	int status = 0;

	if (r < 0)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
		return err_set(e, EINVAL, "%s --list-full failed", name);
	return r;
}

int image_applets(const char *busybox, image_applet_fn *take, void *arg,
		  struct err *e)
{
	char path[PATH_MAX];
	char list[IMAGE_APPLETS_BYTES_MAX];
	char *const argv[] = { path, (char[]){ "--list-full" }, NULL };
	char *const envp[] = { NULL };
	struct spawn s = {
		.argv = argv,
		.envp = envp,
		.stdio = { -1, -1, -1 },
		.die_with_parent = true,
	};
	int pipes[2];
	pid_t pid;
	int r;

	/* Absolute, so that no search path is asked. */
	if (!realpath(busybox, path))
		return err_sys(e, "%s", busybox);
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	s.stdio[1] = pipes[1];
	r = spawn_start(&s, &pid, NULL, e);
	fd_close(&pipes[1]);
	if (r == 0) {
		r = drain(pipes[0], list, sizeof(list), busybox, e);
		r = finish(pid, r, busybox, e);
	}
	fd_close(&pipes[0]);
	return r < 0 ? r : hand_on(list, take, arg, busybox, e);
}
