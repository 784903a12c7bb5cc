/* tests/unit/test_wire.c - frame headers, type words, limits (bridge.md 1) */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "bridge/hresult.h"
#include "bridge/wire.h"
#include "config/util.h"

static void test_wire_header_is_little_endian(void **state)
{
	static const uint8_t want[WIRE_HEADER_SIZE] = {
		0x01, 0x0b, 0x10, 0x10, 0x44, 0x33, 0x22, 0x11,
		0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x81,
	};
	const struct wire_header h = { WIRE_NEGOTIATE_PROTOCOL, 0x11223344,
				       UINT64_C(0x8102030405060708) };
	uint8_t bytes[WIRE_HEADER_SIZE];
	struct wire_header got;

	(void)state;
	wire_header_put(bytes, &h);
	assert_memory_equal(bytes, want, sizeof(want));
	got = wire_header_get(want);
	assert_int_equal(got.type, h.type);
	assert_int_equal(got.size, h.size);
	assert_true(got.id == h.id);
}

static void test_wire_size_limits_on_both_sides(void **state)
{
	static const struct {
		uint32_t size, max;
		int want;
	} cases[] = {
		{ 0, WIRE_GUEST_FRAME_MAX, -EPROTO },
		{ WIRE_HEADER_SIZE - 1, WIRE_GUEST_FRAME_MAX, -EPROTO },
		{ WIRE_HEADER_SIZE, WIRE_GUEST_FRAME_MAX, 0 },
		{ 65536, WIRE_GUEST_FRAME_MAX, 0 },
		{ 65537, WIRE_GUEST_FRAME_MAX, -EPROTO },
		{ 65537, WIRE_HOST_FRAME_MAX, 0 },
		{ 16 * 1024 * 1024, WIRE_HOST_FRAME_MAX, 0 },
		{ 16 * 1024 * 1024 + 1, WIRE_HOST_FRAME_MAX, -EPROTO },
		{ UINT32_MAX, WIRE_HOST_FRAME_MAX, -EPROTO },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct wire_header h = { .size = cases[i].size };
		struct err e = { 0 };

		assert_int_equal(wire_size_check(&h, cases[i].max, &e),
				 cases[i].want);
		assert_true((e.text[0] != '\0') == (cases[i].want != 0));
	}
}

static void test_wire_response_keeps_all_but_the_kind(void **state)
{
	(void)state;
	assert_int_equal(wire_response_type(WIRE_CREATE), 0x20100101);
	assert_int_equal(wire_response_type(WIRE_MODIFY_SERVICE_SETTINGS),
			 0x20200101);
	/* any word, any kind nibble: bridge.md 1.5 */
	assert_int_equal(wire_response_type(0xffffffff), 0x2fffffff);
	assert_int_equal(wire_response_type(0), 0x20000000);
	assert_int_equal(wire_kind(WIRE_CONTAINER_NOTIFICATION),
			 WIRE_NOTIFICATION);
}

static void test_wire_names(void **state)
{
	(void)state;
	assert_string_equal(wire_type_name(WIRE_WAIT_FOR_PROCESS),
			    "WaitForProcess");
	assert_string_equal(wire_type_name(0x20100601), "WaitForProcess");
	assert_string_equal(wire_type_name(WIRE_CONTAINER_NOTIFICATION),
			    "ContainerNotification");
	assert_null(wire_type_name(0x30100601));
	assert_null(wire_type_name(0x20100102));
	assert_null(wire_type_name(0x00100101));
	assert_null(wire_type_name(0));
}

static void test_wire_hresult_is_signed_on_the_wire(void **state)
{
	(void)state;
	assert_int_equal(hresult_to_wire(HR_FAIL), -2147467259);
	assert_int_equal(hresult_to_wire(HR_TIMEOUT), -1070137079);
	assert_int_equal(hresult_from_wire(-1070137074), HR_SYSTEM_NOT_FOUND);
	assert_int_equal(hresult_from_wire(-2143878907), HR_INVALID_STATE);
	assert_string_equal(hresult_name(HR_TIMEOUT), "timeout");
	assert_string_equal(hresult_name(7), "unknown code");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wire_header_is_little_endian),
		cmocka_unit_test(test_wire_size_limits_on_both_sides),
		cmocka_unit_test(test_wire_response_keeps_all_but_the_kind),
		cmocka_unit_test(test_wire_names),
		cmocka_unit_test(test_wire_hresult_is_signed_on_the_wire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
