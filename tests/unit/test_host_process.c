/* bridge/host/process: streams, exit, and everything that can go wrong */
#include "tests/unit/process_fixture.h"

#include <sys/resource.h>

#define IN (1u << MSG_STDIN)
#define OUT (1u << MSG_STDOUT)
#define ERR (1u << MSG_STDERR)

static void test_streams_and_exit_code(void **state)
{
	struct fixture *x = *state;
	struct proc p;

	proc_start(x, &p, IN | OUT | ERR, 0);
	proc_run(&p);
	assert_int_equal(write(p.user[MSG_STDIN], "in", 2), 2);
	expect_text(&p, p.guest[MSG_STDIN], "in");
	fd_close(&p.user[MSG_STDIN]);
	expect_end(&p, p.guest[MSG_STDIN]);
	assert_int_equal(write(p.guest[MSG_STDOUT], "out", 3), 3);
	expect_text(&p, p.user[MSG_STDOUT], "out");
	assert_int_equal(write(p.guest[MSG_STDERR], "err", 3), 3);
	expect_text(&p, p.user[MSG_STDERR], "err");
	proc_hang_up(&p);
	proc_exit(&p, 137);
	FAKE_UNTIL(&x->fake, p.ended);
	assert_true(p.end.exited);
	assert_true(p.end.started);
	assert_false(p.end.output_cut);
	assert_int_equal(p.end.code, 137);
	expect_end(&p, p.user[MSG_STDOUT]);
	proc_done(&p);
}

static void test_ports_are_in_order_and_only_for_wanted_streams(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;
	struct proc p;
	struct proc q;

	proc_start(x, &p, IN | ERR, 0);
	r = proc_dial(&p);
	assert_int_equal(port_of(&r, "StdIn"), 0x40000001);
	assert_int_equal(port_of(&r, "StdErr"), 0x40000002);
	assert_non_null(strstr(r.body, "CreateStdInPipe"));
	assert_non_null(strstr(r.body, "CreateStdErrPipe"));
	assert_null(strstr(r.body, "CreateStdOutPipe"));
	proc_start(x, &q, OUT, 0);
	r = proc_dial(&q);
	assert_int_equal(port_of(&r, "StdOut"), 0x40000003);
	proc_done(&p);
	proc_done(&q);
}

static void test_output_behind_the_exit_arrives(void **state)
{
	struct fixture *x = *state;
	struct proc p;

	proc_start(x, &p, OUT, 0);
	proc_run(&p);
	proc_exit(&p, 0);
	FAKE_UNTIL(&x->fake,
		   host_process_signal(p.process, 1, NULL, NULL) == -ESRCH);
	assert_int_equal(p.ended, 0); /* the output is open */
	assert_int_equal(write(p.guest[MSG_STDOUT], "late", 4), 4);
	proc_hang_up(&p);
	expect_text(&p, p.user[MSG_STDOUT], "late");
	FAKE_UNTIL(&x->fake, p.ended);
	assert_false(p.end.output_cut);
	proc_done(&p);
}

static void test_output_that_never_ends_is_cut(void **state)
{
	struct fixture *x = *state;
	struct proc p;

	proc_start(x, &p, OUT, 0);
	proc_run(&p);
	proc_exit(&p, 3);
	FAKE_UNTIL(&x->fake, p.ended); /* a grandchild holds the stream */
	assert_true(p.end.output_held);
	assert_false(p.end.output_cut);
	assert_true(p.end.exited);
	assert_int_equal(p.end.code, 3);
	assert_true(send(p.guest[MSG_STDOUT], "x", 1, MSG_NOSIGNAL) < 0);
	proc_done(&p);
}

/* The reader is slow, not the guest: nothing is thrown away. */
static void test_slow_reader_loses_nothing_at_the_exit(void **state)
{
	static const char block[4096];
	struct fixture *x = *state;
	int64_t later;
	size_t sent = 0;
	size_t got = 0;
	char buf[65536];
	struct proc p;

	proc_start(x, &p, OUT, 0);
	proc_run(&p);
	for (int idle = 0; idle < 50; idle++) {
		const ssize_t n =
			write(p.guest[MSG_STDOUT], block, sizeof(block));

		if (n > 0) {
			sent += (size_t)n;
			idle = 0;
		}
		assert_true(loop_turn(x->fake.loop, 1, NULL) >= 0);
	}
	proc_hang_up(&p);
	proc_exit(&p, 0);
	later = loop_now_ms(x->fake.loop) + 2L * HOST_DRAIN_MS;
	FAKE_UNTIL(&x->fake, loop_now_ms(x->fake.loop) > later);
	assert_int_equal(p.ended, 0);
	while (!p.ended || got < sent) {
		const ssize_t n = read(p.user[MSG_STDOUT], buf, sizeof(buf));

		assert_int_not_equal(n, 0);
		got += n > 0 ? (size_t)n : 0;
		assert_true(loop_turn(x->fake.loop, 1, NULL) >= 0);
	}
	assert_int_equal(got, sent);
	assert_false(p.end.output_cut);
	proc_done(&p);
}

