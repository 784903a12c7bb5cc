#include "tools/carried.h"

#include <errno.h>

static int text_of(const uint8_t *bytes, size_t n, struct arena *a,
		   struct saved_text *ret)
{
	ret->p = n > 0 ? arena_strn(a, (const char *)bytes, n) : "";
	ret->n = n;
	return ret->p ? 0 : -ENOMEM;
}

static int take(const struct host_stream_state *from, uint32_t port,
		const uint8_t *kept, size_t n, struct arena *a,
		struct saved_stream *ret)
{
	*ret = (struct saved_stream){
		.port = port,
		.offset = from->offset,
		.ended = from->ended,
		.length = from->length,
		.marked = from->marked,
		.mark = from->mark,
	};
	if (text_of(from->bytes, from->len, a, &ret->unacknowledged) < 0)
		return -ENOMEM;
	return text_of(kept, n, a, &ret->kept);
}

int carried_take(const struct host_process *p,
		 size_t (*kept)(const void *streams, enum msg_stdio which,
				const uint8_t **ret),
		 const void *streams, struct arena *a,
		 struct saved_process *ret, struct err *e)
{
	struct host_stream_state state[MSG_STDIO];
	struct host_process_state facts;
	int r;

	if (host_process_state(p, &facts) < 0)
		return err_set(e, ESRCH, "the process does not run");
	ret->n_streams = 0;
	ret->streams = arena_array(a, MSG_STDIO, sizeof(*ret->streams));
	r = ret->streams ? host_process_streams(p, state, e) : -ENOMEM;
	for (int i = 0; i < MSG_STDIO && r == 0; i++) {
		const uint8_t *bytes = NULL;
		size_t n;

		if (!state[i].carried || facts.port[i] == 0)
			continue;
		n = kept && streams ? kept(streams, (enum msg_stdio)i, &bytes)
				    : 0;
		r = take(&state[i], facts.port[i], bytes, n, a,
			 &ret->streams[ret->n_streams++]);
	}
	if (ret->streams)
		host_process_streams_done(state);
	return r < 0 ? err_set(e, ENOMEM, "no memory for streams") : 0;
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
