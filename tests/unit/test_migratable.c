/*
 * Migration: what a sandbox and its containers must not have, and the lock of
 * what the sandbox was built from.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "config/annotation_lock.h"
#include "config/annotations.h"
#include "config/migratable.h"
#include "config/num.h"
#include "config/text.h"
#include "config/util.h"

#define VM "io.microsoft.virtualmachine."
#define LCOW VM "lcow."
#define TOPOLOGY VM "computetopology."
#define COUNT TOPOLOGY "processor.count"
#define MEMORY TOPOLOGY "memory.sizeinmb"
#define MIGRATION "io.microsoft.migration.support-enabled"
#define OLD_MIGRATION "io.microsoft.migration.allowed"
#define GUID "01234567-89ab-cdef-0123-456789abcdef"
#define PIPE "\\\\.\\pipe\\x"

#define PAIRS_MAX 6

struct pair {
	const char *key;
	const char *value;
};

static void fill(struct annotation_map *m, const struct pair *pairs)
{
	annotation_map_init(m);
	for (size_t i = 0; i < PAIRS_MAX && pairs[i].key; i++)
		assert_int_equal(annotation_map_set(m, pairs[i].key,
						    pairs[i].value, NULL),
				 0);
}

static enum err_class build(struct sandbox_options *o,
			    const struct runtime_options *r,
			    const struct pair *pairs, struct err *e)
{
	struct annotation_map m;

	fill(&m, pairs);
	*e = (struct err){ 0 };
	sandbox_options_init(o);
	(void)sandbox_options_build(o, &m, r, e);
	annotation_map_done(&m);
	return e->class;
}

/* Every key that cannot follow the sandbox, and a value of it that can. */
static void test_sandbox_annotations(void **state UNUSED)
{
	static const struct {
		const char *key;
		const char *bad;
		const char *good; /* NULL: the key alone is refused */
	} rows[] = {
		{ LCOW "vpcienabled", "true", "false" },
		{ VM "console.pipe", PIPE, "" },
		{ VM "hv-socket.service-table." GUID, "{}", NULL },
		{ LCOW "extra-vsock-ports", "5", "" },
		{ VM "cpugroup.id", "x", "" },
		{ VM "resource-partition-id", GUID, "" },
		{ TOPOLOGY "numa.preferred-physical-nodes", "0", "" },
		{ LCOW "securitypolicy", "cG9saWN5", "" },
	};
	const struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
	struct sandbox_options o;
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pair pairs[PAIRS_MAX] = { { rows[i].key, rows[i].bad },
						 { MIGRATION, "true" } };

		assert_int_equal(build(&o, &r, pairs, &e),
				 ERR_MIGRATION_INCOMPATIBLE);
		if (strstr(rows[i].key, "securitypolicy"))
			assert_non_null(strstr(e.text, "security policy"));
		else
			assert_non_null(strstr(e.text, rows[i].key));
		sandbox_options_done(&o);

		pairs[1].value = "false"; /* without migration it is fine */
		assert_int_equal(build(&o, &r, pairs, &e), ERR_NONE);
		sandbox_options_done(&o);

		pairs[1].value = "true";
		if (rows[i].good) {
			pairs[0].value = rows[i].good;
			assert_int_equal(build(&o, &r, pairs, &e), ERR_NONE);
			sandbox_options_done(&o);
		}
	}
}

static void test_numa_on_any_node_migrates(void **state UNUSED)
{
	struct pair pairs[PAIRS_MAX] = {
		{ VM "fullyphysicallybacked", "true" },
		{ TOPOLOGY "numa.mapped-physical-nodes", "255,255" },
		{ TOPOLOGY "numa.count-of-processors", "1,1" },
		{ TOPOLOGY "numa.count-of-memory-blocks", "512,512" },
		{ MIGRATION, "true" },
	};
	const struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
	struct sandbox_options o;
	struct err e;

	assert_int_equal(build(&o, &r, pairs, &e), ERR_NONE);
	sandbox_options_done(&o);
	pairs[1].value = "0,1";
	assert_int_equal(build(&o, &r, pairs, &e), ERR_MIGRATION_INCOMPATIBLE);
	sandbox_options_done(&o);
}

