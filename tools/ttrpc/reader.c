#include "tools/ttrpc/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What an idle connection may keep. */
#define IDLE_MAX 4096u

size_t ttrpc_reader_pending(const struct ttrpc_reader *r)
{
	return r->end - r->start;
}

void ttrpc_reader_done(struct ttrpc_reader *r)
{
	free(r->buf);
	*r = (struct ttrpc_reader){ 0 };
}

/* Room for @n bytes behind @end; what was taken before @start goes. */
static int make_room(struct ttrpc_reader *r, size_t n, struct err *e)
{
	const size_t held = ttrpc_reader_pending(r);
	size_t size = r->size ? r->size : IDLE_MAX;
	uint8_t *buf;

	if (r->start > 0) {
		memmove(r->buf, r->buf + r->start, held);
		r->start = 0;
		r->end = held;
	}
	if (held == 0 && r->size > IDLE_MAX) {
		free(r->buf);
		r->buf = NULL;
		r->size = 0;
		size = IDLE_MAX;
	}
	while (size - held < n)
		size *= 2;
	if (size <= r->size)
		return 0;
	buf = realloc(r->buf, size);
	if (!buf)
		return err_set(e, ENOMEM, "no memory for a ttrpc frame");
	r->buf = buf;
	r->size = size;
	return 0;
}

int ttrpc_reader_add(struct ttrpc_reader *r, const void *bytes, size_t n,
		     struct err *e)
{
	const size_t skipped = n < r->skip ? n : r->skip;
	int k;

	r->skip -= skipped;
	n -= skipped;
	if (n == 0)
		return 0;
	k = make_room(r, n, e);
	if (k < 0)
		return k;
	memcpy(r->buf + r->end, (const uint8_t *)bytes + skipped, n);
	r->end += n;
	return 0;
}

static void drop(struct ttrpc_reader *r, size_t n)
{
	r->start += n;
	if (r->start == r->end)
		r->start = r->end = 0;
}

bool ttrpc_reader_next(struct ttrpc_reader *r, struct ttrpc_frame *ret)
{
	const size_t held = ttrpc_reader_pending(r);
	struct ttrpc_header h;
	size_t here;

	if (held < TTRPC_HEADER_SIZE)
		return false;
	h = ttrpc_header_get(r->buf + r->start);
	if (h.len > TTRPC_DATA_MAX) {
		here = held - TTRPC_HEADER_SIZE;
		if (here > h.len)
			here = h.len;
		r->skip = h.len - here;
		drop(r, TTRPC_HEADER_SIZE + here);
		*ret = (struct ttrpc_frame){ .header = h, .too_long = true };
		return true;
	}
	if (held - TTRPC_HEADER_SIZE < h.len)
		return false;
	*ret = (struct ttrpc_frame){
		.header = h,
		.data = r->buf + r->start + TTRPC_HEADER_SIZE,
	};
	drop(r, TTRPC_HEADER_SIZE + h.len);
	return true;
}
