/* tests/unit/test_shim_events.c - events for containerd, whatever it does */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "build/proto/task_event.pb-c.h"
#include "config/arena.h"
#include "config/util.h"
#include "tools/qemu/listener.h"
#include "tools/shim/events.h"
#include "tools/ttrpc/codec.h"
#include "tools/ttrpc/server.h"

#define LIMIT 20000

/* A containerd that takes events and writes them down. */
struct fixture {
	struct loop *loop;
	struct ttrpc_server *server;
	struct events *events;
	char dir[32];
	char path[64];
	char heard[512];
	unsigned int n;
	bool deaf;
};

static void on_forward(void *ctx, struct ttrpc_call *call,
		       const ProtobufCMessage *m)
{
	const TaskEventForward *q = (const void *)m;
	const TaskEventStart *start;
	struct fixture *f = ctx;
	struct arena arena;

	if (f->deaf) {
		ttrpc_fail(call, TTRPC_UNAVAILABLE, "not now");
		return;
	}
	assert_string_equal(q->envelope->namespace_, "ns");
	assert_string_equal(q->envelope->topic, "/tasks/start");
	assert_string_equal(q->envelope->event->type_url,
			    "containerd.events.TaskStart");
	assert_true(q->envelope->timestamp->seconds > 1600000000);
	arena_init(&arena, TTRPC_DECODE_MAX);
	start = (const void *)ttrpc_unpack(
		&task_event_start__descriptor, q->envelope->event->value.data,
		q->envelope->event->value.len, &arena);
	assert_non_null(start);
	(void)snprintf(f->heard + strlen(f->heard),
		       sizeof(f->heard) - strlen(f->heard), "%u ", start->pid);
	f->n++;
	arena_done(&arena);
	ttrpc_reply(call, NULL);
}

static const struct ttrpc_method methods[] = {
	{ "Forward", &task_event_forward__descriptor, on_forward },
};
static const struct ttrpc_service service = {
	.name = "containerd.services.events.ttrpc.v1.Events",
	.method = methods,
	.n_methods = 1,
};

static void serve(struct fixture *f)
{
	struct err e;
	int fd = -1;

	(void)unlink(f->path);
	assert_int_equal(listener_open(f->path, &fd, &e), 0);
	assert_int_equal(ttrpc_server_new(f->loop, fd, &f->server, &e), 0);
	assert_int_equal(ttrpc_server_add(f->server, &service, f, &e), 0);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e;

	assert_non_null(f);
	memcpy(f->dir, "/tmp/ferry-events-XXXXX", 24);
	memcpy(f->dir + 17, "XXXXXX", 7);
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->path, sizeof(f->path), "%s/s", f->dir);
	assert_int_equal(loop_new(&f->loop, &e), 0);
	assert_int_equal(events_new(f->loop, f->path, "ns", &f->events, &e), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	events_free(f->events);
	ttrpc_server_free(f->server);
	loop_free(f->loop);
	(void)unlink(f->path);
	(void)rmdir(f->dir);
	free(f);
	return 0;
}

static void put(struct fixture *f, uint32_t pid)
{
	TaskEventStart m = TASK_EVENT_START__INIT;

	m.container_id = (char[]){ "c" };
	m.pid = pid;
	events_put(f->events, "/tasks/start", "containerd.events.TaskStart",
		   &m.base);
}

static void until_empty(struct fixture *f)
{
	struct err e;

	for (int i = 0; i < LIMIT && !events_empty(f->events); i++)
		(void)loop_turn(f->loop, 1, &e);
	assert_true(events_empty(f->events));
}

static void events_arrive_in_their_order(void **state)
{
	struct fixture *f = *state;

	serve(f);
	for (uint32_t i = 1; i <= 5; i++)
		put(f, i);
	until_empty(f);
	assert_string_equal(f->heard, "1 2 3 4 5 ");
}

static void events_wait_for_containerd(void **state)
{
	struct fixture *f = *state;
	struct err e;

	put(f, 1);
	put(f, 2);
	for (int i = 0; i < 20; i++)
		(void)loop_turn(f->loop, 1, &e);
	assert_false(events_empty(f->events));
	serve(f);
	until_empty(f);
	assert_string_equal(f->heard, "1 2 ");
}

static void events_survive_a_restart_of_containerd(void **state)
{
	struct fixture *f = *state;
	struct err e;

	serve(f);
	put(f, 1);
	until_empty(f);
	ttrpc_server_free(f->server);
	f->server = NULL;
	put(f, 2);
	for (int i = 0; i < 20; i++)
		(void)loop_turn(f->loop, 1, &e);
	put(f, 3);
	serve(f);
	until_empty(f);
	assert_string_equal(f->heard, "1 2 3 ");
}

static void events_that_nobody_takes_are_bounded(void **state)
{
	struct fixture *f = *state;

	for (uint32_t i = 0; i < EVENTS_MAX + 10; i++)
		put(f, i);
	f->heard[0] = '\0';
	serve(f);
	until_empty(f);
	assert_int_equal(f->n, EVENTS_MAX);
	assert_memory_equal(f->heard, "10 11 12 ", 9);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(events_arrive_in_their_order),
		T(events_wait_for_containerd),
		T(events_survive_a_restart_of_containerd),
		T(events_that_nobody_takes_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
