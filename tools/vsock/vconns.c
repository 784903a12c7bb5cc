#include "tools/vsock/vconns.h"

#include <stdlib.h>

void vconns_init(struct vconns *v, size_t limit)
{
	v->limit = limit < VCONNS_MAX ? limit : VCONNS_MAX;
	v->used = 0;
	v->chunks = 0;
	TAILQ_INIT(&v->ready);
	LIST_INIT(&v->unused);
	for (size_t i = 0; i < VCONNS_BUCKETS; i++)
		LIST_INIT(&v->bucket[i]);
	for (size_t i = 0; i < VCONN_WAITS; i++)
		TAILQ_INIT(&v->waiting[i]);
}

void vconns_done(struct vconns *v)
{
	while (v->chunks > 0)
		free(v->chunk[--v->chunks]);
}

/* One chunk of slots more, none behind the limit; the lowest is used first. */
static void grow(struct vconns *v)
{
	const size_t first = v->chunks * VCONNS_CHUNK;
	const size_t left = first < v->limit ? v->limit - first : 0;
	const size_t n = left < VCONNS_CHUNK ? left : VCONNS_CHUNK;
	struct vconn *chunk = n > 0 ? calloc(n, sizeof(*chunk)) : NULL;

	if (chunk == NULL)
		return;
	for (size_t i = n; i-- > 0;) {
		chunk[i].fd = -1;
		chunk[i].index = (uint32_t)(first + i);
		LIST_INSERT_HEAD(&v->unused, &chunk[i], link);
	}
	v->chunk[v->chunks++] = chunk;
}

struct vconn *vconns_new(struct vconns *v, enum vconn_state state)
{
	struct vconn *c;

	if (LIST_EMPTY(&v->unused))
		grow(v);
	c = LIST_FIRST(&v->unused);
	if (c == NULL)
		return NULL;
	LIST_REMOVE(c, link);
	*c = (struct vconn){
		.state = state,
		.index = c->index,
		.generation = c->generation + 1,
		.fd = -1,
		.batch = 1,
		.room = v->used < VCONNS_ROOMY ? VCONN_BUFFER_BYTES
					       : VCONN_BUFFER_LEAST,
	};
	v->used++;
	return c;
}

/* The guest chooses both numbers; at worst it makes its own table slow. */
static struct vconn_list *bucket(struct vconns *v, uint32_t guest_port,
				 uint32_t host_port)
{
	const uint64_t both = (uint64_t)guest_port << 32 | host_port;
	const uint64_t mixed = (both ^ both >> 29) * 0x9e3779b97f4a7c15u;

	return &v->bucket[(mixed >> 40) % VCONNS_BUCKETS];
}

void vconns_bind(struct vconns *v, struct vconn *c, uint32_t guest_port,
		 uint32_t host_port)
{
	c->guest_port = guest_port;
	c->host_port = host_port;
	c->hashed = true;
	LIST_INSERT_HEAD(bucket(v, guest_port, host_port), c, link);
}

void vconns_unbind(struct vconn *c)
{
	if (!c->hashed)
		return;
	c->hashed = false;
	LIST_REMOVE(c, link);
}

struct vconn *vconns_find(struct vconns *v, uint32_t guest_port,
			  uint32_t host_port)
{
	struct vconn *c;

	LIST_FOREACH(c, bucket(v, guest_port, host_port), link)
	if (c->guest_port == guest_port && c->host_port == host_port)
		return c;
	return NULL;
}

void vconns_queue(struct vconns *v, struct vconn *c)
{
	if (c->queued)
		return;
	c->queued = true;
	TAILQ_INSERT_TAIL(&v->ready, c, ready);
}

void vconns_unqueue(struct vconns *v, struct vconn *c)
{
	if (!c->queued)
		return;
	c->queued = false;
	TAILQ_REMOVE(&v->ready, c, ready);
}

void vconns_wait(struct vconns *v, struct vconn *c, enum vconn_wait why,
		 int64_t due_ms)
{
	vconns_unwait(v, c);
	c->wait = why;
	c->due_ms = due_ms;
	TAILQ_INSERT_TAIL(&v->waiting[why], c, timed);
}

void vconns_unwait(struct vconns *v, struct vconn *c)
{
	if (c->due_ms == 0)
		return;
	c->due_ms = 0;
	TAILQ_REMOVE(&v->waiting[c->wait], c, timed);
}

struct vconn *vconns_due(struct vconns *v, int64_t now_ms)
{
	for (size_t i = 0; i < VCONN_WAITS; i++) {
		struct vconn *c = TAILQ_FIRST(&v->waiting[i]);

		if (c != NULL && c->due_ms <= now_ms)
			return c;
	}
	return NULL;
}

int64_t vconns_due_ms(const struct vconns *v)
{
	int64_t due_ms = 0;

	for (size_t i = 0; i < VCONN_WAITS; i++) {
		const struct vconn *c = TAILQ_FIRST(&v->waiting[i]);

		if (c != NULL && (due_ms == 0 || c->due_ms < due_ms))
			due_ms = c->due_ms;
	}
	return due_ms;
}

void vconns_free(struct vconns *v, struct vconn *c)
{
	vconns_unqueue(v, c);
	vconns_unwait(v, c);
	vconns_unbind(c);
	fifo_done(&c->fifo);
	c->state = VCONN_FREE;
	v->used--;
	LIST_INSERT_HEAD(&v->unused, c, link);
}
