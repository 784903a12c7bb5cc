/* bridge/host/process: who reads and writes the streams comes and goes */
#include "tests/unit/process_fixture.h"

#define IN (1u << MSG_STDIN)
#define OUT (1u << MSG_STDOUT)
#define ERR (1u << MSG_STDERR)

static const char *argv[] = { "/bin/true" };

struct kept {
	struct proc p;
	int left[MSG_STDIO];
};

static void on_left(void *ctx, enum msg_stdio which)
{
	struct kept *k = ctx;

	k->left[which]++;
}

/* A process with streams that nobody is attached to. */
static void start_detached(struct fixture *x, struct kept *k,
			   unsigned int streams)
{
	const struct msg_process_parameters parameters = {
		.command_args = { argv, 1 },
	};
	struct host_process_config config = {
		.parameters = &parameters,
		.fd = { -1, -1, -1 },
		.keep_streams = true,
		.started = on_started,
		.left = on_left,
		.ended = on_ended,
		.ctx = k,
	};
	struct err e = { 0 };

	memset(k, 0, sizeof(*k));
	k->p.x = x;
	for (int i = 0; i < MSG_STDIO; i++) {
		config.detached[i] = (streams & 1u << i) != 0;
		k->p.guest[i] = -1;
		k->p.user[i] = -1;
	}
	if (host_process_start(x->client, &config, &k->p.process, &e) < 0)
		fail_msg("%s", e.text);
}

/* The guest dials what it was asked to, and runs the process. */
static void run_detached(struct kept *k)
{
	static const char *const names[] = { "StdIn", "StdOut", "StdErr" };
	const struct fake_request r =
		fake_expect(&k->p.x->fake, WIRE_EXECUTE_PROCESS);

	for (int i = 0; i < MSG_STDIO; i++) {
		const uint32_t port = port_of(&r, names[i]);

		if (port)
			k->p.guest[i] = fake_dial(&k->p.x->fake, port);
	}
	fake_answer(&k->p.x->fake, &r, EXECUTED);
	k->p.wait = fake_expect(&k->p.x->fake, WIRE_WAIT_FOR_PROCESS);
}

/* Attaches a pipe to one stream; the far end becomes the user's. */
static int attach(struct kept *k, enum msg_stdio which)
{
	int fd[MSG_STDIO] = { -1, -1, -1 };
	int pair[2];
	int r;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	fd[which] = pair[which == MSG_STDIN ? 0 : 1];
	fd_close(&k->p.user[which]);
	k->p.user[which] = pair[which == MSG_STDIN ? 1 : 0];
	assert_int_equal(fd_nonblock(k->p.user[which], true), 0);
	r = host_process_attach(k->p.process, fd, NULL);
	fd_close(&fd[which]);
	return r;
}

