/*
 * What another host says goes to the terminal of whoever moves a sandbox, and a
 * guest's log to that of whoever looks: their words cannot drive that terminal,
 * their numbers overflow nothing.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/util.h"
#include "tools/migrate.h"

static void test_words_of_another_host_are_plain(void **state UNUSED)
{
	struct err e = { 0 };
	struct remote_wait w = { .e = &e };

	remote_answered(&w, TTRPC_NOT_FOUND,
			"\x1b[2J\x07 no\n \xc2\x9b gr\xc3\xbc\xc3\x9f\x7f",
			NULL);
	assert_int_equal(w.result, -ENOENT);
	assert_string_equal(e.text, "?[2J? no? ?? gr\xc3\xbc\xc3\x9f?");
}

static void check_shown(const char *text, const char *want)
{
	char *out = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);

	assert_non_null(f);
	remote_show(f, text, strlen(text));
	assert_int_equal(fclose(f), 0);
	assert_string_equal(out, want);
	free(out);
}

/* A title, a colour, an answer that is typed: terminals do what they read. */
static void test_p2_a_guests_log_has_no_control_bytes(void **state UNUSED)
{
	check_shown("one\n\ttwo\r\nthr\xc3\xa9\xc3\xa9\n",
		    "one\n\ttwo\nthr\xc3\xa9\xc3\xa9\n");
	check_shown("\x1b]0;x\x07\x1b[31m\x7f", "?]0;x??[31m?");
	check_shown("seen\rhidden", "seen?hidden");
	check_shown("a\xc2\x9b[1m \xc2\xa9", "a?[1m \xc2\xa9");
	check_shown("\xc2", "\xc2");
	check_shown("", "");
}

/* The first line that migrate_report_done() prints. */
static void done_line(const struct migrate *m, char *line, size_t size)
{
	FILE *f = tmpfile();
	const int out = dup(STDOUT_FILENO);

	assert_non_null(f);
	assert_true(out >= 0);
	(void)fflush(stdout);
	assert_true(dup2(fileno(f), STDOUT_FILENO) >= 0);
	migrate_report_done(m);
	(void)fflush(stdout);
	assert_true(dup2(out, STDOUT_FILENO) >= 0);
	(void)close(out);
	rewind(f);
	assert_non_null(fgets(line, (int)size, f));
	(void)fclose(f);
}

static void test_numbers_of_another_host(void **state UNUSED)
{
	struct migrate m = { .args = { .json = true, .to = "/there" } };
	char line[512];
	struct err e;

	assert_int_equal(loop_new(&m.remote.loop, &e), 0);
	/* Its clock is 5 s ahead of ours; the guest stood still for 3 s. */
	m.source.stopped_ns = 100000000000;
	m.destination.running_ns = 108000000000;
	m.destination.clock_ns = 5000000000;
	done_line(&m, line, sizeof(line));
	assert_non_null(strstr(line, "\"blackout_ms\":3000"));
	m.destination.running_ns = INT64_MAX;
	m.destination.clock_ns = INT64_MIN;
	done_line(&m, line, sizeof(line));
	assert_null(strstr(line, "blackout_ms"));
	m.destination.running_ns = 0;
	m.destination.clock_ns = INT64_MIN;
	m.source.stopped_ns = UINT64_MAX;
	m.source.clock_ns = INT64_MAX;
	done_line(&m, line, sizeof(line));
	assert_non_null(strstr(line, "\"event\":\"done\""));
	loop_free(m.remote.loop);
}

/* For people: all of the progress on one line of the terminal, figures at the end. */
static void test_a_move_on_a_terminal(void **state UNUSED)
{
	struct migrate m = { .args = { .to = "/there" } };
	const struct {
		uint64_t transferred;
		const char *want;
	} looks[] = {
		{ 3u << 20,
		  "\rmemory          3 MiB sent,     40 MiB left,     "
		  "5 MiB/s,     2 MiB/s dirtied " },
		/* What was told does not become less. */
		{ 1u << 20,
		  "\rmemory          3 MiB sent,     40 MiB left,     "
		  "5 MiB/s,     2 MiB/s dirtied " },
	};
	const int err = dup(STDERR_FILENO);
	char line[512];
	int terminal = -1;
	int ours = -1;
	struct err e;

	assert_int_equal(loop_new(&m.remote.loop, &e), 0);
	(void)snprintf(m.remote.name, sizeof(m.remote.name), "web");
	assert_int_equal(openpty(&ours, &terminal, NULL, NULL, NULL), 0);
	m.source.remaining = 40u << 20;
	m.source.rate = 5u << 20;
	m.source.dirty = 2u << 20;
	for (size_t i = 0; i < ARRAY_LEN(looks); i++) {
		ssize_t n;

		m.source.transferred = looks[i].transferred;
		assert_true(dup2(terminal, STDERR_FILENO) >= 0);
		migrate_report(&m, "memory");
		assert_true(dup2(err, STDERR_FILENO) >= 0);
		n = read(ours, line, sizeof(line) - 1);
		assert_true(n > 0);
		line[n] = '\0';
		assert_string_equal(line, looks[i].want);
	}
	m.source.stopped_ns = 1000000;
	m.destination.running_ns = 301000000;
	m.destination.reconnect_ms = 7;
	done_line(&m, line, sizeof(line));
	assert_non_null(strstr(line, "web runs at /there: total "));
	assert_non_null(
		strstr(line, " ms, blackout 300 ms, reconnect 7 ms, 3 MiB\n"));
	(void)close(ours);
	(void)close(terminal);
	(void)close(err);
	loop_free(m.remote.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words_of_another_host_are_plain),
		cmocka_unit_test(test_p2_a_guests_log_has_no_control_bytes),
		cmocka_unit_test(test_numbers_of_another_host),
		cmocka_unit_test(test_a_move_on_a_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
