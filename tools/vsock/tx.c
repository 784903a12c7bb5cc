#include "tools/vsock/tx.h"

#include <errno.h>

#include "tools/vsock/hostend.h"

/* The answer to a packet that belongs to no stream; resets are not answered. */
static void refuse(struct backend *b, const struct packet *p)
{
	unsigned int at;

	if (p->op == PACKET_RESET || b->resets == BACKEND_RESETS_MAX)
		return;
	at = (b->resets_first + b->resets++) % BACKEND_RESETS_MAX;
	b->reset[at] = (struct packet){
		.src_cid = PACKET_CID_HOST,
		.dst_cid = b->guest_cid,
		.src_port = p->dst_port,
		.dst_port = p->src_port,
		.type = p->type,
		.op = PACKET_RESET,
	};
}

static void request(struct backend *b, const struct packet *p)
{
	struct vconn *c = vconns_new(&b->conns, VCONN_DIALING);

	if (c == NULL) {
		refuse(b, p);
		return;
	}
	vconns_bind(&b->conns, c, p->src_port, p->dst_port);
	vconn_peer(c, p);
	c->give_up_ms = b->now_ms + BACKEND_DIAL_LIMIT_MS;
	hostend_dial(b, c);
}

/* The guest ended the stream. What it sent before it closed still counts. */
static void ended(struct backend *b, struct vconn *c)
{
	if (c->state == VCONN_OPEN && c->shut_guest == PACKET_NO_BOTH) {
		vconns_unqueue(&b->conns, c);
		vconns_unbind(c);
		c->tell = 0;
		c->state = VCONN_DRAINING;
		backend_due(b, c, VCONN_WAIT_DRAIN);
		return;
	}
	hostend_forget(b, c);
}

static void data(struct backend *b, struct vconn *c, const struct packet *p,
		 struct iovec *iov, size_t n)
{
	if (c->state == VCONN_CLOSING || c->state == VCONN_DYING)
		return; /* was under way when the host's end closed */
	if (c->state != VCONN_OPEN || (c->shut_guest & PACKET_NO_SEND) != 0 ||
	    !vconn_fits(c, p->len))
		hostend_reset(b, c);
	else
		hostend_write(b, c, iov, n, p->len);
}

static void shut(struct backend *b, struct vconn *c, const struct packet *p)
{
	c->shut_guest |= p->flags & PACKET_NO_BOTH;
	if (c->state == VCONN_CLOSING && c->shut_guest == PACKET_NO_BOTH)
		hostend_reset(b, c);
	else
		hostend_settle(b, c);
}

static void on_stream(struct backend *b, struct vconn *c,
		      const struct packet *p, struct iovec *iov, size_t n)
{
	vconn_peer(c, p);
	switch (p->op) {
	case PACKET_RESPONSE:
		if (c->state == VCONN_ASKING)
			hostend_answered(b, c);
		else
			hostend_reset(b, c);
		break;
	case PACKET_RESET:
		ended(b, c);
		break;
	case PACKET_SHUTDOWN:
		shut(b, c, p);
		break;
	case PACKET_DATA:
		data(b, c, p, iov, n);
		break;
	case PACKET_CREDIT_REQUEST:
		if (c->state != VCONN_DYING)
			c->tell |= VCONN_TELL_CREDIT;
		hostend_settle(b, c);
		break;
	case PACKET_CREDIT_UPDATE:
		hostend_settle(b, c);
		break;
	default:
		hostend_reset(b, c);
		break;
	}
}

static void dispatch(struct backend *b, const struct packet *p,
		     struct iovec *iov, size_t n)
{
	struct vconn *c;

	if (p->src_cid != b->guest_cid || p->dst_cid != PACKET_CID_HOST)
		return; /* a guest speaks only for itself, and only to us */
	if (p->type != PACKET_TYPE_STREAM) {
		refuse(b, p);
		return;
	}
	c = vconns_find(&b->conns, p->src_port, p->dst_port);
	if (p->op == PACKET_REQUEST) {
		/* The guest uses the ports again: the old stream is over. */
		if (c != NULL)
			hostend_forget(b, c);
		request(b, p);
	} else if (c == NULL) {
		refuse(b, p);
	} else {
		on_stream(b, c, p, iov, n);
	}
}

/*
 * Copy the header out, list the payload in @iov. Return: number of entries,
 * or -EPROTO when the buffer is shorter than what its header says.
 */
static int unpack(struct backend *b, const struct vqueue_chain *c,
		  struct packet *p, struct iovec *iov)
{
	uint8_t header[PACKET_HEADER_SIZE];
	const struct gmem_piece *piece = b->pieces.piece + c->first;
	const size_t head = gmem_gather(piece, c->outs, header, sizeof(header));

	if (head < sizeof(header))
		return -EPROTO;
	packet_get(header, p);
	if (p->len > c->out_bytes - sizeof(header))
		return -EPROTO;
	return (int)gmem_slice(piece, c->outs, sizeof(header), p->len, iov);
}

static void one_packet(struct backend *b, const struct vqueue_chain *c)
{
	struct packet p;
	const int n = unpack(b, c, &p, b->iov);

	if (n >= 0) /* else nothing can be said about it, to anybody */
		dispatch(b, &p, b->iov, (size_t)n);
}

void tx_pump(struct backend *b)
{
	struct vqueue *q = &b->queue[BACKEND_FROM_GUEST].ring;
	struct vqueue_chain c;
	int budget = BACKEND_TX_BUDGET;
	int ret = 1;

	while (budget > 0 && b->resets < BACKEND_RESETS_MAX) {
		b->pieces.n = 0;
		ret = vqueue_take(q, &b->pieces, &c);
		if (ret <= 0)
			break;
		one_packet(b, &c);
		vqueue_give(q, &c, 0);
		budget--;
	}
	if (vqueue_usable(q) && vqueue_publish(q))
		backend_signal(b, BACKEND_FROM_GUEST);
	/* With too many resets, rx_pump() says when it goes on. */
	if (budget == 0 || (ret == 0 && vqueue_listen(q)))
		b->more = true;
	backend_check(b, BACKEND_FROM_GUEST);
}
