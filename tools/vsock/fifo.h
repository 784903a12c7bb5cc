/* tools/vsock/fifo.h - bytes that wait for a host socket; bounded */
#ifndef FERRY_TOOLS_VSOCK_FIFO_H
#define FERRY_TOOLS_VSOCK_FIFO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/**
 * struct fifo - a circular buffer, allocated when the first byte comes
 * @size:	bytes that @data has room for
 * @head:	offset of the oldest byte
 * @len:	bytes in it
 */
struct fifo {
	uint8_t *data;
	size_t size;
	size_t head;
	size_t len;
};

/**
 * fifo_put() - append the bytes of @iov
 * @size:	capacity to allocate when there is no buffer yet
 *
 * Return: 0, -ENOMEM, or -ENOBUFS (they do not fit; nothing was taken)
 */
int fifo_put(struct fifo *f, const struct iovec *iov, size_t n, size_t size);

/**
 * fifo_peek() - the waiting bytes, at most two pieces
 *
 * Return: number of pieces
 */
size_t fifo_peek(const struct fifo *f, struct iovec iov[2]);

/** fifo_drop() - forget the @n oldest bytes; an empty fifo frees its buffer */
void fifo_drop(struct fifo *f, size_t n);

/** fifo_done() - forget everything */
void fifo_done(struct fifo *f);

#endif
