/*
 * bridge/host/stream.h - one of the three streams of a process of the guest
 *
 * Theory of operation. A stream has two ends that come and go by themselves:
 * the guest dials its port, and somebody here is attached to it.
 *
 *	guest's end	somebody attached	what happens
 *	there		yes			bytes are relayed
 *	there		no			nothing is read: the process waits when
 *						the buffers on the way are full
 *	not yet, gone	yes or no		the port is listened on
 *
 * What was read from one end and could not be written to the other is kept
 * (RELAY_BUFFER_SIZE at most) for who is attached next.
 *
 * The guest's end may break because the VM moved or the bridge was lost. The
 * streams of a container's init process are dialled again by the guest
 * (@redial): the local end stays open then, and the port is listened on again
 * when the bridge is back (bridge.md 5.5, 7.6). An end of output counts as the
 * process's own doing only when no loss was noticed within STREAM_SETTLE_MS.
 * The reference's guest sends up to 128 KiB again that were read before.
 *
 * In a session with the guest none of this is needed: bridge/host/carry.h has
 * streams of which nothing is lost.
 *
 * A stream is over when its local end was closed for good: the output has
 * ended, or cannot be written, or nobody listens any more.
 */
#ifndef FERRY_BRIDGE_HOST_STREAM_H
#define FERRY_BRIDGE_HOST_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/host/client.h"
#include "bridge/host/listener.h"
#include "bridge/host/local.h"
#include "bridge/host/relay.h"
#include "bridge/io/loop.h"
#include "bridge/msg.h"
#include "config/err.h"

#define STREAM_SETTLE_MS 1000

enum stream_event {
	STREAM_OVER,	 /* it is over */
	STREAM_CUT,	 /* it is over, and not all of the output was written */
	STREAM_DETACHED, /* who was attached has gone; the stream goes on */
};

struct host_carry;
struct host_stream;

/**
 * struct host_stream_state - what another host needs to go on with a stream
 * @carried:	it is of the session; else nothing else is looked at
 * @ended:	@length is known
 * @marked:	@mark is known, see bridge/host/carry.h
 * @offset:	bytes that the receiver has
 * @bytes:	of an input, behind @offset; on the heap
 * @len:	their number
 */
struct host_stream_state {
	bool carried;
	bool ended;
	bool marked;
	uint64_t length;
	uint64_t mark;
	uint64_t offset;
	uint8_t *bytes;
	size_t len;
};

/* Something happened to a stream, from the loop. The owner may close it. */
typedef void host_stream_fn(void *ctx, struct host_stream *s,
			    enum stream_event what);

/**
 * struct host_stream - one stream; embedded
 * @which:	MSG_STDIN, MSG_STDOUT or MSG_STDERR
 * @port:	0: there is no such stream
 * @redial:	the guest dials again after a loss
 * @keep:	the far end of the local descriptor may go: detach then
 * @held:	input waits until the process runs
 * @over:	see above
 * @suspect:	a loss was noticed since the guest dialled
 * @close_input: no more input, half close when what was read is written
 * @exited:	the process has: nothing is dialled again
 * @local, @guest: the ends, while no relay has them
 * @rest:	bytes on their way that found no room
 * @bytes_before: bytes of relays that were taken apart
 * @carry:	NULL: not of the session
 */
struct host_stream {
	struct host_client *client;
	struct loop *loop;
	enum msg_stdio which;
	uint32_t port;
	bool redial;
	bool keep;
	bool held;
	bool over;
	bool suspect;
	bool close_input;
	bool exited;
	struct host_listener listener;
	struct local local;
	struct local guest;
	struct host_relay *relay;
	uint8_t *rest;
	size_t rest_len;
	uint64_t bytes_before;
	struct host_carry *carry;
	struct loop_id settle;
	host_stream_fn *changed;
	void *ctx;
};

/** host_stream_init() - no stream yet: all zero but what it needs */
void host_stream_init(struct host_stream *s, struct host_client *c,
		      enum msg_stdio which, host_stream_fn *changed, void *ctx);

/** host_stream_name() - "stdin", "stdout", "stderr" */
const char *host_stream_name(const struct host_stream *s);

/** host_stream_listen() - take a new port and listen on it; 0 or -errno */
int host_stream_listen(struct host_stream *s, struct err *e);

/** host_stream_listen_on() - listen on a port that a move handed on */
int host_stream_listen_on(struct host_stream *s, uint32_t port, struct err *e);

/** host_stream_restore() - a stream of the session, which another host had */
int host_stream_restore(struct host_stream *s, uint32_t port,
			const struct host_stream_state *state, struct err *e);

/** host_stream_state() - of one that is in the session; freeze that first */
int host_stream_state(const struct host_stream *s,
		      struct host_stream_state *ret, struct err *e);

/** host_stream_limit() - the guest has so long to dial, else it is over */
void host_stream_limit(struct host_stream *s, int timeout_ms);

/**
 * host_stream_attach() - join a descriptor to the stream
 * @fd:		borrowed, see local_open()
 *
 * Return: 0, -ENXIO (no such stream), -EPIPE (over), -EBUSY, -errno
 */
int host_stream_attach(struct host_stream *s, int fd, struct err *e);

/** host_stream_detach() - let go of the local end; the stream goes on */
void host_stream_detach(struct host_stream *s);

/** host_stream_attached() - is somebody? */
bool host_stream_attached(const struct host_stream *s);

/** host_stream_release() - the process runs: input may flow */
void host_stream_release(struct host_stream *s);

/** host_stream_close_input() - half close behind what was read */
void host_stream_close_input(struct host_stream *s);

/** host_stream_bridge_lost(), _ready() - the bridge's news */
void host_stream_bridge_lost(struct host_stream *s);
void host_stream_bridge_ready(struct host_stream *s);

/** host_stream_exited() - the exit is known: an end is an end from now on */
void host_stream_exited(struct host_stream *s);

/** host_stream_open() - may anything more come from the guest? */
bool host_stream_open(const struct host_stream *s);

/** host_stream_parked() - the guest's end is there and nobody attached */
bool host_stream_parked(const struct host_stream *s);

/** host_stream_bytes() - bytes read from its source */
uint64_t host_stream_bytes(const struct host_stream *s);

/** host_stream_away() - of the session, and not all that the process itself
 * wrote is known to be here? */
bool host_stream_away(const struct host_stream *s);

/** host_stream_blocked() - does it wait for the local reader? */
bool host_stream_blocked(const struct host_stream *s);

/** host_stream_close() - everything, no callback; harmless on a closed one */
void host_stream_close(struct host_stream *s);

#endif
