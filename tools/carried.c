#include "tools/carried.h"

#include <errno.h>
#include <string.h>

#include "migration/status.h"
#include "tools/ops_own.h"

static int text_of(const uint8_t *bytes, size_t n, struct arena *a,
		   struct saved_text *ret, struct err *e)
{
	ret->p = n > 0 ? arena_strn(a, (const char *)bytes, n) : "";
	ret->n = n;
	return ret->p ? 0 : err_set(e, ENOMEM, "no memory for streams");
}

static int take(const struct host_stream_state *from, uint32_t port,
		const uint8_t *kept, size_t n, struct arena *a,
		struct saved_stream *ret, struct err *e)
{
	*ret = (struct saved_stream){
		.port = port,
		.offset = from->offset,
		.ended = from->ended,
		.length = from->length,
		.marked = from->marked,
		.mark = from->mark,
	};
	if (text_of(from->bytes, from->len, a, &ret->unacknowledged, e) < 0)
		return -ENOMEM;
	return text_of(kept, n, a, &ret->kept, e);
}

/* What it has of @p, which runs or has just exited. */
static int facts_of(const struct host_process *p, uint32_t port[MSG_STDIO],
		    struct saved_process *ret, struct err *e)
{
	struct host_process_state facts;

	if (host_process_state(p, &facts) < 0)
		return err_set(e, ESRCH, "the process does not run");
	memcpy(port, facts.port, sizeof(facts.port));
	if (facts.exited) {
		ret->stage = SAVED_STAGE_RUNNING;
		ret->exit_status = facts.code;
		ret->exited_at_ns = ops_now_ns(NULL);
	}
	return 0;
}

int carried_take(const struct host_process *p,
		 size_t (*kept)(const void *streams, enum msg_stdio which,
				const uint8_t **ret),
		 const void *streams, struct arena *a,
		 struct saved_process *ret, struct err *e)
{
	struct host_stream_state state[MSG_STDIO] = { 0 };
	uint32_t port[MSG_STDIO] = { 0 };
	int r = p ? facts_of(p, port, ret, e) : 0;

	if (r < 0)
		return r;
	ret->n_streams = 0;
	ret->streams = arena_array(a, MSG_STDIO, sizeof(*ret->streams));
	if (!ret->streams)
		return err_set(e, ENOMEM, "no memory for streams");
	r = p ? host_process_streams(p, state, e) : 0;
	for (int i = 0; i < MSG_STDIO && r == 0; i++) {
		const uint8_t *bytes = NULL;
		const size_t n =
			kept && streams
				? kept(streams, (enum msg_stdio)i, &bytes)
				: 0;

		if (n > SAVED_KEPT_MAX)
			r = err_set(e, EEXHAUSTED,
				    "%zu bytes of an output are unread", n);
		else if (state[i].carried && port[i] != 0)
			r = take(&state[i], port[i], bytes, n, a,
				 &ret->streams[ret->n_streams++], e);
		else if (i != MSG_STDIN)
			r = text_of(bytes, n, a, &ret->unread[i], e);
	}
	host_process_streams_done(state);
	return r;
}

const struct saved_stream *carried_find(const struct saved_stream *s, size_t n,
					uint32_t port)
{
	for (size_t i = 0; i < n; i++)
		if (s[i].port == port && port != 0)
			return &s[i];
	return NULL;
}

void carried_state(const struct saved_stream *s, size_t n,
		   const uint32_t port[MSG_STDIO],
		   struct host_stream_state ret[MSG_STDIO])
{
	for (int i = 0; i < MSG_STDIO; i++) {
		const struct saved_stream *x = carried_find(s, n, port[i]);

		ret[i] = (struct host_stream_state){ 0 };
		if (!x)
			continue;
		ret[i] = (struct host_stream_state){
			.carried = true,
			.ended = x->ended,
			.marked = x->marked,
			.length = x->length,
			.mark = x->mark,
			.offset = x->offset,
			/* Only read from. */
			.bytes = (uint8_t *)(uintptr_t)x->unacknowledged.p,
			.len = x->unacknowledged.n,
		};
	}
}
