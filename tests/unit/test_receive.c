/*
 * The door for sandboxes that move here: those who come and say nothing, or too
 * little, keep nobody else waiting. A door of its own in a child, no shim.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"
#include "tools/endpoint.h"
#include "tools/receive.h"

/* More than wait at once (GREETERS_MAX). */
#define SILENT 9

static char where[64];
static pid_t door;

static void dial(int *ret)
{
	struct err e;

	/* The child may still be about to listen. */
	while (endpoint_dial(where, ret, &e) < 0) {
		assert_int_equal(waitpid(door, NULL, WNOHANG), 0);
		(void)usleep(1000);
	}
}

static int open_door(void **state UNUSED)
{
	char *words[] = { (char[]){ "receive" }, (char[]){ "--listen" }, where,
			  NULL };

	(void)snprintf(where, sizeof(where), "/tmp/ferry-test-receive-%d",
		       (int)getpid());
	door = fork();
	if (door == 0)
		_exit(tool_receive(ARRAY_LEN(words) - 1, words));
	return door < 0;
}

static int close_door(void **state UNUSED)
{
	(void)kill(door, SIGKILL);
	(void)waitpid(door, NULL, 0);
	(void)unlink(where);
	return 0;
}

/* What the door says to these words. */
static void ask(int fd, const char *words, char line[ENDPOINT_LINE_MAX])
{
	struct err e;

	assert_int_equal(endpoint_say(fd, words, &e), 0);
	assert_int_equal(endpoint_hear(fd, line, &e), 0);
}

static bool is_open(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

static void test_a_silent_caller_keeps_nobody_waiting(void **state UNUSED)
{
	char line[ENDPOINT_LINE_MAX];
	struct err e;
	int silent = -1;
	int slow = -1;
	int fd = -1;

	dial(&silent);
	dial(&slow);
	assert_int_equal(endpoint_say(slow, ENDPOINT_MAGIC " data ", &e), 0);
	dial(&fd);
	ask(fd, "GET / HTTP/1.1\r\n", line);
	assert_string_equal(line, "error not the words of a move");
	assert_true(is_open(silent)); /* it has not been given up for that */
	assert_true(is_open(slow));
	ask(slow, "secret\n", line); /* the rest, when he likes */
	assert_string_equal(line, "error another move is under way");
	fd_close(&silent);
	fd_close(&slow);
	fd_close(&fd);
}

static void test_of_many_silent_callers_the_oldest_goes(void **state UNUSED)
{
	char line[ENDPOINT_LINE_MAX];
	int silent[SILENT];
	int fd = -1;

	for (size_t i = 0; i < SILENT; i++) {
		silent[i] = -1;
		dial(&silent[i]);
	}
	dial(&fd);
	ask(fd, "x\n", line);
	assert_string_equal(line, "error not the words of a move");
	assert_false(is_open(silent[0]));
	assert_true(is_open(silent[SILENT - 1]));
	for (size_t i = 0; i < SILENT; i++)
		fd_close(&silent[i]);
	fd_close(&fd);
}

static void test_words_without_an_end(void **state UNUSED)
{
	char line[ENDPOINT_LINE_MAX + 1];
	char c;
	int fd = -1;

	memset(line, 'x', sizeof(line));
	dial(&fd);
	assert_int_equal(send(fd, line, ENDPOINT_LINE_MAX, MSG_NOSIGNAL),
			 ENDPOINT_LINE_MAX);
	assert_int_equal(recv(fd, &c, 1, 0), 0); /* he has hung up */
	fd_close(&fd);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, open_door, close_door)
	const struct CMUnitTest tests[] = {
		T(test_a_silent_caller_keeps_nobody_waiting),
		T(test_of_many_silent_callers_the_oldest_goes),
		T(test_words_without_an_end),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
