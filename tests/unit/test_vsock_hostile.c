/*
 * tests/unit/test_vsock_hostile.c - a guest that breaks the rules of the rings, or
 * does not serve them
 */
#include "tests/unit/unit.h"

#include "config/util.h"
#include "tests/unit/vsock_guest.h"

static const struct guest_options plain = { .num = 16 };

/* A ring that breaks a rule: QEMU is told, and nothing is served any more. */
static void expect_broken(struct guest *g)
{
	guest_turn(g);
	assert_true(g->b->queue[BACKEND_FROM_GUEST].ring.broken);
	assert_true(guest_signalled(g->q[BACKEND_FROM_GUEST].err));
	guest_kick(g, BACKEND_FROM_GUEST);
	guest_turn(g);
	assert_false(guest_signalled(g->q[BACKEND_FROM_GUEST].err));
	guest_free(g);
}

static void test_index_far_ahead_breaks_the_ring(void **st)
{
	struct guest *g = guest_new(&plain);

	(void)st;
	guest_put16(g, g->q[1].avail + 2, 17);
	guest_kick(g, BACKEND_FROM_GUEST);
	expect_broken(g);
}

static void test_head_out_of_range_breaks_the_ring(void **st)
{
	struct guest *g = guest_new(&plain);

	(void)st;
	guest_offer(g, BACKEND_FROM_GUEST, 16);
	expect_broken(g);
}

/* Empty ones too, which no limit of bytes or pieces would end. */
static void test_loop_of_descriptors_breaks_the_ring(void **st)
{
	(void)st;
	for (uint32_t len = 0; len <= 8; len += 8) {
		struct guest *g = guest_new(&plain);
		const uint64_t desc = g->q[1].desc;

		guest_desc(g, desc, 0, 0x1000, len, VRING_DESC_F_NEXT, 1);
		guest_desc(g, desc, 1, 0x1000, len, VRING_DESC_F_NEXT, 0);
		guest_offer(g, BACKEND_FROM_GUEST, 0);
		expect_broken(g);
	}
}

static void test_address_outside_of_memory_breaks_the_ring(void **st)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
	} bad[] = {
		{ 0, 1 },
		{ 0xfff, 2 },
		{ 0x301000 + 0x20000, 1 },
		{ 0x301000 + 0x20000 - 1, 2 },
		{ 0x1000, UINT32_MAX },
		{ 0x100000000 + 0x10000 - 100, 101 },
		{ UINT64_MAX, 1 },
		{ UINT64_MAX - 10, 100 },
		{ UINT64_MAX - 0xfff, 0x1000 + 0x1000 + 10 },
	};

	(void)st;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct guest *g = guest_new(&plain);

		guest_desc(g, g->q[1].desc, 0, bad[i].addr, bad[i].len, 0, 0);
		guest_offer(g, BACKEND_FROM_GUEST, 0);
		expect_broken(g);
	}
}

static void test_bad_indirect_tables_break_the_ring(void **st)
{
	static const struct {
		uint64_t table;
		uint32_t len;
		uint16_t flags;
	} bad[] = {
		{ 0x101000, 0, VRING_DESC_F_INDIRECT },
		{ 0x101000, 24, VRING_DESC_F_INDIRECT },
		{ 0x101000, 16u * (VQUEUE_NUM_MAX + 1), VRING_DESC_F_INDIRECT },
		{ 0x101000, 32, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT },
		{ 0x10, 32, VRING_DESC_F_INDIRECT },
		{ UINT64_MAX - 15, 32, VRING_DESC_F_INDIRECT },
		/* This one holds a descriptor that is a table itself. */
		{ 0x110000, 16, VRING_DESC_F_INDIRECT },
		/* This one goes on beyond its end. */
		{ 0x120000, 16, VRING_DESC_F_INDIRECT },
		/* This one goes round in a circle. */
		{ 0x130000, 32, VRING_DESC_F_INDIRECT },
	};

	(void)st;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct guest *g = guest_new(&plain);

		guest_desc(g, 0x110000, 0, 0x101000, 32, VRING_DESC_F_INDIRECT,
			   0);
		guest_desc(g, 0x120000, 0, 0x101000, 32, VRING_DESC_F_NEXT, 1);
		guest_desc(g, 0x130000, 0, 0x101000, 32, VRING_DESC_F_NEXT, 1);
		guest_desc(g, 0x130000, 1, 0x101000, 0, VRING_DESC_F_NEXT, 1);
		guest_desc(g, g->q[1].desc, 0, bad[i].table, bad[i].len,
			   bad[i].flags, 0);
		guest_offer(g, BACKEND_FROM_GUEST, 0);
		expect_broken(g);
	}
}

