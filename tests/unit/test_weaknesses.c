/*
 * The known weaknesses of the reference's builder, one test each: what strict
 * mode does instead. Ids: shared specification cmdline.md 14.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "cmdline/build.h"
#include "cmdline/distribute.h"
#include "config/annotations.h"
#include "config/options.h"
#include "config/util.h"

#define VM "io.microsoft.virtualmachine."
#define LCOW VM "lcow."
#define TOPOLOGY VM "computetopology."
#define COUNT TOPOLOGY "processor.count"
#define MEMORY TOPOLOGY "memory.sizeinmb"
#define BOOT_OPTIONS LCOW "kernelbootoptions"
#define AGENT_ARGS LCOW "extra-exec-command-args"
#define DUMP "io.microsoft.container.processdumplocation"
#define MIGRATION "io.microsoft.migration.support-enabled"
#define UNSAFE "io.microsoft.disable-unsafe-operations"

#define PAIRS_MAX 6

/* What a test puts in, and what came out. */
static struct annotation_map map;
static struct runtime_options runtime;
static struct sandbox_options options;
static char line[CMDLINE_SIZE];
static struct err failure;

static int set_up(void **state UNUSED)
{
	const struct runtime_options unset = RUNTIME_OPTIONS_DEFAULT;

	annotation_map_init(&map);
	sandbox_options_init(&options);
	runtime = unset;
	return 0;
}

static int tear_down(void **state UNUSED)
{
	annotation_map_done(&map);
	sandbox_options_done(&options);
	return 0;
}

static void set(const char *key, const char *value)
{
	assert_int_equal(annotation_map_set(&map, key, value, NULL), 0);
}

/* Options, then the line. Return: the class, ERR_NONE when there is a line. */
static enum err_class build(void)
{
	sandbox_options_done(&options);
	sandbox_options_init(&options);
	failure = (struct err){ 0 };
	line[0] = '\0';
	if (sandbox_options_build(&options, &map, &runtime, &failure) == 0)
		(void)cmdline_build(&options, line, sizeof(line), &failure);
	return failure.class;
}

/* What one annotation does. */
static enum err_class alone(const char *key, const char *value)
{
	annotation_map_done(&map);
	set(key, value);
	return build();
}

static void test_w_c1_console_form_reaches_the_shell(void **state UNUSED)
{
	struct distribution d;

	runtime.console = true;
	runtime.profile = PROFILE_HYPERV;
	assert_int_equal(build(), ERR_NONE);
	assert_int_equal(distribute(line, true, &d, NULL), 0);
	assert_string_equal(d.argv[d.argc - 3], "sh");
	assert_string_equal(d.argv[d.argc - 2], "-c");
	assert_null(strchr(d.argv[d.argc - 1], '"'));
	assert_non_null(strstr(d.argv[d.argc - 1], "& exec sh"));
}

static void test_w_c2_separator_in_boot_options(void **state UNUSED)
{
	assert_int_equal(alone(BOOT_OPTIONS, "-- /bin/sh -c \"reboot\""),
			 ERR_TEXT_SEPARATOR);
	assert_int_equal(alone(BOOT_OPTIONS, "debug"), ERR_NONE);
}

static void test_w_c3_stray_word_in_boot_options(void **state UNUSED)
{
	assert_int_equal(alone(BOOT_OPTIONS, "frobnicate"),
			 ERR_TEXT_STRAY_WORD);
}

static void test_w_c4_quote_that_is_never_closed(void **state UNUSED)
{
	assert_int_equal(alone(BOOT_OPTIONS, "debug \"quiet"), ERR_TEXT_QUOTE);
	set(BOOT_OPTIONS, "");
	set(LCOW "dmverity-mode", "true");
	set(LCOW "dmverity-create-args", "0 8 verity \"");
	runtime.rootfs = ROOTFS_VHD;
	assert_int_equal(build(), ERR_TEXT_QUOTE);
	set(LCOW "dmverity-create-args", "0 8 verity \\");
	assert_int_equal(build(), ERR_TEXT_QUOTE);
	set(LCOW "dmverity-create-args", "0 8 verity 1");
	assert_int_equal(build(), ERR_NONE);
}

static void test_w_c5_init_of_boot_options(void **state UNUSED)
{
	assert_int_equal(alone(BOOT_OPTIONS, "init=/bin/sh"),
			 ERR_TEXT_RESERVED);
	assert_int_equal(alone(BOOT_OPTIONS, "rdinit=/bin/sh"),
			 ERR_TEXT_RESERVED);
}

