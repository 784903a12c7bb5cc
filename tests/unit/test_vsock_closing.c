/* tests/unit/test_vsock_closing.c - how streams end, and what comes behind that */
#include "tests/unit/unit.h"

#include "tests/unit/vsock_bytes.h"
#include "tests/unit/vsock_guest.h"

static const struct guest_options usual = { .num = 128,
					    .indirect = true,
					    .event_idx = true };

static void test_guest_half_close(void **state)
{
	struct guest *g = guest_new(&usual);
	struct guest_stream s;
	const int fd = guest_connect(g, &s, 5);
	char c[8] = { 0 };
	struct packet p;

	(void)state;
	guest_data(g, &s, "bye", 3);
	guest_tell(g, &s, PACKET_SHUTDOWN, PACKET_NO_SEND);
	assert_int_equal(read(fd, c, sizeof(c)), 3);
	assert_int_equal(read(fd, c, sizeof(c)), 0);
	assert_int_equal(write(fd, "still", 5), 5);
	p = guest_expect(g, PACKET_DATA, 5);
	assert_int_equal(p.len, 5);
	guest_host_close(g, 0);
	p = guest_expect(g, PACKET_SHUTDOWN, 5);
	assert_int_equal(p.flags, PACKET_NO_BOTH);
	guest_tell(g, &s, PACKET_RESET, 0);
	assert_int_equal(guest_streams(g), 0);
	guest_free(g);
}

static void test_host_half_close(void **state)
{
	struct guest *g = guest_new(&usual);
	struct guest_stream s;
	const int fd = guest_connect(g, &s, 5);
	char c[8] = { 0 };
	struct packet p;

	(void)state;
	assert_int_equal(write(fd, "last", 4), 4);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	p = guest_expect(g, PACKET_DATA, 5);
	assert_int_equal(p.len, 4);
	p = guest_expect(g, PACKET_SHUTDOWN, 5);
	assert_int_equal(p.flags, PACKET_NO_SEND);
	guest_data(g, &s, "answer", 6);
	guest_turn(g);
	assert_int_equal(read(fd, c, sizeof(c)), 6);
	guest_tell(g, &s, PACKET_SHUTDOWN, PACKET_NO_BOTH);
	(void)guest_expect(g, PACKET_RESET, 5);
	assert_int_equal(read(fd, c, sizeof(c)), 0);
	assert_int_equal(guest_streams(g), 0);
	guest_free(g);
}

static void test_host_close_waits_for_the_guest_but_not_for_ever(void **state)
{
	struct guest *g = guest_new(&usual);
	struct guest_stream s;
	struct packet p;

	(void)state;
	(void)guest_connect(g, &s, 5);
	guest_host_close(g, 0);
	p = guest_expect(g, PACKET_SHUTDOWN, 5);
	assert_int_equal(p.flags, PACKET_NO_BOTH);
	guest_pass(g, BACKEND_CLOSE_LIMIT_MS - 1);
	guest_expect_nothing(g);
	guest_pass(g, 1);
	(void)guest_expect(g, PACKET_RESET, 5);
	assert_int_equal(guest_streams(g), 0);
	guest_free(g);
}

/* Fill the host's socket and then some; return: bytes sent. */
static uint32_t overfill(struct guest *g, struct guest_stream *s)
{
	const struct vconn *c = vconns_find(&g->b->conns, s->port, 1000);
	uint8_t block[GUEST_ROOM];

	while (c->fifo.len < 3 * sizeof(block)) {
		fill(block, s->sent, sizeof(block), 1);
		guest_data(g, s, block, sizeof(block));
		guest_turn(g);
	}
	return s->sent;
}

static size_t read_all(struct guest *g, int fd)
{
	uint8_t block[10000];
	size_t from = 0;

	for (;;) {
		const ssize_t n = read(fd, block, sizeof(block));

		if (n < 0 && errno == EAGAIN) {
			guest_turn(g);
			if (g->b->conns.used == 0)
				return from;
			continue;
		}
		if (n <= 0)
			return from;
		check(block, from, (size_t)n, 1);
		from += (size_t)n;
		guest_turn(g);
	}
}

static void test_bytes_before_a_close_reach_a_slow_host(void **state)
{
	struct guest *g = guest_new(&usual);
	struct guest_stream s;
	const int fd = guest_connect(g, &s, 5);
	const uint32_t sent = overfill(g, &s);

	(void)state;
	guest_tell(g, &s, PACKET_SHUTDOWN, PACKET_NO_BOTH);
	guest_tell(g, &s, PACKET_RESET, 0); /* the guest waits no longer */
	assert_int_equal(guest_streams(g), 1);
	assert_int_equal(read_all(g, fd), sent);
	assert_int_equal(guest_streams(g), 0);
	guest_free(g);
}

static void test_bytes_for_a_stuck_host_are_dropped_in_the_end(void **state)
{
	struct guest *g = guest_new(&usual);
	struct guest_stream s;

	(void)state;
	(void)guest_connect(g, &s, 5);
	(void)overfill(g, &s);
	guest_tell(g, &s, PACKET_SHUTDOWN, PACKET_NO_BOTH);
	guest_tell(g, &s, PACKET_RESET, 0);
	guest_pass(g, BACKEND_DRAIN_LIMIT_MS);
	assert_int_equal(guest_streams(g), 0);
	guest_free(g);
}

static void test_guest_reset_closes_the_host_at_once(void **state)
{
	struct guest *g = guest_new(&usual);
	struct guest_stream s;
	const int fd = guest_connect(g, &s, 5);
	char c;

	(void)state;
	guest_tell(g, &s, PACKET_RESET, 0);
	assert_int_equal(read(fd, &c, 1), 0);
	assert_int_equal(guest_streams(g), 0);
	guest_expect_nothing(g);
	guest_free(g);
}

static void test_ports_used_again_begin_a_new_stream(void **state)
{
	struct guest *g = guest_new(&usual);
	struct guest_stream s;
	const int old = guest_connect(g, &s, 5);
	const int new = guest_connect(g, &s, 5);
	char c;

	(void)state;
	assert_int_equal(read(old, &c, 1), 0);
	assert_int_equal(read(new, &c, 1), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(guest_streams(g), 1);
	guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guest_half_close),
		cmocka_unit_test(test_host_half_close),
		cmocka_unit_test(
			test_host_close_waits_for_the_guest_but_not_for_ever),
		cmocka_unit_test(test_bytes_before_a_close_reach_a_slow_host),
		cmocka_unit_test(
			test_bytes_for_a_stuck_host_are_dropped_in_the_end),
		cmocka_unit_test(test_guest_reset_closes_the_host_at_once),
		cmocka_unit_test(test_ports_used_again_begin_a_new_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
