/*
 * tests/unit/test_guest_stream.c - a stream whose socket broke, and the time
 * until it is known whether its host went too; on a clock of the test's
 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bridge/guest/stream.h"
#include "bridge/io/fd.h"
#include "config/util.h"

#define PORT 7u

static int64_t now_ms = 1000000;

/* In the place of libc's: the loop's only clock. */
int clock_gettime(clockid_t clock UNUSED, struct timespec *ts)
{
	ts->tv_sec = (time_t)(now_ms / 1000);
	ts->tv_nsec = (long)(now_ms % 1000) * 1000000;
	return 0;
}

static char path[32];
static struct transport at = { .kind = TRANSPORT_UNIX };
static struct loop *loop;
static struct streams all;
static struct stream *s;
static int host;   /* its end of the socket */
static int writer; /* the process's end of the pipe */

static int set_up(void **state)
{
	int ends[2], pair[2];
	struct err e;

	(void)state;
	memcpy(path, "/tmp/ferry-stream-XXXXXX", 25);
	assert_non_null(mkdtemp(path));
	(void)snprintf(at.base, sizeof(at.base), "%s/v", path);
	assert_int_equal(loop_new(&loop, &e), 0);
	assert_int_equal(streams_init(&all, loop, &at), 0);
	streams_host(&all, true, 1);
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(socketpair(AF_UNIX,
				    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				    0, pair),
			 0);
	writer = ends[1];
	host = pair[1];
	assert_int_equal(stream_new(&all, STREAM_OUT, pair[0], ends[0], false,
				    NULL, NULL, &s, &e),
			 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	stream_forget(s);
	streams_done(&all);
	loop_free(loop);
	fd_close(&host);
	fd_close(&writer);
	transport_unlink(&at, PORT);
	return rmdir(path);
}

/* The loop stands still for @ms, and then turns until nothing is due. */
static enum stream_state after(int64_t ms)
{
	struct err e;

	now_ms += ms;
	for (int i = 0; i < 10; i++)
		assert_true(loop_turn(loop, 0, &e) >= 0);
	return s->state;
}

static void break_it(void)
{
	fd_close(&host);
	assert_int_equal(after(0), STREAM_JUDGE);
}

/* What the process would be told of its output. */
static bool is_read(void)
{
	struct pollfd p = { .fd = writer, .events = POLLOUT };

	assert_int_equal(poll(&p, 1, 0), 1);
	return (p.revents & POLLERR) == 0;
}

static void test_it_was_the_stream_when_the_host_is_heard(void **state)
{
	(void)state;
	break_it();
	for (unsigned int look = 1; look < STREAM_JUDGE_LOOKS; look++) {
		assert_int_equal(after(STREAM_JUDGE_MS - 1), STREAM_JUDGE);
		assert_int_equal(after(1), STREAM_JUDGE);
	}
	assert_int_equal(after(STREAM_JUDGE_MS - 1), STREAM_JUDGE);
	assert_true(is_read());
	assert_int_equal(after(1), STREAM_CLOSED);
	assert_true(s->refused);
	assert_false(is_read());
}

/* However long nothing was heard because nobody listened. */
static void test_a_stalled_machine_is_one_look(void **state)
{
	(void)state;
	break_it();
	for (unsigned int look = 1; look < STREAM_JUDGE_LOOKS; look++)
		assert_int_equal(after(3600000), STREAM_JUDGE);
	streams_host(&all, false, 0); /* that was behind it */
	assert_int_equal(after(STREAM_JUDGE_MS), STREAM_LOST);
	assert_false(s->refused);
	assert_int_equal(write(writer, "x", 1), 1);
	assert_int_equal(after(3600000), STREAM_LOST);
	assert_true(is_read());
}

/* The host that is there is another one, or another connection of it. */
static void test_it_was_the_host_when_another_is_there(void **state)
{
	(void)state;
	break_it();
	streams_host(&all, false, 0);
	streams_host(&all, true, 2);
	assert_int_equal(after(STREAM_JUDGE_MS - 1), STREAM_JUDGE);
	assert_int_equal(after(1), STREAM_DISCARD);
	assert_false(s->refused);
	assert_int_equal(write(writer, "x", 1), 1);
	(void)after(0);
	assert_int_equal(all.discarded, 1);
}

static void test_without_a_host_there_is_nothing_to_judge(void **state)
{
	(void)state;
	streams_host(&all, false, 0);
	fd_close(&host);
	assert_int_equal(after(0), STREAM_LOST);
}

/* Dialled again after two looks, it has all three of them the next time. */
static void test_each_break_has_its_own_looks(void **state)
{
	cleanup_fd listener = -1;
	struct err e;

	(void)state;
	stream_redial(s, PORT);
	break_it();
	for (unsigned int look = 1; look < STREAM_JUDGE_LOOKS; look++)
		assert_int_equal(after(STREAM_JUDGE_MS), STREAM_JUDGE);
	assert_int_equal(transport_listen(&at, PORT, 1, &listener, &e), 0);
	streams_host(&all, false, 0);
	streams_host(&all, true, 2);
	assert_int_equal(after(STREAM_JUDGE_MS), STREAM_OPEN);
	assert_int_equal(transport_accept(&at, listener, &host, &e), 0);
	assert_int_equal(write(writer, "y", 1), 1);
	assert_int_equal(after(STREAM_FRESH_MS), STREAM_OPEN);
	break_it();
	for (unsigned int look = 1; look < STREAM_JUDGE_LOOKS; look++)
		assert_int_equal(after(STREAM_JUDGE_MS), STREAM_JUDGE);
	assert_int_equal(after(STREAM_JUDGE_MS), STREAM_CLOSED);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_it_was_the_stream_when_the_host_is_heard),
		T(test_a_stalled_machine_is_one_look),
		T(test_it_was_the_host_when_another_is_there),
		T(test_without_a_host_there_is_nothing_to_judge),
		T(test_each_break_has_its_own_looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
