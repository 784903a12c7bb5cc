/*
 * bridge/host/carry.h - a stream of the session, on the host: no byte of it is
 * lost or comes twice; parts of bridge/host/stream.h
 *
 * Theory of operation (docs/resume.md 2). The guest dials the port after each
 * negotiation, proves that it is the agent, and who receives says first what he
 * has. What an output has is what the local reader was given: bytes that are
 * still here are dropped with the connection and come again. What an input
 * took from the local writer is kept until the guest has it, at most
 * STREAM_WINDOW_BYTES. So the numbers of a struct host_stream_state, with the
 * bytes that an input has kept, are all that another host needs to go on.
 *
 * The loss of a connection, or of the bridge, means nothing. An output is over
 * when its length is known and all of it was written; an input, when the guest
 * says so. While the session is frozen nothing moves.
 */
#ifndef FERRY_BRIDGE_HOST_CARRY_H
#define FERRY_BRIDGE_HOST_CARRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/host/stream.h"
#include "bridge/io/loop.h"
#include "bridge/session.h"
#include "config/err.h"

/* A new connection has so long to prove who it is. */
#define CARRY_HELLO_MS 5000

/**
 * struct host_carry - what a stream of the session has more
 * @next, @prev: all of a client
 * @proven:	the connection is the agent's
 * @was_proven:	and there was one before
 * @greeted:	the receiver has said what it has
 * @ended:	@length is known
 * @marked:	@mark is known: what the process itself wrote, before it ended
 * @guest_done:	the guest wants no more of it
 * @acked:	output: the guest was told; input: the guest has
 * @at:		output: was written here; input: goes out next
 * @taken:	input: was read here
 * @window:	input: STREAM_WINDOW_BYTES, a ring; byte n is at n modulo its size
 * @put, @got:	first bytes and numbers, on their way
 */
struct host_carry {
	struct host_carry *next;
	struct host_carry **prev;
	struct host_stream *stream;
	bool proven;
	bool was_proven;
	bool greeted;
	bool ended;
	bool marked;
	bool guest_done;
	bool ack_due;
	uint64_t length;
	uint64_t mark;
	uint64_t acked;
	uint64_t at;
	uint64_t taken;
	uint8_t *window;
	uint8_t put[STREAM_OFFSET_BYTES];
	size_t put_at;
	size_t put_len;
	uint8_t got[STREAM_HELLO_BYTES];
	size_t got_len;
	struct loop_id guest_watch;
	struct loop_id local_watch;
	struct loop_id ack_timer;
	struct loop_id step_timer;
	struct loop_id hello_timer;
};

/** carry_new() - the stream is of the session from now on; 0 or -ENOMEM */
int carry_new(struct host_stream *s, struct err *e);

/** carry_restore() - as carry_new(), where another host left it */
int carry_restore(struct host_stream *s, const struct host_stream_state *state,
		  struct err *e);

/** carry_state() - see host_stream_state() */
int carry_state(const struct host_stream *s, struct host_stream_state *ret,
		struct err *e);

/** carry_free() - tell the guest that it is over, and release it */
void carry_free(struct host_stream *s);

/** carry_dialled() - a connection to the port, taken */
void carry_dialled(struct host_stream *s, int fd);

/** carry_lost() - the bridge's connection is gone, and so is the stream's */
void carry_lost(struct host_stream *s);

/** carry_run() - the local end came, went, or is free to move */
void carry_run(struct host_stream *s);

/** carry_detach() - let go of the local end */
void carry_detach(struct host_stream *s);

/** carry_close_input() - what was read is all there is */
void carry_close_input(struct host_stream *s);

/** carry_frozen() - the session was frozen, or goes on */
void carry_frozen(struct host_client *c);

/** carry_forgotten() - the session is over: so are its streams, cut off */
void carry_forgotten(struct host_client *c);

/** carry_end(), carry_mark(), carry_unwanted() - frames of the guest about a port */
void carry_end(struct host_client *c, uint32_t port, uint64_t length);
void carry_mark(struct host_client *c, uint32_t port, uint64_t mark);
void carry_unwanted(struct host_client *c, uint32_t port);

#endif
