#include "tools/vsock/packet.h"

#include "config/num.h"

void packet_get(const uint8_t bytes[PACKET_HEADER_SIZE], struct packet *p)
{
	p->src_cid = le64_get(bytes);
	p->dst_cid = le64_get(bytes + 8);
	p->src_port = le32_get(bytes + 16);
	p->dst_port = le32_get(bytes + 20);
	p->len = le32_get(bytes + 24);
	p->type = le16_get(bytes + 28);
	p->op = le16_get(bytes + 30);
	p->flags = le32_get(bytes + 32);
	p->buf_alloc = le32_get(bytes + 36);
	p->fwd_cnt = le32_get(bytes + 40);
}

void packet_put(uint8_t bytes[PACKET_HEADER_SIZE], const struct packet *p)
{
	le64_put(bytes, p->src_cid);
	le64_put(bytes + 8, p->dst_cid);
	le32_put(bytes + 16, p->src_port);
	le32_put(bytes + 20, p->dst_port);
	le32_put(bytes + 24, p->len);
	le16_put(bytes + 28, p->type);
	le16_put(bytes + 30, p->op);
	le32_put(bytes + 32, p->flags);
	le32_put(bytes + 36, p->buf_alloc);
	le32_put(bytes + 40, p->fwd_cnt);
}
