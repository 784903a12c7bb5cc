/* tests/unit/test_guest_layers.c - overlays and mounts in a namespace of the
 * test; skipped where it may not mount */
#include "tests/unit/guest_tree.h"

#include <sys/statvfs.h>

#include "bridge/guest/beneath.h"
#include "bridge/guest/layers.h"
#include "bridge/guest/mnt.h"

#define ROOT "/run/gcs/pods/p/c/rootfs"
#define SCRATCH "/run/mounts/scsi/0_1_0/scratch/c"
#define MANY 300u

static struct tree tree;

/* The disk below the bundle is gone: what is in it can be neither removed nor,
 * where nothing is mounted, found. */
static bool dead;

static int on_dead(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!dead || strcmp(slash ? slash + 1 : path, "rootfs") != 0)
		return 0;
	errno = EIO;
	return -1;
}

int __real_umount2(const char *path, int flags);
int __wrap_umount2(const char *path, int flags);
int __wrap_umount2(const char *path, int flags)
{
	const int r = __real_umount2(path, flags);

	return r < 0 && on_dead(path) < 0 ? -1 : r;
}

int __real_unlinkat(int dir, const char *path, int flags);
int __wrap_unlinkat(int dir, const char *path, int flags);
int __wrap_unlinkat(int dir, const char *path, int flags)
{
	return on_dead(path) < 0 ? -1 : __real_unlinkat(dir, path, flags);
}

static int setup(void **state)
{
	(void)state;
	dead = false;
	tree_init(&tree);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tree_done(&tree);
	return 0;
}

#define NEEDS_MOUNTS()                                                         \
	do {                                                                   \
		if (!tree.mounts)                                              \
			skip();                                                \
	} while (0)

static void layer(unsigned int n, const char *file, const char *text)
{
	tree_text(tree_path(&tree, "run/mounts/scsi/l%u/%s", n, file), text);
}

static int add(size_t n, const char *root, const char *scratch,
	       struct volume_facts *f, struct err *e)
{
	static struct msg_layer layers[LAYERS_MAX + 1];
	static char path[LAYERS_MAX + 1][40];
	struct msg_combined_layers m = {
		.container_id = "c",
		.container_root_path = root,
		.layer = layers,
		.n_layers = n,
		.scratch_path = scratch,
	};
	int r;

	for (unsigned int i = 0; i < n; i++) {
		(void)snprintf(path[i], sizeof(path[i]), "/run/mounts/scsi/l%u",
			       i);
		layers[i] = (struct msg_layer){ .path = path[i] };
	}
	r = layers_check(&m, true, f, e);
	return r < 0 ? r : layers_add(&tree.env, &m, f, e);
}

static void check_text(const char *path, const char *want)
{
	char text[64];

	tree_read(path, text, sizeof(text));
	assert_string_equal(text, want);
}

static bool read_only(const char *path)
{
	struct statvfs s;

	assert_int_equal(statvfs(path, &s), 0);
	return (s.f_flag & ST_RDONLY) != 0;
}

