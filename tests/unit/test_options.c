#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "config/annotations.h"
#include "config/options.h"
#include "config/util.h"

#define VM "io.microsoft.virtualmachine."
#define COUNT VM "computetopology.processor.count"
#define MEMORY VM "computetopology.memory.sizeinmb"
#define MIGRATION "io.microsoft.migration.support-enabled"
#define OLD_MIGRATION "io.microsoft.migration.allowed"

/* One annotation (or two) and what becomes of it. */
struct row {
	const char *key;
	const char *value;
	const char *key2;
	const char *value2;
	enum err_class class; /* ERR_NONE: it is taken */
};

static int build(struct sandbox_options *o, const struct row *row,
		 const struct runtime_options *r, struct err *e)
{
	struct annotation_map m;
	int rc;

	annotation_map_init(&m);
	if (row->key)
		assert_int_equal(
			annotation_map_set(&m, row->key, row->value, NULL), 0);
	if (row->key2)
		assert_int_equal(
			annotation_map_set(&m, row->key2, row->value2, NULL),
			0);
	sandbox_options_init(o);
	rc = sandbox_options_build(o, &m, r, e);
	annotation_map_done(&m);
	return rc;
}

static void test_every_default_is_of_its_kind(void **state UNUSED)
{
	struct arena a;

	arena_init(&a, 1u << 20);
	for (size_t i = 0; i < annotation_rows_n; i++) {
		const struct annotation_row *row = &annotation_rows[i];
		uint64_t value[2];

		if (row->deflt)
			assert_int_equal(
				value_parse(row->kind, row->deflt, &a, value),
				0);
		assert_true(row->use != USE_MEMBER ||
			    row->member != ANNOTATION_NO_MEMBER);
		assert_true(row->use == USE_MEMBER ||
			    row->member == ANNOTATION_NO_MEMBER);
		assert_non_null(row->summary);
		assert_ptr_equal(annotation_find(row->key), row);
		/* A string without a default would be a null pointer. */
		assert_true(row->use != USE_MEMBER || row->deflt ||
			    row->kind != VALUE_STRING);
	}
	arena_done(&a);
}

static void test_defaults(void **state UNUSED)
{
	const struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
	struct sandbox_options o;

	assert_int_equal(build(&o, &(struct row){ 0 }, &r, NULL), 0);
	assert_int_equal(o.processor_count, 2);
	assert_int_equal(o.memory_mib, 1024);
	assert_string_equal(o.rootfs, "initrd.img");
	assert_string_equal(o.kernel, "vmlinux");
	assert_true(o.kernel_direct && o.overcommit && o.pci_bus);
	assert_false(o.console || o.migratable || o.scratch_encryption);
	assert_int_equal(o.forwarder, FORWARDER_CLASSIC);
	assert_string_equal(o.enforcer, "rego");
	assert_int_equal(o.notes.n, 0);
	sandbox_options_done(&o);
}

