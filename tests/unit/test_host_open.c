/*
 * bridge/host/process: processes that are taken over, and the streams of init
 * processes over the loss of a bridge (bridge.md 5.5, 7.6; migration.md 6.5)
 */
#include "tests/unit/process_fixture.h"

#include "bridge/host/exitwatch.h"

#define WAIT_ID 300u
#define FLOOR 400u
#define PORT 0x40000010u

static const struct host_process_state state_of_source = {
	.pid = 42,
	.port = { 0, PORT, 0 },
	.wait_id = WAIT_ID,
};

/* As the destination: floors, then the process with its stdout. */
static int proc_open(struct fixture *x, struct proc *p,
		     const struct host_process_state *state, bool watch,
		     struct err *e)
{
	struct host_process_config config = {
		.container_id = "c1",
		.fd = { -1, -1, -1 },
		.ended = on_ended,
		.ctx = p,
	};
	int fd[2];
	int r;

	host_client_raise_id(x->client, FLOOR);
	*p = (struct proc){ .x = x };
	for (int i = 0; i < MSG_STDIO; i++) {
		p->user[i] = -1;
		p->guest[i] = -1;
	}
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	config.fd[MSG_STDOUT] = fd[1];
	p->user[MSG_STDOUT] = fd[0];
	assert_int_equal(fd_nonblock(fd[0], true), 0);
	r = host_process_open(x->client, &config, state, watch, &p->process, e);
	fd_close(&config.fd[MSG_STDOUT]);
	return r;
}

static struct fake_request expect_probe(struct fixture *x)
{
	const struct fake_request r =
		fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);

	assert_non_null(strstr(r.body, "\"ContainerId\":\"c1\""));
	assert_non_null(strstr(r.body, "\"ProcessId\":42"));
	assert_non_null(strstr(r.body, "\"TimeoutInMs\":50"));
	return r;
}

/* The probe, and the wait of this host's own that follows on a "no". */
static struct fake_request probe_runs(struct fixture *x)
{
	struct fake_request r = expect_probe(x);

	fake_answer(&x->fake, &r, "{\"Result\":-1070137079}"); /* timeout */
	r = fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	assert_non_null(strstr(r.body, "\"TimeoutInMs\":4294967295"));
	return r;
}

static void answer_old_wait(struct fixture *x, int code)
{
	char body[64];

	(void)snprintf(body, sizeof(body), "{\"Result\":0,\"ExitCode\":%d}",
		       code);
	fake_send(&x->fake, wire_response_type(WIRE_WAIT_FOR_PROCESS), WAIT_ID,
		  body);
}

static void settle(struct fixture *x, int ms)
{
	const int64_t end = loop_now_ms(x->fake.loop) + ms;

	while (loop_now_ms(x->fake.loop) < end)
		assert_true(loop_turn(x->fake.loop, 1, NULL) >= 0);
}

/* --- taking over ------------------------------------------------------------ */

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

/* --- init streams over a loss ------------------------------------------------ */

/* An init process: in a container, without a process document. */
static void init_start(struct fixture *x, struct proc *p, unsigned int streams)
{
	const struct msg_process_parameters parameters = { 0 };
	struct host_process_config config = {
		.container_id = "c1",
		.parameters = &parameters,
		.fd = { -1, -1, -1 },
		.started = on_started,
		.ended = on_ended,
		.ctx = p,
	};

	*p = (struct proc){ .x = x };
	for (int i = 0; i < MSG_STDIO; i++) {
		int fd[2];

		p->user[i] = -1;
		p->guest[i] = -1;
		if (!(streams & 1u << i))
			continue;
		assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
		config.fd[i] = fd[i == MSG_STDIN ? 0 : 1];
		p->user[i] = fd[i == MSG_STDIN ? 1 : 0];
		assert_int_equal(fd_nonblock(p->user[i], true), 0);
	}
	assert_int_equal(
		host_process_start(x->client, &config, &p->process, NULL), 0);
	for (int i = 0; i < MSG_STDIO; i++)
		fd_close(&config.fd[i]);
	proc_run(p);
}

#define IN (1u << MSG_STDIN)
#define OUT (1u << MSG_STDOUT)

/* The order of a blackout: bridge first, streams first, or streams reset. */
enum order { BRIDGE_FIRST, STREAMS_FIRST };

static void black_out(struct fixture *x, struct proc *p, enum order order)
{
	const int lost = x->lost;

	if (order == STREAMS_FIRST) {
		proc_hang_up(p);
		settle(x, 50);
	}
	fake_hang_up(&x->fake);
	FAKE_UNTIL(&x->fake, x->lost == lost + 1);
	proc_hang_up(p);
	settle(x, 20);
	(void)fake_connect(&x->fake);
	FAKE_UNTIL(&x->fake, x->ready == lost + 2);
}

