/* Frames that are kept until the peer has them, and the sums of a session. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/outbox.h"
#include "bridge/session.h"
#include "config/num.h"
#include "config/util.h"
#include "tests/unit/pick.h"

#define RING_BYTES ((size_t)4096)
#define BOX_BYTES (OUTBOX_HEAD_BYTES + RING_BYTES)
/* Connections of the random test, and frames that each end has to say. */
#define CUTS 10000
#define FRAME_MAX 200

static uint64_t box_memory[2][BOX_BYTES / 8];

static struct outbox new_box(int which)
{
	struct outbox o;

	memset(box_memory[which], 0, BOX_BYTES);
	assert_int_equal(outbox_init(&o, box_memory[which], BOX_BYTES, NULL),
			 0);
	return o;
}

static void expect_next(const struct outbox *o, const char *want)
{
	char got[64] = "";
	struct iovec part[2];
	uint64_t at = o->next;
	const int n = outbox_read(o, &at, part);
	size_t len = 0;

	for (int i = 0; i < n; i++) {
		memcpy(got + len, part[i].iov_base, part[i].iov_len);
		len += part[i].iov_len;
	}
	assert_string_equal(got, want);
}

static void test_kept_until_acknowledged(void **state UNUSED)
{
	struct outbox o = new_box(0);
	struct err e;

	expect_next(&o, "");
	assert_int_equal(outbox_put(&o, "one", 3, &e), 0);
	assert_int_equal(outbox_put(&o, "two", 3, &e), 0);
	expect_next(&o, "one");
	outbox_sent(&o);
	expect_next(&o, "two");
	outbox_sent(&o);
	expect_next(&o, "");
	outbox_sent(&o);
	assert_int_equal(o.wired, 2);

	/* A new connection: the peer has the first only. */
	assert_int_equal(outbox_resume(&o, 1, &e), 0);
	expect_next(&o, "two");
	assert_int_equal(outbox_ack(&o, 2, &e), -EPROTO);
	outbox_sent(&o);
	assert_int_equal(outbox_ack(&o, 2, &e), 0);
	assert_int_equal(outbox_resume(&o, 2, &e), 0);
	expect_next(&o, "");
}

static void test_numbers_that_cannot_be_true(void **state UNUSED)
{
	struct outbox o = new_box(0);
	struct err e;

	assert_int_equal(outbox_ack(&o, 1, &e), -EPROTO);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(outbox_put(&o, "x", 1, &e), 0);
		outbox_sent(&o);
	}
	assert_int_equal(outbox_ack(&o, 2, &e), 0);
	assert_int_equal(outbox_ack(&o, 1, &e), -EPROTO);
	assert_int_equal(outbox_resume(&o, 1, &e), -EPROTO);
	assert_int_equal(outbox_resume(&o, 4, &e), -EPROTO);
	assert_int_equal(outbox_resume(&o, UINT64_MAX, &e), -EPROTO);
	assert_int_equal(outbox_resume(&o, 3, &e), 0);
}

static void test_room(void **state UNUSED)
{
	static const uint8_t frame[RING_BYTES];
	struct outbox o = new_box(0);
	struct err e;

	assert_int_equal(outbox_put(&o, frame, 0, &e), -ENOBUFS);
	assert_int_equal(outbox_put(&o, frame, outbox_room(&o) + 1, &e),
			 -ENOBUFS);
	for (size_t i = 0; i < 100; i++) {
		assert_int_equal(outbox_put(&o, frame, outbox_room(&o), &e), 0);
		assert_int_equal(outbox_room(&o), 0);
		assert_int_equal(outbox_put(&o, frame, 1, &e), -ENOBUFS);
		outbox_sent(&o);
		assert_int_equal(outbox_ack(&o, i + 1, &e), 0);
	}
}

/* An empty box loses its pages and goes on. */
static void test_idle_pages(void **state UNUSED)
{
	static const uint8_t frame[700];
	struct outbox o = new_box(0);
	struct outbox after;
	struct iovec part[2];

	for (uint64_t i = 1; i < 100; i++) {
		assert_int_equal(outbox_put(&o, frame, sizeof(frame), NULL), 0);
		assert_int_equal(outbox_idle(&o, 512, part), 0);
		outbox_sent(&o);
		assert_int_equal(outbox_ack(&o, i, NULL), 0);
		assert_int_equal(outbox_idle(&o, 512, part), 2);
		assert_int_equal(part[0].iov_len + part[1].iov_len,
				 RING_BYTES - 512);
		for (int p = 0; p < 2; p++)
			memset(part[p].iov_base, 0, part[p].iov_len);
		assert_int_equal(
			outbox_open(&after, box_memory[0], BOX_BYTES, NULL), 0);
		assert_int_equal(after.put, i);
	}
}

