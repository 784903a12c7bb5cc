/*
 * tests/unit/test_upgrade_script.c - what ferry upgrade-agent runs in a UVM, as
 * the child of a shell that stands for the agent
 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/digest.h"
#include "tools/upgrade_script.h"

#define HEX_SIZE (2u * DIGEST_BYTES + 1)
#define NEW_SIZE 300000u /* more than a pipe holds */

static char dir[32];
static char new[NEW_SIZE];
static char want[HEX_SIZE]; /* its sum */
static char said[256];	    /* by the last script */

static const char *in_dir(const char *name)
{
	static char path[4][64];
	static unsigned int turn;
	char *p = path[turn++ % 4];

	(void)snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static void sum(const void *data, size_t len, char out[HEX_SIZE])
{
	uint8_t bytes[DIGEST_BYTES];
	struct digest d;

	digest_init(&d);
	digest_add(&d, data, len);
	digest_done(&d, bytes);
	for (size_t i = 0; i < DIGEST_BYTES; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void make_file(const char *name, const void *data, size_t len,
		      mode_t mode)
{
	cleanup_fd fd = open(in_dir(name),
			     O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, data, len), 0);
}

static bool there(const char *name)
{
	return access(in_dir(name), F_OK) == 0;
}

/* Return: bytes of it, which @buf takes; 0: there is none */
static size_t take(const char *name, char *buf, size_t size)
{
	cleanup_fd fd = open(in_dir(name), O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? 0 : fd_read_full(fd, buf, size);

	assert_true(n >= 0);
	return (size_t)n;
}

/* The agent is a shell: it is on every machine. */
static int set_up(void **state)
{
	static char shell[4 << 20];
	cleanup_fd fd = open("/bin/sh", O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd_read_full(fd, shell, sizeof(shell));

	(void)state;
	assert_in_range(n, 1, sizeof(shell) - 1);
	memcpy(dir, "/tmp/ferry-upgrade-XXXXXX", 26);
	assert_non_null(mkdtemp(dir));
	make_file("gcs", shell, (size_t)n, 0700);
	for (size_t i = 0; i < NEW_SIZE; i++)
		new[i] = (char)(i * 7);
	sum(new, NEW_SIZE, want);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = { "gcs", "gcs.part", "gcs.new",
					     "gcs.old", "in" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(in_dir(names[i]));
	return rmdir(dir);
}

/* The agent runs @script, with the first @len bytes of the new one as its
 * input. Return: the script's exit status, or 128 and the signal that the agent
 * died of */
static int run(const char *script, size_t len)
{
	int out[2], status;
	ssize_t n;
	pid_t pid;

	make_file("in", new, len, 0600);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		if (dup2(open(in_dir("in"), O_RDONLY | O_CLOEXEC), 0) < 0 ||
		    dup2(out[1], 1) < 0)
			_exit(99);
		/* What follows "$@" keeps it from becoming the script. */
		(void)execl(in_dir("gcs"), "gcs", "-c", "\"$@\"; exit $?",
			    "gcs", "/bin/sh", "-c", script, "sh", want,
			    (char *)NULL);
		_exit(98);
	}
	fd_close(&out[1]);
	n = fd_read_full(out[0], said, sizeof(said) - 1);
	said[n > 0 ? n : 0] = '\0';
	fd_close(&out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

/* The sum of what runs as the agent. */
static const char *running(void)
{
	static char shell[4 << 20], hex[HEX_SIZE];

	sum(shell, take("gcs", shell, sizeof(shell)), hex);
	return hex;
}

static void test_a_whole_copy_waits_beside_the_agent(void **state)
{
	static char got[NEW_SIZE + 1];
	struct stat st;

	(void)state;
	assert_int_equal(run(upgrade_copy, NEW_SIZE), 0);
	assert_memory_equal(said, running(), HEX_SIZE - 1);
	assert_int_equal(take("gcs.part", got, sizeof(got)), NEW_SIZE);
	assert_memory_equal(got, new, NEW_SIZE);
	assert_int_equal(stat(in_dir("gcs.part"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_false(there("gcs.new")); /* nothing that PID 1 would take */
}

static void test_a_copy_that_was_cut_is_refused(void **state)
{
	(void)state;
	assert_int_not_equal(run(upgrade_copy, NEW_SIZE - 1), 0);
	assert_string_equal(said, "");
	assert_false(there("gcs.new"));
	assert_int_equal(run(upgrade_drop, 0), 0);
	assert_false(there("gcs.part"));
	assert_int_equal(run(upgrade_drop, 0), 0); /* nothing to drop */
}

static void test_a_copy_of_something_else_is_refused(void **state)
{
	(void)state;
	new[NEW_SIZE / 2] ^= 1;
	assert_int_not_equal(run(upgrade_copy, NEW_SIZE), 0);
	assert_int_not_equal(run(upgrade_copy, 0), 0);
}

static void test_the_swap_gives_the_name_and_kills(void **state)
{
	static char got[NEW_SIZE + 1];

	(void)state;
	assert_int_equal(run(upgrade_copy, NEW_SIZE), 0);
	assert_int_equal(run(upgrade_swap, 0), 128 + SIGKILL);
	assert_false(there("gcs.part"));
	assert_int_equal(take("gcs.new", got, sizeof(got)), NEW_SIZE);
	assert_true(there("gcs")); /* PID 1 has the last word */
}

static void test_nothing_to_swap_kills_nobody(void **state)
{
	(void)state;
	assert_int_not_equal(run(upgrade_swap, 0), 128 + SIGKILL);
	assert_false(there("gcs.new"));
}

static void test_an_answer_is_of_one_moment(void **state)
{
	(void)state;
	assert_int_equal(run(upgrade_ask, 0), 0);
	assert_memory_equal(said, running(), HEX_SIZE - 1);
	make_file("gcs.old", "x", 1, 0700);
	assert_int_not_equal(run(upgrade_ask, 0), 0); /* on trial */
	(void)unlink(in_dir("gcs.old"));
	make_file("gcs.new", "x", 1, 0700);
	assert_int_not_equal(run(upgrade_ask, 0), 0); /* not yet begun */
	(void)unlink(in_dir("gcs.new"));
	assert_int_equal(run(upgrade_ask, 0), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_whole_copy_waits_beside_the_agent),
		T(test_a_copy_that_was_cut_is_refused),
		T(test_a_copy_of_something_else_is_refused),
		T(test_the_swap_gives_the_name_and_kills),
		T(test_nothing_to_swap_kills_nobody),
		T(test_an_answer_is_of_one_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
