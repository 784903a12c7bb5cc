#include "bridge/host/pending.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "bridge/host/failure.h"
#include "bridge/hresult.h"
#include "bridge/io/log.h"
#include "bridge/wire.h"
#include "config/text.h"

/* What one decoded answer may take; a frame has 64 KiB, JSON small members. */
#define DECODE_MAX ((size_t)4 * 1024 * 1024)

/*
 * struct host_pending_call - one outstanding call
 * @delivered:	the guest has read it, shown on an earlier connection
 * @foreign:	another host's
 * @early:	its answer, which came before it was registered
 * @body:	to send it again; empty: it is not to be
 * @agains:	how often it was
 * @timer:	deadline, or the moment to handle @early
 * @table:	for the deadline's callback
 * @in_bucket:	next of the same bucket
 * The others are as in struct host_call.
 */
struct host_pending_call {
	uint64_t id;
	uint32_t type;
	const struct schema *response;
	size_t response_size;
	bool survives;
	bool ends_bridge;
	bool delivered;
	bool foreign;
	host_answer_fn *done;
	void *ctx;
	struct early_answer *early;
	struct text body;
	unsigned int agains;
	struct loop_id timer;
	struct host_pending *table;
	struct host_pending_call *in_bucket;
	struct host_pending_call *prev;
	struct host_pending_call *next;
};

void host_pending_init(struct host_pending *p, struct loop *loop,
		       struct host_conn *conn, struct host_counts *counts)
{
	*p = (struct host_pending){ .loop = loop,
				    .conn = conn,
				    .counts = counts };
	arena_init(&p->arena, DECODE_MAX);
}

void host_pending_done(struct host_pending *p)
{
	assert(p->n == 0);
	early_done(&p->early);
	arena_done(&p->arena);
}

void host_pending_new_conn(struct host_pending *p)
{
	p->conn_first_id = p->next_id;
	p->conn_answered = p->next_id;
}

/* Ids are a counter, so their low bits spread them evenly. */
static struct host_pending_call *find(const struct host_pending *p, uint64_t id)
{
	struct host_pending_call *call = p->bucket[id % PENDING_BUCKETS];

	while (call && call->id != id)
		call = call->in_bucket;
	return call;
}

/* Only without a floor can another host's call have the next one. */
static uint64_t free_id(struct host_pending *p)
{
	while (find(p, p->next_id))
		p->next_id++;
	return p->next_id;
}

static struct host_pending_list *list_of(struct host_pending *p,
					 const struct host_pending_call *call)
{
	return call->survives ? &p->surviving : &p->mortal;
}

static void insert(struct host_pending *p, struct host_pending_call *call)
{
	struct host_pending_call **bucket =
		&p->bucket[call->id % PENDING_BUCKETS];
	struct host_pending_list *list = list_of(p, call);

	call->in_bucket = *bucket;
	*bucket = call;
	call->prev = list->last;
	if (list->last)
		list->last->next = call;
	else
		list->first = call;
	list->last = call;
	p->n++;
}

/* Takes a call out of the table; nothing finds it any more. */
static void detach(struct host_pending *p, struct host_pending_call *call)
{
	struct host_pending_call **at = &p->bucket[call->id % PENDING_BUCKETS];
	struct host_pending_list *list = list_of(p, call);

	while (*at != call)
		at = &(*at)->in_bucket;
	*at = call->in_bucket;

	if (call->prev)
		call->prev->next = call->next;
	else
		list->first = call->next;
	if (call->next)
		call->next->prev = call->prev;
	else
		list->last = call->prev;
	p->n--;
	loop_cancel(p->loop, &call->timer);
	early_free(call->early);
	call->early = NULL;
	text_done(&call->body);
}

/* The end of a call: out of the table, its callback, its memory. */
static void finish(struct host_pending *p, struct host_pending_call *call,
		   const void *result, const struct host_failure *f)
{
	detach(p, call);
	if (f)
		p->counts->failed[f->kind]++;
	if (call->done)
		call->done(call->ctx, result, f);
	free(call);
}

static void on_timeout(void *ctx)
{
	struct host_pending_call *call = ctx;
	struct host_pending *p = call->table;
	const bool sent = call->id < host_conn_unsent(p->conn);
	const struct host_failure f =
		host_failure_make(HOST_FAIL_TIMEOUT, call->type, sent, NULL);

	log_warn("bridge: call %s id=%llu timed out, a late answer is dropped",
		 wire_type_name(call->type), (unsigned long long)call->id);
	finish(p, call, NULL, &f);
}

