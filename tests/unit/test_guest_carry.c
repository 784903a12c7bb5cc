/* tests/unit/test_guest_carry.c - a stream of the session that the loop has no
 * room for waits, and goes on */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/guest/carry.h"
#include "bridge/guest/ends.h"
#include "bridge/guest/process.h"
#include "bridge/guest/resume.h"
#include "bridge/guest/stream.h"
#include "bridge/io/fd.h"
#include "config/util.h"

static bool no_room; /* for what is not watched yet */

int __real_epoll_ctl(int at, int op, int fd, struct epoll_event *ev);
int __wrap_epoll_ctl(int at, int op, int fd, struct epoll_event *ev);

int __wrap_epoll_ctl(int at, int op, int fd, struct epoll_event *ev)
{
	if (op != EPOLL_CTL_ADD || !no_room)
		return __real_epoll_ctl(at, op, fd, ev);
	errno = ENOMEM;
	return -1;
}

static void tell(void *ctx UNUSED, uint32_t type UNUSED, uint32_t port UNUSED,
		 uint64_t length UNUSED)
{
}

/* Streams of a session with a host that is nowhere, and a pipe for one. */
static void streams_new(struct streams *all, struct loop **loop, int p[2])
{
	static const struct session_id session;
	static const struct transport nowhere = { .kind = TRANSPORT_UNIX };
	struct err e = { 0 };

	assert_int_equal(loop_new(loop, &e), 0);
	assert_int_equal(streams_init(all, *loop, &nowhere), 0);
	all->session = &session;
	all->tell = tell;
	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
}

static void test_a_stream_that_cannot_be_watched_goes_on(void **state UNUSED)
{
	struct carry_new n = { .kind = STREAM_OUT, .file = -1, .mid = -1 };
	struct streams all;
	struct stream *s = NULL;
	struct loop *loop = NULL;
	struct err e = { 0 };
	int p[2];

	streams_new(&all, &loop, p);
	n.end = p[0];
	no_room = true;
	assert_int_equal(stream_new_carried(&all, &n, NULL, NULL, &s, &e), 0);
	no_room = false;
	assert_int_equal(write(p[1], "four", 4), 4);
	for (int i = 0; i < 100 && s->offset < 4; i++)
		assert_true(loop_turn(loop, 100, &e) >= 0);
	assert_int_equal(s->offset, 4);
	fd_close(&p[1]);
	stream_forget(s);
	streams_done(&all);
	loop_free(loop);
}

/* A later agent, which finds them not begun, makes them. */
static void test_streams_without_a_file_have_not_begun(void **state UNUSED)
{
	static const uint32_t port[MSG_STDIO] = { 0, 5, 0 };
	struct processes processes = { 0 };
	struct process process = { .owner = &processes };
	struct rlimit was, few = { 3, 3 };
	int none[MSG_STDIO] = { -1, -1, -1 };
	struct streams all;
	struct ends d;
	struct loop *loop = NULL;
	struct err e = { 0 };
	int p[2];

	streams_new(&all, &loop, p);
	ends_init(&d);
	d.ours[MSG_STDOUT] = p[0];
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	few.rlim_max = was.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_true(ends_connect(&d, &all, &process, none, port, &e) < 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_false(process.carried);
	ends_close(&d);
	fd_close(&p[1]);
	streams_done(&all);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_stream_that_cannot_be_watched_goes_on),
		cmocka_unit_test(test_streams_without_a_file_have_not_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