/* L19, L20: the port is listened on again, the local end never noticed. */
static void test_l19_l20_init_streams_come_back(void **state)
{
	struct fixture *x = *state;

	for (int order = BRIDGE_FIRST; order <= STREAMS_FIRST; order++) {
		struct host_process_state s;
		struct proc p;

		init_start(x, &p, IN | OUT);
		assert_int_equal(host_process_state(p.process, &s), 0);
		assert_int_equal(write(p.guest[MSG_STDOUT], "one", 3), 3);
		expect_text(&p, p.user[MSG_STDOUT], "one");
		black_out(x, &p, (enum order)order);
		p.wait = fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
		p.guest[MSG_STDOUT] = fake_dial(&x->fake, s.port[MSG_STDOUT]);
		assert_int_equal(write(p.guest[MSG_STDOUT], "two", 3), 3);
		expect_text(&p, p.user[MSG_STDOUT], "two");
		/* W-S4: typing goes on as well, from where it stopped. */
		assert_int_equal(write(p.user[MSG_STDIN], "typed", 5), 5);
		p.guest[MSG_STDIN] = fake_dial(&x->fake, s.port[MSG_STDIN]);
		expect_text(&p, p.guest[MSG_STDIN], "typed");
		proc_exit(&p, 0);
		proc_hang_up(&p);
		FAKE_UNTIL(&x->fake, p.ended == 1);
		settle(x, 20); /* no second report: on_ended() would say so */
		assert_true(p.end.exited);
		expect_end(&p, p.user[MSG_STDOUT]);
		proc_done(&p);
	}
}

/* A silent container never dials again; its exit is told all the same. */
static void test_l20_a_silent_container_ends(void **state)
{
	struct fixture *x = *state;
	struct proc p;

	init_start(x, &p, OUT);
	black_out(x, &p, BRIDGE_FIRST);
	p.wait = fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	proc_exit(&p, 4);
	FAKE_UNTIL(&x->fake, p.ended);
	assert_true(p.end.exited);
	assert_int_equal(p.end.code, 4);
	assert_false(p.end.output_cut);
	proc_done(&p);
}

/* W-S1: what was written last comes with the dial behind the exit. */
static void test_l20_last_words_behind_the_exit(void **state)
{
	struct fixture *x = *state;
	struct host_process_state s;
	struct proc p;

	init_start(x, &p, OUT);
	assert_int_equal(host_process_state(p.process, &s), 0);
	black_out(x, &p, BRIDGE_FIRST);
	p.wait = fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	proc_exit(&p, 4);
	p.guest[MSG_STDOUT] = fake_dial(&x->fake, s.port[MSG_STDOUT]);
	assert_int_equal(write(p.guest[MSG_STDOUT], "last", 4), 4);
	proc_hang_up(&p);
	expect_text(&p, p.user[MSG_STDOUT], "last");
	FAKE_UNTIL(&x->fake, p.ended);
	proc_done(&p);
}

/* Input that was closed before the loss is closed for the new connection. */
static void test_closed_input_is_closed_again(void **state)
{
	struct fixture *x = *state;
	struct host_process_state s;
	struct proc p;

	init_start(x, &p, IN);
	assert_int_equal(host_process_state(p.process, &s), 0);
	fd_close(&p.user[MSG_STDIN]);
	expect_end(&p, p.guest[MSG_STDIN]);
	black_out(x, &p, BRIDGE_FIRST);
	(void)fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	p.guest[MSG_STDIN] = fake_dial(&x->fake, s.port[MSG_STDIN]);
	expect_end(&p, p.guest[MSG_STDIN]);
	proc_done(&p);
}

/* The process closed its output by itself: its reader hears of it. */
static void test_an_end_without_a_loss_is_an_end(void **state)
{
	struct fixture *x = *state;
	struct proc p;

	init_start(x, &p, OUT);
	proc_hang_up(&p);
	expect_end(&p, p.user[MSG_STDOUT]);
	assert_int_equal(p.ended, 0);
	proc_exit(&p, 0);
	FAKE_UNTIL(&x->fake, p.ended);
	proc_done(&p);
}

/* Streams of an exec are not dialled again, and no port stays open. */
static void test_exec_streams_end_with_the_loss(void **state)
{
	struct fixture *x = *state;
	struct proc p;

	proc_start(x, &p, OUT, 0);
	proc_run(&p);
	black_out(x, &p, BRIDGE_FIRST);
	expect_end(&p, p.user[MSG_STDOUT]);
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
		T(test_l19_l20_init_streams_come_back),
		T(test_l20_a_silent_container_ends),
		T(test_l20_last_words_behind_the_exit),
		T(test_closed_input_is_closed_again),
		T(test_an_end_without_a_loss_is_an_end),
		T(test_exec_streams_end_with_the_loss),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
