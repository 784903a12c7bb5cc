#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "config/value.h"

#define LIST_MAX ((size_t)65536)

static void test_bool_has_twelve_spellings(void **state UNUSED)
{
	static const char *const bad[] = {
		"",  "yes", "tRUE", " true", "true ",
		"2", "on",  "TRue", "00",    "FALSe"
	};
	static const char *const yes[] = {
		"1", "t", "T", "TRUE", "true", "True"
	};
	static const char *const no[] = { "0",	   "f",	    "F",
					  "FALSE", "false", "False" };
	struct arena a;

	arena_init(&a, 0);
	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		bool value = false;

		assert_int_equal(value_parse(VALUE_BOOL, yes[i], &a, &value),
				 0);
		assert_true(value);
		assert_int_equal(value_parse(VALUE_BOOL, no[i], &a, &value), 0);
		assert_false(value);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		enum tristate value = TRI_UNSET;

		assert_int_equal(
			value_parse(VALUE_NULLABLE_BOOL, bad[i], &a, &value),
			-EINVAL);
		assert_int_equal(value, TRI_UNSET);
	}
}

static void test_refused_numbers_leave_the_value_alone(void **state UNUSED)
{
	static const struct {
		enum value_kind kind;
		const char *text;
	} rows[] = {
		{ VALUE_INT32, "2147483648" },
		{ VALUE_INT32, "-2147483649" },
		{ VALUE_INT32, "+-1" },
		{ VALUE_INT32, "1e3" },
		{ VALUE_INT32, "\xd9\xa1" },
		{ VALUE_UINT32, "+1" },
		{ VALUE_UINT32, "4294967296" },
		{ VALUE_UINT64, "-0" },
		{ VALUE_UINT64, "18446744073709551616" },
	};
	struct arena a;

	arena_init(&a, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t value = 42;

		assert_int_equal(
			value_parse(rows[i].kind, rows[i].text, &a, &value),
			-EINVAL);
		assert_int_equal(value, 42);
	}
}

static void test_list_is_bounded(void **state UNUSED)
{
	char *text = malloc(2 * (LIST_MAX + 1));
	struct u32_list list = { 0 };
	struct arena a;

	assert_non_null(text);
	for (size_t i = 0; i <= LIST_MAX; i++)
		memcpy(text + 2 * i, "7,", 2);
	arena_init(&a, 16ul << 20);
	text[2 * LIST_MAX - 1] = '\0';
	assert_int_equal(value_parse(VALUE_UINT32_LIST, text, &a, &list), 0);
	assert_int_equal(list.n, LIST_MAX);
	text[2 * LIST_MAX - 1] = ',';
	text[2 * LIST_MAX + 1] = '\0';
	assert_int_equal(value_parse(VALUE_UINT32_LIST, text, &a, &list),
			 -EINVAL);
	assert_int_equal(list.n, LIST_MAX);
	arena_done(&a);
	free(text);
}

static void test_no_memory(void **state UNUSED)
{
	static const enum value_kind kinds[] = { VALUE_UINT32_LIST,
						 VALUE_UINT64_LIST,
						 VALUE_STRING,
						 VALUE_STRING_LIST };
	struct arena a;
	uint64_t value[2];

	arena_init(&a, 2);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		assert_int_equal(value_parse(kinds[i], "1,2", &a, value),
				 -ENOMEM);
	arena_done(&a);
}

static void test_guid(void **state UNUSED)
{
	const char *guid = NULL;
	struct arena a;

	arena_init(&a, 1000);
	assert_int_equal(value_parse(VALUE_GUID,
				     "ABCDEF01-2345-6789-abcd-ef0123456789", &a,
				     &guid),
			 0);
	assert_string_equal(guid, "abcdef01-2345-6789-abcd-ef0123456789");
	assert_int_equal(value_parse(VALUE_GUID,
				     "gBCDEF01-2345-6789-abcd-ef0123456789", &a,
				     &guid),
			 -EINVAL);
	assert_int_equal(value_parse(VALUE_GUID,
				     "ABCDEF0-12345-6789-abcd-ef0123456789", &a,
				     &guid),
			 -EINVAL);
	arena_done(&a);
}

static void test_names(void **state UNUSED)
{
	for (size_t i = 0; i < VALUE_KINDS; i++) {
		enum value_kind kind;

		assert_true(value_kind_find(value_kind_name((enum value_kind)i),
					    &kind));
		assert_int_equal(kind, i);
		assert_true(value_size(kind) >= 1);
	}
	assert_false(value_warns(VALUE_UINT32_LIST, "x"));
	assert_false(value_warns(VALUE_UINT64_LIST, ""));
	assert_true(value_warns(VALUE_UINT64_LIST, "x"));
	assert_true(value_warns(VALUE_BOOL, ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bool_has_twelve_spellings),
		cmocka_unit_test(test_refused_numbers_leave_the_value_alone),
		cmocka_unit_test(test_list_is_bounded),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_guid),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