static const struct row strict_rows[] = {
	{ COUNT, "1", NULL, NULL, ERR_NONE },
	{ COUNT, "0", NULL, NULL, ERR_ANNOTATION_RANGE },
	{ COUNT, "-1", NULL, NULL, ERR_ANNOTATION_RANGE },
	{ COUNT, "many", NULL, NULL, ERR_ANNOTATION_MALFORMED },
	{ COUNT, "", NULL, NULL, ERR_ANNOTATION_MALFORMED },
	{ VM "computetopology.processor.limit", "100000", NULL, NULL,
	  ERR_NONE },
	{ VM "computetopology.processor.limit", "100001", NULL, NULL,
	  ERR_ANNOTATION_RANGE },
	{ VM "computetopology.processor.weight", "10000", NULL, NULL,
	  ERR_NONE },
	{ VM "computetopology.processor.weight", "10001", NULL, NULL,
	  ERR_ANNOTATION_RANGE },
	{ VM "storageqos.iopsmaximum", "2147483647", NULL, NULL, ERR_NONE },
	{ VM "storageqos.iopsmaximum", "-1", NULL, NULL, ERR_ANNOTATION_RANGE },
	{ MEMORY, "64", NULL, NULL, ERR_NONE },
	{ MEMORY, "63", NULL, NULL, ERR_ANNOTATION_RANGE },
	{ MEMORY, "0", NULL, NULL, ERR_ANNOTATION_RANGE },
	{ MEMORY, "16777216", NULL, NULL, ERR_NONE },
	{ MEMORY, "16777217", NULL, NULL, ERR_ANNOTATION_RANGE },
	{ VM "lcow.extra-vsock-ports", "1,4294967294", NULL, NULL, ERR_NONE },
	{ VM "lcow.extra-vsock-ports", "1,4294967295", NULL, NULL,
	  ERR_ANNOTATION_RANGE },
	{ VM "lcow.extra-vsock-ports", "0", NULL, NULL, ERR_ANNOTATION_RANGE },
	{ VM "lcow.extra-vsock-ports", "", NULL, NULL, ERR_NONE },
	{ VM "lcow.dmverity-mode", "yes", NULL, NULL,
	  ERR_ANNOTATION_MALFORMED },
	{ "io.microsoft.lcow.shm.size-kb", "0", NULL, NULL,
	  ERR_ANNOTATION_RANGE },
	{ "io.microsoft.lcow.shm.size-kb", "1", NULL, NULL, ERR_NONE },
	{ "io.microsoft.network.ncproxy", "x", NULL, NULL,
	  ERR_ANNOTATION_UNSUPPORTED },
	{ "io.microsoft.network.ncproxy", "", NULL, NULL, ERR_NONE },
	{ VM "resource-partition-id", "x", NULL, NULL,
	  ERR_RESOURCE_PARTITION_INVALID },
	{ VM "resource-partition-id", "87654321-4321-8765-4321-876543218765",
	  VM "cpugroup.id", "g", ERR_CPU_GROUP_PARTITION_CONFLICT },
	{ VM "fullyphysicallybacked", "true",
	  VM "computetopology.memory.enabledeferredcommit", "true",
	  ERR_DEFERRED_COMMIT_PHYSICAL },
	{ VM "console.pipe", "/dev/pts/3", NULL, NULL, ERR_CONSOLE_INVALID },
	{ VM "console.pipe", "\\\\.\\pipe\\x", NULL, NULL, ERR_NONE },
	{ VM "lcow.preferredrootfstype", "VHD", NULL, NULL,
	  ERR_ROOTFS_TYPE_INVALID },
	{ VM "devices.virtualpmem.maximumcount", "1", NULL, NULL,
	  ERR_VPMEM_UNSUPPORTED },
	{ "io.microsoft.disable-unsafe-operations", "true",
	  VM "fileshares.disablewritable", "True", ERR_NONE },
	{ "io.microsoft.disable-unsafe-operations", "true",
	  VM "fileshares.disablewritable", "0", ERR_ANNOTATION_CONFLICT },
	/* Migration. */
	{ MIGRATION, "true", OLD_MIGRATION, "false", ERR_ANNOTATION_CONFLICT },
	{ MIGRATION, "true", OLD_MIGRATION, "1", ERR_NONE },
	{ MIGRATION, "true", VM "lcow.vpcienabled", "true",
	  ERR_MIGRATION_INCOMPATIBLE },
	{ MIGRATION, "true", VM "lcow.vpcienabled", "false", ERR_NONE },
	{ MIGRATION, "true", VM "console.pipe", "\\\\.\\pipe\\x",
	  ERR_MIGRATION_INCOMPATIBLE },
	{ MIGRATION, "true", VM "cpugroup.id", "g",
	  ERR_MIGRATION_INCOMPATIBLE },
	{ MIGRATION, "true", VM "hv-socket.service-table.x", "{}",
	  ERR_MIGRATION_INCOMPATIBLE },
	{ MIGRATION, "true", VM "lcow.extra-vsock-ports", "5",
	  ERR_MIGRATION_INCOMPATIBLE },
	{ MIGRATION, "true", VM "lcow.securitypolicy",
	  "e30=", ERR_MIGRATION_INCOMPATIBLE },
	{ MIGRATION, "true", VM "computetopology.numa.preferred-physical-nodes",
	  "0", ERR_MIGRATION_INCOMPATIBLE },
};

