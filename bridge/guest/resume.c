#include "bridge/guest/resume.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "bridge/guest/agent.h"
#include "bridge/guest/carry.h"
#include "bridge/guest/fixup.h"
#include "bridge/guest/keep.h"
#include "bridge/guest/power.h"
#include "bridge/guest/takeover.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "bridge/wire.h"

static void on_heartbeat(void *ctx);

void resume_init(struct resume *r)
{
	*r = (struct resume){ .memfd = -1 };
	list_init(&r->waiting);
}

static void let_go(struct resume *r)
{
	answer_free_all(&r->waiting);
	r->exists = false;
	r->on = false;
	if (r->memory)
		(void)munmap(r->memory, RESUME_BOX_BYTES);
	r->memory = NULL;
	fd_close(&r->memfd);
}

void resume_done(struct resume *r, struct loop *l)
{
	loop_cancel(l, &r->timer);
	let_go(r);
}

/* The old session's frames are for nobody. */
static void forget(struct agent *a)
{
	struct resume *r = &a->resume;

	slot_drop(&a->slots, &r->slot);
	if (r->memfd >= 0)
		pid1_withdraw(&a->pid1, PID1_OUTBOX, 0);
	let_go(r);
}

/* --- negotiation ----------------------------------------------------------- */

static int map_box(struct resume *r, struct err *e)
{
	void *memory = mmap(NULL, RESUME_BOX_BYTES, PROT_READ | PROT_WRITE,
			    MAP_SHARED, r->memfd, 0);

	if (memory == MAP_FAILED)
		return err_sys(e, "map the outbox");
	r->memory = memory;
	return 0;
}

static int new_box(struct resume *r, struct err *e)
{
	int code;

	r->memfd = memfd_create("ferry-outbox", MFD_CLOEXEC);
	if (r->memfd < 0)
		return err_sys(e, "memfd of the outbox");
	if (ftruncate(r->memfd, (off_t)RESUME_BOX_BYTES) < 0)
		return err_sys(e, "size of the outbox");
	code = map_box(r, e);
	return code < 0 ? code
			: outbox_init(&r->out, r->memory, RESUME_BOX_BYTES, e);
}

static int new_session(struct agent *a, struct err *e)
{
	struct resume *r = &a->resume;
	int code;

	forget(a);
	r->in = (struct session_in){ 0 };
	r->trimmed = 0;
	code = new_box(r, e);
	if (code == 0 && getrandom(&r->session, sizeof(r->session), 0) !=
				 (ssize_t)sizeof(r->session))
		code = err_set(e, EIO, "no random bytes for a session");
	if (code < 0) {
		let_go(r);
		return code;
	}
	r->exists = true;
	pid1_deposit(&a->pid1, PID1_OUTBOX, 0, r->memfd);
	pid1_flush(&a->pid1);
	keep_session(a);
	return RESUME_NEW;
}

bool resume_restore(struct agent *a, int box)
{
	struct resume *r = &a->resume;
	struct slot_view v;
	struct err e = { 0 };
	const bool known = slot_next(&a->slots, SLOT_SESSION, 0, &v) &&
			   keep_session_read(&v, &r->session);

	if (known) {
		r->memfd = fd_take(&box);
		r->slot = v.handle;
		r->in = (struct session_in){ .taken = v.word, .told = v.word };
		r->exists = r->memfd >= 0 && map_box(r, &e) == 0 &&
			    outbox_open(&r->out, r->memory, RESUME_BOX_BYTES,
					&e) == 0;
		if (!r->exists) {
			takeover_again(a, "the session", &e);
			forget(a);
		}
	}
	slot_survived(&a->slots);
	fd_close(&box);
	a->streams.session = r->exists ? &r->session : NULL;
	return r->exists;
}

