#include "tools/ttrpc/codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/json_check.h"
#include "build/proto/ttrpc.pb-c.h"
#include "config/util.h"
#include "tools/ttrpc/pb.h"

#define NS_PER_MS 1000000
#define UTF8_MAX 4

static void *arena_give(void *arena, size_t size)
{
	/* protobuf-c asks for nothing where a field is empty. */
	return arena_alloc(arena, size ? size : 1);
}

static void arena_keep(void *arena UNUSED, void *p UNUSED)
{
}

ProtobufCMessage *ttrpc_unpack(const ProtobufCMessageDescriptor *type,
			       const void *bytes, size_t len,
			       struct arena *arena)
{
	ProtobufCAllocator from = {
		.alloc = arena_give,
		.free = arena_keep,
		.allocator_data = arena,
	};

	return protobuf_c_message_unpack(type, &from, len, bytes);
}

int ttrpc_request_get(const void *data, size_t len, struct arena *arena,
		      struct ttrpc_request *ret, struct err *e)
{
	const TtrpcRequest *q = (const void *)ttrpc_unpack(
		&ttrpc_request__descriptor, data, len, arena);

	if (!q)
		return err_set(e, EPROTO, "the request cannot be decoded");
	*ret = (struct ttrpc_request){
		.service = q->service,
		.method = q->method,
		.payload = q->payload.data,
		.len = q->payload.len,
		.timeout_ms = q->timeout_nano > 0
				      ? (q->timeout_nano - 1) / NS_PER_MS + 1
				      : 0,
	};
	return 0;
}

int ttrpc_response_get(const void *data, size_t len, struct arena *arena,
		       struct ttrpc_response *ret, struct err *e)
{
	const TtrpcResponse *a = (const void *)ttrpc_unpack(
		&ttrpc_response__descriptor, data, len, arena);

	if (!a)
		return err_set(e, EPROTO, "the response cannot be decoded");
	*ret = (struct ttrpc_response){
		.text = a->status ? a->status->message : "",
		.payload = a->payload.data,
		.len = a->payload.len,
	};
	if (a->status)
		ret->code =
			a->status->code >= 0 && a->status->code < TTRPC_CODES
				? (enum ttrpc_code)a->status->code
				: TTRPC_UNKNOWN;
	return 0;
}

/* A frame around @m, whose size is checked before anything is allocated. */
static uint8_t *frame(uint32_t stream, uint8_t type, uint8_t flags,
		      const ProtobufCMessage *m, size_t *ret_len, struct err *e)
{
	const size_t len = m ? protobuf_c_message_get_packed_size(m) : 0;
	const struct ttrpc_header h = {
		.len = (uint32_t)len,
		.stream = stream,
		.type = type,
		.flags = flags,
	};
	uint8_t *bytes;

	if (len > TTRPC_DATA_MAX) {
		(void)err_set(e, E2BIG, "a message of %zu bytes", len);
		return NULL;
	}
	bytes = malloc(TTRPC_HEADER_SIZE + len);
	if (!bytes) {
		(void)err_set(e, ENOMEM, "no memory for a ttrpc frame");
		return NULL;
	}
	ttrpc_header_put(bytes, &h);
	if (m)
		(void)protobuf_c_message_pack(m, bytes + TTRPC_HEADER_SIZE);
	*ret_len = TTRPC_HEADER_SIZE + len;
	return bytes;
}

/* Return: 0, with the packed @m on the heap (NULL when it is empty). */
static int pack(const ProtobufCMessage *m, ProtobufCBinaryData *ret,
		struct err *e)
{
	const size_t len = m ? protobuf_c_message_get_packed_size(m) : 0;

	*ret = (ProtobufCBinaryData){ 0 };
	if (len > TTRPC_DATA_MAX)
		return err_set(e, E2BIG, "a message of %zu bytes", len);
	if (len == 0)
		return 0;
	ret->data = malloc(len);
	if (!ret->data)
		return err_set(e, ENOMEM, "no memory for a ttrpc message");
	ret->len = protobuf_c_message_pack(m, ret->data);
	return 0;
}

uint8_t *ttrpc_request_frame(uint32_t stream, const struct ttrpc_request *q,
			     const ProtobufCMessage *m, size_t *ret_len,
			     struct err *e)
{
	TtrpcRequest out = TTRPC_REQUEST__INIT;
	uint8_t *bytes;

