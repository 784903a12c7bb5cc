#include "tools/vsock/fifo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void put_bytes(struct fifo *f, const uint8_t *from, size_t len)
{
	const size_t tail = (f->head + f->len) % f->size;
	const size_t room = f->size - tail;
	const size_t first = len < room ? len : room;

	memcpy(f->data + tail, from, first);
	memcpy(f->data, from + first, len - first);
	f->len += len;
}

int fifo_put(struct fifo *f, const struct iovec *iov, size_t n, size_t size)
{
	size_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += iov[i].iov_len;
	if (total == 0)
		return 0;
	if (f->data == NULL) {
		f->data = malloc(size);
		if (f->data == NULL)
			return -ENOMEM;
		f->size = size;
	}
	if (total > f->size - f->len)
		return -ENOBUFS;

	for (size_t i = 0; i < n; i++)
		if (iov[i].iov_len > 0)
			put_bytes(f, iov[i].iov_base, iov[i].iov_len);
	return 0;
}

size_t fifo_peek(const struct fifo *f, struct iovec iov[2])
{
	const size_t room = f->size - f->head;
	const size_t first = f->len < room ? f->len : room;

	if (f->len == 0)
		return 0;
	iov[0].iov_base = f->data + f->head;
	iov[0].iov_len = first;
	iov[1].iov_base = f->data;
	iov[1].iov_len = f->len - first;
	return f->len > first ? 2 : 1;
}

void fifo_drop(struct fifo *f, size_t n)
{
	if (n >= f->len) {
		fifo_done(f);
		return;
	}
	f->head = (f->head + n) % f->size;
	f->len -= n;
}

void fifo_done(struct fifo *f)
{
	free(f->data);
	*f = (struct fifo){ 0 };
}
