/*
 * tests/unit/test_vsock_parts.c - packets, guest memory, the dirty log, the
 * waiting bytes and the credit of a stream, each by itself
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "tools/vsock/dirtylog.h"
#include "tools/vsock/fifo.h"
#include "tools/vsock/gmem.h"
#include "tools/vsock/packet.h"
#include "tools/vsock/vconns.h"

static void test_packet_header_is_44_little_endian_bytes(void **state)
{
	static const uint8_t bytes[PACKET_HEADER_SIZE] = {
		3, 0, 0, 0, 0, 0, 0, 0x80, 2, 0, 0,    0,    0,	   0,	 0,
		0, 1, 2, 3, 4, 5, 6, 7,	   8, 9, 0,    0,    1,	   1,	 0,
		5, 0, 3, 0, 0, 0, 0, 0,	   4, 0, 0xff, 0xff, 0xff, 0xff,
	};
	uint8_t again[PACKET_HEADER_SIZE];
	struct packet p;

	(void)state;
	packet_get(bytes, &p);
	assert_true(p.src_cid == 0x8000000000000003u);
	assert_int_equal(p.dst_cid, PACKET_CID_HOST);
	assert_int_equal(p.src_port, 0x04030201);
	assert_int_equal(p.dst_port, 0x08070605);
	assert_int_equal(p.len, 0x01000009);
	assert_int_equal(p.type, PACKET_TYPE_STREAM);
	assert_int_equal(p.op, PACKET_DATA);
	assert_int_equal(p.flags, PACKET_NO_BOTH);
	assert_int_equal(p.buf_alloc, 0x40000);
	assert_int_equal(p.fwd_cnt, 0xffffffff);
	packet_put(again, &p);
	assert_memory_equal(again, bytes, sizeof(bytes));
}

static uint8_t low[100], high[50], top[16];

static void set_three(struct gmem *m)
{
	const struct gmem_region r[] = {
		{ 1000, sizeof(low), low },
		{ 1000 + sizeof(low), sizeof(high), high },
		{ UINT64_MAX - sizeof(top) + 1, sizeof(top), top },
	};

	*m = (struct gmem){ 0 };
	assert_int_equal(gmem_set(m, r, ARRAY_LEN(r)), 0);
}

static void test_map_translates_and_checks(void **state)
{
	static const struct {
		uint64_t guest;
		uint64_t len;
		int pieces;
		const uint8_t *first;
	} cases[] = {
		{ 1000, 1, 1, low },
		{ 1000, 100, 1, low },
		{ 1099, 1, 1, low + 99 },
		{ 1099, 2, 2, low + 99 },
		{ 1000, 150, 2, low },
		{ 1100, 50, 1, high },
		{ 5, 0, 0, NULL },
		{ UINT64_MAX, 1, 1, top + 15 },
		{ UINT64_MAX - 15, 16, 1, top },
		{ 999, 1, -EFAULT, NULL },
		{ 999, 2, -EFAULT, NULL },
		{ 1000, 151, -EFAULT, NULL },
		{ 1150, 1, -EFAULT, NULL },
		{ UINT64_MAX, 2, -EFAULT, NULL },
		{ UINT64_MAX - 15, 17, -EFAULT, NULL },
		{ UINT64_MAX - 15, UINT64_MAX, -EFAULT, NULL },
		{ 0, UINT64_MAX, -EFAULT, NULL },
	};
	struct gmem m;

	(void)state;
	set_three(&m);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct gmem_piece p[4];
		uint64_t sum = 0;
		const int n = gmem_map(&m, cases[i].guest, cases[i].len, p, 4);

		assert_int_equal(n, cases[i].pieces);
		for (int k = 0; k < n; k++)
			sum += p[k].here.iov_len;
		if (n > 0) {
			assert_ptr_equal(p[0].here.iov_base, cases[i].first);
			assert_int_equal(sum, cases[i].len);
		}
	}
}

static void test_map_does_not_go_round(void **state)
{
	const struct gmem_region r[] = {
		{ 0, sizeof(low), low },
		{ UINT64_MAX - sizeof(top) + 1, sizeof(top), top },
	};
	struct gmem m = { 0 };
	struct gmem_piece p[4];

	(void)state;
	assert_int_equal(gmem_set(&m, r, ARRAY_LEN(r)), 0);
	assert_int_equal(gmem_map(&m, UINT64_MAX, 1, p, 4), 1);
	assert_int_equal(gmem_map(&m, UINT64_MAX, 2, p, 4), -EFAULT);
}

static void test_map_says_when_there_is_no_room(void **state)
{
	struct gmem m;
	struct gmem_piece p[1];

	(void)state;
	set_three(&m);
	assert_int_equal(gmem_map(&m, 1099, 2, p, 1), -ENOBUFS);
	assert_int_equal(gmem_map(&m, 1099, 1, p, 0), -ENOBUFS);
}

static void test_bad_tables_are_refused_and_the_old_one_stays(void **state)
{
	static const struct gmem_region bad[] = {
		{ 1, 0, low },
		{ 1, 10, NULL },
		{ UINT64_MAX, 2, low },
		{ 0, UINT64_MAX, low },
	};
	static struct gmem_region many[GMEM_REGIONS_MAX + 1];
	struct gmem m;
	uint8_t b;

	(void)state;
	set_three(&m);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(gmem_set(&m, &bad[i], 1), -EINVAL);
	assert_int_equal(gmem_set(&m, many, ARRAY_LEN(many)), -E2BIG);
	assert_int_equal(gmem_read(&m, 1149, &b, 1), 0);
	assert_int_equal(gmem_set(&m, NULL, 0), 0);
	assert_int_equal(gmem_read(&m, 1149, &b, 1), -EFAULT);
}

static void test_pages_end_with_the_highest_region(void **state)
{
	struct gmem m = { 0 };
	struct gmem_region r = { 4096, 4096, low };

	(void)state;
	assert_int_equal(gmem_pages(&m), 0);
	assert_int_equal(gmem_set(&m, &r, 1), 0);
	assert_int_equal(gmem_pages(&m), 2);
	r.size++;
	assert_int_equal(gmem_set(&m, &r, 1), 0);
	assert_int_equal(gmem_pages(&m), 3);
}

static void test_holds_joins_neighbours(void **state)
{
	static uint8_t both[20];
	const struct gmem_region r[] = { { 0, 10, both },
					 { 500, 10, both + 10 } };
	const uint64_t at = (uintptr_t)both;
	struct gmem m = { 0 };

	(void)state;
	assert_int_equal(gmem_set(&m, r, 2), 0);
	assert_true(gmem_holds(&m, at, 20));
	assert_true(gmem_holds(&m, at + 19, 1));
	assert_false(gmem_holds(&m, at, 21));
	assert_false(gmem_holds(&m, at - 1, 2));
	assert_false(gmem_holds(&m, at + 20, 1));
	assert_false(gmem_holds(&m, at, UINT64_MAX));
}

static void test_slices_cut_at_both_ends(void **state)
{
	struct gmem_piece p[2] = {
		{ .here = { low, 10 } },
		{ .here = { high, 10 } },
	};
	struct iovec iov[2];
	uint8_t copy[20];

	(void)state;
	assert_int_equal(gmem_slice(p, 2, 3, 10, iov), 2);
	assert_ptr_equal(iov[0].iov_base, low + 3);
	assert_int_equal(iov[0].iov_len, 7);
	assert_int_equal(iov[1].iov_len, 3);
	assert_int_equal(gmem_slice(p, 2, 10, 10, iov), 1);
	assert_ptr_equal(iov[0].iov_base, high);
	assert_int_equal(gmem_slice(p, 2, 0, 0, iov), 0);
	assert_int_equal(gmem_gather(p, 2, copy, 15), 15);
	assert_int_equal(gmem_gather(p, 1, copy, 15), 10);
}

static void test_marks_are_exact_and_bounded(void **state)
{
	static const struct {
		uint64_t guest;
		uint64_t len;
		uint8_t want;
	} cases[] = {
		{ 0, 1, 0x01 },
		{ 4095, 1, 0x01 },
		{ 4095, 2, 0x03 },
		{ 4096, 4096, 0x02 },
		{ 0, 5 * 4096ull, 0x1f },
		{ 4 * 4096ull, UINT64_MAX, 0x10 },
		{ 5 * 4096ull, 1, 0 },
		{ UINT64_MAX, 10, 0 },
		{ 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t *bits = calloc(1, 1);
		const struct dirtylog l = { bits, 5 };

		assert_non_null(bits);
		dirtylog_mark(&l, cases[i].guest, cases[i].len);
		assert_int_equal(*bits, cases[i].want);
		free(bits);
	}
	dirtylog_mark(&(struct dirtylog){ 0 }, 0, 1);
}

static void test_fifo_goes_round_and_never_over(void **state)
{
	struct fifo f = { 0 };
	uint8_t next_in = 0, next_out = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		uint8_t bytes[7];
		struct iovec iov[2] = { { bytes, 3 }, { bytes + 3, 4 } };

		if (f.len + 7 > 16) {
			assert_int_equal(fifo_put(&f, iov, 2, 16), -ENOBUFS);
		} else {
			for (int k = 0; k < 7; k++)
				bytes[k] = next_in++;
			assert_int_equal(fifo_put(&f, iov, 2, 16), 0);
		}
		if (i % 3 != 0) {
			const size_t n = fifo_peek(&f, iov);

			assert_in_range(n, 1, 2);
			assert_int_equal(*(uint8_t *)iov[0].iov_base, next_out);
			next_out =
				(uint8_t)(next_out + (f.len < 5 ? f.len : 5));
			fifo_drop(&f, 5);
		}
	}
	fifo_done(&f);
	assert_null(f.data);
}

static void test_credit_survives_wrap_and_lies(void **state)
{
	struct vconn c = { .sent = 0xfffffff0u };
	struct packet p = { .buf_alloc = 100, .fwd_cnt = 0xfffffff0u };

	(void)state;
	vconn_peer(&c, &p);
	assert_int_equal(vconn_credit(&c), 100);
	c.sent += 60; /* beyond 2^32 */
	assert_int_equal(vconn_credit(&c), 40);
	p.buf_alloc = 10; /* shrank below what is under way */
	vconn_peer(&c, &p);
	assert_int_equal(vconn_credit(&c), 0);
	p.buf_alloc = 100;
	p.fwd_cnt = c.sent + 5; /* took more than it got */
	vconn_peer(&c, &p);
	assert_int_equal(vconn_credit(&c), 0);
}

