/* tests/unit/test_qemu_choices.c - accelerator and vsock backend */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "config/util.h"
#include "tools/qemu/accel.h"
#include "tools/qemu/vhost.h"

static void accel_words(void **state UNUSED)
{
	enum accel a = ACCEL_KVM;
	struct err e;

	assert_int_equal(accel_parse("tcg", &a, &e), 0);
	assert_int_equal(a, ACCEL_TCG);
	assert_int_equal(accel_parse("KVM", &a, &e), -EINVAL);
	assert_int_equal(a, ACCEL_TCG);
	assert_int_equal(accel_parse("auto", &a, &e), 0);
	assert_string_equal(accel_name(a), "auto");
}

/* A device that opens is not yet one that works. */
static void accel_probe_needs_more_than_open(void **state UNUSED)
{
	struct err e = { 0 };

	assert_true(accel_kvm_probe("/dev/null", &e) < 0);
	assert_non_null(strstr(e.text, "/dev/null"));
	assert_int_equal(accel_kvm_probe("/nowhere", &e), -ENOENT);
}

static void accel_auto_settles(void **state UNUSED)
{
	enum accel a = ACCEL_AUTO;
	struct err e;

	assert_int_equal(accel_choose(ACCEL_AUTO, &a, &e), 0);
	assert_true(a == ACCEL_TCG || a == ACCEL_KVM);
	assert_int_equal(accel_choose(ACCEL_TCG, &a, &e), 0);
	assert_int_equal(a, ACCEL_TCG);
}

static void vhost_words(void **state UNUSED)
{
	enum vhost_backend b = VHOST_AUTO;
	struct err e;

	assert_int_equal(vhost_parse("user", &b, &e), 0);
	assert_int_equal(b, VHOST_USER);
	assert_int_equal(vhost_parse("", &b, &e), -EINVAL);
	assert_int_equal(b, VHOST_USER);
}

static void vhost_probe_needs_more_than_open(void **state UNUSED)
{
	struct err e = { 0 };

	assert_true(vhost_kernel_probe("/dev/null", &e) < 0);
	assert_int_equal(vhost_kernel_probe("/nowhere", &e), -ENOENT);
}

static void vhost_auto_settles(void **state UNUSED)
{
	enum vhost_backend b = VHOST_AUTO;
	struct err e;

	assert_int_equal(vhost_choose(VHOST_AUTO, &b, &e), 0);
	assert_true(b == VHOST_KERNEL || b == VHOST_USER);
}

static void vhost_knows_the_words_for_a_taken_cid(void **state UNUSED)
{
	assert_true(vhost_cid_taken(
		"qemu-system-x86_64: -device vhost-vsock-pci,guest-cid=5: "
		"vhost-vsock: unable to set guest cid: Address already in use\n"));
	assert_false(vhost_cid_taken("Address already in use"));
	assert_false(vhost_cid_taken(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accel_words),
		cmocka_unit_test(accel_probe_needs_more_than_open),
		cmocka_unit_test(accel_auto_settles),
		cmocka_unit_test(vhost_words),
		cmocka_unit_test(vhost_probe_needs_more_than_open),
		cmocka_unit_test(vhost_auto_settles),
		cmocka_unit_test(vhost_knows_the_words_for_a_taken_cid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
