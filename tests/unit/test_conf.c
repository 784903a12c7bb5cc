/* tests/unit/test_conf.c - the configuration file, and what it refuses */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/conf.h"
#include "config/util.h"

static int read_text(struct conf *c, const char *name, const char *text,
		     struct err *e)
{
	return conf_read(c, name, text, strlen(text), e);
}

static void test_settings_keep_value_and_origin(void **state)
{
	struct conf c;
	struct err e = { 0 };

	(void)state;
	conf_init(&c);
	assert_int_equal(
		read_text(&c, "a.conf",
			  "; comment\n[sandbox]\nprocessors = 3\r\n\n"
			  "[boot]\nstrict=False\n# more\n[annotations]\n"
			  "io.x = some text, with = and \"quotes\"\n",
			  &e),
		0);
	assert_int_equal(conf_u32(&c, CONF_SANDBOX_PROCESSORS), 3);
	assert_string_equal(c.value[CONF_SANDBOX_PROCESSORS].origin,
			    "a.conf:3");
	assert_int_equal(conf_bool(&c, CONF_BOOT_STRICT), TRI_FALSE);
	assert_int_equal(conf_bool(&c, CONF_LOG_SCRUB), TRI_UNSET);
	assert_int_equal(conf_u32(&c, CONF_SANDBOX_MEMORY_MIB), 0);
	assert_string_equal(conf_text(&c, CONF_BOOT_PROFILE), "qemu");
	assert_string_equal(c.value[CONF_BOOT_PROFILE].origin, "default");
	assert_string_equal(annotation_map_get(&c.annotations, "io.x"),
			    "some text, with = and \"quotes\"");
	assert_string_equal(annotation_map_get(&c.origins, "io.x"), "a.conf:9");
	conf_done(&c);
}

static void test_later_file_wins_key_by_key(void **state)
{
	struct conf c;

	(void)state;
	conf_init(&c);
	assert_int_equal(read_text(&c, "a",
				   "[sandbox]\nprocessors=3\n"
				   "memory_mib=256\n[annotations]\n"
				   "k=1\nl=2\n",
				   NULL),
			 0);
	assert_int_equal(read_text(&c, "b",
				   "[sandbox]\nprocessors=4\n"
				   "[annotations]\nk=9\n",
				   NULL),
			 0);
	assert_int_equal(conf_u32(&c, CONF_SANDBOX_PROCESSORS), 4);
	assert_string_equal(c.value[CONF_SANDBOX_PROCESSORS].origin, "b:2");
	assert_int_equal(conf_u32(&c, CONF_SANDBOX_MEMORY_MIB), 256);
	assert_string_equal(annotation_map_get(&c.annotations, "k"), "9");
	assert_string_equal(annotation_map_get(&c.annotations, "l"), "2");
	assert_string_equal(annotation_map_get(&c.origins, "k"), "b:4");
	conf_done(&c);
}

