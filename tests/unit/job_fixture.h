/* tests/unit/job_fixture.h - jobs of a loop, and what is seen of their ends */
#ifndef FERRY_TESTS_UNIT_JOB_FIXTURE_H
#define FERRY_TESTS_UNIT_JOB_FIXTURE_H

#include "tests/unit/unit.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "bridge/guest/job.h"
#include "config/util.h"

/* argv wants pointers to char, literals are const. */
#define STR(s) ((char[]){ s })

#define LONG_MS 20000
#define SHORT_MS 50

/**
 * struct seen - what the end of one job told
 * @times:	how often
 */
struct seen {
	int times;
	int result;
	struct err err;
	char out[256];
	size_t out_len;
	bool out_cut;
	char errors[256];
	bool errors_cut;
	struct jobs *again; /* submit one more from inside the call */
};

UNUSED static struct loop *loop;
UNUSED static struct jobs jobs;

UNUSED static int setup(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(loop_new(&loop, &e), 0);
	jobs_init(&jobs, loop, NULL);
	return 0;
}

UNUSED static int teardown(void **state)
{
	(void)state;
	jobs_done(&jobs);
	loop_free(loop);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child left */
	return 0;
}

UNUSED static void on_done(void *ctx, const struct job_result *r)
{
	struct seen *s = ctx;

	s->times++;
	s->result = r->result;
	s->err = r->err;
	s->out_len = r->out_len;
	s->out_cut = r->out_cut;
	s->errors_cut = r->errors_cut;
	(void)snprintf(s->out, sizeof(s->out), "%s", r->out);
	(void)snprintf(s->errors, sizeof(s->errors), "%s", r->errors);
}

UNUSED static void run_until(const struct seen *s)
{
	struct err e = { 0 };

	while (s->times == 0)
		assert_true(loop_turn(loop, LONG_MS, &e) > 0);
	assert_int_equal(s->times, 1);
}

UNUSED static struct job *call(job_fn *fn, void *arg, int64_t deadline_ms,
			       struct seen *s)
{
	const struct job_call c = {
		.name = "test",
		.fn = fn,
		.arg = arg,
		.deadline_ms = deadline_ms,
		.done = on_done,
		.ctx = s,
	};
	struct err e = { 0 };
	struct job *j = NULL;

	*s = (struct seen){ 0 };
	assert_int_equal(job_call(&jobs, &c, &j, &e), 0);
	assert_int_equal(s->times, 0); /* never from inside */
	return j;
}

UNUSED static void shell(const char *line, struct job_exec x, struct seen *s)
{
	char *copy = strdup(line);
	char *argv[] = { STR("sh"), STR("-c"), copy, NULL };
	struct err e = { 0 };

	x.name = "sh";
	x.argv = argv;
	if (x.deadline_ms == 0)
		x.deadline_ms = LONG_MS;
	x.done = on_done;
	x.ctx = s;
	*s = (struct seen){ 0 };
	assert_int_equal(job_exec(&jobs, &x, NULL, &e), 0);
	free(copy); /* what is needed was copied */
}

/* End of file: nobody holds the other end any more. */
UNUSED static void assert_ended(int fd)
{
	struct pollfd f = { .fd = fd, .events = POLLIN };
	char byte;

	assert_int_equal(poll(&f, 1, LONG_MS), 1);
	assert_int_equal(read(fd, &byte, 1), 0);
	close(fd);
}

#endif
