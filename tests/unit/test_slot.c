/*
 * tests/unit/test_slot.c - records that outlive the agent: killed at any store,
 * damaged, poisoned, of the version before; bridge/guest/slot.h
 */
#include "tests/unit/slot_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/guest/agent.h"
#include "bridge/guest/slot.h"

/* Looks at a child that is to begin, 0.1 ms apart. */
#define BEGIN_TRIES 300000
/* Records that come and go, cells that they find place in, bytes of the longest. */
#define MANY 300u
#define MANY_PUTS 20000
#define MANY_CELLS 16384u
#define MANY_BYTES 3000u

static uint32_t put_text(uint32_t handle, const char *text)
{
	assert_int_equal(slot_put(&slots, &handle, SLOT_CONTAINER, text,
				  strlen(text) + 1),
			 0);
	return handle;
}

static const char *text_of(uint32_t handle)
{
	struct slot_view v;

	if (!slot_next(&slots, SLOT_CONTAINER, handle - 1, &v) ||
	    v.handle != handle)
		return NULL;
	slot_survived(&slots);
	return v.body;
}

static void test_records_are_found_again(void **state)
{
	const uint32_t a = put_text(0, "one");
	uint32_t b = put_text(0, "two");

	(void)state;
	assert_int_equal(put_text(a, "a longer one"), a);
	*slot_word(&slots, a) = 77;
	slot_drop(&slots, &b);
	assert_int_equal(b, 0);
	open_again();
	assert_string_equal(text_of(a), "a longer one");
	assert_int_equal(*slot_word(&slots, a), 77);
	assert_null(text_of(a + 1));
	b = put_text(0, "three");
	assert_int_equal(b, a + 1);
}

static void test_memory_is_used_again(void **state)
{
	char body[1000] = "x";
	uint32_t handle = 0;

	(void)state;
	for (int i = 0; i < 200000; i++)
		assert_int_equal(slot_put(&slots, &handle, SLOT_VOLUME, body,
					  sizeof(body)),
				 0);
	assert_in_range(slots.next_cell[SLOT_RUNS - 1], 0, 32);
	assert_int_equal(slots.high, 1);
}

/* By the plain way: the first of @n cells in a row that no record has. */
static uint32_t first_free(uint32_t n)
{
	uint32_t run = 0;

	for (uint32_t i = 0; i < MANY_CELLS; i++) {
		run = (slots.used[i / 8] >> (i % 8) & 1) != 0 ? 0 : run + 1;
		if (run == n)
			return i + 1 - n;
	}
	return MANY_CELLS;
}

/* Places of long and short runs agree with what is free, whatever was done. */
static void test_a_record_goes_where_the_first_room_is(void **state)
{
	static uint8_t body[MANY_BYTES];
	uint32_t handle[MANY] = { 0 };
	uint32_t random = 1;

	(void)state;
	for (int i = 0; i < MANY_PUTS; i++) {
		uint32_t *h, cell, n;
		const struct slot_copy *c;
		size_t len;

		random = random * 1103515245u + 12345u;
		h = &handle[(random >> 16) % MANY];
		len = 1 + (random >> 4) % (i % 2 ? 200 : MANY_BYTES);
		if (*h != 0 && random >> 31 != 0) {
			slot_drop(&slots, h);
			continue;
		}
		n = (uint32_t)((len + SLOT_CELL - 1) / SLOT_CELL);
		cell = first_free(n);
		assert_true(cell < MANY_CELLS);
		assert_int_equal(slot_put(&slots, h, SLOT_PROCESS, body, len),
				 0);
		c = slots.slot[*h - 1].copy;
		c += c[1].generation > c[0].generation;
		assert_int_equal(c->cell, cell);
		if (i == MANY_PUTS / 2)
			open_again();
	}
	assert_in_range(slots.high, 1, MANY);
}

/* A request's record comes and goes behind those of all processes: gaps before
 * them that are too short for it, and taken slots, are not walked each time. */