/* What a killed process left: at every border of every step of a put. */
static void test_a_new_process_finds_it_whole(void **state UNUSED)
{
	struct outbox o = new_box(0);
	struct outbox after;
	struct err e;

	for (unsigned int round = 0; round < 5000; round++) {
		uint8_t frame[FRAME_MAX];
		const size_t len = 1 + pick(sizeof(frame));
		const size_t torn = pick(RING_BYTES);

		memset(frame, (int)round, sizeof(frame));
		if (outbox_put(&o, frame, len, &e) < 0 || pick(3) == 0) {
			outbox_sent(&o);
			if (o.wired > o.acked)
				assert_int_equal(
					outbox_ack(&o, o.acked + 1, &e), 0);
		}
		/* What is not committed may look like anything. */
		if (torn + OUTBOX_RECORD_BYTES < outbox_room(&o))
			o.ring[(o.head->head + torn) & (RING_BYTES - 1)] = 0xff;
		assert_int_equal(
			outbox_open(&after, box_memory[0], BOX_BYTES, &e), 0);
		assert_int_equal(after.put, o.put);
		assert_int_equal(after.acked, o.acked);
	}
}

static void test_damage_is_found(void **state UNUSED)
{
	struct outbox o = new_box(0);
	struct outbox after;
	struct err e;

	for (int i = 0; i < 3; i++)
		assert_int_equal(outbox_put(&o, "abcdefgh", 8, &e), 0);
	/* Length and number of each record, in front, and the number behind. */
	for (size_t record = 0; record < 3; record++) {
		static const size_t place[] = { 0, 8, 24 };

		for (size_t i = 0; i < ARRAY_LEN(place); i++) {
			uint8_t *b = o.ring + 32 * record + place[i];

			*b ^= 0x40;
			assert_int_equal(outbox_open(&after, box_memory[0],
						     BOX_BYTES, &e),
					 -EPROTO);
			*b ^= 0x40;
		}
	}
	for (size_t i = 0; i < sizeof(struct outbox_head); i++) {
		uint8_t *b = (uint8_t *)box_memory[0] + i;

		*b ^= 0x81;
		assert_int_equal(
			outbox_open(&after, box_memory[0], BOX_BYTES, &e),
			-EPROTO);
		*b ^= 0x81;
	}
	assert_int_equal(outbox_open(&after, box_memory[0], BOX_BYTES, &e), 0);
	assert_int_equal(outbox_open(&after, box_memory[0], 4096, &e), -EINVAL);
	assert_int_equal(outbox_open(&after, box_memory[0], BOX_BYTES - 8, &e),
			 -EINVAL);
}

/* --- two ends and a connection that is cut anywhere --- */

struct end {
	struct outbox out;
	struct session_in in;
	uint64_t said; /* frames put */
	uint8_t wire[1 << 16];
	size_t wire_len;
};

/* A frame: its length, then a text that is known from its number. */
static size_t make_frame(uint64_t number, uint8_t *frame)
{
	const size_t len = 12 + number * 7 % (FRAME_MAX - 12);

	le32_put(frame, (uint32_t)len);
	le64_put(frame + 4, number);
	memset(frame + 12, (int)(number * 31), len - 12);
	return len;
}

static void say(struct end *x)
{
	uint8_t frame[FRAME_MAX];

	while (pick(4) != 0) {
		const size_t len = make_frame(x->said + 1, frame);

		if (outbox_put(&x->out, frame, len, NULL) < 0)
			break;
		x->said++;
	}
}

static void write_wire(struct end *x)
{
	struct iovec part[2];
	uint64_t at = x->out.next;
	int n;

	while ((n = outbox_read(&x->out, &at, part)) > 0 && pick(8) != 0) {
		for (int i = 0; i < n; i++) {
			memcpy(x->wire + x->wire_len, part[i].iov_base,
			       part[i].iov_len);
			x->wire_len += part[i].iov_len;
		}
		outbox_sent(&x->out);
	}
}

/* The first @arrived bytes of @from's wire come to @to, frame by frame. */
static void read_wire(const struct end *from, struct end *to, size_t arrived)
{
	size_t at = 0;

	while (arrived - at >= 4) {
		uint8_t want[FRAME_MAX];
		const size_t len = le32_get(from->wire + at);

		if (arrived - at < len)
			break;
		/* Each frame once, in order, whole. */
		assert_int_equal(make_frame(to->in.taken + 1, want), len);
		assert_memory_equal(from->wire + at, want, len);
		session_in_took(&to->in, len);
		at += len;
	}
}

