/* bridge/host/exitwatch: an exit is learned once, or known to be unknown */
#include "tests/unit/process_fixture.h"

#define NOT_FOUND "{\"Result\":-2147023728}"
#define STILL_RUNS "{\"Result\":-1070137079}"

/* A process that runs; the guest is known to have read the wait. */
static void running(struct fixture *x, struct proc *p)
{
	proc_start(x, p, 0, 0);
	proc_run(p);
	assert_alive(x);
}

static void assert_unknown(struct proc *p)
{
	FAKE_UNTIL(&p->x->fake, p->ended);
	assert_false(p->end.exited);
	assert_true(p->end.started);
	assert_int_equal(p->failure.hresult, HR_ELEMENT_NOT_FOUND);
}

static void test_not_found_is_not_exit_code_0(void **state)
{
	struct fixture *x = *state;
	struct proc p;

	running(x, &p);
	fake_answer(&x->fake, &p.wait, NOT_FOUND);
	assert_unknown(&p);
	proc_done(&p);
}

static void test_old_id_completes_after_a_loss(void **state)
{
	struct fixture *x = *state;
	struct proc p;

	running(x, &p);
	reconnect(x);
	proc_exit(&p, 9);
	FAKE_UNTIL(&x->fake, p.ended);
	assert_true(p.end.exited);
	assert_int_equal(p.end.code, 9);
	proc_done(&p);
}

static void test_lost_answer_is_asked_for(void **state)
{
	struct fixture *x = *state;
	struct fake_request probe;
	struct proc p;

	running(x, &p);
	reconnect(x);
	probe = fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	assert_non_null(strstr(probe.body, "\"TimeoutInMs\":0"));
	fake_answer(&x->fake, &probe, "{\"Result\":0,\"ExitCode\":6}");
	FAKE_UNTIL(&x->fake, p.ended);
	assert_int_equal(p.end.code, 6);
	/* The old wait may still be answered: nobody minds. */
	proc_exit(&p, 6);
	assert_alive(x);
	proc_done(&p);
}

static void test_running_process_is_waited_for_further(void **state)
{
	struct fixture *x = *state;
	struct fake_request probe;
	struct proc p;

	running(x, &p);
	for (int i = 0; i < 3; i++) {
		reconnect(x);
		probe = fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
		fake_answer(&x->fake, &probe, STILL_RUNS);
		assert_alive(x);
		assert_int_equal(p.ended, 0);
	}
	proc_exit(&p, 1);
	FAKE_UNTIL(&x->fake, p.ended);
	assert_int_equal(p.end.code, 1);
	proc_done(&p);
}

static void test_not_found_waits_for_a_late_answer(void **state)
{
	struct fixture *x = *state;
	struct fake_request probe;
	struct proc p;

	running(x, &p);
	reconnect(x);
	probe = fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	fake_answer(&x->fake, &probe, NOT_FOUND);
	assert_alive(x);
	assert_int_equal(p.ended, 0);
	proc_exit(&p, 4);
	FAKE_UNTIL(&x->fake, p.ended);
	assert_true(p.end.exited);
	assert_int_equal(p.end.code, 4);
	proc_done(&p);
}

static void test_not_found_and_no_late_answer_is_unknown(void **state)
{
	struct fixture *x = *state;
	struct fake_request probe;
	struct proc p;

	running(x, &p);
	reconnect(x);
	probe = fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	fake_answer(&x->fake, &probe, NOT_FOUND);
	assert_unknown(&p);
	proc_done(&p);
}

static void test_request_that_may_be_lost_is_made_again(void **state)
{
	struct fixture *x = *state;
	struct fake_request again;
	struct proc p;

	proc_start(x, &p, 0, 0);
	proc_run(&p); /* no later answer shows that the wait was read */
	for (int i = 0; i < 3; i++) {
		reconnect(x);
		again = fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
		assert_non_null(
			strstr(again.body, "\"TimeoutInMs\":4294967295"));
		assert_true(again.id > p.wait.id);
	}
	fake_answer(&x->fake, &again, "{\"Result\":0,\"ExitCode\":8}");
	FAKE_UNTIL(&x->fake, p.ended);
	assert_int_equal(p.end.code, 8);
	proc_done(&p);
}

