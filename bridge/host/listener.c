#include "bridge/host/listener.h"

#include <errno.h>
#include <sys/epoll.h>

#include "bridge/host/door.h"
#include "bridge/io/fd.h"

/* The kernel rounds up; what is behind the first connection is refused. */
#define BACKLOG 1

void host_listener_init(struct host_listener *l, struct loop *loop,
			const struct transport *t, host_listener_fn *done,
			void *ctx)
{
	*l = (struct host_listener){
		.loop = loop,
		.transport = *t,
		.fd = -1,
		.done = done,
		.ctx = ctx,
	};
}

void host_listener_stop(struct host_listener *l)
{
	if (l->fd < 0)
		return;
	loop_unwatch(l->loop, &l->watch);
	loop_cancel(l->loop, &l->timer);
	transport_unlink(&l->transport, l->port);
	fd_close(&l->fd);
}

static void on_ready(void *ctx, uint32_t events);

static int open_port(struct host_listener *l, struct err *e)
{
	int r = host_door_listen(&l->transport, l->port, BACKLOG, &l->fd, e);

	if (r < 0)
		return r;
	r = loop_watch(l->loop, l->fd, EPOLLIN, on_ready, l, &l->watch, e);
	if (r < 0)
		host_listener_stop(l);
	return r;
}

/* The acceptor has died, and with it nothing but our place there. */
static int open_again(struct host_listener *l, struct err *e)
{
	loop_unwatch(l->loop, &l->watch);
	fd_close(&l->fd);
	return open_port(l, e);
}

static void on_ready(void *ctx, uint32_t events)
{
	struct host_listener *l = ctx;
	struct err e = { 0 };
	int fd = -1;
	int r = host_door_accept(&l->transport, l->fd, &fd, &e);

	(void)events;
	if (r == -EAGAIN)
		return;
	if (r == -ECONNRESET) {
		r = open_again(l, &e);
		if (r == 0)
			return;
		loop_cancel(l->loop, &l->timer);
	}
	host_listener_stop(l);
	l->done(l->ctx, fd, r < 0 ? &e : NULL);
}

static void on_timeout(void *ctx)
{
	struct host_listener *l = ctx;
	struct err e = { 0 };

	(void)err_set(&e, ETIMEDOUT, "the guest did not dial port %u", l->port);
	host_listener_stop(l);
	l->done(l->ctx, -1, &e);
}

int host_listener_limit(struct host_listener *l, int timeout_ms, struct err *e)
{
	if (timeout_ms < 0) {
		loop_cancel(l->loop, &l->timer);
		return 0;
	}
	return loop_at(l->loop, loop_now_ms(l->loop) + timeout_ms, on_timeout,
		       l, &l->timer, e);
}

int host_listener_start(struct host_listener *l, uint32_t port, int timeout_ms,
			struct err *e)
{
	int r;

	l->port = port;
	r = open_port(l, e);
	if (r < 0)
		return r;
	r = host_listener_limit(l, timeout_ms, e);
	if (r < 0)
		host_listener_stop(l);
	return r;
}
