/*
 * bridge/host/local.h - a descriptor of the caller as one end of a relay
 *
 * O_NONBLOCK belongs to the open file, which a terminal or a pipe shares with
 * other processes (the user's shell would find its terminal changed). So the
 * flag is never set on what the caller gave: a terminal or a pipe is opened
 * again, a socket is asked with MSG_DONTWAIT, and what never blocks or cannot
 * be opened again is used as it is, with steps small enough not to block.
 */
#ifndef FERRY_BRIDGE_HOST_LOCAL_H
#define FERRY_BRIDGE_HOST_LOCAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "config/err.h"

/**
 * struct local - one end
 * @fd:		our own descriptor, -1: closed
 * @socket:	read and written with recv and send
 * @pipe:	a pipe: the kernel can move bytes through it by itself
 * @own:	a socket of ours alone: half-closed when its input ends
 * @steady:	always ready (a regular file, /dev/null): epoll refuses it;
 *		found out by who watches it
 * @careful:	may block: one short step each time it is ready
 */
struct local {
	int fd;
	bool socket;
	bool pipe;
	bool own;
	bool steady;
	bool careful;
};

/**
 * local_open() - our own copy of @fd
 * @fd:		borrowed for the call
 * @writing:	to write to it, else to read from it
 * @ret:	filled on success
 * @e:		reason
 *
 * Return: 0 or -errno
 */
int local_open(int fd, bool writing, struct local *ret, struct err *e);

/** local_socket() - a non-blocking socket of our own, taken from the caller */
struct local local_socket(int fd);

/** local_close() - close our copy; harmless when closed */
void local_close(struct local *l);

/** local_half_close() - no more will be written to this socket */
void local_half_close(const struct local *l);

/** local_read() - return: bytes, 0 at the end, -EAGAIN, or -errno */
ssize_t local_read(const struct local *l, void *buf, size_t len);

/** local_write() - return: bytes, -EAGAIN, -EPIPE, or -errno; no SIGPIPE on
 * sockets, but the program must ignore it for pipes */
ssize_t local_write(const struct local *l, const void *buf, size_t len);

#endif
