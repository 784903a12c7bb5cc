/* tests/unit/test_remains.c - bundles of sandboxes that ended in no order */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"
#include "tools/qemu/remains.h"
#include "tools/qemu/rundir.h"

static char base[64];
static char store[128];

static int set_up(void **state UNUSED)
{
	(void)snprintf(base, sizeof(base), "/tmp/remains-XXXXXX");
	assert_non_null(mkdtemp(base));
	(void)snprintf(store, sizeof(store), "%s/ferry-%u/" REMAINS_DIR, base,
		       (unsigned int)geteuid());
	return 0;
}

static int tear_down(void **state UNUSED)
{
	char words[128];

	(void)snprintf(words, sizeof(words), "rm -rf %s", base);
	/* NOLINTNEXTLINE(cert-env33-c): our own folder */
	assert_int_equal(system(words), 0);
	return 0;
}

static size_t count(void)
{
	DIR *d = opendir(store);
	const struct dirent *entry;
	size_t n = 0;

	if (!d)
		return 0;
	while ((entry = readdir(d)))
		n += entry->d_name[0] != '.';
	(void)closedir(d);
	return n;
}

static void leave(const char *name, const char *text, char *path)
{
	const struct remains_file file[] = {
		{ "why", text, strlen(text) },
		{ "log", "a\n", 2 },
	};
	struct err e;

	assert_int_equal(
		remains_write(base, name, REMAINS_PANIC, file, 2, path, &e), 0);
}

static void read_file(const char *dir, const char *name, char *out, size_t size)
{
	char path[256];
	cleanup_fd fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	n = fd_read_full(fd, out, size - 1);
	assert_true(n >= 0);
	out[n] = '\0';
}

static void a_bundle_has_its_files_and_is_private(void **state UNUSED)
{
	char path[REMAINS_PATH_MAX];
	char found[REMAINS_PATH_MAX];
	char text[64];
	struct stat st;
	struct err e;

	leave("web-1", "it panicked\n", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	read_file(path, "why", text, sizeof(text));
	assert_string_equal(text, "it panicked\n");
	assert_int_equal(remains_find(base, "web-1", found, &e), 0);
	assert_string_equal(found, path);
	assert_int_equal(remains_find(base, "web", found, &e), -ENOENT);
	assert_int_equal(remains_find(base, "1", found, &e), -ENOENT);
}

/* Twenty in a second: the newest is found, and their number has a limit. */
static void there_are_only_so_many_bundles(void **state UNUSED)
{
	char path[REMAINS_PATH_MAX];
	char name[16];

	for (unsigned int i = 0; i < REMAINS_MAX + 6; i++) {
		(void)snprintf(name, sizeof(name), "s%02u", i);
		leave(name, "x\n", path);
	}
	assert_int_equal(count(), REMAINS_MAX);
	assert_int_equal(access(path, F_OK), 0);
}

static void of_a_long_file_the_end_is_kept(void **state UNUSED)
{
	const size_t n = REMAINS_FILE_MAX + 1000;
	char *text = malloc(n);
	char path[REMAINS_PATH_MAX];
	char file[256];
	struct stat st;
	struct err e;

	assert_non_null(text);
	memset(text, 'x', n);
	assert_int_equal(remains_write(base, "web", REMAINS_MOVE,
				       &(struct remains_file){ "log", text, n },
				       1, path, &e),
			 0);
	(void)snprintf(file, sizeof(file), "%s/log", path);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_size, REMAINS_FILE_MAX);
	free(text);
}

static void one_that_was_not_finished_goes(void **state UNUSED)
{
	char path[REMAINS_PATH_MAX];
	char half[160];

	leave("web", "x\n", path);
	(void)snprintf(half, sizeof(half), "%s/.new", store);
	assert_int_equal(mkdir(half, 0700), 0);
	leave("web", "y\n", path);
	assert_int_equal(access(half, F_OK), -1);
	assert_int_equal(count(), 2);
}

/* The next start of any sandbox cleans up, and keeps the log. */
static void the_log_of_a_shim_that_died_is_kept(void **state UNUSED)
{
	static const char log[] = "last words token=abc\n";
	struct rundir d = RUNDIR_NONE;
	char path[REMAINS_PATH_MAX];
	char text[64];
	struct err e;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int fd = -1;

		if (rundir_named(base, "web", &d, &e) == 0)
			fd = openat(d.lock, RUNDIR_LOG,
				    O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		_exit(fd < 0 || write(fd, log, strlen(log)) < 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(rundir_clean(base, NULL, NULL, &e), 0);
	assert_int_equal(remains_find(base, "web", path, &e), 0);
	assert_non_null(strstr(path, "-web-" REMAINS_SHIM));
	read_file(path, "log", text, sizeof(text));
	assert_string_equal(text, "last words token=***\n");
	/* One that ended in order leaves nothing. */
	assert_int_equal(rundir_named(base, "tidy", &d, &e), 0);
	rundir_done(&d);
	assert_int_equal(remains_find(base, "tidy", path, &e), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_bundle_has_its_files_and_is_private, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(there_are_only_so_many_bundles,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(of_a_long_file_the_end_is_kept,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_that_was_not_finished_goes,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			the_log_of_a_shim_that_died_is_kept, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
