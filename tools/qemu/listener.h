/* tools/qemu/listener.h - a unix socket that QEMU connects to */
#ifndef FERRY_TOOLS_QEMU_LISTENER_H
#define FERRY_TOOLS_QEMU_LISTENER_H

#include "config/err.h"

/**
 * listener_open() - listen on @path, a socket file for the owner only
 * @path:	absolute, not there yet
 * @ret_fd:	non-blocking, close-on-exec, the caller's
 * @e:		reason
 *
 * QEMU connects when it starts, so that nobody has to look for a socket of
 * its making again and again.
 * Return: 0, -ENAMETOOLONG, or -errno
 */
int listener_open(const char *path, int *ret_fd, struct err *e);

/**
 * listener_accept() - take one connection
 *
 * Return: 0, -EAGAIN (none waits), or -errno
 */
int listener_accept(int fd, int *ret_fd, struct err *e);

#endif