static void test_window_is_exact(void **state)
{
	struct vconn c = { .room = VCONN_BUFFER_BYTES,
			   .got = 5,
			   .gone = 0xfffffff0u };

	(void)state;
	assert_true(vconn_fits(&c, VCONN_BUFFER_BYTES - 21));
	assert_false(vconn_fits(&c, VCONN_BUFFER_BYTES - 20));
	assert_false(vconn_fits(&c, UINT32_MAX));
}

static void test_credit_update_after_a_quarter(void **state)
{
	struct vconn c = { .room = VCONN_BUFFER_BYTES };
	struct packet p;

	(void)state;
	vconn_forwarded(&c, VCONN_BUFFER_BYTES / 4 - 1);
	assert_false(vconn_control(&c, 3, &p));
	vconn_forwarded(&c, 1);
	assert_true(vconn_control(&c, 3, &p));
	assert_int_equal(p.op, PACKET_CREDIT_UPDATE);
	assert_int_equal(p.fwd_cnt, VCONN_BUFFER_BYTES / 4);
	assert_false(vconn_control(&c, 3, &p));
}

static void test_table_finds_what_is_there(void **state)
{
	static struct vconns v;
	struct vconn *c[3];

	(void)state;
	vconns_init(&v, 3);
	for (uint32_t i = 0; i < 3; i++) {
		c[i] = vconns_new(&v, VCONN_OPEN);
		vconns_bind(&v, c[i], i, 7);
		vconns_queue(&v, c[i]);
	}
	assert_null(vconns_new(&v, VCONN_OPEN));
	assert_ptr_equal(vconns_find(&v, 1, 7), c[1]);
	assert_null(vconns_find(&v, 7, 1));
	vconns_free(&v, c[1]);
	assert_null(vconns_find(&v, 1, 7));
	assert_ptr_equal(TAILQ_NEXT(c[0], ready), c[2]);
	assert_ptr_equal(vconns_new(&v, VCONN_OPEN), c[1]);
	assert_int_equal(c[1]->generation, 2);
	assert_ptr_equal(vconns_at(&v, 2), c[2]);
	assert_null(vconns_at(&v, 3));
	vconns_done(&v);
}

