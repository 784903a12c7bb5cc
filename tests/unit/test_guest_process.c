/* tests/unit/test_guest_process.c - processes of the UVM and their streams */
#include "tests/unit/guest_peer.h"

#include "bridge/guest/process.h"
#include "bridge/guest/stream.h"

/* Runs a line with stdout; its output is the result. */
static const char *output_of(struct peer *p, struct peer_exec *x)
{
	const char *out;

	x->want[1] = true;
	peer_exec(p, x);
	out = peer_output(x->fd[1]);
	peer_exec_done(x);
	return out;
}

static const char *shell(struct peer *p, const char *line)
{
	struct peer_exec x = { .line = line };

	return output_of(p, &x);
}

static void test_exit_codes(void **state)
{
	struct peer *p = *state;

	assert_int_equal(peer_wait(p, peer_run(p, "exit 0")), 0);
	assert_int_equal(peer_wait(p, peer_run(p, "exit 7")), 7);
	assert_int_equal(peer_wait(p, peer_run(p, "exit 255")), 255);
}

/* W-G29: the reference can neither signal them nor tell how they died. */
static void test_w_g29_signals_reach_and_are_told(void **state)
{
	static const struct {
		int number;
		uint32_t code;
	} cases[] = { { 0, 137 }, { 9, 137 }, { 15, 143 }, { 1, 129 } };
	struct peer *p = *state;
	struct peer_frame f;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const uint32_t pid = peer_run(p, "exec sleep 1000");

		assert_int_equal(
			peer_call(p, WIRE_SIGNAL_PROCESS,
				  peer_signal_body(pid, cases[i].number), &f),
			HR_OK);
		assert_int_equal(peer_wait(p, pid), cases[i].code);
	}
}

/* W-G18: a pid that has ended gets no signal, whoever has it now. */
static void test_w_g18_no_signal_behind_the_exit(void **state)
{
	struct peer *p = *state;
	const uint32_t pid = peer_run(p, "exit 3");
	struct peer_frame f;

	assert_int_equal(peer_wait(p, pid), 3);
	assert_int_equal(
		peer_call(p, WIRE_SIGNAL_PROCESS, peer_signal_body(pid, 9), &f),
		HR_ELEMENT_NOT_FOUND);
}

static void test_signals_that_are_none(void **state)
{
	struct peer *p = *state;
	const uint32_t pid = peer_run(p, "exec sleep 1000");
	struct peer_frame f;

	assert_int_equal(peer_call(p, WIRE_SIGNAL_PROCESS,
				   peer_signal_body(pid, 99), &f),
			 HR_FAIL);
	assert_int_equal(peer_call(p, WIRE_SIGNAL_PROCESS,
				   peer_signal_body(pid, -1), &f),
			 HR_FAIL);
	assert_int_equal(
		peer_call(p, WIRE_SIGNAL_PROCESS, peer_signal_body(1, 9), &f),
		HR_ELEMENT_NOT_FOUND);
	assert_int_equal(peer_call(p, WIRE_SIGNAL_PROCESS,
				   peer_signal_body((uint32_t)p->agent, 9), &f),
			 HR_ELEMENT_NOT_FOUND);
}

static void test_waits_have_timeouts(void **state)
{
	struct peer *p = *state;
	const uint32_t pid = peer_run(p, "exec sleep 1000");
	struct peer_frame f;

	assert_int_equal(
		peer_call(p, WIRE_WAIT_FOR_PROCESS, peer_wait_body(pid, 0), &f),
		HR_TIMEOUT);
	assert_int_equal(peer_call(p, WIRE_WAIT_FOR_PROCESS,
				   peer_wait_body(pid, 20), &f),
			 HR_TIMEOUT);
	assert_int_equal(peer_call(p, WIRE_WAIT_FOR_PROCESS,
				   peer_wait_body(999999, 0), &f),
			 HR_ELEMENT_NOT_FOUND);
}

