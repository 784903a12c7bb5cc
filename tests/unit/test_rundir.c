/* tests/unit/test_rundir.c - folders of sandboxes, and those of dead owners */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"
#include "tools/qemu/rundir.h"

static char base[64];
static char parent[96];

static int set_up(void **state UNUSED)
{
	(void)snprintf(base, sizeof(base), "/tmp/rundir-XXXXXX");
	assert_non_null(mkdtemp(base));
	(void)snprintf(parent, sizeof(parent), "%s/ferry-%u", base,
		       (unsigned int)geteuid());
	return 0;
}

static int tear_down(void **state UNUSED)
{
	(void)rmdir(parent);
	assert_int_equal(rmdir(base), 0);
	return 0;
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static void put_file(const char *dir)
{
	char path[160];
	cleanup_fd fd = -1;

	(void)snprintf(path, sizeof(path), "%s/v_109", dir);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
}

static void put_bundle(const char *dir)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/b-web", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	put_file(path);
}

static void rundir_is_private_and_goes_with_its_content(void **state UNUSED)
{
	struct rundir d = RUNDIR_NONE;
	struct stat st;
	struct err e;
	char path[RUNDIR_MAX];

	assert_int_equal(rundir_new(base, &d, &e), 0);
	assert_int_equal(stat(d.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	put_file(d.path);
	put_bundle(d.path);
	(void)snprintf(path, sizeof(path), "%s", d.path);
	rundir_done(&d);
	assert_false(exists(path));
	assert_string_equal(d.path, "");
	rundir_done(&d);
}

static void rundir_of_a_living_owner_stays(void **state UNUSED)
{
	struct rundir a = RUNDIR_NONE;
	struct rundir b = RUNDIR_NONE;
	struct err e;

	assert_int_equal(rundir_new(base, &a, &e), 0);
	assert_int_equal(rundir_new(base, &b, &e), 0);
	assert_true(exists(a.path));
	assert_string_not_equal(a.path, b.path);
	rundir_done(&a);
	rundir_done(&b);
}

/* A child makes a folder and is killed: the next start removes it. */
static void rundir_of_a_killed_owner_is_cleaned(void **state UNUSED)
{
	struct rundir d = RUNDIR_NONE;
	char path[RUNDIR_MAX] = "";
	struct err e;
	int fd[2];
	pid_t pid;

	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (rundir_new(base, &d, &e) < 0)
			_exit(1);
		put_file(d.path);
		(void)fd_write_full(fd[1], d.path, sizeof(d.path));
		(void)pause();
		_exit(1);
	}
	assert_int_equal(fd_read_full(fd[0], path, sizeof(path)), sizeof(path));
	assert_true(exists(path));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(exists(path));
	assert_int_equal(rundir_new(base, &d, &e), 0);
	assert_false(exists(path));
	rundir_done(&d);
	fd_close(&fd[0]);
	fd_close(&fd[1]);
}

/* Return: a socket at @path; with @listens somebody would answer */
static int put_socket(const char *path, bool listens)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	if (listens)
		assert_int_equal(listen(fd, 1), 0);
	return fd;
}

/* A folder whose owner has died, and its link to @target. */
static void put_dead(const char *target)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "%s/shim-dead", parent);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/shim-dead/" RUNDIR_SOCKET,
		       parent);
	assert_int_equal(symlink(target, path), 0);
}

static void rundir_s_dead_owner_s_socket_goes_with_it(void **state UNUSED)
{
	const struct timespec later[2] = { { .tv_sec = INT32_MAX },
					   { .tv_sec = INT32_MAX } };
	struct err e;
	char path[96];
	int fd;

	assert_int_equal(mkdir(parent, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/socket", base);
	/* Nobody listens: it goes. */
	fd = put_socket(path, false);
	put_dead(path);
	assert_int_equal(rundir_clean(base, NULL, NULL, &e), 0);
	assert_false(exists(path));
	fd_close(&fd);
	/* Another one, on which somebody listens, or will. */
	for (int listens = 0; listens <= 1; listens++) {
		fd = put_socket(path, listens);
		put_dead(path);
		if (!listens)
			assert_int_equal(utimensat(AT_FDCWD, path, later, 0),
					 0);
		assert_int_equal(rundir_clean(base, NULL, NULL, &e), 0);
		assert_true(exists(path));
		fd_close(&fd);
		assert_int_equal(unlink(path), 0);
	}
	/* No socket. */
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	put_dead(path);
	assert_int_equal(rundir_clean(base, NULL, NULL, &e), 0);
	assert_true(exists(path));
	fd_close(&fd);
	assert_int_equal(unlink(path), 0);
}

static void rundir_refuses_a_parent_open_to_others(void **state UNUSED)
{
	struct rundir d = RUNDIR_NONE;
	struct err e;

	assert_int_equal(mkdir(parent, 0700), 0);
	assert_int_equal(chmod(parent, 0755), 0);
	assert_int_equal(rundir_new(base, &d, &e), -EPERM);
	assert_string_equal(d.path, "");
}

static void rundir_refuses_a_parent_that_is_a_link(void **state UNUSED)
{
	struct rundir d = RUNDIR_NONE;
	struct err e;

	assert_int_equal(symlink("/tmp", parent), 0);
	assert_true(rundir_new(base, &d, &e) < 0);
	assert_int_equal(unlink(parent), 0);
}

static void rundir_refuses_long_paths_and_missing_ones(void **state UNUSED)
{
	struct rundir d = RUNDIR_NONE;
	char path[128];
	struct err e;

	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(rundir_new(path, &d, &e), -ENAMETOOLONG);
	assert_int_equal(rundir_new("/nowhere", &d, &e), -ENOENT);
	assert_non_null(strstr(e.text, "/nowhere"));
	assert_string_equal(d.path, "");
}

static void rundir_base_is_from_the_environment(void **state UNUSED)
{
	assert_int_equal(setenv("TMPDIR", "/b", 1), 0);
	assert_int_equal(setenv("XDG_RUNTIME_DIR", "/a", 1), 0);
	assert_string_equal(rundir_base(), "/a");
	assert_int_equal(setenv("XDG_RUNTIME_DIR", "relative", 1), 0);
	assert_string_equal(rundir_base(), "/b");
	assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
	assert_int_equal(unsetenv("TMPDIR"), 0);
	assert_string_equal(rundir_base(), "/tmp");
}

#define RUNDIR_TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUNDIR_TEST(rundir_is_private_and_goes_with_its_content),
		RUNDIR_TEST(rundir_of_a_living_owner_stays),
		RUNDIR_TEST(rundir_of_a_killed_owner_is_cleaned),
		RUNDIR_TEST(rundir_s_dead_owner_s_socket_goes_with_it),
		RUNDIR_TEST(rundir_refuses_a_parent_open_to_others),
		RUNDIR_TEST(rundir_refuses_a_parent_that_is_a_link),
		RUNDIR_TEST(rundir_refuses_long_paths_and_missing_ones),
		cmocka_unit_test(rundir_base_is_from_the_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
