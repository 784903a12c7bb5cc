/*
 * tests/unit/test_vsock_device.c - the vsock device under QEMU's hands: stop and
 * start, dirty pages, memory tables, interrupts
 */
#include "tests/unit/unit.h"

#include "tests/unit/vsock_guest.h"

static const struct guest_options usual = { .num = 64,
					    .indirect = true,
					    .event_idx = true };
static const struct guest_options plain = { .num = 16 };

static void test_stopped_device_touches_no_memory_and_keeps_streams(void **st)
{
	struct guest *g = guest_new(&usual);
	struct guest_stream s;
	const int fd = guest_connect(g, &s, 5);
	struct packet p;
	char c[8];
	uint16_t base[2];

	(void)st;
	guest_data(g, &s, "one", 3); /* still in the ring at the stop */
	assert_int_equal(guest_running(g, 0), 0);
	guest_protect(g, PROT_NONE);
	assert_int_equal(write(fd, "two", 3), 3);
	guest_kick(g, BACKEND_FROM_GUEST);
	guest_pass(g, 100000);
	for (unsigned int i = 0; i < BACKEND_QUEUES; i++)
		base[i] = guest_base(g, i);
	guest_protect(g, PROT_READ | PROT_WRITE);
	assert_int_equal(base[BACKEND_FROM_GUEST],
			 g->q[BACKEND_FROM_GUEST].next_avail - 1);

	guest_configure(g, base);
	assert_int_equal(guest_running(g, 1), 0);
	p = guest_expect(g, PACKET_DATA, 5);
	assert_int_equal(p.len, 3);
	assert_int_equal(read(fd, c, sizeof(c)), 3);
	assert_memory_equal(c, "one", 3);
	guest_free(g);
}

static void test_new_driver_in_the_guest_closes_all_streams(void **st)
{
	const uint16_t base[2] = { 0, 0 };
	struct guest *g = guest_new(&usual);
	struct guest_stream s;
	const int fd = guest_connect(g, &s, 5);
	char c;

	(void)st;
	assert_int_equal(guest_running(g, 0), 0);
	for (unsigned int i = 0; i < BACKEND_QUEUES; i++) {
		guest_put16(g, g->q[i].avail + 2, 0);
		guest_put16(g, g->q[i].used + 2, 0);
		g->q[i].next_avail = g->q[i].next_used = 0;
	}
	guest_configure(g, base);
	guest_post_rx(g, 64);
	assert_int_equal(guest_running(g, 1), 0);
	assert_int_equal(read(fd, &c, 1), 0);
	assert_int_equal(guest_streams(g), 0);
	guest_expect_nothing(g); /* it knows nothing of the old stream */
	(void)guest_connect(g, &s, 5);
	guest_free(g);
}

/* QEMU holds the eventfd too: a closed copy of it stays in an epoll. */
static void test_kick_may_be_set_again_and_again(void **st)
{
	struct guest *g = guest_new(&usual);
	struct guest_stream s;
	const int fd = guest_connect(g, &s, 5);
	char c;

	(void)st;
	for (int i = 0; i < 10; i++) {
		guest_set_file(g, VHOST_SET_VRING_KICK, 1, -1);
		guest_set_file(g, VHOST_SET_VRING_KICK, 1, g->q[1].kick);
		guest_data(g, &s, "x", 1);
		guest_turn(g);
		assert_int_equal(read(fd, &c, 1), 1);
	}
	guest_free(g);
}

static void test_running_queue_keeps_its_place(void **st)
{
	struct guest *g = guest_new(&plain);
	struct vhost_vring_state s = { .index = 0, .num = 32 };

	(void)st;
	assert_int_equal(guest_ioctl(g, VHOST_SET_VRING_NUM, &s), -EBUSY);
	assert_int_equal(guest_ioctl(g, VHOST_SET_VRING_BASE, &s), -EBUSY);
	guest_free(g);
}

