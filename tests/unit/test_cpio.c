/* tests/unit/test_cpio.c - the initramfs format, written and read */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config/text.h"
#include "config/util.h"
#include "initramfs/cpio.h"

static int to_text(void *arg, const void *buf, size_t len, struct err *e)
{
	struct text *t = arg;

	text_addn(t, buf, len);
	return t->full ? err_set(e, ENOSPC, "no space left") : 0;
}

static int add(struct cpio_tree *t, const char *name, uint32_t mode,
	       const char *data, enum cpio_rank rank, struct err *e)
{
	const struct cpio_entry n = {
		.name = name,
		.mode = mode,
		.data = data,
		.size = data ? strlen(data) : 0,
	};

	return cpio_tree_add(t, &n, rank, e);
}

static void put(struct cpio_tree *t, const char *name, uint32_t mode,
		const char *data)
{
	assert_int_equal(add(t, name, mode, data, CPIO_ONCE, NULL), 0);
}

static void write_all(struct cpio_tree *t, struct text *out)
{
	struct err e = { 0 };

	text_heap(out, 1 << 20);
	assert_int_equal(cpio_tree_write(t, 7, to_text, out, &e), 0);
	cpio_tree_done(t);
}

static void test_order_of_adding_does_not_matter(void **state)
{
	struct cpio_tree a;
	struct cpio_tree b;
	struct text one;
	struct text two;

	(void)state;
	cpio_tree_init(&a);
	put(&a, "/bin/sh", S_IFREG | 0755, "#!");
	put(&a, "init", S_IFREG | 0755, "x");
	put(&a, "etc", S_IFDIR | 0700, NULL);
	put(&a, "bin/l", S_IFLNK | 0777, "sh");
	cpio_tree_init(&b);
	put(&b, "bin/l", S_IFLNK | 0777, "sh");
	put(&b, "etc", S_IFDIR | 0700, NULL);
	put(&b, "init", S_IFREG | 0755, "x");
	put(&b, "bin/sh", S_IFREG | 0755, "#!");
	write_all(&a, &one);
	write_all(&b, &two);
	assert_int_equal(one.len, two.len);
	assert_memory_equal(one.buf, two.buf, one.len);
	text_done(&one);
	text_done(&two);
}

/* Header, name, padding and data of a file, byte by byte. */
static void test_bytes_are_the_kernels_format(void **state)
{
	static const char want[] = "070701"
				   "00000001" /* inode */
				   "000081ed" /* mode */
				   "00000000" /* uid */
				   "00000000" /* gid */
				   "00000001" /* links */
				   "00000007" /* mtime */
				   "00000003" /* size */
				   "00000000"
				   "00000000" /* device */
				   "00000000"
				   "00000000" /* device node */
				   "00000005" /* name's size */
				   "00000000" /* checksum */
				   "init\0\0"
				   "abc";
	struct cpio_tree t;
	struct text out;

	(void)state;
	cpio_tree_init(&t);
	put(&t, "/init", S_IFREG | 0755, "abc");
	write_all(&t, &out);
	assert_memory_equal(out.buf, want, sizeof(want)); /* and one pad */
	assert_int_equal(out.len % 4, 0);
	assert_memory_equal(out.buf + 120 + 110, "TRAILER!!!", 11);
	text_done(&out);
}

static void test_reader_gives_back_what_was_written(void **state)
{
	static const struct {
		const char *name;
		uint32_t mode;
		const char *data;
	} want[] = {
		{ "bin", S_IFDIR | 0755, "" },
		{ "bin/busybox", S_IFREG | 0755, "program" },
		{ "bin/sh", S_IFLNK | 0777, "busybox" },
		{ "dev", S_IFDIR | 0755, "" },
		{ "dev/console", S_IFCHR | 0600, "" },
	};
	const struct cpio_entry console = {
		.name = "dev/console",
		.mode = S_IFCHR | 0600,
		.rdev_major = 5,
		.rdev_minor = 1,
	};
	struct cpio_tree t;
	struct text out;
	struct cpio_reader r;
	struct cpio_entry n;

	(void)state;
	cpio_tree_init(&t);
	assert_int_equal(cpio_tree_add(&t, &console, CPIO_ONCE, NULL), 0);
	put(&t, "bin/busybox", S_IFREG | 0755, "program");
	put(&t, "bin/sh", S_IFLNK | 0777, "busybox");
	write_all(&t, &out);

	cpio_reader_init(&r, out.buf, out.len);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_int_equal(cpio_next(&r, &n, NULL), 1);
		assert_string_equal(n.name, want[i].name);
		assert_int_equal(n.mode, want[i].mode);
		assert_int_equal(n.size, strlen(want[i].data));
		assert_memory_equal(n.data, want[i].data, n.size);
	}
	assert_int_equal(n.rdev_major, 5);
	assert_int_equal(n.rdev_minor, 1);
	assert_int_equal(cpio_next(&r, &n, NULL), 0);
	assert_int_equal(r.archives, 1);
	text_done(&out);
}

