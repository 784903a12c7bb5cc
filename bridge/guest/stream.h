/*
 * bridge/guest/stream.h - one direction of a process's standard input and
 * output, between its pipe or terminal and a socket of the host
 *
 * The process never has the socket itself: what it wrote is in a pipe that the
 * agent owns, so that a lost host costs the process nothing. Output goes on by
 * splice where the kernel can, else through a buffer of STREAM_BUFFER bytes.
 *
 * States of an output stream:
 *
 *	OPEN	bytes move
 *	JUDGE	the socket broke; for STREAM_JUDGE_LOOKS times STREAM_JUDGE_MS it
 *		is open whether only the stream ended (the host does not want any more: the process gets
 *		EPIPE, as with the reference) or the whole host is gone
 *	LOST	the host is gone: what the process writes stays in its pipe, and
 *		when that is full the process waits
 *	REDIAL	a host is back, and the stream has a port that may be dialled
 *		again (those of a container's init process): it is, until it
 *		answers, and then the stream is OPEN again, or LINGERs
 *	DISCARD	a host is back that cannot have this stream any more (the plain
 *		protocol redials no stream of a UVM process): output is read and
 *		dropped, so that the process lives on undisturbed
 *	LINGER	all was sent and the socket half-closed; it is kept until the
 *		host has closed its side, at most STREAM_LINGER_MS
 *	CLOSED	over; the object goes at the end of the turn, once whoever has
 *		it has let go of it
 *
 * An input stream is OPEN, then CLOSED: by the host's half-close or loss (the
 * process reads an end of file from its pipe; a terminal just gets no more, but
 * see process.h for the end of both) or when nobody reads the pipe any more.
 * One with a port to dial again is JUDGED when its socket goes without a
 * half-close, and LOST and REDIALled as an output is.
 *
 * A dial can be answered by a host that the VM leaves in this instant: then the
 * socket stands here and nowhere else, and who writes nothing would not notice.
 * So when a stream was dialled again, and when a host has negotiated anew, the
 * host is made to look (transport_probe()), and a stream that breaks within
 * STREAM_FRESH_MS of that is dialled again, not judged; STREAM_EARLY_MAX times
 * for one connection of the bridge.
 *
 * The plain protocol acknowledges nothing: what was written to a socket and not
 * read by the host that went away is not sent again, and nothing is sent twice.
 * With a host of ferry's own that is different: see bridge/guest/carry.h.
 *
 * Every stream counts its bytes. At the exit of its process a mark is set
 * behind what is in the pipe at that moment: when the count has reached it, all
 * that the process itself wrote was sent, whoever else still holds the pipe.
 */
#ifndef FERRY_BRIDGE_GUEST_STREAM_H
#define FERRY_BRIDGE_GUEST_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/guest/list.h"
#include "bridge/io/loop.h"
#include "bridge/io/transport.h"
#include "config/err.h"

/* Most bytes that one stream keeps outside of pipes and sockets. */
#define STREAM_BUFFER 65536u
/* Most bytes that one stream moves before others have their turn. */
#define STREAM_TURN_BYTES ((uint64_t)8 << 20)
/* A stream that has moved this much gets the larger pipe. */
#define STREAM_BUSY_BYTES ((uint64_t)1 << 20)
#define STREAM_PIPE_BYTES (1 << 20)
#define STREAM_JUDGE_MS 250
/* A machine may stand still between the end of the stream and that of the bridge:
 * only turns of the loop in which nothing was heard of it count as time. */
#define STREAM_JUDGE_LOOKS 3u
#define STREAM_FRESH_MS 1000
#define STREAM_EARLY_MAX 3u
#define STREAM_LINGER_MS 10000
/* A terminal that is silent this long after its process ended is drained. */
#define STREAM_TTY_QUIET_MS 100
/* Of streams of the session, by their ports. */
#define STREAM_BUCKETS 1024u

struct carry;
struct carry_new;
struct session_id;
struct stream;

enum stream_kind {
	STREAM_IN,   /* from the host to the process */
	STREAM_OUT,  /* from the process to the host */
	STREAM_IDLE, /* a socket that is held open and never used */
};

enum stream_state {
	STREAM_OPEN,
	STREAM_JUDGE,
	STREAM_LOST,
	STREAM_REDIAL,
	STREAM_DISCARD,
	STREAM_LINGER,
	STREAM_CLOSED,
};

