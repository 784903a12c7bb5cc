/* The envelope of files: every flipped bit and every cut is refused. */
#include "tests/unit/unit.h"

#include <string.h>

#include "config/util.h"
#include "migration/state_file.h"

#define KEY "a key of some length"

static const struct state_key key = { KEY, sizeof(KEY) - 1 };
static const struct state_key other = { "a key of same length", 20 };

static void seal(struct text *t, const struct state_key *k)
{
	struct err e;

	text_heap(t, STATE_FILE_MAX + 1);
	assert_int_equal(state_file_seal("the state", 9, k, t, &e), 0);
}

static int open_it(const struct text *t, size_t n, const struct state_key *k)
{
	const void *p = NULL;
	size_t size = 0;
	struct err e = { 0 };
	int r = state_file_open(t->buf, n, k, &p, &size, &e);

	if (r == 0) {
		assert_int_equal(size, 9);
		assert_memory_equal(p, "the state", 9);
	} else {
		assert_null(p);
		assert_true(e.text[0] != '\0');
	}
	return r;
}

static void test_every_flipped_bit_and_every_cut(void **state UNUSED)
{
	const struct state_key *keys[] = { NULL, &key };
	struct text t;
	size_t k, i;

	for (k = 0; k < 2; k++) {
		seal(&t, keys[k]);
		assert_int_equal(open_it(&t, t.len, keys[k]), 0);
		for (i = 0; i < 8 * t.len; i++) {
			const char keep = t.buf[i / 8];

			t.buf[i / 8] = (char)(keep ^ (1 << (i % 8)));
			assert_true(open_it(&t, t.len, keys[k]) < 0);
			t.buf[i / 8] = keep;
		}
		for (i = 0; i < t.len; i++)
			assert_true(open_it(&t, i, keys[k]) < 0);
		text_addc(&t, 'x');
		assert_true(open_it(&t, t.len, keys[k]) < 0);
		text_done(&t);
	}
}

static void test_keys_have_to_fit(void **state UNUSED)
{
	const struct state_key tiny = { "short", 5 };
	struct text t, out;
	struct err e;

	seal(&t, &key);
	assert_int_equal(open_it(&t, t.len, &other), -EINVAL);
	assert_int_equal(open_it(&t, t.len, NULL), -EINVAL);
	text_done(&t);
	seal(&t, NULL);
	assert_int_equal(open_it(&t, t.len, &key), -EINVAL);
	text_done(&t);
	text_heap(&out, 4096);
	assert_int_equal(state_file_seal("x", 1, &tiny, &out, &e), -EINVAL);
	assert_int_equal(out.len, 0);
	text_done(&out);
}

static void test_another_version_is_named(void **state UNUSED)
{
	const void *p = NULL;
	size_t n = 0;
	struct text t;
	struct err e;

	seal(&t, NULL);
	t.buf[9] = 2;
	assert_int_equal(state_file_open(t.buf, t.len, NULL, &p, &n, &e),
			 -EPROTO);
	assert_non_null(strstr(e.text, "version 2"));
	text_done(&t);
}

/* Bytes that a file of version 1 has for ever. */
static void test_a_file_of_version_1(void **state UNUSED)
{
	static const unsigned char file[] = {
		'F',  'E',  'R',  'R',	'Y',  'S',  'T',  '\n', 0,
		1,    0,    0,	  0,	0,    0,    3,	  'a',	'b',
		'c',  0xef, 0x66, 0x4f, 0x8b, 0xea, 0xd5, 0x5a, 0x65,
		0xf9, 0x14, 0x47, 0x38, 0x4d, 0xe4, 0xcf, 0x2c, 0x52,
		0x09, 0x5b, 0x20, 0xe4, 0xf4, 0x4b, 0xe7, 0xa6, 0x8a,
		0x3d, 0x48, 0x03, 0x11, 0xba, 0xf3,
	};
	const void *p = NULL;
	size_t n = 0;
	struct text t;
	struct err e = { 0 };

	text_heap(&t, 4096);
	assert_int_equal(state_file_seal("abc", 3, NULL, &t, &e), 0);
	assert_int_equal(t.len, sizeof(file));
	assert_memory_equal(t.buf, file, sizeof(file));
	assert_int_equal(state_file_open(file, sizeof(file), NULL, &p, &n, &e),
			 0);
	text_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_flipped_bit_and_every_cut),
		cmocka_unit_test(test_keys_have_to_fit),
		cmocka_unit_test(test_another_version_is_named),
		cmocka_unit_test(test_a_file_of_version_1),
	};

	return cmocka_run_group_tests_name("state_file", tests, NULL, NULL);
}
