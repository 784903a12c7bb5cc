#include "bridge/host/earlystream.h"

#include <stdlib.h>

static struct early_stream **find(struct early_streams *all, uint32_t port)
{
	struct early_stream **at = &all->first;

	while (*at && (*at)->port != port)
		at = &(*at)->next;
	return at;
}

struct early_stream *early_stream_note(struct early_streams *all, uint32_t port)
{
	struct early_stream *s = *find(all, port);

	if (s || all->n >= EARLY_STREAMS_MAX)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->port = port;
	s->next = all->first;
	all->first = s;
	all->n++;
	return s;
}

struct early_stream early_stream_take(struct early_streams *all, uint32_t port)
{
	struct early_stream **at = find(all, port);
	struct early_stream *s = *at;
	struct early_stream ret = { 0 };

	if (!s)
		return ret;
	ret = *s;
	*at = s->next;
	all->n--;
	free(s);
	return ret;
}

void early_streams_done(struct early_streams *all)
{
	while (all->first)
		(void)early_stream_take(all, all->first->port);
}
