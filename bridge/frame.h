/*
 * bridge/frame.h - whole frames out of a byte stream; pure, no descriptor.
 *
 * The owner of a connection asks where to put bytes, reads from its
 * descriptor right there, says how many came, and takes frames until there is
 * none:
 *
 *	for (;;) {
 *		if (frame_room(&r, &p, &room, e) < 0 ...
 *		n = read(fd, p, room);
 *		frame_commit(&r, (size_t)n);
 *		while ((got = frame_next(&r, &f, e)) > 0)
 *			handle(&f);
 *		if (got < 0) ... the connection is of no use any more
 *	}
 *
 * A size field is checked before a byte is allocated for it, and the buffer
 * follows what has really arrived: it is never larger than twice that (or
 * FRAME_BUFFER_SIZE), so a header that announces 16 MiB costs nothing. After a
 * large frame the buffer shrinks again.
 * Source: shared specification bridge.md 1.2 and 1.5.
 */
#ifndef FERRY_BRIDGE_FRAME_H
#define FERRY_BRIDGE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "config/err.h"

#include "bridge/wire.h"

/* Bytes of the buffer while only small frames come. */
#define FRAME_BUFFER_SIZE 16384u

/**
 * struct frame_reader - the bytes of one stream that are not frames yet
 * @buf:	@size bytes, owned; NULL until the first frame_room()
 * @size:	bytes of @buf
 * @start:	first byte that no frame has taken
 * @end:	one behind the last byte that arrived
 * @max:	largest frame accepted, header included
 */
struct frame_reader {
	uint8_t *buf;
	size_t size;
	size_t start;
	size_t end;
	uint32_t max;
};

/**
 * struct frame - a whole frame, borrowed from its reader
 * @header:	decoded header; its size was checked
 * @body:	@len bytes of payload, not NUL-terminated
 * @len:	bytes of payload
 */
struct frame {
	struct wire_header header;
	const char *body;
	size_t len;
};

/**
 * frame_init() - an empty reader; allocates nothing
 * @r:		reader
 * @max:	WIRE_GUEST_FRAME_MAX (on the host) or WIRE_HOST_FRAME_MAX (in
 *		the guest); at least WIRE_HEADER_SIZE
 */
void frame_init(struct frame_reader *r, uint32_t max);

/** frame_done() - release the buffer; the reader is empty and usable again */
void frame_done(struct frame_reader *r);

/** frame_reset() - forget all bytes, as for a new connection */
void frame_reset(struct frame_reader *r);

/**
 * frame_room() - where the next bytes of the stream go
 * @r:		reader; every frame taken before is invalid after this call
 * @ret_ptr:	receives the place
 * @ret_room:	receives how many bytes fit there, at least 1
 * @e:		error
 *
 * Call it after frame_next() has said 0.
 *
 * Return: 0, -ENOMEM, -EPROTO as frame_next(), -ENOBUFS (the buffer is full
 *         of whole frames: take them)
 */
int frame_room(struct frame_reader *r, void **ret_ptr, size_t *ret_room,
	       struct err *e);

/** frame_commit() - @n bytes (at most the room) were written at the place */
void frame_commit(struct frame_reader *r, size_t n);

/**
 * frame_next() - take the next whole frame
 * @r:		reader
 * @ret:	the frame; valid until the next frame_room(), frame_reset() or
 *		frame_done(), so several may be held
 * @e:		names the size and the limit
 *
 * Return: 1, 0 (no whole frame has arrived), or -EPROTO as soon as the size
 *         field of an incomplete frame is out of range
 */
int frame_next(struct frame_reader *r, struct frame *ret, struct err *e);

/**
 * frame_pending() - bytes that arrived and belong to no whole frame yet
 *
 * At the end of the stream, other than 0 means that it ended inside a frame.
 */
size_t frame_pending(const struct frame_reader *r);

#endif
