#include "bridge/guest/link.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "config/util.h"

static void link_dial(void *ctx);

int64_t link_delay_ms(unsigned int attempt, int64_t away_ms)
{
	static const uint8_t first_ms[] = { 0, 1, 2, 4, 8 };

	if (attempt < ARRAY_LEN(first_ms))
		return first_ms[attempt];
	return away_ms < LINK_FAST_MS ? LINK_FAST_DELAY_MS : LINK_SLOW_DELAY_MS;
}

void link_init(struct link *l, struct loop *loop, const struct transport *t,
	       uint32_t port, link_up_fn *fn, void *ctx)
{
	*l = (struct link){ .loop = loop,
			    .transport = *t,
			    .port = port,
			    .on_up = fn,
			    .ctx = ctx,
			    .state = LINK_IDLE,
			    .fd = -1 };
}

static void link_wait(struct link *l)
{
	const int64_t now = loop_now_ms(l->loop);
	const int64_t delay = link_delay_ms(l->attempt, now - l->lost_ms);

	l->state = LINK_WAITING;
	if (l->attempt < UINT32_MAX)
		l->attempt++;
	/* Without memory for a timer the next turn of anything tries again. */
	(void)loop_at(l->loop, now + delay, link_dial, l, &l->timer, NULL);
}

/* One line an absence, however many dials it takes. */
static void link_tell(struct link *l, int code)
{
	if (l->told)
		return;
	l->told = true;
	log_info("host does not answer on port=%u: %s, dialling until it does",
		 l->port, strerror(code));
}

static void link_end_dial(struct link *l)
{
	loop_unwatch(l->loop, &l->watch);
	loop_cancel(l->loop, &l->timer);
}

static void link_dialled(struct link *l)
{
	const int r = transport_dial_result(l->fd);

	link_end_dial(l);
	if (r < 0) {
		fd_close(&l->fd);
		link_tell(l, -r);
		link_wait(l);
		return;
	}
	l->state = LINK_UP;
	l->told = false;
	l->on_up(l->ctx, fd_take(&l->fd));
}

static void on_dial_ready(void *ctx, uint32_t events)
{
	(void)events; /* transport_dial_result() tells */
	link_dialled(ctx);
}

static void on_dial_limit(void *ctx)
{
	struct link *l = ctx;

	link_end_dial(l);
	fd_close(&l->fd);
	link_tell(l, ETIMEDOUT);
	link_wait(l);
}

static bool is_connected(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) == 1;
}

static void link_dial(void *ctx)
{
	struct link *l = ctx;
	struct err e = { 0 };

	loop_cancel(l->loop, &l->timer);
	if (transport_dial(&l->transport, l->port, &l->fd, &e) < 0) {
		link_tell(l, e.code);
		link_wait(l);
		return;
	}
	l->state = LINK_DIALLING;
	if (is_connected(l->fd)) {
		link_dialled(l);
		return;
	}
	if (loop_watch(l->loop, l->fd, EPOLLOUT, on_dial_ready, l, &l->watch,
		       &e) < 0 ||
	    loop_at(l->loop, loop_now_ms(l->loop) + LINK_DIAL_LIMIT_MS,
		    on_dial_limit, l, &l->timer, &e) < 0) {
		link_end_dial(l);
		fd_close(&l->fd);
		link_wait(l);
	}
}

void link_start(struct link *l)
{
	l->attempt = 0;
	l->lost_ms = loop_now_ms(l->loop);
	link_wait(l);
}

void link_lost(struct link *l, bool useful)
{
	if (useful || l->attempt == 0) {
		l->attempt = 0;
		l->lost_ms = loop_now_ms(l->loop);
	}
	link_wait(l);
}

void link_stop(struct link *l)
{
	link_end_dial(l);
	fd_close(&l->fd);
	l->state = LINK_IDLE;
}