static void test_bad_ioctls_are_refused(void **st)
{
	struct guest *g = guest_new(&plain);
	struct vhost_vring_state s = { .index = BACKEND_QUEUES, .num = 16 };
	struct vhost_vring_addr a = { .desc_user_addr = 8 };
	struct vhost_memory *t = calloc(
		1, sizeof(*t) + 100 * sizeof(struct vhost_memory_region));
	uint64_t v;

	(void)st;
	assert_non_null(t);
	assert_int_equal(guest_running(g, 0), 0);
	assert_int_equal(guest_ioctl(g, VHOST_SET_VRING_NUM, &s), -ENOBUFS);
	assert_int_equal(guest_ioctl(g, VHOST_GET_VRING_BASE, &s), -ENOBUFS);
	s.index = 0;
	s.num = 3;
	assert_int_equal(guest_ioctl(g, VHOST_SET_VRING_NUM, &s), -EINVAL);
	s.num = 2 * VQUEUE_NUM_MAX;
	assert_int_equal(guest_ioctl(g, VHOST_SET_VRING_NUM, &s), -EINVAL);
	s.num = 0x10000;
	assert_int_equal(guest_ioctl(g, VHOST_SET_VRING_BASE, &s), -EINVAL);
	assert_int_equal(guest_ioctl(g, VHOST_SET_VRING_ADDR, &a), -EINVAL);
	a.desc_user_addr = 0x1000; /* aligned, but not in the guest */
	assert_int_equal(guest_ioctl(g, VHOST_SET_VRING_ADDR, &a), 0);
	assert_int_equal(guest_running(g, 1), -EFAULT);
	v = 1ull << 40;
	assert_int_equal(guest_ioctl(g, VHOST_SET_FEATURES, &v), -EOPNOTSUPP);
	for (v = 0; v <= 2; v++)
		assert_int_equal(guest_ioctl(g, VHOST_VSOCK_SET_GUEST_CID, &v),
				 -EINVAL);
	v = UINT32_MAX;
	assert_int_equal(guest_ioctl(g, VHOST_VSOCK_SET_GUEST_CID, &v),
			 -EINVAL);
	t->nregions = 100;
	assert_int_equal(guest_ioctl(g, VHOST_SET_MEM_TABLE, t), -E2BIG);
	assert_int_equal(guest_ioctl(g, VHOST_GET_BACKEND_FEATURES, &v),
			 -ENOTTY);
	assert_int_equal(guest_ioctl(g, VHOST_GET_FEATURES, &v), 0);
	assert_true(v & 1ull << VHOST_F_LOG_ALL);
	assert_false(v & 2); /* VIRTIO_VSOCK_F_SEQPACKET */
	free(t);
	guest_free(g);
}

/* Which pages of guest memory differ from @before. */
static bool page_changed(const struct guest *g, const uint8_t *before,
			 uint64_t page)
{
	const uint64_t gpa = page * GUEST_PAGE;

	return memcmp(guest_ptr(g, gpa),
		      before + (gpa - guest_regions[0].guest), GUEST_PAGE) != 0;
}

static void set_log(struct guest *g, uint8_t *bits)
{
	uint64_t base = (uintptr_t)bits;

	guest_set_features(g, bits != NULL);
	assert_int_equal(guest_ioctl(g, VHOST_SET_LOG_BASE, &base), 0);
	guest_set_addr(g, 0, bits != NULL);
	guest_set_addr(g, 1, bits != NULL);
}

static void test_dirty_log_has_exactly_the_written_pages(void **st)
{
	struct guest *g = guest_new(&usual);
	const size_t size = guest_regions[0].size;
	const uint64_t pages =
		(guest_regions[2].guest + guest_regions[2].size) / GUEST_PAGE;
	uint8_t *bits = calloc(1, pages / 8);
	uint8_t *before = malloc(size);
	uint8_t block[6000];
	struct guest_stream s;
	const int fd = guest_connect(g, &s, 5);
	unsigned int marked = 0;

	(void)st;
	assert_non_null(bits);
	assert_non_null(before);
	memset(block, 0x5a, sizeof(block));
	set_log(g, bits);
	guest_data(g, &s, "x", 1); /* the guest's own write, before the copy */
	assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
	memcpy(before, guest_region(g, 0), size);
	guest_turn(g);

	for (uint64_t page = 0; page < pages; page++) {
		const bool bit = (bits[page / 8] >> page % 8 & 1) != 0;
		const uint64_t gpa = page * GUEST_PAGE;

		marked += bit;
		if (gpa < guest_regions[0].guest ||
		    gpa >= guest_regions[0].guest + size)
			assert_false(bit);
		else if (bit != page_changed(g, before, page))
			fail_msg("page %#lx: bit %d", (unsigned long)page, bit);
	}
	/* Two used rings, and three pages of two buffers. */
	assert_in_range(marked, 4, 6);

	set_log(g, NULL);
	memset(bits, 0, pages / 8);
	assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
	guest_turn(g);
	for (uint64_t i = 0; i < pages / 8; i++)
		assert_int_equal(bits[i], 0);
	free(before);
	free(bits);
	guest_free(g);
}

static void test_memory_table_may_change_while_running(void **st)
{
	struct guest *g = guest_new(&usual);
	const size_t size = guest_regions[0].size + 2ul * GUEST_PAGE;
	struct guest_stream s;
	const int fd = guest_connect(g, &s, 5);
	uint8_t *old = g->map[0];
	uint8_t *new = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char c;

	(void)st;
	assert_ptr_not_equal(new, MAP_FAILED);
	memcpy(new + GUEST_PAGE, old + GUEST_PAGE, guest_regions[0].size);
	g->map[0] = new;
	guest_set_memory(g); /* the rings are outside of it for a moment */
	assert_int_equal(mprotect(old, size, PROT_NONE), 0);
	guest_kick(g, BACKEND_FROM_GUEST);
	assert_int_equal(write(fd, "x", 1), 1);
	guest_turn(g);
	guest_set_addr(g, 0, false);
	guest_set_addr(g, 1, false);
	guest_data(g, &s, "y", 1);
	(void)guest_expect(g, PACKET_DATA, 5);
	assert_int_equal(read(fd, &c, 1), 1);
	assert_int_equal(munmap(old, size), 0);
	guest_free(g);
}

