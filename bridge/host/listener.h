/*
 * bridge/host/listener.h - wait for the guest to dial one port
 *
 * The guest always dials, the host always listens. A listener takes one
 * connection, or reports that none came in time, and is then over: its port is
 * closed before the callback runs, so that a second connection is refused.
 */
#ifndef FERRY_BRIDGE_HOST_LISTENER_H
#define FERRY_BRIDGE_HOST_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/io/loop.h"
#include "bridge/io/transport.h"
#include "config/err.h"

/**
 * host_listener_fn - the wait is over
 * @ctx:	of the listener
 * @fd:		connection, the callee's; -1: none, see @e
 * @e:		NULL with a connection; -ETIMEDOUT or what accept said
 */
typedef void host_listener_fn(void *ctx, int fd, const struct err *e);

/**
 * struct host_listener - one port that is listened on; embedded
 * @fd:		listening socket, -1: not listening
 */
struct host_listener {
	struct loop *loop;
	struct transport transport;
	uint32_t port;
	int fd;
	struct loop_id watch;
	struct loop_id timer;
	host_listener_fn *done;
	void *ctx;
};

/** host_listener_init() - a listener that listens on nothing */
void host_listener_init(struct host_listener *l, struct loop *loop,
			const struct transport *t, host_listener_fn *done,
			void *ctx);

/**
 * host_listener_start() - listen on @port and wait for one connection
 * @l:		a listener that does not listen
 * @port:	port number
 * @timeout_ms:	longest wait, -1: no limit (see host_listener_limit())
 * @e:		reason
 *
 * Return: 0 or -errno as host_door_listen()
 */
int host_listener_start(struct host_listener *l, uint32_t port, int timeout_ms,
			struct err *e);

/** host_listener_limit() - from now on wait @timeout_ms at most */
int host_listener_limit(struct host_listener *l, int timeout_ms, struct err *e);

/** host_listener_active() - does it still wait? */
static inline bool host_listener_active(const struct host_listener *l)
{
	return l->fd >= 0;
}

/** host_listener_stop() - close the port without a callback; always fine */
void host_listener_stop(struct host_listener *l);

#endif
