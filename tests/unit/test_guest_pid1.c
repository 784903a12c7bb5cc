/*
 * tests/unit/test_guest_pid1.c - the agent under a PID 1 that the test plays;
 * the control socket of bridge/io/control.h
 */
#include "tests/unit/guest_peer.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "bridge/guest/orphans.h"
#include "bridge/guest/pid1.h"
#include "bridge/io/control.h"
#include "bridge/io/fd.h"
#include "bridge/msg_ferry.h"

/* The test's end of the control socket. */
static int control = -1;

static void recv_packet(struct control_msg *m)
{
	int fds[CONTROL_FDS_MAX];
	struct err e = { 0 };
	int r;

	assert_true(peer_ready(control, POLLIN, PEER_WAIT_MS));
	r = control_recv(control, m, fds, &e);
	if (r != 1)
		fail_msg("control: %d %s", r, e.text);
}

static void answer(struct control_msg *m, int result)
{
	int r;

	m->result = result;
	/* The agent reads answers in its own time. */
	do {
		assert_true(peer_ready(control, POLLOUT, PEER_WAIT_MS));
		r = control_send(control, m, NULL, 0, NULL);
	} while (r == -EAGAIN);
	assert_int_equal(r, 0);
}

/* The next packet is an @op, and gets @result. */
static struct control_msg expect(enum control_op op, int result)
{
	struct control_msg m;
	struct control_msg got;

	recv_packet(&m);
	got = m;
	if (m.op != op)
		fail_msg("op %u, not %u", m.op, op);
	answer(&m, result);
	return got;
}

