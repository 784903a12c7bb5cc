/*
 * tests/unit/test_json_tree.c - json-c as ferry has it (bridge/json_tree.h)
 *
 * This program is linked with --wrap for what allocates (Makefile).
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "bridge/guest/oci_doc.h"
#include "bridge/json_decode.h"
#include "bridge/json_tree.h"
#include "bridge/schema.h"
#include "config/arena.h"
#include "config/text.h"
#include "config/util.h"

#define ARENA_MAX 0x1000000u
#define CALLS_MAX 4096u

static unsigned int left; /* calls until one fails, 0: none does */
static bool failed;	  /* one has */

static bool fails(void)
{
	if (left == 0 || --left > 0)
		return false;
	failed = true;
	return true;
}

/* clang-format off */
#define WRAP(type, name, params, args)                                         \
	type __real_##name params; /* NOLINT: the linker's names */            \
	type __wrap_##name params; /* NOLINT: likewise */                      \
	type __wrap_##name params /* NOLINT: likewise */                       \
	{                                                                      \
		return fails() ? NULL : __real_##name args;                    \
	}

WRAP(void *, malloc, (size_t n), (n))
WRAP(void *, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, (void *p, size_t n), (p, n))
WRAP(char *, strdup, (const char *s), (s))
/* clang-format on */

/* Of a table that cannot grow json-c leaves a name behind. */
const char *__lsan_default_suppressions(void); /* NOLINT: the sanitizer's */
const char *__lsan_default_suppressions(void)  /* NOLINT: likewise */
{
	return "leak:json_object_object_add_ex\n";
}

struct thing {
	uint32_t a;
	const char *s;
	const char *raw;
	struct msg_pairs pairs;
};

static const struct schema_member members[] = {
	SCHEMA_U32(struct thing, a, "A", SCHEMA_OPTIONAL),
	SCHEMA_STRING(struct thing, s, "S", SCHEMA_OPTIONAL),
	SCHEMA_RAW(struct thing, raw, "Raw", SCHEMA_OPTIONAL),
	SCHEMA_PAIRS(struct thing, pairs, "Pairs", SCHEMA_OPTIONAL),
};
static const struct schema schema = SCHEMA(struct thing, members);

static uint32_t last_of(const char *text)
{
	struct thing t;
	struct arena a;
	struct err e;

	arena_init(&a, ARENA_MAX);
	assert_int_equal(json_decode(&schema, text, strlen(text), &a, &t, &e),
			 0);
	arena_done(&a);
	return t.a;
}

static void test_of_equal_names_the_last_wins(void **state UNUSED)
{
	assert_int_equal(last_of("{\"a\":1,\"A\":2}"), 2);
	assert_int_equal(last_of("{\"a\":1,\"a\":2}"), 2);
	assert_int_equal(last_of("{\"a\":1,\"A\":2,\"a\":3}"), 3);
	assert_int_equal(last_of("{\"A\":1,\"a\":2,\"A\":3,\"a\":4,\"A\":5}"),
			 5);
}

/* Longer than any buffer begins with, and with more members than a table. */
#define LONG "0123456789abcdef0123456789abcdef0123456789abcdef"
static const char long_text[] =
	"{\"x\":[1,2.5,{\"y\":null}],\"S\":\"" LONG LONG "\\u00e4\",\"Raw\":"
	"{\"" LONG "\":\"" LONG "\",\"n\":[-1,true,\"" LONG "\"]},\"Pairs\":{"
	"\"1\":\"\",\"2\":\"\",\"3\":\"\",\"4\":\"\",\"5\":\"\",\"6\":\"\","
	"\"7\":\"\",\"8\":\"\",\"9\":\"\",\"10\":\"\",\"11\":\"\",\"12\":\"\","
	"\"13\":\"\",\"14\":\"\",\"15\":\"\",\"16\":\"\",\"17\":\"\"},\"A\":7}";

static void check_thing(const struct thing *t)
{
	assert_int_equal(t->a, 7);
	assert_string_equal(t->s, LONG LONG "\303\244");
	assert_string_equal(t->raw, "{\"" LONG "\":\"" LONG
				    "\",\"n\":[-1,true,\"" LONG "\"]}");
	assert_int_equal(t->pairs.n, 17);
}

static int decode(void)
{
	struct thing t;
	struct arena a;
	struct err e;
	int r;

	arena_init(&a, ARENA_MAX);
	r = json_decode(&schema, long_text, strlen(long_text), &a, &t, &e);
	left = 0;
	if (r == 0)
		check_thing(&t);
	arena_done(&a);
	json_decode_done();
	return r;
}

/* Reads a document and writes it again. */
static int rewrite(void)
{
	json_object *v = NULL;
	struct text out;
	struct err e;
	int r;

	text_heap(&out, sizeof(long_text) * 2);
	r = doc_parse(long_text, "it", &v, &e);
	if (r == 0)
		r = doc_text(v, &out, &e);
	left = 0;
	if (r == 0)
		assert_non_null(strstr(text_str(&out), LONG LONG));
	if (r == 0)
		assert_non_null(
			strstr(text_str(&out), "\"17\":\"\"},\"A\":7}"));
	json_object_put(v);
	text_done(&out);
	return r;
}

/* Whichever call gets no memory: an error, or all that was there. */
static void each_fails(int (*fn)(void))
{
	unsigned int errors = 0;

	failed = true;
	for (unsigned int n = 1; failed; n++) {
		assert_true(n < CALLS_MAX);
		failed = false;
		left = n;
		errors += fn() < 0;
		assert_false(json_tree_lost());
	}
	assert_true(errors > 50);
}

/* What is linked is compiled from sources, what is included is the system's. */
static void test_the_headers_are_those_of_the_library(void **state UNUSED)
{
	assert_int_equal(json_c_version_num(), JSON_C_VERSION_NUM);
}

static void test_no_memory_for_a_message(void **state UNUSED)
{
	assert_int_equal(decode(), 0);
	each_fails(decode);
	assert_int_equal(decode(), 0);
}

static void test_no_memory_for_a_document(void **state UNUSED)
{
	assert_int_equal(rewrite(), 0);
	each_fails(rewrite);
	assert_int_equal(rewrite(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of_equal_names_the_last_wins),
		cmocka_unit_test(test_the_headers_are_those_of_the_library),
		cmocka_unit_test(test_no_memory_for_a_message),
		cmocka_unit_test(test_no_memory_for_a_document),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
