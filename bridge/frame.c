#include "bridge/frame.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void frame_init(struct frame_reader *r, uint32_t max)
{
	assert(max >= WIRE_HEADER_SIZE);
	*r = (struct frame_reader){ .max = max };
}

void frame_done(struct frame_reader *r)
{
	free(r->buf);
	frame_init(r, r->max);
}

void frame_reset(struct frame_reader *r)
{
	r->start = 0;
	r->end = 0;
}

size_t frame_pending(const struct frame_reader *r)
{
	return r->end - r->start;
}

/* The header of the pending frame: 1, 0 (not all there, size 0), -EPROTO. */
static int pending_size(const struct frame_reader *r, struct wire_header *ret,
			struct err *e)
{
	int n;

	ret->size = 0;
	if (frame_pending(r) < WIRE_HEADER_SIZE)
		return 0;
	*ret = wire_header_get(r->buf + r->start);
	n = wire_size_check(ret, r->max, e);
	return n < 0 ? n : 1;
}

static int resize(struct frame_reader *r, size_t size, struct err *e)
{
	uint8_t *buf = realloc(r->buf, size);

	if (!buf)
		return err_set(e, ENOMEM, "no memory for %zu bytes of a frame",
			       size);
	r->buf = buf;
	r->size = size;
	return 0;
}

/* Moves what is pending to the front when little room is left behind it. */
static void compact(struct frame_reader *r)
{
	const size_t pending = frame_pending(r);

	if (r->start == 0 || r->size - r->end >= r->size / 2)
		return;
	if (pending)
		memmove(r->buf, r->buf + r->start, pending);
	r->start = 0;
	r->end = pending;
}

/*
 * A full buffer doubles, but not past the frame that it is for. One that was
 * large for a frame which is gone shrinks; when that fails, nothing is lost.
 */
static int fit(struct frame_reader *r, size_t frame, struct err *e)
{
	if (r->size == 0)
		return resize(r, FRAME_BUFFER_SIZE, e);
	if (r->end == r->size) {
		if (frame <= r->size)
			return err_set(e, ENOBUFS, "a whole frame waits");
		return resize(r, frame / 2 < r->size ? frame : 2 * r->size, e);
	}
	if (r->size > FRAME_BUFFER_SIZE && r->end < FRAME_BUFFER_SIZE &&
	    frame <= FRAME_BUFFER_SIZE)
		(void)resize(r, FRAME_BUFFER_SIZE, NULL);
	return 0;
}

int frame_room(struct frame_reader *r, void **ret_ptr, size_t *ret_room,
	       struct err *e)
{
	struct wire_header h;
	int n = pending_size(r, &h, e);

	if (n < 0)
		return n;
	if (r->start == r->end)
		frame_reset(r);
	compact(r);
	n = fit(r, h.size, e);
	if (n < 0)
		return n;
	*ret_ptr = r->buf + r->end;
	*ret_room = r->size - r->end;
	return 0;
}

void frame_commit(struct frame_reader *r, size_t n)
{
	assert(n <= r->size - r->end);
	r->end += n;
}

int frame_next(struct frame_reader *r, struct frame *ret, struct err *e)
{
	struct wire_header h;
	const int n = pending_size(r, &h, e);

	if (n <= 0 || frame_pending(r) < h.size)
		return n < 0 ? n : 0;
	*ret = (struct frame){
		.header = h,
		.body = (const char *)r->buf + r->start + WIRE_HEADER_SIZE,
		.len = h.size - WIRE_HEADER_SIZE,
	};
	r->start += h.size;
	return 1;
}