static void test_random_cuts_lose_and_repeat_nothing(void **state UNUSED)
{
	static struct end x[2];

	for (int i = 0; i < 2; i++)
		x[i] = (struct end){ .out = new_box(i) };
	for (int cut = 0; cut < CUTS; cut++) {
		for (int i = 0; i < 2; i++) {
			struct end *const me = &x[i];

			/* Now and then a new process at this end. */
			if (pick(4) == 0)
				assert_int_equal(outbox_open(&me->out,
							     box_memory[i],
							     BOX_BYTES, NULL),
						 0);
			assert_int_equal(
				outbox_resume(&me->out, x[!i].in.taken, NULL),
				0);
			me->wire_len = 0;
			say(me);
			write_wire(me);
		}
		for (int i = 0; i < 2; i++) {
			read_wire(&x[i], &x[!i],
				  pick((uint32_t)x[i].wire_len + 1));
			if (session_in_due(&x[!i].in)) {
				assert_int_equal(outbox_ack(&x[i].out,
							    x[!i].in.taken,
							    NULL),
						 0);
				session_in_told(&x[!i].in);
			}
		}
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(outbox_resume(&x[i].out, x[!i].in.taken, NULL),
				 0);
		x[i].wire_len = 0;
		while (x[i].out.wired < x[i].out.put)
			write_wire(&x[i]);
		read_wire(&x[i], &x[!i], x[i].wire_len);
		assert_int_equal(x[!i].in.taken, x[i].said);
		assert_true(x[i].said > CUTS);
	}
}

/* --- proofs --- */

static void test_proofs_are_bound(void **state UNUSED)
{
	struct session_id s = { .id = { 1 }, .key = { 2 } };
	uint8_t nonce[SESSION_NONCE_BYTES] = { 3 };
	uint8_t hello[STREAM_HELLO_BYTES];
	uint8_t a[DIGEST_BYTES];
	uint8_t b[DIGEST_BYTES];

	session_proof(&s, nonce, a);
	nonce[31] ^= 1;
	session_proof(&s, nonce, b);
	assert_false(digest_equal(a, b));
	nonce[31] ^= 1;
	s.key[31] ^= 1;
	session_proof(&s, nonce, b);
	assert_false(digest_equal(a, b));
	s.key[31] ^= 1;
	s.id[15] ^= 1;
	session_proof(&s, nonce, b);
	assert_false(digest_equal(a, b));

	stream_hello_put(&s, nonce, 0x40000001, hello);
	assert_true(stream_hello_check(&s, nonce, 0x40000001, hello));
	assert_false(stream_hello_check(&s, nonce, 0x40000002, hello));
	nonce[0] ^= 1;
	assert_false(stream_hello_check(&s, nonce, 0x40000001, hello));
	nonce[0] ^= 1;
	for (size_t i = 0; i < sizeof(hello); i++) {
		hello[i] ^= 1;
		assert_false(stream_hello_check(&s, nonce, 0x40000001, hello));
		hello[i] ^= 1;
	}
}

static void test_hex(void **state UNUSED)
{
	static const char *const bad[] = { "",	   "0",	    "00f",  "00f",
					   "00fg", "00ff0", " 0ff", "0x12" };
	uint8_t bytes[2] = { 0 };
	char text[5];

	assert_true(session_unhex("00fF", bytes, 2));
	assert_int_equal(bytes[1], 0xff);
	session_hex(bytes, 2, text);
	assert_string_equal(text, "00ff");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(session_unhex(bad[i], bytes, 2));
}

static void test_when_to_acknowledge(void **state UNUSED)
{
	struct session_in in = { 0 };

	for (unsigned int i = 1; i < SESSION_ACK_FRAMES; i++)
		session_in_took(&in, 16);
	assert_false(session_in_due(&in));
	session_in_took(&in, 16);
	assert_true(session_in_due(&in));
	session_in_told(&in);
	assert_false(session_in_due(&in));
	session_in_took(&in, SESSION_ACK_BYTES - 1);
	assert_false(session_in_due(&in));
	session_in_took(&in, 1);
	assert_true(session_in_due(&in));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept_until_acknowledged),
		cmocka_unit_test(test_numbers_that_cannot_be_true),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_idle_pages),
		cmocka_unit_test(test_a_new_process_finds_it_whole),
		cmocka_unit_test(test_damage_is_found),
		cmocka_unit_test(test_random_cuts_lose_and_repeat_nothing),
		cmocka_unit_test(test_proofs_are_bound),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_when_to_acknowledge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
