/*
 * bridge/io/transport.h - streams between guest and host, in three spellings
 *
 *   vsock		AF_VSOCK. Guest: dials CID 2. Host: listens for any CID
 *			and takes only connections of one peer CID.
 *   unix:BASE		"hybrid vsock": guest port P is the unix socket BASE_P
 *			(for example unix:/run/x/v and port 109: /run/x/v_109)
 * All sockets are close-on-exec and non-blocking. The guest always dials, the
 * host always listens (shared specification bridge.md 1.1).
 */
#ifndef FERRY_BRIDGE_IO_TRANSPORT_H
#define FERRY_BRIDGE_IO_TRANSPORT_H

#include <stdint.h>

#include "config/err.h"

/* sun_path is 108 bytes; "_4294967295" and the NUL come behind the base. */
#define TRANSPORT_BASE_MAX 96

enum transport_kind {
	TRANSPORT_VSOCK,
	TRANSPORT_UNIX,
};

/**
 * struct transport - where ports are
 * @kind:	spelling
 * @cid:	vsock: the peer; a guest uses 2 (the host), a host the CID of
 *		its guest
 * @base:	unix: path that the port number is appended to. vsock, on a
 *		host: folder of the acceptor (bridge/host/door.h), "": none
 * @patience_ms: vsock: how long the kernel waits for the answer to a dial, 0: 2 s
 *		as Linux has it
 */
struct transport {
	enum transport_kind kind;
	uint32_t cid;
	uint32_t patience_ms;
	char base[TRANSPORT_BASE_MAX];
};

#define TRANSPORT_CID_HOST 2u

/**
 * transport_parse() - "vsock", "vsock:CID" or "unix:BASE"
 *
 * Return: 0, -EINVAL, -ENAMETOOLONG
 */
int transport_parse(const char *text, struct transport *ret, struct err *e);

/**
 * transport_dial() - start to connect to @port of the peer
 * @t:		where
 * @port:	port number
 * @ret_fd:	receives the socket, the caller's; it becomes writable when
 *		the connection stands or failed, see transport_dial_result()
 * @e:		reason
 *
 * Return: 0, or -errno as connect(2) (nobody there: -ECONNREFUSED, -ENOENT,
 *         -ECONNRESET, -ENODEV, -ETIMEDOUT; all mean "try again later")
 */
int transport_dial(const struct transport *t, uint32_t port, int *ret_fd,
		   struct err *e);

/** transport_dial_result() - 0 when @fd is connected, else -errno */
int transport_dial_result(int fd);

/**
 * transport_probe() - have the peer look whether it knows this connection
 *
 * Of a virtio socket a packet without data is sent, a credit update: a host that
 * has no such connection (the VM moved while it was made) answers with a reset,
 * which the socket's watcher sees. The buffer grows by a byte for that, which is
 * what makes the kernel send it (virtio_transport_notify_buffer_size() in
 * net/vmw_vsock/virtio_transport_common.c); it never shrinks, for credit that
 * was given cannot be taken back. With other sockets nothing happens.
 */
void transport_probe(int fd);

/**
 * transport_listen() - listen on @port; a stale unix socket is replaced
 * @backlog:	as listen(2)
 *
 * Return: 0 or -errno (-EADDRINUSE: somebody else listens there)
 */
int transport_listen(const struct transport *t, uint32_t port, int backlog,
		     int *ret_fd, struct err *e);

/**
 * transport_accept() - take one connection of the expected peer
 *
 * Connections of other CIDs are closed and skipped.
 * Return: 0, -EAGAIN (none waiting), or -errno
 */
int transport_accept(const struct transport *t, int listen_fd, int *ret_fd,
		     struct err *e);

/** transport_unlink() - remove the socket file of a port; no-op for vsock */
void transport_unlink(const struct transport *t, uint32_t port);

#endif