/* A policy without its hardware has a line and moves. */
static void test_policy_without_hardware_migrates(void **state UNUSED)
{
	const struct pair pairs[PAIRS_MAX] = {
		{ LCOW "securitypolicy", "cG9saWN5" },
		{ VM "no_security_hardware", "true" },
		{ MIGRATION, "true" },
	};
	const struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
	struct sandbox_options o;
	struct err e;

	assert_int_equal(build(&o, &r, pairs, &e), ERR_NONE);
	sandbox_options_done(&o);
}

static void test_console_may_stay_behind(void **state UNUSED)
{
	const struct pair pairs[PAIRS_MAX] = { { VM "console.pipe", PIPE },
					       { MIGRATION, "true" } };
	const struct pair group[PAIRS_MAX] = { { VM "cpugroup.id", "x" },
					       { MIGRATION, "true" } };
	struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
	struct sandbox_options o;
	struct err e;

	r.console_may_stay = true;
	assert_int_equal(build(&o, &r, pairs, &e), ERR_NONE);
	assert_true(o.console);
	sandbox_options_done(&o);
	assert_int_equal(build(&o, &r, group, &e), ERR_MIGRATION_INCOMPATIBLE);
	sandbox_options_done(&o);
}

static void test_forwarders(void **state UNUSED)
{
	static const struct {
		enum log_forwarder asked;
		enum err_class class;
	} rows[] = {
		{ FORWARDER_CLASSIC, ERR_MIGRATION_INCOMPATIBLE },
		{ FORWARDER_MIGRATABLE, ERR_NONE },
		{ FORWARDER_RELAY, ERR_NONE },
		{ FORWARDERS, ERR_NONE },
	};
	const struct pair pairs[PAIRS_MAX] = { { MIGRATION, "true" } };
	struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
	struct sandbox_options o;
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		r.forwarder = rows[i].asked;
		assert_int_equal(build(&o, &r, pairs, &e), rows[i].class);
		sandbox_options_done(&o);
	}
}

static void test_mount_origins(void **state UNUSED)
{
	static const struct {
		const char *type;
		const char *source;
		enum mount_origin origin;
	} rows[] = {
		{ "bind", "/srv/data", MOUNT_SHARE },
		{ "bind", "C:\\data", MOUNT_SHARE },
		{ "bind", "", MOUNT_SHARE },
		{ "bind", "sandbox:/x", MOUNT_SHARE },
		{ "bind", "Sandbox://x", MOUNT_SHARE },
		{ "bind", "sandbox://x", MOUNT_GUEST },
		{ "bind", "sandbox-tmp://x", MOUNT_GUEST },
		{ "bind", "hugepages://2M/x", MOUNT_GUEST },
		{ "bind", "uvm:///etc/x", MOUNT_GUEST },
		{ "tmpfs", "tmpfs", MOUNT_GUEST },
		{ "proc", "proc", MOUNT_GUEST },
		{ "physical-disk", "\\\\.\\PHYSICALDRIVE1",
		  MOUNT_PHYSICAL_DISK },
		{ "physical-disk", "sandbox://x", MOUNT_PHYSICAL_DISK },
		{ "virtual-disk", "C:\\x.vhdx", MOUNT_DISK },
		{ "extensible-virtual-disk", "evd://x/y", MOUNT_DISK },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(
			migratable_mount_origin(rows[i].type, rows[i].source),
			rows[i].origin);
}

static void test_container_mounts_and_devices(void **state UNUSED)
{
	static const struct sandbox_device device = { "gpu-1", "gpu" };
	struct container_mount mounts[] = {
		{ "/proc", MOUNT_GUEST },
		{ "/data", MOUNT_DISK },
		{ "/mnt/host", MOUNT_GUEST },
	};
	struct annotation_map none;
	struct migratable_container c = { .annotations = &none,
					  .mounts = mounts,
					  .n_mounts = ARRAY_LEN(mounts) };
	struct err e = { 0 };

	annotation_map_init(&none);
	assert_int_equal(migratable_check_container(&none, &c, &e), 0);

	mounts[2].origin = MOUNT_SHARE;
	assert_true(migratable_check_container(&none, &c, &e) < 0);
	assert_int_equal(e.class, ERR_MIGRATION_INCOMPATIBLE);
	assert_non_null(strstr(e.text, "directory of the host /mnt/host"));

	mounts[2].origin = MOUNT_PHYSICAL_DISK;
	assert_true(migratable_check_container(&none, &c, &e) < 0);
	assert_non_null(strstr(e.text, "physical disk /mnt/host"));

	c.n_mounts = 2;
	c.devices = &device;
	c.n_devices = 1;
	assert_true(migratable_check_container(&none, &c, &e) < 0);
	assert_non_null(strstr(e.text, "device gpu-1"));
	annotation_map_done(&none);
}

static void test_container_annotations(void **state UNUSED)
{
	static const struct {
		struct pair pair;
		enum err_class class;
	} rows[] = {
		{ { "io.microsoft.container.gpu.capabilities", "all" },
		  ERR_MIGRATION_INCOMPATIBLE },
		{ { "io.microsoft.container.gpu.capabilities", "" }, ERR_NONE },
		{ { VM "kerneldrivers", "x" }, ERR_ANNOTATION_UNSUPPORTED },
		{ { VM "kerneldrivers", "" }, ERR_NONE },
		{ { LCOW "privileged", "true" }, ERR_NONE },
		{ { "com.example.x", "y" }, ERR_NONE },
		{ { VM "hv-socket.service-table." GUID, "{}" },
		  ERR_MIGRATION_INCOMPATIBLE },
		{ { COUNT, "3" }, ERR_MIGRATION_INCOMPATIBLE },
		{ { COUNT, "2" }, ERR_NONE },
	};
	const struct pair built[PAIRS_MAX] = { { COUNT, "2" } };
	struct annotation_map lock, m;

	fill(&lock, built);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct pair pairs[PAIRS_MAX] = { rows[i].pair };
		const struct migratable_container c = { .annotations = &m };
		struct err e = { 0 };

		fill(&m, pairs);
		(void)migratable_check_container(&lock, &c, &e);
		assert_int_equal(e.class, rows[i].class);
		if (e.class != ERR_NONE)
			assert_non_null(strstr(e.text, rows[i].pair.key));
		annotation_map_done(&m);
	}
	annotation_map_done(&lock);
}

