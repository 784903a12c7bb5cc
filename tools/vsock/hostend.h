/*
 * tools/vsock/hostend.h - the host's end of a stream: its socket, its life
 *
 * Every function leaves the stream settled: what follows from its state has
 * been done, and if it has something for the guest it is queued. A stream may
 * be free afterwards; callers do not look at it again.
 */
#ifndef FERRY_TOOLS_VSOCK_HOSTEND_H
#define FERRY_TOOLS_VSOCK_HOSTEND_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "tools/vsock/backend.h"

/** hostend_dial() - a stream in DIALING tries to connect, or gives up */
void hostend_dial(struct backend *b, struct vconn *c);

/** hostend_accept() - take new host programs, a few, from the listener */
void hostend_accept(struct backend *b);

/** hostend_answered() - the guest accepted a stream in ASKING */
void hostend_answered(struct backend *b, struct vconn *c);

/** hostend_event() - the host socket is ready: EPOLL* bits */
void hostend_event(struct backend *b, struct vconn *c, uint32_t events);

/**
 * hostend_write() - @len bytes of the guest for the host
 * @iov:	where they are; changed by the call
 * @n:		entries of @iov
 *
 * The caller has checked that they are within the stream's credit.
 */
void hostend_write(struct backend *b, struct vconn *c, struct iovec *iov,
		   size_t n, uint32_t len);

/**
 * hostend_read() - fill guest memory from the host socket
 *
 * Return: bytes read, 0: nothing to give to the guest now; end of file and
 * errors have been noted in the stream
 */
uint32_t hostend_read(struct backend *b, struct vconn *c, struct iovec *iov,
		      size_t n, uint32_t room);

/** hostend_settle() - do what follows from the state of both directions */
void hostend_settle(struct backend *b, struct vconn *c);

/** hostend_due() - the stream's own time has come */
void hostend_due(struct backend *b, struct vconn *c);

/** hostend_reset() - end a stream at once; the guest gets a reset */
void hostend_reset(struct backend *b, struct vconn *c);

/** hostend_forget() - end a stream at once; the guest gets nothing */
void hostend_forget(struct backend *b, struct vconn *c);

#endif