static void test_errors_name_file_line_and_field(void **state)
{
	static const struct {
		const char *text;
		const char *want;
	} cases[] = {
		{ "[sandbox]\nprocessors=0\n",
		  "f:2: processors: 0 is not in 1..1024" },
		{ "[sandbox]\nprocessors=1025\n",
		  "f:2: processors: 1025 is not in 1..1024" },
		{ "[sandbox]\nprocessors=-1\n",
		  "f:2: processors: '-1' is not a decimal number" },
		{ "[sandbox]\n\nprocessor=1\n",
		  "f:3: there is no key processor in [sandbox]" },
		{ "[sandbx]\nprocessors=1\n",
		  "f:2: there is no section [sandbx]" },
		{ "processors=1\n", "f:1: a key before the first section" },
		{ "[sandbox]\nprocessors=1\n[boot]\n[sandbox]\nprocessors=1\n",
		  "f:5: processors is given already in line 2" },
		{ "[annotations]\na=1\nb=2\na=1\n",
		  "f:4: a is given already at f:2" },
		{ "[boot]\nprofile=vmware\n",
		  "f:2: profile: 'vmware' is not one of qemu|hyperv" },
		{ "[boot]\nprofile=qemu|hyperv\n",
		  "f:2: profile: 'qemu|hyperv' is not one of qemu|hyperv" },
		{ "[boot]\nprofile=\n",
		  "f:2: profile: '' is not one of qemu|hyperv" },
		{ "[boot]\nstrict=yes\n",
		  "f:2: strict: 'yes' is not true or false" },
		{ "[boot]\nkernel=\n", "f:2: kernel: the value is empty" },
		{ "[boot]\nkernel\n",
		  "f:2: neither [section] nor key = value" },
		{ "[boot\nkernel=x\n",
		  "f:1: neither [section] nor key = value" },
		{ "[boot]\nkernel=/x\n  /y\n",
		  "f:3: the line is indented; continued lines are not supported" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct conf c;
		struct err e = { 0 };

		conf_init(&c);
		assert_int_equal(read_text(&c, "f", cases[i].text, &e),
				 strstr(cases[i].want, "is not in") ? -ERANGE
								    : -EINVAL);
		assert_string_equal(e.text, cases[i].want);
		conf_done(&c);
	}
}

/* inih alone makes a key of its own of the tail of a long line. */
static void test_long_line_is_refused_not_split(void **state)
{
	char text[512] = "[annotations]\nk=";
	const size_t head = strlen(text);
	const size_t line = strlen("[annotations]\n");
	struct conf c;
	struct err e = { 0 };

	(void)state;
	memset(text + head, 'v', sizeof(text) - head - 1);
	text[sizeof(text) - 1] = '\0';

	text[line + CONF_LINE_MAX] = '\0';
	conf_init(&c);
	assert_int_equal(read_text(&c, "f", text, &e), 0);
	assert_int_equal(strlen(annotation_map_get(&c.annotations, "k")),
			 CONF_LINE_MAX - 2);
	conf_done(&c);

	text[line + CONF_LINE_MAX] = 'v';
	text[line + CONF_LINE_MAX + 1] = '\0';
	conf_init(&c);
	assert_int_equal(read_text(&c, "f", text, &e), -EINVAL);
	assert_non_null(strstr(e.text, "f:2: the line has 198 bytes"));
	conf_done(&c);
}

static void test_nul_byte_and_large_file_are_refused(void **state)
{
	static const char nul[] = "[boot]\nkernel=/a\0b\n";
	static char large[CONF_FILE_MAX + 1];
	struct conf c;
	struct err e = { 0 };

	(void)state;
	conf_init(&c);
	assert_int_equal(conf_read(&c, "f", nul, sizeof(nul) - 1, &e), -EINVAL);
	assert_string_equal(e.text, "f:2: a NUL byte");
	conf_done(&c);

	memset(large, '\n', sizeof(large));
	conf_init(&c);
	assert_int_equal(conf_read(&c, "f", large, CONF_FILE_MAX, &e), 0);
	assert_int_equal(conf_read(&c, "f", large, sizeof(large), &e), -E2BIG);
	conf_done(&c);
}

/* What is dumped can be read again and says the same. */
static void test_dump_is_a_file_that_reads_back(void **state)
{
	struct text first, second;
	struct conf a, b;

	(void)state;
	conf_init(&a);
	conf_init(&b);
	text_heap(&first, 1u << 20);
	text_heap(&second, 1u << 20);
	assert_int_equal(read_text(&a, "f",
				   "[sandbox]\nprocessors=7\n[log]\n"
				   "level=warn\n[annotations]\nx.y=z\n",
				   NULL),
			 0);
	conf_dump(&a, &first);
	assert_non_null(strstr(first.buf, "processors = 7 ; f:2\n"));
	assert_non_null(strstr(first.buf, "# memory_mib =  ; not set\n"));
	assert_int_equal(read_text(&b, "g", first.buf, NULL), 0);
	for (size_t i = 0; i < CONF_KEYS; i++)
		assert_string_equal(a.value[i].text, b.value[i].text);
	assert_string_equal(annotation_map_get(&b.annotations, "x.y"), "z");
	text_done(&first);
	text_done(&second);
	conf_done(&a);
	conf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settings_keep_value_and_origin),
		cmocka_unit_test(test_later_file_wins_key_by_key),
		cmocka_unit_test(test_errors_name_file_line_and_field),
		cmocka_unit_test(test_long_line_is_refused_not_split),
		cmocka_unit_test(test_nul_byte_and_large_file_are_refused),
		cmocka_unit_test(test_dump_is_a_file_that_reads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
