#include "bridge/host/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#include "bridge/io/log.h"
#include "bridge/wire.h"
#include "config/arena.h"
#include "config/num.h"
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
	s->doubted_ms = 0;
	s->in = (struct session_in){ 0 };
	explicit_bzero(s->id.key, sizeof(s->id.key));
}

void host_session_done(struct host_session *s)
{
	loop_cancel(s->loop, &s->timer);
	forget(s);
}

/* --- negotiation ---------------------------------------------------------- */

static int fill_fixup(struct host_session_hello *h, struct err *e)
{
	uint8_t entropy[HOST_FIXUP_ENTROPY_BYTES];
	struct timespec now;

	if (getrandom(entropy, sizeof(entropy), 0) != (ssize_t)sizeof(entropy))
		return err_sys(e, "random bytes for the guest");
	session_hex(entropy, sizeof(entropy), h->entropy);
	explicit_bzero(entropy, sizeof(entropy));
	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
	h->fixup = (struct msg_ferry_fixup){
		.entropy = h->entropy,
		.time_ns = (uint64_t)now.tv_sec * 1000000000u +
			   (uint64_t)now.tv_nsec,
		.announce = true,
	};
	h->msg.fixup = &h->fixup;
	return 0;
}

int host_session_hello(struct host_session *s, struct host_session_hello *h,
		       struct err *e)
{
	*h = (struct host_session_hello){
		.msg = { .version = SESSION_VERSION,
			 .nonce = h->nonce,
			 .session = "",
			 .heartbeat_ms = s->heartbeat_ms,
			 .plain = !s->wanted },
	};
	if (s->moved && fill_fixup(h, e) < 0)
		return err_code(e);
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

static int make_box(struct host_session *s, struct err *e)
{
	void *memory =
		mmap(NULL, HOST_SESSION_BOX_BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return err_sys(e, "memory for a session");
	s->memory = memory;
	return outbox_init(&s->out, memory, HOST_SESSION_BOX_BYTES, e);
}

static int new_session(struct host_session *s,
		       const struct msg_ferry_welcome *w, struct err *e)
{
	struct session_id id;

	if (!session_unhex(w->session, id.id, sizeof(id.id)) ||
	    !session_unhex(w->key, id.key, sizeof(id.key)) ||
	    !is_proven(s, &id, w) || w->received != 0)
		return err_set(e, EPROTO, "the guest's session is garbled");
	if (make_box(s, e) < 0)
		return err_code(e);
	s->id = id;
	s->exists = true;
	return HOST_SESSION_NEW;
}

/* The agent of this session, and nobody else, can prove that. */
static bool knows(const struct host_session *s,
		  const struct msg_ferry_welcome *w)
{
	uint8_t id[SESSION_ID_BYTES];

	return session_unhex(w->session, id, sizeof(id)) &&
	       memcmp(id, s->id.id, sizeof(id)) == 0 && is_proven(s, &s->id, w);
}

static int go_on(struct host_session *s, const struct msg_ferry_welcome *w,
		 struct err *e)
{
	int r;

	if (!knows(s, w))
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

/* Was the barrier passed? A guest that knows nothing of it does what it can. */
static int check_fixed(struct host_session *s,
		       const struct msg_ferry_welcome *w, bool capable,
		       struct err *e)
{
	if (!s->moved)
		return 0;
	if (capable && (!w || !w->fixed || !w->fixed->credited))
		return err_set(e, EPROTO,
			       "the guest did not reseed its random generator");
	if (capable)
		log_info("the guest was put right: clock %+d ms, %u addresses "
			 "announced",
			 w->fixed->clock_step_ms, w->fixed->announced);
	else
		log_warn("the guest moved and cannot be asked to put itself "
			 "right");
	s->moved = false;
	s->agains = 0;
	return 0;
}

/*
 * Is this a guest that does not know the session, rather than somebody who
 * poses as the agent? The agent would have come meanwhile.
 */
static bool is_forgotten(struct host_session *s,
			 const struct msg_ferry_welcome *w)
{
	const int64_t now = loop_now_ms(s->loop);
	struct session_id other;

	if (w && (!session_unhex(w->session, other.id, sizeof(other.id)) ||
		  !session_unhex(w->key, other.key, sizeof(other.key)) ||
		  !is_proven(s, &other, w)))
		return false;
	if (s->doubted_ms == 0)
		s->doubted_ms = now;
	return now - s->doubted_ms >= HOST_SESSION_FORGOTTEN_MS;
}

int host_session_welcome(struct host_session *s,
			 const struct msg_ferry_welcome *w, bool capable,
			 struct err *e)
{
	int r;

	if (s->moved && capable && w && w->fixed && w->fixed->again)
		return s->agains++ < HOST_FIXUP_AGAIN_MAX
			       ? HOST_SESSION_AGAIN
			       : err_set(e, EPROTO,
					 "the guest never has enough of the time");
	r = check_fixed(s, w, capable, e);
	if (r < 0)
		return r;
	if (!s->wanted)
		return HOST_SESSION_PLAIN;
	if (s->exists && !(w && knows(s, w)) && is_forgotten(s, w))
		forget(s);
	if (!w && s->exists)
		return err_set(e, EACCES,
			       "who dialled knows nothing of the session");
	if (!w)
		return HOST_SESSION_PLAIN;
	r = s->exists ? go_on(s, w, e) : new_session(s, w, e);
	if (r < 0)
		return r;
	s->doubted_ms = 0;
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

int host_session_post(struct host_session *s, uint32_t type, const char *body,
		      size_t len, struct err *e)
{
	return s->on ? host_conn_send(s->conn, type, 0, body, len, e)
		     : host_conn_put(&s->out, type, 0, body, len, e);
}

void host_session_freeze(struct host_session *s, bool frozen)
{
	s->frozen = frozen;
	if (!frozen && s->on)
		acknowledge(s);
}

/* --- another host ---------------------------------------------------------- */

/* Magic, version of the session as a digit, name, key, frames taken, frames
 * acknowledged; then the frames, each behind its length. */
#define SAVED_MAGIC "FERRYSS"
#define SAVED_MAGIC_BYTES 8u
#define SAVED_HEAD_BYTES                                                       \
	(SAVED_MAGIC_BYTES + SESSION_ID_BYTES + SESSION_KEY_BYTES + 16u)
_Static_assert(SESSION_VERSION <= 9, "one digit");
#define SAVED_LEN_BYTES 4u

static size_t frame_len(const struct iovec part[2], int n)
{
	return part[0].iov_len + (n > 1 ? part[1].iov_len : 0);
}

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

int host_session_save(const struct host_session *s, uint8_t **ret, size_t *len,
		      struct err *e)
{
	size_t size = SAVED_HEAD_BYTES;
	struct iovec part[2];
	uint64_t from;
	uint8_t *p;
	int n;

	if (!s->exists)
		return err_set(e, ENOENT, "there is no session");
	from = s->out.head->tail;
	while ((n = outbox_read(&s->out, &from, part)) > 0)
		size += SAVED_LEN_BYTES + frame_len(part, n);
	*ret = malloc(size);
	if (!*ret)
		return err_set(e, ENOMEM, "no memory to save a session");
	*len = size;
	p = put_bytes(*ret, SAVED_MAGIC, SAVED_MAGIC_BYTES - 1);
	*p++ = '0' + SESSION_VERSION;
	p = put_bytes(p, s->id.id, SESSION_ID_BYTES);
	p = put_bytes(p, s->id.key, SESSION_KEY_BYTES);
	le64_put(p, s->in.taken);
	le64_put(p + 8, s->out.acked);
	p += 16;
	from = s->out.head->tail;
	while ((n = outbox_read(&s->out, &from, part)) > 0) {
		le32_put(p, (uint32_t)frame_len(part, n));
		p += SAVED_LEN_BYTES;
		for (int i = 0; i < n; i++)
			p = put_bytes(p, part[i].iov_base, part[i].iov_len);
	}
	return 0;
}

static int restore_frames(struct host_session *s, const uint8_t *p, size_t len,
			  struct err *e)
{
	while (len > 0) {
		const size_t n = len < SAVED_LEN_BYTES ? 0 : le32_get(p);

		if (n < WIRE_HEADER_SIZE || n > len - SAVED_LEN_BYTES)
			return err_set(e, EINVAL,
				       "a saved session ends in a frame");
		if (outbox_put(&s->out, p + SAVED_LEN_BYTES, n, e) < 0)
			return err_code(e);
		p += SAVED_LEN_BYTES + n;
		len -= SAVED_LEN_BYTES + n;
	}
	return 0;
}

int host_session_restore(struct host_session *s, const uint8_t *bytes,
			 size_t len, struct err *e)
{
	const uint8_t *p = bytes + SAVED_MAGIC_BYTES;
	int r;

	if (len < SAVED_HEAD_BYTES ||
	    memcmp(bytes, SAVED_MAGIC, SAVED_MAGIC_BYTES - 1) != 0)
		return err_set(e, EINVAL, "%zu bytes are no saved session",
			       len);
	if (bytes[SAVED_MAGIC_BYTES - 1] != '0' + SESSION_VERSION)
		return err_set(
			e, EPROTO,
			"the agent in the saved guest has another version "
			"of FerryResume, '%.1s', and this host has %u",
			(const char *)&bytes[SAVED_MAGIC_BYTES - 1],
			SESSION_VERSION);
	r = make_box(s, e);
	if (r < 0)
		return r;
	memcpy(s->id.id, p, SESSION_ID_BYTES);
	memcpy(s->id.key, p + SESSION_ID_BYTES, SESSION_KEY_BYTES);
	p += SESSION_ID_BYTES + SESSION_KEY_BYTES;
	s->in.taken = s->in.told = le64_get(p);
	outbox_begin(&s->out, le64_get(p + 8));
	r = restore_frames(s, bytes + SAVED_HEAD_BYTES, len - SAVED_HEAD_BYTES,
			   e);
	if (r < 0)
		forget(s);
	else
		s->exists = true;
	return r;
}
