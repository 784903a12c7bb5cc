/*
 * tools/ttrpc/wire.h - the numbers of ttrpc
 *
 * A frame is a header of 10 bytes, numbers big-endian, and its data:
 *
 *	data length u32 | stream id u32 | type u8 | flags u8
 *
 * A request opens a stream with an odd id that rises, a response ends it. In
 * between a server may send data frames (ttrpc 1.2), the last of which has the
 * flags LAST and NO_DATA.
 * Source: shared specification migration.md 10.2.
 */
#ifndef FERRY_TOOLS_TTRPC_WIRE_H
#define FERRY_TOOLS_TTRPC_WIRE_H

#include <stdint.h>

#define TTRPC_HEADER_SIZE 10u
/* Longest data; a longer frame is skipped and refused. */
#define TTRPC_DATA_MAX 4194304u

enum ttrpc_type {
	TTRPC_REQUEST = 1,
	TTRPC_RESPONSE = 2,
	TTRPC_DATA = 3,
};

enum ttrpc_flag {
	TTRPC_LAST = 1,	   /* nothing more comes from this side */
	TTRPC_OPEN = 2,	   /* data frames follow the request */
	TTRPC_NO_DATA = 4, /* the frame carries no message */
};

/* google.rpc.Code */
enum ttrpc_code {
	TTRPC_OK = 0,
	TTRPC_CANCELLED = 1,
	TTRPC_UNKNOWN = 2,
	TTRPC_INVALID_ARGUMENT = 3,
	TTRPC_DEADLINE_EXCEEDED = 4,
	TTRPC_NOT_FOUND = 5,
	TTRPC_ALREADY_EXISTS = 6,
	TTRPC_PERMISSION_DENIED = 7,
	TTRPC_RESOURCE_EXHAUSTED = 8,
	TTRPC_FAILED_PRECONDITION = 9,
	TTRPC_ABORTED = 10,
	TTRPC_OUT_OF_RANGE = 11,
	TTRPC_UNIMPLEMENTED = 12,
	TTRPC_INTERNAL = 13,
	TTRPC_UNAVAILABLE = 14,
	TTRPC_CODES, /* number of codes that ferry knows */
};

/** struct ttrpc_header - a decoded header */
struct ttrpc_header {
	uint32_t len; /* of the data */
	uint32_t stream;
	uint8_t type;
	uint8_t flags;
};

static inline uint32_t be32_get(const void *p)
{
	const uint8_t *b = p;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
	       (uint32_t)b[2] << 8 | (uint32_t)b[3];
}

static inline void be32_put(void *p, uint32_t v)
{
	uint8_t *b = p;

	b[0] = (uint8_t)(v >> 24);
	b[1] = (uint8_t)(v >> 16);
	b[2] = (uint8_t)(v >> 8);
	b[3] = (uint8_t)v;
}

/** ttrpc_header_get(), ttrpc_header_put() - TTRPC_HEADER_SIZE bytes at @p */
static inline struct ttrpc_header ttrpc_header_get(const uint8_t *p)
{
	return (struct ttrpc_header){
		.len = be32_get(p),
		.stream = be32_get(p + 4),
		.type = p[8],
		.flags = p[9],
	};
}

static inline void ttrpc_header_put(uint8_t *p, const struct ttrpc_header *h)
{
	be32_put(p, h->len);
	be32_put(p + 4, h->stream);
	p[8] = h->type;
	p[9] = h->flags;
}

#endif