static void test_every_waiter_is_told_then_the_pid_is_forgotten(void **state)
{
	struct peer *p = *state;
	const uint32_t pid = peer_run(p, "exec sleep 1000");
	struct peer_frame f;
	uint64_t waits[5];

	for (int i = 0; i < 5; i++)
		waits[i] = peer_send(p, WIRE_WAIT_FOR_PROCESS,
				     peer_wait_body(pid, UINT32_MAX));
	assert_int_equal(peer_call(p, WIRE_SIGNAL_PROCESS,
				   peer_signal_body(pid, 15), &f),
			 HR_OK);
	for (int i = 0; i < 5; i++) {
		peer_answer(p, waits[i], &f);
		assert_int_equal(peer_number(&f, "ExitCode"), 143);
	}
	assert_int_equal(peer_call(p, WIRE_WAIT_FOR_PROCESS,
				   peer_wait_body(pid, UINT32_MAX), &f),
			 HR_ELEMENT_NOT_FOUND);
}

/* W-G15: told to a connection that is gone need not have arrived. */
static void test_w_g15_a_later_connection_can_ask_again(void **state)
{
	struct peer *p = *state;
	const uint32_t told = peer_run(p, "exit 5");
	const uint32_t untold = peer_run(p, "exit 6");

	assert_int_equal(peer_wait(p, told), 5);
	peer_drop(p, true);
	peer_accept(p);
	peer_negotiate(p);
	assert_int_equal(peer_wait(p, told), 5);
	assert_int_equal(peer_wait(p, untold), 6);
}

static void test_environment_and_directory(void **state)
{
	struct peer *p = *state;
	struct peer_exec x = {
		.line = "echo $A-$B-$PATH; pwd",
		.parameters = ",\"Environment\":{\"A\":\"a b\",\"B\":\"\","
			      "\"PATH\":\"/x\"},"
			      "\"WorkingDirectory\":\"/usr\"",
	};
	struct peer_exec none = { .line = "echo ${PATH:+path} $A" };

	assert_string_equal(output_of(p, &x), "a b--/x\n/usr\n");
	setenv("A", "leaked", 1);
	assert_string_equal(output_of(p, &none), "path\n");
	unsetenv("A");
}

static void test_command_lines_are_split(void **state)
{
	struct peer *p = *state;
	struct peer_exec x = {
		.parameters = ",\"CommandLine\":\"printf '%s|' a \\\"b c\\\"\"",
	};
	struct peer_exec bad = { .parameters = ",\"CommandLine\":\"a; b\"" };
	struct peer_frame f;

	assert_string_equal(output_of(p, &x), "a|b c|");
	assert_int_equal(
		peer_call(p, WIRE_EXECUTE_PROCESS, peer_exec_body(p, &bad), &f),
		HR_FAIL);
	assert_non_null(strstr(f.body, "has no meaning here"));
}

static void test_what_cannot_be_started(void **state)
{
	static const char *const bad[] = {
		",\"CommandArgs\":[\"/nonexistent\"]",
		",\"CommandArgs\":[\"no-such-program\"]",
		(",\"CommandArgs\":[\"/bin/true\"],"
		 "\"WorkingDirectory\":\"/nonexistent\""),
	};
	struct peer *p = *state;
	struct peer_frame f;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct peer_exec x = { .parameters = bad[i],
				       .want = { true, true, true } };
		uint8_t byte;

		assert_int_equal(peer_call(p, WIRE_EXECUTE_PROCESS,
					   peer_exec_body(p, &x), &f),
				 HR_FAIL);
		assert_non_null(strstr(f.body, "No such file"));
		peer_exec_streams(p, &x);
		for (int s = 0; s < 3; s++)
			assert_int_equal(peer_read(x.fd[s], &byte, 1), 0);
		peer_exec_done(&x);
	}
}

