#include "bridge/guest/capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "bridge/io/fd.h"

/* Bytes that are read at once, and how often in one turn. */
#define READ_BYTES 16384u
#define READS_TURN 4
/* A pipe holds 1 MiB at most: more than that is not left at the end. */
#define READS_END 64

void capture_init(struct capture *c, struct loop *l, size_t max)
{
	*c = (struct capture){ .loop = l, .fd = -1, .max = max };
}

void capture_done(struct capture *c)
{
	capture_close(c);
	free(c->buf);
	c->buf = NULL;
	c->len = c->size = 0;
}

const char *capture_text(const struct capture *c)
{
	return c->buf ? c->buf : "";
}

void capture_close(struct capture *c)
{
	loop_unwatch(c->loop, &c->watch);
	fd_close(&c->fd);
}

/* Room for @n more bytes, up to the limit; what cannot be had is cut. */
static void capture_grow(struct capture *c, size_t n)
{
	size_t size = c->size > 0 ? c->size : 1024;
	char *bigger;

	while (size < c->len + n + 1 && size < c->max + 1)
		size *= 2;
	if (size > c->max + 1)
		size = c->max + 1;
	if (size <= c->size)
		return;
	bigger = realloc(c->buf, size);
	if (!bigger)
		return;
	c->buf = bigger;
	c->size = size;
}

/* Keeps the last bytes: the end of a program's words tells why it ended. */
static void capture_add(struct capture *c, const char *bytes, size_t n)
{
	size_t room;

	capture_grow(c, n);
	room = c->size > 0 ? c->size - 1 : 0;
	if (n > room) {
		bytes += n - room;
		n = room;
		c->cut = true;
	}
	if (n == 0)
		return;
	if (c->len + n > room) {
		const size_t drop = c->len + n - room;

		memmove(c->buf, c->buf + drop, c->len - drop);
		c->len -= drop;
		c->cut = true;
	}
	memcpy(c->buf + c->len, bytes, n);
	c->len += n;
	c->buf[c->len] = '\0';
}

/* At most @reads reads; closes it at the end of file. */
static void capture_read(struct capture *c, int reads)
{
	char bytes[READ_BYTES];

	while (c->fd >= 0 && reads-- > 0) {
		const ssize_t n = read(c->fd, bytes, sizeof(bytes));

		if (n > 0)
			capture_add(c, bytes, (size_t)n);
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			capture_close(c);
		else if (errno == EAGAIN)
			return;
	}
}

static void on_capture(void *ctx, uint32_t events)
{
	(void)events;
	capture_read(ctx, READS_TURN);
}

int capture_open(struct capture *c, int fd, struct err *e)
{
	c->fd = fd;
	if (fd < 0)
		return 0;
	return loop_watch(c->loop, fd, EPOLLIN, on_capture, c, &c->watch, e);
}

void capture_finish(struct capture *c)
{
	capture_read(c, READS_END);
}