void resume_answered(struct agent *a)
{
	const struct outbox *o = &a->resume.out;
	uint64_t at = o->head->tail;
	struct iovec part[2];
	int n;

	while ((n = outbox_read(o, &at, part)) > 0) {
		uint8_t head[WIRE_HEADER_SIZE];
		const size_t first = part[0].iov_len < sizeof(head)
					     ? part[0].iov_len
					     : sizeof(head);
		struct wire_header h;
		struct request *r;

		memcpy(head, part[0].iov_base, first);
		if (n > 1)
			memcpy(head + first, part[1].iov_base,
			       sizeof(head) - first);
		h = wire_header_get(head);
		r = request_find(&a->requests, h.id);
		if (r && h.type == wire_response_type(r->to.type))
			request_free(&a->requests, r);
	}
}

static bool is_ours(const struct resume *r, const struct msg_ferry_hello *m)
{
	uint8_t id[SESSION_ID_BYTES];

	return r->exists && session_unhex(m->session, id, sizeof(id)) &&
	       memcmp(id, r->session.id, sizeof(id)) == 0;
}

/* There is room again. */
static void move_waiting(struct resume *r)
{
	while (!list_empty(&r->waiting)) {
		struct answer *first =
			LIST_ITEM(r->waiting.next, struct answer, node);

		if (outbox_put(&r->out, first->frame, first->len, NULL) < 0)
			return;
		(void)list_pop(&r->waiting); /* it is the first */
		answer_free(first);
	}
}

static int go_on(struct agent *a, const struct msg_ferry_hello *m,
		 struct err *e)
{
	struct resume *r = &a->resume;
	int code = 0;

	if (m->sent < r->in.taken)
		code = err_set(e, EPROTO,
			       "Ferry.Sent is %" PRIu64 ", but %" PRIu64
			       " frames came",
			       m->sent, r->in.taken);
	else
		code = outbox_resume(&r->out, m->received, e);
	if (code < 0) {
		forget(a);
		return err_wrap(e, "Ferry.Received");
	}
	move_waiting(r);
	return RESUME_GOES_ON;
}

static void fill_welcome(const struct agent *a, bool is_new,
			 struct resume_welcome *w)
{
	const struct resume *r = &a->resume;
	uint8_t proof[DIGEST_BYTES];

	session_proof(&r->session, r->nonce, proof);
	session_hex(proof, sizeof(proof), w->proof);
	session_hex(r->session.id, sizeof(r->session.id), w->session);
	session_hex(r->session.key, sizeof(r->session.key), w->key);
	w->msg = (struct msg_ferry_welcome){
		.version = SESSION_VERSION,
		.session = w->session,
		.key = is_new ? w->key : "",
		.proof = w->proof,
		.received = r->in.taken,
		.incarnation = a->pid1.incarnation,
	};
}

/* Another session, or none: streams of the old one are for nobody. */
static void session_over(struct agent *a)
{
	a->streams.session = NULL;
	streams_session_over(&a->streams);
}

int resume_hello(struct agent *a, const struct msg_ferry_hello *m,
		 struct resume_welcome *w, struct err *e)
{
	struct resume *r = &a->resume;
	uint32_t beat;
	int code;

	*w = (struct resume_welcome){ 0 };
	if (m && m->version >= SESSION_VERSION && m->fixup) {
		code = fixup_apply(m->fixup, r->linked_ns,
				   power_is_ours(a->conn.rfd), &w->fixed,
				   &r->left_ns, e);
		if (code < 0)
			return code;
		if (r->agains >= FIXUP_AGAIN_MAX)
			w->fixed.again = false;
		w->msg = (struct msg_ferry_welcome){
			.version = SESSION_VERSION,
			.session = "",
			.key = "",
			.proof = "",
			.fixed = &w->fixed,
		};
		if (w->fixed.again) {
			r->agains++;
			r->linked_ns = fixup_now_ns();
			return RESUME_AGAIN;
		}
	}
	if (!m || m->version < SESSION_VERSION || m->plain ||
	    !session_unhex(m->nonce, r->nonce, sizeof(r->nonce))) {
		if (r->exists)
			log_info("a plain host: the session is over");
		forget(a);
		session_over(a);
		return RESUME_PLAIN;
	}
	code = is_ours(r, m) ? go_on(a, m, e) : new_session(a, e);
	if (code != RESUME_GOES_ON)
		session_over(a);
	if (code < 0)
		return code;
	a->streams.session = &r->session;
	beat = m->heartbeat_ms == 0 ? SESSION_HEARTBEAT_MS : m->heartbeat_ms;
	if (beat < SESSION_HEARTBEAT_MIN_MS)
		beat = SESSION_HEARTBEAT_MIN_MS;
	if (beat > SESSION_HEARTBEAT_MAX_MS)
		beat = SESSION_HEARTBEAT_MAX_MS;
	r->heartbeat_ms = beat;
	fill_welcome(a, code == RESUME_NEW, w);
	if (m->fixup)
		w->msg.fixed = &w->fixed;
	return code;
}

