/* tests/unit/test_home.c - where ferry looks for its library folder */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/home.h"

static char base[64];

static void path_in_base(char *path, size_t size, const char *tail)
{
	int n = snprintf(path, size, "%s/%s", base, tail);

	assert_true(n > 0 && (size_t)n < size);
}

static void make_dir(const char *tail)
{
	char path[PATH_MAX];

	path_in_base(path, sizeof(path), tail);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void make_file(const char *tail)
{
	char path[PATH_MAX];
	int fd;

	path_in_base(path, sizeof(path), tail);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
}

/* bin/lib/ferry/near and lib/ferry/{near,far}, seen from bin */
static int setup(void **state)
{
	(void)state;
	(void)strcpy(base, "/tmp/ferry-home-XXXXXX");
	assert_non_null(mkdtemp(base));
	make_dir("bin");
	make_dir("bin/lib");
	make_dir("bin/lib/ferry");
	make_dir("lib");
	make_dir("lib/ferry");
	make_file("bin/lib/ferry/near");
	make_file("lib/ferry/near");
	make_file("lib/ferry/far");
	return 0;
}

static int teardown(void **state)
{
	static const char *const tails[] = {
		"bin/lib/ferry/near",
		"lib/ferry/near",
		"lib/ferry/far",
		"bin/lib/ferry",
		"bin/lib",
		"bin",
		"lib/ferry",
		"lib",
		"",
	};
	char path[PATH_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		path_in_base(path, sizeof(path), tails[i]);
		assert_int_equal(remove(path), 0);
	}
	return 0;
}

static void expect(const char *name, const char *tail)
{
	char dir[PATH_MAX];
	char want[PATH_MAX];
	char out[PATH_MAX] = "";
	struct err e = { 0 };

	path_in_base(dir, sizeof(dir), "bin");
	path_in_base(want, sizeof(want), tail);
	assert_int_equal(tool_lib_path_at(dir, name, out, sizeof(out), &e), 0);
	assert_string_equal(out, want);
}

static void test_build_tree_comes_before_installed_tree(void **state)
{
	(void)state;
	expect("near", "bin/lib/ferry/near");
	expect("far", "bin/../lib/ferry/far");
}

static void test_absent_file_is_named_with_both_folders(void **state)
{
	char dir[PATH_MAX];
	char out[PATH_MAX] = "kept";
	struct err e = { 0 };

	(void)state;
	path_in_base(dir, sizeof(dir), "bin");
	assert_int_equal(tool_lib_path_at(dir, "none", out, sizeof(out), &e),
			 -ENOENT);
	assert_string_equal(out, "kept");
	assert_non_null(strstr(e.text, "none is neither in "));
	assert_non_null(strstr(e.text, "/bin/../lib/ferry"));
}

static void test_too_small_buffer_is_refused(void **state)
{
	char dir[PATH_MAX];
	char out[8] = "kept";
	struct err e = { 0 };

	(void)state;
	path_in_base(dir, sizeof(dir), "bin");
	assert_int_equal(tool_lib_path_at(dir, "near", out, sizeof(out), &e),
			 -ENAMETOOLONG);
	assert_string_equal(out, "kept");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_build_tree_comes_before_installed_tree),
		cmocka_unit_test(test_absent_file_is_named_with_both_folders),
		cmocka_unit_test(test_too_small_buffer_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