static void test_close_stdin_is_an_end_of_input(void **state)
{
	struct fixture *x = *state;
	struct proc p;
	struct proc q;

	proc_start(x, &p, IN, 0);
	proc_run(&p);
	assert_int_equal(write(p.user[MSG_STDIN], "in", 2), 2);
	expect_text(&p, p.guest[MSG_STDIN], "in");
	host_process_close_stdin(p.process);
	host_process_close_stdin(p.process);
	expect_end(&p, p.guest[MSG_STDIN]);
	assert_int_equal(p.ended, 0);

	/* Before it runs: the process gets an input that is empty. */
	proc_start(x, &q, IN, 0);
	host_process_close_stdin(q.process);
	proc_run(&q);
	expect_end(&q, q.guest[MSG_STDIN]);
	proc_done(&q);
	proc_done(&p);
}

static void test_stdin_is_not_read_before_the_process_runs(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;
	struct proc p;
	char c;

	proc_start(x, &p, IN, 0);
	assert_int_equal(write(p.user[MSG_STDIN], "in", 2), 2);
	r = proc_dial(&p);
	for (int i = 0; i < 10; i++)
		assert_true(loop_turn(x->fake.loop, 5, NULL) >= 0);
	assert_int_equal(recv(p.guest[MSG_STDIN], &c, 1, MSG_DONTWAIT), -1);
	fake_answer(&x->fake, &r, EXECUTED);
	expect_text(&p, p.guest[MSG_STDIN], "in");
	proc_done(&p);
}

static void test_reader_gone_is_a_hang_up_for_the_guest(void **state)
{
	struct fixture *x = *state;
	struct proc p;

	proc_start(x, &p, OUT, 0);
	proc_run(&p);
	FAKE_UNTIL(&x->fake, fake_ports(&x->fake) == 0);
	fd_close(&p.user[MSG_STDOUT]);
	FAKE_UNTIL(&x->fake,
		   send(p.guest[MSG_STDOUT], "x", 1, MSG_NOSIGNAL) < 0);
	proc_exit(&p, 141);
	FAKE_UNTIL(&x->fake, p.ended);
	assert_int_equal(p.end.code, 141);
	assert_false(p.end.output_cut);
	proc_done(&p);
}

static void test_signal_and_resize(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;
	struct proc p;

	proc_start(x, &p, 0, 0);
	assert_int_equal(host_process_signal(p.process, 2, NULL, NULL), -ESRCH);
	proc_run(&p);
	assert_int_equal(host_process_signal(p.process, 2, NULL, NULL), 0);
	assert_int_equal(host_process_resize(p.process, 25, 81, NULL, NULL), 0);
	r = fake_expect(&x->fake, WIRE_SIGNAL_PROCESS);
	assert_non_null(strstr(r.body, "\"ProcessId\":42"));
	assert_non_null(strstr(r.body, "\"Signal\":2"));
	r = fake_expect(&x->fake, WIRE_RESIZE_CONSOLE);
	assert_non_null(strstr(r.body, "\"Height\":25"));
	proc_exit(&p, 130);
	FAKE_UNTIL(&x->fake, p.ended);
	assert_int_equal(p.end.code, 130);
	proc_done(&p);
}

static void test_what_a_move_hands_on(void **state)
{
	struct host_process_state s = { 0 };
	struct fixture *x = *state;
	struct proc p;

	proc_start(x, &p, IN | OUT, 0);
	assert_int_equal(host_process_state(p.process, &s), -ESRCH);
	proc_run(&p);
	assert_int_equal(host_process_state(p.process, &s), 0);
	assert_int_equal(s.pid, 42);
	assert_int_equal(s.wait_id, p.wait.id);
	assert_int_equal(s.port[MSG_STDIN], 0x40000001);
	assert_int_equal(s.port[MSG_STDOUT], 0x40000002);
	assert_int_equal(s.port[MSG_STDERR], 0);
	proc_done(&p);
}

/* --- starts that fail ------------------------------------------------------ */

static void test_refused_start(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;
	struct proc p;

	proc_start(x, &p, IN | OUT, 0);
	r = proc_dial(&p);
	fake_answer(
		&x->fake, &r,
		"{\"Result\":-2147467259,\"ErrorMessage\":\"no such file\"}");
	FAKE_UNTIL(&x->fake, p.ended);
	assert_false(p.end.started);
	assert_false(p.end.exited);
	assert_int_equal(p.failure.hresult, HR_FAIL);
	assert_non_null(strstr(p.failure.err.text, "no such file"));
	assert_int_equal(fake_ports(&x->fake), 0);
	proc_done(&p);
}

