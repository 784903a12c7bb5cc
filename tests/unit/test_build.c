#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "cmdline/build.h"
#include "cmdline/distribute.h"
#include "cmdline/rawtext.h"
#include "cmdline/roundtrip.h"
#include "cmdline/words.h"
#include "config/text.h"
#include "config/util.h"

#define HOSTILE_TEXTS                                                          \
	"--", "a -- b", "\"--\"", "\"", "a\"b", "x=\"", "\t", "\n", "\xa0",    \
		"\x80", "init=/bin/sh", "rdinit=/bin/sh", "root=/dev/sdb",     \
		"nr_cpus=9", "nr-cpus=9", "panic=5", "console=ttyS0",          \
		"initcall-blacklist=x", "ferry.mode=x", "hcsshim.cgroup=v1",   \
		"stray", "LD_PRELOAD=x", "a.b", "a.b=c", "printk.time=bogus",  \
		"8250.nr_uarts=zz", "loglevel", "loglevel=99", "quiet=1",      \
		"ro=1", "pci=off"

/* What init receives of a strict line, and the class when it is refused. */
static enum err_class build(struct sandbox_options *o, char *line)
{
	struct err e = { 0 };
	const int r = cmdline_build(o, line, CMDLINE_SIZE, &e);

	assert_int_equal(r < 0, e.class != ERR_NONE);
	if (r < 0)
		assert_string_equal(line, "");
	else
		assert_int_equal(r, strlen(line));
	return e.class;
}

static void test_profile_qemu(void **state UNUSED)
{
	struct sandbox_options o;
	char line[CMDLINE_SIZE];

	sandbox_options_init(&o);
	assert_int_equal(build(&o, line), ERR_NONE);
	assert_string_equal(line,
			    "8250.nr_uarts=0 panic=-1 quiet nr_cpus=2 "
			    "brd.rd_nr=0 pmtmr=0 -- -e 1 /bin/vsockexec -e 109 "
			    "/bin/gcs -v4 -log-format json -loglevel info");

	o.forwarder = FORWARDER_MIGRATABLE;
	o.rootfs = ROOTFS_VHD;
	o.root_device = "/dev/vda";
	o.writable_overlay = true;
	assert_int_equal(build(&o, line), ERR_NONE);
	assert_string_equal(line, "root=/dev/vda ro rootwait init=/init "
				  "8250.nr_uarts=0 panic=-1 quiet nr_cpus=2 "
				  "brd.rd_nr=0 pmtmr=0 -- -e 1 -w /bin/gcs -v4 "
				  "-log-format json -loglevel info");

	o.rootfs = ROOTFS_INITRD;
	o.kernel_direct = false; /* no initrd= under QEMU */
	o.pci_bus = false;
	o.console = true;
	o.console_device = "hvc0";
	o.scrub_logs = TRI_FALSE;
	assert_int_equal(build(&o, line), ERR_NONE);
	assert_string_equal(line, "console=hvc0 pci=off nr_cpus=2 brd.rd_nr=0 "
				  "pmtmr=0 -- -e 1 sh -c \"/bin/gcs -v4 "
				  "-log-format json -loglevel info "
				  "-scrub-logs=false& exec sh\"");
	sandbox_options_done(&o);
}

static void test_console_form_reaches_the_shell(void **state UNUSED)
{
	struct sandbox_options o;
	struct distribution d;
	char line[CMDLINE_SIZE];

	sandbox_options_init(&o);
	o.profile = PROFILE_HYPERV;
	o.console = true;
	assert_int_equal(build(&o, line), ERR_NONE);
	assert_int_equal(distribute(line, true, &d, NULL), 0);
	assert_int_equal(d.argc, 6);
	assert_string_equal(d.argv[3], "sh");
	assert_string_equal(d.argv[4], "-c");
	assert_string_equal(d.argv[5],
			    "/bin/vsockexec -e 109 /bin/gcs -v4 -log-format "
			    "json -loglevel info& exec sh");

	/* A shell would read this. */
	o.agent_args = "-core-dump-location=/;reboot";
	assert_int_equal(build(&o, line), ERR_TEXT_INVALID);
	o.console = false;
	assert_int_equal(build(&o, line), ERR_NONE);
	sandbox_options_done(&o);
}

