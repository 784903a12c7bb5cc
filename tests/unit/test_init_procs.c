/* The journal and the registered processes, as the agent sees them: over a
 * socket, with real processes. */
#include "tests/unit/init_control_fixture.h"

/* A child of this process that ends with @status when told. */
static pid_t start_child(int status, int *ret_go)
{
	int go[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		fd_close(&go[1]);
		(void)fd_read_full(go[0], &c, 1);
		_exit(status);
	}
	fd_close(&go[0]);
	*ret_go = go[1];
	return pid;
}

/* Other children may hold the pipe too, so an end of file is not enough. */
static void let_end(int *go)
{
	assert_int_equal(write(*go, "x", 1), 1);
	fd_close(go);
}

static void wait_for_zombie(pid_t pid)
{
	siginfo_t s;

	assert_int_equal(waitid(P_PID, (id_t)pid, &s, WEXITED | WNOWAIT), 0);
}

static pid_t zombie(int status)
{
	int go;
	const pid_t pid = start_child(status, &go);

	let_end(&go);
	wait_for_zombie(pid);
	return pid;
}

static bool is_zombie(pid_t pid)
{
	siginfo_t s = { .si_pid = 0 };

	return waitid(P_PID, (id_t)pid, &s, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       s.si_pid == pid;
}

static void test_register_answers_with_a_pidfd_then_tells_the_exit(void **state)
{
	struct control_msg a;
	int go;
	const pid_t pid = start_child(3, &go);
	struct pollfd ended;

	(void)state;
	hello();
	assert_int_equal(
		ASK(.op = CONTROL_OP_REGISTER, .ticket = 6, .pid = pid).result,
		-ENOENT);
	assert_int_equal(ASK(.op = CONTROL_OP_TICKET_OPEN, .ticket = 6).result,
			 0);
	assert_int_equal(ASK(.op = CONTROL_OP_TICKET_OPEN, .ticket = 6).result,
			 -EEXIST);
	a = ASK(.op = CONTROL_OP_REGISTER, .ticket = 6, .pid = pid,
		.object = 44);
	assert_int_equal(a.result, 0);
	assert_int_equal(a.flags, 0);
	assert_true(answer_fds[0] >= 0);
	assert_true(journal_idle()); /* REGISTER closes the ticket */

	ended = (struct pollfd){ answer_fds[0], POLLIN, 0 };
	assert_int_equal(poll(&ended, 1, 0), 0);
	let_end(&go);
	assert_int_equal(poll(&ended, 1, 20000), 1);
	assert_false(told(&a));
	(void)reap_turn(&reap);
	assert_int_equal(link_turn(&pid1, NULL), 0);
	assert_true(told(&a));
	assert_int_equal(a.op, CONTROL_OP_EXIT);
	assert_int_equal(a.ticket, 6);
	assert_int_equal(a.object, 44);
	assert_int_equal(a.pid, pid);
	assert_int_equal(a.status, 3 << 8);
	assert_int_equal(ASK(.op = CONTROL_OP_EXIT_ACK, .ticket = 6).result, 0);
	assert_int_equal(ASK(.op = CONTROL_OP_EXIT_ACK, .ticket = 6).result,
			 -ENOENT);
}

static void test_an_exit_before_register_is_not_lost(void **state)
{
	struct control_msg a;
	pid_t pid;

	(void)state;
	hello();
	assert_int_equal(ASK(.op = CONTROL_OP_TICKET_OPEN, .ticket = 7).result,
			 0);
	pid = zombie(9);
	(void)reap_turn(&reap);
	assert_false(is_zombie(pid));
	a = ASK(.op = CONTROL_OP_REGISTER, .ticket = 7, .pid = pid);
	assert_int_equal(a.result, 0);
	assert_int_equal(a.flags, CONTROL_FLAG_EXITED);
	assert_int_equal(a.status, 9 << 8);
	assert_int_equal(link_turn(&pid1, NULL), 0);
	assert_false(told(&a)); /* the answer was the notice */
	assert_int_equal(ASK(.op = CONTROL_OP_EXIT_ACK, .ticket = 7).result, 0);
}

/* An exit that was seen before the ticket was opened is another process's. */
static void test_a_ticket_claims_no_older_exit(void **state)
{
	pid_t old;

	(void)state;
	hello();
	assert_int_equal(ASK(.op = CONTROL_OP_TICKET_OPEN, .ticket = 1).result,
			 0);
	old = zombie(0);
	(void)reap_turn(&reap);
	assert_int_equal(ASK(.op = CONTROL_OP_TICKET_OPEN, .ticket = 2).result,
			 0);
	assert_int_equal(
		ASK(.op = CONTROL_OP_REGISTER, .ticket = 2, .pid = old).result,
		-ESRCH);
	assert_int_equal(
		ASK(.op = CONTROL_OP_REGISTER, .ticket = 1, .pid = old).result,
		0);
}

static void test_without_a_ticket_orphans_are_forgotten(void **state)
{
	pid_t pid;

	(void)state;
	hello();
	pid = zombie(9);
	(void)reap_turn(&reap);
	assert_int_equal(ASK(.op = CONTROL_OP_TICKET_OPEN, .ticket = 7).result,
			 0);
	assert_int_equal(
		ASK(.op = CONTROL_OP_REGISTER, .ticket = 7, .pid = pid).result,
		-ESRCH);
	assert_int_equal(ASK(.op = CONTROL_OP_TICKET_CLOSE, .ticket = 7).result,
			 0);
	assert_int_equal(ASK(.op = CONTROL_OP_TICKET_CLOSE, .ticket = 7).result,
			 -ENOENT);
}

static void test_exits_are_told_again_to_the_next_incarnation(void **state)
{
	struct control_msg a;
	int go;
	const pid_t pid = start_child(5, &go);

	(void)state;
	hello();
	(void)ASK(.op = CONTROL_OP_TICKET_OPEN, .ticket = 6);
	(void)ASK(.op = CONTROL_OP_REGISTER, .ticket = 6, .pid = pid);
	let_end(&go);
	wait_for_zombie(pid);
	(void)reap_turn(&reap);
	assert_int_equal(link_turn(&pid1, NULL), 0);
	assert_true(told(&a));
	for (int i = 0; i < 2; i++) {
		end_incarnation();
		next_incarnation(false);
		assert_int_equal(link_turn(&pid1, NULL), 0);
		assert_false(told(&a)); /* not before HELLO */
		hello();
		assert_int_equal(link_turn(&pid1, NULL), 0);
		assert_true(told(&a));
		assert_int_equal(a.op, CONTROL_OP_EXIT);
		assert_int_equal(a.status, 5 << 8);
	}
	a = ASK(.op = CONTROL_OP_PROCESSES);
	assert_int_equal(a.flags, CONTROL_FLAG_EXITED);
	assert_int_equal(a.status, 5 << 8);
	(void)ASK(.op = CONTROL_OP_EXIT_ACK, .ticket = 6);
	end_incarnation();
	next_incarnation(false);
	hello();
	assert_int_equal(link_turn(&pid1, NULL), 0);
	assert_false(told(&a));
}

static void test_processes_lists_the_living_and_the_gone(void **state)
{
	struct control_msg a;
	int go1, go2;
	const pid_t one = start_child(0, &go1), two = start_child(0, &go2);

	(void)state;
	hello();
	(void)ASK(.op = CONTROL_OP_TICKET_OPEN, .ticket = 1);
	(void)ASK(.op = CONTROL_OP_TICKET_OPEN, .ticket = 2);
	(void)ASK(.op = CONTROL_OP_REGISTER, .ticket = 1, .pid = one);
	(void)ASK(.op = CONTROL_OP_REGISTER, .ticket = 2, .pid = two);
	let_end(&go1);
	assert_int_equal(waitpid(one, NULL, 0), one); /* the agent reaps it */

	a = ASK(.op = CONTROL_OP_PROCESSES, .arg = 0);
	assert_int_equal(a.ticket, 1);
	assert_int_equal(a.flags, CONTROL_FLAG_GONE);
	assert_int_equal(answer_fds[0], -1);
	a = ASK(.op = CONTROL_OP_PROCESSES, .arg = a.arg);
	assert_int_equal(a.ticket, 2);
	assert_int_equal(a.pid, two);
	assert_int_equal(a.flags, 0);
	assert_true(answer_fds[0] >= 0);
	a = ASK(.op = CONTROL_OP_PROCESSES, .arg = a.arg);
	assert_int_equal(a.result, -ENOENT);
	assert_int_equal(ASK(.op = CONTROL_OP_REAPED, .ticket = 1).result, 0);
	assert_int_equal(ASK(.op = CONTROL_OP_REAPED, .ticket = 1).result,
			 -ENOENT);
	let_end(&go2);
	assert_int_equal(waitpid(two, NULL, 0), two);
	assert_int_equal(ASK(.op = CONTROL_OP_REAPED, .ticket = 2).result, 0);
}

/* Its number is another process's now: that one's exit is not its exit. */
static void test_a_reused_pid_is_not_taken_for_the_registered_one(void **state)
{
	int go;
	const pid_t real = start_child(0, &go);
	const pid_t dead = zombie(0);
	struct proc *p;

	(void)state;
	assert_int_equal(
		procs_add(1, 0, real, (int)syscall(SYS_pidfd_open, dead, 0), 0),
		0); /* row: number of one, pidfd of another */
	assert_int_equal(waitpid(dead, NULL, 0), dead);
	assert_false(procs_ended(real, 0));
	p = procs_find(1);
	assert_non_null(p);
	assert_int_equal(p->state, PROC_GONE);
	assert_null(procs_untold());
	let_end(&go);
	assert_int_equal(waitpid(real, NULL, 0), real);
}

static void test_a_full_journal_stops_reaping(void **state)
{
	pid_t pid;

	(void)state;
	hello();
	(void)ASK(.op = CONTROL_OP_TICKET_OPEN, .ticket = 1);
	for (pid_t i = 0; i < (pid_t)CONTROL_JOURNAL_MAX; i++)
		journal_record(1000000 + i, 0);
	assert_true(journal_full());
	pid = zombie(4);
	(void)reap_turn(&reap);
	assert_true(is_zombie(pid)); /* kept rather than forgotten */
	assert_int_equal(
		ASK(.op = CONTROL_OP_REGISTER, .ticket = 1, .pid = pid).result,
		0);
	(void)reap_turn(&reap);
	assert_false(is_zombie(pid));
	assert_int_equal(procs_find(1)->status, 4 << 8);
}

static void test_the_awaited_one_is_seen_behind_a_full_journal(void **state)
{
	pid_t other;

	(void)state;
	hello();
	(void)ASK(.op = CONTROL_OP_TICKET_OPEN, .ticket = 1);
	for (pid_t i = 0; i < (pid_t)CONTROL_JOURNAL_MAX; i++)
		journal_record(1000000 + i, 0);
	other = zombie(1);
	reap.awaited = zombie(2);
	(void)reap_turn(&reap);
	assert_true(reap.ended);
	assert_int_equal(reap.status, 2 << 8);
	assert_true(is_zombie(other));
	(void)ASK(.op = CONTROL_OP_TICKET_CLOSE, .ticket = 1);
	(void)reap_turn(&reap);
	assert_false(is_zombie(other));
}

static void test_a_closing_ticket_frees_the_journal(void **state)
{
	int status;

	(void)state;
	assert_int_equal(journal_open(1), 0);
	journal_record(10, 0);
	assert_int_equal(journal_open(2), 0);
	journal_record(11, 7);
	assert_int_equal(journal_close(1), 0);
	for (pid_t i = 0; i < (pid_t)CONTROL_JOURNAL_MAX - 1; i++) {
		assert_false(journal_full());
		journal_record(1000 + i, 0);
	}
	assert_true(journal_full());
	assert_int_equal(journal_claim(2, 10, &status), -ENOENT);
	assert_int_equal(journal_claim(2, 11, &status), 0);
	assert_int_equal(status, 7);
	assert_int_equal(journal_claim(2, 11, &status), -ENOENT);
	assert_int_equal(journal_close(2), 0);
	assert_false(journal_full());
}

static void test_tickets_have_a_limit_and_can_be_listed(void **state)
{
	struct control_msg a;
	uint64_t sum = 0;

	(void)state;
	hello();
	assert_int_equal(ASK(.op = CONTROL_OP_TICKET_OPEN, .ticket = 0).result,
			 -EINVAL);
	for (uint64_t i = 1; i <= CONTROL_TICKETS_MAX; i++)
		assert_int_equal(
			ASK(.op = CONTROL_OP_TICKET_OPEN, .ticket = i).result,
			0);
	assert_int_equal(
		ASK(.op = CONTROL_OP_TICKET_OPEN, .ticket = 99999).result,
		-ENOSPC);
	a = ASK(.op = CONTROL_OP_TICKETS);
	for (; a.result == 0; a = ASK(.op = CONTROL_OP_TICKETS, .arg = a.arg))
		sum += a.ticket;
	assert_int_equal(sum,
			 CONTROL_TICKETS_MAX * (CONTROL_TICKETS_MAX + 1) / 2);
}

static void test_a_full_process_table_keeps_the_ticket(void **state)
{
	uint64_t n = 0;
	struct control_msg a;
	pid_t pid;

	(void)state;
	hello();
	(void)ASK(.op = CONTROL_OP_TICKET_OPEN, .ticket = 1);
	pid = zombie(6);
	(void)reap_turn(&reap);
	while (procs_add(1000 + n, 0, 5, -1, 0) == 0)
		n++;
	assert_int_equal(n, CONTROL_PIDS_MAX);
	a = ASK(.op = CONTROL_OP_REGISTER, .ticket = 1, .pid = pid);
	assert_int_equal(a.result, -ENOSPC);
	procs_drop(procs_find(1000));
	a = ASK(.op = CONTROL_OP_REGISTER, .ticket = 1, .pid = pid);
	assert_int_equal(a.result, 0);
	assert_int_equal(a.status, 6 << 8);
}

/* PID 1 answers nothing more until the agent reads, and then all of it. */
static void test_an_agent_that_does_not_read_blocks_only_itself(void **state)
{
	const struct control_msg q = { .op = CONTROL_OP_TICKETS, .tag = 3 };
	struct control_msg a;
	unsigned int asked = 0, answered = 0;

	(void)state;
	hello();
	while (!pid1.waiting && asked < 100000) {
		if (control_send(agent, &q, NULL, 0, NULL) == 0)
			asked++;
		assert_int_equal(link_turn(&pid1, NULL), 0);
	}
	assert_true(pid1.waiting);
	assert_int_equal(link_events(&pid1), POLLOUT);
	for (int i = 0; i < 1000; i++) {
		while (told(&a))
			answered++;
		assert_int_equal(link_turn(&pid1, NULL), 0);
	}
	assert_int_equal(answered, asked);
	assert_int_equal(link_events(&pid1), POLLIN);
}

static void test_many_exits_wait_for_room(void **state)
{
	struct control_msg a;
	unsigned int n = 0;

	(void)state;
	for (uint64_t i = 1; i <= 3000; i++)
		assert_int_equal(procs_add(i, 0, 5, -1, 0), 0);
	hello();
	assert_int_equal(link_turn(&pid1, NULL), 0);
	assert_int_equal(link_events(&pid1), POLLIN | POLLOUT);
	for (int i = 0; i < 1000; i++) {
		while (told(&a)) {
			assert_int_equal(a.op, CONTROL_OP_EXIT);
			n++;
		}
		assert_int_equal(link_turn(&pid1, NULL), 0);
	}
	assert_int_equal(n, 3000);
	assert_int_equal(link_events(&pid1), POLLIN);
}

static void test_orphans_by_the_thousand_are_reaped(void **state)
{
	unsigned int turns = 0;
	pid_t last = 0;

	(void)state;
	reap.awaited = zombie(255);
	for (int i = 0; i < 1000; i++)
		last = zombie(i & 0xff);
	while (reap_turn(&reap))
		turns++;
	assert_true(turns >= 1000 / REAP_TURN_MAX);
	assert_false(is_zombie(last));
	assert_true(reap.ended);
	assert_int_equal(reap.status, 255 << 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_register_answers_with_a_pidfd_then_tells_the_exit),
		T(test_an_exit_before_register_is_not_lost),
		T(test_a_ticket_claims_no_older_exit),
		T(test_without_a_ticket_orphans_are_forgotten),
		T(test_exits_are_told_again_to_the_next_incarnation),
		T(test_processes_lists_the_living_and_the_gone),
		T(test_a_reused_pid_is_not_taken_for_the_registered_one),
		T(test_a_full_journal_stops_reaping),
		T(test_the_awaited_one_is_seen_behind_a_full_journal),
		T(test_a_closing_ticket_frees_the_journal),
		T(test_tickets_have_a_limit_and_can_be_listed),
		T(test_a_full_process_table_keeps_the_ticket),
		T(test_an_agent_that_does_not_read_blocks_only_itself),
		T(test_many_exits_wait_for_room),
		T(test_orphans_by_the_thousand_are_reaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
