/* NUMA, devices, socket services and confidential sandboxes. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "config/confidential.h"
#include "config/options.h"
#include "config/text.h"
#include "config/util.h"

#define VM "io.microsoft.virtualmachine."
#define TOPOLOGY VM "computetopology."
#define MAPPED TOPOLOGY "numa.mapped-physical-nodes"
#define PROCESSORS TOPOLOGY "numa.count-of-processors"
#define BLOCKS TOPOLOGY "numa.count-of-memory-blocks"
#define MAX_PROCESSORS TOPOLOGY "processor.numa.max-processors-per-node"
#define MAX_SIZE TOPOLOGY "processor.numa.max-size-per-node"
#define BACKED VM "fullyphysicallybacked"
#define MIGRATION "io.microsoft.migration.support-enabled"
#define POLICY VM "lcow.securitypolicy"

#define PAIRS_MAX 6

struct pair {
	const char *key;
	const char *value;
};

static enum err_class build(struct sandbox_options *o,
			    const struct runtime_options *r,
			    const struct pair *pairs)
{
	struct annotation_map m;
	struct err e = { 0 };

	annotation_map_init(&m);
	for (size_t i = 0; i < PAIRS_MAX && pairs[i].key; i++)
		assert_int_equal(annotation_map_set(&m, pairs[i].key,
						    pairs[i].value, NULL),
				 0);
	sandbox_options_init(o);
	(void)sandbox_options_build(o, &m, r, &e);
	annotation_map_done(&m);
	return e.class;
}

static void test_numa(void **state UNUSED)
{
	static const struct {
		enum err_class class;
		struct pair pairs[PAIRS_MAX];
	} rows[] = {
		{ ERR_NONE,
		  { { BACKED, "1" },
		    { MAPPED, "0,1" },
		    { PROCESSORS, "2,2" },
		    { BLOCKS, "1024,1024" } } },
		{ ERR_NUMA_NEEDS_PHYSICAL,
		  { { MAPPED, "0,1" },
		    { PROCESSORS, "2,2" },
		    { BLOCKS, "1024,1024" } } },
		{ ERR_NUMA_COUNT_MISMATCH,
		  { { BACKED, "1" },
		    { MAPPED, "0,1" },
		    { PROCESSORS, "2,2" },
		    { BLOCKS, "1024" } } },
		{ ERR_NUMA_NODE_RANGE,
		  { { BACKED, "1" },
		    { MAPPED, "0,64" },
		    { PROCESSORS, "2,2" },
		    { BLOCKS, "1024,1024" } } },
		{ ERR_NONE,
		  { { BACKED, "1" },
		    { MAPPED, "0,63" },
		    { PROCESSORS, "2,2" },
		    { BLOCKS, "1024,1024" } } },
		{ ERR_NONE,
		  { { BACKED, "1" },
		    { MAPPED, "255,255" },
		    { PROCESSORS, "2,2" },
		    { BLOCKS, "1024,1024" } } },
		{ ERR_NUMA_WILDCARD_MIX,
		  { { BACKED, "1" },
		    { MAPPED, "255,0" },
		    { PROCESSORS, "2,2" },
		    { BLOCKS, "1024,1024" } } },
		{ ERR_NUMA_ZERO_MEMORY,
		  { { BACKED, "1" },
		    { MAPPED, "0,1" },
		    { PROCESSORS, "2,2" },
		    { BLOCKS, "2048,0" } } },
		{ ERR_NUMA_PARTIAL,
		  { { BACKED, "1" },
		    { MAPPED, "0,1" },
		    { PROCESSORS, "0,0" },
		    { BLOCKS, "1024,1024" } } },
		{ ERR_NUMA_CPU_TOTAL,
		  { { BACKED, "1" },
		    { MAPPED, "0,1" },
		    { PROCESSORS, "2,1" },
		    { BLOCKS, "1024,1024" } } },
		{ ERR_NUMA_CPU_TOTAL, /* 2^32 + 4 */
		  { { BACKED, "1" },
		    { MAPPED, "0,1" },
		    { PROCESSORS, "4294967295,5" },
		    { BLOCKS, "1024,1024" } } },
		{ ERR_NUMA_MEMORY_TOTAL,
		  { { BACKED, "1" },
		    { MAPPED, "0,1" },
		    { PROCESSORS, "2,2" },
		    { BLOCKS, "1024,1023" } } },
		{ ERR_NUMA_IMPLICIT_INCOMPLETE,
		  { { BACKED, "1" }, { MAX_PROCESSORS, "2" } } },
		{ ERR_NONE,
		  { { BACKED, "1" },
		    { MAX_PROCESSORS, "2" },
		    { MAX_SIZE, "512" } } },
		{ ERR_NONE,
		  { { MIGRATION, "1" },
		    { BACKED, "1" },
		    { MAPPED, "255,255" },
		    { PROCESSORS, "2,2" },
		    { BLOCKS, "1024,1024" } } },
		{ ERR_MIGRATION_INCOMPATIBLE,
		  { { MIGRATION, "1" },
		    { BACKED, "1" },
		    { MAPPED, "0,1" },
		    { PROCESSORS, "2,2" },
		    { BLOCKS, "1024,1024" } } },
	};
	struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;

	r.processor_count = 4;
	r.memory_mib = 2048;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sandbox_options o;

		assert_string_equal(
			err_class_name(build(&o, &r, rows[i].pairs)),
			err_class_name(rows[i].class));
		sandbox_options_done(&o);
	}
}