static void test_strict(void **state UNUSED)
{
	const struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;

	for (size_t i = 0; i < ARRAY_LEN(strict_rows); i++) {
		struct sandbox_options o;
		struct err e = { 0 };
		const int rc = build(&o, &strict_rows[i], &r, &e);

		assert_string_equal(err_class_name(e.class),
				    err_class_name(strict_rows[i].class));
		assert_int_equal(rc == 0, strict_rows[i].class == ERR_NONE);
		sandbox_options_done(&o);
	}
}

static void test_malformed_error_shows_a_cut_and_safe_value(void **state UNUSED)
{
	const struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
	struct sandbox_options o;
	struct err e = { 0 };
	char value[200];

	memset(value, 'x', sizeof(value));
	value[0] = '\033';
	value[sizeof(value) - 1] = '\0';
	assert_true(build(&o, &(struct row){ COUNT, value, NULL, NULL, 0 }, &r,
			  &e) < 0);
	assert_non_null(strstr(e.text, COUNT " wants a int32, not '\\x1bx"));
	assert_non_null(strstr(e.text, "x...'"));
	assert_true(strlen(e.text) < 200);
	sandbox_options_done(&o);
}

static void test_compat_takes_what_strict_refuses(void **state UNUSED)
{
	struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
	struct sandbox_options o;

	r.strictness = COMPAT;
	r.processor_count = 6;
	assert_int_equal(build(&o,
			       &(struct row){ COUNT, "many", NULL, NULL, 0 },
			       &r, NULL),
			 0);
	assert_int_equal(o.processor_count, 6);
	assert_int_equal(o.notes.n, 1);
	assert_int_equal(o.notes.item[0].class, ERR_ANNOTATION_MALFORMED);
	assert_string_equal(o.notes.item[0].key, COUNT);
	sandbox_options_done(&o);

	assert_int_equal(
		build(&o, &(struct row){ COUNT, "0", NULL, NULL, 0 }, &r, NULL),
		0);
	assert_int_equal(o.processor_count, 2);
	sandbox_options_done(&o);

	assert_int_equal(build(&o,
			       &(struct row){ MIGRATION, "true", OLD_MIGRATION,
					      "no", 0 },
			       &r, NULL),
			 0);
	assert_int_equal(o.forwarder, FORWARDER_RELAY);
	sandbox_options_done(&o);

	assert_int_equal(build(&o,
			       &(struct row){ MEMORY, "18446744073709551615",
					      NULL, NULL, 0 },
			       &r, NULL),
			 0);
	assert_int_equal(o.memory_mib, 0);
	sandbox_options_done(&o);
}

static void test_migration_chooses_the_forwarder(void **state UNUSED)
{
	struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
	const struct row on = { MIGRATION, "true", NULL, NULL, 0 };
	const struct row old = { OLD_MIGRATION, "true", NULL, NULL, 0 };
	struct sandbox_options o;
	struct err e = { 0 };

	assert_int_equal(build(&o, &on, &r, NULL), 0);
	assert_true(o.migratable);
	assert_int_equal(o.forwarder, FORWARDER_MIGRATABLE);
	sandbox_options_done(&o);

	assert_int_equal(build(&o, &old, &r, NULL), 0);
	assert_true(o.migratable);
	sandbox_options_done(&o);

	r.forwarder = FORWARDER_RELAY;
	assert_int_equal(build(&o, &on, &r, NULL), 0);
	assert_int_equal(o.forwarder, FORWARDER_RELAY);
	sandbox_options_done(&o);

	r.forwarder = FORWARDER_CLASSIC;
	assert_true(build(&o, &on, &r, &e) < 0);
	assert_int_equal(e.class, ERR_MIGRATION_INCOMPATIBLE);
	sandbox_options_done(&o);
}

static void test_unknown_keys(void **state UNUSED)
{
	struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
	const struct row typo = { VM "lcow.VPCIEnabled", "true",
				  "com.example.mine", "x", 0 };
	const struct row foreign = { "io.kubernetes.cri.image-name", "x", NULL,
				     NULL, 0 };
	struct sandbox_options o;
	struct err e = { 0 };

	assert_int_equal(build(&o, &typo, &r, NULL), 0);
	assert_int_equal(o.notes.n, 1);
	assert_int_equal(o.notes.item[0].class, ERR_ANNOTATION_UNKNOWN);
	sandbox_options_done(&o);

	r.unknown_is_error = true;
	assert_true(build(&o, &typo, &r, &e) < 0);
	assert_int_equal(e.class, ERR_ANNOTATION_UNKNOWN);
	sandbox_options_done(&o);
	assert_int_equal(build(&o, &foreign, &r, NULL), 0);
	sandbox_options_done(&o);
}