static void say(struct kept *k, enum msg_stdio which, const char *text)
{
	const int fd =
		which == MSG_STDIN ? k->p.user[which] : k->p.guest[which];

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void hear(struct kept *k, enum msg_stdio which, const char *text)
{
	expect_text(&k->p,
		    which == MSG_STDIN ? k->p.guest[which] : k->p.user[which],
		    text);
}

/* Turns until nothing more moves. */
static void settle(struct kept *k)
{
	for (int i = 0; i < 20; i++)
		assert_true(loop_turn(k->p.x->fake.loop, 1, NULL) >= 0);
}

static void test_output_waits_for_a_reader(void **state)
{
	struct fixture *x = *state;
	struct kept k;

	start_detached(x, &k, OUT);
	run_detached(&k);
	say(&k, MSG_STDOUT, "before");
	settle(&k);
	assert_false(host_process_attached(k.p.process, MSG_STDOUT));
	assert_int_equal(attach(&k, MSG_STDOUT), 0);
	assert_true(host_process_attached(k.p.process, MSG_STDOUT));
	hear(&k, MSG_STDOUT, "before");
	say(&k, MSG_STDOUT, "after");
	hear(&k, MSG_STDOUT, "after");
	proc_done(&k.p);
}

/* Nobody reads: the guest is slowed down, and our memory does not grow. */
static void test_output_without_a_reader_is_bounded(void **state)
{
	static const char block[65536];
	struct fixture *x = *state;
	struct kept k;
	size_t sent = 0;
	size_t got = 0;
	char buf[65536];
	ssize_t n;

	start_detached(x, &k, OUT);
	run_detached(&k);
	for (int idle = 0; idle < 50; idle++) {
		n = send(k.p.guest[MSG_STDOUT], block, sizeof(block),
			 MSG_DONTWAIT);
		if (n > 0) {
			sent += (size_t)n;
			idle = 0;
		}
		assert_true(loop_turn(x->fake.loop, 0, NULL) >= 0);
		assert_true(sent < 8u << 20);
	}
	assert_int_equal(attach(&k, MSG_STDOUT), 0);
	while (got < sent) {
		FAKE_UNTIL(&x->fake, (n = read(k.p.user[MSG_STDOUT], buf,
					       sizeof(buf))) >= 0);
		assert_true(n > 0);
		got += (size_t)n;
	}
	assert_int_equal(got, sent);
	proc_done(&k.p);
}

/* A second client takes over; no byte is lost between the two. */
static void test_detach_and_attach_loses_nothing(void **state)
{
	enum { ROUNDS = 12, LINES = 32 }; /* what the sockets hold */
	struct fixture *x = *state;
	char line[16];
	struct kept k;
	int written = 0;
	int read_lines = 0;

	start_detached(x, &k, OUT);
	run_detached(&k);
	for (int round = 0; round < ROUNDS; round++) {
		assert_int_equal(attach(&k, MSG_STDOUT), 0);
		for (int i = 0; i < LINES; i++) {
			(void)snprintf(line, sizeof(line), "%07d\n", written);
			say(&k, MSG_STDOUT, line);
			written++;
		}
		/* Some are read, some are still in the pipe at the detach. */
		for (int i = 0; i < LINES / 2; i++) {
			(void)snprintf(line, sizeof(line), "%07d\n",
				       read_lines++);
			hear(&k, MSG_STDOUT, line);
		}
		host_process_detach(k.p.process, MSG_STDOUT);
		/* What lies in this reader's pipe is his. */
		while (read(k.p.user[MSG_STDOUT], line, 8) == 8) {
			assert_int_equal(strtol(line, NULL, 10), read_lines);
			read_lines++;
		}
	}
	assert_int_equal(attach(&k, MSG_STDOUT), 0);
	for (; read_lines < written; read_lines++) {
		(void)snprintf(line, sizeof(line), "%07d\n", read_lines);
		hear(&k, MSG_STDOUT, line);
	}
	proc_done(&k.p);
}

/* Through a socket the bytes pass through our hands: they are kept too. */
static void test_bytes_without_room_go_to_the_next_reader(void **state)
{
	static char block[65536];
	struct fixture *x = *state;
	struct kept k;
	int pair[2];
	char buf[65536];
	size_t first = 0;
	size_t total = 0;
	uint8_t next = 0;
	int small = 4096;
	ssize_t n;

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (char)(i % 251);
	start_detached(x, &k, OUT);
	run_detached(&k);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	(void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	assert_int_equal(host_process_attach(k.p.process,
					     (int[]){ -1, pair[0], -1 }, NULL),
			 0);
	fd_close(&pair[0]);
	assert_int_equal(send(k.p.guest[MSG_STDOUT], block, sizeof(block), 0),
			 sizeof(block));
	settle(&k);
	host_process_detach(k.p.process, MSG_STDOUT);
	while ((n = read(pair[1], buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++, first++)
			assert_int_equal((uint8_t)buf[i], first % 251);
	assert_int_equal(n, 0);
	fd_close(&pair[1]);
	assert_true(first < sizeof(block));
	assert_int_equal(attach(&k, MSG_STDOUT), 0);
	next = (uint8_t)(first % 251);
	for (total = first; total < sizeof(block);) {
		FAKE_UNTIL(&x->fake, (n = read(k.p.user[MSG_STDOUT], buf,
					       sizeof(buf))) >= 0);
		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++, total++) {
			assert_int_equal((uint8_t)buf[i], next);
			next = (uint8_t)((next + 1) % 251);
		}
	}
	proc_done(&k.p);
}

static void test_one_at_a_time(void **state)
{
	struct fixture *x = *state;
	struct kept k;
	int two[2];

	start_detached(x, &k, IN | OUT);
	run_detached(&k);
	assert_int_equal(attach(&k, MSG_STDOUT), 0);
	assert_int_equal(pipe2(two, O_CLOEXEC), 0);
	/* All or none: stdin would have been free. */
	assert_int_equal(host_process_attach(k.p.process,
					     (int[]){ two[0], two[1], -1 },
					     NULL),
			 -EBUSY);
	assert_false(host_process_attached(k.p.process, MSG_STDIN));
	assert_int_equal(host_process_attach(k.p.process,
					     (int[]){ two[0], -1, two[1] },
					     NULL),
			 -ENXIO);
	assert_false(host_process_attached(k.p.process, MSG_STDIN));
	host_process_detach(k.p.process, MSG_STDOUT);
	assert_int_equal(host_process_attach(k.p.process,
					     (int[]){ two[0], two[1], -1 },
					     NULL),
			 0);
	fd_close(&two[0]);
	fd_close(&two[1]);
	proc_done(&k.p);
}

static void test_a_reader_that_goes_is_detached(void **state)
{
	struct fixture *x = *state;
	struct kept k;

	start_detached(x, &k, IN | OUT);
	run_detached(&k);
	assert_int_equal(attach(&k, MSG_STDOUT), 0);
	assert_int_equal(attach(&k, MSG_STDIN), 0);
	say(&k, MSG_STDIN, "in");
	hear(&k, MSG_STDIN, "in");
	fd_close(&k.p.user[MSG_STDOUT]);
	fd_close(&k.p.user[MSG_STDIN]);
	FAKE_UNTIL(&x->fake, k.left[MSG_STDOUT] && k.left[MSG_STDIN]);
	/* The process reads no end and gets no EPIPE. */
	settle(&k);
	assert_int_equal(send(k.p.guest[MSG_STDOUT], "x", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(
		recv(k.p.guest[MSG_STDIN], &(char){ 0 }, 1, MSG_DONTWAIT), -1);
	assert_int_equal(attach(&k, MSG_STDOUT), 0);
	hear(&k, MSG_STDOUT, "x");
	assert_int_equal(attach(&k, MSG_STDIN), 0);
	say(&k, MSG_STDIN, "again");
	hear(&k, MSG_STDIN, "again");
	host_process_close_stdin(k.p.process);
	expect_end(&k.p, k.p.guest[MSG_STDIN]);
	assert_int_equal(attach(&k, MSG_STDIN), -EPIPE);
	proc_done(&k.p);
}

static void test_stdin_is_closed_without_a_writer(void **state)
{
	struct fixture *x = *state;
	struct kept k;

	start_detached(x, &k, IN);
	run_detached(&k);
	host_process_close_stdin(k.p.process);
	expect_end(&k.p, k.p.guest[MSG_STDIN]);
	proc_done(&k.p);
}

/* The exit is told in time; a late reader gets what was written. */
static void test_exit_while_nobody_reads(void **state)
{
	struct fixture *x = *state;
	struct kept k;

	start_detached(x, &k, OUT);
	run_detached(&k);
	say(&k, MSG_STDOUT, "last words");
	proc_hang_up(&k.p);
	proc_exit(&k.p, 7);
	FAKE_UNTIL(&x->fake,
		   host_process_signal(k.p.process, 1, NULL, NULL) == -ESRCH);
	settle(&k);
	assert_int_equal(k.p.ended, 0);
	assert_int_equal(attach(&k, MSG_STDOUT), 0);
	hear(&k, MSG_STDOUT, "last words");
	FAKE_UNTIL(&x->fake, k.p.ended);
	assert_true(k.p.end.exited);
	assert_int_equal(k.p.end.code, 7);
	assert_false(k.p.end.output_cut);
	proc_done(&k.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_output_waits_for_a_reader),
		T(test_output_without_a_reader_is_bounded),
		T(test_detach_and_attach_loses_nothing),
		T(test_bytes_without_room_go_to_the_next_reader),
		T(test_one_at_a_time),
		T(test_a_reader_that_goes_is_detached),
		T(test_stdin_is_closed_without_a_writer),
		T(test_exit_while_nobody_reads),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
