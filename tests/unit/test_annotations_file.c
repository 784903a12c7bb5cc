/* tests/unit/test_annotations_file.c - annotations from JSON and from words */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"
#include "tools/annotations_file.h"

static int parse(const char *text, struct annotation_map *m, struct err *e)
{
	return annotations_parse(text, strlen(text), m, e);
}

static void map_of_strings(void **state UNUSED)
{
	struct annotation_map m;
	struct err e;

	annotation_map_init(&m);
	assert_int_equal(parse(" {\"a\": \"1\", \"b\": \"\\u00e0\"}\n", &m, &e),
			 0);
	assert_int_equal(m.n, 2);
	assert_string_equal(annotation_map_get(&m, "a"), "1");
	assert_string_equal(annotation_map_get(&m, "b"), "\xc3\xa0");
	assert_int_equal(parse("{\"a\": \"2\"}", &m, &e), 0);
	assert_string_equal(annotation_map_get(&m, "a"), "2");
	annotation_map_done(&m);
}

static void oci_document(void **state UNUSED)
{
	struct annotation_map m;
	struct err e;

	annotation_map_init(&m);
	assert_int_equal(parse("{\"ociVersion\": \"1.0.2\", \"process\": {},"
			       " \"annotations\": {\"k\": \"v\"}}",
			       &m, &e),
			 0);
	assert_int_equal(m.n, 1);
	assert_string_equal(annotation_map_get(&m, "k"), "v");
	assert_int_equal(parse("{\"ociVersion\": \"1.0.2\"}", &m, &e), 0);
	assert_int_equal(m.n, 1);
	annotation_map_done(&m);
}

static void what_is_not_a_map_is_refused(void **state UNUSED)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"\"x\"",
		"null",
		"{\"a\": 1}",
		"{\"a\": null}",
		"{\"a\": {}}",
		"{\"a\": \"x\\u0000y\"}",
		"{\"a\": \"\xff\"}",
		"{\"a\": \"1\"} x",
		"{\"a\": \"1\"}{}",
		"{\"\": \"1\"}",
		"{\"ociVersion\": \"1\", \"annotations\": []}",
		"{'a': '1'}",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct annotation_map m;
		struct err e = { 0 };

		annotation_map_init(&m);
		if (parse(bad[i], &m, &e) != -EINVAL)
			fail_msg("accepted: %s", bad[i]);
		assert_true(e.text[0]);
		assert_int_equal(m.n, 0);
		annotation_map_done(&m);
	}
}

static void depth_is_bounded(void **state UNUSED)
{
	static char deep[4096];
	struct annotation_map m;
	struct err e;

	(void)snprintf(deep, sizeof(deep), "%s",
		       "{\"ociVersion\":\"1\",\"x\":");
	memset(deep + strlen(deep), '[', 2000);
	annotation_map_init(&m);
	assert_int_equal(parse(deep, &m, &e), -EINVAL);
	annotation_map_done(&m);
}

static void words(void **state UNUSED)
{
	struct annotation_map m;
	char word[ANNOTATION_KEY_MAX + 8];
	struct err e;

	annotation_map_init(&m);
	assert_int_equal(annotations_argument("k=v=w", &m, &e), 0);
	assert_string_equal(annotation_map_get(&m, "k"), "v=w");
	assert_int_equal(annotations_argument("empty=", &m, &e), 0);
	assert_string_equal(annotation_map_get(&m, "empty"), "");
	assert_int_equal(annotations_argument("k", &m, &e), -EINVAL);
	assert_int_equal(annotations_argument("=v", &m, &e), -EINVAL);
	memset(word, 'k', sizeof(word));
	(void)snprintf(word + ANNOTATION_KEY_MAX + 1, 7, "=v");
	assert_int_equal(annotations_argument(word, &m, &e), -EINVAL);
	assert_int_equal(m.n, 2);
	annotation_map_done(&m);
}

static void files(void **state UNUSED)
{
	char path[] = "/tmp/annotations-XXXXXX";
	cleanup_fd fd = mkstemp(path);
	struct annotation_map m;
	struct err e;

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, "{\"a\":\"b\"}", 9), 0);
	annotation_map_init(&m);
	assert_int_equal(annotations_file_read(path, &m, &e), 0);
	assert_string_equal(annotation_map_get(&m, "a"), "b");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(annotations_file_read(path, &m, &e), -ENOENT);
	assert_non_null(strstr(e.text, path));
	annotation_map_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_of_strings),
		cmocka_unit_test(oci_document),
		cmocka_unit_test(what_is_not_a_map_is_refused),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(words),
		cmocka_unit_test(files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
