/*
 * tests/fuzz/fuzz_ttrpc.c - ttrpc frames and what is in them, from any bytes
 *
 * The frames may not depend on the pieces that they come in, no message costs
 * more than its limit, and what was decoded can be encoded.
 */
#include "tests/fuzz/fuzz.h"

#include <stdbool.h>

#include "build/proto/task.pb-c.h"
#include "config/util.h"
#include "tools/ttrpc/codec.h"
#include "tools/ttrpc/reader.h"

/* Every decoder of the requests that a shim takes. */
static const ProtobufCMessageDescriptor *const types[] = {
	&task_create_request__descriptor,
	&task_process_request__descriptor,
	&task_kill_request__descriptor,
	&task_exec_request__descriptor,
	&task_id_request__descriptor,
	&task_shutdown_request__descriptor,
	&task_update_request__descriptor,
	&task_close_iorequest__descriptor,
	&task_resize_pty_request__descriptor,
};

/*
 * What was unpacked can be packed again. (Not always unpacked once more:
 * protobuf-c keeps a field 0 that is spelled in two bytes as an unknown one.)
 */
static void try_message(const uint8_t *data, size_t size,
			const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *m;
	struct arena arena;

	arena_init(&arena, TTRPC_DECODE_MAX);
	m = ttrpc_unpack(type, data, size, &arena);
	if (m) {
		const size_t n = protobuf_c_message_get_packed_size(m);
		uint8_t *out = malloc(n ? n : 1);

		FUZZ_CHECK(out);
		FUZZ_CHECK(protobuf_c_message_pack(m, out) == n);
		free(out);
	}
	FUZZ_CHECK(arena.used <= TTRPC_DECODE_MAX);
	arena_done(&arena);
}

static void try_request(const struct ttrpc_frame *f)
{
	struct ttrpc_response a;
	struct ttrpc_request q;
	struct arena arena;
	struct err e;

	arena_init(&arena, TTRPC_DECODE_MAX);
	if (ttrpc_request_get(f->data, f->header.len, &arena, &q, &e) == 0) {
		FUZZ_CHECK(q.timeout_ms >= 0);
		for (size_t i = 0; i < ARRAY_LEN(types); i++)
			try_message(q.payload, q.len, types[i]);
	}
	if (ttrpc_response_get(f->data, f->header.len, &arena, &a, &e) == 0)
		FUZZ_CHECK(ttrpc_code_name(a.code) && a.text);
	arena_done(&arena);
}

/* Frames in pieces of @piece bytes; returns how many there were. */
static size_t frames(const uint8_t *data, size_t size, size_t piece, bool look)
{
	struct ttrpc_reader r = { 0 };
	struct ttrpc_frame f;
	size_t n = 0;
	struct err e;

	for (size_t at = 0; at < size;) {
		const size_t k = size - at < piece ? size - at : piece;

		FUZZ_CHECK(ttrpc_reader_add(&r, data + at, k, &e) == 0);
		at += k;
		while (ttrpc_reader_next(&r, &f)) {
			n++;
			FUZZ_CHECK(f.too_long ==
				   (f.header.len > TTRPC_DATA_MAX));
			if (look && !f.too_long)
				try_request(&f);
		}
		FUZZ_CHECK(ttrpc_reader_pending(&r) <=
			   TTRPC_HEADER_SIZE + TTRPC_DATA_MAX);
	}
	ttrpc_reader_done(&r);
	return n;
}

int fuzz_one(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = { 1000, 13, 1 };
	const size_t n = frames(data, size, SIZE_MAX, true);

	for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
		FUZZ_CHECK(frames(data, size, pieces[i], false) == n);
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		try_message(data, size, types[i]);
	return 0;
}
