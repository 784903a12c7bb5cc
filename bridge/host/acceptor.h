/*
 * bridge/host/acceptor.h - one process of a host takes the connections that
 * guests make, and hands each to the shim whose guest it is
 *
 * A port of AF_VSOCK belongs to the whole host: of two shims that listen on
 * the bridge's port the second is refused. So nobody listens but the acceptor.
 * A shim asks it for the pair of its guest's CID and a port:
 *
 *	shim --- unix socket, SOCK_SEQPACKET ---> acceptor --- AF_VSOCK, any CID
 *	    acceptor_ask {cid, port}  ------>      listens on the port, if it does not
 *	    acceptor_word {0 or -errno} <----
 *	    acceptor_word {0} + descriptor <--     for each connection of that CID
 *	    close                     ------>      and nobody wants the port: closed
 *
 * One connection to the acceptor is one such pair, and lasts as long as it. So
 * nothing has to be cleaned up after a shim that died, and a port that no shim
 * wants is refused by the kernel, as without an acceptor. A connection from
 * another CID is closed.
 *
 * The acceptor keeps nothing that it could lose: when it dies, every shim sees
 * the end of its connections and asks again (bridge/host/door.h), whoever is
 * first starts a new acceptor, and guests whose connections were being taken
 * dial again. It ends by itself when nobody has asked for a while.
 *
 * It never waits for a shim: one whose queue is full loses the connection.
 * It serves processes of its own user only.
 */
#ifndef FERRY_BRIDGE_HOST_ACCEPTOR_H
#define FERRY_BRIDGE_HOST_ACCEPTOR_H

#include <stdint.h>

#include "bridge/io/loop.h"
#include "config/err.h"

#define ACCEPTOR_VERSION 1u
/* Pairs at once; each takes a descriptor, and a port that is new another. */
#define ACCEPTOR_PAIRS_MAX 65536u
/* It ends when nobody has wanted anything for so long. */
#define ACCEPTOR_IDLE_MS 10000

/* What a shim says first. */
struct acceptor_ask {
	uint32_t version;
	uint32_t cid;
	uint32_t port;
};

/* What the acceptor says: to the ask, then with each descriptor. */
struct acceptor_word {
	uint32_t version;
	int32_t result;
};

/**
 * struct acceptor_ports - how ports are listened on; AF_VSOCK, or a test's
 * @listen:	on @port, for any CID; 0 or -errno
 * @accept:	one connection and the CID that it comes from; 0, -EAGAIN, or
 *		-errno
 */
struct acceptor_ports {
	int (*listen)(void *ctx, uint32_t port, int *ret_fd, struct err *e);
	int (*accept)(void *ctx, int fd, int *ret_fd, uint32_t *ret_cid);
	void *ctx;
};

/* Those of AF_VSOCK. */
extern const struct acceptor_ports acceptor_vsock;

struct acceptor;

/**
 * acceptor_new() - serve shims that connect to @listen_fd
 * @l:		loop, borrowed
 * @listen_fd:	SOCK_SEQPACKET, listening, non-blocking; taken in any case
 * @ports:	copied
 * @idle_ms:	loop_stop() when nobody wanted anything for so long
 * @ret:	receives it; acceptor_free(NULL) is fine
 *
 * Return: 0, -ENOMEM, -ENOSPC
 */
int acceptor_new(struct loop *l, int listen_fd,
		 const struct acceptor_ports *ports, int idle_ms,
		 struct acceptor **ret, struct err *e);

void acceptor_free(struct acceptor *a);

/* argv[1] of a program that shall be an acceptor. */
#define ACCEPTOR_COMMAND "acceptor"
/* Files of its folder. */
#define ACCEPTOR_SOCKET "acceptor"
#define ACCEPTOR_LOCK "acceptor.lock"

/**
 * acceptor_main() - the program: "acceptor FOLDER"
 * @ports:	&acceptor_vsock, or a test's
 *
 * Goes into the background and returns, in the starter's process, when the
 * acceptor of that folder can be asked, or another one has its lock.
 * Return: exit status of either process
 */
int acceptor_main(int argc, char **argv, const struct acceptor_ports *ports);

#endif
