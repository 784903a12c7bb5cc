/* tests/unit/test_guest_cmdsplit.c - command lines in one string */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "bridge/guest/cmdsplit.h"
#include "config/text.h"
#include "config/util.h"

#define ARENA_BYTES ((size_t)1 << 20)

/* The arguments, each in brackets, or the error text behind a '!'. */
static void split_shown(const char *line, char *out, size_t size)
{
	struct arena a;
	struct text t;
	struct err e = { 0 };
	char **argv = NULL;
	size_t n = 0;

	arena_init(&a, ARENA_BYTES);
	text_fixed(&t, out, size);
	if (cmdsplit(line, &a, &argv, &n, &e) < 0)
		text_addf(&t, "!%s", e.text);
	else
		assert_null(argv[n]);
	for (size_t i = 0; i < n; i++)
		text_addf(&t, "[%s]", argv[i]);
	arena_done(&a);
	assert_false(t.full);
}

static void test_lines(void **state)
{
	static const struct {
		const char *line;
		const char *shown;
	} cases[] = {
		{ "", "" },
		{ " \t\n ", "" },
		{ "a", "[a]" },
		{ "  a  b\tc\n", "[a][b][c]" },
		{ "'a b' \"c d\"", "[a b][c d]" },
		{ "a'b'\"c\"d", "[abcd]" },
		{ "''", "[]" },
		{ "\"\" x", "[][x]" },
		{ "a\\ b \\\" \\\\", "[a b][\"][\\]" },
		{ "a\\tb\\nc", "[a\tb\nc]" },
		{ "\"a\\tb\"", "[a\tb]" },
		{ "'a\\tb'", "[a\\tb]" },
		{ "\"a'b\" 'c\"d'", "[a'b][c\"d]" },
		{ "$HOME * ~ `x` #no", "[$HOME][*][~][`x`][#no]" },
		{ "'a;b' \"c|d\" e\\&f", "[a;b][c|d][e&f]" },
		{ "a 'b", "!open quote at byte 2" },
		{ "a \"b\\\"", "!open quote at byte 2" },
		{ "a\\", "!nothing behind the last backslash" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char shown[256];

		split_shown(cases[i].line, shown, sizeof(shown));
		assert_string_equal(shown, cases[i].shown);
	}
}

/* W-G30: the reference silently drops the rest of the line. */
static void test_w_g30_operators_are_errors(void **state)
{
	static const char *const lines[] = { "a ; b", "a&b",  "a|b",
					     "a <b",  "a >b", ";" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		char shown[256];

		split_shown(lines[i], shown, sizeof(shown));
		assert_int_equal(shown[0], '!');
		assert_non_null(strstr(shown, "has no meaning here: quote it"));
	}
}

static void test_arguments_are_bounded(void **state)
{
	static char line[4 * CMDSPLIT_ARGS_MAX];
	const size_t full = 2 * (size_t)CMDSPLIT_ARGS_MAX;
	struct arena a;
	struct err e = { 0 };
	char **argv = NULL;
	size_t n = 7;

	(void)state;
	arena_init(&a, ARENA_BYTES);
	for (size_t i = 0; i < full; i++)
		line[i] = i % 2 == 0 ? 'x' : ' ';
	assert_int_equal(cmdsplit(line, &a, &argv, &n, &e), 0);
	assert_int_equal(n, CMDSPLIT_ARGS_MAX);
	line[full] = 'x';
	n = 7;
	assert_int_equal(cmdsplit(line, &a, &argv, &n, &e), -E2BIG);
	assert_int_equal(n, 7);
	arena_done(&a);

	arena_init(&a, 64);
	assert_int_equal(cmdsplit(line, &a, &argv, &n, &e), -ENOMEM);
	arena_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_w_g30_operators_are_errors),
		cmocka_unit_test(test_arguments_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