/* A header and payload that lie across two regions with different mappings. */
static void test_buffers_may_cross_regions(void **st)
{
	struct guest *g = guest_new(&plain);
	struct guest_queue *q = &g->q[BACKEND_FROM_GUEST];
	const uint64_t border = guest_regions[1].guest;
	struct guest_stream s;
	const int fd = guest_connect(g, &s, 5);
	struct packet p = guest_packet(&s, PACKET_DATA);
	uint8_t bytes[144];
	char got[200];

	(void)st;
	for (unsigned int cut = 0; cut <= sizeof(bytes); cut += 4) {
		const uint16_t slot = q->next_avail % q->num;

		p.len = 100;
		memset(bytes, (int)cut, sizeof(bytes));
		packet_put(bytes, &p);
		if (cut > 0)
			memcpy(guest_ptr(g, border - cut), bytes, cut);
		if (cut < sizeof(bytes))
			memcpy(guest_ptr(g, border), bytes + cut,
			       sizeof(bytes) - cut);
		guest_desc(g, q->desc, slot, border - cut, sizeof(bytes), 0, 0);
		guest_offer(g, BACKEND_FROM_GUEST, slot);
		guest_turn(g);
		assert_int_equal(read(fd, got, sizeof(got)), 100);
		assert_int_equal(got[0], (char)cut);
		assert_memory_equal(got, got + 1, 99);
	}
	guest_free(g);
}

static void test_interrupts_are_left_out_when_not_wanted(void **st)
{
	struct guest *g = guest_new(&plain);
	struct guest_stream s;

	(void)st;
	(void)guest_connect(g, &s, 5);
	assert_true(guest_signalled(g->q[0].call));
	assert_true(guest_signalled(g->q[1].call));
	guest_put16(g, g->q[0].avail, VRING_AVAIL_F_NO_INTERRUPT);
	guest_tell(g, &s, PACKET_CREDIT_REQUEST, 0);
	(void)guest_expect(g, PACKET_CREDIT_UPDATE, 5);
	assert_false(guest_signalled(g->q[0].call));
	assert_true(guest_signalled(g->q[1].call));
	guest_free(g);
}

static void test_interrupts_follow_the_event_index(void **st)
{
	struct guest *g = guest_new(&usual);
	const struct guest_queue *q = &g->q[1];
	struct guest_stream s;
	int calls = 0;

	(void)st;
	(void)guest_connect(g, &s, 5);
	(void)guest_signalled(q->call);
	guest_put16(g, q->avail + 4 + 2ull * q->num,
		    (uint16_t)(q->next_avail + 4)); /* at the fifth */
	for (int i = 1; i <= 8; i++) {
		guest_tell(g, &s, PACKET_CREDIT_UPDATE, 0);
		if (guest_signalled(q->call)) {
			assert_int_equal(i, 5);
			calls++;
		}
	}
	assert_int_equal(calls, 1);
	guest_free(g);
}

static void test_event_of_an_old_stream_is_not_the_new_ones(void **st)
{
	struct guest *g = guest_new(&usual);
	struct guest_stream s;
	struct vconn *c;
	struct epoll_event late = { .events = EPOLLHUP | EPOLLIN };

	(void)st;
	(void)guest_connect(g, &s, 5);
	c = vconns_find(&g->b->conns, 5, 1000);
	late.data.u64 = (uint64_t)c->generation << 32 |
			(uint64_t)c->index << 8 | (3u + BACKEND_QUEUES);
	guest_tell(g, &s, PACKET_RESET, 0);
	(void)guest_connect(g, &s, 6);
	assert_ptr_equal(vconns_find(&g->b->conns, 6, 1000), c);
	backend_serve(g->b, &late, 1, g->now_ms);
	assert_false(c->closed);
	late.data.u64 += 1ull << 32;
	backend_serve(g->b, &late, 1, g->now_ms);
	assert_true(c->closed);
	guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_stopped_device_touches_no_memory_and_keeps_streams),
		cmocka_unit_test(
			test_new_driver_in_the_guest_closes_all_streams),
		cmocka_unit_test(test_kick_may_be_set_again_and_again),
		cmocka_unit_test(test_running_queue_keeps_its_place),
		cmocka_unit_test(test_bad_ioctls_are_refused),
		cmocka_unit_test(test_dirty_log_has_exactly_the_written_pages),
		cmocka_unit_test(test_memory_table_may_change_while_running),
		cmocka_unit_test(test_buffers_may_cross_regions),
		cmocka_unit_test(test_interrupts_are_left_out_when_not_wanted),
		cmocka_unit_test(test_interrupts_follow_the_event_index),
		cmocka_unit_test(
			test_event_of_an_old_stream_is_not_the_new_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
