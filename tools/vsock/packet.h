/*
 * tools/vsock/packet.h - the header in front of every virtio-vsock packet
 *
 * Source: virtio specification 1.2, section 5.10.6; 44 bytes, little-endian.
 */
#ifndef FERRY_TOOLS_VSOCK_PACKET_H
#define FERRY_TOOLS_VSOCK_PACKET_H

#include <stdint.h>

#define PACKET_HEADER_SIZE 44
#define PACKET_CID_HOST 2
#define PACKET_TYPE_STREAM 1

enum packet_op {
	PACKET_INVALID = 0,
	PACKET_REQUEST = 1,
	PACKET_RESPONSE = 2,
	PACKET_RESET = 3,
	PACKET_SHUTDOWN = 4,
	PACKET_DATA = 5,
	PACKET_CREDIT_UPDATE = 6,
	PACKET_CREDIT_REQUEST = 7,
};

/* Flags of PACKET_SHUTDOWN: what the sender will not do any more. */
#define PACKET_NO_RECEIVE 1u
#define PACKET_NO_SEND 2u
#define PACKET_NO_BOTH (PACKET_NO_RECEIVE | PACKET_NO_SEND)

/**
 * struct packet - a decoded header; nothing in it is validated
 * @len:	bytes of payload behind the header
 * @op:		an enum packet_op, or anything else that the guest wrote
 * @buf_alloc:	size of the sender's receive buffer of this stream
 * @fwd_cnt:	bytes that left that buffer since the start, modulo 2^32
 */
struct packet {
	uint64_t src_cid;
	uint64_t dst_cid;
	uint32_t src_port;
	uint32_t dst_port;
	uint32_t len;
	uint16_t type;
	uint16_t op;
	uint32_t flags;
	uint32_t buf_alloc;
	uint32_t fwd_cnt;
};

/** packet_get() - decode a header */
void packet_get(const uint8_t bytes[PACKET_HEADER_SIZE], struct packet *p);

/** packet_put() - encode a header */
void packet_put(uint8_t bytes[PACKET_HEADER_SIZE], const struct packet *p);

#endif