/* In this process: its working directory moves, as a job's child's may. */
static void test_topmost_layer_wins_and_writes_go_to_the_scratch(void **state)
{
	struct volume_facts f;
	struct err e = { 0 };

	(void)state;
	NEEDS_MOUNTS();
	layer(0, "same", "top");
	layer(1, "same", "bottom");
	layer(1, "low", "low");
	assert_int_equal(add(2, ROOT, SCRATCH, &f, &e), 0);
	assert_true(f.bound);
	check_text(tree_path(&tree, "run/gcs/pods/p/c/rootfs/same"), "top");
	check_text(tree_path(&tree, "run/gcs/pods/p/c/rootfs/low"), "low");
	tree_text(tree_path(&tree, "run/gcs/pods/p/c/rootfs/new"), "new");
	check_text(
		tree_path(&tree, "run/mounts/scsi/0_1_0/scratch/c/upper/new"),
		"new");
	assert_false(tree_has(tree_path(&tree, "run/mounts/scsi/l0/new")));
	/* The bundle is on the scratch. */
	tree_text(tree_path(&tree, "run/gcs/pods/p/c/config.json"), "{}");
	check_text(tree_path(&tree, "run/mounts/scsi/0_1_0/scratch/c/bundle/"
				    "config.json"),
		   "{}");
	/* While a container has it, it stays there. */
	f.bound = false;
	assert_int_equal(layers_remove(&tree.env, &f, &e), 0);
	assert_false(tree_has(tree_path(&tree, "run/gcs/pods/p/c/rootfs")));
	assert_true(tree_has(tree_path(&tree, "run/gcs/pods/p/c/config.json")));
	f.bound = true;
	assert_int_equal(layers_remove(&tree.env, &f, &e), 0);
	assert_false(tree_has(tree_path(&tree, "run/gcs/pods/p")));
	assert_int_equal(layers_unbind(&tree.env, &f, &e), 0);
	assert_int_equal(layers_remove(&tree.env, &f, &e), 0);
	check_text(tree_path(&tree, "run/mounts/scsi/0_1_0/scratch/c/bundle/"
				    "config.json"),
		   "{}");
}

/* V1: the scratch is the bundle. */
static void test_scratch_that_is_the_bundle_is_not_bound(void **state)
{
	struct volume_facts f;
	struct err e = { 0 };

	(void)state;
	NEEDS_MOUNTS();
	layer(0, "a", "a");
	assert_int_equal(
		add(1, "/run/gcs/c/v1/rootfs", "/run/gcs/c/v1", &f, &e), 0);
	assert_false(f.bound);
	check_text(tree_path(&tree, "run/gcs/c/v1/rootfs/a"), "a");
	assert_true(tree_has(tree_path(&tree, "run/gcs/c/v1/upper")));
	assert_int_equal(layers_remove(&tree.env, &f, &e), 0);
}

static void test_without_scratch_it_is_read_only(void **state)
{
	struct volume_facts f;
	struct err e = { 0 };

	(void)state;
	NEEDS_MOUNTS();
	layer(0, "a", "a");
	layer(1, "b", "b");
	for (unsigned int n = 1; n <= 2; n++) {
		assert_int_equal(add(n, ROOT, "", &f, &e), 0);
		assert_true(f.read_only && !f.bound);
		assert_true(
			read_only(tree_path(&tree, "run/gcs/pods/p/c/rootfs")));
		check_text(tree_path(&tree, "run/gcs/pods/p/c/rootfs/a"), "a");
		assert_int_equal(layers_remove(&tree.env, &f, &e), 0);
	}
}

static void test_layers_of_a_dead_disk_go(void **state)
{
	struct volume_facts f;
	struct err e = { 0 };

	(void)state;
	NEEDS_MOUNTS();
	layer(0, "a", "a");
	for (int again = 0; again <= 1; again++) {
		assert_int_equal(add(1, ROOT, SCRATCH, &f, &e), 0);
		assert_true(f.bound);
		dead = true;
		/* Whoever took the root away before, the bundle is left. */
		if (again)
			assert_int_equal(mnt_remove(tree.env.root, ROOT,
						    GUESTPATH_BUNDLE, &e),
					 -EIO);
		assert_int_equal(layers_remove(&tree.env, &f, &e), 0);
		assert_false(tree_has(tree_path(&tree, "run/gcs/pods/p")));
		assert_int_equal(layers_remove(&tree.env, &f, &e), 0);
		dead = false;
	}
	/* The scratch is the bundle. */
	assert_int_equal(
		add(1, "/run/gcs/c/v1/rootfs", "/run/gcs/c/v1", &f, &e), 0);
	dead = true;
	assert_int_equal(layers_remove(&tree.env, &f, &e), 0);
	assert_false(tree_has(tree_path(&tree, "run/gcs/c/v1/rootfs/a")));
	assert_int_equal(layers_remove(&tree.env, &f, &e), 0);
}

