#include "tools/vsock/rx.h"

#include <linux/vhost.h>

#include "tools/vsock/hostend.h"

/*
 * A buffer of the guest gets the header in its first 44 bytes and payload in
 * the rest, wherever the guest put the borders of its descriptors. The payload
 * is read straight from the host socket into it; the header follows when it is
 * known how much came.
 */

static struct vqueue *ring(struct backend *b)
{
	return &b->queue[BACKEND_TO_GUEST].ring;
}

static const struct gmem_piece *room_of(const struct backend *b,
					const struct vqueue_chain *c)
{
	return b->pieces.piece + c->first + c->outs;
}

/*
 * Take a buffer that can hold a header; others are given back empty. Only when
 * @first may buffers be given back, because they are given in order.
 *
 * Return: 1 or 0 (none now)
 */
static int take(struct backend *b, struct vqueue_chain *c, bool first)
{
	struct vqueue *q = ring(b);

	for (unsigned int tries = 0; tries < q->num; tries++) {
		if (vqueue_take(q, &b->pieces, c) <= 0)
			return 0;
		if (c->in_bytes >= PACKET_HEADER_SIZE && c->outs == 0)
			return 1;
		if (!first) {
			vqueue_untake(q, 1);
			return 0;
		}
		vqueue_give(q, c, 0);
		b->pieces.n = 0;
	}
	return 0;
}

/* The first @len bytes of a buffer were written: tell a migration. */
static void mark(struct backend *b, const struct vqueue_chain *c, size_t len)
{
	const struct gmem_piece *piece = room_of(b, c);

	if ((b->features & 1ull << VHOST_F_LOG_ALL) == 0)
		return;
	for (size_t i = 0; i < c->ins && len > 0; i++) {
		const size_t part = piece[i].here.iov_len < len
					    ? piece[i].here.iov_len
					    : len;

		dirtylog_mark(&b->log, piece[i].guest, part);
		len -= part;
	}
}

/* Put the header before @p->len bytes of payload and give the buffer back. */
static void finish(struct backend *b, const struct vqueue_chain *c,
		   const struct packet *p)
{
	const uint32_t len = PACKET_HEADER_SIZE + p->len;
	uint8_t header[PACKET_HEADER_SIZE];

	packet_put(header, p);
	gmem_scatter(room_of(b, c), c->ins, header, sizeof(header));
	mark(b, c, len);
	vqueue_give(ring(b), c, len);
}

/* Return: false when the guest has no buffer for it. */
static bool send_control(struct backend *b, const struct packet *p)
{
	struct vqueue_chain c;

	b->pieces.n = 0;
	if (take(b, &c, true) == 0)
		return false;
	finish(b, &c, p);
	return true;
}

static bool send_reset(struct backend *b)
{
	if (!send_control(b, &b->reset[b->resets_first]))
		return false;
	b->resets_first = (b->resets_first + 1) % BACKEND_RESETS_MAX;
	b->resets--;
	return true;
}

/*
 * One control packet of a stream. Nothing is taken from the stream before
 * there is a buffer for it.
 */
static bool send_told(struct backend *b, struct vconn *c)
{
	struct vqueue_chain chain;
	struct packet p;

	b->pieces.n = 0;
	if (take(b, &chain, true) == 0)
		return false;
	(void)vconn_control(c, b->guest_cid, &p); /* there is one */
	finish(b, &chain, &p);
	if (p.op == PACKET_RESET)
		hostend_forget(b, c);
	return true;
}

/* Buffers for one read. */
struct offer {
	unsigned int chains;
	size_t iovs;
	uint32_t room; /* payload bytes, within the stream's credit */
};

static void collect(struct backend *b, struct vconn *c, struct offer *o)
{
	const uint32_t credit = vconn_credit(c);

	*o = (struct offer){ 0 };
	b->pieces.n = 0;
	while (o->chains < c->batch && o->room < credit) {
		struct vqueue_chain *chain = &b->chain[o->chains];
		uint64_t part;

		if (take(b, chain, o->chains == 0) == 0)
			break;
		part = chain->in_bytes - PACKET_HEADER_SIZE;
		part = part < credit - o->room ? part : credit - o->room;
		o->iovs +=
			gmem_slice(room_of(b, chain), chain->ins,
				   PACKET_HEADER_SIZE, part, b->iov + o->iovs);
		o->room += (uint32_t)part;
		o->chains++;
	}
}

/* Write a header before each part of the @got bytes that were read. */
static unsigned int distribute(struct backend *b, struct vconn *c,
			       const struct offer *o, uint32_t got)
{
	unsigned int i;

	for (i = 0; i < o->chains && got > 0; i++) {
		const struct vqueue_chain *chain = &b->chain[i];
		const uint64_t room = chain->in_bytes - PACKET_HEADER_SIZE;
		struct packet p;

		vconn_fill(c, b->guest_cid, PACKET_DATA, &p);
		p.len = room < got ? (uint32_t)room : got;
		finish(b, chain, &p);
		c->sent += p.len;
		got -= p.len;
	}
	return i;
}

/* Return: false when the guest has no buffer. */
static bool send_data(struct backend *b, struct vconn *c)
{
	struct offer o;
	uint32_t got;
	unsigned int filled;

	collect(b, c, &o);
	if (o.chains == 0)
		return false;
	if (o.room == 0) { /* a buffer of 44 bytes: useless for data */
		vqueue_give(ring(b), &b->chain[0], 0);
		vqueue_untake(ring(b), o.chains - 1);
		return true;
	}
	got = hostend_read(b, c, b->iov, o.iovs, o.room);
	filled = distribute(b, c, &o, got);
	vqueue_untake(ring(b), o.chains - filled);
	if (got < o.room)
		c->batch = 1;
	else if (c->batch < BACKEND_BATCH_MAX)
		c->batch *= 2;
	return true;
}

/* The first stream in the queue has its turn. Return: false: no buffer. */
static bool serve_first(struct backend *b, struct vconn *c)
{
	bool sent;

	if (!vconn_wants(c)) {
		vconns_unqueue(&b->conns, c);
		return true;
	}
	sent = c->tell != 0 ? send_told(b, c) : send_data(b, c);
	if (sent && c->queued) {
		vconns_unqueue(&b->conns, c);
		if (vconn_wants(c))
			vconns_queue(&b->conns, c);
	}
	return sent;
}

static bool step(struct backend *b)
{
	struct vconn *c;

	if (b->resets > 0)
		return send_reset(b);
	c = TAILQ_FIRST(&b->conns.ready);
	return c != NULL && serve_first(b, c);
}

static bool pending(const struct backend *b)
{
	return b->resets > 0 || !TAILQ_EMPTY(&b->conns.ready);
}

void rx_pump(struct backend *b)
{
	struct vqueue *q = ring(b);
	const bool tx_waits = b->resets == BACKEND_RESETS_MAX;
	int budget = BACKEND_RX_BUDGET;

	while (budget > 0 && vqueue_usable(q) && step(b))
		budget--;
	if (vqueue_usable(q) && vqueue_publish(q))
		backend_signal(b, BACKEND_TO_GUEST);

	if (!pending(b))
		vqueue_mute(q);
	else if (budget == 0 || vqueue_listen(q))
		b->more = true;
	if (tx_waits && b->resets < BACKEND_RESETS_MAX)
		b->more = true;
	backend_check(b, BACKEND_TO_GUEST);
}
