#include "bridge/guest/reply.h"

#include <stdio.h>

#include "bridge/guest/answer.h"
#include "bridge/guest/takeover.h"
#include "bridge/hresult.h"
#include "bridge/io/log.h"
#include "bridge/wire.h"

/* Longest error text; the encoder would cut it, but why produce more. */
#define ERROR_TEXT_MAX 1024

static enum reply hold(struct agent *a, struct answer *answer)
{
	if (a->held_bytes + answer->len > a->held_max) {
		log_warn("no room to hold an answer: dropped");
		a->dropped++;
		answer_free(answer);
		return REPLY_DROPPED;
	}
	a->held_bytes += answer->len;
	list_push(&a->held, &answer->node);
	return REPLY_HELD;
}

void reply_drop_held(struct agent *a, uint64_t id)
{
	struct list *next;

	for (struct list *l = a->held.next; l != &a->held; l = next) {
		struct answer *answer = LIST_ITEM(l, struct answer, node);

		next = l->next;
		if (answer->id != id)
			continue;
		a->held_bytes -= answer->len;
		a->dropped++;
		list_remove(&answer->node);
		answer_free(answer);
	}
}

/* Does the host that is, or was last, connected wait for it? */
static bool is_for_nobody(const struct agent *a, uint32_t conn, uint64_t keep)
{
	return keep == 0 && conn < a->epoch;
}

/* Kept for a container that the host object does not know yet? */
static bool is_early(const struct agent *a, uint64_t keep)
{
	const struct container *c =
		keep == 0 || a->epoch <= 1
			? NULL
			: container_by_serial(&a->containers, keep);

	return c && !container_known(c);
}

enum reply reply_route(struct agent *a, struct answer *answer)
{
	const struct conn *c = &a->conn;

	if (is_for_nobody(a, answer->conn, answer->keep)) {
		a->dropped++;
		answer_free(answer);
		return REPLY_DROPPED;
	}
	if (is_early(a, answer->keep))
		return hold(a, answer);
	if (a->resume.exists && (!c->up || c->negotiated)) {
		a->answers++;
		resume_put(a, answer);
		return REPLY_SENT;
	}
	/* Before a version is agreed on only its own requests are answered. */
	if (c->up && !c->lost &&
	    (c->negotiated ||
	     (answer->keep == 0 && answer->conn == c->number))) {
		a->answers++;
		conn_send(&a->conn, answer);
		return REPLY_SENT;
	}
	return hold(a, answer);
}

bool reply_release(struct agent *a, uint64_t keep)
{
	struct list *next;
	bool notice = false;

	for (struct list *l = a->held.next; l != &a->held; l = next) {
		struct answer *answer = LIST_ITEM(l, struct answer, node);

		next = l->next;
		if (answer->keep != keep)
			continue;
		a->held_bytes -= answer->len;
		list_remove(&answer->node);
		notice = notice || answer->id == ANSWER_NOTICE;
		(void)reply_route(a, answer);
	}
	return notice;
}

enum reply reply_with(struct agent *a, const struct answer_to *to,
		      const struct schema *schema, const void *msg)
{
	struct answer *answer = NULL;

	if (is_for_nobody(a, to->conn, to->keep)) {
		a->dropped++;
		return REPLY_DROPPED;
	}
	text_reset(&a->body);
	if (msg_encode_result(schema, msg, &a->body) == 0)
		answer = answer_new(to, text_str(&a->body), a->body.len);
	if (!answer) {
		/* An answer cannot be skipped: the host would wait for ever. It
		 * sees a lost connection instead; where a session goes on
		 * behind that, only another agent can answer. */
		takeover_rather(a, "an answer");
		log_err("no memory for an answer: the connection is dropped");
		a->conn.lost = true;
		return REPLY_DROPPED;
	}
	return reply_route(a, answer);
}

enum reply reply_ok(struct agent *a, const struct answer_to *to)
{
	const struct msg_result result = { .activity_id = to->activity };

	return reply_with(a, to, &msg_result_schema, &result);
}

static enum reply fail(struct agent *a, const struct answer_to *to,
		       uint32_t code, const char *text)
{
	struct msg_error_record record = {
		.result = hresult_to_wire(code),
		.message = text,
		.module_name = "gcs",
		.file_name = "",
		.line = UINT32_MAX,
	};
	const struct msg_result result = {
		.result = record.result,
		.activity_id = to->activity,
		.error_message = text,
		.record = &record,
		.n_records = 1,
	};

	return reply_with(a, to, &msg_result_schema, &result);
}

enum reply reply_code(struct agent *a, const struct answer_to *to,
		      uint32_t code)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "HRESULT: 0x%08x", code);
	return fail(a, to, code, text);
}

enum reply reply_error(struct agent *a, const struct answer_to *to,
		       uint32_t code, const char *fmt, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list ap;
	int n;

	n = snprintf(text, sizeof(text), "HRESULT 0x%08x: ", code);
	va_start(ap, fmt);
	(void)vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap); /* cut when longer */
	return fail(a, to, code, text);
}
