/* tests/unit/test_vsock_stream.c - streams through the rings, both ways */
#include "tests/unit/unit.h"

#include <sys/resource.h>
#include <sys/un.h>

#include "tests/unit/vsock_bytes.h"
#include "tests/unit/vsock_guest.h"

static const struct guest_options plain = { .num = 16 };
static const struct guest_options usual = { .num = 128,
					    .indirect = true,
					    .event_idx = true };

struct flow {
	size_t to_host;
	size_t from_host;
	size_t written;
	size_t got;
};

/* The guest sends what its credit and its ring allow. */
static void pump_guest(struct guest *g, struct guest_stream *s, struct flow *f,
		       size_t total)
{
	uint8_t block[GUEST_ROOM];

	while (s->sent < total && guest_tx_free(g) > 0) {
		const uint32_t credit =
			s->peer_alloc - (s->sent - s->peer_gone);
		size_t n = 1 + s->sent % 7 * 677;

		n = n < credit ? n : credit;
		n = n < total - s->sent ? n : total - s->sent;
		if (n == 0)
			return;
		fill(block, s->sent, n, 1);
		guest_data(g, s, block, (uint32_t)n);
		f->to_host = s->sent;
	}
}

static void pump_host(int fd, struct flow *f, size_t total)
{
	uint8_t block[20000];

	for (;;) {
		const ssize_t n = read(fd, block, sizeof(block));

		if (n <= 0)
			break;
		check(block, f->from_host, (size_t)n, 1);
		f->from_host += (size_t)n;
	}
	while (f->written < total) {
		size_t n = 1 + f->written % 5 * 3001;
		ssize_t done;

		n = n < total - f->written ? n : total - f->written;
		fill(block, f->written, n, 2);
		done = write(fd, block, n);
		if (done <= 0)
			return;
		f->written += (size_t)done;
	}
}

static void drain_guest(struct guest *g, struct guest_stream *s, struct flow *f)
{
	uint8_t block[GUEST_ROOM];
	struct packet p;

	while (guest_recv(g, &p, block)) {
		s->peer_alloc = p.buf_alloc;
		s->peer_gone = p.fwd_cnt;
		if (p.op == PACKET_DATA) {
			check(block, f->got, p.len, 2);
			f->got += p.len;
			s->gone += p.len;
		} else if (p.op == PACKET_CREDIT_REQUEST) {
			guest_tell(g, s, PACKET_CREDIT_UPDATE, 0);
		} else {
			assert_int_equal(p.op, PACKET_CREDIT_UPDATE);
		}
	}
}

/* A megabyte each way at the same time, every byte checked. */
static void both_ways(const struct guest_options *o)
{
	const size_t total = 1 << 20;
	struct guest *g = guest_new(o);
	struct guest_stream s;
	struct flow f = { 0 };
	const int fd = guest_connect(g, &s, 5);

	for (int i = 0; i < 100000; i++) {
		pump_guest(g, &s, &f, total);
		guest_turn(g);
		pump_host(fd, &f, total);
		guest_turn(g);
		drain_guest(g, &s, &f);
		if (f.from_host == total && f.got == total)
			break;
	}
	assert_int_equal(f.from_host, total);
	assert_int_equal(f.got, total);
	guest_free(g);
}

static void test_both_ways_direct(void **state)
{
	(void)state;
	both_ways(&plain);
}

static void test_both_ways_indirect_event_idx_across_the_wrap(void **state)
{
	static const struct guest_options o = {
		.num = 32, .base = 65500, .indirect = true, .event_idx = true
	};

	(void)state;
	both_ways(&o);
}

static void test_both_ways_event_idx_alone(void **state)
{
	static const struct guest_options o = { .num = 8,
						.base = 65535,
						.event_idx = true };

	(void)state;
	both_ways(&o);
}

static void test_refused_connection_is_reset_at_once(void **state)
{
	struct guest *g = guest_new(&plain);
	const struct guest_stream s = { .port = 7, .host_port = 99 };

	(void)state;
	g->dial_error = -ENOENT;
	guest_tell(g, &s, PACKET_REQUEST, 0);
	(void)guest_expect(g, PACKET_RESET, 7);
	assert_int_equal(guest_streams(g), 0);
	guest_free(g);
}

static void test_full_backlog_is_tried_again_then_given_up(void **state)
{
	struct guest *g = guest_new(&plain);
	const struct guest_stream s = { .port = 7, .host_port = 99 };

	(void)state;
	g->dial_error = -EAGAIN;
	guest_tell(g, &s, PACKET_REQUEST, 0);
	guest_expect_nothing(g);
	guest_pass(g, BACKEND_DIAL_RETRY_MS);
	assert_int_equal(g->dials, 2);
	g->dial_error = 0;
	guest_pass(g, BACKEND_DIAL_RETRY_MS);
	(void)guest_expect(g, PACKET_RESPONSE, 7);

	g->dial_error = -EAGAIN;
	guest_tell(g, &(struct guest_stream){ .port = 8 }, PACKET_REQUEST, 0);
	for (int i = 0; i <= BACKEND_DIAL_LIMIT_MS / BACKEND_DIAL_RETRY_MS; i++)
		guest_pass(g, BACKEND_DIAL_RETRY_MS);
	(void)guest_expect(g, PACKET_RESET, 8);
	guest_free(g);
}