static void set_timer(struct agent *a)
{
	struct resume *r = &a->resume;

	/* Without memory for a timer the next turn of anything tries again. */
	(void)loop_at(a->loop, loop_now_ms(a->loop) + r->heartbeat_ms,
		      on_heartbeat, a, &r->timer, NULL);
}

void resume_begin(struct agent *a)
{
	struct resume *r = &a->resume;

	r->on = true;
	r->heard_ms = loop_now_ms(a->loop);
	a->conn.box = &r->out;
	a->streams.nonce = r->nonce;
	set_timer(a);
}

void resume_lost(struct agent *a)
{
	a->resume.on = false;
	a->streams.nonce = NULL;
	loop_cancel(a->loop, &a->resume.timer);
}

/* --- frames ---------------------------------------------------------------- */

static void send_received(struct agent *a)
{
	struct resume *r = &a->resume;
	const struct answer_to nobody = { .type = WIRE_FERRY_RECEIVED,
					  .conn = a->conn.number };
	char body[64];
	struct answer *answer;
	int n;

	n = snprintf(body, sizeof(body), "{\"Received\":%" PRIu64 "}",
		     r->in.taken);
	answer = answer_new(&nobody, body, (size_t)n);
	if (!answer)
		return; /* the next turn tries again */
	wire_header_put(answer->frame,
			&(struct wire_header){ .type = WIRE_FERRY_RECEIVED,
					       .size = answer->len });
	conn_send(&a->conn, answer);
	session_in_told(&r->in);
}

static void on_heartbeat(void *ctx)
{
	struct agent *a = ctx;
	struct resume *r = &a->resume;
	const int64_t silent = loop_now_ms(a->loop) - r->heard_ms;

	if (!r->on)
		return;
	if (silent >= (int64_t)r->heartbeat_ms * SESSION_HEARTBEATS_LOST) {
		a->conn.lost = true;
		(void)err_set(&a->conn.why, ETIMEDOUT,
			      "nothing came for %" PRId64 " ms", silent);
		return;
	}
	send_received(a);
	set_timer(a);
}

void resume_turn(struct agent *a)
{
	if (a->resume.on && !a->conn.lost && session_in_due(&a->resume.in))
		send_received(a);
}

/* Gives the pages of an empty box back, now and then. */
static void trim(struct resume *r)
{
	struct iovec part[2];

	if (r->out.head->head - r->trimmed < RESUME_TRIM_BYTES)
		return;
	for (int i = outbox_idle(&r->out, RESUME_PAGE_BYTES, part); i > 0;
	     i--) {
		(void)madvise(part[i - 1].iov_base, part[i - 1].iov_len,
			      MADV_REMOVE);
		r->trimmed = r->out.head->head;
	}
}

static void take_received(struct agent *a, const struct frame *f)
{
	struct resume *r = &a->resume;
	struct msg_ferry_received m;
	struct err e = { 0 };
	int code;

	arena_reset(&a->arena);
	code = msg_decode(&msg_ferry_received_schema, f->body, f->len,
			  &a->arena, &m, &e);
	if (code == 0)
		code = outbox_ack(&r->out, m.received, &e);
	if (code < 0) {
		a->conn.lost = true;
		a->conn.why = e;
		return;
	}
	move_waiting(r);
	trim(r);
}

