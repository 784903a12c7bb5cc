/*
 * tests/unit/test_guest_crash.c - the agent is killed, and nothing is lost;
 * processes of the UVM
 */
#include "tests/unit/crash_fixture.h"

static int set_up(void **state)
{
	static struct peer p;

	crash_start(&p);
	*state = &p;
	return 0;
}

static int tear_down(void **state)
{
	crash_done(*state);
	return 0;
}

static void test_an_exit_code_outlives_the_agent(void **state)
{
	struct peer *p = *state;
	const uint32_t pid = peer_run(p, "sleep 0.3; exit 7");

	crash_again(p);
	assert_int_equal(peer_wait(p, pid), 7);
}

static void test_an_exit_while_there_is_no_agent_is_told(void **state)
{
	struct peer *p = *state;
	const uint32_t pid = peer_run(p, "exit 8");

	(void)kill(crash->agent, SIGSTOP);
	(void)usleep(50000);
	crash_again(p);
	assert_int_equal(peer_wait(p, pid), 8);
	crash_again(p);
	assert_int_equal(peer_wait(p, pid), 8);
}

static void test_an_exit_that_nobody_asked_for_outlives_many(void **state)
{
	struct peer *p = *state;
	const uint32_t pid = peer_run(p, "exit 9");

	for (int i = 0; i < 6; i++)
		crash_again(p);
	assert_int_equal(peer_wait(p, pid), 9);
	assert_int_equal(crash->stable, 6);
}

/* The host goes on waiting by its old id: it is answered once. */
static void test_a_wait_outlives_the_agent(void **state)
{
	struct peer *p = *state;
	struct peer_frame f;
	const uint32_t pid = peer_run(p, "sleep 0.6; exit 4");
	const uint64_t id = peer_send(p, WIRE_WAIT_FOR_PROCESS,
				      peer_wait_body(pid, UINT32_MAX));

	/* Behind this the wait was read. */
	assert_int_equal(peer_call(p, WIRE_DUMP_STACKS, "{}", &f), HR_OK);
	crash_again(p);
	crash_again(p);
	peer_answer(p, id, &f);
	assert_int_equal(peer_number(&f, "ExitCode"), 4);
}

static void test_a_signal_reaches_a_process_of_an_earlier_agent(void **state)
{
	struct peer *p = *state;
	struct peer_frame f;
	const uint32_t pid = peer_run(p, "exec sleep 100");

	crash_again(p);
	assert_int_equal(peer_call(p, WIRE_SIGNAL_PROCESS,
				   peer_signal_body(pid, SIGTERM), &f),
			 HR_OK);
	assert_int_equal(peer_wait(p, pid), 128 + SIGTERM);
}

/* The plain protocol cannot go on with a stream: its process does. */
static void test_a_producer_lives_on(void **state)
{
	struct peer *p = *state;
	struct peer_exec x = {
		.line = "i=0; while [ $i -lt 20000 ]; do echo a line of it; "
			"i=$((i+1)); done; exit 3",
		.want = { false, true, false },
	};

	peer_exec(p, &x);
	crash_again(p);
	assert_int_equal(peer_wait(p, x.pid), 3);
	peer_exec_done(&x);
}

static void test_input_ends_with_the_agent(void **state)
{
	struct peer *p = *state;
	struct peer_exec x = { .line = "cat; exit 5",
			       .want = { true, true, false } };

	peer_exec(p, &x);
	crash_again(p);
	assert_int_equal(peer_wait(p, x.pid), 5);
	peer_exec_done(&x);
}

/* PID 1's copy must not keep what the agent has closed. */
static void test_input_ends_with_the_host(void **state)
{
	struct peer *p = *state;
	struct peer_exec x = { .line = "cat; exit 6",
			       .want = { true, true, false } };

	peer_exec(p, &x);
	assert_int_equal(shutdown(x.fd[0], SHUT_WR), 0);
	assert_int_equal(peer_wait(p, x.pid), 6);
	peer_exec_done(&x);
}

static bool is_only_the_state(const void *ctx)
{
	(void)ctx;
	return crash->stored == 1;
}

static void test_no_descriptor_is_left_in_the_store(void **state)
{
	struct peer *p = *state;
	struct peer_exec x = { .line = "cat; sleep 0.2; exit 6",
			       .want = { true, true, true } };
	struct peer_exec t = { .line = "exit 2",
			       .want = { true, true, false },
			       .parameters = ",\"EmulateConsole\":true" };

	peer_exec(p, &x);
	peer_exec(p, &t);
	assert_int_equal(peer_wait(p, t.pid), 2);
	crash_again(p);
	assert_int_equal(peer_wait(p, x.pid), 6);
	crash_until(is_only_the_state, NULL);
	peer_exec_done(&x);
	peer_exec_done(&t);
}

static void test_a_terminal_outlives_the_agent(void **state)
{
	struct peer *p = *state;
	struct peer_frame f;
	char body[256];
	struct peer_exec x = {
		.line = "sleep 0.5; set -- $(stty size); exit $1",
		.want = { true, true, false },
		.parameters = ",\"EmulateConsole\":true",
	};

	peer_exec(p, &x);
	crash_again(p);
	(void)snprintf(body, sizeof(body),
		       "{" PEER_BASE
		       ",\"ProcessId\":%u,\"Height\":33,\"Width\":44}",
		       WIRE_NULL_ID, x.pid);
	assert_int_equal(peer_call(p, WIRE_RESIZE_CONSOLE, body, &f), HR_OK);
	assert_int_equal(peer_wait(p, x.pid), 33);
	peer_exec_done(&x);
}