static void test_unknown_stream_and_type_are_reset(void **state)
{
	struct guest *g = guest_new(&plain);
	struct guest_stream s = { .port = 7, .host_port = 99 };
	struct packet p = guest_packet(&s, PACKET_REQUEST);

	(void)state;
	guest_tell(g, &s, PACKET_DATA, 0);
	(void)guest_expect(g, PACKET_RESET, 7);
	guest_tell(g, &s, PACKET_RESET, 0); /* is not answered */
	guest_expect_nothing(g);
	p.type = 2; /* SEQPACKET, which is not offered */
	guest_send_raw(g, &p, NULL, 0);
	p = guest_expect(g, PACKET_RESET, 7);
	assert_int_equal(p.type, 2);
	assert_int_equal(g->dials, 0);
	guest_free(g);
}

static void test_packets_of_another_cid_are_dropped(void **state)
{
	struct guest *g = guest_new(&plain);
	struct guest_stream s = { .port = 7, .host_port = 99 };
	struct packet p = guest_packet(&s, PACKET_REQUEST);

	(void)state;
	p.src_cid = GUEST_CID + 1;
	guest_send_raw(g, &p, NULL, 0);
	p.src_cid = GUEST_CID;
	p.dst_cid = GUEST_CID;
	guest_send_raw(g, &p, NULL, 0);
	guest_expect_nothing(g);
	assert_int_equal(g->dials, 0);
	guest_free(g);
}

static void test_more_than_the_credit_is_a_reset(void **state)
{
	struct guest *g = guest_new(&usual);
	struct guest_stream s;
	const int fd = guest_connect(g, &s, 5);
	uint8_t block[GUEST_ROOM] = { 0 };
	struct packet p = { 0 };

	(void)state;
	(void)fd; /* the host reads nothing */
	for (int i = 0; i < 1000; i++) {
		const bool within = vconn_fits(
			vconns_find(&g->b->conns, 5, 1000), sizeof(block));

		guest_data(g, &s, block, sizeof(block));
		guest_turn(g);
		while (guest_recv(g, &p, NULL) && p.op != PACKET_RESET)
			assert_int_equal(p.op, PACKET_CREDIT_UPDATE);
		if (!within)
			break;
		assert_int_not_equal(p.op, PACKET_RESET);
	}
	assert_int_equal(p.op, PACKET_RESET);
	assert_int_equal(guest_streams(g), 0);
	guest_free(g);
}

static void test_guest_gets_no_more_than_its_buffer(void **state)
{
	struct guest *g = guest_new(&usual);
	struct guest_stream s = { .port = 5, .host_port = 1, .alloc = 1000 };
	uint8_t block[3000];
	struct packet p;
	uint32_t got = 0;

	(void)state;
	fill(block, 0, sizeof(block), 3);
	guest_tell(g, &s, PACKET_REQUEST, 0);
	(void)guest_expect(g, PACKET_RESPONSE, 5);
	assert_int_equal(write(g->host_fd[0], block, sizeof(block)),
			 sizeof(block));
	for (unsigned int round = 1; round <= 3; round++) {
		guest_turn(g);
		while (guest_recv(g, &p, NULL))
			if (p.op == PACKET_DATA)
				got += p.len;
			else
				assert_int_equal(p.op, PACKET_CREDIT_REQUEST);
		assert_int_equal(got, 1000 * round);
		guest_expect_nothing(g); /* it asked once only */
		guest_tell(g, &s, PACKET_CREDIT_UPDATE, 0); /* still none */
		if (round < 3)
			guest_expect_nothing(g);
		s.gone += 1000;
		guest_tell(g, &s, PACKET_CREDIT_UPDATE, 0);
	}
	guest_free(g);
}

static void test_credit_request_is_answered(void **state)
{
	struct guest *g = guest_new(&plain);
	struct guest_stream s;
	const int fd = guest_connect(g, &s, 5);
	struct packet p;
	char c;

	(void)state;
	guest_data(g, &s, "x", 1);
	guest_turn(g);
	assert_int_equal(read(fd, &c, 1), 1);
	guest_tell(g, &s, PACKET_CREDIT_REQUEST, 0);
	p = guest_expect(g, PACKET_CREDIT_UPDATE, 5);
	assert_int_equal(p.fwd_cnt, 1);
	assert_int_equal(p.buf_alloc, VCONN_BUFFER_BYTES);
	guest_free(g);
}