static void test_boot_options(void **state UNUSED)
{
	static const struct {
		const char *text;
		enum err_class class;
	} rows[] = {
		{ "", ERR_NONE },
		{ "   ", ERR_NONE },
		{ " debug   loglevel=7 ", ERR_NONE },
		{ "printk.time=1 printk.time", ERR_NONE },
		{ "loglevel=15", ERR_NONE },
		{ "loglevel=16", ERR_TEXT_INVALID },
		{ "loglevel=", ERR_TEXT_INVALID },
		{ "log_buf_len=1M", ERR_NONE },
		{ "log-buf-len=1M", ERR_NONE },
		{ "log_buf_len=1T", ERR_TEXT_INVALID },
		{ "mitigations=auto,nosmt", ERR_NONE },
		{ "mitigations=auto,", ERR_TEXT_INVALID },
		{ "mitigations=auto|off", ERR_TEXT_INVALID },
		{ "rcu_nocbs=0,2-5", ERR_NONE },
		{ "rcu_nocbs=0,2-5-6", ERR_TEXT_INVALID },
		{ "rcu_nocbs=0,,2", ERR_TEXT_INVALID },
		{ "rcu_nocbs=2-", ERR_TEXT_INVALID },
		{ "\"loglevel=7\"", ERR_NONE },
		{ "loglevel=\"7\"", ERR_NONE },
		{ "loglevel", ERR_TEXT_INVALID },
		{ "quiet=1", ERR_TEXT_INVALID },
		{ "tsc", ERR_TEXT_STRAY_WORD },
		{ "frobnicate", ERR_TEXT_STRAY_WORD },
		{ "\"\"", ERR_TEXT_STRAY_WORD },
		{ "/bin/sh", ERR_TEXT_STRAY_WORD },
		{ "frob=1", ERR_TEXT_RESERVED },
		{ "a.b", ERR_TEXT_RESERVED },
		{ "init=/x", ERR_TEXT_RESERVED },
		{ "init", ERR_TEXT_RESERVED },
		{ "nr-cpus=1", ERR_TEXT_RESERVED },
		{ "panic=1", ERR_TEXT_RESERVED },
		{ "console=ttyS0", ERR_TEXT_RESERVED },
		{ "ferry.x=1", ERR_TEXT_RESERVED },
		{ "hcsshim.cgroup=v1", ERR_TEXT_RESERVED },
		{ "debug -- x", ERR_TEXT_SEPARATOR },
		{ "\"--\"", ERR_TEXT_SEPARATOR },
		{ "--=x", ERR_TEXT_RESERVED },
		{ "debug\"", ERR_TEXT_QUOTE },
		{ "debug\tquiet", ERR_TEXT_INVALID },
		{ "debug\x7f", ERR_TEXT_INVALID },
		{ "debug\xc3\xa0", ERR_TEXT_INVALID },
		{ "printk.time=bogus", ERR_TEXT_INVALID },
	};
	struct sandbox_options o;
	char line[CMDLINE_SIZE];

	sandbox_options_init(&o);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		o.kernel_boot_options = rows[i].text;
		assert_string_equal(err_class_name(build(&o, line)),
				    err_class_name(rows[i].class));
	}
	o.kernel_boot_options = "ro nokaslr debug";
	assert_int_equal(build(&o, line), ERR_NONE);
	assert_non_null(strstr(line, "nokaslr debug init=/init nr_cpus"));
	o.kernel_boot_options = " debug   loglevel=7 ";
	assert_int_equal(build(&o, line), ERR_NONE);
	assert_non_null(strstr(line, "quiet debug loglevel=7 nr_cpus"));
	sandbox_options_done(&o);
}

