/*
 * tests/unit/init_control_fixture.h - PID 1's control socket with a test as
 * the agent; one to a program
 */
#ifndef FERRY_TESTS_UNIT_INIT_CONTROL_FIXTURE_H
#define FERRY_TESTS_UNIT_INIT_CONTROL_FIXTURE_H

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/control.h"
#include "bridge/io/fd.h"
#include "init/journal.h"
#include "init/link.h"
#include "init/procs.h"
#include "init/reap.h"
#include "init/serve.h"
#include "init/store.h"

/* PID 1's side and the agent's end of the socket. */
static struct serve serve = { .ring_fd = -1 };
static struct link pid1 = { .fd = -1, .serve = &serve };
static struct reap reap;
static int agent = -1;

static int answer_fds[CONTROL_FDS_MAX];

static void next_incarnation(bool poisoned)
{
	serve_begin(&serve, poisoned);
	assert_int_equal(link_open(&pid1, &agent, NULL), 0);
}

static void end_incarnation(void)
{
	fd_close(&agent);
	link_finish(&pid1);
}

static void close_answer(void)
{
	for (unsigned int i = 0; i < CONTROL_FDS_MAX; i++)
		fd_close(&answer_fds[i]);
}

/* Sends a question, lets PID 1 take a turn, reads one packet. */
static struct control_msg ask_with(const struct control_msg *q, int fd)
{
	struct control_msg a = { 0 };

	close_answer();
	assert_int_equal(control_send(agent, q, &fd, fd >= 0 ? 1 : 0, NULL), 0);
	assert_int_equal(link_turn(&pid1, NULL), 0);
	assert_int_equal(control_recv(agent, &a, answer_fds, NULL), 1);
	assert_int_equal(a.op, q->op);
	assert_int_equal(a.tag, q->tag);
	return a;
}

static struct control_msg ask(const struct control_msg *q)
{
	return ask_with(q, -1);
}

#define ASK(...) ask(&(struct control_msg){ .tag = 5, __VA_ARGS__ })

/* Return: is there a packet for the agent now? */
static bool told(struct control_msg *ret)
{
	close_answer();
	return control_recv(agent, ret, answer_fds, NULL) == 1;
}

static int setup(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < CONTROL_FDS_MAX; i++)
		answer_fds[i] = -1;
	serve = (struct serve){ .ring_fd = -1 };
	reap = (struct reap){ 0 };
	next_incarnation(false);
	return 0;
}

/* Leaves the tables empty for the next test. */
static int teardown(void **state)
{
	struct store_item item;
	struct proc *p;
	uint64_t at = 0, ticket;

	(void)state;
	close_answer();
	end_incarnation();
	while (store_list(&at, &item) == 0)
		(void)store_drop(item.object, item.role);
	at = 0;
	while ((p = procs_list(&at)))
		procs_drop(p);
	at = 0;
	while (journal_list(&at, &ticket) == 0)
		(void)journal_close(ticket);
	return 0;
}

static void hello(void)
{
	const struct control_msg a =
		ASK(.op = CONTROL_OP_HELLO, .arg = CONTROL_VERSION);

	assert_int_equal(a.result, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
