/*
 * bridge/host/conn.h - one connection of the bridge: frames in, frames out
 *
 * Loss is noticed by the end of the stream, by an error, or by missing
 * progress: half a frame that does not go on, or output that the guest does
 * not read, for HOST_CONN_STALL_MS. What the guest sent before it closed is
 * still handed on. Nothing is reported from within a function of the owner,
 * only from the loop.
 *
 * In a session (docs/resume.md) requests wait in an outbox that outlives the
 * connection, see host_conn_number().
 */
#ifndef FERRY_BRIDGE_HOST_CONN_H
#define FERRY_BRIDGE_HOST_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/frame.h"
#include "bridge/io/loop.h"
#include "bridge/outbox.h"
#include "config/err.h"

#define HOST_CONN_STALL_MS 60000
/* Bytes that may wait for a guest that does not read. */
#define HOST_SEND_MAX ((size_t)32 * 1024 * 1024)

/* A frame for host_conn_send(): room for the header, then the body. */
struct host_conn_frame;

/**
 * struct host_conn - one connection; embedded
 * @fd:		socket, -1: none
 * @stall_ms:	HOST_CONN_STALL_MS; a test may want less
 * @box:	frames of the session, NULL: none on this connection
 * @box_done:	bytes of its next frame that have left
 * @frame:	called for each frame; may close the connection
 * @lost:	the connection was lost; its owner closes it
 */
struct host_conn {
	struct loop *loop;
	int fd;
	int stall_ms;
	struct loop_id watch;
	struct loop_id stall;
	struct frame_reader in;
	struct host_conn_frame *head;
	struct host_conn_frame **tail;
	size_t queued_bytes;
	struct outbox *box;
	size_t box_done;
	int64_t in_progress_ms;
	int64_t out_progress_ms;
	void (*frame)(void *ctx, const struct frame *f);
	void (*lost)(void *ctx, const struct err *why);
	void *ctx;
};

/** host_conn_init() - a connection that is not there; sets the callbacks */
void host_conn_init(struct host_conn *c, struct loop *loop,
		    void (*frame)(void *ctx, const struct frame *f),
		    void (*lost)(void *ctx, const struct err *why), void *ctx);

/**
 * host_conn_open() - serve @fd
 * @fd:		non-blocking socket, taken whatever happens
 *
 * Return: 0 or -errno
 */
int host_conn_open(struct host_conn *c, int fd, struct err *e);

/** host_conn_close() - close it, drop what is queued and what came in part */
void host_conn_close(struct host_conn *c);

/**
 * host_conn_send() - queue one frame
 * @type:	type word
 * @id:		request id, larger than any before on this connection
 * @body:	payload, copied
 * @len:	bytes of @body
 *
 * Return: 0, -ENOBUFS (too much is queued), -ENOMEM
 */
int host_conn_send(struct host_conn *c, uint32_t type, uint64_t id,
		   const char *body, size_t len, struct err *e);

/** host_conn_put() - one frame into @box, for a later connection; returns as
 * host_conn_send() */
int host_conn_put(struct outbox *box, uint32_t type, uint64_t id,
		  const char *body, size_t len, struct err *e);

/**
 * host_conn_number() - from here on host_conn_send() puts into a box, and what
 * is in the box is sent
 * @box:	borrowed until the connection is closed
 */
void host_conn_number(struct host_conn *c, struct outbox *box);

/** host_conn_send_unnumbered() - as host_conn_send(), never into the box */
int host_conn_send_unnumbered(struct host_conn *c, uint32_t type, uint64_t id,
			      const char *body, size_t len, struct err *e);

/** host_conn_unsent() - lowest id of which not one byte went out, UINT64_MAX: none */
uint64_t host_conn_unsent(const struct host_conn *c);

#endif
