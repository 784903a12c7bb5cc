/* Which containers a UVM that is to be migrated takes. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "bridge/guest/movable.h"
#include "config/util.h"

static struct volumes volumes;
static struct arena arena;
static struct err failure;

static int set_up(void **state UNUSED)
{
	static const struct volume_facts share = {
		.kind = VOLUME_PLAN9, .path = "/run/mounts/plan9/7"
	};
	static const struct volume_facts disk = {
		.kind = VOLUME_DISK, .path = "/run/mounts/scsi/0_1_0"
	};

	struct volume *v;

	volumes_init(&volumes);
	arena_init(&arena, 1 << 20);
	failure = (struct err){ 0 };
	assert_int_equal(volumes_add(&volumes, &share, &v, NULL), 0);
	return volumes_add(&volumes, &disk, &v, NULL);
}

static int tear_down(void **state UNUSED)
{
	volumes_done(&volumes);
	arena_done(&arena);
	return 0;
}

static int check(const char *document)
{
	return movable_check(document, &volumes, &arena, &failure);
}

static void test_usual_containers_are_taken(void **state UNUSED)
{
	assert_int_equal(check("{}"), 0);
	assert_int_equal(check("{\"annotations\":{\"a\":\"b\","
			       "\"io.microsoft.migration.support-enabled\":"
			       "\"true\"},\"mounts\":["
			       "{\"destination\":\"/p\",\"type\":\"proc\"},"
			       "{\"destination\":\"/x\",\"type\":\"bind\","
			       "\"source\":\"/run/mounts/scsi/0_1_0/x\"},"
			       "{\"destination\":\"/y\",\"type\":\"bind\","
			       "\"source\":\"/run/mounts/plan9/70\"}],"
			       "\"windows\":{\"devices\":null}}"),
			 0);
}

static void test_shares_are_refused_by_name(void **state UNUSED)
{
	assert_int_equal(check("{\"mounts\":[{\"destination\":\"/data\","
			       "\"type\":\"bind\",\"source\":"
			       "\"/run/mounts/plan9/7/sub\"}]}"),
			 -EINVAL);
	assert_int_equal(failure.class, ERR_MIGRATION_INCOMPATIBLE);
	assert_non_null(strstr(failure.text, "/data"));
}

static void test_devices_are_refused_by_name(void **state UNUSED)
{
	assert_int_equal(check("{\"windows\":{\"devices\":[{\"id\":"
			       "\"f00d\",\"idType\":\"gpu\"}]}}"),
			 -EINVAL);
	assert_int_equal(failure.class, ERR_MIGRATION_INCOMPATIBLE);
	assert_non_null(strstr(failure.text, "f00d"));
}

static void test_annotations_are_refused_by_name(void **state UNUSED)
{
	const char *key = "io.microsoft.container.gpu.capabilities";
	char document[256];

	(void)snprintf(document, sizeof(document),
		       "{\"annotations\":{\"%s\":\"utility\"}}", key);
	assert_int_equal(check(document), -EINVAL);
	assert_non_null(strstr(failure.text, key));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_usual_containers_are_taken,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shares_are_refused_by_name,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_devices_are_refused_by_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_annotations_are_refused_by_name, set_up,
			tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