/* Memory comes with the streams; a lookup has few to look at, however many
 * there are; what each may leave with us is less when there are many. */
static void test_table_grows_to_its_limit_and_stays_quick(void **state)
{
	static struct vconns v;
	struct vconn *c = NULL;
	size_t longest = 0;

	(void)state;
	vconns_init(&v, SIZE_MAX);
	assert_int_equal(v.limit, VCONNS_MAX);
	assert_int_equal(v.chunks, 0);
	for (uint32_t i = 0; i < VCONNS_MAX; i++) {
		c = vconns_new(&v, VCONN_OPEN);
		assert_non_null(c);
		assert_int_equal(c->index, i);
		assert_int_equal(v.chunks, i / VCONNS_CHUNK + 1);
		assert_int_equal(c->room, i < VCONNS_ROOMY
						  ? VCONN_BUFFER_BYTES
						  : VCONN_BUFFER_LEAST);
		/* As the agent dials: both numbers go up. */
		vconns_bind(&v, c, 0x10000 + i, 0x40000000 + i);
	}
	assert_null(vconns_new(&v, VCONN_OPEN));
	for (size_t i = 0; i < VCONNS_BUCKETS; i++) {
		size_t n = 0;

		LIST_FOREACH(c, &v.bucket[i], link)
		n++;
		longest = n > longest ? n : longest;
	}
	assert_in_range(longest, 1, 16);
	assert_ptr_equal(vconns_find(&v, 0x10000 + 9999, 0x40000000 + 9999),
			 vconns_at(&v, 9999));
	assert_null(vconns_at(&v, VCONNS_MAX));
	vconns_done(&v);
}

