/*
 * tests/unit/crash_fixture.h - an agent under a PID 1 that starts it again
 *
 * The test is the host; for PID 1 see tests/unit/crash_pid1.h.
 */
#ifndef FERRY_TESTS_UNIT_CRASH_FIXTURE_H
#define FERRY_TESTS_UNIT_CRASH_FIXTURE_H

#include "tests/unit/guest_peer.h"

#include <sys/ptrace.h>

#include "bridge/guest/slot.h"
#include "tests/unit/crash_pid1.h"

UNUSED static void crash_run_peer(const void *ctx)
{
	peer_run_agent(ctx);
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
		crash_pid1(crash_run_peer, p);
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

/* --- its records ------------------------------------------------------------- */

typedef void crash_record_fn(struct slot *slot, void *ctx);

/* Each record of @kind, as the agent has it now. */
UNUSED static void crash_records(enum slot_kind kind, crash_record_fn *fn,
				 void *ctx)
{
	const pid_t agent = crash->agent;
	unsigned int n = 0;

	for (int i = 3; n == 0 && i < 64; i++) {
		char path[64], what[64] = { 0 };
		uint8_t *head;
		struct slot *slot;
		cleanup_fd fd = -1;

		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)agent,
			       i);
		if (readlink(path, what, sizeof(what) - 1) < 0 ||
		    !strstr(what, "ferry-state"))
			continue;
		fd = open(path, O_RDWR | O_CLOEXEC);
		head = mmap(NULL, SLOT_FILE_BYTES, PROT_READ | PROT_WRITE,
			    MAP_SHARED, fd, 0);
		assert_ptr_not_equal(head, MAP_FAILED);
		slot = (struct slot *)(void *)(head + SLOT_HEAD_BYTES);
		for (unsigned int k = 0; k < 64; k++) {
			if (slot[k].kind != kind)
				continue;
			fn(&slot[k], ctx);
			n++;
		}
		(void)munmap(head, SLOT_FILE_BYTES);
	}
	assert_int_not_equal(n, 0);
}

UNUSED static void crash_has_killed(struct slot *slot, void *unused UNUSED)
{
	slot->deaths = SLOT_DEATHS_MAX;
}

/* As two agents leave a record of @kind that they have died of. */
UNUSED static void crash_poison(enum slot_kind kind)
{
	crash_records(kind, crash_has_killed, NULL);
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
