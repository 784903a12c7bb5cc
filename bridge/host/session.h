/*
 * bridge/host/session.h - the host's end of FerryResume: nothing is lost
 *
 * Theory of operation (docs/resume.md 1). A session begins with the first
 * negotiation with an agent that has the capability, and goes on with each
 * later one. Requests are kept in an outbox until the agent has acknowledged
 * them, and sent again behind a loss; answers and notices are counted, so that
 * the agent sends those again that did not come. Calls therefore survive the
 * loss of a connection: each is executed once and answered once.
 *
 * Once there is a session, whoever dials has to prove that he is its agent.
 * Who cannot is hung up on, and costs the session nothing; unless nobody else
 * comes for HOST_SESSION_FORGOTTEN_MS. Then the agent was replaced by one that
 * could not take the session over, and what was in it is lost.
 */
#ifndef FERRY_BRIDGE_HOST_SESSION_H
#define FERRY_BRIDGE_HOST_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/frame.h"
#include "bridge/host/conn.h"
#include "bridge/io/loop.h"
#include "bridge/msg_ferry.h"
#include "bridge/outbox.h"
#include "bridge/session.h"
#include "config/err.h"

/* Memory of the outbox: two of the largest frames. It costs what is used, and
 * while the box is empty its pages are given back. */
#define HOST_SESSION_BOX_BYTES (OUTBOX_HEAD_BYTES + ((size_t)32 << 20))
#define HOST_SESSION_TRIM_BYTES ((uint64_t)1 << 20)
#define HOST_SESSION_PAGE_BYTES ((size_t)4096)
/* Somebody who knows no session is believed when for so long nobody came who
 * knows it: an agent that lives dials every few milliseconds. */
#define HOST_SESSION_FORGOTTEN_MS 2000
/* What the random generator of a guest that moved gets. */
#define HOST_FIXUP_ENTROPY_BYTES 64u
/* A guest may ask for the time again so often; ferry's does less. */
#define HOST_FIXUP_AGAIN_MAX 10u

/**
 * struct host_session - one; embedded
 * @wanted:	ask for it
 * @exists:	there is one: calls survive
 * @on:		the connection that is up is one of it
 * @agains:	how often the guest asked for the time again
 * @moved:	the VM is in a new place: ask the agent to put right what that
 *		breaks, before it serves anything
 * @frozen:	nothing is acknowledged: what comes will be another host's
 * @incarnation: of the agent
 * @nonce:	of this connection
 * @trimmed:	bytes of the box when its pages were given back
 * @doubted_ms:	since when only others come who know nothing of it, 0: never
 */
struct host_session {
	struct loop *loop;
	struct host_conn *conn;
	bool wanted;
	bool exists;
	bool on;
	bool moved;
	uint32_t agains;
	bool frozen;
	uint64_t incarnation;
	uint32_t heartbeat_ms;
	struct session_id id;
	uint8_t nonce[SESSION_NONCE_BYTES];
	struct session_in in;
	struct outbox out;
	void *memory;
	uint64_t trimmed;
	int64_t doubted_ms;
	int64_t heard_ms;
	struct loop_id timer;
	void (*dead)(void *ctx, const struct err *why);
	void *ctx;
};

/* The member Ferry of NegotiateProtocol, with what its strings are in. */
struct host_session_hello {
	struct msg_ferry_hello msg;
	struct msg_ferry_fixup fixup;
	char entropy[2 * HOST_FIXUP_ENTROPY_BYTES + 1];
	char nonce[2 * SESSION_NONCE_BYTES + 1];
	char session[2 * SESSION_ID_BYTES + 1];
};

enum host_session_state {
	HOST_SESSION_PLAIN, /* the guest has no such thing */
	HOST_SESSION_NEW,
	HOST_SESSION_GOES_ON,
	HOST_SESSION_AGAIN, /* not yet: negotiate once more */
};

/**
 * host_session_init() - none yet
 * @dead:	called from the loop when the agent is silent for too long
 */
void host_session_init(struct host_session *s, struct loop *l,
		       struct host_conn *conn, bool wanted,
		       void (*dead)(void *ctx, const struct err *why),
		       void *ctx);

/** host_session_done() - forget it */
void host_session_done(struct host_session *s);

/**
 * host_session_hello() - what to say on a new connection
 *
 * Return: 0, or -errno: no random bytes
 */
int host_session_hello(struct host_session *s, struct host_session_hello *h,
		       struct err *e);

/**
 * host_session_welcome() - what the guest said; from here on frames are numbered
 * @w:		its member Ferry, NULL: none
 * @capable:	it has the capability
 *
 * Return: enum host_session_state; one that existed is over unless it goes on.
 *         HOST_SESSION_AGAIN: the guest wants the time again, by another
 *         negotiation. -EACCES: it is not the agent of this session, as far as
 *         can be said;
 *         -EPROTO: what it says cannot be true, or it did not put right what
 *         a move breaks; -ENOMEM
 */
int host_session_welcome(struct host_session *s,
			 const struct msg_ferry_welcome *w, bool capable,
			 struct err *e);

/** host_session_lost() - the connection is gone; fine when it was a plain one */
void host_session_lost(struct host_session *s);

/**
 * host_session_frame() - a frame came
 *
 * Return: 1: it was about the session and is done with, 0: serve it, -errno:
 *         the connection is of no use any more
 */
int host_session_frame(struct host_session *s, const struct frame *f,
		       struct err *e);

/**
 * host_session_served() - a frame that came on a connection of the session was
 * served: it counts as received, even if the connection is gone by now
 */
void host_session_served(struct host_session *s, const struct frame *f);

/**
 * host_session_post() - send a frame that has no answer, now or once there is a
 * connection again
 *
 * Return: 0, -ENOBUFS, -ENOMEM
 */
int host_session_post(struct host_session *s, uint32_t type, const char *body,
		      size_t len, struct err *e);

/**
 * host_session_freeze() - acknowledge nothing more, or go on doing so
 *
 * What is acknowledged the agent forgets; before a move it must not.
 */
void host_session_freeze(struct host_session *s, bool frozen);

/**
 * host_session_save() - what another host needs to go on with it
 * @ret:	receives secrets, counters and the frames that the agent may not
 *		have; on the heap
 *
 * Return: 0, -ENOENT: there is no session; -ENOMEM
 */
int host_session_save(const struct host_session *s, uint8_t **ret, size_t *len,
		      struct err *e);

/**
 * host_session_restore() - go on where host_session_save() was called
 *
 * Return: 0, -EINVAL: they are no such bytes; -EPROTO: of another version of
 *         FerryResume, as the guest's agent is; -ENOMEM
 */
int host_session_restore(struct host_session *s, const uint8_t *bytes,
			 size_t len, struct err *e);

#endif
