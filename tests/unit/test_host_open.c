/*
 * tests/unit/test_host_open.c - processes that are taken over (bridge.md 7.6;
 * migration.md 6.5)
 */
#include "tests/unit/open_fixture.h"

#include "bridge/host/exitwatch.h"

static void test_l21_a_running_process_is_taken_over(void **state)
{
	struct fixture *x = *state;
	struct proc p;

	assert_int_equal(proc_open(x, &p, &state_of_source, true, NULL), 0);
	p.guest[MSG_STDOUT] = fake_dial(&x->fake, PORT);
	(void)probe_runs(x);
	assert_int_equal(write(p.guest[MSG_STDOUT], "moved", 5), 5);
	expect_text(&p, p.user[MSG_STDOUT], "moved");
	assert_int_equal(host_process_pid(p.process), 42);
	answer_old_wait(x, 3);
	fd_close(&p.guest[MSG_STDOUT]);
	FAKE_UNTIL(&x->fake, p.ended);
	assert_true(p.end.exited);
	assert_int_equal(p.end.code, 3);
	assert_alive(x);
	proc_done(&p);
}

/* The guest does not know the old id: this host's own wait is enough. */
static void test_the_own_wait_is_enough(void **state)
{
	struct fixture *x = *state;
	struct proc p;

	assert_int_equal(proc_open(x, &p, &state_of_source, true, NULL), 0);
	p.wait = probe_runs(x);
	proc_exit(&p, 8);
	FAKE_UNTIL(&x->fake, p.ended);
	assert_int_equal(p.end.code, 8);
	proc_done(&p);
}

static void test_l21_an_exit_in_the_gap_is_found_at_once(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;
	struct proc p;

	assert_int_equal(proc_open(x, &p, &state_of_source, true, NULL), 0);
	r = expect_probe(x);
	fake_answer(&x->fake, &r, "{\"Result\":0,\"ExitCode\":77}");
	answer_old_wait(x, 77); /* which comes as well: told once */
	FAKE_UNTIL(&x->fake, p.ended);
	assert_true(p.end.exited);
	assert_int_equal(p.end.code, 77);
	assert_alive(x);
	proc_done(&p);
}

static void test_w7_an_early_exit_is_found(void **state)
{
	struct fixture *x = *state;
	struct proc p;

	answer_old_wait(x, 12); /* before anything was registered */
	assert_alive(x);
	assert_int_equal(proc_open(x, &p, &state_of_source, true, NULL), 0);
	FAKE_UNTIL(&x->fake, p.ended);
	assert_int_equal(p.end.code, 12);
	proc_done(&p);
}

/* "Not found" is an exit with a code that nobody knows, and never 0. */
static void test_w_h7_l9_unknown_is_an_end_without_a_code(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;
	struct proc p;

	assert_int_equal(proc_open(x, &p, &state_of_source, true, NULL), 0);
	r = expect_probe(x);
	fake_answer(&x->fake, &r, "{\"Result\":-2147023728}");
	FAKE_UNTIL(&x->fake, p.ended);
	assert_false(p.end.exited);
	assert_true(p.end.started);
	assert_int_equal(p.failure.hresult, HR_ELEMENT_NOT_FOUND);
	proc_done(&p);
}

/* The old answer may be on its way when the probe says that. */
static void test_w_h8_not_found_waits_for_the_old_answer(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;
	struct proc p;

	assert_int_equal(proc_open(x, &p, &state_of_source, true, NULL), 0);
	r = expect_probe(x);
	fake_answer(&x->fake, &r, "{\"Result\":-2147023728}");
	settle(x, 20);
	assert_int_equal(p.ended, 0);
	answer_old_wait(x, 5);
	FAKE_UNTIL(&x->fake, p.ended);
	assert_true(p.end.exited);
	assert_int_equal(p.end.code, 5);
	proc_done(&p);
}

/* Any other failure of the probe says nothing: it is waited for. */
static void test_w_h8_a_failed_probe_is_not_an_end(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;
	struct proc p;

	assert_int_equal(proc_open(x, &p, &state_of_source, true, NULL), 0);
	r = expect_probe(x);
	fake_answer(&x->fake, &r, "{\"Result\":-2147467259}");
	p.wait = fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	settle(x, 20);
	assert_int_equal(p.ended, 0);
	proc_exit(&p, 1);
	FAKE_UNTIL(&x->fake, p.ended);
	assert_int_equal(p.end.code, 1);
	proc_done(&p);
}