/* --- records that agents die of ----------------------------------------------- */

static bool dump_has(struct peer *p, const char *what)
{
	struct peer_frame f;

	assert_int_equal(peer_call(p, WIRE_DUMP_STACKS, "{}", &f), HR_OK);
	return strstr(f.body, what) != NULL;
}

static uint32_t long_pid;

static bool is_ended(const void *ctx UNUSED)
{
	return kill((pid_t)long_pid, 0) < 0;
}

/* Return: the id of a wait for a process that runs, which the agent has read */
static uint64_t wait_long(struct peer *p)
{
	const uint32_t pid = long_pid = peer_run(p, "exec sleep 100");
	const uint64_t id = peer_send(p, WIRE_WAIT_FOR_PROCESS,
				      peer_wait_body(pid, UINT32_MAX));

	assert_false(dump_has(p, "given up"));
	return id;
}

static void want_refusal(struct peer *p, uint64_t id, const char *why)
{
	struct peer_frame f;

	p->older = true;
	crash_kill(p);
	peer_accept(p);
	p->older = false;
	peer_negotiate(p);
	peer_answer(p, id, &f);
	assert_int_equal(peer_result(&f), HR_FAIL);
	assert_non_null(strstr(f.body, why));
}

static void test_a_request_that_is_given_up_is_answered(void **state)
{
	struct peer *p = *state;
	const uint64_t id = wait_long(p);

	crash_poison(SLOT_REQUEST);
	want_refusal(p, id, "given up");
	/* It is over, and its record with it; the process runs on. */
	assert_false(dump_has(p, "given up"));
	crash_again(p);
	assert_false(is_ended(NULL));
}

static void test_a_wait_for_what_is_given_up_is_answered(void **state)
{
	struct peer *p = *state;
	const uint64_t id = wait_long(p);

	crash_poison(SLOT_PROCESS);
	want_refusal(p, id, "the agent was restarted");
	assert_true(dump_has(p, "kind=4 deaths=2 given up"));
	crash_until(is_ended, NULL);
	crash_again(p);
	assert_true(dump_has(p, "kind=4 deaths=2 given up"));
}

/* --- every system call ------------------------------------------------------- */

/* The pid that a process has written, 0: it did not run */
static uint32_t marked(const char *path)
{
	FILE *f = NULL;
	unsigned int pid = 0;

	for (int i = 0; i < 10 && pid == 0; i++) {
		(void)usleep(5000);
		f = fopen(path, "re");
		if (f && fscanf(f, "%u", &pid) != 1) /* NOLINT: our own */
			pid = 0;
		if (f)
			fclose(f);
	}
	return pid;
}

/* Killed at any system call of a start: a process that runs is known, and its
 * exit code is told. */
static void test_a_start_is_killed_at_every_system_call(void **state)
{
	struct peer *p = *state;
	const unsigned int step = getenv("FERRY_SOAK") ? 1 : 5;
	unsigned int ran = 0, kills = 0;
	bool more = true;

	for (unsigned int n = 1; more; n += step, kills++) {
		char line[192], path[128];
		struct peer_exec x = { .line = line,
				       .want = { false, true, false } };
		uint32_t pid;

		(void)snprintf(path, sizeof(path), "%s/mark.%u", p->dir, n);
		(void)snprintf(line, sizeof(line), "echo $$ >%s; exit 5", path);
		crash_trace();
		/* One that was read is answered once, by whichever agent. */
		p->older = true;
		(void)peer_send(p, WIRE_EXECUTE_PROCESS, peer_exec_body(p, &x));
		more = crash_after(n);
		crash_until(crash_is_started, &(unsigned int){ kills + 2 });
		fd_close(&p->fd);
		peer_accept(p);
		peer_negotiate(p);
		pid = marked(path);
		ran += pid != 0;
		if (pid != 0)
			assert_int_equal(peer_wait(p, pid), 5);
		peer_exec_done(&x);
		fd_close(&x.listener[1]);
		transport_unlink(&p->transport, x.port[1]);
	}
	print_message("# %u kills, %u processes ran\n", kills, ran);
	assert_false(more);
	assert_in_range(ran, 1, kills);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_an_exit_code_outlives_the_agent),
		TEST(test_an_exit_while_there_is_no_agent_is_told),
		TEST(test_an_exit_that_nobody_asked_for_outlives_many),
		TEST(test_a_wait_outlives_the_agent),
		TEST(test_a_signal_reaches_a_process_of_an_earlier_agent),
		TEST(test_a_producer_lives_on),
		TEST(test_input_ends_with_the_agent),
		TEST(test_input_ends_with_the_host),
		TEST(test_no_descriptor_is_left_in_the_store),
		TEST(test_a_terminal_outlives_the_agent),
		TEST(test_a_request_that_is_given_up_is_answered),
		TEST(test_a_wait_for_what_is_given_up_is_answered),
		TEST(test_a_start_is_killed_at_every_system_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
