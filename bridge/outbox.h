/*
 * bridge/outbox.h - frames that were sent, kept until the peer has them; pure
 *
 * Theory of operation. Frames are numbered by counting, from 1, for the life of
 * a session (docs/resume.md 1.2). The box is a ring of records in memory that
 * the caller gives; in the agent that is a memfd shared with PID 1, so that a
 * new incarnation finds the box as it was:
 *
 *	acked <= on the wire of this connection <= put
 *
 * A record is its length, its number, the frame, padding to 8 bytes, and the
 * number again, so that the last number can be read behind the end of the last
 * record even when all are acknowledged. A record counts when @head is moved
 * behind it, by one store: a process that is killed at any instruction leaves
 * a box that is whole. What is on the wire is known to the live process only:
 * a new connection begins behind what its peer says to have.
 */
#ifndef FERRY_BRIDGE_OUTBOX_H
#define FERRY_BRIDGE_OUTBOX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "config/err.h"

#define OUTBOX_MAGIC 0x31786f4279727246ull /* "FrryBox1" */
/* Head of the memory; the rest, a power of two, is the ring. */
#define OUTBOX_HEAD_BYTES 4096u
/* Bytes that a record takes beside its frame, padding included. */
#define OUTBOX_RECORD_BYTES 32u

/**
 * struct outbox_head - what lies at the beginning of the memory
 * @magic:	OUTBOX_MAGIC
 * @size:	bytes of the ring
 * @head:	bytes of records ever put
 * @tail:	bytes of records ever acknowledged
 */
struct outbox_head {
	uint64_t magic;
	uint64_t size;
	uint64_t head;
	uint64_t tail;
};

/**
 * struct outbox - a view of such memory
 * @ring:	behind the head
 * @next:	bytes of records before the one that goes out next
 * @acked:	number of the last acknowledged frame
 * @wired:	number of the last frame that went out on this connection
 * @put:	number of the last frame
 */
struct outbox {
	struct outbox_head *head;
	uint8_t *ring;
	uint64_t next;
	uint64_t acked;
	uint64_t wired;
	uint64_t put;
};

/**
 * outbox_init() - an empty box
 * @memory:	zeroed, aligned to 8 bytes, borrowed for the life of the box
 * @bytes:	OUTBOX_HEAD_BYTES and a power of two behind them
 *
 * Return: 0, -EINVAL (@bytes)
 */
int outbox_init(struct outbox *o, void *memory, size_t bytes, struct err *e);

/** outbox_begin() - the next frame of an empty box is @number + 1 */
void outbox_begin(struct outbox *o, uint64_t number);

/**
 * outbox_open() - a box as somebody else left it; nothing of it is on the wire
 *
 * Everything is checked before it is believed: magic, size, that the records
 * follow each other and their numbers too.
 * Return: 0, -EINVAL (@bytes), -EPROTO (it is damaged)
 */
int outbox_open(struct outbox *o, void *memory, size_t bytes, struct err *e);

/**
 * outbox_put() - keep a frame; the caller sends what outbox_read() gives
 * @len:	1 to UINT32_MAX bytes
 *
 * Return: 0, -ENOBUFS: there is no room until something is acknowledged
 */
int outbox_put(struct outbox *o, const void *frame, size_t len, struct err *e);

/** outbox_room() - bytes of the largest frame that can be put now */
size_t outbox_room(const struct outbox *o);

/** outbox_unsent() - bytes of records that this connection has not had yet */
uint64_t outbox_unsent(const struct outbox *o);

/**
 * outbox_read() - the frame at a place in the box
 * @at:		outbox.next for the frame that goes out next; moved behind it
 * @part:	receives its bytes, in the box, in one or two pieces
 *
 * Return: number of pieces, 0: there is none
 */
int outbox_read(const struct outbox *o, uint64_t *at, struct iovec part[2]);

/** outbox_sent() - all of the next frame was written to the connection */
void outbox_sent(struct outbox *o);

/**
 * outbox_ack() - the peer has all frames up to @number
 *
 * Return: 0, -EPROTO: it cannot have them, or had more already
 */
int outbox_ack(struct outbox *o, uint64_t number, struct err *e);

/**
 * outbox_idle() - whole pages that an empty box can do without
 * @page:	bytes of a page, a power of two that divides the ring
 * @part:	receives them, in one or two pieces; they may turn to zeros
 *
 * The page with the last number is not among them.
 * Return: number of pieces, 0: the box is not empty
 */
int outbox_idle(const struct outbox *o, size_t page, struct iovec part[2]);

/**
 * outbox_resume() - on a new connection the peer says what it has: the next
 * frame to go out is the one behind
 *
 * Return: as outbox_ack(); but frames that this process never sent count too
 */
int outbox_resume(struct outbox *o, uint64_t number, struct err *e);

#endif
