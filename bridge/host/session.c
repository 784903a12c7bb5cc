#include "bridge/host/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "bridge/io/log.h"
#include "bridge/wire.h"
#include "config/arena.h"
#include "config/text.h"

/* A body of {"Received":N} has 33 bytes. */
#define ACK_BODY_MAX 64

static void on_heartbeat(void *ctx);

void host_session_init(struct host_session *s, struct loop *l,
		       struct host_conn *conn, bool wanted,
		       void (*dead)(void *ctx, const struct err *why),
		       void *ctx)
{
	*s = (struct host_session){
		.loop = l,
		.conn = conn,
		.wanted = wanted,
		.heartbeat_ms = SESSION_HEARTBEAT_MS,
		.dead = dead,
		.ctx = ctx,
	};
}

static void forget(struct host_session *s)
{
	if (s->memory)
		(void)munmap(s->memory, HOST_SESSION_BOX_BYTES);
	s->memory = NULL;
	s->exists = false;
	s->on = false;
	s->frozen = false;
	s->trimmed = 0;
	s->in = (struct session_in){ 0 };
	explicit_bzero(&s->id, sizeof(s->id));
}

void host_session_done(struct host_session *s)
{
	loop_cancel(s->loop, &s->timer);
	forget(s);
}

/* --- negotiation ---------------------------------------------------------- */

int host_session_hello(struct host_session *s, struct host_session_hello *h,
		       struct err *e)
{
	*h = (struct host_session_hello){
		.msg = { .version = SESSION_VERSION,
			 .nonce = h->nonce,
			 .session = "",
			 .heartbeat_ms = s->heartbeat_ms },
	};
	if (getrandom(s->nonce, sizeof(s->nonce), 0) !=
	    (ssize_t)sizeof(s->nonce))
		return err_sys(e, "random bytes for a nonce");
	session_hex(s->nonce, sizeof(s->nonce), h->nonce);
	if (!s->exists)
		return 0;
	session_hex(s->id.id, sizeof(s->id.id), h->session);
	h->msg.session = h->session;
	h->msg.received = s->in.taken;
	h->msg.sent = s->out.put;
	return 0;
}

static bool is_proven(const struct host_session *s, const struct session_id *id,
		      const struct msg_ferry_welcome *w)
{
	uint8_t want[DIGEST_BYTES];
	uint8_t got[DIGEST_BYTES];

	session_proof(id, s->nonce, want);
	return session_unhex(w->proof, got, sizeof(got)) &&
	       digest_equal(got, want);
}

