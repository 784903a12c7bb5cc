/*
 * Who may run the guest: the record, its rule, and the file with its lock. Two
 * struct lease on one file are two hosts: locks of open file descriptions see
 * each other within one process.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/util.h"
#include "migration/lease.h"
#include "migration/status.h"
#include "tools/lease.h"

static const unsigned char seed[16] = { 1, 2, 3 };
static char machine[LEASE_MACHINE_SIZE];

static struct lease_claim claim(uint64_t from, uint64_t epoch)
{
	return (struct lease_claim){ .machine = machine,
				     .from = from,
				     .epoch = epoch };
}

static void test_a_record_is_read_as_it_was_written(void **state UNUSED)
{
	struct lease_record r = { .epoch = UINT64_MAX, .owner = "b:web (7)" };
	struct lease_record got;
	char bytes[LEASE_BYTES];
	struct err e;

	memcpy(r.machine, machine, sizeof(machine));
	memset(r.owner, 'x', sizeof(r.owner) - 1);
	lease_put(&r, bytes);
	assert_int_equal(lease_get(bytes, sizeof(bytes), &got, &e), 0);
	assert_string_equal(got.machine, machine);
	assert_true(got.epoch == UINT64_MAX);
	assert_string_equal(got.owner, r.owner);
}

static void test_a_damaged_record_is_refused(void **state UNUSED)
{
	struct lease_record r = { .epoch = 5, .owner = "here" };
	struct lease_record got = { .epoch = 77 };
	char bytes[LEASE_BYTES];
	struct err e;

	memcpy(r.machine, machine, sizeof(machine));
	for (size_t n = 0; n < LEASE_BYTES; n++) {
		lease_put(&r, bytes);
		assert_int_equal(lease_get(bytes, n, &got, &e), -EINVAL);
	}
	lease_put(&r, bytes);
	for (size_t i = 0; bytes[i] != '\n' || bytes[i + 1] != '\n'; i++) {
		const char was = bytes[i];

		bytes[i] = '\0'; /* a hole: a write that was torn */
		if (lease_get(bytes, sizeof(bytes), &got, &e) == 0)
			assert_string_not_equal(got.owner, "here");
		bytes[i] = was;
	}
	assert_int_equal(got.epoch == 77 || got.epoch == 5, 1);
}

/* One source and one destination, in every order of taking. */
static void test_of_two_who_take_one_has_it(void **state UNUSED)
{
	struct lease src, dst;
	struct lease_claim there = claim(0, 1), back = claim(0, 2);
	char owner[LEASE_OWNER_SIZE];
	struct err e;

	lease_init(&src, "src");
	lease_init(&dst, "dst");
	assert_int_equal(lease_hold(&src, "", machine, 0, &e), 0);
	assert_int_equal(lease_open(&dst, src.path, &there, &e), 0);
	/* While it runs at the source nobody takes it. */
	assert_int_equal(lease_take(&dst, &there, &e), -ESTALE);
	assert_non_null(strstr(e.text, "runs at"));
	assert_int_equal(lease_word(&dst, 0, owner), LEASE_WORD_ELSEWHERE);
	lease_yield(&src);
	assert_int_equal(lease_word(&src, 0, owner), LEASE_WORD_FREE);
	assert_int_equal(lease_take(&dst, &there, &e), 0);
	assert_int_equal(lease_take(&dst, &there, &e), 0); /* done is done */
	assert_int_equal(lease_word(&dst, 1, owner), LEASE_WORD_HERE);
	assert_int_equal(lease_take(&src, &back, &e), -ESTALE);
	assert_int_equal(lease_word(&src, 0, owner), LEASE_WORD_ELSEWHERE);
	assert_non_null(strstr(owner, ":dst"));
	/* It ran there and has died: the source's memory is of the past. */
	lease_close(&dst);
	assert_int_equal(lease_word(&src, 0, owner), LEASE_WORD_ENDED);
	assert_int_equal(lease_take(&src, &back, &e), -ESTALE);
	assert_non_null(strstr(e.text, "epoch 1"));
	lease_close(&src);
}

static void test_a_source_that_goes_on_shuts_its_states_out(void **state UNUSED)
{
	struct lease src, dst, late;
	struct lease_claim there = claim(0, 1), back = claim(0, 2);
	struct err e;

	lease_init(&src, "src");
	lease_init(&dst, "dst");
	lease_init(&late, "late");
	assert_int_equal(lease_hold(&src, "", machine, 0, &e), 0);
	assert_int_equal(lease_open(&dst, src.path, &there, &e), 0);
	assert_int_equal(lease_take(&src, &back, &e), 0);
	lease_yield(&src); /* even when it has ended */
	assert_int_equal(lease_take(&dst, &there, &e), -ESTALE);
	assert_int_equal(lease_open(&late, src.path, &there, &e), -ESTALE);
	/* The next state is another one. */
	assert_int_equal(lease_hold(&src, "", machine, 2, &e), 0);
	there = claim(2, 3);
	assert_int_equal(lease_open(&dst, src.path, &there, &e), 0);
	lease_yield(&src);
	assert_int_equal(lease_take(&dst, &there, &e), 0);
	lease_close(&src);
	lease_close(&dst);
}

