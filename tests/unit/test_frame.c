/* tests/unit/test_frame.c - the frame reader, fed in every way */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/frame.h"
#include "config/num.h"
#include "config/util.h"

#define LARGE ((size_t)3 * 1024 * 1024)

/* A frame of @size bytes whose payload is a pattern; the caller frees it. */
static uint8_t *make_frame(uint32_t size, uint64_t id)
{
	const struct wire_header h = { WIRE_START, size, id };
	uint8_t *f = malloc(size);

	assert_non_null(f);
	wire_header_put(f, &h);
	for (uint32_t i = WIRE_HEADER_SIZE; i < size; i++)
		f[i] = (uint8_t)(i * 7);
	return f;
}

/* Feeds as much of @data as there is room for. */
static size_t feed(struct frame_reader *r, const uint8_t *data, size_t n)
{
	size_t room = 0;
	void *p = NULL;

	assert_int_equal(frame_room(r, &p, &room, NULL), 0);
	assert_true(room > 0);
	if (room < n)
		n = room;
	memcpy(p, data, n);
	frame_commit(r, n);
	return n;
}

static void test_frame_in_every_cut(void **state)
{
	cleanup_free uint8_t *a = make_frame(16, 1);
	cleanup_free uint8_t *b = make_frame(45, UINT64_MAX);
	uint8_t both[61];

	(void)state;
	memcpy(both, a, 16);
	memcpy(both + 16, b, 45);
	for (size_t cut = 0; cut <= sizeof(both); cut++) {
		struct frame_reader r;
		struct frame f[3];
		size_t n = 0;

		frame_init(&r, WIRE_GUEST_FRAME_MAX);
		assert_int_equal(feed(&r, both, cut), cut);
		while (frame_next(&r, &f[n], NULL) > 0)
			n++;
		assert_int_equal(n, (cut >= 16) + (cut >= 61));
		assert_int_equal(frame_pending(&r), cut < 16   ? cut
						    : cut < 61 ? cut - 16
							       : 0);
		assert_int_equal(feed(&r, both + cut, 61 - cut), 61 - cut);
		while (frame_next(&r, &f[n], NULL) > 0)
			n++;
		assert_int_equal(n, 2);
		assert_int_equal(f[0].header.id, 1);
		assert_int_equal(f[0].len, 0);
		assert_true(f[1].header.id == UINT64_MAX);
		assert_int_equal(f[1].len, 29);
		if (cut < 61) /* else the view is older than frame_room() */
			assert_memory_equal(f[1].body, b + 16, 29);
		assert_int_equal(frame_pending(&r), 0);
		frame_done(&r);
	}
}

static void test_frame_size_borders(void **state)
{
	static const struct {
		uint32_t size, max;
		int want;
	} cases[] = {
		{ 0, WIRE_HOST_FRAME_MAX, -EPROTO },
		{ 15, WIRE_HOST_FRAME_MAX, -EPROTO },
		{ 16, WIRE_HOST_FRAME_MAX, 1 },
		{ WIRE_HOST_FRAME_MAX, WIRE_HOST_FRAME_MAX, 0 },
		{ WIRE_HOST_FRAME_MAX + 1, WIRE_HOST_FRAME_MAX, -EPROTO },
		{ UINT32_MAX, WIRE_HOST_FRAME_MAX, -EPROTO },
		{ WIRE_GUEST_FRAME_MAX, WIRE_GUEST_FRAME_MAX, 0 },
		{ WIRE_GUEST_FRAME_MAX + 1, WIRE_GUEST_FRAME_MAX, -EPROTO },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct wire_header h = { WIRE_CREATE, cases[i].size, 3 };
		struct frame f = { .len = 77 };
		struct err e = { 0 };
		struct frame_reader r;
		uint8_t bytes[WIRE_HEADER_SIZE];
		size_t room;
		void *p;

		wire_header_put(bytes, &h);
		frame_init(&r, cases[i].max);
		(void)feed(&r, bytes, sizeof(bytes));
		assert_int_equal(frame_next(&r, &f, &e), cases[i].want);
		assert_int_equal(f.len, cases[i].want == 1 ? 0 : 77);
		assert_true((e.text[0] != '\0') == (cases[i].want < 0));
		if (cases[i].want < 0)
			assert_int_equal(frame_room(&r, &p, &room, &e),
					 -EPROTO);
		frame_done(&r);
	}
}

