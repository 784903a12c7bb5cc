/* bridge/io/fd.h - descriptors: ownership by scope, whole reads and writes */
#ifndef FERRY_BRIDGE_IO_FD_H
#define FERRY_BRIDGE_IO_FD_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

/** fd_close() - close *@fd unless it is -1, set it to -1, keep errno */
static inline void fd_close(int *fd)
{
	const int saved = errno;

	if (*fd >= 0)
		(void)close(*fd); /* nothing is left to do on failure */
	*fd = -1;
	errno = saved;
}

/* The descriptor is closed when its scope ends, unless it was taken. */
#define cleanup_fd __attribute__((cleanup(fd_close))) int

/** fd_take() - move a descriptor out of a variable, which becomes -1 */
static inline int fd_take(int *fd)
{
	const int taken = *fd;

	*fd = -1;
	return taken;
}

/**
 * fd_std_open() - make sure that descriptors 0 to 2 are open (/dev/null)
 *
 * Return: 0 or -errno
 */
int fd_std_open(void);

/**
 * fd_nonblock() - set or clear O_NONBLOCK
 *
 * Return: 0 or -errno
 */
int fd_nonblock(int fd, bool on);

/**
 * fd_cloexec() - set or clear close-on-exec
 *
 * Return: 0 or -errno
 */
int fd_cloexec(int fd, bool on);

/**
 * fd_read_full() - read until @len bytes or end of file, through EINTR
 *
 * Return: bytes read (less than @len only at end of file), or -errno
 */
ssize_t fd_read_full(int fd, void *buf, size_t len);

/**
 * fd_write_full() - write all of @len bytes, through EINTR
 *
 * Return: 0 or -errno
 */
int fd_write_full(int fd, const void *buf, size_t len);

#endif