void resume_tell(void *agent, uint32_t type, uint32_t port, uint64_t length)
{
	struct agent *a = agent;
	const struct answer_to nobody = { .type = type };
	char body[96];
	struct answer *answer = NULL;
	int n;

	if (!a->resume.exists)
		return;
	n = snprintf(body, sizeof(body), "{\"Port\":%" PRIu32, port);
	if (type != WIRE_FERRY_UNWANTED)
		n += snprintf(body + n, sizeof(body) - (size_t)n,
			      ",\"Length\":%" PRIu64, length);
	body[n++] = '}';
	answer = answer_new(&nobody, body, (size_t)n);
	if (!answer) {
		takeover_rather(a, "the end of a stream");
		log_err("no memory for the end of a stream: the connection is dropped");
		a->conn.lost = true; /* it is told again on the next */
		return;
	}
	wire_header_put(
		answer->frame,
		&(struct wire_header){ .type = type, .size = answer->len });
	resume_put(a, answer);
}

/* What the host said badly, that is; what found no memory it says once more. */
static void ignored(const struct agent *a, const char *what,
		    const struct err *e)
{
	if (e->code == ENOMEM)
		takeover_rather(a, what);
	log_warn("%s: %s, ignored", what, e->text);
}

static void stream_ended(struct agent *a, const struct frame *f)
{
	struct msg_ferry_stream_end m;
	struct err e = { 0 };

	arena_reset(&a->arena);
	if (msg_decode(&msg_ferry_stream_end_schema, f->body, f->len, &a->arena,
		       &m, &e) == 0)
		streams_end(&a->streams, m.port, m.length);
	else
		ignored(a, "the end of a stream", &e);
}

static void stream_unwanted(struct agent *a, const struct frame *f)
{
	struct msg_ferry_unwanted m;
	struct err e = { 0 };

	arena_reset(&a->arena);
	if (msg_decode(&msg_ferry_unwanted_schema, f->body, f->len, &a->arena,
		       &m, &e) == 0)
		streams_unwanted(&a->streams, m.port);
	else
		ignored(a, "an unwanted stream", &e);
}

uint64_t resume_next(const struct agent *a)
{
	return a->resume.on ? a->resume.in.taken + 1 : 0;
}

void resume_took(struct agent *a, const struct frame *f)
{
	struct resume *r = &a->resume;
	uint64_t *word = slot_word(&a->slots, r->slot);

	if (!r->on)
		return;
	session_in_took(&r->in, f->header.size);
	if (word)
		__atomic_store_n(word, r->in.taken, __ATOMIC_RELEASE);
}

bool resume_frame(struct agent *a, const struct frame *f)
{
	struct resume *r = &a->resume;

	if (!r->on)
		return false;
	r->heard_ms = loop_now_ms(a->loop);
	if (f->header.type == WIRE_FERRY_RECEIVED) {
		take_received(a, f);
		return true;
	}
	/* An agent that was killed in here does the same again. */
	if (f->header.type == WIRE_FERRY_STREAM_END)
		stream_ended(a, f);
	else if (f->header.type == WIRE_FERRY_UNWANTED)
		stream_unwanted(a, f);
	else
		return false;
	resume_took(a, f);
	return true;
}

uint64_t resume_number(const struct agent *a)
{
	const struct resume *r = &a->resume;

	return r->exists && list_empty(&r->waiting) ? r->out.put + 1 : 0;
}

void resume_put(struct agent *a, struct answer *answer)
{
	struct resume *r = &a->resume;

	if (list_empty(&r->waiting) &&
	    outbox_put(&r->out, answer->frame, answer->len, NULL) == 0) {
		answer_free(answer);
		return;
	}
	list_push(&r->waiting, &answer->node);
	if (r->on && !a->conn.lost) {
		a->conn.lost = true;
		(void)err_set(&a->conn.why, ENOBUFS,
			      "the host acknowledges nothing");
	}
}
