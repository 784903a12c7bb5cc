/* tests/unit/test_spawn.c - children get what they should have, no more */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "bridge/io/spawn.h"

/* argv wants pointers to char, literals are const. */
#define STR(s) ((char[]){ s })

static char plain_a[] = "A=1";
static char *const plain_env[] = { plain_a, NULL };

/* Runs a shell line; its output comes back in @out. Return: wait status */
static int run_shell(const char *line, struct spawn s, char *out, size_t size)
{
	char *copy = strdup(line);
	char *argv[] = { STR("sh"), STR("-c"), copy, NULL };
	int p[2], status = -1;
	struct err e = { 0 };
	pid_t pid = -1;
	ssize_t n;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	s.argv = argv;
	s.envp = plain_env;
	s.path = "/nonexistent:/bin:/usr/bin";
	s.stdio[1] = p[1];
	assert_int_equal(spawn_start(&s, &pid, NULL, &e), 0);
	close(p[1]);
	n = fd_read_full(p[0], out, size - 1);
	assert_true(n >= 0);
	out[n] = '\0';
	close(p[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	free(copy);
	return status;
}

static const struct spawn nothing = { .stdio = { -1, -1, -1 } };

static void test_environment_directory_and_output(void **state)
{
	struct spawn s = nothing;
	char out[128];

	(void)state;
	s.cwd = "/usr";
	assert_int_equal(run_shell("echo $A $PWD", s, out, sizeof(out)), 0);
	assert_string_equal(out, "1 /usr\n");
}

static void test_child_has_no_other_descriptor(void **state)
{
	/* Not close-on-exec on purpose: the second lock has to hold. */
	const int leaky = dup(0);
	char out[256];

	(void)state;
	assert_true(leaky >= 0);
	assert_int_equal(run_shell("for f in /proc/self/fd/*; do "
				   "n=${f##*/}; "
				   "[ $n -gt 2 ] && [ -e /proc/$$/fd/$n ] && "
				   "[ $n -ne 10 ] && echo $n; done; exit 0",
				   nothing, out, sizeof(out)),
			 0);
	assert_string_equal(out, "");
	close(leaky);
}

/* Set by main, before the first start. */
#define IGNORED_EARLY SIGUSR2
#define IGNORED_RAW 33 /* one that the library keeps to itself */

static void test_signals_are_default_and_open(void **state)
{
	sigset_t set;
	char out[256];

	(void)state;
	signal(SIGPIPE, SIG_IGN); /* later than the first start */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	run_shell("grep -E 'SigBlk|SigIgn' /proc/self/status | tr -d '\\n'",
		  nothing, out, sizeof(out));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	assert_string_equal(
		out, "SigBlk:\t0000000000000000SigIgn:\t0000000000000000");
}

/* What spawn.c calls is this one: a parent that is gone has another id. */
static bool parent_is_gone;

pid_t getppid(void)
{
	return parent_is_gone ? 1 : (pid_t)syscall(SYS_getppid);
}

static void test_a_child_of_a_dead_parent_runs_nothing(void **state)
{
	struct spawn s = nothing;
	char out[32];
	int status;

	(void)state;
	s.die_with_parent = true;
	assert_int_equal(run_shell("echo ran", s, out, sizeof(out)), 0);
	assert_string_equal(out, "ran\n");
	parent_is_gone = true;
	status = run_shell("echo ran", s, out, sizeof(out));
	parent_is_gone = false;
	assert_string_equal(out, "");
	assert_int_equal(WEXITSTATUS(status), 127);
}

static void test_failures_name_their_step(void **state)
{
	char *argv[] = { STR("/nonexistent/x"), NULL };
	struct spawn s = nothing;
	struct err e = { 0 };
	pid_t pid = -7;

	(void)state;
	s.argv = argv;
	s.envp = plain_env;
	assert_int_equal(spawn_start(&s, &pid, NULL, &e), -ENOENT);
	assert_string_equal(e.text,
			    "exec /nonexistent/x: No such file or directory");
	assert_int_equal(pid, -7);

	argv[0] = STR("/etc/passwd");
	assert_int_equal(spawn_start(&s, &pid, NULL, &e), -EACCES);
	argv[0] = STR("no-such-program-anywhere");
	assert_int_equal(spawn_start(&s, &pid, NULL, &e), -ENOENT);
	argv[0] = STR("");
	assert_int_equal(spawn_start(&s, &pid, NULL, &e), -ENOENT);
	argv[0] = STR("/bin/true");
	s.cwd = "/nonexistent";
	assert_int_equal(spawn_start(&s, &pid, NULL, &e), -ENOENT);
	assert_string_equal(e.text,
			    "working directory: No such file or directory");
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* all reaped */
	assert_int_equal(errno, ECHILD);
}

static void test_stdio_may_be_crossed(void **state)
{
	char *argv[] = { STR("sh"), STR("-c"), STR("echo out; echo err >&2"),
			 NULL };
	struct spawn s = nothing;
	struct err e = { 0 };
	int saved[3], p[2], status;
	char out[32];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	for (int i = 0; i < 3; i++)
		saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
	dup2(p[1], 1); /* the source of 2 is 1, and that of 1 is 2 */
	s.argv = argv;
	s.envp = plain_env;
	s.path = "/bin";
	s.stdio[1] = 2;
	s.stdio[2] = 1;
	assert_int_equal(spawn_start(&s, &pid, NULL, &e), 0);
	dup2(saved[1], 1);
	for (int i = 0; i < 3; i++)
		close(saved[i]);
	close(p[1]);
	out[fd_read_full(p[0], out, sizeof(out) - 1)] = '\0';
	close(p[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_string_equal(out, "err\n");
}

static void test_pidfd_is_close_on_exec_and_names_the_child(void **state)
{
	char *argv[] = { STR("sleep"), STR("60"), NULL };
	struct spawn s = nothing;
	struct err e = { 0 };
	int pidfd = -1, status;
	pid_t pid;

	(void)state;
	s.argv = argv;
	s.envp = plain_env;
	s.path = "/bin";
	assert_int_equal(spawn_start(&s, &pid, &pidfd, &e), 0);
	assert_int_equal(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	close(pidfd);
}

static void test_descriptor_limit_of_the_child(void **state)
{
	const struct rlimit limit = { .rlim_cur = 77, .rlim_max = 99 };
	struct spawn s = nothing;
	char out[32];

	(void)state;
	s.nofile = &limit;
	assert_int_equal(run_shell("ulimit -n", s, out, sizeof(out)), 0);
	assert_string_equal(out, "77\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_environment_directory_and_output),
		cmocka_unit_test(test_child_has_no_other_descriptor),
		cmocka_unit_test(test_signals_are_default_and_open),
		cmocka_unit_test(test_a_child_of_a_dead_parent_runs_nothing),
		cmocka_unit_test(test_failures_name_their_step),
		cmocka_unit_test(test_stdio_may_be_crossed),
		cmocka_unit_test(
			test_pidfd_is_close_on_exec_and_names_the_child),
		cmocka_unit_test(test_descriptor_limit_of_the_child),
	};

	/* SIG_IGN, the rest zero, as a program inherits it. */
	const uintptr_t ignore[8] = { (uintptr_t)SIG_IGN };

	signal(IGNORED_EARLY, SIG_IGN);
	(void)syscall(SYS_rt_sigaction, IGNORED_RAW, ignore, NULL, 8);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