/* Their paths would not fit into the page that a mount's options have. */
static void test_long_list_of_layers(void **state)
{
	struct volume_facts f;
	struct err e = { 0 };

	(void)state;
	NEEDS_MOUNTS();
	for (unsigned int i = 0; i < MANY; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "f%u", i);
		layer(i, name, name);
	}
	assert_int_equal(add(MANY, ROOT, SCRATCH, &f, &e), 0);
	check_text(tree_path(&tree, "run/gcs/pods/p/c/rootfs/f0"), "f0");
	check_text(tree_path(&tree, "run/gcs/pods/p/c/rootfs/f%u", MANY - 1),
		   "f299");
	assert_int_equal(layers_remove(&tree.env, &f, &e), 0);
	assert_int_equal(layers_unbind(&tree.env, &f, &e), 0);
	assert_int_equal(add(LAYERS_MAX + 1, ROOT, SCRATCH, &f, &e), -EINVAL);
	assert_int_equal(add(0, ROOT, SCRATCH, &f, &e), -EINVAL);
}

static void test_what_fails_leaves_nothing(void **state)
{
	struct volume_facts f;
	struct err e = { 0 };

	(void)state;
	NEEDS_MOUNTS();
	layer(0, "a", "a");
	assert_int_equal(add(2, ROOT, SCRATCH, &f, &e), -ENOENT);
	assert_non_null(strstr(e.text, "Layers[1]"));
	assert_false(tree_has(tree_path(&tree, "run/gcs/pods/p/c")));
	/* The work directory is a file: the overlay itself fails. */
	layer(1, "b", "b");
	tree_text(tree_path(&tree, "run/mounts/scsi/0_1_0/scratch/c/work/work"),
		  "in the way");
	assert_true(add(2, ROOT, SCRATCH, &f, &e) <= 0);
}

/* The scratch keeps what an earlier life of the container has written. */
static void test_scratch_of_an_earlier_life_is_kept(void **state)
{
	struct volume_facts f;
	struct err e = { 0 };

	(void)state;
	NEEDS_MOUNTS();
	layer(0, "a", "a");
	tree_text(
		tree_path(&tree, "run/mounts/scsi/0_1_0/scratch/c/upper/kept"),
		"kept");
	assert_int_equal(add(2, ROOT, SCRATCH, &f, &e), -ENOENT);
	assert_int_equal(add(1, ROOT, SCRATCH, &f, &e), 0);
	check_text(tree_path(&tree, "run/gcs/pods/p/c/rootfs/kept"), "kept");
	assert_int_equal(layers_remove(&tree.env, &f, &e), 0);
	assert_int_equal(layers_unbind(&tree.env, &f, &e), 0);
}

static void test_W_G32_paths_outside_the_folders_are_refused(void **state)
{
	static const char *const roots[] = { "/",
					     "/etc",
					     "/run/gcs/c",
					     "/run/gcs/c/../../etc/x",
					     "run/gcs/c/x/rootfs",
					     "/run/gcs/c/x" };
	struct volume_facts f;
	struct err e = { 0 };

	(void)state;
	layer(0, "a", "a");
	for (size_t i = 0; i < ARRAY_LEN(roots); i++)
		assert_int_equal(add(1, roots[i], "", &f, &e), -EINVAL);
	assert_int_equal(add(1, ROOT, "/etc", &f, &e), -EINVAL);
	assert_int_equal(add(1, ROOT, "/run/mounts/scsi/a:b/c", &f, &e),
			 -EINVAL);
}

/* --- mounts ---------------------------------------------------------------- */

#define MOUNT_AT "/run/mounts/scsi/m0"

static int put(const char *path)
{
	struct err e = { 0 };
	cleanup_fd mnt = mnt_new("tmpfs", "x", NULL, 0, false, &e);

	assert_true(mnt >= 0);
	return mnt_put(tree.env.root, path, GUESTPATH_MOUNT, 0700, mnt, &e);
}

