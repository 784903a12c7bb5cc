/*
 * bridge/host/door.h - how a host listens for its guest on one port
 *
 * By itself, on a unix socket of the sandbox or on a port of AF_VSOCK that it
 * has alone. Or, with the kernel's vsock and a transport whose base names a
 * folder, through the acceptor of that folder (bridge/host/acceptor.h), which
 * is started when nobody answers there. In each case a descriptor becomes
 * readable when the guest has dialled.
 *
 * Asking the acceptor is one round trip to a process that never waits; it is
 * done at once, with a limit.
 */
#ifndef FERRY_BRIDGE_HOST_DOOR_H
#define FERRY_BRIDGE_HOST_DOOR_H

#include <stdint.h>

#include "bridge/io/transport.h"
#include "config/err.h"

/* An acceptor that does not answer, or start, in this time is broken. */
#define HOST_DOOR_MS 5000

/**
 * host_door_listen() - as transport_listen(), or through the acceptor
 *
 * Return: 0; -EADDRINUSE (another guest's shim has it, or somebody who is no
 *         acceptor); -ETIMEDOUT, -EPROTO (the acceptor); or -errno
 */
int host_door_listen(const struct transport *t, uint32_t port, int backlog,
		     int *ret_fd, struct err *e);

/**
 * host_door_accept() - as transport_accept()
 *
 * Return: 0; -EAGAIN; -ECONNRESET: the acceptor has died, listen again; or
 *         -errno
 */
int host_door_accept(const struct transport *t, int listen_fd, int *ret_fd,
		     struct err *e);

#endif