	if (pack(m, &out.payload, e) < 0)
		return NULL;
	out.service = pb_text(q->service);
	out.method = pb_text(q->method);
	out.timeout_nano = q->timeout_ms * NS_PER_MS;
	bytes = frame(stream, TTRPC_REQUEST, 0, &out.base, ret_len, e);
	free(out.payload.data);
	return bytes;
}

/*
 * A text may have names of files, and be cut within one. Whoever is strict about
 * protobuf's strings throws away all of a response whose text is no UTF-8.
 */
static void put_text(const char *text, char ret[TTRPC_STATUS_TEXT_MAX])
{
	size_t n = 0;

	while (*text != '\0') {
		const size_t len = json_utf8((const unsigned char *)text,
					     strnlen(text, UTF8_MAX));
		const size_t step = len ? len : 1;

		if (n + step >= TTRPC_STATUS_TEXT_MAX)
			break;
		memcpy(ret + n, len ? text : "?", step);
		n += step;
		text += step;
	}
	ret[n] = '\0';
}

uint8_t *ttrpc_response_frame(uint32_t stream, enum ttrpc_code code,
			      const char *text, const ProtobufCMessage *m,
			      size_t *ret_len, struct err *e)
{
	TtrpcStatus status = TTRPC_STATUS__INIT;
	TtrpcResponse out = TTRPC_RESPONSE__INIT;
	char cut[TTRPC_STATUS_TEXT_MAX];
	uint8_t *bytes;

	if (code != TTRPC_OK) {
		put_text(text, cut);
		status.code = (int32_t)code;
		status.message = cut;
		out.status = &status;
	} else if (pack(m, &out.payload, e) < 0) {
		return NULL;
	}
	bytes = frame(stream, TTRPC_RESPONSE, 0, &out.base, ret_len, e);
	free(out.payload.data);
	return bytes;
}

uint8_t *ttrpc_data_frame(uint32_t stream, const ProtobufCMessage *m,
			  size_t *ret_len, struct err *e)
{
	return frame(stream, TTRPC_DATA,
		     m ? 0 : (uint8_t)(TTRPC_LAST | TTRPC_NO_DATA), m, ret_len,
		     e);
}

enum ttrpc_code ttrpc_code_of(int error)
{
	switch (error < 0 ? -error : error) {
	case 0:
		return TTRPC_OK;
	case EINVAL:
	case ERANGE:
	case E2BIG:
	case ENAMETOOLONG:
	case EILSEQ:
		return TTRPC_INVALID_ARGUMENT;
	case ENOENT:
	case ESRCH:
		return TTRPC_NOT_FOUND;
	case EEXIST:
		return TTRPC_ALREADY_EXISTS;
	case EPERM:
	case EACCES:
		return TTRPC_PERMISSION_DENIED;
	case ENOMEM:
	case ENOSPC:
	case ENOBUFS:
	case EMFILE:
		return TTRPC_RESOURCE_EXHAUSTED;
	case EBUSY:
		return TTRPC_FAILED_PRECONDITION;
	case ETIMEDOUT:
		return TTRPC_DEADLINE_EXCEEDED;
	case ENOSYS:
	case EOPNOTSUPP:
		return TTRPC_UNIMPLEMENTED;
	case ENOTCONN:
	case ECONNRESET:
		return TTRPC_UNAVAILABLE;
	case ECANCELED:
		return TTRPC_CANCELLED;
	default:
		return TTRPC_UNKNOWN;
	}
}

const char *ttrpc_code_name(enum ttrpc_code code)
{
	static const char *const names[] = {
		[TTRPC_OK] = "ok",
		[TTRPC_CANCELLED] = "cancelled",
		[TTRPC_UNKNOWN] = "unknown",
		[TTRPC_INVALID_ARGUMENT] = "invalid argument",
		[TTRPC_DEADLINE_EXCEEDED] = "deadline exceeded",
		[TTRPC_NOT_FOUND] = "not found",
		[TTRPC_ALREADY_EXISTS] = "already exists",
		[TTRPC_PERMISSION_DENIED] = "permission denied",
		[TTRPC_RESOURCE_EXHAUSTED] = "resource exhausted",
		[TTRPC_FAILED_PRECONDITION] = "failed precondition",
		[TTRPC_ABORTED] = "aborted",
		[TTRPC_OUT_OF_RANGE] = "out of range",
		[TTRPC_UNIMPLEMENTED] = "unimplemented",
		[TTRPC_INTERNAL] = "internal",
		[TTRPC_UNAVAILABLE] = "unavailable",
	};

	static_assert(ARRAY_LEN(names) == TTRPC_CODES, "a code has no name");
	return code >= 0 && code < TTRPC_CODES ? names[code] : "unknown";
}
