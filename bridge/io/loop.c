/*
 * Theory of operation. Watches and timers live in one table of slots. A free
 * slot is on a free list; taking it raises its generation, so that an id of a
 * former user matches nothing. Timers are also in a binary heap ordered by
 * deadline; each slot knows its place there. The table only grows, to the
 * largest number ever in use at once, and never past SLOTS_MAX.
 */
#include "bridge/io/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "bridge/io/fd.h"
#include "config/util.h"

#define SLOTS_MAX (1u << 20)
#define BATCH 64
#define NO_SLOT UINT32_MAX

enum slot_kind { SLOT_FREE, SLOT_WATCH, SLOT_TIMER };

struct slot {
	uint32_t generation;
	enum slot_kind kind;
	void *ctx;
	union {
		struct {
			loop_io_fn *fn;
			int fd;
			uint32_t events;
		} watch;
		struct {
			loop_timer_fn *fn;
			int64_t deadline_ms;
			uint32_t heap_at;
		} timer;
		uint32_t next_free;
	} u;
};

struct loop {
	int epoll_fd;
	bool stop;
	int64_t now_ms;
	struct slot *slot;
	uint32_t n_slots;
	uint32_t first_free;
	uint32_t *heap; /* slot numbers; as many entries as n_slots */
	uint32_t n_timers;
};

static int64_t clock_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail */
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int loop_new(struct loop **ret, struct err *e)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return err_set(e, ENOMEM, "no memory for the event loop");
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0) {
		const int r = err_sys(e, "epoll");

		free(l);
		return r;
	}
	l->first_free = NO_SLOT;
	l->now_ms = clock_ms();
	*ret = l;
	return 0;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	fd_close(&l->epoll_fd);
	free(l->slot);
	free(l->heap);
	free(l);
}

