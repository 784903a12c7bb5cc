/*
 * bridge/host/acceptor_main.c - the acceptor as a process of its own
 *
 * Who has the lock is the acceptor; it keeps it over the fork into the
 * background, and until its socket is gone. So there is never a second one,
 * and a socket without a lock is a dead one's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bridge/host/acceptor.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"

#define SHIMS_AT_ONCE 128

/* 0; -EWOULDBLOCK: there is an acceptor. */
static int lock(const char *folder, int *ret_fd, struct err *e)
{
	char path[sizeof(struct sockaddr_un)];
	cleanup_fd fd = -1;

	if (snprintf(path, sizeof(path), "%s/%s", folder, ACCEPTOR_LOCK) >=
	    (int)sizeof(path))
		return err_set(e, ENAMETOOLONG, "%.40s...", folder);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || ftruncate(fd, 0) < 0)
		return err_sys(e, "%s", path);
	*ret_fd = fd_take(&fd);
	return 0;
}

static int listen_at(const char *path, int *ret_fd, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	cleanup_fd fd = socket(
		AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(a.sun_path, path, strlen(path) + 1);
	(void)unlink(path); /* a dead one's; bind() tells the rest */
	if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ||
	    chmod(path, 0600) < 0 || listen(fd, SHIMS_AT_ONCE) < 0)
		return err_sys(e, "%s", path);
	*ret_fd = fd_take(&fd);
	return 0;
}

static int serve(int fd, const struct acceptor_ports *ports, struct err *e)
{
	struct rlimit limit;
	struct acceptor *a = NULL;
	struct loop *loop = NULL;
	int r = loop_new(&loop, e);

	(void)prctl(PR_SET_NAME, "ferry-acceptor"); /* for people only */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit); /* else it has fewer */
	}
	if (r == 0)
		r = acceptor_new(loop, fd, ports, ACCEPTOR_IDLE_MS, &a, e);
	if (r == 0)
		r = loop_run(loop, e);
	acceptor_free(a);
	loop_free(loop);
	return r;
}

int acceptor_main(int argc, char **argv, const struct acceptor_ports *ports)
{
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	cleanup_fd locked = -1;
	struct err e;
	pid_t pid;
	int fd = -1;
	int r;

	if (argc != 2 || snprintf(path, sizeof(path), "%s/%s", argv[1],
				  ACCEPTOR_SOCKET) >= (int)sizeof(path))
		return EXIT_FAILURE;
	r = lock(argv[1], &locked, &e);
	if (r == -EWOULDBLOCK)
		return EXIT_SUCCESS;
	if (r == 0)
		r = listen_at(path, &fd, &e);
	pid = r == 0 ? fork() : -1;
	if (pid > 0)
		(void)dprintf(locked, "%d\n", (int)pid); /* for people only */
	if (pid != 0)
		return pid > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	r = serve(fd, ports, &e);
	(void)unlink(path); /* while the lock is ours */
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
