/*
 * tests/unit/crash_pid1.h - a PID 1 that starts an agent again when it dies
 *
 * It is a child of the test, made of the parts of the real one (init/link.h,
 * serve.h, reap.h): it keeps what the agent deposits, reaps its orphans, and
 * starts the next agent when one was killed.
 */
#ifndef FERRY_TESTS_UNIT_CRASH_PID1_H
#define FERRY_TESTS_UNIT_CRASH_PID1_H

#include "tests/unit/unit.h"

#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/control.h"
#include "bridge/io/fd.h"
/* The agent has a struct link as well. */
#define link pid1_link
#include "init/link.h"
#undef link
#include "init/procs.h"
#include "init/reap.h"
#include "init/serve.h"
#include "init/store.h"

/* What PID 1 tells the test. */
struct crash_shared {
	pid_t agent;	      /* 0: none now */
	unsigned int started; /* agents so far */
	unsigned int stored;  /* descriptors in the store */
	unsigned int stable;
	bool stubborn; /* starts it again, however many have died at once */
};

static struct crash_shared *crash;

UNUSED static void crash_count(void)
{
	struct store_item item;
	uint64_t at = 0;
	unsigned int n = 0;

	while (store_list(&at, &item) == 0)
		n++;
	crash->stored = n;
}

/* Becomes the agent; does not return. */
typedef void crash_run_fn(const void *ctx);

UNUSED static void crash_agent(crash_run_fn *run, const void *ctx, int control)
{
	char number[16];

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)snprintf(number, sizeof(number), "%d", control);
	setenv(CONTROL_ENV, number, 1);
	/* What an exec would close. */
	if (control > 3)
		(void)close_range(3, (unsigned int)control - 1, 0);
	(void)close_range((unsigned int)control + 1, ~0U, 0);
	run(ctx);
	_exit(127);
}

static struct pid1_link *crash_link;

UNUSED static void crash_hear_out(void)
{
	for (int i = 0; i < 8; i++)
		(void)link_turn(crash_link, NULL);
}

/* One agent, from its start to its end. */
UNUSED static void crash_supervise(crash_run_fn *run, const void *ctx,
				   struct serve *serve, struct pid1_link *link,
				   unsigned int failures)
{
	struct reap reap = { .before = crash_hear_out };
	int control = -1;

	serve_begin(serve, failures >= 2);
	assert_int_equal(link_open(link, &control, NULL), 0);
	crash_link = link;
	reap.awaited = fork();
	assert_true(reap.awaited >= 0);
	if (reap.awaited == 0)
		crash_agent(run, ctx, control);
	fd_close(&control);
	crash->started++;
	__atomic_store_n(&crash->agent, reap.awaited, __ATOMIC_RELEASE);
	while (!reap.ended) {
		struct pollfd f = { .fd = link->fd, .events = POLLIN };

		(void)poll(&f, 1, 2);
		(void)reap_turn(&reap);
		(void)link_turn(link, NULL);
		crash_count();
	}
	__atomic_store_n(&crash->agent, 0, __ATOMIC_RELEASE);
	link_finish(link);
	crash_count();
	crash->stable += serve->stable;
}

_Noreturn UNUSED static void crash_pid1(crash_run_fn *run, const void *ctx)
{
	struct serve serve = { .ring_fd = -1 };
	struct pid1_link link = { .fd = -1, .serve = &serve };
	unsigned int failures = 0;

	(void)prctl(PR_SET_CHILD_SUBREAPER, 1L);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (crash->stubborn || failures < CONTROL_TRIES_MAX) {
		crash_supervise(run, ctx, &serve, &link, failures);
		failures = serve.stable ? 0 : failures + 1;
	}
	_exit(9);
}

#endif
