/* tests/unit/test_guest_job_exec.c - programs with deadlines and bounded output */
#include "tests/unit/job_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/guest/job.h"

static void test_program_without_vsock(void **state)
{
	struct seen s;

	(void)state;
	if (geteuid() != 0)
		skip();
	shell("grep ^Seccomp: /proc/self/status",
	      (struct job_exec){ .no_vsock = true }, &s);
	run_until(&s);
	assert_string_equal(s.out, "Seccomp:\t2\n");
	shell("grep ^Seccomp: /proc/self/status", (struct job_exec){ 0 }, &s);
	run_until(&s);
	assert_string_equal(s.out, "Seccomp:\t0\n");
}

static void test_program_tells_code_and_both_outputs(void **state)
{
	static char one[] = "ONE=1";
	static char *const envp[] = { one, NULL };
	struct seen s;

	(void)state;
	shell("cat; echo $ONE $PWD >&2; exit 3",
	      (struct job_exec){ .envp = envp,
				 .cwd = "/usr",
				 .input = "input",
				 .input_len = 5 },
	      &s);
	run_until(&s);
	assert_int_equal(s.result, 3);
	assert_string_equal(s.out, "input");
	assert_string_equal(s.errors, "1 /usr\n");
	shell("kill -9 $$", (struct job_exec){ 0 }, &s);
	run_until(&s);
	assert_int_equal(s.result, 128 + SIGKILL);
}

static void test_program_that_is_not_there_is_told_later(void **state)
{
	char *argv[] = { STR("/nonexistent/program"), NULL };
	struct seen s = { 0 };
	const struct job_exec x = {
		.name = "none",
		.argv = argv,
		.deadline_ms = LONG_MS,
		.done = on_done,
		.ctx = &s,
	};
	struct err e = { 0 };

	(void)state;
	assert_int_equal(job_exec(&jobs, &x, NULL, &e), 0);
	run_until(&s);
	assert_int_equal(s.result, -ENOENT);
	assert_non_null(strstr(s.err.text, "/nonexistent/program"));
}

static void test_hanging_program_is_killed_with_its_children(void **state)
{
	struct seen s;
	int p[2];
	char byte;

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	shell("sleep 1000 & sleep 1000",
	      (struct job_exec){ .stdio = (int[]){ -1, p[1], -1 },
				 .deadline_ms = SHORT_MS },
	      &s);
	close(p[1]); /* the job has its own */
	run_until(&s);
	assert_int_equal(s.result, -ETIMEDOUT);
	assert_int_equal(read(p[0], &byte, 1), 0);
	close(p[0]);
}

/* The loop has no room for a child that has started others already. */
static int failing_at = -1; /* a pipe that the program writes to first */

int __real_epoll_ctl(int fd, int op, int watched, struct epoll_event *ev);
int __wrap_epoll_ctl(int fd, int op, int watched, struct epoll_event *ev);

int __wrap_epoll_ctl(int fd, int op, int watched, struct epoll_event *ev)
{
	char byte;

	if (op != EPOLL_CTL_ADD || failing_at < 0)
		return __real_epoll_ctl(fd, op, watched, ev);
	assert_int_equal(read(failing_at, &byte, 1), 1);
	failing_at = -1;
	errno = ENOSPC;
	return -1;
}

static void
test_a_child_that_cannot_be_watched_ends_with_its_group(void **state)
{
	struct seen s;
	int p[2];

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	shell("sleep 1000 & echo; sleep 1000",
	      (struct job_exec){ .stdio = (int[]){ -1, p[1], -1 } }, &s);
	close(p[1]); /* the job has its own */
	while (s.times == 0) {
		failing_at = jobs.n_queued > 0 ? p[0] : failing_at;
		assert_true(loop_turn(loop, LONG_MS, NULL) > 0);
	}
	assert_int_equal(s.result, -ENOSPC);
	assert_int_equal(s.times, 1);
	assert_int_equal(jobs.started, 0);
	assert_ended(p[0]);
}

static void test_program_that_floods_is_bounded_and_ends(void **state)
{
	struct seen s;

	(void)state;
	shell("i=0; while [ $i -lt 3000 ]; do echo $i-aaaaaaaaaaaaaaaaaaaaaaa; "
	      "echo x >&2; i=$((i + 1)); done; echo end",
	      (struct job_exec){ .output_max = 100 }, &s);
	run_until(&s);
	assert_int_equal(s.result, 0);
	assert_true(s.out_cut && s.errors_cut);
	assert_int_equal(s.out_len, 100);
	/* The last words are kept. */
	assert_string_equal(s.out + 96, "end\n");
}

static void test_program_ends_though_others_hold_its_output(void **state)
{
	struct seen s;

	(void)state;
	shell("echo said; setsid sleep 1 & exit 0", (struct job_exec){ 0 }, &s);
	run_until(&s);
	assert_int_equal(s.result, 0);
	assert_string_equal(s.out, "said\n");
}

static int fn_runs(void *arg, struct text *out, struct err *e)
{
	char *const argv[] = { STR("sh"), STR("-c"), arg, NULL };

	(void)out;
	return job_run(argv, NULL, "word\n", 5, e);
}

static void test_function_runs_a_program(void **state)
{
	struct seen s;

	(void)state;
	(void)call(fn_runs, STR("read a; test $a = word"), LONG_MS, &s);
	run_until(&s);
	assert_int_equal(s.result, 0);
	(void)call(fn_runs, STR("echo first; echo its reason >&2; exit 4"),
		   LONG_MS, &s);
	run_until(&s);
	assert_int_equal(s.result, -EIO);
	assert_string_equal(s.err.text, "sh ended with 4: first its reason");
	/* One that floods cannot take all memory. */
	(void)call(fn_runs, STR("yes 2>/dev/null; exit 5"), LONG_MS, &s);
	run_until(&s);
	assert_int_equal(s.result, -EIO);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_program_tells_code_and_both_outputs),
		T(test_program_that_is_not_there_is_told_later),
		T(test_hanging_program_is_killed_with_its_children),
		T(test_a_child_that_cannot_be_watched_ends_with_its_group),
		T(test_program_that_floods_is_bounded_and_ends),
		T(test_program_ends_though_others_hold_its_output),
		T(test_function_runs_a_program),
		T(test_program_without_vsock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