/* migration.md W9: a guest that never answers the probe holds nothing up. */
static void test_w_h8_w9_the_probe_has_a_limit_here(void **state)
{
	struct fixture *x = *state;
	struct proc p;
	int64_t began;

	assert_int_equal(proc_open(x, &p, &state_of_source, true, NULL), 0);
	(void)expect_probe(x);
	began = loop_now_ms(x->fake.loop);
	p.wait = fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	assert_in_range(loop_now_ms(x->fake.loop) - began,
			EXITWATCH_PROBE_LIMIT_MS / 2,
			5L * EXITWATCH_PROBE_LIMIT_MS);
	proc_exit(&p, 2);
	FAKE_UNTIL(&x->fake, p.ended);
	assert_int_equal(p.end.code, 2);
	proc_done(&p);
}

static void test_the_probe_is_made_again_after_a_loss(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;
	struct proc p;

	assert_int_equal(proc_open(x, &p, &state_of_source, true, NULL), 0);
	(void)expect_probe(x);
	reconnect(x);
	r = fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	assert_non_null(strstr(r.body, "\"ProcessId\":42"));
	fake_answer(&x->fake, &r, "{\"Result\":0,\"ExitCode\":6}");
	FAKE_UNTIL(&x->fake, p.ended);
	assert_int_equal(p.end.code, 6);
	proc_done(&p);
}

/* The wait id is there from the moment on that the process is. */
static void test_w_h12_the_wait_id_is_never_missing(void **state)
{
	struct fixture *x = *state;
	struct host_process_state s = state_of_source;
	struct err e = { 0 };
	struct proc p;

	proc_start(x, &p, 1u << MSG_STDOUT, 0);
	proc_run(&p);
	assert_int_equal(host_process_state(p.process, &s), 0);
	assert_int_equal(s.wait_id, p.wait.id);
	assert_int_not_equal(s.wait_id, 0);
	assert_int_equal(s.pid, 42);
	assert_int_equal(s.port[MSG_STDOUT], WIRE_PORT_STDIO_FIRST);
	assert_int_equal(s.port[MSG_STDIN], 0);
	proc_done(&p);

	s.wait_id = 0;
	assert_int_equal(proc_open(x, &p, &s, true, &e), -EINVAL);
	assert_non_null(strstr(e.text, "wait id"));
	proc_done(&p);
}

/* The source knew the exit and had not told it: what is left are its streams. */
static void test_one_that_has_exited_is_told_behind_its_output(void **state)
{
	struct fixture *x = *state;
	struct host_process_state s = state_of_source;
	struct proc p;

	s.exited = true;
	s.code = 5;
	assert_int_equal(proc_open(x, &p, &s, true, NULL), 0);
	/* It can be handed on as it came. */
	assert_int_equal(host_process_state(p.process, &s), -ESRCH);
	host_client_freeze(x->client, true);
	assert_int_equal(host_process_state(p.process, &s), 0);
	assert_true(s.exited);
	assert_int_equal(s.code, 5);
	assert_int_equal(s.wait_id, WAIT_ID);
	host_client_freeze(x->client, false);
	p.guest[MSG_STDOUT] = fake_dial(&x->fake, PORT);
	assert_int_equal(write(p.guest[MSG_STDOUT], "last", 4), 4);
	expect_text(&p, p.user[MSG_STDOUT], "last");
	assert_false(p.ended);
	fd_close(&p.guest[MSG_STDOUT]);
	FAKE_UNTIL(&x->fake, p.ended);
	assert_true(p.end.exited);
	assert_int_equal(p.end.code, 5);
	assert_alive(x); /* and nothing was asked */
	proc_done(&p);
}

/* A host that hands on tells no end: the next one does, or this one again. */
static void test_an_end_is_told_by_one_host(void **state)
{
	struct fixture *x = *state;
	struct host_process_state s;
	struct proc p;

	proc_start(x, &p, 0, 0);
	proc_run(&p);
	host_client_freeze(x->client, true);
	proc_exit(&p, 7);
	FAKE_UNTIL(&x->fake,
		   host_process_state(p.process, &s) == 0 && s.exited);
	settle(x, 50); /* time enough for a mistake */
	assert_false(p.ended);
	assert_int_equal(s.code, 7);
	host_client_freeze(x->client, false);
	FAKE_UNTIL(&x->fake, p.ended);
	assert_int_equal(p.end.code, 7);
	proc_done(&p);
}