static void test_a_put_does_not_walk_over_the_others(void **state)
{
	static const uint8_t body[5 * SLOT_CELL];
	uint32_t handle[MANY] = { 0 }, h = 0, place;

	(void)state;
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(slot_put(&slots, &handle[i], SLOT_PROCESS,
					  body, 2 * (size_t)SLOT_CELL),
				 0);
	for (size_t i = 0; i < MANY; i += 2)
		slot_drop(&slots, &handle[i]);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			slot_put(&slots, &h, SLOT_REQUEST, body, sizeof(body)),
			0);
		place = slots.next_cell[5];
		assert_in_range(place, 2 * MANY - 2, 2 * MANY);
		slot_drop(&slots, &h);
		assert_in_range(slots.next_cell[5], place - 4, place);
	}
	assert_int_equal(slots.next_cell[2], 0);
	assert_int_equal(slots.next_slot, 0);
}

static blkcnt_t memory_of_the_file(void)
{
	struct stat st;

	assert_int_equal(fstat(slots.fd, &st), 0);
	return st.st_blocks;
}

/* The table alone has 4 MiB, of which a UVM uses little. */
static void test_to_open_a_file_makes_no_memory(void **state)
{
	const uint32_t a = put_text(0, "near");
	uint32_t b;
	blkcnt_t before;

	(void)state;
	slots.next_slot = slots.high = SLOTS_MAX - 100;
	b = put_text(0, "far");
	assert_in_range(b, SLOTS_MAX - 100, SLOTS_MAX);
	before = memory_of_the_file();
	open_again();
	assert_string_equal(text_of(a), "near");
	assert_int_equal(slots.high, b);
	assert_string_equal(text_of(b), "far");
	open_again();
	assert_int_equal(slots.high, b);
	assert_int_equal(memory_of_the_file(), before);
}

static void test_a_full_file_keeps_what_it_has(void **state)
{
	uint8_t *body = calloc(1, SLOT_BODY_MAX + 1);
	const uint32_t a = put_text(0, "one");
	uint32_t handle = a;
	int r = 0;

	(void)state;
	assert_non_null(body);
	assert_int_equal(slot_put(&slots, &handle, SLOT_CONTAINER, body,
				  SLOT_BODY_MAX + 1),
			 -E2BIG);
	while (r == 0) {
		uint32_t new = 0;

		r = slot_put(&slots, &new, SLOT_VOLUME, body, SLOT_BODY_MAX);
	}
	assert_int_equal(r, -ENOSPC);
	assert_string_equal(text_of(a), "one");
	free(body);
}

static void test_a_damaged_record_is_skipped(void **state)
{
	const uint32_t a = put_text(0, "one"), b = put_text(0, "two");

	(void)state;
	slots.cell[(size_t)slots.slot[a - 1].copy[0].cell * SLOT_CELL] ^= 1;
	open_again();
	assert_int_equal(slots.damaged, 1);
	assert_null(text_of(a));
	assert_string_equal(text_of(b), "two");
}

static void test_a_file_of_another_kind_is_refused(void **state)
{
	struct err e = { 0 };
	struct slots other;
	const int fd = fcntl(slots.fd, F_DUPFD_CLOEXEC, 3);

	(void)state;
	slots_init(&other);
	slots.head->magic++;
	assert_int_equal(slots_open(&other, fd, &e), -EPROTO);
	assert_int_equal(other.fd, -1);
}

/* W-G: the others live on. */
static void test_a_poisoned_record_is_set_aside(void **state)
{
	const uint32_t a = put_text(0, "one"), b = put_text(0, "two");
	struct slot_view v;

	(void)state;
	for (unsigned int i = 0; i < SLOT_DEATHS_MAX; i++) {
		assert_true(slot_next(&slots, SLOT_CONTAINER, 0, &v));
		assert_int_equal(v.handle, a);
		open_again(); /* it died there */
	}
	assert_true(slot_next(&slots, SLOT_CONTAINER, 0, &v));
	assert_int_equal(v.handle, b);
	assert_int_equal(slots.aside, 1);
}

