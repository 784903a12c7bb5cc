/*
 * tests/unit/test_guest_job.c - functions in children with deadlines, and many jobs
 * at once
 */
#include "tests/unit/job_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/guest/job.h"
#include "bridge/io/fd.h"
#include "config/util.h"

/* --- functions ------------------------------------------------------------- */

static int fn_answer(void *arg, struct text *out, struct err *e)
{
	text_addf(out, "%s in %d", (const char *)arg, getppid() > 0);
	if (strcmp(arg, "bad") == 0)
		return err_set(e, ENODEV, "no disk");
	return 7;
}

static void test_function_tells_result_text_and_error(void **state)
{
	struct seen s;

	(void)state;
	(void)call(fn_answer, STR("good"), LONG_MS, &s);
	run_until(&s);
	assert_int_equal(s.result, 7);
	assert_string_equal(s.out, "good in 1");
	(void)call(fn_answer, STR("bad"), LONG_MS, &s);
	run_until(&s);
	assert_int_equal(s.result, -ENODEV);
	assert_string_equal(s.err.text, "no disk");
	assert_int_equal(s.err.code, ENODEV);
}

static int fn_hang(void *arg, struct text *out, struct err *e)
{
	(void)arg;
	(void)out;
	(void)e;
	(void)signal(SIGTERM, SIG_IGN);
	for (;;)
		(void)pause();
	return 0;
}

static void test_hanging_function_is_killed_at_its_deadline(void **state)
{
	struct seen s;

	(void)state;
	(void)call(fn_hang, NULL, SHORT_MS, &s);
	run_until(&s);
	assert_int_equal(s.result, -ETIMEDOUT);
	assert_string_equal(s.err.text, "test: no end within 50 ms");
	assert_true(jobs.n_running[JOB_WORK] == 0 && jobs.expired == 1);
}

/* Starts a program that holds a pipe open for ever, and says so. */
static int fn_leaves_a_child(void *arg, struct text *out, struct err *e)
{
	const int fd = *(const int *)arg;
	const pid_t pid = fork();

	(void)out;
	(void)e;
	if (pid == 0)
		fn_hang(NULL, NULL, NULL);
	(void)fd; /* the child has it */
	return pid > 0 ? 0 : -EAGAIN;
}

static void test_what_a_function_started_ends_with_it(void **state)
{
	struct seen s;
	struct job_call c = {
		.name = "test",
		.fn = fn_leaves_a_child,
		.deadline_ms = LONG_MS,
		.n_keep = 1,
		.done = on_done,
		.ctx = &s,
	};
	struct err e = { 0 };
	int p[2];
	char byte;

	(void)state;
	s = (struct seen){ 0 };
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	c.arg = &p[1];
	c.keep = &p[1];
	assert_int_equal(job_call(&jobs, &c, NULL, &e), 0);
	run_until(&s);
	assert_int_equal(s.result, 0);
	close(p[1]);
	/* End of file: nobody has the other end any more. */
	assert_int_equal(read(p[0], &byte, 1), 0);
	close(p[0]);
}

/* Has a child that holds a pipe open for ever, and stays; says when it is so. */
static int fn_stays_with_a_child(void *arg, struct text *out, struct err *e)
{
	const int fd = *(const int *)arg;
	const pid_t pid = fork();

	(void)alarm(3 * LONG_MS / 1000); /* should nobody kill them */
	if (pid > 0 && write(fd, "x", 1) != 1)
		return -EIO;
	return fn_hang(NULL, out, e);
}

/* Return: the reading end of a pipe that a running job and its child hold */
static int hold_a_pipe(struct job **j, struct seen *s)
{
	static int writing; /* of the job, which may be told late */
	struct job_call c = {
		.name = "test",
		.fn = fn_stays_with_a_child,
		.deadline_ms = LONG_MS,
		.n_keep = 1,
		.done = on_done,
		.ctx = s,
	};
	struct err e = { 0 };
	int p[2];
	char byte;

	*s = (struct seen){ 0 };
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	writing = p[1];
	c.arg = &writing;
	c.keep = &writing;
	assert_int_equal(job_call(&jobs, &c, j, &e), 0);
	while (jobs.started == 0)
		assert_true(loop_turn(loop, LONG_MS, &e) > 0);
	close(p[1]);
	assert_int_equal(read(p[0], &byte, 1), 1);
	return p[0];
}

/* Not only when its leader is reaped: that may sit in the kernel for long. */
static void test_the_whole_group_is_killed_at_once(void **state)
{
	struct seen s;
	struct job *j = NULL;
	const int fd = hold_a_pipe(&j, &s);

	(void)state;
	job_cancel(j);
	assert_ended(fd); /* the loop has not turned */
	assert_int_equal(s.times, 0);
	run_until(&s);
	assert_int_equal(s.result, -ECANCELED);
}