/*
 * The guest stood still so long that its connection was given up, and dials
 * before the session goes on here: that is no end of its processes.
 */
static void test_a_bridge_that_comes_back_frozen_ends_nothing(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;
	struct proc p;

	proc_start(x, &p, 0, 0);
	proc_run(&p);
	host_client_freeze(x->client, true);
	reconnect(x);
	settle(x, 50); /* time enough for a mistake */
	assert_false(p.ended);
	host_client_freeze(x->client, false);
	r = fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	fake_answer(&x->fake, &r, "{\"Result\":0,\"ExitCode\":6}");
	FAKE_UNTIL(&x->fake, p.ended);
	assert_int_equal(p.end.code, 6);
	proc_done(&p);
}

/* A wait that got lost is replaced; the state names the one that lives. */
static void test_w_h12_the_state_names_the_wait_that_the_guest_has(void **state)
{
	struct fixture *x = *state;
	struct host_process_state s;
	struct fake_request r;
	struct proc p;

	proc_start(x, &p, 0, 0);
	proc_run(&p);
	reconnect(x);
	r = fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	assert_non_null(strstr(r.body, "\"TimeoutInMs\":4294967295"));
	assert_int_equal(host_process_state(p.process, &s), 0);
	assert_int_equal(s.wait_id, r.id);
	proc_done(&p);
}

static void test_an_open_raises_the_floor_of_the_ports(void **state)
{
	struct fixture *x = *state;
	uint32_t next = 0;
	struct proc p;

	assert_int_equal(proc_open(x, &p, &state_of_source, false, NULL), 0);
	assert_int_equal(
		host_ports_take(host_client_ports(x->client), &next, NULL), 0);
	assert_true(next > PORT);
	/* Without the watch nothing is asked. */
	assert_alive(x);
	answer_old_wait(x, 0);
	FAKE_UNTIL(&x->fake, p.ended);
	proc_done(&p);
}

static void test_a_wait_of_our_own_is_not_taken_over(void **state)
{
	struct fixture *x = *state;
	struct host_process_state s;
	struct proc p;
	struct proc q;

	proc_start(x, &p, 0, 0);
	proc_run(&p);
	assert_int_equal(host_process_state(p.process, &s), 0);
	assert_int_equal(proc_open(x, &q, &s, false, NULL), -EEXIST);
	proc_exit(&p, 1);
	FAKE_UNTIL(&x->fake, p.ended);
	proc_done(&p);
	proc_done(&q);
}

static void test_the_port_is_closed_with_the_process(void **state)
{
	struct fixture *x = *state;
	struct proc p;

	assert_int_equal(proc_open(x, &p, &state_of_source, false, NULL), 0);
	assert_int_equal(fake_ports(&x->fake), 1);
	host_process_free(mem_take(&p.process));
	assert_int_equal(fake_ports(&x->fake), 0);
	proc_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_l21_a_running_process_is_taken_over),
		T(test_the_own_wait_is_enough),
		T(test_l21_an_exit_in_the_gap_is_found_at_once),
		T(test_w7_an_early_exit_is_found),
		T(test_w_h7_l9_unknown_is_an_end_without_a_code),
		T(test_w_h8_not_found_waits_for_the_old_answer),
		T(test_w_h8_a_failed_probe_is_not_an_end),
		T(test_w_h8_w9_the_probe_has_a_limit_here),
		T(test_the_probe_is_made_again_after_a_loss),
		T(test_w_h12_the_wait_id_is_never_missing),
		T(test_one_that_has_exited_is_told_behind_its_output),
		T(test_an_end_is_told_by_one_host),
		T(test_a_bridge_that_comes_back_frozen_ends_nothing),
		T(test_w_h12_the_state_names_the_wait_that_the_guest_has),
		T(test_an_open_raises_the_floor_of_the_ports),
		T(test_a_wait_of_our_own_is_not_taken_over),
		T(test_the_port_is_closed_with_the_process),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