static void test_stacked_mounts_go_up_to_five(void **state)
{
	struct err e = { 0 };

	(void)state;
	NEEDS_MOUNTS();
	for (int i = 0; i < MNT_STACKED_MAX; i++)
		assert_int_equal(put(MOUNT_AT), 0);
	assert_int_equal(
		mnt_remove(tree.env.root, MOUNT_AT, GUESTPATH_MOUNT, &e),
		MNT_STACKED_MAX);
	assert_false(tree_has(tree_path(&tree, "run/mounts/scsi/m0")));
	assert_int_equal(
		mnt_remove(tree.env.root, MOUNT_AT, GUESTPATH_MOUNT, &e), 0);
}

static void test_what_is_no_mount_is_not_emptied(void **state)
{
	struct err e = { 0 };

	(void)state;
	tree_text(tree_path(&tree, "run/mounts/scsi/m0/precious"), "x");
	assert_int_equal(
		mnt_remove(tree.env.root, MOUNT_AT, GUESTPATH_MOUNT, &e), 0);
	assert_true(tree_has(tree_path(&tree, "run/mounts/scsi/m0/precious")));
}

/* CVE-2020-2024: a link at the place of the mount is not followed. */
static void test_unmount_does_not_follow_a_link(void **state)
{
	struct err e = { 0 };

	(void)state;
	NEEDS_MOUNTS();
	assert_int_equal(put("/run/mounts/scsi/victim"), 0);
	assert_int_equal(
		symlink("victim", tree_path(&tree, "run/mounts/scsi/m0")), 0);
	assert_true(mnt_remove(tree.env.root, MOUNT_AT, GUESTPATH_MOUNT, &e) <=
		    0);
	assert_int_equal(mnt_remove(tree.env.root, "/run/mounts/scsi/victim",
				    GUESTPATH_MOUNT, &e),
			 1);
	/* Nor a link on the way. */
	assert_int_equal(put("/run/mounts/scsi/dir/victim"), 0);
	assert_int_equal(
		symlink("dir", tree_path(&tree, "run/mounts/scsi/way")), 0);
	assert_true(mnt_remove(tree.env.root, "/run/mounts/scsi/way/victim",
			       GUESTPATH_MOUNT, &e) < 0);
	assert_int_equal(mnt_remove(tree.env.root,
				    "/run/mounts/scsi/dir/victim",
				    GUESTPATH_MOUNT, &e),
			 1);
}

static void test_unknown_file_system_is_named(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(mnt_new("nonsense", "x", NULL, 0, false, &e), -ENODEV);
	assert_non_null(strstr(e.text, "no file system 'nonsense'"));
}

static void test_propagation_is_what_the_option_says(void **state)
{
	static const char *const good[] = { "private",	  "rprivate",
					    "shared",	  "rshared",
					    "slave",	  "rslave",
					    "unbindable", "runbindable" };
	struct err e = { 0 };
	cleanup_fd mnt = -1;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(mnt_is_propagation(good[i]));
	assert_false(mnt_is_propagation("ro"));
	NEEDS_MOUNTS();
	mnt = mnt_new("tmpfs", "x", NULL, 0, false, &e);
	assert_int_equal(mnt_put(tree.env.root, MOUNT_AT, GUESTPATH_MOUNT, 0700,
				 mnt, &e),
			 0);
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(mnt_propagate(mnt, good[i], &e), 0);
	assert_int_equal(mnt_propagate(mnt, "ro", &e), -EINVAL);
	fd_close(&mnt);
	mnt_take_back(tree.env.root, MOUNT_AT, GUESTPATH_MOUNT);
	assert_false(tree_has(tree_path(&tree, "run/mounts/scsi/m0")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_topmost_layer_wins_and_writes_go_to_the_scratch),
		T(test_scratch_that_is_the_bundle_is_not_bound),
		T(test_without_scratch_it_is_read_only),
		T(test_layers_of_a_dead_disk_go),
		T(test_long_list_of_layers),
		T(test_what_fails_leaves_nothing),
		T(test_scratch_of_an_earlier_life_is_kept),
		T(test_W_G32_paths_outside_the_folders_are_refused),
		T(test_stacked_mounts_go_up_to_five),
		T(test_what_is_no_mount_is_not_emptied),
		T(test_unmount_does_not_follow_a_link),
		T(test_unknown_file_system_is_named),
		T(test_propagation_is_what_the_option_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