static void test_the_whole_group_ends_with_the_agent(void **state)
{
	struct seen s;
	struct job *j = NULL;
	const int fd = hold_a_pipe(&j, &s);

	(void)state;
	jobs_done(&jobs);
	assert_ended(fd);
	assert_int_equal(s.times, 0);
	jobs_init(&jobs, loop, NULL);
}

static int fn_list(void *arg, struct text *out, struct err *e)
{
	(void)arg;
	(void)e;
	for (int fd = 0; fd < 1024; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			text_addf(out, "%d ", fd);
	}
	text_addf(out, "group=%d", getpgrp() == getpid());
	return 0;
}

static void test_function_has_only_the_descriptors_it_names(void **state)
{
	const int other = dup(0);
	const int keep[] = { fcntl(0, F_DUPFD_CLOEXEC, 200),
			     fcntl(0, F_DUPFD_CLOEXEC, 100) };
	struct seen s = { 0 };
	const struct job_call c = {
		.name = "test",
		.fn = fn_list,
		.deadline_ms = LONG_MS,
		.keep = keep,
		.n_keep = 2,
		.done = on_done,
		.ctx = &s,
	};
	char want[64];
	struct err e = { 0 };
	int report;

	(void)state;
	assert_int_equal(job_call(&jobs, &c, NULL, &e), 0);
	run_until(&s);
	/* One more: the pipe of its report, whatever its number is. */
	assert_int_equal(sscanf(s.out, "0 1 2 %d", &report), 1);
	(void)snprintf(want, sizeof(want), "0 1 2 %d 100 200 group=1", report);
	assert_string_equal(s.out, want);
	close(other);
	close(keep[0]);
	close(keep[1]);
}

static int fn_dies(void *arg, struct text *out, struct err *e)
{
	(void)arg;
	(void)out;
	(void)e;
	raise(SIGKILL);
	return 0;
}

static int fn_too_much(void *arg, struct text *out, struct err *e)
{
	(void)arg;
	(void)e;
	for (int i = 0; i < 100000; i++)
		text_add(out, "0123456789");
	return 0;
}

static void test_function_that_dies_or_says_too_much_is_an_error(void **state)
{
	struct seen s;

	(void)state;
	(void)call(fn_dies, NULL, LONG_MS, &s);
	run_until(&s);
	assert_int_equal(s.result, -EPROTO);
	(void)call(fn_too_much, NULL, LONG_MS, &s);
	run_until(&s);
	assert_int_equal(s.result, -EMSGSIZE);
	assert_string_equal(s.out, "");
}

/* --- cancelling ------------------------------------------------------------ */

static void test_cancelled_job_is_told_once(void **state)
{
	struct seen s, t;
	struct job *j = call(fn_hang, NULL, LONG_MS, &s);
	struct err e = { 0 };

	(void)state;
	job_cancel(j); /* never started */
	assert_int_equal(s.times, 0);
	run_until(&s);
	assert_int_equal(s.result, -ECANCELED);
	assert_int_equal(jobs.started, 0);

	j = call(fn_hang, NULL, LONG_MS, &t);
	assert_true(loop_turn(loop, LONG_MS, &e) > 0);
	assert_int_equal(jobs.started, 1);
	job_cancel(j);
	job_cancel(j);
	run_until(&t);
	assert_int_equal(t.result, -ECANCELED);
}

/* --- many ------------------------------------------------------------------ */

/* It has to live as long as the jobs. */
static char good[] = "good";

static void on_again(void *ctx, const struct job_result *r)
{
	struct seen *s = ctx;
	struct jobs *all = s->again;

	on_done(s, r);
	if (s->times == 1 && all) {
		struct err e = { 0 };
		const struct job_call c = { .name = "again",
					    .fn = fn_answer,
					    .arg = good,
					    .deadline_ms = LONG_MS,
					    .done = on_again,
					    .ctx = s };

		s->again = NULL;
		s->times = 0;
		assert_int_equal(job_call(all, &c, NULL, &e), 0);
	}
}

static void test_hundred_side_by_side_in_bounded_slots(void **state)
{
	enum { N = 100 };
	static struct seen s[N];
	struct err e = { 0 };
	size_t most = 0;

	(void)state;
	for (int i = 0; i < N; i++) {
		const struct job_call c = {
			.name = "many",
			.fn = fn_answer,
			.arg = good,
			.deadline_ms = LONG_MS,
			.done = on_again,
			.ctx = &s[i],
		};

		s[i] = (struct seen){ .again = i % 10 == 0 ? &jobs : NULL };
		assert_int_equal(job_call(&jobs, &c, NULL, &e), 0);
	}
	assert_int_equal(jobs.n_queued, N);
	while (jobs.n_queued + jobs.n_running[JOB_WORK] > 0) {
		assert_true(loop_turn(loop, LONG_MS, &e) > 0);
		if (jobs.n_running[JOB_WORK] > most)
			most = jobs.n_running[JOB_WORK];
		assert_true(jobs.n_running[JOB_WORK] <= JOBS_WORK_MAX);
	}
	assert_true(most > 1);
	assert_int_equal(jobs.started, N + N / 10);
	for (int i = 0; i < N; i++) {
		assert_int_equal(s[i].times, 1);
		assert_int_equal(s[i].result, 7);
	}
}