static void test_host_lowers_the_count(void **state UNUSED)
{
	struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
	const struct row eight = { COUNT, "8", NULL, NULL, 0 };
	struct sandbox_options o;

	r.host_processors = 8;
	assert_int_equal(build(&o, &eight, &r, NULL), 0);
	assert_int_equal(o.processor_count, 8);
	assert_int_equal(o.notes.n, 0);
	sandbox_options_done(&o);

	r.host_processors = 7;
	assert_int_equal(build(&o, &eight, &r, NULL), 0);
	assert_int_equal(o.processor_count, 7);
	assert_int_equal(o.notes.item[0].kind, NOTE_CLAMPED);
	sandbox_options_done(&o);

	r.host_processors = 1;
	assert_int_equal(build(&o, &(struct row){ 0 }, &r, NULL), 0);
	assert_int_equal(o.processor_count, 1);
	sandbox_options_done(&o);
}

static void test_platform(void **state UNUSED)
{
	struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
	struct sandbox_options o;
	struct err e = { 0 };

	r.platform = "Linux/ARM64";
	assert_int_equal(build(&o, &(struct row){ 0 }, &r, NULL), 0);
	assert_string_equal(o.architecture, "arm64");
	sandbox_options_done(&o);

	r.platform = "windows/amd64";
	assert_true(build(&o, &(struct row){ 0 }, &r, &e) < 0);
	assert_int_equal(e.class, ERR_PLATFORM_UNSUPPORTED);
	sandbox_options_done(&o);

	sandbox_options_init(&o);
	assert_true(sandbox_options_build(&o, NULL, NULL, &e) < 0);
	assert_int_equal(e.class, ERR_NO_OPTIONS);
	sandbox_options_done(&o);
}

static void test_map_limits(void **state UNUSED)
{
	struct annotation_map m;
	char key[ANNOTATION_KEY_MAX + 2];

	annotation_map_init(&m);
	assert_true(annotation_map_set(&m, "", "x", NULL) < 0);
	memset(key, 'k', sizeof(key));
	key[ANNOTATION_KEY_MAX + 1] = '\0';
	assert_true(annotation_map_set(&m, key, "x", NULL) < 0);
	key[ANNOTATION_KEY_MAX] = '\0';
	assert_int_equal(annotation_map_set(&m, key, "x", NULL), 0);

	for (size_t i = 1; i < ANNOTATIONS_MAX; i++) {
		(void)snprintf(key, sizeof(key), "%zu", i);
		assert_int_equal(annotation_map_set(&m, key, "x", NULL), 0);
	}
	assert_true(annotation_map_set(&m, "one-more", "x", NULL) < 0);
	assert_int_equal(annotation_map_set(&m, "1", "y", NULL), 0);
	assert_string_equal(annotation_map_get(&m, "1"), "y");
	assert_null(annotation_map_get(&m, "one-more"));
	annotation_map_done(&m);
}

static void test_notes_are_bounded(void **state UNUSED)
{
	static struct notes l;
	struct arena a;

	arena_init(&a, 1u << 20);
	for (size_t i = 0; i < NOTES_MAX + 3; i++)
		notes_add(&l, &a, NOTE_WARNING, ERR_NONE, "k\n", "%zu", i);
	assert_int_equal(l.n, NOTES_MAX);
	assert_int_equal(l.dropped, 3);
	assert_string_equal(l.item[0].key, "k\\x0a");
	arena_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_default_is_of_its_kind),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_strict),
		cmocka_unit_test(
			test_malformed_error_shows_a_cut_and_safe_value),
		cmocka_unit_test(test_compat_takes_what_strict_refuses),
		cmocka_unit_test(test_migration_chooses_the_forwarder),
		cmocka_unit_test(test_unknown_keys),
		cmocka_unit_test(test_host_lowers_the_count),
		cmocka_unit_test(test_platform),
		cmocka_unit_test(test_map_limits),
		cmocka_unit_test(test_notes_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