static void test_w_c6_separator_behind_the_agent(void **state UNUSED)
{
	assert_int_equal(alone(DUMP, "/a -- x"), ERR_TEXT_INVALID);
	assert_int_equal(alone(DUMP, "/a b"), ERR_TEXT_INVALID);
	assert_int_equal(alone(AGENT_ARGS, "-kmsgLogLevel 7 -- -scrub-logs"),
			 ERR_TEXT_SEPARATOR);
	assert_int_equal(alone(AGENT_ARGS, "-kmsgLogLevel 7 -scrub-logs"),
			 ERR_NONE);
}

static void test_w_c7_dump_location_that_is_a_program(void **state UNUSED)
{
	static const struct {
		const char *args;
		enum err_class class;
	} rows[] = {
		{ "-core-dump-location=|/bin/sh", ERR_TEXT_INVALID },
		{ "-core-dump-location |/bin/sh", ERR_TEXT_INVALID },
		{ "--core-dump-location=|/bin/sh", ERR_TEXT_INVALID },
		{ "--core-dump-location |/bin/sh", ERR_TEXT_INVALID },
		{ "\"-core-dump-location= |/bin/sh\"", ERR_TEXT_INVALID },
		{ "-core-dump-location=\"|/bin/sh\"", ERR_TEXT_INVALID },
		{ "-scrub-logs -core-dump-location=|/x", ERR_TEXT_INVALID },
		{ "-core-dump-location", ERR_TEXT_INVALID },
		{ "-core-dump-location=/var/core", ERR_NONE },
		{ "-core-dump-location /var/core", ERR_NONE },
		/* Who runs the agent, and for whom, is not to be said here. */
		{ "-use-inouterr", ERR_TEXT_RESERVED },
		{ "-transport unix:/x", ERR_TEXT_RESERVED },
		{ "-logfile=/bin/gcs", ERR_TEXT_RESERVED },
		{ "-v4=false", ERR_TEXT_RESERVED },
		{ "-bogus", ERR_TEXT_RESERVED },
		{ "-loglevel bogus", ERR_TEXT_INVALID },
	};

	assert_int_equal(alone(DUMP, "|/bin/sh"), ERR_TEXT_INVALID);
	assert_int_equal(alone(DUMP, "/var/core"), ERR_NONE);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(
			err_class_name(alone(AGENT_ARGS, rows[i].args)),
			err_class_name(rows[i].class));
}

static void test_w_c8_line_that_is_too_long(void **state UNUSED)
{
	char path[CMDLINE_SIZE];
	size_t rest;

	assert_int_equal(alone(DUMP, "/"), ERR_NONE);
	rest = CMDLINE_MAX - strlen(line) + 1;
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[rest] = '\0';
	assert_int_equal(alone(DUMP, path), ERR_NONE);
	assert_int_equal(strlen(line), CMDLINE_MAX);
	path[rest] = 'x';
	path[rest + 1] = '\0';
	assert_int_equal(alone(DUMP, path), ERR_CMDLINE_TOO_LONG);
}

static void test_w_c9_too_many_arguments(void **state UNUSED)
{
	char words[512] = "";

	/* The classic line has 11 of the 32 already. */
	for (int i = 0; i < 21; i++)
		strcat(words, "-scrub-logs ");
	assert_int_equal(alone(AGENT_ARGS, words), ERR_NONE);
	strcat(words, "-scrub-logs");
	assert_int_equal(alone(AGENT_ARGS, words), ERR_INIT_ARGS_OVERFLOW);
	/* No word can become an environment entry at all. */
	assert_int_equal(alone(BOOT_OPTIONS, "HOME=/x"), ERR_TEXT_RESERVED);
}

static void test_w_c10_malformed_value_is_an_error(void **state UNUSED)
{
	static const char *const keys[] = {
		LCOW "dmverity-mode",
		VM "fullyphysicallybacked",
		VM "fileshares.disablewritable",
		MIGRATION,
		LCOW "timesync.disable",
	};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		assert_int_equal(alone(keys[i], "yes"),
				 ERR_ANNOTATION_MALFORMED);
		assert_non_null(strstr(failure.text, keys[i]));
	}
}

static void test_w_c11_malformed_value_and_a_default(void **state UNUSED)
{
	struct annotation_map defaults;

	annotation_map_init(&defaults);
	assert_int_equal(annotation_map_set(&defaults, COUNT, "4", NULL), 0);
	runtime.defaults = &defaults;
	assert_int_equal(build(), ERR_NONE);
	assert_int_equal(options.processor_count, 4);
	/* It still blocks the default, but not in silence. */
	set(COUNT, "four");
	assert_int_equal(build(), ERR_ANNOTATION_MALFORMED);
	annotation_map_done(&defaults);
}

