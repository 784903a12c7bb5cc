/* tests/unit/test_shim_log.c - the bounds of a shim's log */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "tools/shim/log.h"

static char path[32];
static int dir = -1;
static struct shim_log l;

static int set_up(void **state)
{
	struct err e;

	(void)state;
	memcpy(path, "/tmp/ferry-log-XXXXXX", 22);
	assert_non_null(mkdtemp(path));
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir >= 0);
	assert_int_equal(shim_log_open(&l, dir, &e), 0);
	log_setup(l.fd, LOG_FORM_JSON, LOG_LEVEL_INFO);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	log_setup(STDERR_FILENO, LOG_FORM_TEXT, LOG_LEVEL_ERR);
	shim_log_done(&l);
	(void)unlinkat(dir, SHIM_LOG, 0);
	(void)unlinkat(dir, SHIM_LOG_OLD, 0);
	fd_close(&dir);
	return rmdir(path);
}

/* -1: there is none */
static off_t size_of(const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_size
								 : -1;
}

static const char *text_of(const char *name)
{
	static char text[4096];
	cleanup_fd fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd_read_full(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* Without its blocks. */
static void grow(const char *name, off_t size)
{
	cleanup_fd fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

	assert_int_equal(ftruncate(fd, size), 0);
}

static void a_log_of_the_most_goes_on(void **state)
{
	(void)state;
	grow(SHIM_LOG, SHIM_LOG_MAX);
	shim_log_bound(&l);
	assert_int_equal(size_of(SHIM_LOG), SHIM_LOG_MAX);
	assert_int_equal(size_of(SHIM_LOG_OLD), -1);
}

static void a_longer_one_is_begun_anew(void **state)
{
	const int before = l.fd;

	(void)state;
	grow(SHIM_LOG, SHIM_LOG_MAX + 1);
	shim_log_bound(&l);
	assert_int_equal(l.fd, before); /* others have noted it */
	assert_true(fcntl(l.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(size_of(SHIM_LOG), 0);
	assert_int_equal(size_of(SHIM_LOG_OLD), SHIM_LOG_MAX + 1);
	log_info("in the new one");
	assert_non_null(strstr(text_of(SHIM_LOG), "in the new one"));
	assert_int_equal(size_of(SHIM_LOG_OLD), SHIM_LOG_MAX + 1);
	/* The one that was old before is not kept. */
	grow(SHIM_LOG, SHIM_LOG_MAX + 2);
	shim_log_bound(&l);
	assert_int_equal(size_of(SHIM_LOG), 0);
	assert_int_equal(size_of(SHIM_LOG_OLD), SHIM_LOG_MAX + 2);
}

/* A console has its own descriptor, and no line to stop at. */
static void an_old_one_that_is_still_written_is_emptied(void **state)
{
	cleanup_fd console = fcntl(l.fd, F_DUPFD_CLOEXEC, 3);

	(void)state;
	grow(SHIM_LOG, SHIM_LOG_MAX + 1);
	shim_log_bound(&l);
	assert_int_equal(write(console, "x", 1), 1);
	grow(SHIM_LOG_OLD, 2 * SHIM_LOG_MAX);
	shim_log_bound(&l);
	assert_int_equal(size_of(SHIM_LOG_OLD), 2 * SHIM_LOG_MAX);
	assert_int_equal(write(console, "x", 1), 1);
	shim_log_bound(&l);
	assert_int_equal(size_of(SHIM_LOG_OLD), 0);
	assert_int_equal(size_of(SHIM_LOG), 0);
}

static void a_log_that_was_there_goes_on(void **state)
{
	struct err e;

	(void)state;
	log_info("of the shim before");
	shim_log_done(&l);
	assert_int_equal(l.fd, -1);
	assert_int_equal(shim_log_open(&l, dir, &e), 0);
	log_setup(l.fd, LOG_FORM_JSON, LOG_LEVEL_INFO);
	log_info("of this one");
	assert_non_null(strstr(text_of(SHIM_LOG), "of the shim before"));
	assert_non_null(strstr(text_of(SHIM_LOG), "of this one"));
}

/* Return: how many of @n lines at @now_ms are taken */
static unsigned int say(unsigned int n, int64_t now_ms)
{
	unsigned int taken = 0;

	while (n-- > 0)
		taken += shim_log_hears(&l, now_ms);
	return taken;
}

static void lines_of_a_second_are_bounded_and_told(void **state)
{
	(void)state;
	assert_int_equal(say(600, 5000), 600);
	assert_int_equal(say(600, 5999), 400);
	assert_int_equal(l.muted, 200);
	assert_string_equal(text_of(SHIM_LOG), "");
	assert_int_equal(say(SHIM_LOG_GUEST_LINES, 6000), SHIM_LOG_GUEST_LINES);
	assert_non_null(
		strstr(text_of(SHIM_LOG), "uvm: 200 lines are left out"));
	assert_int_equal(say(1, 6500), 0);
	assert_int_equal(l.muted, 201); /* ever, for the metrics */
	assert_int_equal(say(1, 7000), 1);
	assert_non_null(strstr(text_of(SHIM_LOG), "uvm: 1 lines are left out"));
	/* A second without a loss says nothing. */
	grow(SHIM_LOG, 0);
	assert_int_equal(say(1, 8000), 1);
	assert_string_equal(text_of(SHIM_LOG), "");
}

/* Not only where the shim looks by itself, each ten seconds. */
static void a_guest_that_talks_bounds_the_file(void **state)
{
	(void)state;
	assert_true(shim_log_hears(&l, 1000));
	grow(SHIM_LOG, SHIM_LOG_MAX + 1);
	assert_true(shim_log_hears(&l, 1999));
	assert_int_equal(size_of(SHIM_LOG), SHIM_LOG_MAX + 1);
	assert_true(shim_log_hears(&l, 2000));
	assert_int_equal(size_of(SHIM_LOG), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_log_of_the_most_goes_on),
		T(a_longer_one_is_begun_anew),
		T(an_old_one_that_is_still_written_is_emptied),
		T(a_log_that_was_there_goes_on),
		T(lines_of_a_second_are_bounded_and_told),
		T(a_guest_that_talks_bounds_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