/**
 * struct streams - all streams of the agent
 * @loop:	borrowed
 * @transport:	where ports are dialled again; borrowed
 * @all:	every stream that is not CLOSED
 * @dead:	CLOSED and forgotten ones, released by streams_sweep()
 * @host_up:	a negotiated connection exists
 * @host_number: its number
 * @n:		streams in @all
 * @moved:	bytes ever moved
 * @discarded:	bytes ever dropped in DISCARD
 * @on_end:	the far end of a stream with a @number is about to be closed
 * @on_kept:	a stream of the session begins, or ends (no @n); see keep_stream()
 * @scratch:	STREAM_BUFFER bytes, for one read at a time
 * @by_port:	those of the session, see struct carry
 * @session:	NULL: there is none
 * @nonce:	of the connection that is up, NULL: none, or none of the session
 * @tell:	sends a frame about a stream of the session, see
 *		bridge/msg_ferry.h; NULL: there will never be one
 */
struct streams {
	struct loop *loop;
	const struct transport *transport;
	struct list all;
	struct list dead;
	bool host_up;
	uint32_t host_number;
	size_t n;
	uint64_t moved;
	uint64_t discarded;
	void (*on_end)(void *ctx, uint64_t number, uint32_t role);
	void (*on_kept)(void *ctx, struct stream *s, const struct carry_new *n);
	void *ctx;
	uint8_t *scratch;
	struct stream *by_port[STREAM_BUCKETS];
	const struct session_id *session;
	const uint8_t *nonce;
	void (*tell)(void *ctx, uint32_t type, uint32_t port, uint64_t length);
	void *tell_ctx;
};

/* Something about a stream changed: it may be drained now. */
typedef void stream_change_fn(void *ctx);

struct stream {
	struct streams *owner;
	struct list node;
	enum stream_kind kind;
	enum stream_state state;
	int sock;
	int end;	 /* pipe, or terminal */
	int tee;	 /* file that takes all output too, -1: none */
	uint32_t port;	 /* to be dialled again, 0: none */
	uint64_t number; /* of the deposit of @end with PID 1, 0: none */
	uint32_t role;
	uint32_t dials;
	bool tty;
	bool no_splice;
	bool large;
	bool marked;
	bool quiet;
	bool forgotten;
	bool half_closed;  /* an output whose host sends no more */
	bool refused;	   /* closed by a host that is still there */
	uint32_t broke_on; /* connection that was up when the socket broke */
	uint32_t looks;	   /* of JUDGE */
	uint32_t early;	   /* breaks soon after the host was made to look */
	int64_t fresh_ms;  /* until then it is soon */
	struct loop_id sock_watch;
	struct loop_id end_watch;
	struct loop_id timer;
	uint64_t offset; /* bytes taken from the source so far */
	uint64_t mark;
	uint8_t *left; /* taken, not yet given on */
	size_t left_at;
	size_t left_len;
	struct carry *carry; /* NULL: not of the session */
	stream_change_fn *on_change;
	void *ctx;
};

/** streams_init() - none; return: 0 or -ENOMEM */
int streams_init(struct streams *all, struct loop *l,
		 const struct transport *t);

/** streams_done() - close and release every stream */
void streams_done(struct streams *all);

/** streams_sweep() - release what was closed; called once a turn */
void streams_sweep(struct streams *all);

/** streams_host() - a connection was negotiated (@number) or lost (@up false) */
void streams_host(struct streams *all, bool up, uint32_t number);

/**
 * stream_new() - begin to move bytes
 * @kind:	direction
 * @sock:	connected, non-blocking; the stream's, also on failure; -1: its host
 *		is gone, the stream is LOST
 * @end:	pipe end or terminal master, non-blocking; as @sock; -1 for
 *		STREAM_IDLE
 * @tty:	@end is a terminal
 * @fn:		called when the stream changes, may be NULL
 * @ret:	receives the stream; it is there until stream_forget(), and from
 *		then on releases itself when it is CLOSED
 *
 * Return: 0, -ENOMEM, or -errno of the event loop
 */
int stream_new(struct streams *all, enum stream_kind kind, int sock, int end,
	       bool tty, stream_change_fn *fn, void *ctx, struct stream **ret,
	       struct err *e);

/** stream_discard() - nobody will have it: read on and drop it */
void stream_discard(struct stream *s);

/** stream_deposited() - PID 1 has a copy of the far end too */
void stream_deposited(struct stream *s, uint64_t number, uint32_t role);

/** stream_redial() - @port may be dialled again when the host was lost */
void stream_redial(struct stream *s, uint32_t port);

/** stream_tee() - what goes out is also appended to @fd, which is taken */
void stream_tee(struct stream *s, int fd);

/** stream_process_exited() - set the mark */
void stream_process_exited(struct stream *s);

/** stream_drained() - has all that the process wrote been sent, or dropped? */
bool stream_drained(const struct stream *s);

/**
 * stream_forget() - the process is over and told; the stream goes on alone
 *
 * One that can serve nobody any more (LOST, JUDGE, REDIAL) is closed.
 */
void stream_forget(struct stream *s);

/** stream_close() - now, whatever is left */
void stream_close(struct stream *s);

/** stream_state_name() - for the agent's report about itself */
const char *stream_state_name(enum stream_state state);

#endif
