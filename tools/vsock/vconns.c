#include "tools/vsock/vconns.h"

void vconns_init(struct vconns *v, size_t limit)
{
	v->limit = limit < VCONNS_MAX ? limit : VCONNS_MAX;
	v->used = 0;
	TAILQ_INIT(&v->ready);
	LIST_INIT(&v->unused);
	for (size_t i = 0; i < VCONNS_BUCKETS; i++)
		LIST_INIT(&v->bucket[i]);
	for (size_t i = v->limit; i-- > 0;) {
		v->slot[i] = (struct vconn){ .fd = -1 };
		LIST_INSERT_HEAD(&v->unused, &v->slot[i], link);
	}
}

struct vconn *vconns_new(struct vconns *v, enum vconn_state state)
{
	struct vconn *c = LIST_FIRST(&v->unused);
	uint32_t generation;

	if (c == NULL)
		return NULL;
	LIST_REMOVE(c, link);
	generation = c->generation + 1;
	*c = (struct vconn){
		.state = state,
		.generation = generation,
		.fd = -1,
		.batch = 1,
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

void vconns_free(struct vconns *v, struct vconn *c)
{
	vconns_unqueue(v, c);
	vconns_unbind(c);
	fifo_done(&c->fifo);
	c->state = VCONN_FREE;
	c->due_ms = 0;
	v->used--;
	LIST_INSERT_HEAD(&v->unused, c, link);
}
