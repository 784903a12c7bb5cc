#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/io/control.h"
#include "bridge/io/fd.h"

struct pair {
	int a;
	int b;
};

static struct pair open_pair(void)
{
	int s[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
	return (struct pair){ s[0], s[1] };
}

static void close_pair(struct pair *p)
{
	fd_close(&p->a);
	fd_close(&p->b);
}

static void test_packet_and_descriptors_arrive(void **state)
{
	const struct control_msg out = { .op = CONTROL_OP_DEPOSIT,
					 .object = 0x8123456789abcdefull,
					 .role = 7,
					 .tag = 9 };
	struct pair p = open_pair();
	struct control_msg in;
	int fds[CONTROL_FDS_MAX];
	struct err e = { 0 };
	cleanup_fd null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const int give[2] = { null, p.a };

	(void)state;
	assert_int_equal(control_send(p.a, &out, give, 2, &e), 0);
	assert_int_equal(control_recv(p.b, &in, fds, &e), 1);
	assert_memory_equal(&in, &out, sizeof(in));
	assert_true(fds[0] >= 0 && fds[1] >= 0);
	assert_int_equal(fds[2], -1);
	assert_int_equal(fds[3], -1);
	assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	fd_close(&fds[0]);
	fd_close(&fds[1]);
	close_pair(&p);
}

static void test_nothing_and_end_are_told_apart(void **state)
{
	struct pair p = open_pair();
	struct control_msg in = { .op = 77 };
	int fds[CONTROL_FDS_MAX];

	(void)state;
	assert_int_equal(control_recv(p.b, &in, fds, NULL), -EAGAIN);
	fd_close(&p.a);
	assert_int_equal(control_recv(p.b, &in, fds, NULL), 0);
	assert_int_equal(in.op, 77);
	assert_int_equal(control_send(p.b, &in, NULL, 0, NULL), -EPIPE);
	close_pair(&p);
}

static void test_packets_of_another_size_are_refused(void **state)
{
	struct pair p = open_pair();
	struct control_msg in = { .op = 77 };
	char big[sizeof(in) + 1] = { 0 };
	int fds[CONTROL_FDS_MAX];

	(void)state;
	assert_int_equal(send(p.a, big, sizeof(in) - 1, 0), sizeof(in) - 1);
	assert_int_equal(send(p.a, big, sizeof(big), 0), sizeof(big));
	assert_int_equal(control_recv(p.b, &in, fds, NULL), -EPROTO);
	assert_int_equal(control_recv(p.b, &in, fds, NULL), -EPROTO);
	assert_int_equal(in.op, 77);
	close_pair(&p);
}

/* Descriptors beyond the limit would be lost: the packet is refused. */
static void test_too_many_descriptors_are_refused(void **state)
{
	const struct control_msg out = { .op = CONTROL_OP_DEPOSIT };
	struct control_msg copy = out;
	struct pair p = open_pair();
	int five[CONTROL_FDS_MAX + 1];
	int fds[CONTROL_FDS_MAX];
	struct iovec iov = { &copy, sizeof(copy) };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(five))];
	} a = { .head = { .cmsg_len = CMSG_LEN(sizeof(five)),
			  .cmsg_level = SOL_SOCKET,
			  .cmsg_type = SCM_RIGHTS } };
	const struct msghdr h = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = &a,
				  .msg_controllen = sizeof(a) };
	int before;
	int after;

	(void)state;
	for (size_t i = 0; i < CONTROL_FDS_MAX + 1; i++)
		five[i] = p.a;
	assert_int_equal(
		control_send(p.a, &out, five, CONTROL_FDS_MAX + 1, NULL),
		-EINVAL);
	memcpy(CMSG_DATA(&a.head), five, sizeof(five));
	before = dup(p.a);
	assert_int_equal(sendmsg(p.a, &h, 0), sizeof(copy));
	assert_int_equal(control_recv(p.b, &copy, fds, NULL), -EPROTO);
	after = dup(p.a);
	assert_int_equal(after, before + 1); /* nothing was leaked */
	fd_close(&before);
	fd_close(&after);
	close_pair(&p);
}

static void test_a_peer_that_does_not_read_never_blocks(void **state)
{
	const struct control_msg out = { .op = CONTROL_OP_EXIT };
	struct pair p = open_pair();
	int r = 0;
	int n = 0;

	(void)state;
	for (; n < 100000 && r == 0; n++)
		r = control_send(p.a, &out, NULL, 0, NULL);
	assert_int_equal(r, -EAGAIN);
	assert_true(n > 10);
	close_pair(&p);
}

/* The kernel tells once that the peer had not read everything. */
static void test_what_a_killed_peer_has_sent_is_read_to_its_end(void **state)
{
	struct control_msg m = { .op = CONTROL_OP_DEPOSIT };
	struct pair p = open_pair();
	int fds[CONTROL_FDS_MAX];

	(void)state;
	for (m.tag = 0; m.tag < 3; m.tag++) {
		assert_int_equal(control_send(p.a, &m, &p.a, 1, NULL), 0);
		assert_int_equal(control_send(p.b, &m, NULL, 0, NULL), 0);
	}
	fd_close(&p.a);
	for (uint64_t i = 0; i < 3; i++) {
		assert_int_equal(control_recv(p.b, &m, fds, NULL), 1);
		assert_int_equal(m.tag, i);
		fd_close(&fds[0]);
	}
	assert_int_equal(control_recv(p.b, &m, fds, NULL), 0);
	close_pair(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packet_and_descriptors_arrive),
		cmocka_unit_test(test_nothing_and_end_are_told_apart),
		cmocka_unit_test(test_packets_of_another_size_are_refused),
		cmocka_unit_test(test_too_many_descriptors_are_refused),
		cmocka_unit_test(test_a_peer_that_does_not_read_never_blocks),
		cmocka_unit_test(
			test_what_a_killed_peer_has_sent_is_read_to_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