static int new_session(struct host_session *s,
		       const struct msg_ferry_welcome *w, struct err *e)
{
	struct session_id id;
	void *memory;

	if (!session_unhex(w->session, id.id, sizeof(id.id)) ||
	    !session_unhex(w->key, id.key, sizeof(id.key)) ||
	    !is_proven(s, &id, w) || w->received != 0)
		return err_set(e, EPROTO, "the guest's session is garbled");
	memory = mmap(NULL, HOST_SESSION_BOX_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return err_sys(e, "memory for a session");
	s->memory = memory;
	s->id = id;
	s->exists = true;
	(void)outbox_init(&s->out, memory, HOST_SESSION_BOX_BYTES, NULL);
	return HOST_SESSION_NEW;
}

static int go_on(struct host_session *s, const struct msg_ferry_welcome *w,
		 struct err *e)
{
	uint8_t id[SESSION_ID_BYTES];
	int r;

	if (!session_unhex(w->session, id, sizeof(id)) ||
	    memcmp(id, s->id.id, sizeof(id)) != 0 || !is_proven(s, &s->id, w))
		return err_set(e, EACCES,
			       "who dialled is not the agent of this session");
	r = outbox_resume(&s->out, w->received, e);
	return r < 0 ? err_wrap(e, "the guest's session")
		     : HOST_SESSION_GOES_ON;
}

static void set_timer(struct host_session *s)
{
	/* Without memory for a timer only the acknowledgements by count stay. */
	(void)loop_at(s->loop, loop_now_ms(s->loop) + s->heartbeat_ms,
		      on_heartbeat, s, &s->timer, NULL);
}

int host_session_welcome(struct host_session *s,
			 const struct msg_ferry_welcome *w, struct err *e)
{
	int r;

	if (!w && s->exists)
		return err_set(e, EACCES,
			       "who dialled knows nothing of the session");
	if (!w)
		return HOST_SESSION_PLAIN;
	r = s->exists ? go_on(s, w, e) : new_session(s, w, e);
	if (r < 0)
		return r;
	s->on = true;
	s->incarnation = w->incarnation;
	s->heard_ms = loop_now_ms(s->loop);
	host_conn_number(s->conn, &s->out);
	set_timer(s);
	return r;
}

void host_session_lost(struct host_session *s)
{
	s->on = false;
	loop_cancel(s->loop, &s->timer);
}

/* --- frames --------------------------------------------------------------- */

static void acknowledge(struct host_session *s)
{
	const uint64_t taken = s->frozen ? s->in.told : s->in.taken;
	char body[ACK_BODY_MAX];
	const int n = snprintf(body, sizeof(body), "{\"Received\":%" PRIu64 "}",
			       taken);

	if (host_conn_send_unnumbered(s->conn, WIRE_FERRY_RECEIVED, 0, body,
				      (size_t)n, NULL) < 0)
		return; /* the next one says more */
	if (!s->frozen)
		session_in_told(&s->in);
}

static void on_heartbeat(void *ctx)
{
	struct host_session *s = ctx;
	const int64_t silent = loop_now_ms(s->loop) - s->heard_ms;
	struct err e = { 0 };

	if (!s->on)
		return;
	if (silent >= (int64_t)s->heartbeat_ms * SESSION_HEARTBEATS_LOST) {
		(void)err_set(&e, ETIMEDOUT,
			      "nothing came from the agent for %" PRId64 " ms",
			      silent);
		s->dead(s->ctx, &e);
		return;
	}
	acknowledge(s);
	set_timer(s);
}

static void trim(struct host_session *s)
{
	struct iovec part[2];

	if (s->out.head->head - s->trimmed < HOST_SESSION_TRIM_BYTES)
		return;
	for (int i = outbox_idle(&s->out, HOST_SESSION_PAGE_BYTES, part); i > 0;
	     i--) {
		(void)madvise(part[i - 1].iov_base, part[i - 1].iov_len,
			      MADV_DONTNEED);
		s->trimmed = s->out.head->head;
	}
}

static int take_received(struct host_session *s, const struct frame *f,
			 struct err *e)
{
	struct msg_ferry_received m;
	struct arena a;
	int r;

	arena_init(&a, WIRE_GUEST_FRAME_MAX);
	r = msg_decode(&msg_ferry_received_schema, f->body, f->len, &a, &m, e);
	arena_done(&a);
	if (r == 0)
		r = outbox_ack(&s->out, m.received, e);
	if (r == 0)
		trim(s);
	return r < 0 ? err_set(e, EPROTO, "an acknowledgement is garbled") : 1;
}

int host_session_frame(struct host_session *s, const struct frame *f,
		       struct err *e)
{
	if (!s->on)
		return 0;
	s->heard_ms = loop_now_ms(s->loop);
	if (f->header.type == WIRE_FERRY_RECEIVED)
		return take_received(s, f, e);
	return 0;
}

void host_session_served(struct host_session *s, const struct frame *f)
{
	session_in_took(&s->in, f->header.size);
	if (s->on && !s->frozen && session_in_due(&s->in))
		acknowledge(s);
}

void host_session_freeze(struct host_session *s, bool frozen)
{
	s->frozen = frozen;
	if (!frozen && s->on)
		acknowledge(s);
}
