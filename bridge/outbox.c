#include "bridge/outbox.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

/* Front of a record; the frame and its padding follow, then the number. */
struct front {
	uint64_t len;
	uint64_t number;
};

_Static_assert(sizeof(struct front) + sizeof(uint64_t) + 7 <
		       OUTBOX_RECORD_BYTES,
	       "what a record takes beside its frame");
_Static_assert(sizeof(struct outbox_head) <= OUTBOX_HEAD_BYTES,
	       "the head has its place");

static uint64_t record_bytes(uint64_t len)
{
	return sizeof(struct front) + (len + 7) / 8 * 8 + sizeof(uint64_t);
}

static void copy_in(struct outbox *o, uint64_t at, const void *from, size_t len)
{
	const size_t place = at & (o->head->size - 1);
	const size_t end = o->head->size - place;
	const size_t first = len < end ? len : end;

	memcpy(o->ring + place, from, first);
	memcpy(o->ring, (const uint8_t *)from + first, len - first);
}

static void copy_out(const struct outbox *o, uint64_t at, void *to, size_t len)
{
	const size_t place = at & (o->head->size - 1);
	const size_t end = o->head->size - place;
	const size_t first = len < end ? len : end;

	memcpy(to, o->ring + place, first);
	memcpy((uint8_t *)to + first, o->ring, len - first);
}

static struct front front_at(const struct outbox *o, uint64_t at)
{
	struct front f;

	copy_out(o, at, &f, sizeof(f));
	return f;
}

static uint64_t number_before(const struct outbox *o, uint64_t at)
{
	uint64_t number = 0;

	if (at > 0)
		copy_out(o, at - sizeof(number), &number, sizeof(number));
	return number;
}

/* What becomes true for others, and for who comes after a kill, at once. */
static void commit(uint64_t *place, uint64_t value)
{
	__atomic_store_n(place, value, __ATOMIC_RELEASE);
}

static int check_bytes(size_t bytes, struct err *e)
{
	const size_t ring = bytes - OUTBOX_HEAD_BYTES;

	if (bytes <= OUTBOX_HEAD_BYTES || (ring & (ring - 1)) != 0 ||
	    ring < OUTBOX_RECORD_BYTES)
		return err_set(e, EINVAL,
			       "an outbox of %zu bytes is no head and a power "
			       "of two",
			       bytes);
	return 0;
}

static void view(struct outbox *o, void *memory)
{
	*o = (struct outbox){ .head = memory,
			      .ring = (uint8_t *)memory + OUTBOX_HEAD_BYTES };
}

int outbox_init(struct outbox *o, void *memory, size_t bytes, struct err *e)
{
	const int r = check_bytes(bytes, e);

	if (r < 0)
		return r;
	view(o, memory);
	*o->head = (struct outbox_head){ .size = bytes - OUTBOX_HEAD_BYTES };
	commit(&o->head->magic, OUTBOX_MAGIC);
	return 0;
}

void outbox_begin(struct outbox *o, uint64_t number)
{
	o->acked = number;
	o->wired = number;
	o->put = number;
}

/* Walk over the records that are kept: they follow each other, or it is no
 * box of ours. */
static int check_records(const struct outbox *o, struct err *e)
{
	uint64_t at = o->head->tail;
	uint64_t number = 0;

	while (at != o->head->head) {
		const uint64_t left = o->head->head - at;
		const struct front f = left >= sizeof(f) ? front_at(o, at)
							 : (struct front){ 0 };

		if (f.len == 0 || f.len > left || record_bytes(f.len) > left ||
		    number_before(o, at + record_bytes(f.len)) != f.number ||
		    f.number == 0 || (number != 0 && f.number != number + 1))
			return err_set(e, EPROTO,
				       "outbox: the record at %" PRIu64
				       " is damaged",
				       at);
		number = f.number;
		at += record_bytes(f.len);
	}
	return 0;
}

