/*
 * tests/unit/test_guest_terminal.c - processes on a terminal, and a terminal
 * whose host side is gone, on purpose or with the host
 */
#include "tests/unit/guest_peer.h"

static void test_a_terminal(void **state)
{
	struct peer *p = *state;
	struct peer_exec x = {
		.line = "stty size; tty; ps -o tty= -p $$; "
			"trap 'stty size' WINCH; echo go; a=; "
			"while [ \"$a\" != end ]; do read a; echo got=$a; "
			"done; exit 9",
		.parameters = ",\"EmulateConsole\":true,"
			      "\"ConsoleSize\":[33,77]",
		.want = { true, true, true },
	};
	struct peer_frame f;
	char seen[4096], body[256];

	peer_exec(p, &x);
	peer_read_until(x.fd[1], seen, sizeof(seen), "go\r\n");
	assert_memory_equal(seen, "33 77\r\n/dev/pts/", 16);
	assert_int_equal(fd_write_full(x.fd[0], "hey\n", 4), 0);
	peer_read_until(x.fd[1], seen, sizeof(seen), "got=hey\r\n");
	(void)snprintf(body, sizeof(body),
		       "{" PEER_BASE
		       ",\"ProcessId\":%u,\"Height\":44,\"Width\":99}",
		       WIRE_NULL_ID, x.pid);
	assert_int_equal(peer_call(p, WIRE_RESIZE_CONSOLE, body, &f), HR_OK);
	/* A shell that was not reading yet runs the trap behind a read. */
	assert_int_equal(fd_write_full(x.fd[0], "\n", 1), 0);
	peer_read_until(x.fd[1], seen, sizeof(seen), "44 99\r\n");
	assert_int_equal(fd_write_full(x.fd[0], "end\n", 4), 0);
	assert_int_equal(peer_wait(p, x.pid), 9);
	assert_string_equal(peer_output(x.fd[2]), "");
	assert_int_equal(peer_call(p, WIRE_RESIZE_CONSOLE, body, &f), HR_OK);
	peer_exec_done(&x);
}

static void test_the_end_of_terminal_input_is_typed_by_nobody(void **state)
{
	struct peer *p = *state;
	struct peer_exec x = {
		.line = "echo go; read a; echo got=$a",
		.parameters = ",\"EmulateConsole\":true",
		.want = { true, true, false },
	};
	char seen[256];
	struct peer_frame f;

	peer_exec(p, &x);
	peer_read_until(x.fd[1], seen, sizeof(seen), "go\r\n");
	assert_int_equal(shutdown(x.fd[0], SHUT_WR), 0);
	assert_int_equal(peer_call(p, WIRE_WAIT_FOR_PROCESS,
				   peer_wait_body(x.pid, 200), &f),
			 HR_TIMEOUT);
	assert_int_equal(peer_call(p, WIRE_SIGNAL_PROCESS,
				   peer_signal_body(x.pid, 9), &f),
			 HR_OK);
	assert_int_equal(peer_wait(p, x.pid), 137);
	peer_exec_done(&x);
}

static void test_only_terminals_have_a_size(void **state)
{
	struct peer *p = *state;
	const uint32_t pid = peer_run(p, "exec sleep 1000");
	struct peer_frame f;
	char body[256];

	(void)snprintf(body, sizeof(body),
		       "{" PEER_BASE
		       ",\"ProcessId\":%u,\"Height\":4,\"Width\":9}",
		       WIRE_NULL_ID, pid);
	assert_int_equal(peer_call(p, WIRE_RESIZE_CONSOLE, body, &f), HR_FAIL);
}

static void test_terminal_output_is_whole(void **state)
{
	struct peer *p = *state;
	struct peer_exec x = {
		.line = "stty -opost; exec head -c 1000000 /dev/zero",
		.parameters = ",\"EmulateConsole\":true",
		.want = { false, true, false },
	};
	static char buf[65536];
	size_t total = 0, n;

	peer_exec(p, &x);
	while ((n = peer_read(x.fd[1], buf, sizeof(buf))) > 0)
		total += n;
	assert_int_equal(total, 1000000);
	assert_int_equal(peer_wait(p, x.pid), 0);
	peer_exec_done(&x);
}

/* Long enough for a stream's end to be judged (STREAM_JUDGE_MS). */
#define JUDGED_MS 800

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
#define TEST(f) cmocka_unit_test_setup_teardown(f, peer_set_up, peer_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_terminal),
		TEST(test_the_end_of_terminal_input_is_typed_by_nobody),
		TEST(test_only_terminals_have_a_size),
		TEST(test_terminal_output_is_whole),
		TEST(test_both_sides_closed_hang_the_terminal_up),
		TEST(test_output_closed_then_input_hang_it_up),
		TEST(test_without_input_the_output_hangs_it_up),
		TEST(test_output_closed_alone_does_not_hang_up),
		TEST(test_input_closed_alone_does_not_hang_up),
		TEST(test_a_lost_host_does_not_hang_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
