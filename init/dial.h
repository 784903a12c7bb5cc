/* init/dial.h - connect to a host port, with a deadline */
#ifndef FERRY_INIT_DIAL_H
#define FERRY_INIT_DIAL_H

#include <stdint.h>

#include "bridge/io/transport.h"
#include "config/err.h"

/**
 * dial_wait_for() - wait until a descriptor is ready
 * @fd:		descriptor
 * @events:	poll(2) events
 * @end_ms:	clock_ms() at which it gives up
 *
 * Return: 0, -ETIMEDOUT, or -errno
 */
int dial_wait_for(int fd, short events, int64_t end_ms, struct err *e);

/**
 * dial() - a connection that stands
 * @t:		where the host is
 * @port:	host port
 * @end_ms:	clock_ms() at which it gives up
 * @ret_fd:	receives the socket, non-blocking, close-on-exec, the caller's
 * @e:		reason
 *
 * Return: 0 or -errno
 */
int dial(const struct transport *t, uint32_t port, int64_t end_ms, int *ret_fd,
	 struct err *e);

#endif
