/* tests/unit/test_loop.c - watches, timers, and ids that outlive them */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

#include "bridge/io/fd.h"
#include "bridge/io/loop.h"
#include "config/util.h"

struct fixture {
	struct loop *l;
	int pipe[2][2];
};

static int setup(void **state)
{
	static struct fixture f;

	assert_int_equal(loop_new(&f.l, NULL), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pipe2(f.pipe[i], O_CLOEXEC), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	loop_free(f->l);
	for (int i = 0; i < 2; i++) {
		fd_close(&f->pipe[i][0]);
		fd_close(&f->pipe[i][1]);
	}
	return 0;
}

struct pair {
	struct loop *l;
	struct loop_id id[2];
	int calls;
};

/* Whoever is called first removes both watches. */
static void remove_both(void *ctx, uint32_t events)
{
	struct pair *p = ctx;

	assert_true(events & EPOLLIN);
	p->calls++;
	loop_unwatch(p->l, &p->id[0]);
	loop_unwatch(p->l, &p->id[1]);
}

static void test_event_of_a_removed_watch_is_dropped(void **state)
{
	struct fixture *f = *state;
	struct pair p = { .l = f->l };

	for (int i = 0; i < 2; i++) {
		assert_int_equal(loop_watch(f->l, f->pipe[i][0], EPOLLIN,
					    remove_both, &p, &p.id[i], NULL),
				 0);
		assert_int_equal(write(f->pipe[i][1], "x", 1), 1);
	}
	assert_int_equal(loop_turn(f->l, 1000, NULL), 1);
	assert_int_equal(p.calls, 1);
	assert_int_equal(loop_turn(f->l, 0, NULL), 0);
}

static void count(void *ctx, uint32_t events UNUSED)
{
	++*(int *)ctx;
}

/* The slot of a removed watch is taken again within the batch. */
static void test_slot_reuse_does_not_inherit_events(void **state)
{
	struct fixture *f = *state;
	struct loop_id a = { 0 }, b = { 0 };
	int calls_a = 0, calls_b = 0;

	assert_int_equal(loop_watch(f->l, f->pipe[0][0], EPOLLIN, count,
				    &calls_a, &a, NULL),
			 0);
	struct loop_id old = a;

	loop_unwatch(f->l, &a);
	assert_int_equal(a.generation, 0);
	assert_int_equal(loop_watch(f->l, f->pipe[1][0], EPOLLIN, count,
				    &calls_b, &b, NULL),
			 0);
	assert_int_equal(old.slot, b.slot);
	assert_int_not_equal(old.generation, b.generation);
	loop_unwatch(f->l, &old); /* a stale id removes nothing */
	assert_int_equal(write(f->pipe[1][1], "x", 1), 1);
	assert_int_equal(loop_turn(f->l, 1000, NULL), 1);
	assert_int_equal(calls_a, 0);
	assert_int_equal(calls_b, 1);
}

struct order {
	char seen[16];
	size_t n;
};

struct mark {
	struct order *order;
	char name;
};

static void note(void *ctx)
{
	struct mark *m = ctx;

	m->order->seen[m->order->n++] = m->name;
}

static void test_timers_fire_in_order_of_deadline(void **state)
{
	struct fixture *f = *state;
	struct order order = { .n = 0 };
	struct mark mark[6];
	struct loop_id id[6] = { 0 };
	static const int64_t delay[6] = { 5, 1, 4, 2, 6, 3 };
	const int64_t now = loop_now_ms(f->l);

	for (int i = 0; i < 6; i++) {
		mark[i] = (struct mark){ &order, (char)('0' + delay[i]) };
		assert_int_equal(loop_at(f->l, now + delay[i], note, &mark[i],
					 &id[i], NULL),
				 0);
	}
	loop_cancel(f->l, &id[2]); /* 4 */
	/* 5 moves behind all others. */
	assert_int_equal(loop_at(f->l, now + 9, note, &mark[0], &id[0], NULL),
			 0);
	while (order.n < 5)
		assert_true(loop_turn(f->l, 1000, NULL) >= 0);
	assert_memory_equal(order.seen, "12365", 5);
	assert_int_equal(loop_turn(f->l, 20, NULL), 0);
}

struct again {
	struct loop *l;
	struct loop_id id;
	int calls;
};

static void rearm_at_once(void *ctx)
{
	struct again *a = ctx;

	a->calls++;
	assert_int_equal(loop_at(a->l, 0, rearm_at_once, a, &a->id, NULL), 0);
}

static void test_timer_that_rearms_itself_lets_the_turn_end(void **state)
{
	struct fixture *f = *state;
	struct again a = { .l = f->l };

	assert_int_equal(loop_at(f->l, 0, rearm_at_once, &a, &a.id, NULL), 0);
	assert_int_equal(loop_turn(f->l, 0, NULL), 1);
	assert_int_equal(loop_turn(f->l, 0, NULL), 1);
	assert_int_equal(a.calls, 2);
}

static void nothing(void *ctx UNUSED)
{
}

static void test_many_timers_keep_the_heap_in_order(void **state)
{
	struct fixture *f = *state;
	static struct loop_id id[2000];
	uint32_t x = 12345;
	int fired = 0;

	memset(id, 0, sizeof(id));
	for (size_t i = 0; i < ARRAY_LEN(id); i++) {
		x = x * 1103515245u + 12345u;
		assert_int_equal(loop_at(f->l, (int64_t)(x >> 20), nothing,
					 NULL, &id[i], NULL),
				 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(id); i += 3)
		loop_cancel(f->l, &id[i]);
	/* All deadlines are long past: one turn fires every one left. */
	fired = loop_turn(f->l, 0, NULL);
	assert_int_equal(fired, (int)(ARRAY_LEN(id) - (ARRAY_LEN(id) + 2) / 3));
}

static void test_regular_file_is_refused_with_eperm(void **state)
{
	struct fixture *f = *state;
	cleanup_fd fd = open("Makefile", O_RDONLY | O_CLOEXEC);
	struct loop_id id = { 0 };
	struct err e = { 0 };

	assert_true(fd >= 0);
	assert_int_equal(loop_watch(f->l, fd, EPOLLIN, count, NULL, &id, &e),
			 -EPERM);
	assert_int_equal(id.generation, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_event_of_a_removed_watch_is_dropped, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_slot_reuse_does_not_inherit_events, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_timers_fire_in_order_of_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_timer_that_rearms_itself_lets_the_turn_end, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_many_timers_keep_the_heap_in_order, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_regular_file_is_refused_with_eperm, setup,
			teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