static void test_console_word_only_with_a_console(void **state UNUSED)
{
	static const struct {
		const char *value;
		bool good;
	} rows[] = {
		{ "ttyS0", true },
		{ "ttyS0,115200", true },
		{ "ttyS0,115200n8", true },
		{ "hvc0", true },
		{ "tty1", true },
		{ "ttyAMA0,9600n8r", true },
		{ "ttyS", false },
		{ "ttyS0,", false },
		{ "ttyS0,115200x", false },
		{ "null", false },
		{ "", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(
			words_check("console", rows[i].value, true, NULL) == 0,
			rows[i].good);
		assert_true(words_check("console", rows[i].value, false, NULL) <
			    0);
	}
	assert_true(words_check("console", NULL, true, NULL) < 0);
}

static void test_agent_args(void **state UNUSED)
{
	static const struct {
		const char *text;
		enum err_class class;
		bool migratable;
	} rows[] = {
		{ "-kmsgLogLevel 7", ERR_NONE, false },
		{ "  -scrub-logs   -kmsgLogLevel  7  ", ERR_NONE, false },
		{ "\"-scrub-logs\" -kmsgLogLevel=\"7\"", ERR_NONE, false },
		{ "-x", ERR_TEXT_RESERVED, false },
		{ "x\"y z\"", ERR_TEXT_STRAY_WORD, false },
		{ "\"\"", ERR_TEXT_STRAY_WORD, false },
		{ "-kmsgLogLevel", ERR_TEXT_INVALID, false },
		{ "-kmsgLogLevel -- 7", ERR_TEXT_SEPARATOR, false },
		{ "-x -- -y", ERR_TEXT_RESERVED, false },
		{ "-scrub-logs -- -y", ERR_TEXT_SEPARATOR, false },
		{ "\"", ERR_TEXT_QUOTE, false },
		{ "a\nb", ERR_TEXT_INVALID, false },
		{ "-e 5", ERR_TEXT_RESERVED, false },
		{ "-e 5", ERR_MIGRATION_INCOMPATIBLE, true },
		{ "-o7", ERR_MIGRATION_INCOMPATIBLE, true },
		{ "-e109", ERR_TEXT_RESERVED, true },
		{ "-extra", ERR_TEXT_RESERVED, true },
		{ "-disable-time-sync", ERR_NONE, true },
	};
	struct sandbox_options o;
	char line[CMDLINE_SIZE];

	sandbox_options_init(&o);
	o.forwarder = FORWARDER_MIGRATABLE;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		o.agent_args = rows[i].text;
		o.migratable = rows[i].migratable;
		assert_string_equal(err_class_name(build(&o, line)),
				    err_class_name(rows[i].class));
	}
	sandbox_options_done(&o);
}

static void test_single_values(void **state UNUSED)
{
	static const char *const bad_places[] = { "var",   "|/bin/sh",	"/a b",
						  "/a\"b", "/a'b",	"/a\tb",
						  "/a|b",  "/a\xc3\xa0" };
	struct sandbox_options o;
	char line[CMDLINE_SIZE];

	sandbox_options_init(&o);
	o.dump_location = "/var/dumps/core.%p";
	assert_int_equal(build(&o, line), ERR_NONE);
	for (size_t i = 0; i < ARRAY_LEN(bad_places); i++) {
		o.dump_location = bad_places[i];
		assert_int_equal(build(&o, line), ERR_TEXT_INVALID);
	}

	o.dump_location = "";
	o.log_level = "WARNING";
	assert_int_equal(build(&o, line), ERR_NONE);
	o.log_level = "loud";
	assert_int_equal(build(&o, line), ERR_TEXT_INVALID);
	o.log_level = "info -x";
	assert_int_equal(build(&o, line), ERR_TEXT_INVALID);
	sandbox_options_done(&o);
}

static void test_dmverity_table(void **state UNUSED)
{
	struct sandbox_options o;
	char line[CMDLINE_SIZE];

	sandbox_options_init(&o);
	o.rootfs = ROOTFS_VHD;
	o.dmverity = true;
	assert_int_equal(build(&o, line), ERR_DMVERITY_ARGS_MISSING);
	o.dmverity_args = "vroot,,,ro,0 8 verity 1 -- x=y";
	assert_int_equal(build(&o, line), ERR_NONE);
	o.dmverity_args = "a\"b";
	assert_int_equal(build(&o, line), ERR_TEXT_QUOTE);
	o.dmverity_args = "a\\b";
	assert_int_equal(build(&o, line), ERR_TEXT_QUOTE);
	o.strictness = COMPAT;
	assert_int_equal(build(&o, line), ERR_NONE);
	o.dmverity_args = "\xc3\xa4";
	assert_int_equal(build(&o, line), ERR_TEXT_QUOTE);
	sandbox_options_done(&o);
}