int outbox_open(struct outbox *o, void *memory, size_t bytes, struct err *e)
{
	const struct outbox_head *h = memory;
	int r = check_bytes(bytes, e);

	if (r < 0)
		return r;
	if (h->magic != OUTBOX_MAGIC || h->size != bytes - OUTBOX_HEAD_BYTES ||
	    h->tail > h->head || h->head - h->tail > h->size ||
	    (h->head | h->tail) % 8 != 0)
		return err_set(e, EPROTO, "outbox: its head is damaged");
	view(o, memory);
	r = check_records(o, e);
	if (r < 0)
		return r;
	o->put = number_before(o, h->head);
	o->acked =
		h->tail == h->head ? o->put : front_at(o, h->tail).number - 1;
	o->wired = o->acked;
	o->next = h->tail;
	return 0;
}

size_t outbox_room(const struct outbox *o)
{
	const uint64_t free = o->head->size - (o->head->head - o->head->tail);

	/* The number behind the last record stays readable for ever. */
	return free <= OUTBOX_RECORD_BYTES + sizeof(uint64_t)
		       ? 0
		       : free - OUTBOX_RECORD_BYTES - sizeof(uint64_t);
}

int outbox_put(struct outbox *o, const void *frame, size_t len, struct err *e)
{
	const struct front f = { .len = len, .number = o->put + 1 };
	const uint64_t at = o->head->head;
	const uint64_t bytes = record_bytes(len);

	if (len == 0 || len > UINT32_MAX || len > outbox_room(o))
		return err_set(e, ENOBUFS,
			       "outbox: no room for a frame of %zu bytes", len);
	copy_in(o, at, &f, sizeof(f));
	copy_in(o, at + sizeof(f), frame, len);
	copy_in(o, at + bytes - sizeof(f.number), &f.number, sizeof(f.number));
	commit(&o->head->head, at + bytes);
	o->put++;
	return 0;
}

uint64_t outbox_unsent(const struct outbox *o)
{
	return o->head->head - o->next;
}

int outbox_read(const struct outbox *o, uint64_t *at, struct iovec part[2])
{
	size_t place;
	size_t end;
	size_t len;

	if (*at == o->head->head)
		return 0;
	len = front_at(o, *at).len;
	place = (*at + sizeof(struct front)) & (o->head->size - 1);
	end = o->head->size - place;
	part[0] = (struct iovec){ .iov_base = o->ring + place,
				  .iov_len = len < end ? len : end };
	part[1] = (struct iovec){ .iov_base = o->ring,
				  .iov_len = len - part[0].iov_len };
	*at += record_bytes(len);
	return part[1].iov_len > 0 ? 2 : 1;
}

void outbox_sent(struct outbox *o)
{
	if (o->next == o->head->head)
		return;
	o->next += record_bytes(front_at(o, o->next).len);
	o->wired++;
}

/* Acknowledge up to @number, of which at most @known can be true. */
static int drop(struct outbox *o, uint64_t number, uint64_t known,
		struct err *e)
{
	uint64_t at = o->head->tail;

	if (number < o->acked || number > known)
		return err_set(e, EPROTO,
			       "%" PRIu64 " frames are said to have arrived; "
			       "%" PRIu64 " had before, %" PRIu64 " were sent",
			       number, o->acked, known);
	while (o->acked < number) {
		at += record_bytes(front_at(o, at).len);
		o->acked++;
	}
	commit(&o->head->tail, at);
	return 0;
}

int outbox_ack(struct outbox *o, uint64_t number, struct err *e)
{
	return drop(o, number, o->wired, e);
}

int outbox_idle(const struct outbox *o, size_t page, struct iovec part[2])
{
	const uint64_t last = (o->head->head - 1) & (o->head->size - 1);
	const size_t keep = last & ~(uint64_t)(page - 1);

	if (o->head->head != o->head->tail || o->head->size < page)
		return 0;
	part[0] = (struct iovec){ .iov_base = o->ring, .iov_len = keep };
	part[1] = (struct iovec){ .iov_base = o->ring + keep + page,
				  .iov_len = o->head->size - keep - page };
	return 2;
}

int outbox_resume(struct outbox *o, uint64_t number, struct err *e)
{
	const int r = drop(o, number, o->put, e);

	if (r < 0)
		return r;
	o->next = o->head->tail;
	o->wired = o->acked;
	return 0;
}
