/*
 * tests/unit/test_host_blackout.c - the streams of init processes over the loss of a
 * bridge (bridge.md 5.5; migration.md 6.5)
 */
#include "tests/unit/open_fixture.h"

#include "bridge/host/exitwatch.h"

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
