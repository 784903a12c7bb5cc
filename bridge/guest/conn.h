/*
 * bridge/guest/conn.h - one connection to the host, from dial to loss
 *
 * Frames are handed out strictly in the order in which they came, one at a
 * time. Answers wait in a queue of bounded size: when it is full no further
 * frame is taken, so that a host that sends and does not read stops itself.
 * A connection refers to nothing that outlives it; it only has a number.
 *
 * Nothing here closes the connection by itself: an error, an end of file, a
 * hang-up or a frame out of its limits set @lost, and the owner, at the end of
 * its turn, closes it with conn_close() and gets back what was not sent.
 *
 * In a session (docs/resume.md) answers are not in the queue but in the
 * session's outbox, which the owner lends to the connection. What is in the
 * queue then goes out before it, between frames.
 */
#ifndef FERRY_BRIDGE_GUEST_CONN_H
#define FERRY_BRIDGE_GUEST_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/frame.h"
#include "bridge/guest/answer.h"
#include "bridge/guest/list.h"
#include "bridge/io/loop.h"
#include "bridge/outbox.h"
#include "config/err.h"

/* Bytes of waiting answers at which no more frames are taken. */
#define CONN_QUEUE_MAX ((size_t)1 << 20)
/* Bytes of waiting answers at which frames are taken again. */
#define CONN_QUEUE_LOW (CONN_QUEUE_MAX / 2)

struct conn;

/* @f: borrowed for the call. The connection is never closed inside of it. */
typedef void conn_frame_fn(void *ctx, const struct frame *f);

/**
 * struct conn - a connection; the owner reads the first part
 * @number:	counts connections, from 1; 0: none was ever open
 * @up:		open
 * @lost:	open, of no use any more
 * @negotiated:	a version was agreed on
 * @events:	the host takes ferry's own notices
 * @saw_id_zero: a frame before that had id 0: the host object is a new one
 * @why:	after a loss: the reason
 * @box:	frames of the session, NULL: none on this connection
 */
struct conn {
	uint32_t number;
	bool up;
	bool lost;
	bool negotiated;
	bool events;
	bool saw_id_zero;
	struct err why;
	struct outbox *box;

	struct loop *loop;
	int rfd;
	int wfd;
	struct loop_id rwatch;
	struct loop_id wwatch;
	struct loop_id silence;
	conn_frame_fn *on_frame;
	void *ctx;
	struct frame_reader reader;
	struct list queue;
	size_t queued;
	size_t sent;	 /* bytes of the first answer that have left */
	size_t box_sent; /* the same of the next frame of the box */
	bool paused;
	bool stopped;
};

/** conn_init() - a connection that is not open */
void conn_init(struct conn *c, struct loop *l, conn_frame_fn *fn, void *ctx);

/**
 * conn_open() - serve a connected socket, or a pair of pipes
 * @rfd:	non-blocking; the connection's from now on, also on failure
 * @wfd:	as @rfd, or the same descriptor
 *
 * Return: 0 or -errno
 */
int conn_open(struct conn *c, int rfd, int wfd, struct err *e);

/**
 * conn_expect() - the connection is lost if nothing at all comes within @ms
 *
 * A connection that was answered just before the UVM moved has no other end,
 * and nothing would ever tell.
 */
void conn_expect(struct conn *c, int64_t ms);

/**
 * conn_close() - shut down, close, forget; fine when it is not open
 * @unsent:	receives the answers of which not all was written, in order
 */
void conn_close(struct conn *c, struct list *unsent);

/** conn_send() - queue an answer, which is the connection's now */
void conn_send(struct conn *c, struct answer *a);

/** conn_waiting() - bytes that are not written yet */
size_t conn_waiting(const struct conn *c);

/** conn_flush() - write what can be written; called once a turn */
void conn_flush(struct conn *c);

/** conn_stop() - take no further frame, only send what is queued */
void conn_stop(struct conn *c);

#endif