/* @n nodes of one processor and 2 MiB each. */
static enum err_class many_nodes(enum strictness strictness, int n)
{
	struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
	char mapped[300], processors[300], blocks[300];
	struct text tm, tp, tb;
	struct sandbox_options o;
	enum err_class class;

	text_fixed(&tm, mapped, sizeof(mapped));
	text_fixed(&tp, processors, sizeof(processors));
	text_fixed(&tb, blocks, sizeof(blocks));
	for (int i = 0; i < n; i++) {
		text_addf(&tm, "%s255", i ? "," : "");
		text_addf(&tp, "%s1", i ? "," : "");
		text_addf(&tb, "%s2", i ? "," : "");
	}
	r.strictness = strictness;
	r.processor_count = n;
	r.memory_mib = 2 * n;
	class = build(
		&o, &r,
		(const struct pair[PAIRS_MAX]){ { BACKED, "1" },
						{ MAPPED, mapped },
						{ PROCESSORS, processors },
						{ BLOCKS, blocks } });
	sandbox_options_done(&o);
	return class;
}

static void test_number_of_nodes(void **state UNUSED)
{
	assert_int_equal(many_nodes(STRICT, 64), ERR_NONE);
	assert_int_equal(many_nodes(STRICT, 65), ERR_NUMA_NODE_RANGE);
	assert_int_equal(many_nodes(COMPAT, 65), ERR_NONE);
	assert_int_equal(many_nodes(COMPAT, 66), ERR_NUMA_NODE_RANGE);
}

static void test_devices(void **state UNUSED)
{
	static const struct sandbox_device devices[] = {
		{ "b/65535", "gpu" },
		{ "b/65536", "vpci" },
		{ "a", "vpci-instance-id" },
		{ "x", "VPCI" },
		{ "b", "vpci" },
	};
	static const struct sandbox_device twice[] = { { "a", "vpci" },
						       { "a/0", "gpu" } };
	const struct pair none[PAIRS_MAX] = { { NULL, NULL } };
	const struct pair migration[PAIRS_MAX] = { { MIGRATION, "1" } };
	struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
	struct sandbox_options o;

	r.devices = devices;
	r.n_devices = ARRAY_LEN(devices);
	assert_int_equal(build(&o, &r, none), ERR_NONE);
	assert_int_equal(o.assigned.n, 4);
	assert_string_equal(o.assigned.item[0], "a#0");
	assert_string_equal(o.assigned.item[1], "b#0");
	assert_string_equal(o.assigned.item[2], "b#65535");
	assert_string_equal(o.assigned.item[3], "b/65536#0");
	assert_int_equal(o.notes.n, 1);
	sandbox_options_done(&o);

	assert_int_equal(build(&o, &r, migration), ERR_MIGRATION_INCOMPATIBLE);
	sandbox_options_done(&o);

	r.devices = twice;
	r.n_devices = ARRAY_LEN(twice);
	assert_int_equal(build(&o, &r, none), ERR_VPCI_DUPLICATE);
	sandbox_options_done(&o);
}

static bool no_brackets(const char *text)
{
	return text[0] == '{';
}

static void test_services(void **state UNUSED)
{
	static const struct pair pairs[PAIRS_MAX] = {
		{ VM "hv-socket.service-table.ABCDEF01-2345-6789-abcd-"
		     "ef0123456789",
		  "{}" },
		{ VM "hv-socket.service-table.12345678-1234-5678-1234-"
		     "567812345678",
		  "[]" },
		{ VM "hv-socket.service-table.x", "{}" },
	};
	struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
	struct sandbox_options o;

	r.service_json = no_brackets;
	assert_int_equal(build(&o, &r, pairs), ERR_NONE);
	assert_int_equal(o.services.n, 1);
	assert_string_equal(o.services.item[0],
			    "abcdef01-2345-6789-abcd-ef0123456789");
	assert_int_equal(o.notes.n, 2);
	sandbox_options_done(&o);
}

/* Boot directories: a list of names, NULL at the end. */
static bool has_file(void *ctx, const char *root, const char *name)
{
	const char *const *files = ctx;

	if (strcmp(root, "/gone") == 0)
		return false;
	for (; name && *files; files++)
		if (strcmp(*files, name) == 0)
			return true;
	return !name;
}

