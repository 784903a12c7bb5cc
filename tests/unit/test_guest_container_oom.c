/*
 * Containers that run out of memory. Kills are made up here, by a word to the
 * agent; those of a real cgroup are in tests/e2e/containers.sh.
 */
#include "tests/unit/container_peer.h"

#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "bridge/guest/conn.h"
#include "bridge/guest/notice.h"

/* More than a unix socket holds by default (208 KiB), less than CONN_QUEUE_LOW
 * beyond that. */
#define FLOOD_BYTES (CONN_QUEUE_LOW - 65536)

static struct peer peer;
static int killer[2] = { -1, -1 };

static const struct wish sleeper = { .id = "one", .line = "sleep 1000" };

/* 'k': a kill that is counted, 't': that is seen at once */
static void on_word(void *ctx, uint32_t events UNUSED)
{
	struct agent *a = ctx;
	struct container *c = container_find(&a->containers, "one");
	char word;

	while (read(killer[0], &word, 1) == 1) {
		if (!c)
			continue;
		c->facts.oom_kills++;
		if (word == 't')
			notice_oom(c);
	}
}

static void tune(struct agent *a)
{
	struct loop_id watch = { 0 };
	struct err e;

	(void)loop_watch(a->loop, killer[0], EPOLLIN, on_word, a, &watch, &e);
}

static int set_up(void **state UNUSED)
{
	assert_int_equal(pipe2(killer, O_CLOEXEC | O_NONBLOCK), 0);
	container_tune = tune;
	container_agent(&peer);
	peer_accept(&peer);
	return 0;
}

static int tear_down(void **state UNUSED)
{
	peer_done(&peer);
	fd_close(&killer[0]);
	fd_close(&killer[1]);
	return 0;
}

static void begin(struct run *r, bool events)
{
	peer.events = events;
	peer_negotiate(&peer);
	r->container = "one";
	container_create(&peer, &sleeper);
	container_run(&peer, r);
}

static void words(const char *text)
{
	const uint32_t was = (uint32_t)strlen(text);

	assert_int_equal(write(killer[1], text, was), was);
}

/* Whatever was said before is done now. */
static void settle(void)
{
	struct peer_frame f;

	for (int i = 0; i < 3; i++)
		assert_int_equal(
			peer_call(&peer, WIRE_DUMP_STACKS, peer_base("x"), &f),
			HR_OK);
}

static void end(const struct run *r)
{
	assert_int_equal(container_signal(&peer, "one", r->x.pid, SIGKILL),
			 HR_OK);
	assert_string_equal(peer_notice(&peer, "one"), "ForcedExit");
}

/* Notice @i is of kills, @count of them. */
static void expect(size_t i, int64_t count)
{
	assert_true(i < peer_n_notices);
	assert_string_equal(peer_notices[i].type, "OutOfMemory");
	assert_string_equal(peer_notices[i].container, "one");
	assert_int_equal(peer_notices[i].count, count);
}

static void test_a_host_of_ferry_is_told(void **state UNUSED)
{
	struct run r = { 0 };

	begin(&r, true);
	words("t");
	settle();
	assert_int_equal(peer_n_notices, 1);
	expect(0, 1);
	words("t");
	settle();
	assert_int_equal(peer_n_notices, 2);
	expect(1, 2);
	end(&r);
	assert_int_equal(peer_n_notices, 3);
}

static void test_it_is_told_before_the_end(void **state UNUSED)
{
	struct run r = { 0 };

	begin(&r, true);
	words("kk");
	settle();
	assert_int_equal(peer_n_notices, 0);
	end(&r);
	assert_int_equal(peer_n_notices, 2);
	expect(0, 2);
}

/* The peer takes no such frame from an agent that was not told of it. */
static void test_a_reference_host_is_sent_nothing(void **state UNUSED)
{
	struct run r = { 0 };

	begin(&r, false);
	words("tk");
	settle();
	end(&r);
	assert_int_equal(peer_n_notices, 1);
}

static void come_back(bool fresh, bool events)
{
	peer_accept(&peer);
	peer.events = events;
	peer_negotiate(&peer);
	if (!fresh)
		settle();
}

static void test_a_host_that_was_away_is_told_once(void **state UNUSED)
{
	struct run r = { 0 };

	begin(&r, true);
	peer_drop(&peer, false);
	words("tttt");
	come_back(false, true);
	assert_int_equal(peer_n_notices, 1);
	expect(0, 4);
	end(&r);
	assert_int_equal(peer_n_notices, 2);
}

