/*
 * tools/ttrpc/codec.h - requests and responses: structs to frames and back
 *
 * Whatever a peer sends is decoded into an arena with a limit, so that no
 * message costs more than TTRPC_DECODE_MAX bytes, however it is nested.
 */
#ifndef FERRY_TOOLS_TTRPC_CODEC_H
#define FERRY_TOOLS_TTRPC_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "config/arena.h"
#include "config/err.h"
#include "tools/ttrpc/wire.h"

/* A frame's data, decoded twice (the wrapper, then what is in it). */
#define TTRPC_DECODE_MAX ((size_t)32 * 1024 * 1024)
/* Bytes of the text of a status that are sent; longer ones are cut. */
#define TTRPC_STATUS_TEXT_MAX 1024u

/**
 * struct ttrpc_request - one call
 * @service, @method: names, for example "containerd.task.v2.Task", "State"
 * @payload:	the packed request message
 * @timeout_ms:	how long the caller waits, 0: not told
 */
struct ttrpc_request {
	const char *service;
	const char *method;
	const uint8_t *payload;
	size_t len;
	int64_t timeout_ms;
};

/**
 * struct ttrpc_response - its answer
 * @code:	TTRPC_OK, or why not
 * @text:	words for @code
 * @payload:	the packed response message
 */
struct ttrpc_response {
	enum ttrpc_code code;
	const char *text;
	const uint8_t *payload;
	size_t len;
};

/**
 * ttrpc_unpack() - a protobuf message of a peer
 * @type:	descriptor of the message
 * @arena:	everything is allocated there
 *
 * A success says nothing about the contents: texts may be no UTF-8, numbers of
 * enums unknown.
 * Return: the message, or NULL (malformed, or too large for the arena)
 */
ProtobufCMessage *ttrpc_unpack(const ProtobufCMessageDescriptor *type,
			       const void *bytes, size_t len,
			       struct arena *arena);

/** ttrpc_request_get(), ttrpc_response_get() - return: 0 or -EPROTO */
int ttrpc_request_get(const void *data, size_t len, struct arena *arena,
		      struct ttrpc_request *ret, struct err *e);
int ttrpc_response_get(const void *data, size_t len, struct arena *arena,
		       struct ttrpc_response *ret, struct err *e);

/**
 * ttrpc_request_frame() - a whole frame on the heap, the caller's
 * @stream:	its stream
 * @q:		its @payload is not looked at
 * @m:		the request message, NULL: empty
 * @ret_len:	receives its length
 * @e:		-E2BIG: over TTRPC_DATA_MAX, -ENOMEM
 *
 * Return: the frame, or NULL
 */
uint8_t *ttrpc_request_frame(uint32_t stream, const struct ttrpc_request *q,
			     const ProtobufCMessage *m, size_t *ret_len,
			     struct err *e);

/**
 * ttrpc_response_frame() - as ttrpc_request_frame(); @m counts for TTRPC_OK,
 * @text for all else: bytes of it that are no UTF-8 become '?'
 */
uint8_t *ttrpc_response_frame(uint32_t stream, enum ttrpc_code code,
			      const char *text, const ProtobufCMessage *m,
			      size_t *ret_len, struct err *e);

/** ttrpc_data_frame() - one message of a server's stream; NULL @m: its end */
uint8_t *ttrpc_data_frame(uint32_t stream, const ProtobufCMessage *m,
			  size_t *ret_len, struct err *e);

/** ttrpc_code_of() - the code for a negative errno of ours */
enum ttrpc_code ttrpc_code_of(int error);

/** ttrpc_code_name() - "not found", ...; "unknown" out of range */
const char *ttrpc_code_name(enum ttrpc_code code);

#endif
