/*
 * tests/unit/crash_fixture.h - an agent under a PID 1 that starts it again
 *
 * PID 1 is a child of the test made of the parts of the real one (init/link.h,
 * serve.h, reap.h): it keeps what the agent deposits, reaps its orphans, and
 * starts the next agent when one was killed. The test is the host.
 */
#ifndef FERRY_TESTS_UNIT_CRASH_FIXTURE_H
#define FERRY_TESTS_UNIT_CRASH_FIXTURE_H

#include "tests/unit/guest_peer.h"

#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>

#include "bridge/io/control.h"
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

UNUSED static void crash_agent(const struct peer *p, int control)
{
	char number[16];

	(void)snprintf(number, sizeof(number), "%d", control);
	setenv(CONTROL_ENV, number, 1);
	/* What an exec would close. */
	if (control > 3)
		(void)close_range(3, (unsigned int)control - 1, 0);
	(void)close_range((unsigned int)control + 1, ~0U, 0);
	peer_run_agent(p);
}

static struct pid1_link *crash_link;

UNUSED static void crash_hear_out(void)
{
	for (int i = 0; i < 8; i++)
		(void)link_turn(crash_link, NULL);
}

/* One agent, from its start to its end. */
UNUSED static void crash_supervise(const struct peer *p, struct serve *serve,
				   struct pid1_link *link,
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
		crash_agent(p, control);
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

_Noreturn UNUSED static void crash_pid1(const struct peer *p)
{
	struct serve serve = { .ring_fd = -1 };
	struct pid1_link link = { .fd = -1, .serve = &serve };
	unsigned int failures = 0;

	(void)prctl(PR_SET_CHILD_SUBREAPER, 1L);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (failures < CONTROL_TRIES_MAX) {
		crash_supervise(p, &serve, &link, failures);
		failures = serve.stable ? 0 : failures + 1;
	}
	_exit(9);
}

UNUSED static void crash_until(bool (*done)(const void *ctx), const void *ctx)
{
	for (int i = 0; i < PEER_WAIT_MS / 2; i++) {
		if (done(ctx))
			return;
		(void)usleep(2000);
	}
	fail_msg("it did not come");
}

UNUSED static bool crash_is_started(const void *n)
{
	return crash->started >= *(const unsigned int *)n &&
	       __atomic_load_n(&crash->agent, __ATOMIC_ACQUIRE) != 0;
}

UNUSED static void crash_begin(struct peer *p)
{
	crash = mmap(NULL, sizeof(*crash), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(crash, MAP_FAILED);
	p->agent = fork();
	assert_true(p->agent >= 0);
	if (p->agent == 0)
		crash_pid1(p);
	crash_until(crash_is_started, &(unsigned int){ 1 });
}

UNUSED static void crash_start(struct peer *p)
{
	peer_init(p);
	crash_begin(p);
	peer_accept(p);
	peer_negotiate(p);
}

/* The agent is killed, and the connection with it. */
UNUSED static void crash_kill(struct peer *p)
{
	const pid_t agent = __atomic_load_n(&crash->agent, __ATOMIC_ACQUIRE);
	unsigned int next = crash->started + 1;

	assert_true(agent > 1);
	assert_int_equal(kill(agent, SIGKILL), 0);
	crash_until(crash_is_started, &next);
	fd_close(&p->fd);
}

/* The next agent, for the same host. What was asked and is no wait is lost. */
UNUSED static void crash_again(struct peer *p)
{
	crash_kill(p);
	peer_accept(p);
	peer_negotiate(p);
}

UNUSED static void crash_done(struct peer *p)
{
	const pid_t agent = crash->agent;

	(void)kill(p->agent, SIGKILL);
	if (agent > 1)
		(void)kill(agent, SIGKILL);
	peer_done(p);
	(void)munmap(crash, sizeof(*crash));
}

/* --- the n-th system call ---------------------------------------------------- */

/* Stops the agent where it is. */
UNUSED static void crash_trace(void)
{
	const pid_t agent = crash->agent;
	int status;

	assert_int_equal(ptrace(PTRACE_SEIZE, agent, NULL, NULL), 0);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, agent, NULL, NULL), 0);
	assert_int_equal(waitpid(agent, &status, __WALL), agent);
}

/* Lets the stopped agent enter or leave @n system calls, then kills it.
 * Return: false: it had nothing to do any more before that */
UNUSED static bool crash_after(unsigned int n)
{
	const pid_t agent = crash->agent;
	unsigned int done = 0;
	int status = 0;

	while (done < n) {
		(void)ptrace(PTRACE_SYSCALL, agent, NULL, NULL);
		for (int i = 0; i < 100; i++) {
			status = waitpid(agent, &status, __WALL | WNOHANG);
			if (status != 0)
				break;
			(void)usleep(2000);
		}
		if (status != agent)
			break;
		done++;
	}
	(void)kill(agent, SIGKILL);
	/* Its tracer has to see its end, or PID 1 never will. */
	while (waitpid(agent, &status, __WALL) == agent &&
	       !WIFSIGNALED(status) && !WIFEXITED(status))
		;
	return done == n;
}

#endif
