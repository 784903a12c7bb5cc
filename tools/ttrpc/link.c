#include "tools/ttrpc/link.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "bridge/io/fd.h"

#define READ_SIZE 65536u
/* Reads of one event; others get their turn then. */
#define READS_PER_EVENT 8

struct ttrpc_out {
	struct ttrpc_out *next;
	uint8_t *bytes;
	size_t len;
	size_t done;
};

static void drop_head(struct ttrpc_link *l)
{
	struct ttrpc_out *o = l->head;

	l->head = o->next;
	if (!l->head)
		l->tail = &l->head;
	l->queued -= o->len - o->done;
	free(o->bytes);
	free(o);
}

void ttrpc_link_close(struct ttrpc_link *l)
{
	if (l->fd < 0)
		return;
	loop_unwatch(l->loop, &l->watch);
	while (l->head)
		drop_head(l);
	ttrpc_reader_done(&l->in);
	fd_close(&l->fd);
}

static void lose(struct ttrpc_link *l, const struct err *why)
{
	ttrpc_link_close(l);
	l->closed(l->ctx, why);
}

static void rewatch(struct ttrpc_link *l)
{
	uint32_t events = l->head ? (uint32_t)EPOLLOUT : 0;

	if (l->queued <= TTRPC_QUEUE_MAX)
		events |= (uint32_t)EPOLLIN;
	loop_rewatch(l->loop, l->watch, events);
}

/* Return: 0, or -errno of a dead socket. */
static int flush(struct ttrpc_link *l)
{
	while (l->head) {
		struct ttrpc_out *o = l->head;
		const ssize_t n = send(l->fd, o->bytes + o->done,
				       o->len - o->done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		o->done += (size_t)n;
		l->queued -= (size_t)n;
		if (o->done == o->len)
			drop_head(l);
	}
	return 0;
}

/* Return: bytes, 0: nothing there now, -errno: the end. */
static ssize_t read_some(struct ttrpc_link *l, struct err *e)
{
	static uint8_t buf[READ_SIZE]; /* one thread, and used up at once */
	ssize_t n;
	int r;

	do {
		n = recv(l->fd, buf, sizeof(buf), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n < 0)
		return err_sys(e, "ttrpc");
	if (n == 0)
		return err_set(e, ECONNRESET, "the peer has gone");
	r = ttrpc_reader_add(&l->in, buf, (size_t)n, e);
	return r < 0 ? r : n;
}

static void on_event(void *ctx, uint32_t events)
{
	struct ttrpc_link *l = ctx;
	struct ttrpc_frame f;
	struct err e = { 0 };
	ssize_t n = 1;

	if (flush(l) < 0) {
		(void)err_set(&e, ECONNRESET, "the peer has gone");
		lose(l, &e);
		return;
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		n = 0;
	for (int i = 0; i < READS_PER_EVENT && n > 0; i++) {
		n = read_some(l, &e);
		while (n > 0 && ttrpc_reader_next(&l->in, &f)) {
			l->frame(l->ctx, &f);
			if (l->fd < 0)
				return;
		}
		if (l->queued > TTRPC_QUEUE_MAX)
			break;
	}
	if (n < 0)
		lose(l, &e);
	else
		rewatch(l);
}

int ttrpc_link_start(struct ttrpc_link *l, struct loop *loop, int fd,
		     void (*frame)(void *ctx, const struct ttrpc_frame *f),
		     void (*closed)(void *ctx, const struct err *why),
		     void *ctx, struct err *e)
{
	*l = (struct ttrpc_link){
		.loop = loop,
		.fd = -1,
		.frame = frame,
		.closed = closed,
		.ctx = ctx,
	};
	l->tail = &l->head;
	if (loop_watch(loop, fd, EPOLLIN, on_event, l, &l->watch, e) < 0)
		return -e->code;
	l->fd = fd;
	return 0;
}

int ttrpc_link_send(struct ttrpc_link *l, uint8_t *bytes, size_t len)
{
	struct ttrpc_out *o = NULL;
	int r = 0;

	if (!bytes)
		return -ENOMEM;
	if (l->fd < 0)
		r = -ENOTCONN;
	else
		o = calloc(1, sizeof(*o));
	if (!o) {
		free(bytes);
		return r < 0 ? r : -ENOMEM;
	}
	*o = (struct ttrpc_out){ .bytes = bytes, .len = len };
	*l->tail = o;
	l->tail = &o->next;
	l->queued += len;
	if (l->head == o) /* else it waits for the socket already */
		r = flush(l);
	rewatch(l);
	/* A dead socket is told by the loop, with a clean stack. */
	return r;
}