static void test_archives_may_follow_each_other(void **state)
{
	struct cpio_tree t;
	struct text out;
	struct text all;
	struct cpio_reader r;
	struct cpio_entry n;

	(void)state;
	cpio_tree_init(&t);
	put(&t, "a", S_IFREG | 0644, "1");
	write_all(&t, &out);
	text_heap(&all, 1 << 20);
	text_addn(&all, "\0\0\0\0", 4);
	text_addn(&all, out.buf, out.len);
	text_addn(&all, "\0\0\0\0\0\0\0\0", 8);
	text_addn(&all, out.buf, out.len);
	text_addn(&all, "\0\0\0", 3);

	cpio_reader_init(&r, all.buf, all.len);
	assert_int_equal(cpio_next(&r, &n, NULL), 1);
	assert_int_equal(cpio_next(&r, &n, NULL), 1);
	assert_string_equal(n.name, "a");
	assert_int_equal(cpio_next(&r, &n, NULL), 0);
	assert_int_equal(r.archives, 2);
	text_done(&out);
	text_done(&all);
}

static void test_names_that_lead_elsewhere_are_refused(void **state)
{
	static const char *const names[] = { "",     "/",     "//a",
					     "a//b", "a/",    "../a",
					     "a/..", "a/./b", "a/../b",
					     ".",    "..",    "TRAILER!!!" };
	char longest[CPIO_NAME_MAX + 2];
	struct cpio_tree t;

	(void)state;
	cpio_tree_init(&t);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(
			add(&t, names[i], S_IFREG, "", CPIO_ONCE, NULL),
			-EINVAL);
	memset(longest, 'n', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(add(&t, longest, S_IFREG, "", CPIO_ONCE, NULL),
			 -EINVAL);
	longest[sizeof(longest) - 2] = '\0';
	assert_int_equal(add(&t, longest, S_IFREG, "", CPIO_ONCE, NULL), 0);
	assert_int_equal(t.count, 1);
	cpio_tree_done(&t);
}

/* Without an entry of its own the kernel leaves the root open to all. */
static void test_the_root_itself_has_an_entry(void **state)
{
	struct cpio_tree t;

	(void)state;
	cpio_tree_init(&t);
	assert_int_equal(add(&t, "/", S_IFDIR, "", CPIO_ONCE, NULL), 0);
	assert_int_equal(t.count, 1);
	assert_int_equal(add(&t, "", S_IFDIR, "", CPIO_ONCE, NULL), -EINVAL);
	cpio_tree_done(&t);
}

static void test_kinds_that_cannot_be_are_refused(void **state)
{
	struct cpio_tree t;
	struct err e = { 0 };

	(void)state;
	cpio_tree_init(&t);
	assert_int_equal(add(&t, "a", S_IFLNK, "", CPIO_ONCE, NULL), -EINVAL);
	assert_int_equal(add(&t, "a", S_IFDIR, "x", CPIO_ONCE, NULL), -EINVAL);
	assert_int_equal(add(&t, "a\x1b", 0644, "", CPIO_ONCE, &e), -EINVAL);
	assert_string_equal(e.text, "/a\\x1b: unknown kind of file");
	assert_int_equal(t.count, 0);
	cpio_tree_done(&t);
}

static int write_two(enum cpio_rank first, const char *a, enum cpio_rank second,
		     const char *b, char *got, size_t size)
{
	struct cpio_tree t;
	struct text out;
	struct cpio_reader r;
	struct cpio_entry n;
	int ret;

	cpio_tree_init(&t);
	assert_int_equal(add(&t, "f", S_IFREG, a, first, NULL), 0);
	assert_int_equal(add(&t, "f", S_IFREG, b, second, NULL), 0);
	text_heap(&out, 1 << 20);
	ret = cpio_tree_write(&t, 0, to_text, &out, NULL);
	if (ret == 0) {
		cpio_reader_init(&r, out.buf, out.len);
		assert_int_equal(cpio_next(&r, &n, NULL), 1);
		(void)snprintf(got, size, "%.*s", (int)n.size,
			       (const char *)n.data);
		assert_int_equal(cpio_next(&r, &n, NULL), 0);
	}
	cpio_tree_done(&t);
	text_done(&out);
	return ret;
}

static void test_one_name_twice_goes_by_rank(void **state)
{
	static const struct {
		enum cpio_rank first, second;
		const char *want; /* NULL: refused */
	} cases[] = {
		{ CPIO_ONCE, CPIO_ONCE, NULL },
		{ CPIO_REPLACE, CPIO_ONCE, NULL },
		{ CPIO_ONCE, CPIO_REPLACE, "2" },
		{ CPIO_REPLACE, CPIO_REPLACE, "2" },
		{ CPIO_WEAK, CPIO_ONCE, "2" },
		{ CPIO_ONCE, CPIO_WEAK, "1" },
		{ CPIO_WEAK, CPIO_WEAK, "2" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char got[8] = "";
		const int r = write_two(cases[i].first, "1", cases[i].second,
					"2", got, sizeof(got));

		assert_int_equal(r, cases[i].want ? 0 : -EEXIST);
		assert_string_equal(got, cases[i].want ? cases[i].want : "");
	}
}

static void test_file_below_a_file_is_refused(void **state)
{
	struct cpio_tree t;
	struct text out;
	struct err e = { 0 };

	(void)state;
	cpio_tree_init(&t);
	put(&t, "lib", S_IFLNK | 0777, "usr/lib");
	put(&t, "lib/modules/x", S_IFREG | 0644, "");
	text_heap(&out, 1 << 20);
	assert_int_equal(cpio_tree_write(&t, 0, to_text, &out, &e), -ENOTDIR);
	assert_non_null(strstr(e.text, "/lib: "));
	cpio_tree_done(&t);
	text_done(&out);
}

static void test_full_output_ends_the_writing(void **state)
{
	char small[200];
	struct cpio_tree t;
	struct text out;
	struct err e = { 0 };

	(void)state;
	cpio_tree_init(&t);
	put(&t, "a", S_IFREG | 0644, "1");
	put(&t, "b", S_IFREG | 0644, "2");
	text_fixed(&out, small, sizeof(small));
	assert_int_equal(cpio_tree_write(&t, 0, to_text, &out, &e), -ENOSPC);
	assert_string_equal(e.text, "no space left");
	cpio_tree_done(&t);
}

/* An archive of "a" (3 bytes) and the trailer, to be damaged. */
static void sample(struct text *out)
{
	struct cpio_tree t;

	cpio_tree_init(&t);
	put(&t, "a", S_IFREG | 0644, "123");
	write_all(&t, out);
}

/* A copy of exact size, so that AddressSanitizer sees a byte too much. */
static int read_all(const char *buf, size_t len, struct err *e)
{
	char *exact = malloc(len ? len : 1);
	struct cpio_reader r;
	struct cpio_entry n;
	volatile char seen = 0; /* each entry's last byte is really there */
	int got;

	assert_non_null(exact);
	if (len)
		memcpy(exact, buf, len);
	cpio_reader_init(&r, exact, len);
	while ((got = cpio_next(&r, &n, e)) > 0)
		if (n.size)
			seen = ((const char *)n.data)[n.size - 1];
	(void)seen;
	free(exact);
	return got;
}

static void test_image_cut_anywhere_is_refused(void **state)
{
	struct text out;
	const size_t last = 116 + 110 + 11; /* entry, trailer's header, name */

	(void)state;
	sample(&out);
	for (size_t len = 0; len < last; len++)
		assert_int_equal(read_all(out.buf, len, NULL), -EINVAL);
	assert_int_equal(read_all(out.buf, out.len, NULL), 0);
	text_done(&out);
}

static void test_every_damaged_field_is_refused(void **state)
{
	static const struct {
		size_t at;
		const char *bytes;
		const char *say;
	} cases[] = {
		{ 0, "070707", "byte 0: no newc header" },
		{ 0, "\x1f\x8b", "byte 0: no newc header" },
		{ 14, "0000 1ed", "not hexadecimal" },
		{ 54, "ffffffff", "inside an entry" },
		{ 54, "00000200", "inside an entry" },
		{ 94, "00000000", "name is empty or too long" },
		{ 94, "ffffffff", "name is empty or too long" },
		{ 94, "00001001", "name is empty or too long" },
		{ 94, "00001000", "inside an entry" },
		{ 94, "00000001", "a NUL elsewhere" },
		{ 94, "00000003", "a NUL elsewhere" },
		{ 0, "070702", "checksum is wrong" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = { 0 };
		struct text out;

		sample(&out);
		memcpy(out.buf + cases[i].at, cases[i].bytes,
		       strlen(cases[i].bytes));
		assert_int_equal(read_all(out.buf, out.len, &e), -EINVAL);
		if (!strstr(e.text, cases[i].say))
			fail_msg("%zu: '%s' lacks '%s'", i, e.text,
				 cases[i].say);
		text_done(&out);
	}
}

static void test_checksum_of_the_other_variant_is_accepted(void **state)
{
	struct text out;

	(void)state;
	sample(&out);
	memcpy(out.buf, "070702", 6);
	memcpy(out.buf + 102, "00000096", 8); /* '1' + '2' + '3' */
	assert_int_equal(read_all(out.buf, out.len, NULL), 0);
	text_done(&out);
}

static void test_second_archive_must_be_aligned(void **state)
{
	struct text out;
	struct text all;
	struct err e = { 0 };

	(void)state;
	sample(&out);
	text_heap(&all, 1 << 20);
	text_addn(&all, out.buf, out.len);
	text_addn(&all, "\0\0\0\0\0\0", 6);
	text_addn(&all, out.buf, out.len);
	assert_int_equal(read_all(all.buf, all.len, &e), -EINVAL);
	assert_non_null(strstr(e.text, "multiple of 4"));
	text_done(&out);
	text_done(&all);
}

static void test_number_of_entries_is_bounded(void **state)
{
	/* The smallest entry, over and over: header, one letter, padding. */
	const size_t one = 112;
	const size_t count = CPIO_ENTRIES_MAX + 1;
	char *image = malloc(one * count);
	struct cpio_reader r;
	struct cpio_entry n;
	struct text out;
	int got;

	(void)state;
	assert_non_null(image);
	sample(&out);
	memcpy(out.buf + 54, "00000000", 8); /* no data */
	for (size_t i = 0; i < count; i++)
		memcpy(image + i * one, out.buf, one);
	cpio_reader_init(&r, image, one * count);
	while ((got = cpio_next(&r, &n, NULL)) > 0)
		;
	assert_int_equal(got, -E2BIG);
	free(image);
	text_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_of_adding_does_not_matter),
		cmocka_unit_test(test_bytes_are_the_kernels_format),
		cmocka_unit_test(test_reader_gives_back_what_was_written),
		cmocka_unit_test(test_archives_may_follow_each_other),
		cmocka_unit_test(test_names_that_lead_elsewhere_are_refused),
		cmocka_unit_test(test_the_root_itself_has_an_entry),
		cmocka_unit_test(test_kinds_that_cannot_be_are_refused),
		cmocka_unit_test(test_one_name_twice_goes_by_rank),
		cmocka_unit_test(test_file_below_a_file_is_refused),
		cmocka_unit_test(test_full_output_ends_the_writing),
		cmocka_unit_test(test_image_cut_anywhere_is_refused),
		cmocka_unit_test(test_every_damaged_field_is_refused),
		cmocka_unit_test(
			test_checksum_of_the_other_variant_is_accepted),
		cmocka_unit_test(test_second_archive_must_be_aligned),
		cmocka_unit_test(test_number_of_entries_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