static void test_a_port_without_a_listener_fails_the_start(void **state)
{
	struct peer *p = *state;
	struct peer_frame f;
	char body[1024];

	(void)snprintf(body, sizeof(body),
		       "{" PEER_BASE ",\"Settings\":{\"ProcessParameters\":"
		       "\"{\\\"CommandArgs\\\":[\\\"/bin/touch\\\",\\\"%s/no"
		       "\\\"],\\\"CreateStdOutPipe\\\":true}\","
		       "\"VsockStdioRelaySettings\":{\"StdOut\":%u}}}",
		       WIRE_NULL_ID, p->dir, p->next_port++);
	assert_int_equal(peer_call(p, WIRE_EXECUTE_PROCESS, body, &f), HR_FAIL);
	(void)snprintf(body, sizeof(body), "%s/no", p->dir);
	assert_int_equal(access(body, F_OK), -1); /* nothing ran */
}

static void test_streams_not_asked_for_are_null(void **state)
{
	struct peer *p = *state;

	assert_string_equal(shell(p, "readlink /proc/self/fd/0; "
				     "readlink /proc/self/fd/2; "
				     "ls /proc/self/fd | wc -l"),
			    "/dev/null\n/dev/null\n4\n");
}

static void test_streams_are_apart(void **state)
{
	struct peer *p = *state;
	struct peer_exec x = {
		.line = "cat; echo err >&2; exit 4",
		.want = { true, true, true },
	};

	peer_exec(p, &x);
	assert_int_equal(fd_write_full(x.fd[0], "hello", 5), 0);
	assert_int_equal(shutdown(x.fd[0], SHUT_WR), 0);
	assert_string_equal(peer_output(x.fd[1]), "hello");
	assert_string_equal(peer_output(x.fd[2]), "err\n");
	assert_int_equal(peer_wait(p, x.pid), 4);
	peer_exec_done(&x);
}

/* Bytes that differ at every place, and a sum that knows their order. */
static void fill(uint8_t *buf, size_t n, uint64_t at)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = (uint8_t)((at + i) * 2654435761U >> 13);
}

static uint64_t sum(uint64_t s, const uint8_t *buf, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s = (s ^ buf[i]) * UINT64_C(1099511628211);
	return s;
}

/* Writes @total bytes to @in and reads them from @out, both at once. */
static void pump(int in, int out, uint64_t total)
{
	static uint8_t give[65536], got[65536];
	uint64_t given = 0, taken = 0, sum_in = 0, sum_out = 0;
	size_t len = 0, at = 0;

	assert_int_equal(fd_nonblock(in, true), 0);
	while (taken < total) {
		struct pollfd p[2] = {
			{ .fd = out, .events = POLLIN },
			{ .fd = given < total ? in : -1, .events = POLLOUT },
		};
		ssize_t n;

		assert_true(poll(p, 2, PEER_WAIT_MS) > 0);
		if ((p[0].revents & (POLLIN | POLLHUP)) != 0) {
			n = read(out, got, sizeof(got));
			assert_true(n > 0);
			sum_out = sum(sum_out, got, (size_t)n);
			taken += (uint64_t)n;
		}
		if ((p[1].revents & POLLOUT) == 0)
			continue;
		if (at == len) {
			len = sizeof(give);
			if (len > total - given)
				len = (size_t)(total - given);
			fill(give, len, given);
			sum_in = sum(sum_in, give, len);
			at = 0;
		}
		n = write(in, give + at, len - at);
		if (n < 0 && errno == EAGAIN)
			continue;
		assert_true(n > 0);
		at += (size_t)n;
		given += (uint64_t)n;
		if (given == total)
			assert_int_equal(shutdown(in, SHUT_WR), 0);
	}
	assert_int_equal(taken, total);
	assert_true(sum_in == sum_out);
}

static void test_64_mib_go_through_cat_unchanged(void **state)
{
	struct peer *p = *state;
	struct peer_exec x = { .line = "exec cat",
			       .want = { true, true, false } };

	peer_exec(p, &x);
	pump(x.fd[0], x.fd[1], (uint64_t)64 << 20);
	assert_string_equal(peer_output(x.fd[1]), "");
	assert_int_equal(peer_wait(p, x.pid), 0);
	peer_exec_done(&x);
}