static int ring_new(const char *text)
{
	const struct control_ring ring = {
		.magic = CONTROL_RING_MAGIC,
		.size = CONTROL_RING_SIZE,
		.head = strlen(text),
	};
	const int fd = memfd_create("ring", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(
		ftruncate(fd, CONTROL_RING_DATA + (off_t)CONTROL_RING_SIZE), 0);
	assert_int_equal(pwrite(fd, &ring, sizeof(ring), 0), sizeof(ring));
	assert_int_equal(pwrite(fd, text, strlen(text), CONTROL_RING_DATA),
			 (ssize_t)strlen(text));
	return fd;
}

/* The log that the agent was given; PID 1 goes on writing it. */
static int log_fd = -1;

/* Says hello to the agent: it is number 3, and has this log. */
static void say_hello(void)
{
	const int ring = ring_new("init: a line of the log\n");
	struct control_msg m;

	recv_packet(&m);
	assert_int_equal(m.op, CONTROL_OP_HELLO);
	assert_int_equal(m.arg, CONTROL_VERSION);
	m.arg = 3;
	m.status = CONTROL_VERSION;
	assert_int_equal(control_send(control, &m, &ring, 1, NULL), 0);
	fd_close(&log_fd);
	log_fd = ring;
}

static void start_under_pid1(struct peer *p)
{
	char number[16];
	int pair[2];

	peer_init(p);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	control = pair[0];
	(void)snprintf(number, sizeof(number), "%d", pair[1]);
	setenv(CONTROL_ENV, number, 1);
	peer_start_agent(p);
	unsetenv(CONTROL_ENV);
	close(pair[1]);
}

static int set_up(void **state)
{
	static struct peer p;

	start_under_pid1(&p);
	say_hello();
	expect(CONTROL_OP_FETCH, -ENOENT);
	expect(CONTROL_OP_TICKETS, -ENOENT);
	expect(CONTROL_OP_PROCESSES, -ENOENT);
	assert_int_equal(expect(CONTROL_OP_DEPOSIT, 0).object, PID1_STATE);
	peer_accept(&p);
	peer_negotiate(&p);
	expect(CONTROL_OP_STABLE, 0);
	*state = &p;
	return 0;
}

static int tear_down(void **state)
{
	struct peer *p = *state;

	assert_true(peer_agent_lives(p));
	peer_done(p);
	fd_close(&control);
	fd_close(&log_fd);
	return 0;
}

static void test_a_ticket_before_and_a_register_behind_a_start(void **state)
{
	struct peer *p = *state;
	const uint32_t pid = peer_run(p, "exit 4");
	const struct control_msg ticket = expect(CONTROL_OP_TICKET_OPEN, 0);
	const struct control_msg reg = expect(CONTROL_OP_REGISTER, 0);
	struct control_msg reaped;

	assert_true(ticket.ticket >> 32 == 3);
	assert_int_equal(reg.ticket, ticket.ticket);
	assert_int_equal(reg.pid, pid);
	assert_int_equal(peer_wait(p, pid), 4);
	reaped = expect(CONTROL_OP_REAPED, 0);
	assert_int_equal(reaped.ticket, ticket.ticket);
}

static void test_a_start_that_fails_closes_its_ticket(void **state)
{
	struct peer *p = *state;
	struct peer_exec x = {
		.parameters = ",\"CommandArgs\":[\"/nonexistent\"]",
	};
	struct peer_frame f;
	struct control_msg ticket;

	assert_int_equal(
		peer_call(p, WIRE_EXECUTE_PROCESS, peer_exec_body(p, &x), &f),
		HR_FAIL);
	ticket = expect(CONTROL_OP_TICKET_OPEN, 0);
	assert_int_equal(expect(CONTROL_OP_TICKET_CLOSE, 0).ticket,
			 ticket.ticket);
}

/* PID 1 may look for a process that the agent has reaped already. */
static void test_a_register_that_comes_late_closes_its_ticket(void **state)
{
	struct peer *p = *state;
	struct control_msg ticket;

	assert_int_equal(peer_wait(p, peer_run(p, "exit 4")), 4);
	ticket = expect(CONTROL_OP_TICKET_OPEN, 0);
	expect(CONTROL_OP_REGISTER, -ESRCH);
	expect(CONTROL_OP_REAPED, -ENOENT);
	assert_int_equal(expect(CONTROL_OP_TICKET_CLOSE, 0).ticket,
			 ticket.ticket);
}

static uint64_t read_log(struct peer *p, uint64_t from, uint32_t max,
			 struct peer_frame *f)
{
	char body[160];

	(void)snprintf(body, sizeof(body),
		       "{\"ContainerId\":\"" WIRE_NULL_ID "\",\"From\":%" PRIu64
		       ",\"Max\":%u}",
		       from, max);
	assert_int_equal(peer_call(p, WIRE_FERRY_READ_LOG, body, f), HR_OK);
	return (uint64_t)peer_number(f, "From");
}

static void put_log(uint64_t at, const char *text, uint64_t head)
{
	const uint64_t dropped =
		head > CONTROL_RING_SIZE ? head - CONTROL_RING_SIZE : 0;

	assert_true(pwrite(log_fd, text, strlen(text),
			   CONTROL_RING_DATA +
				   (off_t)(at % CONTROL_RING_SIZE)) > 0);
	assert_int_equal(pwrite(log_fd, &head, sizeof(head),
				offsetof(struct control_ring, head)),
			 sizeof(head));
	assert_int_equal(pwrite(log_fd, &dropped, sizeof(dropped),
				offsetof(struct control_ring, dropped)),
			 sizeof(dropped));
}

/* By the numbers of its bytes, so that no agent need remember who read what. */
static void test_the_log_is_read_in_pieces(void **state)
{
	const uint64_t far = 3 * (uint64_t)CONTROL_RING_SIZE;
	struct peer *p = *state;
	struct peer_frame f;

	assert_int_equal(read_log(p, 0, 5, &f), 0);
	assert_non_null(strstr(f.body, "\"Text\":\"init:\""));
	assert_int_equal(peer_number(&f, "Head"), 24);
	assert_int_equal(read_log(p, 5, 1000, &f), 5);
	assert_non_null(strstr(f.body, "\"Text\":\" a line of the log\\n\""));
	assert_int_equal(read_log(p, 24, 1000, &f), 24);
	assert_non_null(strstr(f.body, "\"Text\":\"\""));
	assert_int_equal(read_log(p, 1000000, 1000, &f), 24);
	put_log(24, "x\xc3\x01\"y", 29);
	assert_int_equal(read_log(p, 24, 1000, &f), 24);
	assert_non_null(strstr(f.body, "\"Text\":\"x\?\?\\\"y\""));
	/* What its writer may be overtaking now is not shown, and told. */
	put_log(far - 2, "z\n", far);
	assert_int_equal(read_log(p, 29, 10, &f), far - CONTROL_RING_SIZE / 2);
	assert_int_equal(peer_number(&f, "Dropped"), far - CONTROL_RING_SIZE);
	assert_int_equal(read_log(p, far - 2, UINT32_MAX, &f), far - 2);
	assert_non_null(strstr(f.body, "\"Text\":\"z\\n\""));
	/* However much is asked for, it fits a frame. */
	(void)read_log(p, 0, UINT32_MAX, &f);
	assert_true(strlen(f.body) <= WIRE_GUEST_FRAME_MAX - WIRE_HEADER_SIZE);
}

static void test_exits_of_an_earlier_agent_are_acknowledged(void **state)
{
	const struct control_msg m = { .op = CONTROL_OP_EXIT,
				       .flags = CONTROL_FLAG_EXITED,
				       .ticket = 77,
				       .pid = 4242 };

	(void)state;
	assert_int_equal(control_send(control, &m, NULL, 0, NULL), 0);
	assert_int_equal(expect(CONTROL_OP_EXIT_ACK, 0).ticket, 77);
}

static void test_what_an_earlier_agent_left_is_cleared(void **state)
{
	struct peer p;
	struct control_msg m;

	(void)state;
	start_under_pid1(&p);
	say_hello();
	recv_packet(&m);
	assert_int_equal(m.op, CONTROL_OP_FETCH);
	m.object = 10;
	m.role = 2;
	m.arg = 1;
	m.result = 0;
	assert_int_equal(control_send(control, &m, &control, 1, NULL), 0);
	assert_int_equal(expect(CONTROL_OP_FETCH, -ENOENT).arg, 1);
	recv_packet(&m);
	assert_int_equal(m.op, CONTROL_OP_TICKETS);
	m.ticket = 11;
	m.arg = 1;
	answer(&m, 0);
	assert_int_equal(expect(CONTROL_OP_TICKETS, -ENOENT).arg, 1);
	recv_packet(&m);
	assert_int_equal(m.op, CONTROL_OP_PROCESSES);
	m.ticket = 12;
	m.flags = CONTROL_FLAG_GONE;
	m.arg = 5;
	answer(&m, 0);
	assert_int_equal(expect(CONTROL_OP_PROCESSES, -ENOENT).arg, 5);
	assert_int_equal(expect(CONTROL_OP_DEPOSIT, 0).object, PID1_STATE);
	m = expect(CONTROL_OP_WITHDRAW, 0);
	assert_int_equal(m.object, 10);
	assert_int_equal(m.role, 2);
	assert_int_equal(expect(CONTROL_OP_TICKET_CLOSE, 0).ticket, 11);
	assert_int_equal(expect(CONTROL_OP_REAPED, 0).ticket, 12);
	peer_accept(&p);
	peer_negotiate(&p);
	expect(CONTROL_OP_STABLE, 0);
	peer_done(&p);
	fd_close(&control);
}

static void test_the_dump_ends_with_the_log_of_pid_1(void **state)
{
	struct peer *p = *state;
	struct peer_frame f;

	assert_int_equal(peer_call(p, WIRE_DUMP_STACKS, "{}", &f), HR_OK);
	assert_non_null(strstr(f.body, "incarnation=3"));
	assert_non_null(strstr(f.body, "init: a line of the log"));
}

/* Its end, however long it is, and whatever somebody has written to it. */
static void test_the_dump_has_the_newest_of_the_log(void **state)
{
	static const char last[] = "the last\nof \x01 the log\n";
	const uint64_t far = 3 * (uint64_t)CONTROL_RING_SIZE;
	struct peer *p = *state;
	struct peer_frame f;

	put_log(far - (sizeof(last) - 1), last, far);
	assert_int_equal(peer_call(p, WIRE_DUMP_STACKS, "{}", &f), HR_OK);
	assert_null(strstr(f.body, "init: a line of the log"));
	/* What was never written is no end of the text. */
	assert_non_null(strstr(f.body, "\\n????"));
	assert_non_null(strstr(f.body, "?the last\\nof ? the log\\n"));
}

static void test_a_shutdown_asks_pid_1_for_the_power(void **state)
{
	struct peer *p = *state;
	struct peer_frame f;
	struct control_msg m;

	assert_int_equal(peer_call(p, WIRE_SHUTDOWN_GRACEFUL,
				   peer_base(WIRE_NULL_ID), &f),
			 HR_OK);
	recv_packet(&m);
	assert_int_equal(m.op, CONTROL_OP_POWEROFF);
	assert_int_equal(m.arg, CONTROL_END_ORDERLY);
}

/* Without PID 1 the agent's next death would lose all: so it comes now. */
static void test_a_pid_1_that_hangs_up_is_asked_for_another_agent(void **state)
{
	struct peer *p = *state;
	int status = 0;

	assert_int_equal(shutdown(control, SHUT_RDWR), 0);
	assert_int_equal(waitpid(p->agent, &status, 0), p->agent);
	assert_int_equal(status, 1 << 8);
	p->agent = fork(); /* for the tear-down */
	if (p->agent == 0)
		(void)pause();
}

/* Starts and waits for @n processes, which is three packets each. */
static void run_many(struct peer *p, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(peer_wait(p, peer_run(p, "exit 4")), 4);
}

/* More packets than the socket takes: they are late, and none is missing. */
static void test_a_pid_1_that_is_slow_misses_nothing(void **state)
{
	enum { N = 300 };
	struct peer *p = *state;
	uint64_t first = 0;

	run_many(p, N);
	for (unsigned int i = 0; i < N; i++) {
		const uint64_t ticket =
			expect(CONTROL_OP_TICKET_OPEN, 0).ticket;

		if (i == 0)
			first = ticket;
		assert_int_equal(ticket, first + i);
		assert_int_equal(expect(CONTROL_OP_REGISTER, 0).ticket, ticket);
		assert_int_equal(expect(CONTROL_OP_REAPED, 0).ticket, ticket);
	}
	run_many(p, 1);
	assert_int_equal(expect(CONTROL_OP_TICKET_OPEN, 0).ticket, first + N);
}

/* The agent's end without its agent. */
struct end {
	struct loop *loop;
	struct pid1 pid1;
	unsigned int n_lost;
	uint64_t next; /* object that the test's end reads next */
	uint64_t last;
};

static void on_lost(void *ctx)
{
	((struct end *)ctx)->n_lost++;
}

static void end_new(struct end *x)
{
	const struct control_msg m = { .op = CONTROL_OP_HELLO,
				       .arg = 3,
				       .status = CONTROL_VERSION };
	char number[16];
	int pair[2];

	*x = (struct end){ .next = 1 };
	assert_int_equal(loop_new(&x->loop, &(struct err){ 0 }), 0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	control = pair[0];
	(void)snprintf(number, sizeof(number), "%d", pair[1]);
	setenv(CONTROL_ENV, number, 1);
	assert_int_equal(control_send(control, &m, NULL, 0, NULL), 0);
	pid1_init(&x->pid1);
	pid1_listen(&x->pid1, NULL, on_lost, x);
	assert_int_equal(pid1_attach(&x->pid1, x->loop, &(struct err){ 0 }), 0);
	assert_int_equal(pid1_go_on(&x->pid1, &(struct err){ 0 }), 0);
	assert_int_equal(expect(CONTROL_OP_HELLO, 0).op, CONTROL_OP_HELLO);
}

static void end_free(struct end *x)
{
	pid1_done(&x->pid1);
	loop_free(x->loop);
	fd_close(&control);
}

/* Return: exit status of an agent that takes over and has PID 1 not take a
 * deposit; 0: it goes on */
static int lost_in_a_takeover(bool hangs_up, bool poisoned)
{
	const struct rlimit none = { 3, 3 };
	static struct processes processes;
	static struct orphans orphans;
	static struct slots slots;
	struct end x;
	int status = 0;
	const pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid != 0) {
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		return WEXITSTATUS(status);
	}
	end_new(&x);
	x.pid1.poisoned = poisoned;
	list_init(&processes.live);
	orphans_init(&orphans, &x.pid1, &processes, &slots);
	if (hangs_up)
		(void)shutdown(control, SHUT_RDWR);
	else
		(void)setrlimit(RLIMIT_NOFILE, &none);
	pid1_deposit(&x.pid1, 1, 0, STDERR_FILENO);
	_exit(x.pid1.fd < 0 ? 0 : 2);
}

/* Records would tell of what it did next, and PID 1 would not have it. */
static void test_a_takeover_without_pid_1_ends_there(void **state UNUSED)
{
	assert_int_equal(lost_in_a_takeover(true, false), 1);
	assert_int_equal(lost_in_a_takeover(false, false), 1);
	assert_int_equal(lost_in_a_takeover(true, true), 0);
}

static void read_in_order(void *ctx, uint32_t events UNUSED)
{
	struct end *x = ctx;
	struct control_msg m;
	int fds[CONTROL_FDS_MAX];

	while (x->next <= x->last &&
	       control_recv(control, &m, fds, &(struct err){ 0 }) == 1)
		assert_int_equal(m.object, x->next++);
	if (x->next > x->last)
		loop_stop(x->loop);
}

/* As many processes as there may be end at once: each packet arrives, and what
 * the queue needed is given back. */
static void test_a_burst_waits_for_pid_1(void **state UNUSED)
{
	struct end x;
	struct loop_id watch;

	end_new(&x);
	x.last = UINT64_C(4) * CONTROL_PIDS_MAX; /* three streams and itself */
	for (uint64_t i = 1; i <= x.last; i++)
		pid1_withdraw(&x.pid1, i, 0);
	assert_int_equal(x.n_lost, 0);
	assert_int_equal(loop_watch(x.loop, control, EPOLLIN, read_in_order, &x,
				    &watch, &(struct err){ 0 }),
			 0);
	assert_int_equal(loop_run(x.loop, &(struct err){ 0 }), 0);
	assert_int_equal(x.pid1.n_queued, 0);
	assert_int_equal(x.pid1.capacity, PID1_QUEUE_KEPT);
	loop_unwatch(x.loop, &watch);
	end_free(&x);
}

/* One that never reads is given up, once; the descriptors that wait go too. */
static void test_a_pid_1_that_does_not_read_is_given_up(void **state UNUSED)
{
	struct end x;
	unsigned int n = 0;

	end_new(&x);
	for (; n < 2 * PID1_QUEUE_MAX && x.n_lost == 0; n++) {
		if (n % 1024 == 1023)
			pid1_deposit(&x.pid1, n + 1, 0, control);
		else
			pid1_withdraw(&x.pid1, n + 1, 0);
	}
	assert_in_range(n, PID1_QUEUE_MAX, PID1_QUEUE_MAX + 2048);
	pid1_withdraw(&x.pid1, 1, 0);
	assert_int_equal(x.n_lost, 1);
	assert_int_equal(x.pid1.n_queued, 0);
	end_free(&x);
}

static void test_processes_get_no_control_socket(void **state)
{
	struct peer *p = *state;
	struct peer_exec x = {
		.line = "for n in 3 4 5 6 7 8 9; do "
			"[ -e /proc/$$/fd/$n ] && echo $n; done; "
			"echo \"[$" CONTROL_ENV "]\"",
		.want = { false, true, false },
	};

	peer_exec(p, &x);
	assert_string_equal(peer_output(x.fd[1]), "[]\n");
	peer_exec_done(&x);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_ticket_before_and_a_register_behind_a_start),
		TEST(test_a_start_that_fails_closes_its_ticket),
		TEST(test_a_register_that_comes_late_closes_its_ticket),
		TEST(test_the_log_is_read_in_pieces),
		TEST(test_exits_of_an_earlier_agent_are_acknowledged),
		cmocka_unit_test(test_what_an_earlier_agent_left_is_cleared),
		TEST(test_the_dump_ends_with_the_log_of_pid_1),
		TEST(test_the_dump_has_the_newest_of_the_log),
		TEST(test_a_shutdown_asks_pid_1_for_the_power),
		TEST(test_a_pid_1_that_hangs_up_is_asked_for_another_agent),
		TEST(test_a_pid_1_that_is_slow_misses_nothing),
		cmocka_unit_test(test_a_takeover_without_pid_1_ends_there),
		cmocka_unit_test(test_a_burst_waits_for_pid_1),
		cmocka_unit_test(test_a_pid_1_that_does_not_read_is_given_up),
		TEST(test_processes_get_no_control_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
