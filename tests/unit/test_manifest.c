/* tests/unit/test_manifest.c - what goes into an image, as text */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/text.h"
#include "config/util.h"
#include "initramfs/manifest.h"
#include "tools/image_build.h"

static void test_every_kind_is_read(void **state)
{
	static const char text[] = "# a comment\n"
				   "\n"
				   "dir /tmp 1777\n"
				   "  file\t/init 0755   @init  \n"
				   "busybox /bin/busybox 755 /x/busybox\n"
				   "slink /bin/sh busybox\n"
				   "nod /dev/console 0600 c 5 1\n"
				   "nod /dev/vda 0600 b 254 0\n"
				   "text /etc/motd 0644 two  words\\nand \\\\\n"
				   "text /etc/empty 0644\n"
				   "module virtio_pci\n"
				   "module overlay later\n"
				   "module sd_mod if 1af4:1004 1af4:1048\n"
				   "runtime /usr/bin/crun 0755 @runtime\n";
	struct manifest m;
	struct err e = { 0 };
	const struct manifest_entry *n;

	(void)state;
	assert_int_equal(manifest_parse(&m, "m", text, strlen(text), &e), 0);
	assert_int_equal(m.count, 12);
	n = m.entries;
	assert_int_equal(n[0].kind, MANIFEST_DIR);
	assert_string_equal(n[0].path, "/tmp");
	assert_int_equal(n[0].mode, 01777);
	assert_int_equal(n[0].line, 3);
	assert_int_equal(n[1].kind, MANIFEST_FILE);
	assert_string_equal(n[1].path, "/init");
	assert_string_equal(n[1].arg, "@init");
	assert_int_equal(n[2].kind, MANIFEST_BUSYBOX);
	assert_int_equal(n[2].mode, 0755);
	assert_int_equal(n[3].kind, MANIFEST_SLINK);
	assert_string_equal(n[3].arg, "busybox");
	assert_int_equal(n[4].kind, MANIFEST_NOD);
	assert_false(n[4].block);
	assert_int_equal(n[4].major, 5);
	assert_int_equal(n[4].minor, 1);
	assert_true(n[5].block);
	assert_int_equal(n[6].kind, MANIFEST_TEXT);
	assert_string_equal(n[6].arg, "two  words\nand \\");
	assert_string_equal(n[7].arg, "");
	assert_int_equal(n[8].kind, MANIFEST_MODULE);
	assert_string_equal(n[8].arg, "virtio_pci");
	assert_false(n[8].later);
	assert_true(n[9].later);
	assert_int_equal(n[9].line, 12);
	assert_string_equal(n[9].devices, "");
	assert_string_equal(n[10].devices, "1af41004,1af41048");
	assert_false(n[10].later);
	assert_int_equal(n[11].kind, MANIFEST_RUNTIME);
	assert_string_equal(n[11].arg, "@runtime");
	manifest_done(&m);
}

static void test_errors_name_file_and_line(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *say;
	} cases[] = {
		{ "\nlink /a b\n", EINVAL, "m line 2: unknown kind 'link'" },
		{ "dir /a\n", EINVAL, "m line 1: want 'dir PATH MODE'" },
		{ "dir /a 0755 x\n", EINVAL, "want 'dir PATH MODE'" },
		{ "file /a 0755 b c\n", EINVAL, "want 'file" },
		{ "nod /a 0600 c 5\n", EINVAL, "want 'nod" },
		{ "nod /a 0600 c 5 1 2 3 4\n", EINVAL, "want 'nod" },
		{ "dir a 0755\n", EINVAL, "'a' is not an absolute path" },
		{ "dir /a 0758\n", EINVAL, "mode '0758' is not octal" },
		{ "dir /a -1\n", EINVAL, "mode '-1' is not octal" },
		{ "dir /a 10000\n", ERANGE, "above 7777" },
		{ "dir /a 0000000755\n", EINVAL, "is not octal" },
		{ "nod /a 0600 p 5 1\n", EINVAL, "'c' or 'b', not 'p'" },
		{ "nod /a 0600 c 4096 1\n", ERANGE, "major number" },
		{ "nod /a 0600 c 1 1048576\n", ERANGE, "minor number" },
		{ "nod /a 0600 c 0x1 1\n", EINVAL, "major number" },
		{ "text /a 0644 a\\t\n", EINVAL, "before 'n' or '\\' only" },
		{ "text /a 0644 a\\", EINVAL, "before 'n' or '\\' only" },
		{ "module\n", EINVAL,
		  "want 'module NAME [later | if DEVICE...]'" },
		{ "module a if\n", EINVAL, "not 'if'" },
		{ "module a later 1af4:1004\n", EINVAL, "not 'later'" },
		{ "module a if 1af41004\n", EINVAL, "not VENDOR:DEVICE" },
		{ "module a if 1af4:1O04\n", EINVAL, "digits are" },
		{ "runtime /a 0755\n", EINVAL, "want 'runtime" },
		{ "module a soon\n", EINVAL, "not 'soon'" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct manifest m;
		struct err e = { 0 };
		const int r = manifest_parse(&m, "m", cases[i].text,
					     strlen(cases[i].text), &e);

		if (r != -cases[i].code || !strstr(e.text, cases[i].say))
			fail_msg("%zu: %d, '%s' lacks '%s'", i, r, e.text,
				 cases[i].say);
		manifest_done(&m);
	}
}

static void test_nul_byte_is_refused(void **state)
{
	static const char text[] = "dir /a\0b 0755\n";
	struct manifest m;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(manifest_parse(&m, "m", text, sizeof(text) - 1, &e),
			 -EINVAL);
	assert_string_equal(e.text, "m line 1: a NUL byte");
	manifest_done(&m);
}

static int parse_text(const struct text *t)
{
	struct manifest m;
	const int r = manifest_parse(&m, "m", t->buf, t->len, NULL);

	manifest_done(&m);
	return r;
}

static void test_line_length_is_bounded(void **state)
{
	struct text t;

	(void)state;
	text_heap(&t, (size_t)2 * MANIFEST_LINE_MAX);
	text_add(&t, "text /a 0644 ");
	while (t.len < MANIFEST_LINE_MAX)
		text_addc(&t, 'x');
	assert_int_equal(parse_text(&t), 0);
	text_addc(&t, 'x');
	assert_int_equal(parse_text(&t), -E2BIG);
	text_done(&t);
}

static void test_number_of_entries_is_bounded(void **state)
{
	struct text t;

	(void)state;
	text_heap(&t, MANIFEST_MAX);
	for (int i = 0; i < MANIFEST_ENTRIES_MAX; i++)
		text_add(&t, "module a\n");
	assert_false(t.full);
	assert_int_equal(parse_text(&t), 0);
	text_add(&t, "module a\n");
	assert_int_equal(parse_text(&t), -E2BIG);
	text_done(&t);
}

static void test_default_manifest_is_sound(void **state)
{
	struct manifest m;
	struct err e = { 0 };

	(void)state;
	if (manifest_parse(&m, "default", image_manifest_default,
			   strlen(image_manifest_default), &e) < 0)
		fail_msg("%s", e.text);
	assert_true(m.count > 10);
	manifest_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind_is_read),
		cmocka_unit_test(test_errors_name_file_and_line),
		cmocka_unit_test(test_nul_byte_is_refused),
		cmocka_unit_test(test_line_length_is_bounded),
		cmocka_unit_test(test_number_of_entries_is_bounded),
		cmocka_unit_test(test_default_manifest_is_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
