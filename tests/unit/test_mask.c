/* tests/unit/test_mask.c - secrets do not get into bundles */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "tools/mask.h"

static void check(const char *before, const char *after)
{
	char buf[512];

	assert_true(strlen(before) < sizeof(buf));
	assert_int_equal(strlen(before), strlen(after));
	memcpy(buf, before, strlen(before) + 1);
	mask_text(buf, strlen(before));
	assert_string_equal(buf, after);
}

static void values_of_secret_names_are_masked(void **state UNUSED)
{
	static const char *const rows[][2] = {
		{ "password=hunter2 next", "password=******* next" },
		{ "db.Password: hunter2, x", "db.Password: *******, x" },
		{ "MY_API_KEY=abc;x", "MY_API_KEY=***;x" },
		{ "{\"token\":\"abc def\",\"n\":1}",
		  "{\"token\":\"*******\",\"n\":1}" },
		{ "\"msg\":\"env \\\"AWS_SECRET=x y\\\" z\"",
		  "\"msg\":\"env \\\"AWS_SECRET=* y\\\" z\"" },
		{ "{\\\"secret\\\": \\\"abc\\\"}",
		  "{\\\"secret\\\": \\\"***\\\"}" },
		{ "secret='a b' c", "secret='***' c" },
		{ "Authorization: Basic YWI= z",
		  "Authorization: ***** **** z" },
		{ "curl -H Bearer abc.def", "curl -H Bearer *******" },
		{ "token=a\ntoken=b", "token=*\ntoken=*" },
		{ "url?access_token=abc&x=1", "url?access_token=***&x=1" },
		{ "token=", "token=" },
		{ "credentials=[abc]", "credentials=****]" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check(rows[i][0], rows[i][1]);
}

static void all_else_stays(void **state UNUSED)
{
	static const char *const rows[] = {
		"",
		"{\"time\":\"2026\",\"level\":\"info\",\"msg\":\"bridge ready connection=1 os=linux\"}",
		"no token here",
		"the password is missing",
		"keyboard=us monkey: 3",
		"container id=0123456789abcdef0123456789abcdef state=running",
		"8250_core.nr_uarts=0 panic=-1 quiet pci=off -- -e 1 /bin/gcs -v4",
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check(rows[i], rows[i]);
}

static void a_pem_block_is_masked(void **state UNUSED)
{
	check("a\n-----BEGIN PRIVATE KEY-----\nMIIE\nabc\n-----END PRIVATE KEY-----\nb=1",
	      "a\n-----BEGIN PRIVATE KEY-----\n****\n***\n-----END PRIVATE KEY-----\nb=1");
	check("-----BEGIN X-----\ncut", "-----BEGIN X-----\n***");
}

/* The end of the bytes is the end, whatever stands behind it. */
static void nothing_behind_the_end_is_read(void **state UNUSED)
{
	static const char *const rows[] = {
		"token",    "token=",	   "token=\"",
		"token\":", "-----BEGIN ", "-----BEGIN X\nab-----END ",
		"bearer",   "bearer ",	   "Authorization: a"
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const size_t n = strlen(rows[i]);
		char *exact = malloc(n); /* for AddressSanitizer */

		assert_non_null(exact);
		memcpy(exact, rows[i], n);
		mask_text(exact, n);
		free(exact);
	}
}

static void annotations_show_only_what_cannot_be_secret(void **state UNUSED)
{
	struct annotation_map m;
	struct text t;
	struct err e;

	annotation_map_init(&m);
	assert_int_equal(
		annotation_map_set(&m, "io.microsoft.migration.support-enabled",
				   "true", &e),
		0);
	assert_int_equal(
		annotation_map_set(&m, "com.example.pull", "hunter2", &e), 0);
	assert_int_equal(
		annotation_map_set(
			&m, "io.microsoft.virtualmachine.lcow.securitypolicy",
			"c2VjcmV0", &e),
		0);
	text_heap(&t, 4096);
	mask_annotations(&m, &t);
	assert_non_null(strstr(
		text_str(&t), "io.microsoft.migration.support-enabled=true\n"));
	assert_non_null(strstr(text_str(&t), "com.example.pull=(7 bytes)\n"));
	assert_non_null(strstr(text_str(&t), "securitypolicy=(8 bytes)\n"));
	assert_null(strstr(text_str(&t), "hunter2"));
	assert_null(strstr(text_str(&t), "c2VjcmV0"));
	text_done(&t);
	annotation_map_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_of_secret_names_are_masked),
		cmocka_unit_test(all_else_stays),
		cmocka_unit_test(a_pem_block_is_masked),
		cmocka_unit_test(nothing_behind_the_end_is_read),
		cmocka_unit_test(annotations_show_only_what_cannot_be_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
