/*
 * bridge/msg_ferry.h - what two ferry ends say to each other beside the
 * protocol of the reference; pure.
 *
 * As bridge/msg.h. Bytes are lower case hexadecimal text. A peer that is not
 * ferry never gets one of these frames, and skips the members that
 * NegotiateProtocol has more. Source: docs/resume.md.
 */
#ifndef FERRY_BRIDGE_MSG_FERRY_H
#define FERRY_BRIDGE_MSG_FERRY_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/msg.h"
#include "bridge/schema.h"

/* Type words of category 0xfe. */
enum wire_ferry_type {
	WIRE_FERRY_RECEIVED = 0x3fe00101,      /* both ways, not numbered */
	WIRE_FERRY_STREAM_END = 0x3fe00201,    /* from who sends the stream */
	WIRE_FERRY_OUT_OF_MEMORY = 0x3fe00301, /* guest to host */
	WIRE_FERRY_UNWANTED = 0x3fe00401,      /* from who receives it */
	WIRE_FERRY_STREAM_MARK = 0x3fe00501,   /* guest to host */
	WIRE_FERRY_READ_LOG = 0x1fe00601,
};

/* What a host that finds the VM in a new place has for it. */
struct msg_ferry_fixup {
	const char *entropy; /* 32 to 512 bytes */
	uint64_t time_ns;    /* CLOCK_REALTIME when it was sent */
	bool announce;	     /* the addresses of the adapters */
};

/* The member Ferry of NegotiateProtocol. */
struct msg_ferry_hello {
	uint32_t version; /* SESSION_VERSION */
	const char *nonce;
	const char *session; /* "": a new one is wanted */
	uint64_t received;
	uint64_t sent;
	uint32_t heartbeat_ms;	       /* 0: the default */
	bool plain;		       /* no session, the barrier alone */
	struct msg_ferry_fixup *fixup; /* NULL: nothing has changed */
};

struct msg_ferry_fixed {
	bool credited;
	int32_t clock_step_ms; /* at most, in either direction */
	uint32_t announced;    /* addresses */
	bool again;	       /* the time was old: negotiate once more */
};

/* The member Ferry of its answer. */
struct msg_ferry_welcome {
	uint32_t version;
	const char *session;
	const char *key; /* "": it was told before */
	const char *proof;
	uint64_t received;
	uint64_t incarnation;
	struct msg_ferry_fixed *fixed; /* NULL: nothing was asked for */
};

struct msg_ferry_received {
	uint64_t received;
};

struct msg_ferry_stream_end {
	uint32_t port; /* its name */
	uint64_t length;
};

struct msg_ferry_out_of_memory {
	struct msg_base base;
	uint64_t count;
};

struct msg_ferry_unwanted {
	uint32_t port;
};

struct msg_ferry_read_log {
	struct msg_base base;
	uint64_t from; /* bytes of the log's whole life */
	uint32_t max;  /* bytes */
};

struct msg_ferry_read_log_result {
	struct msg_result base;
	uint64_t from; /* of @text; above what was asked for: that is gone */
	uint64_t head; /* behind the last byte there is */
	uint64_t dropped;
	const char *text;
};

extern const struct schema msg_ferry_hello_schema;
extern const struct schema msg_ferry_welcome_schema;
extern const struct schema msg_ferry_received_schema;
extern const struct schema msg_ferry_stream_end_schema;
extern const struct schema msg_ferry_out_of_memory_schema;
extern const struct schema msg_ferry_unwanted_schema;
extern const struct schema msg_ferry_read_log_schema;
extern const struct schema msg_ferry_read_log_result_schema;

/** msg_ferry_schema() - as msg_schema(), for these */
const struct schema *msg_ferry_schema(uint32_t type);

#endif
