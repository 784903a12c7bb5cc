/* The rules about streams of the bridge's session. */
#include "bridge/session.h"
#include "migration/saved_codec.h"

/* No number that adds up to less than itself, no more bytes than are ever held. */
static int check_stream(struct saved_reader *r, const struct saved_process *p,
			const struct saved_stream *s)
{
	size_t i;

	for (i = 0; i < GUEST_STREAMS && p->port[i] != s->port; i++)
		;
	if (i == GUEST_STREAMS || s->port == 0)
		return saved_refuse(r, "S62", EINVAL,
				    "a stream of port %u, which it has not",
				    s->port);
	if (s->unacknowledged.n > STREAM_WINDOW_BYTES ||
	    s->kept.n > SAVED_KEPT_MAX)
		return saved_refuse(r, "S1", EEXHAUSTED,
				    "port %u: too many bytes", s->port);
	if (s->offset > UINT64_MAX - STREAM_WINDOW_BYTES ||
	    (s->ended && s->length < s->offset))
		return saved_refuse(r, "S3", EINVAL, "port %u: its numbers",
				    s->port);
	return 0;
}

int saved_check_streams(struct saved_reader *r, const struct saved_process *p)
{
	size_t i, j;

	for (i = 0; i < GUEST_STREAMS; i++)
		if (p->unread[i].n > SAVED_KEPT_MAX)
			return saved_refuse(r, "S1", EEXHAUSTED,
					    "too many bytes unread");
	if (p->n_streams > GUEST_STREAMS)
		return saved_refuse(r, "S62", EINVAL, "%zu streams",
				    p->n_streams);
	for (i = 0; i < p->n_streams; i++) {
		if (check_stream(r, p, &p->streams[i]) < 0)
			return err_code(r->e);
		for (j = 0; j < i; j++)
			if (p->streams[j].port == p->streams[i].port)
				return saved_refuse(r, "S8", EINVAL,
						    "a stream occurs twice");
	}
	return 0;
}