static void test_readable_after_writable_breaks_the_ring(void **st)
{
	struct guest *g = guest_new(&plain);
	const uint64_t desc = g->q[1].desc;

	(void)st;
	guest_desc(g, desc, 0, 0x1000, 8,
		   VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
	guest_desc(g, desc, 1, 0x1000, 8, 0, 0);
	guest_offer(g, BACKEND_FROM_GUEST, 0);
	expect_broken(g);
}

/* A chain of more pieces than one batch may have. */
static void test_endless_chain_breaks_the_ring(void **st)
{
	struct guest *g = guest_new(&plain);
	struct vqueue_pieces *p = &g->b->pieces;
	const uint64_t desc = g->q[1].desc;

	(void)st;
	/* 15 direct descriptors of one piece each, and then a full table. */
	for (uint16_t i = 0; i < 15; i++)
		guest_desc(g, desc, i, 0x1000, 4, VRING_DESC_F_NEXT,
			   (uint16_t)(i + 1));
	guest_desc(g, desc, 15, 0x110000, 16 * VQUEUE_NUM_MAX,
		   VRING_DESC_F_INDIRECT, 0);
	for (uint16_t i = 0; i < VQUEUE_NUM_MAX; i++)
		guest_desc(g, 0x110000, i, 0x1000, 4,
			   i + 1 < VQUEUE_NUM_MAX ? VRING_DESC_F_NEXT : 0,
			   (uint16_t)(i + 1));
	guest_offer(g, BACKEND_FROM_GUEST, 0);
	guest_turn(g);
	assert_in_range(p->n, 0, VQUEUE_PIECES_MAX);
	expect_broken(g);
}

static void test_short_and_lying_packets_are_dropped(void **st)
{
	struct guest *g = guest_new(&plain);
	struct guest_queue *q = &g->q[1];
	struct guest_stream s;
	const int fd = guest_connect(g, &s, 5);
	struct packet p = guest_packet(&s, PACKET_DATA);
	char c;

	(void)st;
	for (uint16_t len = 0; len < 60; len++) {
		const uint16_t slot = q->next_avail % q->num;

		p.len = 17; /* one more than ever comes */
		packet_put(guest_ptr(g, q->buffer), &p);
		guest_desc(g, q->desc, slot, q->buffer, len, 0, 0);
		guest_offer(g, BACKEND_FROM_GUEST, slot);
		guest_turn(g);
	}
	assert_false(q->num == 0 || g->b->queue[1].ring.broken);
	assert_int_equal(read(fd, &c, 1), -1);
	p.len = UINT32_MAX;
	guest_send_raw(g, &p, "x", 1);
	guest_expect_nothing(g);
	assert_int_equal(guest_streams(g), 1);
	guest_free(g);
}

static void test_useless_receive_buffers_are_given_back(void **st)
{
	struct guest *g = guest_new(&plain);
	struct guest_queue *q = &g->q[0];
	struct guest_stream s;
	const int fd = guest_connect(g, &s, 5);
	struct packet p;

	(void)st;
	for (uint16_t i = 0; i < q->num; i++) /* the buffers already there */
		guest_desc(g, q->desc, i, q->buffer, (uint32_t)(i % 3) * 22,
			   i % 4 == 3 ? 0 : VRING_DESC_F_WRITE, 0);
	assert_int_equal(write(fd, "x", 1), 1);
	guest_turn(g);
	assert_int_equal(guest_get16(g, q->used + 2), q->next_avail);
	q->next_used = q->next_avail;
	guest_post_rx(g, q->num);
	p = guest_expect(g, PACKET_DATA, 5);
	assert_int_equal(p.len, 1);
	guest_free(g);
}

static void test_guest_that_takes_no_resets_is_not_served(void **st)
{
	const struct guest_options o = { .num = 128 };
	struct guest *g = guest_new(&o);
	struct guest_queue *q = &g->q[1];
	const struct guest_stream s = { .port = 5, .host_port = 6 };
	const struct packet p = guest_packet(&s, PACKET_DATA);
	struct packet r;
	unsigned int resets = 0;

	(void)st;
	/* The first resets use the receive buffers up, the others wait. */
	for (unsigned int i = 0; i < 128 + BACKEND_RESETS_MAX + 100; i++) {
		guest_turn(g);
		if (guest_tx_free(g) == 0)
			break;
		guest_send_raw(g, &p, NULL, 0);
	}
	guest_turn(g);
	assert_int_equal(g->b->resets, BACKEND_RESETS_MAX);
	assert_int_equal(guest_get16(g, q->used + 2), 128 + BACKEND_RESETS_MAX);
	guest_turn(g); /* it waits, without turning round and round */
	for (;;) {
		while (guest_recv(g, &r, NULL)) {
			assert_int_equal(r.op, PACKET_RESET);
			resets++;
		}
		guest_turn(g);
		if (guest_get16(g, g->q[0].used + 2) == g->q[0].next_used)
			break;
	}
	assert_int_equal(resets, q->next_avail);
	guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_index_far_ahead_breaks_the_ring),
		cmocka_unit_test(test_head_out_of_range_breaks_the_ring),
		cmocka_unit_test(test_loop_of_descriptors_breaks_the_ring),
		cmocka_unit_test(
			test_address_outside_of_memory_breaks_the_ring),
		cmocka_unit_test(test_bad_indirect_tables_break_the_ring),
		cmocka_unit_test(test_readable_after_writable_breaks_the_ring),
		cmocka_unit_test(test_endless_chain_breaks_the_ring),
		cmocka_unit_test(test_short_and_lying_packets_are_dropped),
		cmocka_unit_test(test_useless_receive_buffers_are_given_back),
		cmocka_unit_test(test_guest_that_takes_no_resets_is_not_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