static void test_two_hundred_at_once(void **state)
{
	enum { N = 200 };
	static struct peer_exec x[N];
	struct peer *p = *state;
	uint64_t wait[N];
	struct peer_frame f;
	unsigned int seen = 0;

	memset(x, 0, sizeof(x));
	for (int i = 0; i < N; i++) {
		x[i].line = "read a; echo $a; exit $a";
		x[i].want[0] = x[i].want[1] = true;
		peer_exec(p, &x[i]);
		wait[i] = peer_send(p, WIRE_WAIT_FOR_PROCESS,
				    peer_wait_body(x[i].pid, UINT32_MAX));
	}
	for (int i = 0; i < N; i++) {
		char line[16];

		(void)snprintf(line, sizeof(line), "%d\n", i);
		assert_int_equal(fd_write_full(x[i].fd[0], line, strlen(line)),
				 0);
	}
	while (seen < N) {
		assert_true(peer_recv(p, &f));
		for (int i = 0; i < N; i++) {
			if (wait[i] != f.id)
				continue;
			assert_int_equal(peer_number(&f, "ExitCode"), i);
			seen++;
		}
	}
	for (int i = 0; i < N; i++) {
		assert_int_equal(strtol(peer_output(x[i].fd[1]), NULL, 10), i);
		peer_exec_done(&x[i]);
	}
}

/* W-S3: with the reference a host that closes stdout never hears the exit. */
static void test_w_s3_a_host_that_closes_stdout_hears_the_exit(void **state)
{
	struct peer *p = *state;
	struct peer_exec x = { .line = "exec yes",
			       .want = { false, true, false } };
	char seen[64];

	peer_exec(p, &x);
	peer_read_until(x.fd[1], seen, 8, "y\n");
	peer_exec_done(&x);
	assert_int_equal(peer_wait(p, x.pid), 128 + SIGPIPE);
}

/* W-S7: neither does one that does not read. */
static void test_w_s7_a_host_that_does_not_read_hears_the_exit(void **state)
{
	struct peer *p = *state;
	/* Each round fills the pipe; the socket takes only a few of them. */
	struct peer_exec x = {
		.line = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do "
			"dd if=/dev/zero bs=4096 oflag=nonblock 2>/dev/null; "
			"sleep 0.05; done; exit 1",
		.want = { false, true, false },
	};
	static char buf[65536];
	size_t total = 0, n;

	peer_exec(p, &x);
	assert_int_equal(peer_wait(p, x.pid), 1);
	/* It was told first, and nothing is lost. */
	while ((n = peer_read(x.fd[1], buf, sizeof(buf))) > 0)
		total += n;
	assert_true(total > 131072 && total % 4096 == 0);
	peer_exec_done(&x);
}

/* W-S7: nor does one whose process left a grandchild with its stdout. */
static void test_w_s7_a_grandchild_does_not_hold_the_exit_back(void **state)
{
	struct peer *p = *state;
	struct peer_exec x = {
		.line = "(sleep 1; echo late; exec sleep 1000) & "
			"echo pid=$!; exit 8",
		.want = { false, true, false },
	};
	char seen[256];
	struct peer_frame f;

	peer_exec(p, &x);
	assert_int_equal(peer_call(p, WIRE_WAIT_FOR_PROCESS,
				   peer_wait_body(x.pid, 20000), &f),
			 HR_OK);
	assert_int_equal(peer_number(&f, "ExitCode"), 8);
	/* Its output still comes. */
	peer_read_until(x.fd[1], seen, sizeof(seen), "late\n");
	assert_memory_equal(seen, "pid=", 4);
	(void)kill((pid_t)strtol(seen + 4, NULL, 10), SIGKILL);
	assert_string_equal(peer_output(x.fd[1]), "");
	peer_exec_done(&x);
}