/* W-G1, W-G2: what a header announces commits no memory. */
static void test_frame_announced_size_commits_nothing(void **state)
{
	cleanup_free uint8_t *big = make_frame(WIRE_HOST_FRAME_MAX, 1);
	struct frame_reader r;
	struct frame f;
	size_t fed = 0;

	(void)state;
	frame_init(&r, WIRE_HOST_FRAME_MAX);
	while (fed < WIRE_HOST_FRAME_MAX) {
		assert_int_equal(frame_next(&r, &f, NULL), 0);
		fed += feed(&r, big + fed, WIRE_HOST_FRAME_MAX - fed);
		assert_true(r.size <= FRAME_BUFFER_SIZE || r.size <= 2 * fed);
	}
	assert_int_equal(frame_next(&r, &f, NULL), 1);
	assert_memory_equal(f.body, big + WIRE_HEADER_SIZE, f.len);
	frame_done(&r);
}

static void test_frame_buffer_shrinks_after_a_large_one(void **state)
{
	cleanup_free uint8_t *big = make_frame((uint32_t)LARGE, 1);
	cleanup_free uint8_t *small = make_frame(100, 2);
	struct frame_reader r;
	struct frame f;
	size_t fed = 0;

	(void)state;
	frame_init(&r, WIRE_HOST_FRAME_MAX);
	while (frame_next(&r, &f, NULL) == 0)
		fed += feed(&r, big + fed, LARGE - fed);
	assert_int_equal(f.header.size, LARGE);
	assert_true(r.size >= LARGE);
	(void)feed(&r, small, 100);
	assert_int_equal(r.size, FRAME_BUFFER_SIZE);
	assert_int_equal(frame_next(&r, &f, NULL), 1);
	assert_int_equal(f.header.id, 2);
	assert_memory_equal(f.body, small + WIRE_HEADER_SIZE, f.len);
	frame_done(&r);
}

/* Many small frames in one read: views stay, the buffer does not grow. */
static void test_frame_burst_needs_no_growth(void **state)
{
	cleanup_free uint8_t *one = make_frame(60, 9);
	cleanup_free uint8_t *stream = malloc(60000);
	struct frame_reader r;
	struct frame f, first = { 0 };
	size_t fed = 0, n = 0;

	(void)state;
	assert_non_null(stream);
	for (size_t i = 0; i < 1000; i++) {
		memcpy(stream + 60 * i, one, 60);
		le64_put(stream + 60 * i + 8, i);
	}
	frame_init(&r, WIRE_GUEST_FRAME_MAX);
	while (fed < 60000) {
		const size_t before = n;

		fed += feed(&r, stream + fed, 60000 - fed);
		while (frame_next(&r, &f, NULL) > 0) {
			assert_int_equal(f.header.id, n);
			if (n++ == before)
				first = f;
		}
		if (n > before)
			assert_memory_equal(first.body, one + 16, 44);
	}
	assert_int_equal(n, 1000);
	assert_int_equal(r.size, FRAME_BUFFER_SIZE);
	frame_done(&r);
}

static void test_frame_reset_forgets_a_torn_frame(void **state)
{
	cleanup_free uint8_t *a = make_frame(40, 1);
	struct frame_reader r;
	struct frame f;

	(void)state;
	frame_init(&r, WIRE_GUEST_FRAME_MAX);
	(void)feed(&r, a, 39);
	assert_int_equal(frame_next(&r, &f, NULL), 0);
	assert_int_equal(frame_pending(&r), 39);
	frame_reset(&r);
	assert_int_equal(frame_pending(&r), 0);
	(void)feed(&r, a, 40);
	assert_int_equal(frame_next(&r, &f, NULL), 1);
	assert_int_equal(f.len, 24);
	frame_done(&r);
}

static void test_frame_room_ends_when_none_is_taken(void **state)
{
	cleanup_free uint8_t *one = make_frame(4096, 1);
	struct frame_reader r;
	struct frame f;
	size_t room, n = 0;
	void *p;

	(void)state;
	frame_init(&r, WIRE_GUEST_FRAME_MAX);
	while (frame_room(&r, &p, &room, NULL) == 0) {
		assert_true(n++ < 2 * WIRE_GUEST_FRAME_MAX / 4096);
		assert_int_equal(feed(&r, one, 4096), 4096);
	}
	assert_int_equal(frame_room(&r, &p, &room, NULL), -ENOBUFS);
	assert_int_equal(frame_next(&r, &f, NULL), 1);
	frame_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame_in_every_cut),
		cmocka_unit_test(test_frame_size_borders),
		cmocka_unit_test(test_frame_announced_size_commits_nothing),
		cmocka_unit_test(test_frame_buffer_shrinks_after_a_large_one),
		cmocka_unit_test(test_frame_burst_needs_no_growth),
		cmocka_unit_test(test_frame_reset_forgets_a_torn_frame),
		cmocka_unit_test(test_frame_room_ends_when_none_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
