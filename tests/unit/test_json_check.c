/* tests/unit/test_json_check.c - what is JSON and what is not */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/json_check.h"
#include "config/text.h"
#include "config/util.h"

/* In a block of exactly that size, so that a read behind it is seen. */
static int check_bytes(const char *text, size_t n)
{
	char *copy = malloc(n ? n : 1);
	int r;

	assert_non_null(copy);
	for (size_t i = 0; i < n; i++)
		copy[i] = text[i];
	r = json_check(copy, n, NULL);
	free(copy);
	return r;
}

static int check(const char *text)
{
	return check_bytes(text, strlen(text));
}

static void test_json_check_takes(void **state)
{
	static const char *const good[] = {
		"{}",
		"[]",
		"0",
		"-0",
		"true",
		"null",
		"\"\"",
		" \t\r\n{ \"a\" : [ 1 , 2 ] } \n",
		"18446744073709551615",
		"-9223372036854775808",
		"0.5e+10",
		"1E-2",
		"123456789012345678901234567890.5",
		"1e999",
		"\"\\u0000\\ud800\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
		"{\"a\":1,\"a\":2}",
		"\"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xef\xbf\xbf\"",
		"\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (check(good[i]) != 0)
			fail_msg("refused: %s", good[i]);
}

static void test_json_check_refuses(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"{",
		"}",
		"[1,]",
		"{\"a\":1,}",
		"{,}",
		"{\"a\"}",
		"{\"a\" 1}",
		"{a:1}",
		"{'a':1}",
		"{1:1}",
		"[1 2]",
		"[1}",
		"{} {}",
		"{}x",
		"1 2",
		"tru",
		"True",
		"NaN",
		"Infinity",
		"-",
		"+1",
		"01",
		"-01",
		"00",
		"1.",
		".5",
		"1e",
		"1e+",
		"0x10",
		"18446744073709551616",
		"99999999999999999999999999",
		"-9223372036854775809",
		"/* */{}",
		"{}//",
		"\"",
		"\"\\",
		"\"\\x\"",
		"\"\\u12\"",
		"\"\\u12g4\"",
		"\"a\nb\"",
		"\"a\tb\"",
		"\"\x01\"",
		"\"\x80\"",
		"\"\xc0\xaf\"",
		"\"\xc1\xbf\"",
		"\"\xe0\x9f\xbf\"",
		"\"\xed\xa0\x80\"",
		"\"\xf0\x8f\xbf\xbf\"",
		"\"\xf4\x90\x80\x80\"",
		"\"\xf5\x80\x80\x80\"",
		"\"\xc2\"",
		"\"\xe2\x80\"",
		"\"\xc2",
		"\xef\xbb\xbf{}",
		"{\"a\\u0000b\":1}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (check(bad[i]) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(json_check("{}\0", 3, NULL), -EINVAL);
	assert_int_equal(json_check("\"a\0b\"", 5, NULL), -EINVAL);
}

static void test_json_check_says_where(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(json_check("{\"a\":01}", 8, &e), -EINVAL);
	assert_string_equal(e.text,
			    "not JSON: a number begins with 0 at byte 7");
}

/* @n times @open, then as many @close. */
static int check_nested(const char *open, const char *close, size_t n)
{
	struct text t;
	int r;

	text_heap(&t, JSON_TEXT_MAX);
	for (size_t i = 0; i < n; i++)
		text_add(&t, open);
	for (size_t i = 0; i < n; i++)
		text_add(&t, close);
	r = check_bytes(text_str(&t), t.len);
	text_done(&t);
	return r;
}

static void test_json_check_depth_limit(void **state)
{
	(void)state;
	assert_int_equal(check_nested("[", "]", JSON_DEPTH_MAX), 0);
	assert_int_equal(check_nested("[", "]", JSON_DEPTH_MAX + 1), -EINVAL);
	assert_int_equal(check_nested("[", "]", 100000), -EINVAL);
	assert_int_equal(check_nested("[", "", 1000000), -EINVAL);
	assert_int_equal(check_nested("{\"a\":", "", 100000), -EINVAL);
}

/* An array of @n numbers. */
static int check_array(size_t n)
{
	struct text t;
	int r;

	text_heap(&t, JSON_TEXT_MAX);
	for (size_t i = 0; i < n; i++)
		text_add(&t, i == 0 ? "[0" : ",0");
	text_addc(&t, ']');
	r = check_bytes(text_str(&t), t.len);
	text_done(&t);
	return r;
}

static void test_json_check_value_limit(void **state)
{
	(void)state;
	assert_int_equal(check_array(JSON_VALUES_MAX - 1), 0);
	assert_int_equal(check_array(JSON_VALUES_MAX), -EINVAL);
	assert_int_equal(check_array(1000000), -EINVAL);
}

static void test_json_check_size_limit(void **state)
{
	char *text = malloc(JSON_TEXT_MAX + 1);

	(void)state;
	assert_non_null(text);
	memset(text, ' ', JSON_TEXT_MAX + 1);
	text[0] = '0';
	assert_int_equal(json_check(text, JSON_TEXT_MAX, NULL), 0);
	assert_int_equal(json_check(text, JSON_TEXT_MAX + 1, NULL), -EINVAL);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_check_takes),
		cmocka_unit_test(test_json_check_refuses),
		cmocka_unit_test(test_json_check_says_where),
		cmocka_unit_test(test_json_check_depth_limit),
		cmocka_unit_test(test_json_check_value_limit),
		cmocka_unit_test(test_json_check_size_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
