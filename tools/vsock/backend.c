#include "tools/vsock/backend.h"

#include <errno.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "bridge/io/fd.h"
#include "tools/vsock/hostend.h"
#include "tools/vsock/rx.h"
#include "tools/vsock/tx.h"

/*
 * Events are edge-triggered: a stream remembers that it is readable until a
 * read says otherwise, so a stream that has to wait for the guest costs no
 * event and no system call. Kick eventfds are never read; each write to one is
 * an edge of its own.
 *
 * An event carries what it is for, and for a stream its slot and generation.
 */
enum kind {
	KIND_WAKE,
	KIND_CONTROL,
	KIND_LISTENER,
	KIND_KICK, /* + queue number */
	KIND_STREAM = KIND_KICK + BACKEND_QUEUES,
};

static uint64_t event_data(uint32_t kind, uint32_t index, uint32_t generation)
{
	return (uint64_t)generation << 32 | (uint64_t)index << 8 | kind;
}

int64_t backend_now_ms(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int watch(struct backend *b, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = { .events = events, .data.u64 = data };

	if (epoll_ctl(b->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		return -errno;
	return 0;
}

static uint64_t stream_data(const struct vconn *c)
{
	return event_data(KIND_STREAM, c->index, c->generation);
}

int backend_watch(struct backend *b, struct vconn *c)
{
	return watch(b, c->fd, EPOLLIN | EPOLLRDHUP | EPOLLET, stream_data(c));
}

void backend_rewatch(struct backend *b, struct vconn *c, bool want_out)
{
	struct epoll_event ev = {
		.events = EPOLLIN | EPOLLRDHUP | EPOLLET |
			  (want_out ? EPOLLOUT : 0u),
		.data.u64 = stream_data(c),
	};

	if (c->want_out == want_out)
		return;
	c->want_out = want_out;
	/* It is in the epoll already, so there is nothing to allocate. */
	(void)epoll_ctl(b->epoll, EPOLL_CTL_MOD, c->fd, &ev);
}

void backend_due(struct backend *b, struct vconn *c, enum vconn_wait why)
{
	/* One length for each reason: that keeps the queues in order. */
	static const int after_ms[VCONN_WAITS] = {
		[VCONN_WAIT_DIAL] = BACKEND_DIAL_RETRY_MS,
		[VCONN_WAIT_CLOSE] = BACKEND_CLOSE_LIMIT_MS,
		[VCONN_WAIT_DRAIN] = BACKEND_DRAIN_LIMIT_MS,
		[VCONN_WAIT_GREETING] = BACKEND_GREETING_LIMIT_MS,
		[VCONN_WAIT_ASKING] = BACKEND_ASKING_LIMIT_MS,
	};

	vconns_wait(&b->conns, c, why, b->now_ms + after_ms[why]);
	backend_again(b, after_ms[why]);
}

void backend_again(struct backend *b, int64_t after_ms)
{
	const int64_t due_ms = b->now_ms + after_ms;

	if (b->due_ms == 0 || due_ms < b->due_ms)
		b->due_ms = due_ms;
}

static void signal_fd(int fd)
{
	const uint64_t one = 1;

	/* Full or gone: then somebody has been told, or nobody listens. */
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return;
}

void backend_signal(struct backend *b, unsigned int queue)
{
	signal_fd(b->queue[queue].call);
}

void backend_check(struct backend *b, unsigned int queue)
{
	struct backend_queue *q = &b->queue[queue];

	if (!q->ring.broken || q->err_told)
		return;
	q->err_told = true;
	signal_fd(q->err);
}

void backend_wake(struct backend *b)
{
	signal_fd(b->wake);
}

static int init_fds(struct backend *b)
{
	b->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (b->epoll < 0)
		return -errno;
	b->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->wake < 0)
		return -errno;
	return watch(b, b->wake, EPOLLIN | EPOLLET,
		     event_data(KIND_WAKE, 0, 0));
}

int backend_new(backend_dial_fn *dial, void *ctx, size_t streams,
		struct backend **ret)
{
	struct backend *b = calloc(1, sizeof(*b));
	int r;

	if (b == NULL)
		return -ENOMEM;
	b->dial = dial;
	b->dial_ctx = ctx;
	b->epoll = b->wake = b->control = b->listener = -1;
	vconns_init(&b->conns, streams);
	for (unsigned int i = 0; i < BACKEND_QUEUES; i++) {
		struct backend_queue *q = &b->queue[i];

		q->kick = q->call = q->err = -1;
		q->ring.mem = &b->mem;
		q->ring.log = &b->log;
	}
	r = init_fds(b);
	if (r < 0) {
		backend_free(b);
		return r;
	}
	*ret = b;
	return 0;
}

void backend_free(struct backend *b)
{
	if (b == NULL)
		return;
	backend_drop_streams(b);
	vconns_done(&b->conns);
	for (unsigned int i = 0; i < BACKEND_QUEUES; i++) {
		fd_close(&b->queue[i].kick);
		fd_close(&b->queue[i].call);
		fd_close(&b->queue[i].err);
	}
	fd_close(&b->listener);
	fd_close(&b->control);
	fd_close(&b->wake);
	fd_close(&b->epoll);
	free(b);
}

int backend_set_control(struct backend *b, int fd)
{
	fd_close(&b->control);
	b->control = fd;
	return watch(b, fd, EPOLLIN | EPOLLRDHUP,
		     event_data(KIND_CONTROL, 0, 0));
}

int backend_set_listener(struct backend *b, int fd)
{
	fd_close(&b->listener);
	b->listener = fd;
	return watch(b, fd, EPOLLIN | EPOLLET, event_data(KIND_LISTENER, 0, 0));
}

int backend_set_kick(struct backend *b, unsigned int queue, int fd)
{
	int *kick = &b->queue[queue].kick;

	/* QEMU has it open too, so closing it alone leaves it in the epoll. */
	if (*kick >= 0)
		(void)epoll_ctl(b->epoll, EPOLL_CTL_DEL, *kick, NULL);
	fd_close(kick);
	*kick = fd;
	if (fd < 0)
		return 0;
	return watch(b, fd, EPOLLIN | EPOLLET,
		     event_data(KIND_KICK + queue, 0, 0));
}

void backend_set_features(struct backend *b, uint64_t features)
{
	b->features = features;
	for (unsigned int i = 0; i < BACKEND_QUEUES; i++) {
		struct vqueue *r = &b->queue[i].ring;
		const bool event_idx =
			(features & 1ull << VIRTIO_RING_F_EVENT_IDX) != 0;

		r->on_empty =
			(features & 1ull << VIRTIO_F_NOTIFY_ON_EMPTY) != 0;
		if (r->event_idx == event_idx)
			continue;
		r->event_idx = event_idx;
		r->call_valid = false;
		vqueue_remap(r);
	}
}

void backend_remap(struct backend *b)
{
	b->log.bits = (uint8_t *)(uintptr_t)b->log_base;
	b->log.pages = gmem_pages(&b->mem);
	for (unsigned int i = 0; i < BACKEND_QUEUES; i++)
		vqueue_remap(&b->queue[i].ring);
}

void backend_drop_streams(struct backend *b)
{
	struct vconn *c;

	for (size_t i = 0; (c = vconns_at(&b->conns, i)) != NULL; i++)
		if (c->state != VCONN_FREE)
			hostend_forget(b, c);
	b->resets = 0;
	b->due_ms = 0;
}

static bool same_queue(const struct backend_mark *m, const struct vqueue *r)
{
	return m->valid && m->num == r->num && m->next_avail == r->next_avail &&
	       m->addr.desc == r->addr.desc && m->addr.avail == r->addr.avail &&
	       m->addr.used == r->addr.used;
}

void backend_start(struct backend *b)
{
	bool same = true;

	for (unsigned int i = 0; i < BACKEND_QUEUES; i++) {
		same = same && same_queue(&b->mark[i], &b->queue[i].ring);
		vqueue_start(&b->queue[i].ring);
		b->queue[i].err_told = false;
	}
	if (!same)
		backend_drop_streams(b);
	b->running = true;
	b->more = true; /* kicks may have come before */
}

void backend_stop(struct backend *b)
{
	if (!b->running)
		return;
	b->running = false;
	b->more = false;
	for (unsigned int i = 0; i < BACKEND_QUEUES; i++) {
		const struct vqueue *r = &b->queue[i].ring;

		b->mark[i] = (struct backend_mark){
			.valid = true,
			.num = r->num,
			.next_avail = r->next_avail,
			.addr = r->addr,
		};
	}
}

int backend_timeout(const struct backend *b, int64_t now_ms)
{
	int64_t wait_ms;

	if (b->more)
		return 0;
	if (b->due_ms == 0)
		return -1;
	wait_ms = b->due_ms - now_ms;
	if (wait_ms <= 0)
		return 0;
	return wait_ms < 60000 ? (int)wait_ms : 60000;
}

int backend_wait(struct backend *b, struct epoll_event ev[BACKEND_EVENTS_MAX],
		 int max_ms)
{
	const int n = epoll_wait(b->epoll, ev, BACKEND_EVENTS_MAX, max_ms);

	return n < 0 ? 0 : n;
}

static void stream_event(struct backend *b, const struct epoll_event *ev)
{
	const uint32_t index = (uint32_t)(ev->data.u64 >> 8 & 0xffffff);
	const uint32_t generation = (uint32_t)(ev->data.u64 >> 32);
	struct vconn *c = vconns_at(&b->conns, index);

	/* It may have gone, in this very batch too, and its slot reused. */
	if (c != NULL && c->generation == generation && c->fd >= 0)
		hostend_event(b, c, ev->events);
}

static void event(struct backend *b, const struct epoll_event *ev)
{
	switch ((enum kind)(ev->data.u64 & 0xff)) {
	case KIND_WAKE:
		break; /* to be awake is all that it wanted */
	case KIND_CONTROL:
		b->closed = true;
		break;
	case KIND_LISTENER:
		b->accepting = true;
		break;
	case KIND_STREAM:
		stream_event(b, ev);
		break;
	case KIND_KICK:
	default:
		break; /* the rings are looked at in every turn */
	}
}

static void timers(struct backend *b)
{
	struct vconn *c;

	if (b->due_ms == 0 || b->now_ms < b->due_ms)
		return;
	/* Each is taken from its queue, and comes back later than now. */
	while ((c = vconns_due(&b->conns, b->now_ms)) != NULL)
		hostend_due(b, c);
	b->due_ms = vconns_due_ms(&b->conns);
}

void backend_serve(struct backend *b, const struct epoll_event *ev, int n,
		   int64_t now_ms)
{
	b->now_ms = now_ms;
	b->more = false;
	for (int i = 0; i < n; i++)
		event(b, &ev[i]);
	timers(b);
	if (b->accepting)
		hostend_accept(b);
	if (!b->running)
		return;
	tx_pump(b);
	rx_pump(b);
}
