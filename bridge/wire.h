/*
 * bridge/wire.h - frames of the GCS bridge protocol v4: header, type words,
 * limits; pure. Source: shared specification bridge.md 1.2 to 1.5.
 */
#ifndef FERRY_BRIDGE_WIRE_H
#define FERRY_BRIDGE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/err.h"

#define WIRE_HEADER_SIZE 16u
/* Largest frame that a guest may send, header included. */
#define WIRE_GUEST_FRAME_MAX 65536u
/* Largest frame that ferry's guest takes, header included. */
#define WIRE_HOST_FRAME_MAX 0x1000000u /* 16 MiB */

#define WIRE_PORT_ENTROPY 1u
#define WIRE_PORT_LOG 109u
#define WIRE_PORT_BRIDGE 0x40000000u
#define WIRE_PORT_STDIO_FIRST 0x40000001u

#define WIRE_PROTOCOL_VERSION 4u

/* The id that stands for the UVM itself wherever a container id stands. */
#define WIRE_NULL_ID "00000000-0000-0000-0000-000000000000"

enum wire_kind {
	WIRE_REQUEST = 1,
	WIRE_RESPONSE = 2,
	WIRE_NOTIFICATION = 3,
};

/* Request type words; the response differs in the kind nibble only. */
enum wire_type {
	WIRE_CREATE = 0x10100101,
	WIRE_START = 0x10100201,
	WIRE_SHUTDOWN_GRACEFUL = 0x10100301,
	WIRE_SHUTDOWN_FORCED = 0x10100401,
	WIRE_EXECUTE_PROCESS = 0x10100501,
	WIRE_WAIT_FOR_PROCESS = 0x10100601,
	WIRE_SIGNAL_PROCESS = 0x10100701,
	WIRE_RESIZE_CONSOLE = 0x10100801,
	WIRE_GET_PROPERTIES = 0x10100901,
	WIRE_MODIFY_SETTINGS = 0x10100a01,
	WIRE_NEGOTIATE_PROTOCOL = 0x10100b01,
	WIRE_DUMP_STACKS = 0x10100c01,
	WIRE_DELETE_CONTAINER_STATE = 0x10100d01,
	WIRE_UPDATE_CONTAINER = 0x10100e01,
	WIRE_LIFECYCLE_NOTIFICATION = 0x10100f01,
	WIRE_MODIFY_SERVICE_SETTINGS = 0x10200101,
	WIRE_CONTAINER_NOTIFICATION = 0x30100101,
};

/**
 * struct wire_header - one frame header in host byte order
 * @type:	type word
 * @size:	bytes of the whole frame, header included
 * @id:		request id; 0 in notifications
 */
struct wire_header {
	uint32_t type;
	uint32_t size;
	uint64_t id;
};

/** wire_header_get() - decode WIRE_HEADER_SIZE bytes; any bytes decode */
struct wire_header wire_header_get(const void *bytes);

/** wire_header_put() - encode into WIRE_HEADER_SIZE bytes */
void wire_header_put(void *bytes, const struct wire_header *h);

/**
 * wire_size_check() - is the size field of a header acceptable?
 * @h:		decoded header
 * @max:	WIRE_GUEST_FRAME_MAX or WIRE_HOST_FRAME_MAX
 * @e:		names the size and the limit
 *
 * Return: 0, or -EPROTO; the connection is of no use then
 */
int wire_size_check(const struct wire_header *h, uint32_t max, struct err *e);

static inline unsigned int wire_kind(uint32_t type)
{
	return type >> 28;
}

/** wire_response_type() - the type word that answers @request (any word) */
static inline uint32_t wire_response_type(uint32_t request)
{
	return 0x20000000u | (request & 0x0fffffffu);
}

/**
 * wire_type_name() - name of a type word, request or response
 *
 * Return: for example "WaitForProcess", NULL for an unknown word
 */
const char *wire_type_name(uint32_t type);

#endif
