/* tests/unit/test_guest_guestpath.c - which paths and ids a host may name */
#include "tests/unit/unit.h"

#include <string.h>

#include "bridge/guest/guestpath.h"
#include "config/util.h"

static void test_w_g32_paths_of_a_host(void **state)
{
	static const struct {
		enum guestpath_use use;
		const char *path;
		const char *rest; /* NULL: refused */
	} rows[] = {
		{ GUESTPATH_BUNDLE, "/run/gcs/c/1", "1" },
		{ GUESTPATH_BUNDLE, "/run/gcs/c/1/rootfs", "1/rootfs" },
		{ GUESTPATH_BUNDLE, "/run/gcs/pods/p/1", "p/1" },
		{ GUESTPATH_BUNDLE, "/", NULL },
		{ GUESTPATH_BUNDLE, "", NULL },
		{ GUESTPATH_BUNDLE, "run/gcs/c/1", NULL },
		{ GUESTPATH_BUNDLE, "/run/gcs/c", NULL },
		{ GUESTPATH_BUNDLE, "/run/gcs/c/", NULL },
		{ GUESTPATH_BUNDLE, "/run/gcs/c//1", NULL },
		{ GUESTPATH_BUNDLE, "/run/gcs/c/1/", NULL },
		{ GUESTPATH_BUNDLE, "/run/gcs/c/.", NULL },
		{ GUESTPATH_BUNDLE, "/run/gcs/c/..", NULL },
		{ GUESTPATH_BUNDLE, "/run/gcs/c/1/../../../../etc", NULL },
		{ GUESTPATH_BUNDLE, "/run/gcs/c/..1/...", "..1/..." },
		{ GUESTPATH_BUNDLE, "/run/gcs/cc/1", NULL },
		{ GUESTPATH_BUNDLE, "/run/gcs/c/1\n", NULL },
		{ GUESTPATH_BUNDLE, "/run/mounts/scsi/m1", NULL },
		{ GUESTPATH_BUNDLE, "/run/gcs/c/a:b", "a:b" },
		{ GUESTPATH_BUNDLE, "/etc", NULL },
		{ GUESTPATH_SCRATCH, "/run/gcs/c/1/scratch/1", "1/scratch/1" },
		{ GUESTPATH_SCRATCH, "/run/gcs/c/1", "1" },
		{ GUESTPATH_SCRATCH, "/run/gcs/pods/p", NULL },
		{ GUESTPATH_SCRATCH, "/run/mounts/scsi/0_1_0", NULL },
		{ GUESTPATH_SCRATCH, "/run/mounts/scsi/0_1_0/s", "0_1_0/s" },
		{ GUESTPATH_SCRATCH, "/run/gcs/c/1,lowerdir=x", NULL },
		{ GUESTPATH_SCRATCH, "/run/layers/p1", NULL },
		{ GUESTPATH_LAYER, "/run/layers/p1-0-4096", "p1-0-4096" },
		{ GUESTPATH_LAYER, "/run/mounts/scsi/m1:/etc", NULL },
		{ GUESTPATH_LAYER, "/run/mounts/scsi/m1", "m1" },
		{ GUESTPATH_MOUNT, "/run/drivers/x", "x" },
		{ GUESTPATH_MOUNT, "/run/mounts/plan9/1", "1" },
		{ GUESTPATH_MOUNT, "/dev", NULL },
	};
	char longest[GUESTPATH_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct guestpath g = { .prefix = "x", .rest = "y" };
		struct err e = { 0 };
		const int r = guestpath_check(rows[i].path, rows[i].use,
					      "ScratchDirPath", &g, &e);

		assert_int_equal(r, rows[i].rest ? 0 : -EINVAL);
		assert_string_equal(g.rest, rows[i].rest ? rows[i].rest : "y");
		if (r < 0)
			assert_non_null(strstr(e.text, "ScratchDirPath"));
	}

	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "/run/gcs/c/", 11);
	for (size_t len = GUESTPATH_MAX - 1; len <= GUESTPATH_MAX; len++) {
		struct guestpath g;

		longest[len] = '\0';
		assert_int_equal(guestpath_check(longest, GUESTPATH_BUNDLE, "",
						 &g, NULL),
				 len < GUESTPATH_MAX ? 0 : -EINVAL);
		longest[len] = 'a';
	}
}

static void test_ids(void **state)
{
	char id[258];

	(void)state;
	assert_true(guestpath_id_ok("a-B_9.+"));
	assert_true(guestpath_id_ok("..."));
	assert_false(guestpath_id_ok(""));
	assert_false(guestpath_id_ok("."));
	assert_false(guestpath_id_ok(".."));
	assert_false(guestpath_id_ok("../x"));
	assert_false(guestpath_id_ok("a/b"));
	assert_false(guestpath_id_ok("-a"));
	assert_false(guestpath_id_ok("a b"));
	assert_false(guestpath_id_ok("a\n"));
	memset(id, 'a', sizeof(id));
	id[256] = '\0';
	assert_false(guestpath_id_ok(id));
	id[255] = '\0';
	assert_true(guestpath_id_ok(id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_w_g32_paths_of_a_host),
		cmocka_unit_test(test_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
