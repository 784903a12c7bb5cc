/* tests/unit/test_config.c - errors, numbers, text and arenas */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "config/arena.h"
#include "config/err.h"
#include "config/num.h"
#include "config/text.h"
#include "config/util.h"

static void test_err_wrap_puts_context_first(void **state)
{
	struct err e = { 0 };

	(void)state;
	errno = ECONNRESET;
	assert_int_equal(err_sys(&e, "connect to host port %u", 5u),
			 -ECONNRESET);
	assert_int_equal(err_wrap(&e, "bridge"), -ECONNRESET);
	assert_string_equal(e.text, "bridge: connect to host port 5: "
				    "Connection reset by peer");
}

static void test_err_text_is_cut_not_overrun(void **state)
{
	char longer[2 * ERR_TEXT_MAX];
	struct err e = { 0 };

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(err_set(&e, EINVAL, "%s", longer), -EINVAL);
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
	assert_int_equal(err_wrap(&e, "%s", "field"), -EINVAL);
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
	assert_memory_equal(e.text, "field: xxx", 10);
}

static void test_err_class_names_round_trip(void **state)
{
	(void)state;
	for (int i = 1; i < ERR_CLASSES; i++)
		assert_int_equal(
			err_class_find(err_class_name((enum err_class)i)), i);
	assert_int_equal(err_class_find("no-such-class"), ERR_NONE);
	assert_string_equal(err_class_name(ERR_CLASSES), "error");
}

static void test_num_u64_borders(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		int want;
		uint64_t value;
	} cases[] = {
		{ "0", 9, 0, 0 },
		{ "0000009", 9, 0, 9 },
		{ "10", 9, -ERANGE, 0 },
		{ "18446744073709551615", UINT64_MAX, 0, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, -ERANGE, 0 },
		{ "99999999999999999999999", UINT64_MAX, -ERANGE, 0 },
		{ "", 9, -EINVAL, 0 },
		{ "-1", 9, -EINVAL, 0 },
		{ "+1", 9, -EINVAL, 0 },
		{ " 1", 9, -EINVAL, 0 },
		{ "1 ", 9, -EINVAL, 0 },
		{ "0x1", 9, -EINVAL, 0 },
		{ "1e3", 9, -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t value = 77;
		struct err e = { 0 };

		assert_int_equal(
			num_u64(cases[i].text, 0, cases[i].max, &value, &e),
			cases[i].want);
		assert_true(value ==
			    (cases[i].want == 0 ? cases[i].value : 77));
		assert_true((e.text[0] != '\0') == (cases[i].want != 0));
	}
}

static void test_num_i32_borders(void **state)
{
	static const struct {
		const char *text;
		int want;
		int32_t value;
	} cases[] = {
		{ "-2147483648", 0, INT32_MIN },
		{ "+2147483647", 0, INT32_MAX },
		{ "2147483648", -ERANGE, 0 },
		{ "-2147483649", -ERANGE, 0 },
		{ "-99999999999999999999", -ERANGE, 0 },
		{ "--1", -EINVAL, 0 },
		{ "+-1", -EINVAL, 0 },
		{ "-", -EINVAL, 0 },
		{ "-0", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int32_t value = 77;

		assert_int_equal(num_i32(cases[i].text, INT32_MIN, INT32_MAX,
					 &value, NULL),
				 cases[i].want);
		assert_int_equal(value,
				 cases[i].want == 0 ? cases[i].value : 77);
	}
}

static void test_text_full_is_sticky_and_bounded(void **state)
{
	char small[8];
	struct text t;

	(void)state;
	text_fixed(&t, small, sizeof(small));
	text_add(&t, "1234567");
	assert_false(t.full);
	text_addc(&t, '8');
	assert_true(t.full);
	text_addf(&t, "%d", 9);
	assert_string_equal(text_str(&t), "1234567");

	text_heap(&t, 1000);
	for (int i = 0; i < 999; i++)
		text_addc(&t, 'x');
	assert_false(t.full);
	text_addc(&t, 'y');
	assert_true(t.full);
	assert_int_equal(t.len, 999);
	text_done(&t);
	assert_string_equal(text_str(&t), "");
}

static void test_text_quote_shows_no_control_bytes(void **state)
{
	struct text t;

	(void)state;
	text_heap(&t, 1000);
	text_quote(&t, "a\n\x1b[2J\xc3\xa9", 64);
	assert_string_equal(text_str(&t), "a\\x0a\\x1b[2J\\xc3\\xa9");
	text_reset(&t);
	text_quote(&t, "abcdef", 3);
	assert_string_equal(text_str(&t), "abc...");
	text_done(&t);
}

static void test_arena_gives_no_more_than_its_limit(void **state)
{
	struct arena a;
	char *s;

	(void)state;
	arena_init(&a, 10000);
	assert_non_null(arena_alloc(&a, 9000));
	assert_null(arena_alloc(&a, 1001));
	assert_non_null(arena_alloc(&a, 1000));
	assert_null(arena_alloc(&a, 1));
	assert_null(arena_array(&a, SIZE_MAX / 2, 3));
	arena_reset(&a);
	s = arena_strn(&a, "abcdef", 3);
	assert_string_equal(s, "abc");
	arena_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err_wrap_puts_context_first),
		cmocka_unit_test(test_err_text_is_cut_not_overrun),
		cmocka_unit_test(test_err_class_names_round_trip),
		cmocka_unit_test(test_num_u64_borders),
		cmocka_unit_test(test_num_i32_borders),
		cmocka_unit_test(test_text_full_is_sticky_and_bounded),
		cmocka_unit_test(test_text_quote_shows_no_control_bytes),
		cmocka_unit_test(test_arena_gives_no_more_than_its_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
