#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "config/util.h"
#include "cmdline/tokenize.h"

#define NO_VALUE NULL

/* Names and values as the kernel sees them, ended by a NULL name. */
struct row {
	const char *line;
	struct {
		const char *name;
		const char *value;
	} want[6];
};

static const struct row rows[] = {
	{ "", { { 0 } } },
	{ " \t\n\v\f\r\xa0", { { 0 } } },
	{ "a", { { "a", NO_VALUE } } },
	{ "  a  b ", { { "a", NO_VALUE }, { "b", NO_VALUE } } },
	/* U+00E0 is C3 A0: the second byte is a blank. */
	{ "x\xc3\xa0y", { { "x\xc3", NO_VALUE }, { "y", NO_VALUE } } },
	{ "\"x\xa0y\"", { { "x\xa0y", NO_VALUE } } },
	{ "a\vb", { { "a", NO_VALUE }, { "b", NO_VALUE } } },
	{ "k=v", { { "k", "v" } } },
	{ "k=v=w", { { "k", "v=w" } } },
	{ "=v", { { "=v", NO_VALUE } } },
	{ "==", { { "=", "" } } },
	{ "k=", { { "k", "" } } },
	{ "k=\"\"", { { "k", "" } } },
	{ "k=\"", { { "k", "" } } },
	{ "k=\"a b\"", { { "k", "a b" } } },
	{ "k=\"a b\"c", { { "k", "a b\"c" } } },
	{ "\"k=v w\"", { { "k", "v w" } } },
	{ "\"k\"=v", { { "k\"", "v" } } },
	/* Both rules for the last quote meet: one quote, dropped once. */
	{ "\"k=\"v\"\"", { { "k", "v\"" } } },
	{ "\"k=\"v w\"\"", { { "k", "v" }, { "w\"\"", NO_VALUE } } },
	{ "\"\"", { { "", NO_VALUE } } },
	{ "\"\" \"\"", { { "", NO_VALUE }, { "", NO_VALUE } } },
	{ "\"", { { "", NO_VALUE } } },
	{ "a \"b c", { { "a", NO_VALUE }, { "b c", NO_VALUE } } },
	{ "fo\"o b\"ar", { { "fo\"o b\"ar", NO_VALUE } } },
	{ "'a b'", { { "'a", NO_VALUE }, { "b'", NO_VALUE } } },
	{ "a\\ b", { { "a\\", NO_VALUE }, { "b", NO_VALUE } } },
	{ "--", { { "--", NO_VALUE } } },
	{ "--=x", { { "--", "x" } } },
};

static void test_words(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char line[64];
		char *at = line;
		struct token t;
		size_t n = 0;

		(void)snprintf(line, sizeof(line), "%s", rows[i].line);
		while (token_next(&at, &t)) {
			const char *value = rows[i].want[n].value;

			assert_non_null(rows[i].want[n].name);
			assert_string_equal(t.name, rows[i].want[n].name);
			assert_int_equal(!t.value, !value);
			if (value)
				assert_string_equal(t.value, value);
			n++;
		}
		assert_null(rows[i].want[n].name);
	}
}

static void test_blanks_are_these_seven(void **state UNUSED)
{
	int blanks = 0;

	for (int c = 1; c < 256; c++)
		blanks += token_blank((char)c);
	assert_int_equal(blanks, 7);
	assert_true(token_blank((char)0xa0));
	assert_false(token_blank((char)0x85));
	assert_false(token_blank('\0'));
}

static void test_join(void **state UNUSED)
{
	static const char *const pairs[][2] = {
		{ "k=\"a b\"", "k=a b" }, { "\"k=a b\"", "k=a b" },
		{ "k=", "k=" },		  { "k=\"\"", "k=" },
		{ "word", "word" },	  { "\"\"", "" },
		{ "==", "==" },
	};

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		char line[32];
		char *at = line;
		struct token t;

		(void)snprintf(line, sizeof(line), "%s", pairs[i][0]);
		assert_true(token_next(&at, &t));
		assert_string_equal(token_join(&t), pairs[i][1]);
	}
}

static void test_end_leaves_the_token_alone(void **state UNUSED)
{
	char line[] = "  ";
	char *at = line;
	char mark[] = "mark";
	struct token t = { mark, mark };

	assert_false(token_next(&at, &t));
	assert_ptr_equal(t.name, mark);
	assert_ptr_equal(t.value, mark);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_blanks_are_these_seven),
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_end_leaves_the_token_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
