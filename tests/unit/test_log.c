/* tests/unit/test_log.c - one event a line, bounded, never blocking */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "bridge/io/log.h"

static int sink[2];

/* The second that libc's clock would tell, 0: whatever it is. */
static time_t second;

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	*ts = (struct timespec){ .tv_sec = second };
	return second ? 0 : (int)syscall(SYS_clock_gettime, clock, ts);
}

static int set_up(void **state)
{
	(void)state;
	return pipe2(sink, O_CLOEXEC | O_NONBLOCK);
}

static int tear_down(void **state)
{
	(void)state;
	close(sink[0]);
	close(sink[1]);
	return 0;
}

static const char *taken(void)
{
	static char out[65536 + 1];
	ssize_t n = read(sink[0], out, sizeof(out) - 1);

	out[n > 0 ? n : 0] = '\0';
	return out;
}

static void test_text_lines(void **state)
{
	(void)state;
	log_setup(sink[1], LOG_FORM_TEXT, LOG_LEVEL_INFO);
	errno = EXDEV;
	log_err("lost port=%d", 7);
	log_debug("left out");
	log_info("two\nlines\x01");
	assert_int_equal(errno, EXDEV);
	assert_string_equal(taken(), "error lost port=7\ninfo two lines \n");
}

static void test_kmsg_lines(void **state)
{
	(void)state;
	log_setup(sink[1], LOG_FORM_KMSG, LOG_LEVEL_DEBUG);
	log_warn("w");
	log_debug("d");
	assert_string_equal(taken(), "<4>w\n<7>d\n");
}

static void test_json_lines(void **state)
{
	const char *line;

	(void)state;
	log_setup(sink[1], LOG_FORM_JSON, LOG_LEVEL_DEBUG);
	log_info("a \"b\" \\ \n \xff");
	line = taken();
	assert_memory_equal(line, "{\"time\":\"20", 11);
	assert_int_equal(line[13], '-');
	assert_int_equal(line[38], 'Z');
	assert_string_equal(
		line + 39,
		"\",\"level\":\"info\",\"msg\":\"a \\\"b\\\" \\\\ \\u000a ?\"}\n");
}

static void test_long_lines_are_cut_and_closed(void **state)
{
	char longer[4 * LOG_LINE_MAX];
	const char *line;

	(void)state;
	memset(longer, '"', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	log_setup(sink[1], LOG_FORM_JSON, LOG_LEVEL_DEBUG);
	log_info("%s", longer);
	line = taken();
	assert_true(strlen(line) <= LOG_LINE_MAX);
	assert_string_equal(line + strlen(line) - 5, "\\\"\"}\n");
}

static void test_a_site_is_limited_and_says_so(void **state)
{
	const uint64_t before = log_limited();
	unsigned int lines = 0;

	(void)state;
	log_setup(sink[1], LOG_FORM_TEXT, LOG_LEVEL_DEBUG);
	second = 100;
	for (int i = 0; i <= 10 * LOG_SITE_BURST; i++) {
		if (i == 10 * LOG_SITE_BURST) {
			for (const char *p = taken(); *p != '\0'; p++)
				lines += *p == '\n';
			second++;
		}
		log_info("flood");
	}
	second = 0;
	assert_int_equal(lines, LOG_SITE_BURST);
	assert_string_equal(taken(), "warning log lines left out: 180\n"
				     "info flood\n");
	assert_int_equal(log_limited() - before, 9 * LOG_SITE_BURST);
}

static void test_a_stuck_reader_blocks_nothing(void **state)
{
	char fill[4096] = { 0 };

	(void)state;
	fd_nonblock(sink[1], true);
	while (write(sink[1], fill, sizeof(fill)) > 0)
		;
	fd_nonblock(sink[1], false); /* as an inherited stderr is */
	log_setup(sink[1], LOG_FORM_TEXT, LOG_LEVEL_DEBUG);
	log_err("one");
	log_err("two");
	while (read(sink[0], fill, sizeof(fill)) > 0)
		;
	log_err("three");
	assert_string_equal(taken(),
			    "warning log lines left out: 2\nerror three\n");
}

/* --- sockets -------------------------------------------------------------- */

/* The log calls these two. A socket of the kernel's virtual sockets with one
 * byte of credit is writable, and takes one byte. */
static bool always_writable;
static size_t credit = SIZE_MAX;

int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	const struct timespec t = { .tv_sec = timeout_ms / 1000,
				    .tv_nsec = timeout_ms % 1000 * 1000000L };

	if (always_writable) {
		fds[0].revents = POLLOUT;
		return 1;
	}
	return ppoll(fds, n, timeout_ms < 0 ? NULL : &t, NULL);
}

