#include "tools/vsock/vqueue.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

/*
 * Layout, with n entries: descriptors 16 bytes each; available ring: flags,
 * index, n heads, used_event; used ring: flags, index, n elements of 8 bytes,
 * avail_event; indexes count on modulo 2^16.
 */
#define DESC_SIZE 16u
#define AVAIL_RING 4u
#define AVAIL_ENTRY 2ull
#define USED_RING 4u
#define USED_ELEM 8u

static uint16_t load16(uint64_t at)
{
	const uint16_t *p = (const uint16_t *)(uintptr_t)at;

	return le16toh(__atomic_load_n(p, __ATOMIC_ACQUIRE));
}

static void store16(uint64_t at, uint16_t v)
{
	uint16_t *p = (uint16_t *)(uintptr_t)at;

	__atomic_store_n(p, htole16(v), __ATOMIC_RELEASE);
}

static void log_used(const struct vqueue *r, uint64_t offset, uint64_t len)
{
	if (r->addr.log)
		dirtylog_mark(r->log, r->addr.log_guest + offset, len);
}

static uint64_t avail_event_offset(const struct vqueue *r)
{
	return USED_RING + (uint64_t)USED_ELEM * r->num;
}

static uint64_t used_event(const struct vqueue *r)
{
	return r->addr.avail + AVAIL_RING + AVAIL_ENTRY * r->num;
}

static int broken(struct vqueue *r)
{
	r->broken = true;
	return -EPROTO;
}

int vqueue_set_num(struct vqueue *r, uint32_t num)
{
	if (num == 0 || num > VQUEUE_NUM_MAX || (num & (num - 1)) != 0)
		return -EINVAL;
	r->num = (uint16_t)num;
	vqueue_remap(r);
	return 0;
}

int vqueue_set_addr(struct vqueue *r, const struct vqueue_addr *a)
{
	if ((a->desc & 15) != 0 || (a->avail & 1) != 0 || (a->used & 3) != 0 ||
	    (a->log && (a->log_guest & 3) != 0))
		return -EINVAL;
	r->addr = *a;
	vqueue_remap(r);
	return 0;
}

void vqueue_remap(struct vqueue *r)
{
	const uint64_t event = r->event_idx ? 2 : 0;
	const uint64_t n = r->num;

	r->mapped =
		n > 0 && gmem_holds(r->mem, r->addr.desc, DESC_SIZE * n) &&
		gmem_holds(r->mem, r->addr.avail, AVAIL_RING + 2 * n + event) &&
		gmem_holds(r->mem, r->addr.used,
			   USED_RING + USED_ELEM * n + event);
}

void vqueue_start(struct vqueue *r)
{
	r->broken = false;
	r->call_valid = false;
	vqueue_remap(r);
	if (!r->mapped)
		return;
	r->seen_avail = r->next_avail;
	r->next_used = load16(r->addr.used + 2);
	r->told_used = r->next_used;
}

/* How many entries the guest has made available, or -EPROTO. */
static int available(struct vqueue *r)
{
	uint16_t n = (uint16_t)(r->seen_avail - r->next_avail);

	if (n == 0) {
		r->seen_avail = load16(r->addr.avail + 2);
		n = (uint16_t)(r->seen_avail - r->next_avail);
	}
	return n > r->num ? broken(r) : n;
}

/*
 * A walk over one chain. A descriptor is copied out of guest memory before it
 * is looked at; each of the two tables is left after as many steps as it has
 * entries, so a loop in it ends.
 */
struct walk {
	struct vqueue *ring;
	struct vqueue_pieces *pieces;
	struct vqueue_chain *chain;
	bool indirect;
	uint64_t table; /* guest address, when indirect */
	uint32_t entries;
	uint32_t steps;
};

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

static int desc_get(struct walk *w, uint32_t index, struct desc *d)
{
	const uint64_t offset = (uint64_t)index * DESC_SIZE;
	struct vring_desc raw;

	if (index >= w->entries || w->steps++ >= w->entries)
		return -EPROTO;
	if (w->indirect) {
		if (gmem_read(w->ring->mem, w->table + offset, &raw,
			      sizeof(raw)) < 0)
			return -EPROTO;
	} else {
		const uint64_t at = w->ring->addr.desc + offset;

		gmem_snapshot(&raw, (const void *)(uintptr_t)at, sizeof(raw));
	}
	d->addr = le64toh(raw.addr);
	d->len = le32toh(raw.len);
	d->flags = le16toh(raw.flags);
	d->next = le16toh(raw.next);
	return 0;
}

/* The descriptor names a table of descriptors: go on in there. */
static int enter_table(struct walk *w, const struct desc *d)
{
	const uint32_t entries = d->len / DESC_SIZE;
	uint64_t end;

	if (w->indirect || (d->flags & VRING_DESC_F_NEXT) != 0 ||
	    d->len % DESC_SIZE != 0 || entries == 0 ||
	    entries > VQUEUE_NUM_MAX ||
	    __builtin_add_overflow(d->addr, d->len, &end))
		return -EPROTO;
	w->indirect = true;
	w->table = d->addr;
	w->entries = entries;
	w->steps = 0;
	return 0;
}

