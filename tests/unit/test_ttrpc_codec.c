/* tests/unit/test_ttrpc_codec.c - ttrpc frames, byte for byte */
#include "tests/unit/ttrpc_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "build/proto/task.pb-c.h"
#include "build/proto/ttrpc.pb-c.h"
#include "config/util.h"
#include "tools/ttrpc/codec.h"
#include "tools/ttrpc/reader.h"

static const uint8_t finalize[] = {
	0x00, 0x00, 0x00, 0x24, 0x00, 0x00, 0x00, 0x01, 0x01, 0x00, 0x0a, 0x09,
	0x4d, 0x69, 0x67, 0x72, 0x61, 0x74, 0x69, 0x6f, 0x6e, 0x12, 0x0f, 0x46,
	0x69, 0x6e, 0x61, 0x6c, 0x69, 0x7a, 0x65, 0x53, 0x61, 0x6e, 0x64, 0x62,
	0x6f, 0x78, 0x1a, 0x06, 0x0a, 0x02, 0x73, 0x31, 0x10, 0x02,
};

/* Shared specification migration.md 7.3, the complete frame. */
static void test_known_frame(void **state UNUSED)
{
	const uint8_t payload[] = { 0x0a, 0x02, 0x73, 0x31, 0x10, 0x02 };
	struct ttrpc_reader r = { 0 };
	struct ttrpc_frame f;
	struct ttrpc_request q;
	struct arena arena;
	struct err e;

	arena_init(&arena, TTRPC_DECODE_MAX);
	for (size_t i = 0; i < sizeof(finalize); i++) {
		assert_false(ttrpc_reader_next(&r, &f));
		assert_int_equal(ttrpc_reader_add(&r, &finalize[i], 1, &e), 0);
	}
	assert_true(ttrpc_reader_next(&r, &f));
	assert_int_equal(f.header.stream, 1);
	assert_int_equal(f.header.type, TTRPC_REQUEST);
	assert_int_equal(
		ttrpc_request_get(f.data, f.header.len, &arena, &q, &e), 0);
	assert_string_equal(q.service, "Migration");
	assert_string_equal(q.method, "FinalizeSandbox");
	assert_int_equal(q.len, sizeof(payload));
	assert_memory_equal(q.payload, payload, sizeof(payload));
	assert_int_equal(ttrpc_reader_pending(&r), 0);
	ttrpc_reader_done(&r);
	arena_done(&arena);
}

/* The other way: what we send is those bytes. A TaskKillRequest's first field
 * is a text and its third a number; FinalizeSandbox has its number second. */
static void test_known_frame_made(void **state UNUSED)
{
	const struct ttrpc_request q = {
		.service = "Migration",
		.method = "FinalizeSandbox",
	};
	TtrpcStatus m = TTRPC_STATUS__INIT;
	cleanup_free uint8_t *bytes = NULL;
	const uint8_t tail[] = { 0x08, 0x02, 0x12, 0x02, 's', '1' };
	uint8_t want[sizeof(finalize)];
	size_t len = 0;
	struct err e;

	/* A message of the same length: 08 02 12 02 73 31. */
	m.code = 2;
	m.message = (char[]){ "s1" };
	bytes = ttrpc_request_frame(1, &q, &m.base, &len, &e);
	assert_int_equal(len, sizeof(want));
	memcpy(want, finalize, sizeof(want));
	memcpy(want + sizeof(want) - sizeof(tail), tail, sizeof(tail));
	assert_memory_equal(bytes, want, sizeof(want));
}

/* Go's protobuf refuses all of a message for one string that is no UTF-8. */
static void test_a_status_is_utf8_whatever_it_tells_of(void **state UNUSED)
{
	char text[TTRPC_STATUS_TEXT_MAX + 8] = "caf\xe9, caf\xc3\xa9: \xf0\x9f";
	struct ttrpc_response a;
	struct arena arena;
	struct err e;

	arena_init(&arena, TTRPC_DECODE_MAX);
	for (int i = 0; i < 2; i++) {
		size_t len = 0;
		cleanup_free uint8_t *bytes = ttrpc_response_frame(
			1, TTRPC_NOT_FOUND, text, NULL, &len, &e);

		assert_non_null(bytes);
		assert_int_equal(ttrpc_response_get(bytes + TTRPC_HEADER_SIZE,
						    len - TTRPC_HEADER_SIZE,
						    &arena, &a, &e),
				 0);
		assert_int_equal(a.code, TTRPC_NOT_FOUND);
		if (i == 0)
			assert_string_equal(a.text, "caf?, caf\xc3\xa9: ??");
		else
			assert_int_equal(strlen(a.text),
					 TTRPC_STATUS_TEXT_MAX - 2);
		/* The second time it is cut, not within a letter. */
		memset(text, 'x', sizeof(text) - 1);
		text[TTRPC_STATUS_TEXT_MAX - 2] = '\xc3';
		text[TTRPC_STATUS_TEXT_MAX - 1] = '\xa9';
	}
	arena_done(&arena);
}

/* An overlong frame is told at once and skipped in whatever pieces it comes. */
static void test_overlong_frame_is_skipped(void **state UNUSED)
{
	const struct ttrpc_header h = { .len = TTRPC_DATA_MAX + 1,
					.stream = 7,
					.type = TTRPC_REQUEST };
	uint8_t head[TTRPC_HEADER_SIZE];
	struct ttrpc_reader r = { 0 };
	uint8_t junk[65536] = { 1 };
	struct ttrpc_frame f;
	struct err e;
	size_t left = h.len;

	ttrpc_header_put(head, &h);
	assert_int_equal(ttrpc_reader_add(&r, head, sizeof(head), &e), 0);
	assert_true(ttrpc_reader_next(&r, &f));
	assert_true(f.too_long);
	assert_int_equal(f.header.stream, 7);
	while (left > 0) {
		const size_t n = left < sizeof(junk) ? left : sizeof(junk);

		assert_int_equal(ttrpc_reader_add(&r, junk, n, &e), 0);
		assert_false(ttrpc_reader_next(&r, &f));
		assert_int_equal(ttrpc_reader_pending(&r), 0);
		left -= n;
	}
	assert_int_equal(ttrpc_reader_add(&r, finalize, sizeof(finalize), &e),
			 0);
	assert_true(ttrpc_reader_next(&r, &f));
	assert_false(f.too_long);
	ttrpc_reader_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_frame),
		cmocka_unit_test(test_known_frame_made),
		cmocka_unit_test(test_a_status_is_utf8_whatever_it_tells_of),
		cmocka_unit_test(test_overlong_frame_is_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