ssize_t send(int fd, const void *buf, size_t n, int flags)
{
	ssize_t r;

	if (credit == 0) {
		errno = EAGAIN;
		return -1;
	}
	r = syscall(SYS_sendto, fd, buf, n < credit ? n : credit, flags, NULL,
		    0);
	if (r > 0)
		credit -= (size_t)r;
	return r;
}

static int set_up_socket(void **state)
{
	(void)state;
	always_writable = false;
	credit = SIZE_MAX;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sink) < 0)
		return -1;
	return fd_nonblock(sink[0], true);
}

static void test_a_socket_without_a_reader_blocks_nothing(void **state)
{
	char fill[4096] = { 0 };

	(void)state;
	while (send(sink[1], fill, sizeof(fill), MSG_DONTWAIT) > 0)
		;
	always_writable = true;
	log_setup(sink[1], LOG_FORM_TEXT, LOG_LEVEL_DEBUG);
	(void)alarm(30); /* a write that waits ends the test */
	log_err("one");
	log_err("two");
	(void)alarm(0);
	always_writable = false;
	while (read(sink[0], fill, sizeof(fill)) > 0)
		;
	log_err("three");
	assert_string_equal(taken(),
			    "warning log lines left out: 2\nerror three\n");
}

static void test_a_line_in_pieces_stays_whole(void **state)
{
	(void)state;
	log_setup(sink[1], LOG_FORM_TEXT, LOG_LEVEL_DEBUG);
	credit = 1;
	log_err("one");
	log_err("two"); /* behind a tail that nobody takes */
	credit = 3;
	log_err("three"); /* the tail is shorter, and still there */
	credit = SIZE_MAX;
	log_err("four");
	assert_string_equal(taken(),
			    "error one\nwarning log lines left out: 2\n"
			    "error four\n");
}

/* What an earlier destination did not take is nothing to the next one. */
static void test_a_new_destination_gets_no_tail(void **state)
{
	(void)state;
	log_setup(sink[1], LOG_FORM_TEXT, LOG_LEVEL_DEBUG);
	credit = 1;
	log_err("one");
	credit = SIZE_MAX;
	log_setup(sink[1], LOG_FORM_TEXT, LOG_LEVEL_DEBUG);
	log_err("two");
	assert_string_equal(taken(), "eerror two\n");
}

static void test_a_reader_that_is_gone_ends_nothing(void **state)
{
	(void)state;
	log_setup(sink[1], LOG_FORM_TEXT, LOG_LEVEL_DEBUG);
	fd_close(&sink[0]);
	log_err("one"); /* no SIGPIPE */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define SOCKET(f) cmocka_unit_test_setup_teardown(f, set_up_socket, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_text_lines),
		TEST(test_kmsg_lines),
		TEST(test_json_lines),
		TEST(test_long_lines_are_cut_and_closed),
		TEST(test_a_site_is_limited_and_says_so),
		TEST(test_a_stuck_reader_blocks_nothing),
		SOCKET(test_a_socket_without_a_reader_blocks_nothing),
		SOCKET(test_a_line_in_pieces_stays_whole),
		SOCKET(test_a_new_destination_gets_no_tail),
		SOCKET(test_a_reader_that_is_gone_ends_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