/* --- starting ------------------------------------------------------------- */

static int encode(const struct host_call *call, struct text *body,
		  struct err *e)
{
	text_heap(body, WIRE_HOST_FRAME_MAX - WIRE_HEADER_SIZE + 1);
	msg_encode(call->request, call->message, body);
	if (body->full)
		return err_set(e, E2BIG, "%s: the request is too large",
			       wire_type_name(call->type));
	return 0;
}

static int add(struct host_pending *p, uint64_t id,
	       const struct host_call *call, struct host_pending_call **ret,
	       struct err *e)
{
	const int timeout_ms =
		call->timeout_ms ? call->timeout_ms : HOST_CALL_TIMEOUT_MS;
	struct host_pending_call *new;
	int r = 0;

	if (p->n >= HOST_CALLS_MAX)
		return err_set(e, ENOBUFS, "%s: %zu calls are outstanding",
			       wire_type_name(call->type), p->n);
	new = calloc(1, sizeof(*new));
	if (!new)
		return err_set(e, ENOMEM, "no memory for a call");
	*new = (struct host_pending_call){
		.id = id,
		.type = call->type,
		.response = call->response,
		.response_size = call->response_size,
		.survives = call->survives,
		.ends_bridge = call->ends_bridge,
		.done = call->done,
		.ctx = call->ctx,
		.table = p,
	};
	if (timeout_ms > 0)
		r = loop_at(p->loop, loop_now_ms(p->loop) + timeout_ms,
			    on_timeout, new, &new->timer, e);
	if (r < 0) {
		free(new);
		return r;
	}
	insert(p, new);
	*ret = new;
	return 0;
}

int host_pending_start(struct host_pending *p, const struct host_call *call,
		       struct outbox *later, uint64_t *ret_id, struct err *e)
{
	struct host_pending_call *new = NULL;
	struct text body;
	uint64_t id;
	int r;

	id = free_id(p);
	assert(call->response_size >= sizeof(struct msg_result));
	r = encode(call, &body, e);
	if (r == 0)
		r = add(p, id, call, &new, e);
	if (r < 0)
		goto out;
	/* An old answer under the id that is used now is nobody's. */
	if (p->early.n > 0)
		early_free(early_take(&p->early, id));
	r = later ? host_conn_put(later, call->type, id, text_str(&body),
				  body.len, e)
		  : host_conn_send(p->conn, call->type, id, text_str(&body),
				   body.len, e);
	if (r < 0) {
		host_pending_cancel(p, id);
		goto out;
	}
	p->next_id++;
	p->counts->calls++;
	if (ret_id)
		*ret_id = id;
	if (call->again && !ret_id) {
		new->body = body;
		return 0;
	}
out:
	text_done(&body);
	return r;
}

void host_pending_raise(struct host_pending *p, uint64_t floor)
{
	if (p->next_id >= floor)
		return;
	if (p->foreign_to == 0)
		p->foreign_from = p->next_id;
	p->foreign_to = floor;
	p->next_id = floor;
}

/* Was @id passed over, so that an answer to it is another host's? */
static bool is_foreign(const struct host_pending *p, uint64_t id)
{
	return id >= p->next_id ||
	       (id >= p->foreign_from && id < p->foreign_to);
}

static void on_early(void *ctx)
{
	struct host_pending_call *call = ctx;
	struct early_answer *early = call->early;
	const struct frame frame = early_frame(early);

	call->early = NULL;
	host_pending_answer(call->table, &frame);
	early_free(early);
}

int host_pending_preregister(struct host_pending *p, uint64_t id,
			     const struct host_call *call, struct err *e)
{
	struct host_pending_call *new = NULL;
	int r;

	assert(call->survives);
	if (id == 0)
		return err_set(e, EINVAL, "there is no call with id 0");
	if (find(p, id))
		return err_set(e, EEXIST, "call %llu is outstanding already",
			       (unsigned long long)id);
	r = add(p, id, call, &new, e);
	if (r < 0)
		return r;
	new->delivered = true;
	new->foreign = true;
	new->early = early_take(&p->early, id);
	if (new->early)
		r = loop_at(p->loop, loop_now_ms(p->loop), on_early, new,
			    &new->timer, e);
	if (r < 0)
		host_pending_cancel(p, id);
	return r;
}