static void test_w_c12_malformed_list_is_told(void **state UNUSED)
{
	const char *key = TOPOLOGY "numa.mapped-physical-nodes";

	assert_int_equal(alone(key, "0, 1"), ERR_ANNOTATION_MALFORMED);
	runtime.strictness = COMPAT;
	assert_int_equal(build(), ERR_NONE);
	assert_int_equal(options.notes.n, 1);
	assert_int_equal(options.notes.item[0].kind, NOTE_DEFAULTED);
}

static void test_w_c13_limit_and_weight_have_a_range(void **state UNUSED)
{
	static const struct {
		const char *key;
		const char *value;
		enum err_class class;
	} rows[] = {
		{ TOPOLOGY "processor.limit", "-1", ERR_ANNOTATION_RANGE },
		{ TOPOLOGY "processor.limit", "0", ERR_NONE },
		{ TOPOLOGY "processor.limit", "100000", ERR_NONE },
		{ TOPOLOGY "processor.limit", "100001", ERR_ANNOTATION_RANGE },
		{ TOPOLOGY "processor.weight", "-1", ERR_ANNOTATION_RANGE },
		{ TOPOLOGY "processor.weight", "10000", ERR_NONE },
		{ TOPOLOGY "processor.weight", "10001", ERR_ANNOTATION_RANGE },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(alone(rows[i].key, rows[i].value),
				 rows[i].class);
}

static void test_w_c14_memory_does_not_wrap(void **state UNUSED)
{
	assert_int_equal(alone(MEMORY, "18446744073709551615"),
			 ERR_ANNOTATION_RANGE);
	assert_int_equal(alone(MEMORY, "16777217"), ERR_ANNOTATION_RANGE);
	assert_int_equal(alone(MEMORY, "16777216"), ERR_NONE);
	assert_int_equal(alone(MEMORY, "63"), ERR_ANNOTATION_RANGE);
	assert_int_equal(alone(MEMORY, "64"), ERR_NONE);
	annotation_map_done(&map);
	runtime.memory_mib = -2;
	assert_int_equal(build(), ERR_ANNOTATION_RANGE);
}

static void test_w_c15_storage_limits_have_a_range(void **state UNUSED)
{
	set(VM "storageqos.iopsmaximum", "100");
	set(VM "storageqos.bandwidthmaximum", "-1");
	assert_int_equal(build(), ERR_ANNOTATION_RANGE);
	set(VM "storageqos.bandwidthmaximum", "2147483648");
	assert_int_equal(build(), ERR_ANNOTATION_MALFORMED);
	set(VM "storageqos.bandwidthmaximum", "2147483647");
	assert_int_equal(build(), ERR_NONE);
}

/* @n explicit nodes on any node of the host, a processor and 64 MiB each. */
static enum err_class with_nodes(size_t n, const char *first_processors,
				 const char *total)
{
	char mapped[512] = "", processors[512] = "", blocks[512] = "";

	for (size_t i = 0; i < n; i++) {
		strcat(mapped, i ? ",255" : "255");
		strcat(processors, i ? ",1" : first_processors);
		strcat(blocks, i ? ",64" : "64");
	}
	set(VM "fullyphysicallybacked", "true");
	set(TOPOLOGY "numa.mapped-physical-nodes", mapped);
	set(TOPOLOGY "numa.count-of-processors", processors);
	set(TOPOLOGY "numa.count-of-memory-blocks", blocks);
	set(COUNT, total);
	return build();
}

static void test_w_c16_numa_nodes_and_their_sums(void **state UNUSED)
{
	set(MEMORY, "4096"); /* 64 nodes of 64 MiB */
	assert_int_equal(with_nodes(64, "1", "64"), ERR_NONE);
	assert_int_equal(with_nodes(65, "1", "65"), ERR_NUMA_NODE_RANGE);
	/* 4294967295 and 63 more are 62 modulo 2^32. */
	assert_int_equal(with_nodes(64, "4294967295", "62"),
			 ERR_NUMA_CPU_TOTAL);
}

static bool only_kernel(void *ctx UNUSED, const char *root UNUSED,
			const char *name)
{
	return !name || strcmp(name, "vmlinux") == 0;
}

static void test_w_c17_missing_initrd_is_noticed(void **state UNUSED)
{
	runtime.boot_file = only_kernel;
	assert_int_equal(build(), ERR_ROOTFS_MISSING);
	runtime.strictness = COMPAT;
	assert_int_equal(build(), ERR_NONE);
}

static void test_w_c18_rules_follow_the_platform(void **state UNUSED)
{
	set(VM "devices.virtualpmem.maximumcount", "1");
	assert_int_equal(build(), ERR_VPMEM_UNSUPPORTED);
	runtime.platform = "linux/arm64";
	assert_int_equal(build(), ERR_NONE);
	annotation_map_done(&map);
	runtime.console = true;
	assert_int_equal(build(), ERR_NONE);
	assert_non_null(strstr(line, "console=ttyAMA0,115200"));
	assert_null(strstr(line, "8250"));
	runtime.console = false;
	assert_int_equal(build(), ERR_NONE);
	assert_null(strstr(line, "8250"));
	runtime.profile = PROFILE_HYPERV;
	assert_int_equal(build(), ERR_NONE);
	assert_null(strstr(line, "8250"));
	assert_false(options.kernel_direct);
	set(LCOW "kerneldirectboot", "true");
	assert_int_equal(build(), ERR_KERNEL_DIRECT_UNSUPPORTED);
}

static void test_w_c19_devices_lift_pci_off(void **state UNUSED)
{
	static const struct sandbox_device device = { "a", "vpci" };

	runtime.profile = PROFILE_HYPERV;
	assert_int_equal(build(), ERR_NONE);
	assert_non_null(strstr(line, " pci=off "));
	runtime.devices = &device;
	runtime.n_devices = 1;
	assert_int_equal(build(), ERR_NONE);
	assert_null(strstr(line, "pci=off"));
}

static void test_w_c20_migratable_is_recorded(void **state UNUSED)
{
	/* The words that the reference looks for make nothing migratable. */
	set(AGENT_ARGS, "/bin/vsockexec -r -e 109");
	assert_int_equal(build(), ERR_TEXT_STRAY_WORD);
	runtime.strictness = COMPAT;
	assert_int_equal(build(), ERR_NONE);
	assert_non_null(strstr(line, "/bin/vsockexec -r -e 109"));
	assert_false(options.migratable);
	runtime.strictness = STRICT;
	annotation_map_done(&map);
	set(MIGRATION, "true");
	assert_int_equal(build(), ERR_NONE);
	assert_true(options.migratable);
}

static void test_w_c21_refused_when_built(void **state UNUSED)
{
	static const struct sandbox_device device = { "a", "vpci" };

	set(MIGRATION, "true");
	set(VM "cpugroup.id", "group");
	assert_int_equal(build(), ERR_MIGRATION_INCOMPATIBLE);
	set(VM "cpugroup.id", "");
	assert_int_equal(build(), ERR_NONE);
	runtime.devices = &device;
	runtime.n_devices = 1;
	assert_int_equal(build(), ERR_MIGRATION_INCOMPATIBLE);
}

static void test_w_c29_expansion_compares_meaning(void **state UNUSED)
{
	const char *target = VM "fileshares.disablewritable";

	set(UNSAFE, "true");
	set(target, "True");
	assert_int_equal(build(), ERR_NONE);
	assert_true(options.no_writable_file_shares);
	set(target, "false");
	assert_int_equal(build(), ERR_ANNOTATION_CONFLICT);
	assert_int_equal(map.n, 2); /* what the caller gave is not touched */
	runtime.strictness = COMPAT;
	set(target, "True");
	assert_int_equal(build(), ERR_ANNOTATION_CONFLICT);
}

static void test_w_c30_skip_networking_is_a_plain_bool(void **state UNUSED)
{
	const char *key = "io.microsoft.cri.skip-pod-networking";

	assert_int_equal(alone(key, "true"), ERR_NONE);
	assert_int_equal(alone(key, "FALSE"), ERR_NONE);
	assert_int_equal(alone(key, "1"), ERR_ANNOTATION_MALFORMED);
	assert_int_equal(alone(key, "yes"), ERR_ANNOTATION_MALFORMED);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_w_c1_console_form_reaches_the_shell),
		TEST(test_w_c2_separator_in_boot_options),
		TEST(test_w_c3_stray_word_in_boot_options),
		TEST(test_w_c4_quote_that_is_never_closed),
		TEST(test_w_c5_init_of_boot_options),
		TEST(test_w_c6_separator_behind_the_agent),
		TEST(test_w_c7_dump_location_that_is_a_program),
		TEST(test_w_c8_line_that_is_too_long),
		TEST(test_w_c9_too_many_arguments),
		TEST(test_w_c10_malformed_value_is_an_error),
		TEST(test_w_c11_malformed_value_and_a_default),
		TEST(test_w_c12_malformed_list_is_told),
		TEST(test_w_c13_limit_and_weight_have_a_range),
		TEST(test_w_c14_memory_does_not_wrap),
		TEST(test_w_c15_storage_limits_have_a_range),
		TEST(test_w_c16_numa_nodes_and_their_sums),
		TEST(test_w_c17_missing_initrd_is_noticed),
		TEST(test_w_c18_rules_follow_the_platform),
		TEST(test_w_c19_devices_lift_pci_off),
		TEST(test_w_c20_migratable_is_recorded),
		TEST(test_w_c21_refused_when_built),
		TEST(test_w_c29_expansion_compares_meaning),
		TEST(test_w_c30_skip_networking_is_a_plain_bool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