static uint32_t fnv(uint32_t h, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < len; i++)
		h = (h ^ at[i]) * 16777619u;
	return h;
}

/* As an agent of that @version would have written it. */
static void set_version(uint32_t handle, uint16_t version)
{
	struct slot *slot = &slots.slot[handle - 1];
	struct slot_copy *c = &slot->copy[0];
	uint32_t h = fnv(2166136261u, &c->generation, sizeof(c->generation));

	c->version = version;
	h = fnv(h, &c->cell, sizeof(c->cell));
	h = fnv(h, &c->len, sizeof(c->len));
	h = fnv(h, &slot->kind, sizeof(slot->kind));
	h = fnv(h, &c->version, sizeof(c->version));
	c->sum = fnv(h, slots.cell + (size_t)c->cell * SLOT_CELL, c->len);
}

/* An upgrade finds records of the agent before, a way back those of a later. */
static void
test_records_of_this_version_and_the_one_before_are_read(void **state)
{
	const uint32_t a = put_text(0, "one");
	struct slot_view v;
	uint16_t now;

	(void)state;
	assert_true(slot_next(&slots, SLOT_CONTAINER, 0, &v));
	now = v.version;
	for (uint16_t version = 0; version < now + 3; version++) {
		const bool read = version == now || version + 1 == now;

		set_version(a, version);
		open_again();
		assert_int_equal(slots.damaged, 0);
		assert_int_equal(slot_next(&slots, SLOT_CONTAINER, 0, &v),
				 read);
		assert_int_equal(slots.aside, !read);
		if (read)
			assert_int_equal(v.version, version);
		slot_survived(&slots);
	}
}

/* A child writes as fast as it can and is killed; what it leaves is one of the
 * states between two calls, always. */
static void test_a_kill_leaves_the_old_or_the_new(void **state)
{
	const uint32_t a = put_text(0, "0");

	(void)state;
	for (int round = 0; round < 60; round++) {
		const uint64_t before = *slot_word(&slots, a);
		const pid_t pid = fork();
		unsigned long n;
		const char *text;

		assert_true(pid >= 0);
		if (pid == 0) {
			char body[300];

			for (unsigned long i = 1;; i++) {
				memset(body, 'a' + (int)(i % 26), 290);
				(void)snprintf(body + 200, 90, "%lu", i);
				memcpy(body, body + 200,
				       strlen(body + 200) + 1);
				body[299] = (char)('a' + (int)(i % 26));
				uint32_t h = a;
				uint32_t b = 0;

				(void)slot_put(&slots, &h, SLOT_CONTAINER, body,
					       (size_t)(64 + i % 200));
				(void)slot_put(&slots, &b, SLOT_VOLUME, body,
					       100);
				slot_drop(&slots, &b);
				__atomic_add_fetch(slot_word(&slots, a), 1,
						   __ATOMIC_RELEASE);
			}
		}
		/* Until it has begun. */
		for (int i = 0; i < BEGIN_TRIES; i++) {
			if (__atomic_load_n(slot_word(&slots, a),
					    __ATOMIC_ACQUIRE) != before)
				break;
			(void)usleep(100);
		}
		(void)usleep((useconds_t)(300 + 137 * round));
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		open_again();
		assert_int_equal(slots.damaged, 0);
		text = text_of(a);
		n = text ? strtoul(text, NULL, 10) : ULONG_MAX;
		assert_true(n != ULONG_MAX);
		assert_true(n > 0);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_records_are_found_again),
		TEST(test_memory_is_used_again),
		TEST(test_a_record_goes_where_the_first_room_is),
		TEST(test_a_put_does_not_walk_over_the_others),
		TEST(test_to_open_a_file_makes_no_memory),
		TEST(test_a_full_file_keeps_what_it_has),
		TEST(test_a_damaged_record_is_skipped),
		TEST(test_a_file_of_another_kind_is_refused),
		TEST(test_a_poisoned_record_is_set_aside),
		TEST(test_records_of_this_version_and_the_one_before_are_read),
		TEST(test_a_kill_leaves_the_old_or_the_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