static void test_host_that_reads_no_more_stops_the_guest(void **state)
{
	struct guest *g = guest_new(&usual);
	struct guest_stream s;
	const int fd = guest_connect(g, &s, 5);
	struct packet p;

	(void)state;
	assert_int_equal(shutdown(fd, SHUT_RD), 0);
	guest_data(g, &s, "lost", 4);
	p = guest_expect(g, PACKET_SHUTDOWN, 5);
	assert_int_equal(p.flags, PACKET_NO_RECEIVE);
	assert_int_equal(p.fwd_cnt, 4);
	assert_int_equal(write(fd, "on", 2), 2);
	(void)guest_expect(g, PACKET_DATA, 5);
	guest_free(g);
}

static void test_guest_that_reads_no_more_stops_the_host(void **state)
{
	struct guest *g = guest_new(&usual);
	struct guest_stream s;
	const int fd = guest_connect(g, &s, 5);
	char c;

	(void)state;
	guest_tell(g, &s, PACKET_SHUTDOWN, PACKET_NO_RECEIVE);
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	guest_expect_nothing(g);
	guest_data(g, &s, "y", 1);
	guest_turn(g);
	assert_int_equal(read(fd, &c, 1), 1);
	guest_host_close(g, 0);
	(void)guest_expect(g, PACKET_SHUTDOWN, 5);
	guest_free(g);
}

static void test_streams_beyond_the_limit_are_reset(void **state)
{
	const struct guest_options o = { .num = 64, .streams = 10 };
	struct guest *g = guest_new(&o);
	struct guest_stream s[10];
	struct guest_stream more = { .port = 500, .host_port = 1 };

	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		(void)guest_connect(g, &s[i], 100 + i);
	guest_tell(g, &more, PACKET_REQUEST, 0);
	(void)guest_expect(g, PACKET_RESET, 500);
	guest_tell(g, &s[3], PACKET_RESET, 0);
	(void)guest_connect(g, &more, 500);
	assert_int_equal(guest_streams(g), 10);
	guest_free(g);
}

static void test_streams_take_turns(void **state)
{
	struct guest *g = guest_new(&plain); /* 16 buffers */
	struct guest_stream big, small;
	const int big_fd = guest_connect(g, &big, 5);
	const int small_fd = guest_connect(g, &small, 6);
	uint8_t block[100000] = { 0 };
	struct packet p = { 0 };
	int before = 0;

	(void)state;
	assert_true(write(big_fd, block, sizeof(block)) > 50000);
	guest_turn(g); /* all buffers are full of it */
	assert_int_equal(write(small_fd, "x", 1), 1);
	while (before < 1000 && guest_recv(g, &p, NULL) && p.dst_port != 6) {
		before++;
		big.gone += p.len;
		(void)!write(big_fd, block, p.len); /* never runs out */
		guest_tell(g, &big, PACKET_CREDIT_UPDATE, 0);
	}
	assert_int_equal(p.dst_port, 6);
	assert_in_range(before, 1, 2 * BACKEND_BATCH_MAX);
	guest_free(g);
}

/* With no descriptor left the device waits instead of asking all the time. */
static void test_host_programs_wait_for_a_free_descriptor(void **state)
{
	const struct sockaddr_un any = { .sun_family = AF_UNIX };
	struct guest *g = guest_new(&usual);
	const int listener =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct rlimit all, none;
	struct sockaddr_un at;
	socklen_t len = sizeof(at);

	(void)state;
	assert_int_equal(bind(listener, (const struct sockaddr *)&any,
			      sizeof(any.sun_family)),
			 0);
	assert_int_equal(listen(listener, 4), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len),
			 0);
	assert_int_equal(backend_set_listener(g->b, listener), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&at, len), 0);
	assert_int_equal(send(fd, "CONNECT 5\n", 10, 0), 10);

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	none = all;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	guest_turn(g); /* comes to rest */
	assert_int_equal(guest_streams(g), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
	guest_pass(g, BACKEND_ACCEPT_RETRY_MS);
	(void)guest_expect(g, PACKET_REQUEST, 5);
	(void)close(fd);
	guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways_direct),
		cmocka_unit_test(
			test_both_ways_indirect_event_idx_across_the_wrap),
		cmocka_unit_test(test_both_ways_event_idx_alone),
		cmocka_unit_test(test_refused_connection_is_reset_at_once),
		cmocka_unit_test(
			test_full_backlog_is_tried_again_then_given_up),
		cmocka_unit_test(test_unknown_stream_and_type_are_reset),
		cmocka_unit_test(test_packets_of_another_cid_are_dropped),
		cmocka_unit_test(test_more_than_the_credit_is_a_reset),
		cmocka_unit_test(test_guest_gets_no_more_than_its_buffer),
		cmocka_unit_test(test_credit_request_is_answered),
		cmocka_unit_test(test_host_that_reads_no_more_stops_the_guest),
		cmocka_unit_test(test_guest_that_reads_no_more_stops_the_host),
		cmocka_unit_test(test_streams_beyond_the_limit_are_reset),
		cmocka_unit_test(test_streams_take_turns),
		cmocka_unit_test(test_host_programs_wait_for_a_free_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
