#include "tools/vsock/vconn.h"

void vconn_peer(struct vconn *c, const struct packet *p)
{
	c->peer_alloc = p->buf_alloc;
	c->peer_gone = p->fwd_cnt;
	if (vconn_credit(c) > 0)
		c->asked = false;
}

uint32_t vconn_credit(const struct vconn *c)
{
	const uint32_t under_way = c->sent - c->peer_gone;

	/* A guest that shrank its buffer, or lied, gets nothing more. */
	return under_way < c->peer_alloc ? c->peer_alloc - under_way : 0;
}

bool vconn_fits(const struct vconn *c, uint32_t len)
{
	return len <= c->room - (c->got - c->gone);
}

void vconn_forwarded(struct vconn *c, uint32_t len)
{
	c->gone += len;
	if (c->gone - c->gone_told >= c->room / 4)
		c->tell |= VCONN_TELL_CREDIT;
}

bool vconn_reads(const struct vconn *c)
{
	return c->state == VCONN_OPEN && c->readable && !c->host_ended &&
	       (c->shut_guest & PACKET_NO_RECEIVE) == 0;
}

bool vconn_wants(struct vconn *c)
{
	if (vconn_reads(c)) {
		if (vconn_credit(c) > 0)
			return true;
		if (!c->asked)
			c->tell |= VCONN_TELL_NEED;
		c->asked = true;
	}
	return c->tell != 0;
}

void vconn_fill(struct vconn *c, uint64_t guest_cid, enum packet_op op,
		struct packet *p)
{
	*p = (struct packet){
		.src_cid = PACKET_CID_HOST,
		.dst_cid = guest_cid,
		.src_port = c->host_port,
		.dst_port = c->guest_port,
		.type = PACKET_TYPE_STREAM,
		.op = (uint16_t)op,
		.buf_alloc = c->room,
		.fwd_cnt = c->gone,
	};
	c->gone_told = c->gone;
	c->tell &= ~VCONN_TELL_CREDIT;
}

bool vconn_control(struct vconn *c, uint64_t guest_cid, struct packet *p)
{
	static const struct {
		uint32_t bit;
		enum packet_op op;
	} order[] = {
		{ VCONN_TELL_RESET, PACKET_RESET },
		{ VCONN_TELL_REQUEST, PACKET_REQUEST },
		{ VCONN_TELL_RESPONSE, PACKET_RESPONSE },
		{ VCONN_TELL_SHUTDOWN, PACKET_SHUTDOWN },
		{ VCONN_TELL_CREDIT, PACKET_CREDIT_UPDATE },
		{ VCONN_TELL_NEED, PACKET_CREDIT_REQUEST },
	};

	for (unsigned int i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if ((c->tell & order[i].bit) != 0) {
			c->tell &= ~order[i].bit;
			vconn_fill(c, guest_cid, order[i].op, p);
			if (order[i].op == PACKET_SHUTDOWN)
				p->flags = c->shut_told;
			return true;
		}
	return false;
}
