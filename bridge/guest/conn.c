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

size_t conn_waiting(const struct conn *c)
{
	return c->queued + (c->box ? (size_t)outbox_unsent(c->box) : 0);
}

/* Which events matter now: frames unless paused, room while there is a queue.
 * Without any, errors and hang-ups are still told. */
static void conn_rewatch(struct conn *c)
{
	const uint32_t in = c->paused || c->stopped ? 0 : EPOLLIN;
	const uint32_t out = conn_waiting(c) == 0 ? 0 : EPOLLOUT;

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
		if (conn_waiting(c) >= CONN_QUEUE_MAX) {
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
		loop_cancel(c->loop, &c->silence);
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
	c->events = false;
	c->saw_id_zero = false;
	c->paused = false;
	c->stopped = false;
	c->sent = 0;
	c->queued = 0;
	c->box = NULL;
	c->box_sent = 0;
	r = loop_watch(c->loop, rfd, EPOLLIN, on_read_ready, c, &c->rwatch, e);
	if (r == 0 && wfd != rfd)
		r = loop_watch(c->loop, wfd, 0, on_write_ready, c, &c->wwatch,
			       e);
	if (r < 0)
		conn_lose(c, -r, "cannot be watched");
	return r;
}

static void on_silence(void *ctx)
{
	conn_lose(ctx, ETIMEDOUT, "not a word from the host");
}

void conn_expect(struct conn *c, int64_t ms)
{
	/* Without memory for a timer there is no limit. */
	(void)loop_at(c->loop, loop_now_ms(c->loop) + ms, on_silence, c,
		      &c->silence, NULL);
}

void conn_close(struct conn *c, struct list *unsent)
{
	if (!c->up)
		return;
	loop_cancel(c->loop, &c->silence);
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
	c->box = NULL;
	c->up = false;
	c->negotiated = false;
	c->events = false;
}

void conn_send(struct conn *c, struct answer *a)
{
	c->queued += a->len;
	list_push(&c->queue, &a->node);
}

/* Takes @n written bytes off the queue. */
static void queue_sent(struct conn *c, size_t n)
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

static size_t queue_gather(const struct conn *c, struct iovec v[GATHER])
{
	size_t skip = c->sent;
	size_t n = 0;

	for (struct list *l = c->queue.next; l != &c->queue && n < GATHER;
	     l = l->next) {
		struct answer *a = LIST_ITEM(l, struct answer, node);

		v[n].iov_base = a->frame + skip;
		v[n++].iov_len = a->len - skip;
		skip = 0;
	}
	return n;
}

/* Bytes of the frame of the box at *@at, which is moved behind it. */
static size_t box_frame(const struct conn *c, uint64_t *at)
{
	struct iovec part[2];
	const int n = outbox_read(c->box, at, part);

	return n == 0 ? 0 : part[0].iov_len + part[1].iov_len;
}

static void box_sent(struct conn *c, size_t n)
{
	c->box_sent += n;
	while (outbox_unsent(c->box) > 0) {
		uint64_t at = c->box->next;
		const size_t len = box_frame(c, &at);

		if (c->box_sent < len)
			return;
		c->box_sent -= len;
		outbox_sent(c->box);
	}
}

/* Frames of the box; only the rest of one that has begun when others wait. */
static size_t box_gather(const struct conn *c, struct iovec v[GATHER])
{
	uint64_t at = c->box->next;
	size_t skip = c->box_sent;
	size_t n = 0;

	while (n + 2 <= GATHER) {
		struct iovec part[2];
		const int parts = outbox_read(c->box, &at, part);

		if (parts == 0)
			break;
		for (int i = 0; i < parts; i++) {
			const size_t off =
				skip < part[i].iov_len ? skip : part[i].iov_len;

			skip -= off;
			if (off == part[i].iov_len)
				continue;
			v[n].iov_base = (uint8_t *)part[i].iov_base + off;
			v[n++].iov_len = part[i].iov_len - off;
		}
		if (!list_empty(&c->queue))
			break;
	}
	return n;
}

static size_t total_of(const struct iovec *v, size_t n)
{
	size_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += v[i].iov_len;
	return total;
}

/* Writes once. Return: is there more to write, and room for it? */
static bool conn_write(struct conn *c)
{
	const bool box = c->box_sent > 0 || list_empty(&c->queue);
	struct iovec v[GATHER];
	const size_t count = box ? box_gather(c, v) : queue_gather(c, v);
	const ssize_t n = writev(c->wfd, v, (int)count);

	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0) {
		if (errno != EAGAIN)
			conn_lose(c, errno, "cannot be written");
		return false;
	}
	if (box)
		box_sent(c, (size_t)n);
	else
		queue_sent(c, (size_t)n);
	return (size_t)n == total_of(v, count);
}

void conn_flush(struct conn *c)
{
	while (c->up && !c->lost && conn_waiting(c) > 0 && conn_write(c))
		;
	if (!c->up || c->lost)
		return;
	if (c->paused && conn_waiting(c) <= CONN_QUEUE_LOW) {
		c->paused = false;
		conn_frames(c);
	}
	conn_rewatch(c);
}

void conn_stop(struct conn *c)
{
	c->stopped = true;
}
