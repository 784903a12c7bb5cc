#include "bridge/host/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "bridge/io/fd.h"

/* Reads and writes of one event; others get their turn then. */
#define STEPS_PER_EVENT 16
/* Reads that a socket gets that takes no more output. */
#define LAST_STEPS 1024

struct host_conn_frame {
	struct host_conn_frame *next;
	uint64_t id;
	size_t len;
	size_t done;
	uint8_t bytes[];
};

void host_conn_init(struct host_conn *c, struct loop *loop,
		    void (*frame)(void *ctx, const struct frame *f),
		    void (*lost)(void *ctx, const struct err *why), void *ctx)
{
	*c = (struct host_conn){
		.loop = loop,
		.fd = -1,
		.stall_ms = HOST_CONN_STALL_MS,
		.frame = frame,
		.lost = lost,
		.ctx = ctx,
	};
	c->tail = &c->head;
	frame_init(&c->in, WIRE_GUEST_FRAME_MAX);
}

static void drop_head(struct host_conn *c)
{
	struct host_conn_frame *f = c->head;

	c->head = f->next;
	if (!c->head)
		c->tail = &c->head;
	c->queued_bytes -= f->len;
	free(f);
}

void host_conn_close(struct host_conn *c)
{
	if (c->fd < 0)
		return;
	loop_unwatch(c->loop, &c->watch);
	loop_cancel(c->loop, &c->stall);
	while (c->head)
		drop_head(c);
	frame_done(&c->in);
	/* Wakes a guest that holds its end in two places. */
	(void)shutdown(c->fd, SHUT_RDWR);
	fd_close(&c->fd);
}

static int64_t min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* When the connection counts as dead unless something moves. */
static int64_t stall_deadline(const struct host_conn *c)
{
	int64_t at = INT64_MAX;

	if (frame_pending(&c->in) > 0)
		at = min64(at, c->in_progress_ms + c->stall_ms);
	if (c->head)
		at = min64(at, c->out_progress_ms + c->stall_ms);
	return at;
}

static void on_stall(void *ctx)
{
	struct host_conn *c = ctx;
	const int64_t at = stall_deadline(c);
	struct err e = { 0 };
	int r = 0;

	loop_cancel(c->loop, &c->stall);
	if (at == INT64_MAX)
		return;
	if (loop_now_ms(c->loop) < at)
		r = loop_at(c->loop, at, on_stall, c, &c->stall, &e);
	else
		r = err_set(&e, ETIMEDOUT,
			    "the guest neither reads nor "
			    "finishes its frame");
	if (r < 0)
		c->lost(c->ctx, &e);
}

/* Watches over progress from now on; the timer looks again when it fires. */
static void expect_progress(struct host_conn *c, int64_t *since)
{
	*since = loop_now_ms(c->loop);
	if (c->stall.generation == 0)
		/* Without memory for a timer the calls' own deadlines stay. */
		(void)loop_at(c->loop, *since + c->stall_ms, on_stall, c,
			      &c->stall, NULL);
}

/* Sends what the socket takes. Return: 0, or -errno of a dead socket. */
static int flush(struct host_conn *c, struct err *e)
{
	for (int i = 0; i < STEPS_PER_EVENT && c->head; i++) {
		struct host_conn_frame *f = c->head;
		const ssize_t n = send(c->fd, f->bytes + f->done,
				       f->len - f->done, MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0)
			return err_sys(e, "send to the guest");
		c->out_progress_ms = loop_now_ms(c->loop);
		f->done += (size_t)n;
		if (f->done == f->len)
			drop_head(c);
	}
	loop_rewatch(c->loop, c->watch, c->head ? EPOLLIN | EPOLLOUT : EPOLLIN);
	return 0;
}

/* Hands on whole frames. Return: 0, -EPROTO, or 1 when a callback closed. */
static int deliver(struct host_conn *c, struct err *e)
{
	struct frame f;
	int got;

	while ((got = frame_next(&c->in, &f, e)) > 0) {
		c->frame(c->ctx, &f);
		if (c->fd < 0)
			return 1;
	}
	return got;
}

static int end_of_stream(struct host_conn *c, struct err *e)
{
	if (frame_pending(&c->in) > 0)
		return err_set(e, ECONNRESET,
			       "the guest closed the bridge inside a frame");
	return err_set(e, ECONNRESET, "the guest closed the bridge");
}

/* One read. Return: 1 go on, 0 nothing there, -errno lost, -ECANCELED. */
static int receive(struct host_conn *c, struct err *e)
{
	size_t room = 0;
	void *p = NULL;
	ssize_t n;
	int r = frame_room(&c->in, &p, &room, e);

	if (r < 0)
		return r;
	n = recv(c->fd, p, room, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return err_sys(e, "receive from the guest");
	if (n == 0)
		return end_of_stream(c, e);

	frame_commit(&c->in, (size_t)n);
	r = deliver(c, e);
	if (r != 0)
		return r > 0 ? -ECANCELED : r;
	if (frame_pending(&c->in) > 0)
		expect_progress(c, &c->in_progress_ms);
	return 1;
}

static void on_ready(void *ctx, uint32_t events)
{
	struct host_conn *c = ctx;
	struct err e = { 0 };
	int dead = 0;
	int r = 1;

	if (events & EPOLLOUT)
		dead = flush(c, &e);
	/* A socket that takes nothing may still hold answers: read them. */
	for (int i = 0; r == 1 && i < (dead < 0 ? LAST_STEPS : STEPS_PER_EVENT);
	     i++)
		r = receive(c, dead < 0 ? NULL : &e);

	if (r == -ECANCELED)
		return;
	if (r < 0 || dead < 0)
		c->lost(c->ctx, &e);
}

int host_conn_open(struct host_conn *c, int fd, struct err *e)
{
	int r;

	c->fd = fd;
	r = loop_watch(c->loop, fd, EPOLLIN, on_ready, c, &c->watch, e);
	if (r < 0)
		host_conn_close(c);
	return r;
}

int host_conn_send(struct host_conn *c, uint32_t type, uint64_t id,
		   const char *body, size_t len, struct err *e)
{
	const size_t size = WIRE_HEADER_SIZE + len;
	const bool idle = c->head == NULL;
	struct host_conn_frame *f;

	if (size > HOST_SEND_MAX - c->queued_bytes)
		return err_set(e, ENOBUFS,
			       "the guest does not read: %zu bytes are queued",
			       c->queued_bytes);
	f = malloc(sizeof(*f) + size);
	if (!f)
		return err_set(e, ENOMEM, "no memory for a frame");

	*f = (struct host_conn_frame){ .id = id, .len = size };
	wire_header_put(f->bytes, &(struct wire_header){
					  .type = type,
					  .size = (uint32_t)size,
					  .id = id,
				  });
	if (len)
		memcpy(f->bytes + WIRE_HEADER_SIZE, body, len);
	*c->tail = f;
	c->tail = &f->next;
	c->queued_bytes += size;
	/* A dead socket is left for the loop to find: it stays writable. */
	if (idle && flush(c, NULL) < 0)
		loop_rewatch(c->loop, c->watch, EPOLLIN | EPOLLOUT);
	if (idle && c->head)
		expect_progress(c, &c->out_progress_ms);
	return 0;
}

uint64_t host_conn_unsent(const struct host_conn *c)
{
	for (const struct host_conn_frame *f = c->head; f; f = f->next)
		if (f->done == 0)
			return f->id;
	return UINT64_MAX;
}
