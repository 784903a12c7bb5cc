/* bridge/host/logport: every line is looked at anew, and none is dangerous */
#include "tests/unit/fake_guest.h"

#include "bridge/host/logport.h"

struct fixture {
	struct fake fake;
	struct host_logport *port;
	int lines;
	int ended;
	struct host_log_line last;
	char msg[5 * LOGPORT_LINE_MAX];
};

static void on_line(void *ctx, const struct host_log_line *line)
{
	struct fixture *x = ctx;

	x->lines++;
	x->last = *line;
	(void)snprintf(x->msg, sizeof(x->msg), "%s", line->msg);
}

static void on_ended(void *ctx)
{
	struct fixture *x = ctx;

	x->ended++;
}

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));

	if (!x)
		return -1;
	fake_init(&x->fake);
	assert_int_equal(host_logport_new(x->fake.loop, &x->fake.transport,
					  on_line, on_ended, x, &x->port, NULL),
			 0);
	x->fake.fd = fake_dial(&x->fake, WIRE_PORT_LOG);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	host_logport_free(x->port);
	fake_done(&x->fake);
	free(x);
	return 0;
}

/* Sends @text and waits for the @n lines that it makes. */
static void say(struct fixture *x, const char *text, int n)
{
	const int before = x->lines;

	fake_send_raw(&x->fake, text, strlen(text));
	FAKE_UNTIL(&x->fake, x->lines >= before + n);
	assert_int_equal(x->lines, before + n);
}

static void test_levels_and_messages(void **state)
{
	static const struct {
		const char *level;
		enum log_level want;
	} rows[] = {
		{ "panic", LOG_LEVEL_ERR },	{ "fatal", LOG_LEVEL_ERR },
		{ "error", LOG_LEVEL_ERR },	{ "warning", LOG_LEVEL_WARN },
		{ "warn", LOG_LEVEL_WARN },	{ "info", LOG_LEVEL_INFO },
		{ "debug", LOG_LEVEL_DEBUG },	{ "trace", LOG_LEVEL_DEBUG },
		{ "anything", LOG_LEVEL_INFO }, { "", LOG_LEVEL_INFO },
	};
	struct fixture *x = *state;
	char text[200];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		(void)snprintf(
			text, sizeof(text),
			"{\"time\":\"t\",\"level\":\"%s\",\"msg\":\"m%zu\","
			"\"n\":{\"a\":[1]}}\r\n",
			rows[i].level, i);
		say(x, text, 1);
		assert_true(x->last.json);
		assert_int_equal(x->last.level, rows[i].want);
		(void)snprintf(text, sizeof(text), "m%zu", i);
		assert_string_equal(x->msg, text);
	}
}

static void test_w_h17_line_that_is_no_json_ends_nothing(void **state)
{
	struct fixture *x = *state;

	say(x, "{\"msg\":\"one\"}\n", 1);
	assert_true(x->last.json);
	say(x, "panic: runtime error {\"msg\":\n", 1);
	assert_false(x->last.json);
	assert_string_equal(x->msg, "panic: runtime error {\"msg\":");
	say(x, "{\"msg\":3}\n", 1);
	assert_false(x->last.json);
	say(x, "{\"level\":\"info\"}\n", 1);
	assert_false(x->last.json);
	say(x, "{\"msg\":\"two\",\"level\":\"error\"}\n", 1);
	assert_true(x->last.json);
	assert_string_equal(x->msg, "two");
}

static void test_control_bytes_are_escaped(void **state)
{
	struct fixture *x = *state;

	say(x, "\x1b[2Jhello\x07\n", 1);
	assert_string_equal(x->msg, "\\x1b[2Jhello\\x07");
	say(x, "{\"msg\":\"a\\u001b]0;x\\nb\"}\n", 1);
	assert_string_equal(x->msg, "a\\x1b]0;x\\x0ab");
	fake_send_raw(&x->fake, "a\0b\n", 4);
	FAKE_UNTIL(&x->fake, x->lines == 3);
	assert_string_equal(x->msg, "a?b");
}

static void test_a_line_without_end_is_cut(void **state)
{
	static char text[3 * LOGPORT_LINE_MAX];
	struct fixture *x = *state;

	memset(text, '{', sizeof(text) - 1);
	fake_send_raw(&x->fake, text, sizeof(text) - 1);
	say(x, "\n", 1);
	assert_true(x->last.cut);
	assert_false(x->last.json);
	assert_int_equal(strlen(x->msg), LOGPORT_LINE_MAX);
	say(x, "{\"msg\":\"next\"}\n", 1);
	assert_false(x->last.cut);
	assert_string_equal(x->msg, "next");
}

static void test_lines_in_pieces_and_in_heaps(void **state)
{
	struct fixture *x = *state;

	say(x, "{\"msg\":", 0);
	say(x, "\"x\"}", 0);
	say(x, "\n\n\n", 1);
	say(x, "1\n2\n3\n4\n", 4);
	assert_string_equal(x->msg, "4");
}

static void test_last_words_then_the_end_then_another_arming(void **state)
{
	struct fixture *x = *state;

	say(x, "half a li", 0);
	assert_int_equal(fake_try_dial(&x->fake, WIRE_PORT_LOG), -1);
	assert_int_equal(host_logport_arm(x->port, NULL), 0); /* connected */
	assert_int_equal(fake_ports(&x->fake), 0);
	fake_hang_up(&x->fake);
	FAKE_UNTIL(&x->fake, x->ended == 1);
	assert_string_equal(x->msg, "half a li");
	assert_int_equal(fake_try_dial(&x->fake, WIRE_PORT_LOG), -1);

	assert_int_equal(host_logport_arm(x->port, NULL), 0);
	assert_int_equal(host_logport_arm(x->port, NULL), 0);
	x->fake.fd = fake_dial(&x->fake, WIRE_PORT_LOG);
	say(x, "{\"msg\":\"again\"}\n", 1);
	assert_string_equal(x->msg, "again");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_levels_and_messages),
		T(test_w_h17_line_that_is_no_json_ends_nothing),
		T(test_control_bytes_are_escaped),
		T(test_a_line_without_end_is_cut),
		T(test_lines_in_pieces_and_in_heaps),
		T(test_last_words_then_the_end_then_another_arming),
	};

	return cmocka_run_group_tests_name("host logport", tests, NULL, NULL);
}
