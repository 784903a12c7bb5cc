/*
 * bridge/guest/resume.h - the agent's end of a session: nothing is lost
 *
 * Theory of operation (docs/resume.md 1). A host that sends the member Ferry in
 * NegotiateProtocol gets a session, or goes on with the one that it names. On
 * such a connection every frame of either side is numbered by counting, and
 * kept by its sender until the other has said that it came. Answers and
 * notices go through an outbox that outlives the connection: while no host is
 * there they wait in it, and what a lost connection swallowed is sent again.
 *
 *	none --hello--> on --loss--> off --hello of this session--> on
 *		off --hello of another, or a plain host--> none, or a new one
 *
 * The outbox is a memfd that PID 1 has too, the rest of the session is a record
 * (bridge/guest/keep.h), whose word counts the frames of the host: the next
 * incarnation of the agent goes on with the session. A frame counts when there
 * is a record of the request (or when it was acted on, if it has no answer), a
 * request is over when its answer is in the outbox. What finds no room there
 * waits in memory, and the connection is given up: the next negotiation says
 * what came.
 */
#ifndef FERRY_BRIDGE_GUEST_RESUME_H
#define FERRY_BRIDGE_GUEST_RESUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/frame.h"
#include "bridge/guest/answer.h"
#include "bridge/guest/list.h"
#include "bridge/io/loop.h"
#include "bridge/msg_ferry.h"
#include "bridge/outbox.h"
#include "bridge/session.h"
#include "config/err.h"

struct agent;

/* Memory of the outbox; its pages are given back while it is empty. */
#define RESUME_BOX_BYTES (OUTBOX_HEAD_BYTES + ((size_t)16 << 20))
#define RESUME_TRIM_BYTES ((uint64_t)256 << 10)
#define RESUME_PAGE_BYTES ((size_t)64 << 10) /* the largest there are */

/* The member Ferry of an answer, with what its strings are in. */
struct resume_welcome {
	struct msg_ferry_welcome msg;
	struct msg_ferry_fixed fixed;
	char session[2 * SESSION_ID_BYTES + 1];
	char key[2 * SESSION_KEY_BYTES + 1];
	char proof[2 * DIGEST_BYTES + 1];
};

/**
 * struct resume - the session of the agent
 * @exists:	there is one
 * @on:		the connection that is up is one of it
 * @nonce:	the host's, of that connection
 * @in:		frames of the host
 * @out:	ours; its memory is @memfd, mapped at @memory
 * @waiting:	answers behind those in @out
 * @slot:	its record
 * @heard_ms:	when the last frame came
 * @trimmed:	bytes of the box when its pages were given back
 * @linked_ns:	when the connection was made, or the host was told to negotiate
 *		again, CLOCK_MONOTONIC
 * @agains:	how often it was told so on this connection
 * @left_ns:	by how much the clock is behind after the barrier
 * @negotiating: the answer to a negotiation waits for the barrier
 * @to, @events, @how, @welcome: that answer, and what the host asked for
 */
struct resume {
	bool exists;
	bool on;
	struct session_id session;
	uint8_t nonce[SESSION_NONCE_BYTES];
	struct session_in in;
	struct outbox out;
	void *memory;
	int memfd;
	struct list waiting;
	uint32_t slot;
	uint32_t heartbeat_ms;
	int64_t heard_ms;
	struct loop_id timer;
	uint64_t trimmed;
	int64_t linked_ns;
	uint32_t agains;
	int64_t left_ns;
	bool negotiating;
	struct answer_to to;
	bool events;
	int how;
	struct resume_welcome welcome;
};

enum resume_hello {
	RESUME_PLAIN, /* no session on this connection */
	RESUME_NEW,   /* another one, and the old one is over */
	RESUME_GOES_ON,
	RESUME_AGAIN, /* nothing is agreed on yet: it is to ask once more */
};

/** resume_init() - no session; resume_done() is fine */
void resume_init(struct resume *r);

/** resume_done() - forget the session, close what it has */
void resume_done(struct resume *r, struct loop *l);

/**
 * resume_hello() - a host negotiates
 * @m:		its member Ferry, NULL: a plain host
 * @w:		receives the answer; when RESUME_PLAIN, only what the barrier did,
 *		if @fixed is set
 *
 * The session is not on before resume_begin().
 * What the host has for a VM in a new place is applied here, before anything
 * is served: see bridge/guest/fixup.h. If its time came so late that nobody can
 * say how late, the host is asked for it again, which is quick then.
 * Return: enum resume_hello, -EPROTO: what the host says of the session cannot
 *         be true, which ends the session; -ENOMEM; or why the fix-up failed
 */
int resume_hello(struct agent *a, const struct msg_ferry_hello *m,
		 struct resume_welcome *w, struct err *e);

/**
 * resume_restore() - go on with the session of an earlier agent
 * @box:	the outbox; taken, also on failure
 *
 * Return: false: there is none, or it is damaged
 */
bool resume_restore(struct agent *a, int box);

/** resume_answered() - forget the requests whose answers are in the outbox */
void resume_answered(struct agent *a);

/** resume_begin() - the answer has left: number frames from here on */
void resume_begin(struct agent *a);

/** resume_lost() - the connection is gone; fine when it was a plain one */
void resume_lost(struct agent *a);

/**
 * resume_frame() - a frame came on a connection of the session
 *
 * Return: true: it was about the session itself, and is done with
 */
bool resume_frame(struct agent *a, const struct frame *f);

/** resume_next() - number of the host's next frame, 0: they have none now */
uint64_t resume_next(const struct agent *a);

/** resume_took() - a frame of the host that has an answer is ours now */
void resume_took(struct agent *a, const struct frame *f);

/** resume_put() - keep and send an answer, which is taken */
void resume_put(struct agent *a, struct answer *answer);

/** resume_number() - of the next frame of ours, 0: it has none */
uint64_t resume_number(const struct agent *a);

/**
 * resume_tell() - a frame about a stream of the session
 * @type:	WIRE_FERRY_STREAM_END, _MARK, or _UNWANTED, which has no @length
 */
void resume_tell(void *agent, uint32_t type, uint32_t port, uint64_t length);

/** resume_turn() - acknowledge if it is time; called once a turn */
void resume_turn(struct agent *a);

#endif
