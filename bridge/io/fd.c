#include "bridge/io/fd.h"

#include <fcntl.h>

int fd_std_open(void)
{
	int fd;

	/* open() gives the lowest free number, so this fills 0, 1, 2. */
	do {
		fd = open("/dev/null", O_RDWR); /* ferry-lint: stdio is kept */
		if (fd < 0)
			return -errno;
	} while (fd <= STDERR_FILENO);

	fd_close(&fd);
	return 0;
}

static int set_flag(int fd, int get, int set, int flag, bool on)
{
	const int flags = fcntl(fd, get);

	if (flags < 0)
		return -errno;
	if (fcntl(fd, set, on ? flags | flag : flags & ~flag) < 0)
		return -errno;
	return 0;
}

int fd_nonblock(int fd, bool on)
{
	return set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

int fd_cloexec(int fd, bool on)
{
	return set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

ssize_t fd_read_full(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		const ssize_t n = read(fd, (char *)buf + done, len - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0)
			break;
		else if (errno != EINTR)
			return -errno;
	}
	return (ssize_t)done;
}

int fd_write_full(int fd, const void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		const ssize_t n =
			write(fd, (const char *)buf + done, len - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}