/* The lock of a sandbox that was built from these. */
static void lock_of(const struct pair *pairs, const struct runtime_options *r,
		    struct annotation_map *lock)
{
	struct sandbox_options o;
	struct err e;

	assert_int_equal(build(&o, r, pairs, &e), ERR_NONE);
	annotation_map_init(lock);
	assert_int_equal(annotation_lock_take(&o, lock, &e), 0);
	sandbox_options_done(&o);
}

static void test_lock_holds_what_is_not_default(void **state UNUSED)
{
	const struct pair pairs[PAIRS_MAX] = {
		{ MIGRATION, "1" },
		{ LCOW "writable-overlay-directories", "T" },
		{ LCOW "timesync.disable", "0" },
		{ VM "storageqos.iopsmaximum", "100" },
	};
	struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
	struct annotation_map lock;

	r.processor_count = 8;
	r.host_processors = 4;
	lock_of(pairs, &r, &lock);
	assert_string_equal(annotation_map_get(&lock, MIGRATION), "true");
	assert_string_equal(annotation_map_get(&lock, OLD_MIGRATION), "true");
	assert_string_equal(
		annotation_map_get(&lock, LCOW "writable-overlay-directories"),
		"true");
	assert_string_equal(annotation_map_get(&lock, COUNT), "8");
	assert_string_equal(annotation_map_get(&lock, MEMORY), "1024");
	assert_string_equal(
		annotation_map_get(&lock, VM "storage.scratch.encrypted"),
		"false");
	assert_null(annotation_map_get(&lock, LCOW "timesync.disable"));
	assert_null(annotation_map_get(&lock, VM "storageqos.iopsmaximum"));
	assert_int_equal(lock.n, 6);
	annotation_map_done(&lock);
}

