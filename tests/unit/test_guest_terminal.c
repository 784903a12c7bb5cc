/*
 * tests/unit/test_guest_terminal.c - a terminal whose host side is gone, on
 * purpose or with the host
 */
#include "tests/unit/guest_peer.h"

/* Long enough for a stream's end to be judged (STREAM_JUDGE_MS). */
#define JUDGED_MS 800

static int set_up(void **state)
{
	static struct peer p;

	peer_start(&p);
	*state = &p;
	return 0;
}

static int tear_down(void **state)
{
	struct peer *p = *state;

	assert_true(peer_agent_lives(p));
	peer_done(p);
	return 0;
}

/* Runs @line on a terminal until it has said "go". */
static void start(struct peer *p, struct peer_exec *x, const char *line,
		  bool want_stdin)
{
	uint8_t seen[4];

	*x = (struct peer_exec){
		.line = line,
		.parameters = ",\"EmulateConsole\":true",
		.want = { want_stdin, true, false },
	};
	peer_exec(p, x);
	assert_int_equal(peer_read(x->fd[1], seen, 4), 4);
	assert_memory_equal(seen, "go\r\n", 4);
}

static const char *const until_told =
	"trap 'exit 7' HUP; trap 'exit 8' TERM; echo go; "
	"while :; do sleep 0.1; done";

static void tell(struct peer *p, uint32_t pid)
{
	struct peer_frame f;

	assert_int_equal(peer_call(p, WIRE_SIGNAL_PROCESS,
				   peer_signal_body(pid, SIGTERM), &f),
			 HR_OK);
}

static void test_both_sides_closed_hang_the_terminal_up(void **state)
{
	struct peer *p = *state;
	struct peer_exec x;

	start(p, &x, until_told, true);
	peer_exec_done(&x);
	assert_int_equal(peer_wait(p, x.pid), 7);
}

static void test_output_closed_then_input_hang_it_up(void **state)
{
	struct peer *p = *state;
	struct peer_exec x;

	start(p, &x, until_told, true);
	fd_close(&x.fd[1]);
	(void)poll(NULL, 0, JUDGED_MS);
	fd_close(&x.fd[0]);
	assert_int_equal(peer_wait(p, x.pid), 7);
}

static void test_without_input_the_output_hangs_it_up(void **state)
{
	struct peer *p = *state;
	struct peer_exec x;

	start(p, &x, until_told, false);
	peer_exec_done(&x);
	assert_int_equal(peer_wait(p, x.pid), 7);
}

/* Whoever only stops to read can still type. */
static void test_output_closed_alone_does_not_hang_up(void **state)
{
	struct peer *p = *state;
	struct peer_exec x;

	start(p, &x, "trap 'exit 7' HUP; echo go; read a; exit $a", true);
	fd_close(&x.fd[1]);
	(void)poll(NULL, 0, JUDGED_MS);
	assert_int_equal(fd_write_full(x.fd[0], "5\n", 2), 0);
	assert_int_equal(peer_wait(p, x.pid), 5);
	peer_exec_done(&x);
}

/* Whoever only stops to type can still read. */
static void test_input_closed_alone_does_not_hang_up(void **state)
{
	struct peer *p = *state;
	struct peer_exec x;

	start(p, &x, until_told, true);
	fd_close(&x.fd[0]);
	(void)poll(NULL, 0, JUDGED_MS);
	tell(p, x.pid);
	assert_int_equal(peer_wait(p, x.pid), 8);
	peer_exec_done(&x);
}

/* The host is gone, and not only the two streams. */
static void test_a_lost_host_does_not_hang_up(void **state)
{
	struct peer *p = *state;
	struct peer_exec x;

	start(p, &x, until_told, true);
	peer_drop(p, true);
	peer_exec_done(&x);
	peer_accept(p);
	peer_negotiate(p);
	(void)poll(NULL, 0, JUDGED_MS);
	tell(p, x.pid);
	assert_int_equal(peer_wait(p, x.pid), 8);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_both_sides_closed_hang_the_terminal_up),
		TEST(test_output_closed_then_input_hang_it_up),
		TEST(test_without_input_the_output_hangs_it_up),
		TEST(test_output_closed_alone_does_not_hang_up),
		TEST(test_input_closed_alone_does_not_hang_up),
		TEST(test_a_lost_host_does_not_hang_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