static void test_who_could_not_run_after_all_puts_it_back(void **state UNUSED)
{
	struct lease src, dst;
	struct lease_claim there = claim(0, 1), back = claim(0, 2);
	struct err e;

	lease_init(&src, "src");
	lease_init(&dst, "dst");
	assert_int_equal(lease_hold(&src, "", machine, 0, &e), 0);
	assert_int_equal(lease_open(&dst, src.path, &there, &e), 0);
	lease_yield(&src);
	assert_int_equal(lease_take(&dst, &there, &e), 0);
	lease_undo(&dst);
	assert_int_equal(lease_take(&src, &back, &e), 0);
	lease_close(&src);
	lease_close(&dst);
}

static void test_a_file_that_is_restored_twice(void **state UNUSED)
{
	char path[] = "/tmp/ferry-lease-XXXXXX";
	struct lease src, one, two;
	struct lease_claim there = claim(0, 1);
	struct err e;

	assert_true(close(mkstemp(path)) == 0);
	lease_init(&src, "src");
	lease_init(&one, "one");
	lease_init(&two, "two");
	assert_int_equal(lease_hold(&src, path, machine, 0, &e), 0);
	assert_string_equal(src.path, path);
	lease_close(&src); /* saved, and ended */
	assert_int_equal(lease_open(&one, path, &there, &e), 0);
	assert_int_equal(lease_open(&two, path, &there, &e), 0);
	assert_int_equal(lease_take(&one, &there, &e), 0);
	assert_int_equal(lease_take(&two, &there, &e), -ESTALE);
	lease_close(&one);
	lease_close(&two);
	assert_int_equal(lease_open(&two, path, &there, &e), -ESTALE);
	(void)unlink(path);
}

static void test_files_that_are_no_lease(void **state UNUSED)
{
	char path[] = "/tmp/ferry-lease-XXXXXX";
	struct lease a, b;
	struct lease_claim there = claim(0, 1);
	struct lease_claim other = there;
	struct err e;
	int fd = mkstemp(path);

	other.machine = "00000000000000000000000000000000";
	lease_init(&a, "a");
	lease_init(&b, "b");
	assert_true(write(fd, "mine\n", 5) == 5);
	assert_int_equal(lease_hold(&a, path, machine, 0, &e), -EINVAL);
	assert_int_equal(lease_open(&a, path, &there, &e), -EPRECONDITION);
	assert_int_equal(lease_open(&a, "/dev/null", &there, &e),
			 -EPRECONDITION);
	assert_int_equal(lease_open(&a, "/proc/self/fd/9999", &there, &e),
			 -EPRECONDITION);
	assert_non_null(strstr(e.text, "both hosts share"));
	assert_int_equal(lease_hold(&a, "relative", machine, 0, &e), -EINVAL);
	assert_true(a.fd < 0);
	/* One of another machine is taken over when that one has ended. */
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(lease_hold(&a, path, other.machine, 9, &e), 0);
	assert_int_equal(lease_open(&b, path, &there, &e), -EPRECONDITION);
	assert_int_equal(lease_hold(&b, path, machine, 0, &e), -EBUSY);
	lease_yield(&a);
	assert_int_equal(lease_hold(&b, path, machine, 0, &e), 0);
	other.from = 9;
	other.epoch = 11;
	assert_int_equal(lease_take(&a, &other, &e), -ESTALE);
	/* A name that leads elsewhere by now is of no use to others. */
	(void)unlink(path);
	assert_int_equal(lease_hold(&b, "", machine, 2, &e), 0);
	assert_memory_equal(b.path, "/proc/", 6);
	lease_close(&a);
	lease_close(&b);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_record_is_read_as_it_was_written),
		cmocka_unit_test(test_a_damaged_record_is_refused),
		cmocka_unit_test(test_of_two_who_take_one_has_it),
		cmocka_unit_test(
			test_a_source_that_goes_on_shuts_its_states_out),
		cmocka_unit_test(test_who_could_not_run_after_all_puts_it_back),
		cmocka_unit_test(test_a_file_that_is_restored_twice),
		cmocka_unit_test(test_files_that_are_no_lease),
	};

	lease_machine_make(seed, machine);
	return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}