static void test_the_exit_comes_behind_the_output(void **state)
{
	struct peer *p = *state;

	for (int i = 0; i < 100; i++) {
		struct peer_exec x = { .line = "echo last words; exit 1",
				       .want = { false, true, false } };
		char buf[32];

		peer_exec(p, &x);
		assert_int_equal(peer_wait(p, x.pid), 1);
		assert_true(peer_ready(x.fd[1], POLLIN, 0));
		assert_int_equal(read(x.fd[1], buf, sizeof(buf)), 11);
		peer_exec_done(&x);
	}
}

static void test_a_reader_that_ends_ends_the_input(void **state)
{
	struct peer *p = *state;
	struct peer_exec x = { .line = "exec true",
			       .want = { true, false, false } };
	uint8_t byte;

	peer_exec(p, &x);
	assert_int_equal(peer_wait(p, x.pid), 0);
	assert_int_equal(peer_read(x.fd[0], &byte, 1), 0);
	peer_exec_done(&x);
}

/* A process of a host that is gone lives on, and its output with it. */
static void test_a_lost_host_costs_a_process_nothing(void **state)
{
	struct peer *p = *state;
	struct peer_exec x = {
		.line = "echo one; read a; head -c 1000000 /dev/zero; exit 7",
		.want = { true, true, false },
	};
	struct peer_exec go = { 0 };
	char seen[64], line[256];

	(void)snprintf(line, sizeof(line),
		       "echo one; while [ ! -e %s/go ]; do sleep 0.05; done; "
		       "head -c 1000000 /dev/zero; exit 7",
		       p->dir);
	x.line = line;
	peer_exec(p, &x);
	peer_read_until(x.fd[1], seen, 8, "one\n");
	peer_drop(p, true);
	peer_exec_done(&x);
	peer_accept(p);
	peer_negotiate(p);
	(void)snprintf(seen, sizeof(seen), "touch %.40s/go", p->dir);
	go.line = seen;
	peer_exec(p, &go);
	assert_int_equal(peer_wait(p, x.pid), 7);
}

static void test_orphans_of_processes_are_reaped(void **state)
{
	struct peer *p = *state;
	char path[64];
	char word[64];
	FILE *f;
	int n = 0;

	for (int i = 0; i < 20; i++)
		assert_int_equal(peer_wait(p, peer_run(p, "(sleep 0.1 &); "
							  "exit 0")),
				 0);
	/* All of them have ended by then, or the test waits for it. */
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
		       (int)p->agent, (int)p->agent);
	for (int tries = 0; tries < 300; tries++) {
		n = 0;
		f = fopen(path, "re");
		assert_non_null(f);
		while (fscanf(f, "%63s", word) == 1) /* NOLINT */
			n++;
		fclose(f);
		if (n == 0)
			return;
		(void)poll(NULL, 0, 100);
	}
	fail_msg("%d zombies", n);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, peer_set_up, peer_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_exit_codes),
		TEST(test_w_g29_signals_reach_and_are_told),
		TEST(test_w_g18_no_signal_behind_the_exit),
		TEST(test_signals_that_are_none),
		TEST(test_waits_have_timeouts),
		TEST(test_every_waiter_is_told_then_the_pid_is_forgotten),
		TEST(test_w_g15_a_later_connection_can_ask_again),
		TEST(test_environment_and_directory),
		TEST(test_command_lines_are_split),
		TEST(test_what_cannot_be_started),
		TEST(test_a_port_without_a_listener_fails_the_start),
		TEST(test_streams_not_asked_for_are_null),
		TEST(test_streams_are_apart),
		TEST(test_64_mib_go_through_cat_unchanged),
		TEST(test_two_hundred_at_once),
		TEST(test_w_s3_a_host_that_closes_stdout_hears_the_exit),
		TEST(test_w_s7_a_host_that_does_not_read_hears_the_exit),
		TEST(test_w_s7_a_grandchild_does_not_hold_the_exit_back),
		TEST(test_the_exit_comes_behind_the_output),
		TEST(test_a_reader_that_ends_ends_the_input),
		TEST(test_a_lost_host_costs_a_process_nothing),
		TEST(test_orphans_of_processes_are_reaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
