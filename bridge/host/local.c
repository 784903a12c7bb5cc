#include "bridge/host/local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "bridge/io/fd.h"

/* A write of this size to a pipe that has room at all does not block. */
#define CAREFUL_STEP 512u

/* /dev/ptmx, opened again, is another terminal. */
#define PTMX_MAJOR 5u
#define PTMX_MINOR 2u

struct local local_socket(int fd)
{
	return (struct local){ .fd = fd, .socket = true, .own = true };
}

void local_close(struct local *l)
{
	fd_close(&l->fd);
}

void local_half_close(const struct local *l)
{
	(void)shutdown(l->fd, SHUT_WR); /* the guest may be gone */
}

static bool is_ptmx(const struct stat *st)
{
	return major(st->st_rdev) == PTMX_MAJOR &&
	       minor(st->st_rdev) == PTMX_MINOR;
}

/* A second open file of the same terminal or pipe, or -1. */
static int open_again(int fd, bool writing)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, (writing ? O_WRONLY : O_RDONLY) | O_NONBLOCK |
				  O_NOCTTY | O_CLOEXEC);
}

int local_open(int fd, bool writing, struct local *ret, struct err *e)
{
	struct local l = { .fd = -1 };
	struct stat st;
	int flags;

	if (fstat(fd, &st) < 0)
		return err_sys(e, "stream descriptor %d", fd);
	flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return err_sys(e, "flags of descriptor %d", fd);

	l.socket = S_ISSOCK(st.st_mode);
	l.pipe = S_ISFIFO(st.st_mode);
	if (!(flags & O_NONBLOCK) &&
	    (l.pipe ||
	     (S_ISCHR(st.st_mode) && isatty(fd) == 1 && !is_ptmx(&st))))
		l.fd = open_again(fd, writing);
	if (l.fd < 0) {
		l.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (l.fd < 0)
			return err_sys(e, "copy of descriptor %d", fd);
		l.careful = !(flags & O_NONBLOCK) && !l.socket &&
			    !S_ISREG(st.st_mode);
	}
	*ret = l;
	return 0;
}

ssize_t local_read(const struct local *l, void *buf, size_t len)
{
	ssize_t n;

	do {
		n = l->socket ? recv(l->fd, buf, len, MSG_DONTWAIT)
			      : read(l->fd, buf, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t local_write(const struct local *l, const void *buf, size_t len)
{
	ssize_t n;

	if (l->careful && len > CAREFUL_STEP)
		len = CAREFUL_STEP;
	do {
		n = l->socket
			    ? send(l->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL)
			    : write(l->fd, buf, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}
