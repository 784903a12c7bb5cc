/* tests/unit/test_log.c - one event a line, bounded, never blocking */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "bridge/io/log.h"

static int sink[2];

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
	unsigned int lines = 0;

	(void)state;
	log_setup(sink[1], LOG_FORM_TEXT, LOG_LEVEL_DEBUG);
	for (int i = 0; i < 10 * LOG_SITE_BURST; i++)
		log_info("flood");
	for (const char *p = taken(); *p != '\0'; p++)
		lines += *p == '\n';
	/* The loop may cross the border of a second once. */
	assert_in_range(lines, LOG_SITE_BURST, 2 * LOG_SITE_BURST + 1);
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

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_text_lines),
		TEST(test_kmsg_lines),
		TEST(test_json_lines),
		TEST(test_long_lines_are_cut_and_closed),
		TEST(test_a_site_is_limited_and_says_so),
		TEST(test_a_stuck_reader_blocks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