static void test_locked_value_may_be_spelt_otherwise(void **state UNUSED)
{
	static const struct {
		struct pair later;
		enum err_class class;
	} rows[] = {
		{ { MIGRATION, "true" }, ERR_NONE },
		{ { MIGRATION, "T" }, ERR_NONE },
		{ { OLD_MIGRATION, "1" }, ERR_NONE },
		{ { MIGRATION, "false" }, ERR_MIGRATION_INCOMPATIBLE },
		{ { MIGRATION, "yes" }, ERR_ANNOTATION_MALFORMED },
		{ { MIGRATION, "" }, ERR_ANNOTATION_MALFORMED },
		{ { COUNT, "4" }, ERR_NONE },
		{ { COUNT, "+04" }, ERR_NONE },
		{ { COUNT, "5" }, ERR_MIGRATION_INCOMPATIBLE },
		{ { MEMORY, "1024" }, ERR_NONE },
		{ { MEMORY, "1025" }, ERR_MIGRATION_INCOMPATIBLE },
		{ { LCOW "kernelbootoptions", "debug" }, ERR_NONE },
		{ { LCOW "kernelbootoptions", "quiet" },
		  ERR_MIGRATION_INCOMPATIBLE },
		{ { LCOW "kernelbootoptions", "" },
		  ERR_MIGRATION_INCOMPATIBLE },
		{ { LCOW "kerneldirectboot", "1" }, ERR_NONE },
		{ { LCOW "kerneldirectboot", "0" },
		  ERR_MIGRATION_INCOMPATIBLE },
		{ { LCOW "dmverity-create-args", "" }, ERR_NONE },
		{ { LCOW "dmverity-create-args", "x" },
		  ERR_MIGRATION_INCOMPATIBLE },
		{ { TOPOLOGY "numa.mapped-physical-nodes", "" }, ERR_NONE },
		{ { TOPOLOGY "numa.mapped-physical-nodes", "1" },
		  ERR_MIGRATION_INCOMPATIBLE },
		{ { LCOW "enforcer", "rego" }, ERR_NONE },
		{ { LCOW "enforcer", "" }, ERR_MIGRATION_INCOMPATIBLE },
		/* What a host may change while the sandbox runs. */
		{ { TOPOLOGY "processor.weight", "77" }, ERR_NONE },
		{ { "com.example.x", "y" }, ERR_NONE },
	};
	const struct pair pairs[PAIRS_MAX] = {
		{ MIGRATION, "true" },
		{ COUNT, "4" },
		{ LCOW "kernelbootoptions", "debug" },
	};
	const struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
	struct annotation_map lock, m;

	lock_of(pairs, &r, &lock);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct pair later[PAIRS_MAX] = { rows[i].later };
		struct err e = { 0 };

		fill(&m, later);
		(void)annotation_lock_check(&lock, &m, &e);
		assert_int_equal(e.class, rows[i].class);
		if (e.class != ERR_NONE)
			assert_non_null(strstr(e.text, rows[i].later.key));
		annotation_map_done(&m);
	}
	annotation_map_done(&lock);
}

/* Each locked row: its lock survives the journey and refuses another value. */
static void test_lock_travels(void **state UNUSED)
{
	const struct pair pairs[PAIRS_MAX] = {
		{ MIGRATION, "true" },
		{ LCOW "kernelbootoptions", "debug  loglevel=7" },
		{ TOPOLOGY "numa.count-of-processors", "1,2" },
	};
	const struct runtime_options r = RUNTIME_OPTIONS_DEFAULT;
	struct annotation_map lock, got;
	struct text bytes;
	struct err e;

	lock_of(pairs, &r, &lock);
	text_heap(&bytes, 1u << 20);
	annotation_lock_put(&lock, &bytes);
	assert_false(bytes.full);

	annotation_map_init(&got);
	assert_int_equal(annotation_lock_get(bytes.buf, bytes.len, &got, &e),
			 0);
	assert_int_equal(got.n, lock.n);
	for (size_t i = 0; i < got.n; i++) {
		assert_string_equal(got.item[i].key, lock.item[i].key);
		assert_string_equal(got.item[i].value, lock.item[i].value);
	}
	annotation_map_done(&got);

	/* Any part of it is refused, and nothing is read behind its end. */
	for (size_t n = 0; n < bytes.len; n++) {
		char *part = malloc(n + 1);

		assert_non_null(part);
		memcpy(part, bytes.buf, n);
		annotation_map_init(&got);
		assert_int_equal(annotation_lock_get(part, n, &got, &e),
				 -EINVAL);
		annotation_map_done(&got);
		free(part);
	}
	text_done(&bytes);
	annotation_map_done(&lock);
}

static void put_pair(struct text *t, const char *key, const char *value)
{
	uint8_t n[4];

	le32_put(n, (uint32_t)strlen(key));
	text_addn(t, n, 4);
	le32_put(n, (uint32_t)strlen(value));
	text_addn(t, n, 4);
	text_add(t, key);
	text_add(t, value);
}