void host_pending_cancel(struct host_pending *p, uint64_t id)
{
	struct host_pending_call *call = find(p, id);

	if (!call)
		return;
	detach(p, call);
	free(call);
}

/* --- answers -------------------------------------------------------------- */

/* The struct of an answer in the arena, or NULL and the failure. */
static void *decode(struct host_pending *p,
		    const struct host_pending_call *call,
		    const struct frame *frame, struct host_failure *f)
{
	struct err e = { 0 };
	struct msg_result *r;

	if (frame->header.type != wire_response_type(call->type)) {
		(void)err_set(&e, EBADMSG, "its type is 0x%08x",
			      frame->header.type);
		goto garbled;
	}
	r = arena_alloc(&p->arena, call->response_size);
	if (!r) {
		(void)err_set(&e, ENOMEM, "no memory");
		goto garbled;
	}
	if (msg_decode(call->response, frame->body, frame->len, &p->arena, r,
		       &e) < 0)
		goto garbled;
	if (r->result == 0)
		return r;
	*f = host_failure_refused(call->type, r);
	return NULL;
garbled:
	*f = host_failure_make(HOST_FAIL_GARBLED, call->type, true, &e);
	return NULL;
}

/* The guest asks for it once more. Return: false: that cannot be, or was enough */
static bool sent_again(struct host_pending *p, struct host_pending_call *call,
		       const struct host_failure *f)
{
	struct host_pending_call **at = &p->bucket[call->id % PENDING_BUCKETS];

	if (f->kind != HOST_FAIL_REFUSED || f->hresult != HR_RETRY ||
	    p->frozen || call->body.len == 0 ||
	    call->agains >= HOST_AGAIN_MAX ||
	    host_conn_send(p->conn, call->type, free_id(p),
			   text_str(&call->body), call->body.len, NULL) < 0)
		return false;
	log_info("bridge: %s, sent again", f->err.text);
	while (*at != call)
		at = &(*at)->in_bucket;
	*at = call->in_bucket;
	call->id = p->next_id++;
	call->agains++;
	at = &p->bucket[call->id % PENDING_BUCKETS];
	call->in_bucket = *at;
	*at = call;
	return true;
}

void host_pending_answer(struct host_pending *p, const struct frame *frame)
{
	const uint64_t id = frame->header.id;
	struct host_pending_call *call = find(p, id);
	struct host_failure f;
	const void *result;

	if (id >= p->conn_answered && !is_foreign(p, id) &&
	    !(call && call->foreign))
		p->conn_answered = id + 1;
	if (call) {
		result = decode(p, call, frame, &f);
		if (result || !sent_again(p, call, &f))
			finish(p, call, result, result ? NULL : &f);
		arena_reset(&p->arena);
	} else if (is_foreign(p, id) && early_keep(&p->early, frame)) {
		log_info("bridge: answer to a call of another host id=%llu",
			 (unsigned long long)id);
	} else if (id < p->next_id) {
		p->counts->late++;
		log_info(
			"bridge: answer to a call that is over id=%llu, ignored",
			(unsigned long long)id);
	} else {
		log_warn("bridge: answer to an unknown call id=%llu, ignored",
			 (unsigned long long)id);
	}
}

/* --- losses --------------------------------------------------------------- */

static bool delivered(const struct host_pending *p,
		      const struct host_pending_call *call)
{
	return call->delivered || (call->id >= p->conn_first_id &&
				   call->id + 1 < p->conn_answered);
}

bool host_pending_delivered(const struct host_pending *p, uint64_t id)
{
	const struct host_pending_call *call = find(p, id);

	return call && delivered(p, call);
}

void host_pending_end(struct host_pending *p, enum host_fail kind, bool all,
		      uint64_t unsent, const struct err *why)
{
	static const struct msg_result ok = { .activity_id = "",
					      .error_message = "" };
	struct host_pending_call *call;

	for (call = p->surviving.first; call; call = call->next)
		call->delivered = delivered(p, call);

	/* From the list each time: a callback may have cancelled the next. */
	while ((call = p->mortal.first) != NULL ||
	       (all && (call = p->surviving.first) != NULL)) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): detach() unlinks */
		const bool sent = call->id < unsent;
		const struct host_failure f =
			host_failure_make(kind, call->type, sent, why);

		if (call->ends_bridge && sent && kind == HOST_FAIL_LOST)
			finish(p, call, &ok, NULL);
		else
			finish(p, call, NULL, &f);
	}
}
