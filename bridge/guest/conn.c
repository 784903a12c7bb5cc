#include "bridge/guest/conn.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "bridge/wire.h"
#include "config/util.h"

/* Answers that leave with one system call. */
#define GATHER 64

static void conn_lose(struct conn *c, int code, const char *what)
{
	if (c->lost)
		return;
	c->lost = true;
	(void)err_set(&c->why, code, "%s", what);
}

/* Which events matter now: frames unless paused, room while there is a queue.
 * Without any, errors and hang-ups are still told. */
static void conn_rewatch(struct conn *c)
{
	const uint32_t in = c->paused || c->stopped ? 0 : EPOLLIN;
	const uint32_t out = list_empty(&c->queue) ? 0 : EPOLLOUT;

	if (c->rfd == c->wfd) {
		loop_rewatch(c->loop, c->rwatch, in | out);
	} else {
		loop_rewatch(c->loop, c->rwatch, in);
		loop_rewatch(c->loop, c->wwatch, out);
	}
}

/* Hands out the frames that have arrived, while there is room for answers. */
static void conn_frames(struct conn *c)
{
	struct frame f;
	struct err e = { 0 };
	int got = 0;

	while (!c->lost && !c->stopped) {
		if (c->queued >= CONN_QUEUE_MAX) {
			c->paused = true;
			return;
		}
		got = frame_next(&c->reader, &f, &e);
		if (got <= 0)
			break;
		c->on_frame(c->ctx, &f);
	}
	if (got < 0)
		conn_lose(c, EPROTO, e.text);
}

static void conn_read(struct conn *c)
{
	struct err e = { 0 };
	void *place;
	size_t room;
	ssize_t n;

	if (frame_room(&c->reader, &place, &room, &e) < 0) {
		conn_lose(c, e.code, e.text);
		return;
	}
	n = read(c->rfd, place, room);
	if (n > 0) {
		frame_commit(&c->reader, (size_t)n);
		conn_frames(c);
	} else if (n == 0) {
		conn_lose(c, ECONNRESET,
			  frame_pending(&c->reader) ? "ended inside a frame"
						    : "closed by the host");
	} else if (errno != EAGAIN && errno != EINTR) {
		conn_lose(c, errno, "cannot be read");
	}
}

static void on_read_ready(void *ctx, uint32_t events)
{
	struct conn *c = ctx;

	if (c->lost)
		return;
	if ((events & EPOLLIN) != 0)
		conn_read(c);
	else if ((events & (EPOLLHUP | EPOLLERR)) != 0)
		conn_lose(c, ECONNRESET, "hung up");
	/* Writing is conn_flush()'s, which every turn ends with. */
}

static void on_write_ready(void *ctx, uint32_t events)
{
	struct conn *c = ctx;

	if ((events & (EPOLLHUP | EPOLLERR)) != 0)
		conn_lose(c, EPIPE, "nobody reads the answers");
}

void conn_init(struct conn *c, struct loop *l, conn_frame_fn *fn, void *ctx)
{
	*c = (struct conn){
		.loop = l, .rfd = -1, .wfd = -1, .on_frame = fn, .ctx = ctx
	};
	list_init(&c->queue);
	frame_init(&c->reader, WIRE_HOST_FRAME_MAX);
}

int conn_open(struct conn *c, int rfd, int wfd, struct err *e)
{
	int r;

	c->rfd = rfd;
	c->wfd = wfd;
	c->number++;
	c->up = true;
	c->lost = false;
	c->negotiated = false;
	c->saw_id_zero = false;
	c->paused = false;
	c->stopped = false;
	c->sent = 0;
	c->queued = 0;
	r = loop_watch(c->loop, rfd, EPOLLIN, on_read_ready, c, &c->rwatch, e);
	if (r == 0 && wfd != rfd)
		r = loop_watch(c->loop, wfd, 0, on_write_ready, c, &c->wwatch,
			       e);
	if (r < 0)
		conn_lose(c, -r, "cannot be watched");
	return r;
}

void conn_close(struct conn *c, struct list *unsent)
{
	if (!c->up)
		return;
	loop_unwatch(c->loop, &c->rwatch);
	loop_unwatch(c->loop, &c->wwatch);
	/* Wakes whoever is blocked on the stream, which close() does not. */
	(void)shutdown(c->wfd, SHUT_RDWR); /* a pipe has no such thing */
	if (c->wfd != c->rfd)
		fd_close(&c->wfd);
	c->wfd = -1;
	fd_close(&c->rfd);
	frame_done(&c->reader);
	list_move_all(unsent, &c->queue);
	c->queued = 0;
	c->sent = 0;
	c->up = false;
	c->negotiated = false;
}

void conn_send(struct conn *c, struct answer *a)
{
	c->queued += a->len;
	list_push(&c->queue, &a->node);
}

/* Takes @n written bytes off the queue. */
static void conn_sent(struct conn *c, size_t n)
{
	c->queued -= n;
	c->sent += n;
	while (!list_empty(&c->queue)) {
		struct answer *a =
			LIST_ITEM(c->queue.next, struct answer, node);

		if (c->sent < a->len)
			return;
		c->sent -= a->len;
		(void)list_pop(&c->queue); /* it is the first */
		answer_free(a);
	}
}

static size_t conn_gather(struct conn *c, struct iovec v[GATHER], size_t *total)
{
	size_t skip = c->sent;
	size_t n = 0;

	*total = 0;
	for (struct list *l = c->queue.next; l != &c->queue && n < GATHER;
	     l = l->next) {
		struct answer *a = LIST_ITEM(l, struct answer, node);

		v[n].iov_base = a->frame + skip;
		v[n].iov_len = a->len - skip;
		*total += v[n++].iov_len;
		skip = 0;
	}
	return n;
}

void conn_flush(struct conn *c)
{
	struct iovec v[GATHER];
	size_t total;

	while (c->up && !c->lost && !list_empty(&c->queue)) {
		const size_t count = conn_gather(c, v, &total);
		const ssize_t n = writev(c->wfd, v, (int)count);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			conn_lose(c, errno, "cannot be written");
			break;
		}
		conn_sent(c, (size_t)n);
		if ((size_t)n < total)
			break;
	}
	if (!c->up || c->lost)
		return;
	if (c->paused && c->queued <= CONN_QUEUE_LOW) {
		c->paused = false;
		conn_frames(c);
	}
	conn_rewatch(c);
}

void conn_stop(struct conn *c)
{
	c->stopped = true;
}