static void test_waiting_jobs_do_not_hold_up_work(void **state)
{
	static struct seen held[JOBS_WAIT_MAX];
	static struct seen s;
	struct job_call c = {
		.name = "wait",
		.fn = fn_hang,
		.deadline_ms = LONG_MS,
		.class = JOB_WAIT,
		.done = on_done,
	};
	struct err e = { 0 };

	(void)state;
	for (unsigned int i = 0; i < JOBS_WAIT_MAX; i++) {
		c.ctx = &held[i];
		assert_int_equal(job_call(&jobs, &c, NULL, &e), 0);
	}
	(void)call(fn_answer, STR("good"), LONG_MS, &s);
	run_until(&s);
	assert_int_equal(s.result, 7);
	assert_int_equal(held[0].times, 0);
}

static int open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void test_no_descriptor_is_left(void **state)
{
	struct seen s;
	const int before = open_descriptors();

	(void)state;
	shell("echo a; echo b >&2",
	      (struct job_exec){ .input = "x", .input_len = 1 }, &s);
	run_until(&s);
	(void)call(fn_answer, STR("good"), LONG_MS, &s);
	run_until(&s);
	assert_int_equal(open_descriptors(), before);
}

/* Somebody who looks at every child (the agent without PID 1) asks first. */
static void test_reaper_of_all_children_leaves_jobs_alone(void **state)
{
	struct seen s;
	struct job *j = call(fn_answer, STR("good"), LONG_MS, &s);
	siginfo_t info = { 0 };
	struct err e = { 0 };

	(void)state;
	(void)j;
	assert_true(loop_turn(loop, LONG_MS, &e) > 0);
	assert_int_equal(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
	assert_true(jobs_reap(&jobs, info.si_pid));
	assert_int_equal(s.times, 1);
	assert_int_equal(s.result, 7);
	assert_false(jobs_reap(&jobs, info.si_pid));
}

/* --- children of an earlier agent --------------------------------------------- */

#define EARLIER_MS 200u

static bool *earlier_is_gone; /* shared */

static int fn_is_gone(void *arg UNUSED, struct text *out UNUSED,
		      struct err *e UNUSED)
{
	return __atomic_load_n(earlier_is_gone, __ATOMIC_SEQ_CST);
}

/* A child of agent @number, as the kernel leaves it in a system call for @ms; it
 * tells when it has its lock. */
static pid_t earlier_child(int locks, uint64_t number, unsigned int ms)
{
	struct flock f = { .l_type = F_RDLCK,
			   .l_whence = SEEK_SET,
			   .l_start = (off_t)number,
			   .l_len = 1 };
	int ends[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (fcntl(locks, F_SETLK, &f) < 0 || write(ends[1], "", 1) != 1)
			_exit(1);
		(void)usleep(ms * 1000);
		__atomic_store_n(earlier_is_gone, true, __ATOMIC_SEQ_CST);
		_exit(0);
	}
	assert_int_equal(read(ends[0], &c, 1), 1);
	(void)close(ends[0]);
	(void)close(ends[1]);
	return pid;
}

static void test_a_function_waits_for_those_of_earlier_agents(void **state)
{
	cleanup_fd locks = memfd_create("locks", MFD_CLOEXEC);
	struct seen s;
	int status;
	pid_t pid;

	(void)state;
	earlier_is_gone =
		mmap(NULL, sizeof(*earlier_is_gone), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(earlier_is_gone, MAP_FAILED);
	assert_true(locks >= 0);
	jobs.locks = locks;
	jobs.number = 7;
	pid = earlier_child(locks, 1, EARLIER_MS); /* not the one before */
	(void)call(fn_is_gone, NULL, LONG_MS, &s);
	run_until(&s);
	assert_int_equal(s.result, 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* Those of the same agent run side by side. */
	*earlier_is_gone = false;
	pid = earlier_child(locks, 7, 100 * LONG_MS);
	(void)call(fn_is_gone, NULL, LONG_MS, &s);
	run_until(&s);
	assert_int_equal(s.result, 0);
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)munmap(earlier_is_gone, sizeof(*earlier_is_gone));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_function_tells_result_text_and_error),
		T(test_hanging_function_is_killed_at_its_deadline),
		T(test_what_a_function_started_ends_with_it),
		T(test_the_whole_group_is_killed_at_once),
		T(test_the_whole_group_ends_with_the_agent),
		T(test_function_has_only_the_descriptors_it_names),
		T(test_function_that_dies_or_says_too_much_is_an_error),
		T(test_cancelled_job_is_told_once),
		T(test_hundred_side_by_side_in_bounded_slots),
		T(test_waiting_jobs_do_not_hold_up_work),
		T(test_no_descriptor_is_left),
		T(test_reaper_of_all_children_leaves_jobs_alone),
		T(test_a_function_waits_for_those_of_earlier_agents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