static void test_start_that_is_never_answered(void **state)
{
	struct fixture *x = *state;
	struct proc p;

	proc_start(x, &p, IN | OUT | ERR, 50);
	assert_int_equal(fake_ports(&x->fake), 3);
	FAKE_UNTIL(&x->fake, p.ended);
	assert_int_equal(p.failure.kind, HOST_FAIL_TIMEOUT);
	assert_int_equal(fake_ports(&x->fake), 0);
	assert_int_equal(host_client_state(x->client), HOST_READY);
	proc_done(&p);
}

static void test_process_id_zero_is_no_process(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;
	struct proc p;

	proc_start(x, &p, 0, 0);
	r = proc_dial(&p);
	fake_answer(&x->fake, &r, "{\"Result\":0}");
	FAKE_UNTIL(&x->fake, p.ended);
	assert_int_equal(p.failure.kind, HOST_FAIL_GARBLED);
	proc_done(&p);
}

static void test_w_h15_guest_that_never_dials_its_streams(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;
	struct proc p;

	proc_start(x, &p, IN | OUT, 0);
	r = fake_expect(&x->fake, WIRE_EXECUTE_PROCESS);
	fake_answer(&x->fake, &r, EXECUTED);
	p.wait = fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	proc_exit(&p, 0);
	FAKE_UNTIL(&x->fake, p.ended);
	assert_true(p.end.exited);
	assert_int_equal(fake_ports(&x->fake), 0);
	expect_end(&p, p.user[MSG_STDOUT]);
	proc_done(&p);
}

static void test_second_connection_to_a_stream_is_refused(void **state)
{
	struct fixture *x = *state;
	struct proc p;

	proc_start(x, &p, OUT, 0);
	proc_run(&p);
	FAKE_UNTIL(&x->fake, fake_ports(&x->fake) == 0);
	assert_int_equal(fake_try_dial(&x->fake, 0x40000001), -1);
	assert_int_equal(write(p.guest[MSG_STDOUT], "ok", 2), 2);
	expect_text(&p, p.user[MSG_STDOUT], "ok");
	proc_done(&p);
}

static void test_start_without_a_bridge_leaves_nothing(void **state)
{
	const struct msg_process_parameters parameters = { 0 };
	struct host_process_config config = {
		.parameters = &parameters,
		.fd = { STDIN_FILENO, -1, -1 },
	};
	struct fixture *x = *state;
	struct host_process *p = NULL;
	struct err e = { 0 };

	fake_hang_up(&x->fake);
	FAKE_UNTIL(&x->fake, x->lost == 1);
	assert_int_equal(host_process_start(x->client, &config, &p, &e),
			 -ENOTCONN);
	assert_null(p);
	assert_int_equal(fake_ports(&x->fake), 1); /* the bridge's own */
}

/* --- many ------------------------------------------------------------------ */

static void test_two_hundred_processes_at_once(void **state)
{
	enum { N = 200 };
	static struct proc p[N];
	struct fixture *x = *state;
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int i = 0; i < N; i++) {
		proc_start(x, &p[i], IN | OUT, 0);
		proc_run(&p[i]);
	}
	for (int i = 0; i < N; i++) {
		char text[16];
		const int n = snprintf(text, sizeof(text), "process %d", i);

		assert_int_equal(write(p[i].guest[MSG_STDOUT], text, (size_t)n),
				 n);
		expect_text(&p[i], p[i].user[MSG_STDOUT], text);
	}
	for (int i = N; i-- > 0;) {
		proc_hang_up(&p[i]);
		proc_exit(&p[i], i);
	}
	for (int i = 0; i < N; i++) {
		FAKE_UNTIL(&x->fake, p[i].ended);
		assert_int_equal(p[i].end.code, i);
		proc_done(&p[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_streams_and_exit_code),
		T(test_ports_are_in_order_and_only_for_wanted_streams),
		T(test_output_behind_the_exit_arrives),
		T(test_output_that_never_ends_is_cut),
		T(test_slow_reader_loses_nothing_at_the_exit),
		T(test_close_stdin_is_an_end_of_input),
		T(test_stdin_is_not_read_before_the_process_runs),
		T(test_reader_gone_is_a_hang_up_for_the_guest),
		T(test_signal_and_resize),
		T(test_what_a_move_hands_on),
		T(test_refused_start),
		T(test_start_that_is_never_answered),
		T(test_process_id_zero_is_no_process),
		T(test_w_h15_guest_that_never_dials_its_streams),
		T(test_second_connection_to_a_stream_is_refused),
		T(test_start_without_a_bridge_leaves_nothing),
		T(test_two_hundred_processes_at_once),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("host process", tests, NULL, NULL);
}
