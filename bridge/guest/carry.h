/*
 * bridge/guest/carry.h - a stream of the session: nothing of it is lost or
 * comes twice, whatever becomes of its connections
 *
 * Theory of operation (docs/resume.md 2). The bytes of a stream are numbered.
 * They lie in a memfd until who receives them has said that it has them:
 *
 *	output	pipe or terminal --> memfd --> socket
 *		acked <= at <= offset; at most STREAM_WINDOW_BYTES between the
 *		first and the last, then nothing is taken from the process
 *	input	socket --> memfd --> pipe or terminal
 *		at <= offset; what is in the memfd is acknowledged, and no more
 *		is read than the process lags behind by STREAM_WINDOW_BYTES
 *
 * The position of the file says for an output how much was taken, for an input
 * how much was given; the size of an input's file says how much was taken. The
 * kernel moves both with the bytes, so that a later incarnation of the agent
 * finds the numbers in the file itself. Whole pages that nobody needs any more
 * are punched out. What else it has to know is in the stream's record, whose word
 * is for an output @acked, for an input its length plus one, once that is known.
 *
 * States of struct stream: OPEN connected, REDIAL being dialled, LOST waiting
 * for a host or for the next attempt, CLOSED. When the session is over what is
 * left becomes an ordinary stream in DISCARD, an input ends.
 *
 * A connection that ends means nothing. The end of a stream is told as its
 * length, by a frame of the bridge, at the end of the source and again on each
 * later connection of the stream. The receiver says that it wants no more, also
 * when it has all: only then is an output forgotten.
 */
#ifndef FERRY_BRIDGE_GUEST_CARRY_H
#define FERRY_BRIDGE_GUEST_CARRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/guest/stream.h"
#include "bridge/io/loop.h"
#include "bridge/session.h"
#include "config/err.h"

/* Bytes that are punched out at once, if not all are acknowledged. */
#define CARRY_PUNCH_BYTES ((uint64_t)256 << 10)
/* A port that does not answer is dialled again: 1, 2, 4 ... ms, at most this;
 * a port that never does more seldom. */
#define CARRY_REDIAL_MS 64
#define CARRY_REDIAL_SLOW_MS 1000
#define CARRY_FAST_DIALS 300u
/* The next attempt when there was no memory for bytes. */
#define CARRY_MEMORY_MS 100

/**
 * struct carry - what a stream of the session has more
 * @slot:	its record, with the word that is written in place, NULL: none
 * @port:	of the host; the name of the stream
 * @next:	another stream in the bucket of its port
 * @file:	the memfd
 * @mid:	an output of a terminal: a pipe before the memfd, -1: none
 * @greeted:	the first offset of this connection was told
 * @ended:	@length is known
 * @ack_due:	what was taken has to be acknowledged
 * @acked:	output: the host has; input: the host was told
 * @at:		output: goes out next; input: was given to the process
 * @punched:	bytes that are not in the file any more
 * @put:	first bytes of the connection and numbers, on their way
 * @got:	a part of a number
 * @dials:	attempts in a row
 */
struct carry {
	uint32_t slot;
	uint64_t *word;
	uint32_t port;
	struct stream *next;
	int file;
	int mid;
	bool greeted;
	bool ended;
	bool ack_due;
	uint64_t length;
	uint64_t acked;
	uint64_t at;
	uint64_t punched;
	uint8_t put[STREAM_HELLO_BYTES + STREAM_OFFSET_BYTES];
	size_t put_at;
	size_t put_len;
	uint8_t got[STREAM_OFFSET_BYTES];
	size_t got_len;
	uint32_t dials;
	struct loop_id dial_timer;
	struct loop_id run_timer;
};

/**
 * struct carry_new - what makes one, and what a later agent has to know of it
 * @port:	the host's, dialled when a connection of the session is up
 * @number, @role: of the deposit of @end
 * @serial, @pid: its process
 * @end:	pipe end or terminal master, non-blocking; taken, also on failure
 * @file:	of an earlier agent's, taken likewise; -1: it begins
 * @mid:	the same, -1: none
 * @slot:	its record then
 * @word:	and the word of that
 */
struct carry_new {
	enum stream_kind kind;
	bool tty;
	uint32_t port;
	uint64_t number;
	uint32_t role;
	uint64_t serial;
	uint32_t pid;
	int end;
	int file;
	int mid;
	uint32_t slot;
	uint64_t word;
};

/** stream_new_carried() - as stream_new(), of the session */
int stream_new_carried(struct streams *all, const struct carry_new *n,
		       stream_change_fn *fn, void *ctx, struct stream **ret,
		       struct err *e);

/** carry_host() - a host came or went */
void carry_host(struct stream *s);

/** carry_exited() - the process did: see stream_process_exited() */
void carry_exited(struct stream *s);

/** carry_drained() - was all that the process wrote taken? */
bool carry_drained(const struct stream *s);

/** carry_done() - release what is left of it, with the socket */
void carry_done(struct stream *s);

/**
 * streams_end() - a frame of the host: the input of @port has @length bytes
 *
 * A port that is not known is fine: the stream is over.
 */
void streams_end(struct streams *all, uint32_t port, uint64_t length);

/** streams_unwanted() - a frame of the host: no more of the output of @port */
void streams_unwanted(struct streams *all, uint32_t port);

/** streams_session_over() - what was in it goes nowhere any more */
void streams_session_over(struct streams *all);

#endif