/* It has ended meanwhile, and the notice of that waits. */
static void
test_a_host_that_was_away_is_told_before_the_end(void **state UNUSED)
{
	struct run r = { 0 };

	begin(&r, true);
	peer_drop(&peer, false);
	fd_close(&peer.listener);
	transport_unlink(&peer.transport, WIRE_PORT_BRIDGE);
	words("t");
	assert_int_equal(kill((pid_t)r.x.pid, SIGKILL), 0);
	for (int i = 0; i < 3000 && kill((pid_t)r.x.pid, 0) == 0; i++)
		(void)usleep(10000);
	(void)usleep(100000);
	assert_int_equal(transport_listen(&peer.transport, WIRE_PORT_BRIDGE, 64,
					  &peer.listener, &(struct err){ 0 }),
			 0);
	come_back(false, true);
	assert_string_equal(peer_notice(&peer, "one"), "UnexpectedExit");
	assert_int_equal(peer_n_notices, 2);
	expect(0, 1);
}

/* After a move: not before the host knows the container. */
static void test_a_later_host_is_told_when_it_knows(void **state UNUSED)
{
	struct run r = { 0 };

	begin(&r, true);
	words("t");
	settle();
	expect(0, 1);
	peer_n_notices = 0;
	peer_drop(&peer, true);
	words("t");
	come_back(true, true);
	settle();
	assert_int_equal(peer_n_notices, 0);
	(void)container_call(&peer, WIRE_START, "one");
	settle();
	assert_int_equal(peer_n_notices, 1);
	expect(0, 2);
	end(&r);
}

static void test_a_later_reference_host_is_sent_nothing(void **state UNUSED)
{
	struct run r = { 0 };

	begin(&r, true);
	peer_drop(&peer, true);
	words("t");
	come_back(true, false);
	(void)container_call(&peer, WIRE_START, "one");
	settle();
	assert_int_equal(peer_n_notices, 0);
	end(&r);
	assert_int_equal(peer_n_notices, 1);
}

/* Asks until the answers fill the connection, and reads none of them: what is
 * told now does not leave. What waits is less than would silence a notice. */
static void fill_connection(void)
{
	static struct peer_frame f;
	size_t sent = 0;
	int unread = 1;

	while (sent < FLOOD_BYTES) {
		/* The agent answers in its own time; only its size is asked. */
		assert_int_equal(
			peer_call(&peer, WIRE_DUMP_STACKS, peer_base("x"), &f),
			HR_OK);
		for (size_t n = 0; n < FLOOD_BYTES; n += f.len) {
			(void)peer_send(&peer, WIRE_DUMP_STACKS,
					peer_base("x"));
			sent += f.len;
		}
	}
	/* It has taken all questions when none of their bytes is left. */
	for (int i = 0; i < 3000 && unread > 0; i++) {
		assert_int_equal(ioctl(peer.fd, SIOCOUTQ, &unread), 0);
		if (unread > 0)
			(void)usleep(10000);
	}
	assert_int_equal(unread, 0);
}

/* A host that takes such notices had one under way when it was lost. */
static void lose_a_notice(struct run *r)
{
	begin(r, true);
	fill_connection();
	words("t");
	peer_drop(&peer, true);
}

static void test_one_that_did_not_leave_is_told_anew(void **state UNUSED)
{
	struct run r = { 0 };

	lose_a_notice(&r);
	words("k");
	come_back(true, true);
	(void)container_call(&peer, WIRE_START, "one");
	settle();
	assert_int_equal(peer_n_notices, 1); /* of both */
	expect(0, 2);
	end(&r);
}

static void test_one_that_did_not_leave_is_not_kept_for_a_reference_host(
	void **state UNUSED)
{
	struct run r = { 0 };

	lose_a_notice(&r);
	come_back(true, false);
	(void)container_call(&peer, WIRE_START, "one");
	settle(); /* the peer takes no such frame */
	assert_int_equal(peer_n_notices, 0);
	end(&r);
	assert_int_equal(peer_n_notices, 1);
}

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_a_host_of_ferry_is_told),
		T(test_it_is_told_before_the_end),
		T(test_a_reference_host_is_sent_nothing),
		T(test_a_host_that_was_away_is_told_once),
		T(test_a_host_that_was_away_is_told_before_the_end),
		T(test_a_later_host_is_told_when_it_knows),
		T(test_a_later_reference_host_is_sent_nothing),
		T(test_one_that_did_not_leave_is_told_anew),
		T(test_one_that_did_not_leave_is_not_kept_for_a_reference_host),
	};
#undef T

	return container_main(argc, argv, tests, ARRAY_LEN(tests), NULL);
}
