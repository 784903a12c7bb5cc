/*
 * tests/fuzz/fuzz_frame.c - the frame reader over any bytes in any pieces
 *
 * Whatever the cut, the frames must be those that a walk over the whole input
 * finds, and the buffer must stay within its bound.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "bridge/frame.h"
#include "config/util.h"

#define SMALL 2048u

const char *const fuzz_folders[] = { "tests/golden/bridge/frames", NULL };

/* Walks @data as the reader should; moves *@at behind the frame it finds. */
static int walk(const uint8_t *data, size_t size, size_t *at, uint32_t max,
		struct frame *ret)
{
	struct wire_header h;

	if (size - *at < WIRE_HEADER_SIZE)
		return 0;
	h = wire_header_get(data + *at);
	if (wire_size_check(&h, max, NULL) < 0)
		return -1;
	if (size - *at < h.size)
		return 0;
	ret->header = h;
	ret->body = (const char *)data + *at + WIRE_HEADER_SIZE;
	ret->len = h.size - WIRE_HEADER_SIZE;
	*at += h.size;
	return 1;
}

/* Takes all frames there are; false when the stream is refused. */
static int take_all(struct frame_reader *r, const uint8_t *data, size_t size,
		    size_t *at)
{
	struct frame got, want;
	int n;

	while ((n = frame_next(r, &got, NULL)) > 0) {
		FUZZ_CHECK(walk(data, size, at, r->max, &want) == 1);
		FUZZ_CHECK(got.len == want.len);
		FUZZ_CHECK(got.header.id == want.header.id);
		FUZZ_CHECK(got.header.type == want.header.type);
		FUZZ_CHECK(memcmp(got.body, want.body, got.len) == 0);
	}
	if (n < 0)
		FUZZ_CHECK(walk(data, size, at, r->max, &want) < 0);
	return n;
}

/* One turn of an owner: at most @n bytes of @data, and how many it took. */
static size_t feed(struct frame_reader *r, const uint8_t *data, size_t n)
{
	size_t room;
	void *p;

	if (frame_room(r, &p, &room, NULL) < 0)
		return 0;
	FUZZ_CHECK(room > 0);
	FUZZ_CHECK(r->size <= FRAME_BUFFER_SIZE + 2 * frame_pending(r));
	if (room < n)
		n = room;
	memcpy(p, data, n);
	frame_commit(r, n);
	return n;
}

static void try_pieces(const uint8_t *data, size_t size, size_t piece,
		       uint32_t max)
{
	struct frame_reader r;
	size_t at = 0, fed = 0;

	frame_init(&r, max);
	while (fed < size) {
		const size_t left = size - fed;

		fed += feed(&r, data + fed, piece < left ? piece : left);
		if (take_all(&r, data, fed, &at) < 0)
			break;
		FUZZ_CHECK(at + frame_pending(&r) == fed);
	}
	frame_done(&r);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = { SIZE_MAX, 1000, 17, 7, 1 };

	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		if (size > SMALL && pieces[i] < 1000)
			break; /* small pieces of a large input only take time */
		try_pieces(data, size, pieces[i], WIRE_GUEST_FRAME_MAX);
		try_pieces(data, size, pieces[i], WIRE_HOST_FRAME_MAX);
	}
	return 0;
}
