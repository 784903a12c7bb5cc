#include "tests/unit/unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "init/relaybuf.h"

static struct relaybuf b;

static int setup(void **state)
{
	(void)state;
	memset(&b, 0, sizeof(b));
	return 0;
}

static void put(const char *text)
{
	relaybuf_put(&b, text, strlen(text));
}

/* Sends at most @max bytes; return: what was sent, as text. */
static const char *send_some(size_t max, int64_t now_ms)
{
	static char out[2 * RELAYBUF_SIZE + 1];
	size_t len = 0, n;
	const char *data;

	while (len < max && (n = relaybuf_next(&b, &data)) > 0) {
		if (n > max - len)
			n = max - len;
		memcpy(out + len, data, n);
		len += n;
		relaybuf_sent(&b, n, now_ms);
	}
	out[len] = '\0';
	return out;
}

static const char *send_all(int64_t now_ms)
{
	return send_some(2 * (size_t)RELAYBUF_SIZE, now_ms);
}

static void test_bytes_pass_in_order(void **state)
{
	const char *data;

	(void)state;
	assert_int_equal(relaybuf_next(&b, &data), 0);
	put("one\ntw");
	assert_string_equal(send_some(5, 1000), "one\nt");
	put("o\n");
	assert_string_equal(send_all(1000), "wo\n");
	assert_int_equal(relaybuf_next(&b, &data), 0);
}

static void test_w_c22_a_connection_begins_at_a_line(void **state)
{
	(void)state;
	put("first\nsecond\n");
	assert_string_equal(send_some(9, 10000), "first\nsec");
	relaybuf_down(&b, 20000); /* first: sent long ago */
	assert_string_equal(send_all(20000), "second\n");
}

static void test_lines_of_the_last_second_come_again(void **state)
{
	(void)state;
	put("old\n");
	(void)send_all(10000);
	put("middle\n");
	(void)send_all(11500);
	put("new\nha");
	(void)send_all(11600);
	relaybuf_down(&b, 11700);
	assert_string_equal(send_all(11700), "middle\nnew\nha");
	relaybuf_down(&b, 11800); /* nor does a second loss lose them */
	put("lf\n");
	assert_string_equal(send_all(11800), "middle\nnew\nhalf\n");
	relaybuf_down(&b, 30000);
	assert_string_equal(send_all(30000), "");
}

/* Puts numbered lines of 64 bytes; return: the next number. */
static unsigned int put_lines(unsigned int from, unsigned int n)
{
	char line[65];

	for (; n > 0; n--, from++) {
		(void)snprintf(line, sizeof(line), "%063u\n", from);
		put(line);
	}
	return from;
}

static void test_a_full_buffer_loses_its_oldest_lines_and_says_so(void **state)
{
	const unsigned int fit = RELAYBUF_SIZE / 64;
	char first[65];
	const char *out;

	(void)state;
	(void)put_lines(0, fit + 10);
	(void)snprintf(first, sizeof(first), "%063u\n", 10u);
	out = send_all(1000);
	assert_memory_equal(out, "{\"level\":\"warning\",", 19);
	assert_non_null(strstr(out, "10 lines (640 bytes) lost\"}\n"));
	assert_memory_equal(strchr(out, '\n') + 1, first, 64);
	assert_int_equal(strlen(strchr(out, '\n') + 1), RELAYBUF_SIZE);
	put("x\n");
	assert_string_equal(send_all(1000), "x\n"); /* said once */
}

static void test_a_torn_line_is_ended_before_the_marker(void **state)
{
	const char *out;

	(void)state;
	put("abcdef\n");
	(void)send_some(3, 1000);
	(void)put_lines(0, RELAYBUF_SIZE / 64);
	out = send_all(1000);
	assert_memory_equal(out, "\n{\"level\"", 9);
	assert_non_null(strstr(out, ": 1 lines (4 bytes) lost"));
}

static void test_the_marker_survives_a_lost_connection(void **state)
{
	const char *out;

	(void)state;
	put("abcdef\n");
	(void)send_some(3, 1000);
	(void)put_lines(0, RELAYBUF_SIZE / 64);
	(void)send_some(20, 1000);
	relaybuf_down(&b, 1100);
	out = send_all(1200);
	assert_memory_equal(out, "{\"level\"", 8);
	assert_non_null(strstr(out, "lost"));
}

static void test_what_was_sent_already_is_no_loss(void **state)
{
	unsigned int next = 0;

	(void)state;
	for (int64_t i = 0; i < 20; i++) {
		next = put_lines(next, 1000);
		assert_null(strstr(send_all(i), "lost"));
	}
}

static void test_an_endless_line_is_lost_to_its_end(void **state)
{
	static char much[RELAYBUF_SIZE / 2];
	const char *out;

	(void)state;
	memset(much, 'x', sizeof(much));
	for (int i = 0; i < 5; i++)
		relaybuf_put(&b, much, sizeof(much));
	put("tail\nnext\n");
	out = send_all(1000);
	assert_memory_equal(out, "{\"level\"", 8);
	assert_non_null(strstr(out, ": 1 lines (655365 bytes) lost"));
	assert_string_equal(strchr(out, '\n') + 1, "next\n");
}

/* Whatever happens, each connection begins at a line, every complete line is
 * one that was put, and lines plus losses cover all. */
static void test_random_work_keeps_lines_whole(void **state)
{
	char line[200];
	unsigned int n = 0;
	int64_t now = 0;
	bool begins = true;

	(void)state;
	srand(7);
	for (int i = 0; i < 20000; i++, now += rand() % 50) {
		const char *out;

		(void)snprintf(line, sizeof(line), "<%u:%*s>\n", n++,
			       rand() % 100, "");
		put(line);
		out = send_some((size_t)(rand() % 120), now);
		for (; *out; out++) {
			if (begins)
				assert_true(*out == '<' || *out == '{' ||
					    *out == '\n');
			begins = *out == '\n';
		}
		if (rand() % 50 == 0) {
			relaybuf_down(&b, now);
			begins = true;
		}
	}
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_bytes_pass_in_order),
		T(test_w_c22_a_connection_begins_at_a_line),
		T(test_lines_of_the_last_second_come_again),
		T(test_a_full_buffer_loses_its_oldest_lines_and_says_so),
		T(test_a_torn_line_is_ended_before_the_marker),
		T(test_the_marker_survives_a_lost_connection),
		T(test_what_was_sent_already_is_no_loss),
		T(test_an_endless_line_is_lost_to_its_end),
		T(test_random_work_keeps_lines_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