static void test_saved_lock_is_not_trusted(void **state UNUSED)
{
	static const struct {
		const char *what;
		const char *header; /* four bytes */
		struct pair pairs[2];
		int error;
	} rows[] = {
		{ "good", "\1\0\1\0", { { COUNT, "4" } }, 0 },
		{ "version", "\2\0\1\0", { { COUNT, "4" } }, -EPROTO },
		{ "too few", "\1\0\2\0", { { COUNT, "4" } }, -EINVAL },
		{ "too many", "\1\0\0\0", { { COUNT, "4" } }, -EINVAL },
		{ "unknown", "\1\0\1\0", { { "a", "4" } }, -EINVAL },
		{ "not locked",
		  "\1\0\1\0",
		  { { TOPOLOGY "processor.weight", "4" } },
		  -EINVAL },
		{ "family",
		  "\1\0\1\0",
		  { { VM "hv-socket.service-table." GUID, "{}" } },
		  -EINVAL },
		{ "not a number", "\1\0\1\0", { { COUNT, "x" } }, -EINVAL },
		{ "other spelling", "\1\0\1\0", { { COUNT, "04" } }, -EINVAL },
		{ "order",
		  "\1\0\2\0",
		  { { COUNT, "4" }, { MIGRATION, "true" } },
		  -EINVAL },
		{ "twice",
		  "\1\0\2\0",
		  { { COUNT, "4" }, { COUNT, "4" } },
		  -EINVAL },
		{ "two",
		  "\1\0\2\0",
		  { { MIGRATION, "true" }, { COUNT, "4" } },
		  0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct annotation_map got;
		struct text t;
		struct err e;

		text_heap(&t, 4096);
		text_addn(&t, rows[i].header, 4);
		for (size_t k = 0; k < 2 && rows[i].pairs[k].key; k++)
			put_pair(&t, rows[i].pairs[k].key,
				 rows[i].pairs[k].value);
		annotation_map_init(&got);
		if (annotation_lock_get(t.buf, t.len, &got, &e) !=
		    rows[i].error)
			fail_msg("%s: not %d", rows[i].what, rows[i].error);
		annotation_map_done(&got);
		text_done(&t);
	}
}

static void test_saved_lock_is_bounded(void **state UNUSED)
{
	static const char data[ANNOTATION_LOCK_BYTES_MAX + 1] = "\1";
	/* A length that wraps with what is there. */
	static const char wraps[] = "\1\0\1\0\377\377\377\377\377\377\377\377";
	struct annotation_map got;
	struct err e;

	annotation_map_init(&got);
	assert_int_equal(annotation_lock_get(data, sizeof(data), &got, &e),
			 -E2BIG);
	assert_int_equal(annotation_lock_get(data, sizeof(data) - 1, &got, &e),
			 -EINVAL); /* bytes behind no pair at all */
	assert_int_equal(annotation_lock_get(wraps, 12, &got, &e), -EINVAL);
	annotation_map_done(&got);
}

/* A member that is an option of the UVM is locked or a host's own affair. */
static void test_every_member_is_locked_or_named_here(void **state UNUSED)
{
	static const char *const free_keys[] = {
		TOPOLOGY "processor.limit",
		TOPOLOGY "processor.weight",
		VM "cpugroup.id",
		VM "storageqos.iopsmaximum",
		VM "storageqos.bandwidthmaximum",
		VM "bootfilesrootpath",
	};

	for (size_t i = 0; i < annotation_rows_n; i++) {
		const struct annotation_row *row = &annotation_rows[i];
		bool named = false;

		for (size_t k = 0; k < ARRAY_LEN(free_keys); k++)
			named |= strcmp(row->key, free_keys[k]) == 0;
		if (row->use == USE_MEMBER)
			assert_int_equal(row->locked, !named);
		else
			assert_int_equal(row->locked, row->use == USE_PREFIX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sandbox_annotations),
		cmocka_unit_test(test_numa_on_any_node_migrates),
		cmocka_unit_test(test_policy_without_hardware_migrates),
		cmocka_unit_test(test_console_may_stay_behind),
		cmocka_unit_test(test_forwarders),
		cmocka_unit_test(test_mount_origins),
		cmocka_unit_test(test_container_mounts_and_devices),
		cmocka_unit_test(test_container_annotations),
		cmocka_unit_test(test_lock_holds_what_is_not_default),
		cmocka_unit_test(test_locked_value_may_be_spelt_otherwise),
		cmocka_unit_test(test_lock_travels),
		cmocka_unit_test(test_saved_lock_is_not_trusted),
		cmocka_unit_test(test_saved_lock_is_bounded),
		cmocka_unit_test(test_every_member_is_locked_or_named_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