static int grow(struct loop *l)
{
	const uint32_t n = l->n_slots ? l->n_slots * 2 : 16;
	struct slot *slot;
	uint32_t *heap;

	if (n > SLOTS_MAX)
		return -ENOSPC;
	slot = realloc(l->slot, n * sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	l->slot = slot;
	heap = realloc(l->heap, n * sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	l->heap = heap;

	for (uint32_t i = n; i-- > l->n_slots;) {
		slot[i] = (struct slot){ .u.next_free = l->first_free };
		l->first_free = i;
	}
	l->n_slots = n;
	return 0;
}

static int slot_take(struct loop *l, enum slot_kind kind, void *ctx,
		     struct loop_id *id, struct err *e)
{
	struct slot *s;
	int r;

	if (l->first_free == NO_SLOT) {
		r = grow(l);
		if (r < 0)
			return err_set(e, -r, "no room in the event loop");
	}
	id->slot = l->first_free;
	s = &l->slot[id->slot];
	l->first_free = s->u.next_free;
	s->generation++;
	if (s->generation == 0)
		s->generation = 1; /* 0 names nothing */
	s->kind = kind;
	s->ctx = ctx;
	id->generation = s->generation;
	return 0;
}

static void slot_give(struct loop *l, uint32_t at)
{
	struct slot *s = &l->slot[at];

	s->kind = SLOT_FREE;
	s->ctx = NULL;
	s->u.next_free = l->first_free;
	l->first_free = at;
}

static struct slot *slot_find(const struct loop *l, struct loop_id id,
			      enum slot_kind kind)
{
	struct slot *s;

	if (id.generation == 0 || id.slot >= l->n_slots)
		return NULL;
	s = &l->slot[id.slot];
	return s->generation == id.generation && s->kind == kind ? s : NULL;
}

static uint64_t id_pack(struct loop_id id)
{
	return (uint64_t)id.generation << 32 | id.slot;
}

int loop_watch(struct loop *l, int fd, uint32_t events, loop_io_fn *fn,
	       void *ctx, struct loop_id *id, struct err *e)
{
	struct epoll_event ev = { .events = events };
	struct loop_id new = { 0 };
	struct slot *s;
	int r;

	r = slot_take(l, SLOT_WATCH, ctx, &new, e);
	if (r < 0)
		return r;
	s = &l->slot[new.slot];
	s->u.watch.fn = fn;
	s->u.watch.fd = fd;
	s->u.watch.events = events;
	ev.data.u64 = id_pack(new);
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		r = err_sys(e, "epoll_ctl");
		slot_give(l, new.slot);
		return r;
	}
	*id = new;
	return 0;
}

void loop_rewatch(struct loop *l, struct loop_id id, uint32_t events)
{
	struct slot *s = slot_find(l, id, SLOT_WATCH);
	struct epoll_event ev = { .events = events,
				  .data = { .u64 = id_pack(id) } };

	if (!s || s->u.watch.events == events)
		return;
	s->u.watch.events = events;
	/* Fails only for a descriptor that its owner closed: a bug there. */
	(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, s->u.watch.fd, &ev);
}

void loop_unwatch(struct loop *l, struct loop_id *id)
{
	struct slot *s = slot_find(l, *id, SLOT_WATCH);

	if (s) {
		(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, s->u.watch.fd,
				NULL);
		slot_give(l, id->slot);
	}
	*id = (struct loop_id){ 0 };
}

static int64_t heap_key(const struct loop *l, uint32_t at)
{
	return l->slot[l->heap[at]].u.timer.deadline_ms;
}

static void heap_set(struct loop *l, uint32_t at, uint32_t slot)
{
	l->heap[at] = slot;
	l->slot[slot].u.timer.heap_at = at;
}

static void heap_swap(struct loop *l, uint32_t a, uint32_t b)
{
	const uint32_t slot = l->heap[a];

	heap_set(l, a, l->heap[b]);
	heap_set(l, b, slot);
}

/* Restores the order around an entry whose key changed. */
static void heap_fix(struct loop *l, uint32_t at)
{
	while (at > 0 && heap_key(l, at) < heap_key(l, (at - 1) / 2)) {
		heap_swap(l, at, (at - 1) / 2);
		at = (at - 1) / 2;
	}
	for (;;) {
		uint32_t least = at;

		for (uint32_t c = 2 * at + 1;
		     c <= 2 * at + 2 && c < l->n_timers; c++)
			if (heap_key(l, c) < heap_key(l, least))
				least = c;
		if (least == at)
			return;
		heap_swap(l, at, least);
		at = least;
	}
}

static void heap_remove(struct loop *l, uint32_t at)
{
	l->n_timers--;
	if (at == l->n_timers)
		return;
	heap_set(l, at, l->heap[l->n_timers]);
	heap_fix(l, at);
}

int loop_at(struct loop *l, int64_t deadline_ms, loop_timer_fn *fn, void *ctx,
	    struct loop_id *id, struct err *e)
{
	struct slot *s = slot_find(l, *id, SLOT_TIMER);
	struct loop_id new = { 0 };
	int r;

	if (s) {
		s->ctx = ctx;
		s->u.timer.fn = fn;
		s->u.timer.deadline_ms = deadline_ms;
		heap_fix(l, s->u.timer.heap_at);
		return 0;
	}

	r = slot_take(l, SLOT_TIMER, ctx, &new, e);
	if (r < 0)
		return r;
	s = &l->slot[new.slot];
	s->u.timer.fn = fn;
	s->u.timer.deadline_ms = deadline_ms;
	heap_set(l, l->n_timers++, new.slot);
	heap_fix(l, l->n_timers - 1);
	*id = new;
	return 0;
}

void loop_cancel(struct loop *l, struct loop_id *id)
{
	struct slot *s = slot_find(l, *id, SLOT_TIMER);

	if (s) {
		heap_remove(l, s->u.timer.heap_at);
		slot_give(l, id->slot);
	}
	*id = (struct loop_id){ 0 };
}

int64_t loop_now_ms(const struct loop *l)
{
	return l->now_ms;
}

/* Calls the timers that are due; those added meanwhile wait a turn. */
static int run_timers(struct loop *l)
{
	uint32_t budget = l->n_timers;
	int calls = 0;

	while (budget-- > 0 && l->n_timers > 0 && heap_key(l, 0) <= l->now_ms) {
		const uint32_t at = l->heap[0];
		loop_timer_fn *fn = l->slot[at].u.timer.fn;
		void *ctx = l->slot[at].ctx;

		heap_remove(l, 0);
		slot_give(l, at);
		fn(ctx);
		calls++;
	}
	return calls;
}

static int wait_ms(const struct loop *l, int max_wait_ms)
{
	int64_t left;

	if (l->n_timers == 0)
		return max_wait_ms;
	left = heap_key(l, 0) - clock_ms();
	if (left < 0)
		left = 0;
	if (max_wait_ms >= 0 && left > max_wait_ms)
		left = max_wait_ms;
	return left > INT32_MAX ? INT32_MAX : (int)left;
}

int loop_turn(struct loop *l, int max_wait_ms, struct err *e)
{
	struct epoll_event ev[BATCH];
	int calls = 0;
	int n;

	n = epoll_wait(l->epoll_fd, ev, BATCH, wait_ms(l, max_wait_ms));
	if (n < 0 && errno != EINTR)
		return err_sys(e, "epoll_wait");
	l->now_ms = clock_ms();

	for (int i = 0; i < n; i++) {
		const struct loop_id id = {
			.slot = (uint32_t)ev[i].data.u64,
			.generation = (uint32_t)(ev[i].data.u64 >> 32),
		};
		struct slot *s = slot_find(l, id, SLOT_WATCH);

		if (!s)
			continue; /* removed by a callback of this batch */
		s->u.watch.fn(s->ctx, ev[i].events);
		calls++;
	}
	return calls + run_timers(l);
}

int loop_run(struct loop *l, struct err *e)
{
	l->stop = false;
	while (!l->stop) {
		const int r = loop_turn(l, -1, e);

		if (r < 0)
			return r;
	}
	return 0;
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}
