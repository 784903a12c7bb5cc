/* tests/unit/test_vm_identity.c - what a machine says that it is */
#include "tests/unit/vm_move_fixture.h"

#include <string.h>

#include "tools/qemu/vm_identity.h"

static void on_identity(void *ctx, const struct vm_identity *id)
{
	*(struct vm_identity *)ctx = *id;
}

/* Up to the property that a processor is asked for last. */
static void identify(struct fixture *f, struct vm_identity *id)
{
	struct err e;

	memset(id, 0, sizeof(*id));
	assert_int_equal(vm_identity_ask(f->q, on_identity, id, &e), 0);
	expect(f, "\"query-version\"");
	answer(f, "{\"qemu\": {\"major\": 7, \"minor\": 2, \"micro\": 22}}");
	expect(f, "\"property\":\"type\"");
	answer(f, "\"pc-q35-7.2-machine\"");
	expect(f, "\"query-cpus-fast\"");
	answer(f, "[{\"qom-path\": \"/machine/device[0]\"}, {}]");
	expect(f, "device[0]\",\"property\":\"vendor\"}");
	answer(f, "\"AuthenticAMD\"");
	expect(f, "\"property\":\"family\"");
	answer(f, "15");
	expect(f, "\"property\":\"model\"");
	answer(f, "107");
	expect(f, "\"property\":\"feature-words\"");
}

static void a_machine_is_identified(void **state)
{
	struct fixture *f = *state;
	struct vm_identity id;

	identify(f, &id);
	assert_string_equal(id.machine, ""); /* all of it, or nothing yet */
	answer(f, "[{\"cpuid-register\": \"EBX\", \"cpuid-input-eax\": 7, "
		  "\"cpuid-input-ecx\": 1, \"features\": 9},"
		  "{\"cpuid-register\": \"EAX\", \"cpuid-input-eax\": 6, "
		  "\"features\": 0},"
		  "{\"cpuid-register\": \"EDX\", "
		  "\"cpuid-input-eax\": 2147483649, "
		  "\"features\": 3452816845}]");
	assert_string_equal(id.machine, "pc-q35-7.2");
	assert_int_equal(id.version[0], 7);
	assert_string_equal(id.cpu, " vendor=AuthenticAMD family=15 model=107"
				    " 7.1.EBX=9 80000001.0.EDX=cdcdcdcd");
}

/* Half of what it says would be another processor. */
static void a_processor_that_is_not_told_is_not_known(void **state)
{
	struct fixture *f = *state;
	struct vm_identity id;

	identify(f, &id);
	answer(f, "{}");
	assert_string_equal(id.machine, "pc-q35-7.2");
	assert_string_equal(id.cpu, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MOVE_TEST(a_machine_is_identified),
		MOVE_TEST(a_processor_that_is_not_told_is_not_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