static void test_confidential(void **state UNUSED)
{
	static const char *files[] = { "kernel.vmgs", "rootfs.vhd", NULL };
	static const char *no_disk[] = { "kernel.vmgs", NULL };
	static const char *nothing[] = { NULL };
	const struct pair pairs[PAIRS_MAX] = { { POLICY, "e30=" } };
	const struct pair bad[PAIRS_MAX] = { { POLICY, "e30" } };
	struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
	struct sandbox_options o;

	r.boot_file = has_file;
	r.boot_ctx = files;
	assert_int_equal(build(&o, &r, pairs), ERR_NONE);
	assert_true(o.hardware_confidential && o.scratch_encryption);
	assert_false(o.overcommit);
	assert_int_equal(o.services.n, 4);
	sandbox_options_done(&o);
	assert_int_equal(build(&o, &r, bad), ERR_POLICY_ENCODING);
	sandbox_options_done(&o);

	r.boot_ctx = no_disk;
	assert_int_equal(build(&o, &r, bad), ERR_DMVERITY_VHD_MISSING);
	sandbox_options_done(&o);
	r.boot_ctx = nothing;
	assert_int_equal(build(&o, &r, bad), ERR_GUEST_STATE_MISSING);
	sandbox_options_done(&o);
}

static void test_vpmem(void **state UNUSED)
{
	static const struct {
		const char *platform;
		struct pair second;
		enum strictness strictness;
		enum err_class class;
	} rows[] = {
		{ "linux/amd64",
		  { NULL, NULL },
		  STRICT,
		  ERR_VPMEM_UNSUPPORTED },
		{ "linux/arm64", { NULL, NULL }, STRICT, ERR_NONE },
		{ "linux/arm64",
		  { NULL, NULL },
		  COMPAT,
		  ERR_VPMEM_UNSUPPORTED },
		{ "linux/amd64", { BACKED, "1" }, COMPAT, ERR_NONE },
		{ "linux/amd64", { POLICY, "e30=" }, COMPAT, ERR_NONE },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct pair pairs[PAIRS_MAX] = {
			{ VM "devices.virtualpmem.maximumcount", "1" },
			rows[i].second
		};
		struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
		struct sandbox_options o;

		r.platform = rows[i].platform;
		r.strictness = rows[i].strictness;
		assert_string_equal(err_class_name(build(&o, &r, pairs)),
				    err_class_name(rows[i].class));
		sandbox_options_done(&o);
	}
}

static void test_base64(void **state UNUSED)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{ "", true },	     { "YQ==", true },	 { "YWI=", true },
		{ "YWJj", true },    { "YW\nJj", true }, { "Y", false },
		{ "YQ=", false },    { "YQ", false },	 { "Y===", false },
		{ "YQ==YQ", false }, { "Y-_j", false },	 { "YWJj ", false },
		{ "====", false },   { "YQ=a", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(confidential_is_base64(rows[i].text),
				 rows[i].good);
}

static void test_boot_files(void **state UNUSED)
{
	static const struct {
		const char *files[4];
		struct pair pair;
		enum err_class class;
		const char *kernel;
		const char *rootfs;
	} rows[] = {
		{ { "vmlinux", "initrd.img" },
		  { NULL, NULL },
		  ERR_NONE,
		  "vmlinux",
		  "initrd.img" },
		{ { "kernel", "vmlinux", "rootfs.vhd" },
		  { VM "lcow.kerneldirectboot", "false" },
		  ERR_NONE,
		  "kernel",
		  "rootfs.vhd" },
		{ { "initrd.img" },
		  { NULL, NULL },
		  ERR_KERNEL_MISSING,
		  NULL,
		  NULL },
		{ { "vmlinux" },
		  { NULL, NULL },
		  ERR_ROOTFS_MISSING,
		  NULL,
		  NULL },
		{ { "vmlinux", "initrd.img" },
		  { VM "lcow.preferredrootfstype", "vhd" },
		  ERR_ROOTFS_MISSING,
		  NULL,
		  NULL },
		{ { "vmlinux", "initrd.img" },
		  { VM "bootfilesrootpath", "/gone" },
		  ERR_BOOT_PATH_MISSING,
		  NULL,
		  NULL },
	};
	struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct pair pairs[PAIRS_MAX] = { rows[i].pair };
		const char *files[5] = { 0 };
		struct sandbox_options o;

		memcpy(files, rows[i].files, sizeof(rows[i].files));
		r.boot_file = has_file;
		r.boot_ctx = files;
		assert_string_equal(err_class_name(build(&o, &r, pairs)),
				    err_class_name(rows[i].class));
		if (rows[i].kernel) {
			assert_string_equal(o.kernel, rows[i].kernel);
			assert_string_equal(o.rootfs, rows[i].rootfs);
		}
		sandbox_options_done(&o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numa),
		cmocka_unit_test(test_number_of_nodes),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_services),
		cmocka_unit_test(test_confidential),
		cmocka_unit_test(test_vpmem),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_boot_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