static int add_memory(struct walk *w, const struct desc *d)
{
	struct vqueue_pieces *p = w->pieces;
	struct vqueue_chain *c = w->chain;
	const bool in = (d->flags & VRING_DESC_F_WRITE) != 0;
	int n;

	if (!in && c->ins > 0)
		return -EPROTO; /* readable parts come first */
	n = gmem_map(w->ring->mem, d->addr, d->len, p->piece + p->n,
		     VQUEUE_PIECES_MAX - p->n);
	if (n < 0)
		return n;
	p->n += (size_t)n;
	if (in) {
		c->ins += (size_t)n;
		c->in_bytes += d->len;
	} else {
		c->outs += (size_t)n;
		c->out_bytes += d->len;
	}
	return 0;
}

static int walk_chain(struct walk *w, uint32_t index)
{
	struct desc d;
	int ret;

	for (;;) {
		ret = desc_get(w, index, &d);
		if (ret < 0)
			return ret;
		if ((d.flags & VRING_DESC_F_INDIRECT) != 0) {
			ret = enter_table(w, &d);
			if (ret < 0)
				return ret;
			index = 0;
			continue;
		}
		ret = add_memory(w, &d);
		if (ret < 0)
			return ret;
		if ((d.flags & VRING_DESC_F_NEXT) == 0)
			return 0;
		index = d.next;
	}
}

int vqueue_take(struct vqueue *r, struct vqueue_pieces *p,
		struct vqueue_chain *c)
{
	struct walk w = {
		.ring = r, .pieces = p, .chain = c, .entries = r->num
	};
	const size_t before = p->n;
	uint64_t entry;
	int ret;

	if (!vqueue_usable(r))
		return r->broken ? -EPROTO : 0;
	ret = available(r);
	if (ret <= 0)
		return ret;

	entry = r->addr.avail + AVAIL_RING +
		AVAIL_ENTRY * (r->next_avail & (r->num - 1u));
	*c = (struct vqueue_chain){ .head = load16(entry), .first = before };
	ret = walk_chain(&w, c->head);
	if (ret < 0) {
		p->n = before;
		return ret == -ENOBUFS && before > 0 ? ret : broken(r);
	}
	r->next_avail++;
	return 1;
}

void vqueue_untake(struct vqueue *r, unsigned int n)
{
	r->next_avail = (uint16_t)(r->next_avail - n);
}

void vqueue_give(struct vqueue *r, const struct vqueue_chain *c, uint32_t len)
{
	const uint64_t offset =
		USED_RING +
		(uint64_t)USED_ELEM * (r->next_used & (r->num - 1u));
	const struct vring_used_elem elem = {
		.id = htole32(c->head),
		.len = htole32(len),
	};

	memcpy((void *)(uintptr_t)(r->addr.used + offset), &elem, sizeof(elem));
	log_used(r, offset, sizeof(elem));
	r->next_used++;
}

static bool wants_call(struct vqueue *r)
{
	const uint16_t old = r->called_used;
	const bool valid = r->call_valid;

	/* The index must be out before the guest's wish is read. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (r->on_empty && load16(r->addr.avail + 2) == r->next_avail)
		return true;
	if (!r->event_idx)
		return (load16(r->addr.avail) & VRING_AVAIL_F_NO_INTERRUPT) ==
		       0;
	r->called_used = r->told_used;
	r->call_valid = true;
	return !valid ||
	       vring_need_event(load16(used_event(r)), r->told_used, old);
}

bool vqueue_publish(struct vqueue *r)
{
	if (r->next_used == r->told_used)
		return false;
	store16(r->addr.used + 2, r->next_used);
	log_used(r, 2, 2);
	r->told_used = r->next_used;
	return wants_call(r);
}

static void set_flags(struct vqueue *r, uint16_t flags)
{
	if (load16(r->addr.used) == flags)
		return;
	store16(r->addr.used, flags);
	log_used(r, 0, 2);
}

bool vqueue_listen(struct vqueue *r)
{
	if (!vqueue_usable(r))
		return false;
	if (r->event_idx) {
		const uint64_t offset = avail_event_offset(r);

		store16(r->addr.used + offset, r->next_avail);
		log_used(r, offset, 2);
	} else {
		set_flags(r, 0);
	}
	/* The wish must be out before the index is read for the last time. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return load16(r->addr.avail + 2) != r->next_avail;
}

void vqueue_mute(struct vqueue *r)
{
	if (vqueue_usable(r) && !r->event_idx)
		set_flags(r, VRING_USED_F_NO_NOTIFY);
}
