/* tests/unit/test_report.c - progress of a long work: on a terminal, as JSON
 * lines, and not at all */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "config/util.h"
#include "tools/report.h"

#define AN_HOUR_US INT64_C(3600000000)

/* What is written to stderr while @r tells of a disk, read from @from. */
static void told(struct report *r, int to, int from, const char *want)
{
	const int saved = dup(STDERR_FILENO);
	char text[512];
	size_t len = 0;
	ssize_t n;

	assert_true(saved >= 0);
	assert_true(dup2(to, STDERR_FILENO) >= 0);
	report_progress(r, "rootfs", (uint64_t)3 << 20, (uint64_t)12 << 20);
	report_progress_end(r);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	(void)close(saved);
	(void)close(to); /* so that there is an end */
	while ((n = read(from, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	(void)close(from);
	assert_string_equal(text, want);
}

static void pipe_told(struct report *r, const char *want)
{
	int fd[2];

	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	told(r, fd[1], fd[0], want);
}

static void terminal_told(struct report *r, const char *want)
{
	const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	char name[64];
	int slave;

	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	assert_int_equal(ptsname_r(master, name, sizeof(name)), 0);
	slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave >= 0);
	told(r, slave, master, want);
}

static void progress_is_an_event_of_json(void **state UNUSED)
{
	struct report r;

	report_init(&r);
	r.json = true;
	pipe_told(&r, "{\"event\":\"progress\",\"what\":\"rootfs\","
		      "\"done\":3145728,\"total\":12582912}\n");
}

static void progress_is_a_line_of_a_terminal(void **state UNUSED)
{
	struct report r;

	report_init(&r);
	r.start_us -= AN_HOUR_US;
	terminal_told(&r, "\r\033[Krootfs: 25 % of 12 MiB\r\033[K");
}

static void what_is_over_soon_has_no_progress(void **state UNUSED)
{
	struct report r;

	report_init(&r);
	r.start_us += AN_HOUR_US;
	terminal_told(&r, "");
}

static void progress_is_for_terminals_only(void **state UNUSED)
{
	struct report r;

	report_init(&r);
	r.start_us -= AN_HOUR_US;
	pipe_told(&r, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(progress_is_an_event_of_json),
		cmocka_unit_test(progress_is_a_line_of_a_terminal),
		cmocka_unit_test(what_is_over_soon_has_no_progress),
		cmocka_unit_test(progress_is_for_terminals_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