/* A boot option text of @n bytes, made of words that are allowed. */
static void fill_words(char *buf, size_t n)
{
	memset(buf, ' ', n);
	buf[n] = '\0';
	for (size_t i = 0; i + 3 <= n; i += 3)
		memcpy(buf + i, "rw ", 3);
	for (size_t i = n - n % 3; i < n; i++)
		buf[i] = ' ';
}

static void test_length_border(void **state UNUSED)
{
	char line[CMDLINE_SIZE], path[CMDLINE_SIZE];
	struct sandbox_options o;
	size_t base;

	sandbox_options_init(&o);
	o.dump_location = "/";
	assert_int_equal(build(&o, line), ERR_NONE);
	base = strlen(line) - 1;

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[CMDLINE_MAX - base] = '\0';
	o.dump_location = path;
	assert_int_equal(build(&o, line), ERR_NONE);
	assert_int_equal(strlen(line), CMDLINE_MAX);

	path[CMDLINE_MAX - base] = 'x';
	path[CMDLINE_MAX - base + 1] = '\0';
	assert_int_equal(build(&o, line), ERR_CMDLINE_TOO_LONG);

	/* Compat mode has no such limit; only the buffer's. */
	o.strictness = COMPAT;
	assert_int_equal(cmdline_build(&o, line, sizeof(line), NULL), -ENOBUFS);
	sandbox_options_done(&o);
}

static void test_args_border(void **state UNUSED)
{
	struct sandbox_options o;
	char line[CMDLINE_SIZE];
	char args[512];
	struct text t;

	/* The classic line has 11 arguments of its own. */
	sandbox_options_init(&o);
	text_fixed(&t, args, sizeof(args));
	for (int i = 11; i < 32; i++)
		text_add(&t, " -scrub-logs");
	o.agent_args = args;
	assert_int_equal(build(&o, line), ERR_NONE);
	text_add(&t, " -scrub-logs");
	assert_int_equal(build(&o, line), ERR_INIT_ARGS_OVERFLOW);
	sandbox_options_done(&o);
}

static void test_many_words_fit(void **state UNUSED)
{
	struct sandbox_options o;
	char line[CMDLINE_SIZE], words[CMDLINE_SIZE];

	sandbox_options_init(&o);
	fill_words(words, 1800);
	o.kernel_boot_options = words;
	assert_int_equal(build(&o, line), ERR_NONE);
	fill_words(words, 2040);
	assert_int_equal(build(&o, line), ERR_CMDLINE_TOO_LONG);
	sandbox_options_done(&o);
}

/* No text, wherever it is put, gets through if it changes another word. */
static void test_hostile_texts(void **state UNUSED)
{
	static const char *const texts[] = { HOSTILE_TEXTS };
	struct sandbox_options o;
	char line[CMDLINE_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		sandbox_options_init(&o);
		o.kernel_boot_options = texts[i];
		assert_int_not_equal(build(&o, line), ERR_NONE);
		o.kernel_boot_options = "";
		o.dump_location = texts[i];
		assert_int_not_equal(build(&o, line), ERR_NONE);
		o.dump_location = "";
		o.log_level = texts[i];
		assert_int_not_equal(build(&o, line), ERR_NONE);
		sandbox_options_done(&o);
	}
}