static void test_of_those_that_wait_the_first_is_due_first(void **state)
{
	static struct vconns v;
	struct vconn *c[3];

	(void)state;
	vconns_init(&v, 3);
	for (size_t i = 0; i < 3; i++)
		c[i] = vconns_new(&v, VCONN_OPEN);
	assert_int_equal(vconns_due_ms(&v), 0);
	vconns_wait(&v, c[0], VCONN_WAIT_CLOSE, 8000);
	vconns_wait(&v, c[1], VCONN_WAIT_CLOSE, 8001);
	vconns_wait(&v, c[2], VCONN_WAIT_DIAL, 7);
	assert_int_equal(vconns_due_ms(&v), 7);
	assert_null(vconns_due(&v, 6));
	assert_ptr_equal(vconns_due(&v, 7), c[2]);
	vconns_wait(&v, c[2], VCONN_WAIT_CLOSE, 9000); /* for another reason */
	assert_int_equal(vconns_due_ms(&v), 8000);
	vconns_free(&v, c[0]);
	assert_ptr_equal(vconns_due(&v, 8001), c[1]);
	vconns_unwait(&v, c[1]);
	assert_ptr_equal(vconns_due(&v, 9000), c[2]);
	vconns_done(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packet_header_is_44_little_endian_bytes),
		cmocka_unit_test(test_map_translates_and_checks),
		cmocka_unit_test(test_map_does_not_go_round),
		cmocka_unit_test(test_map_says_when_there_is_no_room),
		cmocka_unit_test(
			test_bad_tables_are_refused_and_the_old_one_stays),
		cmocka_unit_test(test_pages_end_with_the_highest_region),
		cmocka_unit_test(test_holds_joins_neighbours),
		cmocka_unit_test(test_slices_cut_at_both_ends),
		cmocka_unit_test(test_marks_are_exact_and_bounded),
		cmocka_unit_test(test_fifo_goes_round_and_never_over),
		cmocka_unit_test(test_credit_survives_wrap_and_lies),
		cmocka_unit_test(test_window_is_exact),
		cmocka_unit_test(test_credit_update_after_a_quarter),
		cmocka_unit_test(test_table_finds_what_is_there),
		cmocka_unit_test(test_table_grows_to_its_limit_and_stays_quick),
		cmocka_unit_test(
			test_of_those_that_wait_the_first_is_due_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
