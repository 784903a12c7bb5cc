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
	c->box = NULL;
	c->box_done = 0;
	frame_done(&c->in);
	/* Wakes a guest that holds its end in two places. */
	(void)shutdown(c->fd, SHUT_RDWR);
	fd_close(&c->fd);
}

static int64_t min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static bool has_output(const struct host_conn *c)
{
	return c->head || (c->box && outbox_unsent(c->box) > 0);
}

/* When the connection counts as dead unless something moves. */
static int64_t stall_deadline(const struct host_conn *c)
{
	int64_t at = INT64_MAX;

	if (frame_pending(&c->in) > 0)
		at = min64(at, c->in_progress_ms + c->stall_ms);
	if (has_output(c))
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

/* Bytes sent, or -1 with errno. */
static ssize_t send_queued(struct host_conn *c)
{
	struct host_conn_frame *f = c->head;
	const ssize_t n =
		send(c->fd, f->bytes + f->done, f->len - f->done, MSG_NOSIGNAL);

	if (n < 0)
		return n;
	f->done += (size_t)n;
	if (f->done == f->len)
		drop_head(c);
	return n;
}

static ssize_t send_boxed(struct host_conn *c)
{
	struct iovec part[2] = { { 0 }, { 0 } };
	uint64_t at = c->box->next;
	struct msghdr m = { .msg_iov = part };
	size_t skip = c->box_done;
	size_t left = 0;
	ssize_t n;

	m.msg_iovlen = (size_t)outbox_read(c->box, &at, part);
	for (size_t i = 0; i < m.msg_iovlen; i++) {
		const size_t off =
			skip < part[i].iov_len ? skip : part[i].iov_len;

		part[i].iov_base = (uint8_t *)part[i].iov_base + off;
		part[i].iov_len -= off;
		skip -= off;
		left += part[i].iov_len;
	}
	n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
	if (n < 0)
		return n;
	c->box_done += (size_t)n;
	if ((size_t)n == left) {
		c->box_done = 0;
		outbox_sent(c->box);
	}
	return n;
}

/* Sends what the socket takes. Return: 0, or -errno of a dead socket. */
static int flush(struct host_conn *c, struct err *e)
{
	for (int i = 0; i < STEPS_PER_EVENT && has_output(c); i++) {
		/* What is not numbered goes first, but not into a frame. */
		const ssize_t n = c->head && c->box_done == 0 ? send_queued(c)
							      : send_boxed(c);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0)
			return err_sys(e, "send to the guest");
		c->out_progress_ms = loop_now_ms(c->loop);
	}
	loop_rewatch(c->loop, c->watch,
		     has_output(c) ? EPOLLIN | EPOLLOUT : EPOLLIN);
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

/* Something is to be sent; @idle: nothing was before. */
static void sending(struct host_conn *c, bool idle)
{
	/* A dead socket is left for the loop to find: it stays writable. */
	if (idle && flush(c, NULL) < 0)
		loop_rewatch(c->loop, c->watch, EPOLLIN | EPOLLOUT);
	if (idle && has_output(c))
		expect_progress(c, &c->out_progress_ms);
}

static struct host_conn_frame *make_frame(uint32_t type, uint64_t id,
					  const char *body, size_t len)
{
	const size_t size = WIRE_HEADER_SIZE + len;
	struct host_conn_frame *f = malloc(sizeof(*f) + size);

	if (!f)
		return NULL;
	*f = (struct host_conn_frame){ .id = id, .len = size };
	wire_header_put(f->bytes, &(struct wire_header){
					  .type = type,
					  .size = (uint32_t)size,
					  .id = id,
				  });
	if (len)
		memcpy(f->bytes + WIRE_HEADER_SIZE, body, len);
	return f;
}

int host_conn_send_unnumbered(struct host_conn *c, uint32_t type, uint64_t id,
			      const char *body, size_t len, struct err *e)
{
	const bool idle = !has_output(c);
	struct host_conn_frame *f;

	if (WIRE_HEADER_SIZE + len > HOST_SEND_MAX - c->queued_bytes)
		return err_set(e, ENOBUFS,
			       "the guest does not read: %zu bytes are queued",
			       c->queued_bytes);
	f = make_frame(type, id, body, len);
	if (!f)
		return err_set(e, ENOMEM, "no memory for a frame");
	*c->tail = f;
	c->tail = &f->next;
	c->queued_bytes += f->len;
	sending(c, idle);
	return 0;
}

int host_conn_put(struct outbox *box, uint32_t type, uint64_t id,
		  const char *body, size_t len, struct err *e)
{
	struct host_conn_frame *f = make_frame(type, id, body, len);
	int r;

	if (!f)
		return err_set(e, ENOMEM, "no memory for a frame");
	r = outbox_put(box, f->bytes, f->len, e);
	free(f);
	return r;
}

int host_conn_send(struct host_conn *c, uint32_t type, uint64_t id,
		   const char *body, size_t len, struct err *e)
{
	const bool idle = !has_output(c);
	int r;

	if (!c->box)
		return host_conn_send_unnumbered(c, type, id, body, len, e);
	r = host_conn_put(c->box, type, id, body, len, e);
	if (r == 0)
		sending(c, idle);
	return r;
}

void host_conn_number(struct host_conn *c, struct outbox *box)
{
	const bool idle = !has_output(c);

	c->box = box;
	c->box_done = 0;
	sending(c, idle);
}

uint64_t host_conn_unsent(const struct host_conn *c)
{
	for (const struct host_conn_frame *f = c->head; f; f = f->next)
		if (f->done == 0)
			return f->id;
	return UINT64_MAX;
}