static void test_roundtrip_sees_each_difference(void **state UNUSED)
{
	static const struct {
		const char *line;
		enum err_class class;
	} rows[] = {
		{ "quiet panic=-1 -- -e 1 x", ERR_NONE },
		{ "quiet  panic=\"-1\"  -- \"-e\" 1 x", ERR_NONE },
		{ "quiet -- -e 1 x", ERR_CMDLINE_ROUNDTRIP },
		{ "quiet panic=-1 ro -- -e 1 x", ERR_CMDLINE_ROUNDTRIP },
		{ "panic=-1 quiet -- -e 1 x", ERR_CMDLINE_ROUNDTRIP },
		{ "quiet panic=-2 -- -e 1 x", ERR_CMDLINE_ROUNDTRIP },
		{ "quiet panic=zz -- -e 1 x", ERR_CMDLINE_ROUNDTRIP },
		{ "quiet panic=-1 -e 1 x", ERR_CMDLINE_ROUNDTRIP },
		{ "quiet panic=-1 -- -e 1", ERR_CMDLINE_ROUNDTRIP },
		{ "quiet panic=-1 -- -e 1 x y", ERR_CMDLINE_ROUNDTRIP },
		{ "quiet panic=-1 -- -e 1 y", ERR_CMDLINE_ROUNDTRIP },
		{ "quiet panic=-1 -- -e 1 x -- y", ERR_CMDLINE_ROUNDTRIP },
		{ "quiet panic=-1 -- -e 1 x --", ERR_NONE },
		{ "quiet panic=-1 a=b -- -e 1 x", ERR_CMDLINE_ROUNDTRIP },
		{ "quiet panic=-1 HOME=/x -- -e 1 x", ERR_CMDLINE_ROUNDTRIP },
		{ "quiet panic=-1 stray -- -e 1 x", ERR_CMDLINE_ROUNDTRIP },
		{ "quiet panic=-1 \"-- -e 1 x", ERR_CMDLINE_ROUNDTRIP },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct intent in;
		struct err e = { 0 };

		intent_init(&in);
		intent_kernel(&in, "quiet");
		intent_kernel(&in, "panic=-1");
		intent_arg(&in, "-e");
		intent_arg(&in, "1");
		intent_arg(&in, "x");
		(void)roundtrip_check(rows[i].line, &in, &e);
		assert_string_equal(err_class_name(e.class),
				    err_class_name(rows[i].class));
	}
}

static void test_env_border(void **state UNUSED)
{
	char line[CMDLINE_SIZE], copy[CMDLINE_SIZE];
	struct distribution d;
	struct err e = { 0 };
	struct text t;

	text_fixed(&t, line, sizeof(line));
	for (int i = 0; i < 31; i++)
		text_addf(&t, "e%02d=x ", i);
	memcpy(copy, line, sizeof(copy));
	assert_int_equal(distribute(copy, true, &d, NULL), 0);
	assert_int_equal(d.envc, 33);
	assert_null(d.envp[33]);

	text_add(&t, "one=more");
	assert_true(distribute(line, true, &d, &e) < 0);
	assert_int_equal(e.class, ERR_INIT_ENV_OVERFLOW);
}

static void test_programs(void **state UNUSED)
{
	char one[] = "w init=/sbin/x rdinit=/r -- a";
	char two[] = "w init=/sbin/x rdinit=/r -- a";
	struct distribution d;

	assert_int_equal(distribute(one, true, &d, NULL), 0);
	assert_string_equal(d.argv[0], "/r");
	assert_string_equal(d.argv[1], "a");
	assert_int_equal(distribute(two, false, &d, NULL), 0);
	assert_string_equal(d.argv[0], "/sbin/x");
}

static void test_bad_value_erases_arguments(void **state UNUSED)
{
	char line[] = "quiet panic=zz -- -e 1 x";
	struct distribution d;

	assert_int_equal(distribute(line, true, &d, NULL), 0);
	assert_int_equal(d.argc, 1);
	assert_string_equal(d.poison, "panic");
}

static void test_confidential_has_no_line(void **state UNUSED)
{
	struct sandbox_options o;
	char line[CMDLINE_SIZE] = "x";

	sandbox_options_init(&o);
	o.hardware_confidential = true;
	assert_int_equal(build(&o, line), ERR_NONE);
	assert_string_equal(line, "");
	sandbox_options_done(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_profile_qemu),
		cmocka_unit_test(test_console_form_reaches_the_shell),
		cmocka_unit_test(test_boot_options),
		cmocka_unit_test(test_console_word_only_with_a_console),
		cmocka_unit_test(test_agent_args),
		cmocka_unit_test(test_single_values),
		cmocka_unit_test(test_dmverity_table),
		cmocka_unit_test(test_length_border),
		cmocka_unit_test(test_args_border),
		cmocka_unit_test(test_many_words_fit),
		cmocka_unit_test(test_hostile_texts),
		cmocka_unit_test(test_roundtrip_sees_each_difference),
		cmocka_unit_test(test_env_border),
		cmocka_unit_test(test_programs),
		cmocka_unit_test(test_bad_value_erases_arguments),
		cmocka_unit_test(test_confidential_has_no_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
