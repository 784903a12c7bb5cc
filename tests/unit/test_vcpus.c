/* tests/unit/test_vcpus.c - what QEMU says of processors, in short */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "tools/qemu/vcpus.h"

static const char *print(const char *registers)
{
	static char buf[1024];
	struct text t;

	text_fixed(&t, buf, sizeof(buf));
	vcpus_print(registers, &t);
	return text_str(&t);
}

static void test_the_place_of_each_processor_and_no_other_register(void **state)
{
	(void)state;
	assert_string_equal(
		print("CPU#0\r\n"
		      "RAX=0000000000000001 RBX=5ec4e75ec4e75ec4\r\n"
		      "R14=0000000000000000 R15=0000000000000000\r\n"
		      "RIP=ffffffff81073ca0 RFL=00000046 [---Z-P-] CPL=0 "
		      "II=0 A20=1 SMM=0 HLT=0\r\n"
		      "\r\nCPU#1\r\n"
		      "RIP=ffffffff81e2d8b3 RFL=00000246 CPL=0 HLT=1\r\n"),
		" cpu0=ffffffff81073ca0 cpu1=ffffffff81e2d8b3 halted");
	assert_string_equal(print("CPU#0\nEIP=0000fff0 EFL=2 HLT=0\n"),
			    " cpu0=0000fff0");
	assert_string_equal(print("CPU#0\n PC=ffff800080010000 X00=7\n"),
			    " cpu0=ffff800080010000");
}

static void test_whatever_qemu_says_is_bounded(void **state)
{
	char many[VCPUS_MAX * 2 * 16] = "";
	const char *told;
	size_t len = 0;

	(void)state;
	assert_string_equal(print(""), "");
	assert_string_equal(print("unknown command\r\n"), "");
	assert_string_equal(print("RIP=1 HLT=1\r\n"), "");
	assert_string_equal(print("CPU#"), " cpu");
	assert_string_equal(print("CPU#0\nXRIP=1 HLT=10x RIP="),
			    " cpu0= halted");
	for (unsigned int i = 0; i < VCPUS_MAX + 1; i++)
		len += (size_t)snprintf(many + len, sizeof(many) - len,
					"CPU#%u\n", i);
	told = print(many);
	assert_non_null(strstr(told, " cpu15"));
	assert_null(strstr(told, " cpu16"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_the_place_of_each_processor_and_no_other_register),
		cmocka_unit_test(test_whatever_qemu_says_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