static void test_wait_refused_while_the_probe_is_out(void **state)
{
	struct fixture *x = *state;
	struct fake_request probe;
	struct fake_request again;
	struct proc p;

	running(x, &p);
	reconnect(x);
	probe = fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	fake_answer(&x->fake, &p.wait, NOT_FOUND);
	fake_answer(&x->fake, &probe, STILL_RUNS);
	/* Nobody waits any more, and it runs: wait anew. */
	again = fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	assert_non_null(strstr(again.body, "\"TimeoutInMs\":4294967295"));
	assert_int_equal(p.ended, 0);
	fake_answer(&x->fake, &again, "{\"Result\":0,\"ExitCode\":2}");
	FAKE_UNTIL(&x->fake, p.ended);
	assert_int_equal(p.end.code, 2);
	proc_done(&p);
}

static void test_exit_code_of_a_dead_bridge_is_a_loss(void **state)
{
	struct fixture *x = *state;
	struct proc p;

	make_client(x,
		    (struct host_client_config){ .reconnect_timeout_ms = 50 });
	(void)fake_connect(&x->fake);
	FAKE_UNTIL(&x->fake, x->ready == 1);
	proc_start(x, &p, 0, 0);
	proc_run(&p);
	fake_hang_up(&x->fake);
	FAKE_UNTIL(&x->fake, p.ended);
	assert_false(p.end.exited);
	assert_int_equal(p.failure.kind, HOST_FAIL_LOST);
	proc_done(&p);
}

/* Whatever is outstanding when the client fails, each process ends once. */
static void test_failure_while_a_probe_is_out(void **state)
{
	struct fixture *x = *state;
	struct proc p;

	make_client(x,
		    (struct host_client_config){ .reconnect_timeout_ms = 50 });
	(void)fake_connect(&x->fake);
	FAKE_UNTIL(&x->fake, x->ready == 1);
	running(x, &p);
	reconnect(x);
	(void)fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	fake_answer(&x->fake, &p.wait, NOT_FOUND);
	fake_hang_up(&x->fake);
	FAKE_UNTIL(&x->fake, x->failed == 1);
	FAKE_UNTIL(&x->fake, p.ended);
	assert_false(p.end.exited);
	proc_done(&p);
}

static void test_client_freed_before_its_process(void **state)
{
	struct fixture *x = *state;
	struct proc p;

	running(x, &p);
	host_client_free(mem_take(&x->client));
	FAKE_UNTIL(&x->fake, p.ended);
	assert_false(p.end.exited);
	assert_int_equal(p.failure.kind, HOST_FAIL_CANCELLED);
	proc_done(&p);
}

static void test_streams_outlive_the_bridge(void **state)
{
	struct fixture *x = *state;
	struct proc p;

	proc_start(x, &p, 1u << MSG_STDOUT, 0);
	proc_run(&p);
	assert_alive(x);
	reconnect(x);
	assert_int_equal(write(p.guest[MSG_STDOUT], "still", 5), 5);
	expect_text(&p, p.user[MSG_STDOUT], "still");
	proc_hang_up(&p);
	proc_exit(&p, 0);
	FAKE_UNTIL(&x->fake, p.ended);
	assert_true(p.end.exited);
	proc_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_not_found_is_not_exit_code_0),
		T(test_old_id_completes_after_a_loss),
		T(test_lost_answer_is_asked_for),
		T(test_running_process_is_waited_for_further),
		T(test_not_found_waits_for_a_late_answer),
		T(test_not_found_and_no_late_answer_is_unknown),
		T(test_request_that_may_be_lost_is_made_again),
		T(test_wait_refused_while_the_probe_is_out),
		BARE(test_exit_code_of_a_dead_bridge_is_a_loss),
		BARE(test_failure_while_a_probe_is_out),
		T(test_client_freed_before_its_process),
		T(test_streams_outlive_the_bridge),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("host exitwatch", tests, NULL, NULL);
}
