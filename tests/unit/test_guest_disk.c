/* tests/unit/test_guest_disk.c - SCSI disks of a guest that is a folder */
#include "tests/unit/guest_tree.h"

#include <pthread.h>

#include "bridge/guest/disk.h"
#include "bridge/guest/fsprobe.h"
#include "bridge/guest/scsi.h"
#include "bridge/guest/vpci.h"

#define DISK_AT "/run/mounts/scsi/0_3_0"

static struct tree tree;

static int setup(void **state)
{
	(void)state;
	tree_init(&tree);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tree_done(&tree);
	return 0;
}

static void qemu_host(void)
{
	tree_host(&tree, 0, "virtio_scsi\n", "pci0000:00/0000:00:03.0/virtio0");
}

/* --- which file system ----------------------------------------------------- */

static void test_superblocks_are_known(void **state)
{
	static const struct {
		size_t offset;
		const char *magic;
		const char *type;
	} rows[] = {
		{ 1024 + 56, "\x53\xef", "ext4" },
		{ 0, "XFSB", "xfs" },
		{ 1024, "\xe2\xe1\xf5\xe0", "erofs" },
		{ 0, "hsqs", "squashfs" },
		{ 1, "XFSB", NULL },
		{ 1024, "\xe2\xe1\xf5", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t head[FSPROBE_BYTES] = { 0 };
		const char *found;

		memcpy(head + rows[i].offset, rows[i].magic,
		       strlen(rows[i].magic));
		found = fsprobe(head, sizeof(head));
		assert_true(rows[i].type ? found && !strcmp(found, rows[i].type)
					 : !found);
		/* A disk that ends before its superblock. */
		assert_null(fsprobe(head, rows[i].offset + 1));
	}
	assert_null(fsprobe(NULL, 0));
	assert_true(fsprobe_has_noload("ext4"));
	assert_false(fsprobe_has_noload("erofs"));
	assert_true(fsprobe_read_only("erofs"));
	assert_false(fsprobe_read_only("nonsense"));
}

/* --- which device ---------------------------------------------------------- */

static int find(unsigned int controller, unsigned int lun, uint64_t partition,
		char *name, struct err *e)
{
	struct scsi_disk disk = { .fd = -1 };
	const int r =
		scsi_find(&tree.env, controller, lun, partition, &disk, e);

	fd_close(&disk.fd);
	if (r == 0 && name)
		(void)snprintf(name, VOLUME_NAME_MAX, "%s", disk.name);
	return r;
}

static void test_controller_is_found_by_vmbus_id(void **state)
{
	char name[VOLUME_NAME_MAX];
	struct err e = { 0 };

	(void)state;
	tree_dirs(tree_path(&tree, "sys/bus/vmbus/devices/"
				   "0110f83b-de10-5172-a266-78bca56bf50a/"
				   "host5"));
	tree_disk(&tree, 5, 2, "sdc", "", 0);
	assert_int_equal(find(1, 2, 0, name, &e), 0);
	assert_string_equal(name, "sdc");
	assert_int_equal(find(0, 2, 0, name, &e), -ETIMEDOUT);
	assert_non_null(strstr(e.text, "its controller is missing"));
}

/* The order is that of the devices, not that of their numbers. */
static void test_controller_is_found_by_place_without_vmbus(void **state)
{
	char name[VOLUME_NAME_MAX];
	struct err e = { 0 };

	(void)state;
	tree_host(&tree, 9, "virtio_scsi\n", "pci0000:00/0000:00:03.0/virtio0");
	tree_host(&tree, 2, "virtio_scsi\n", "pci0000:00/0000:00:04.0/virtio1");
	tree_host(&tree, 0, "ahci\n", "pci0000:00/0000:00:01.0/ata1");
	tree_disk(&tree, 9, 0, "sda", "", 0);
	tree_disk(&tree, 2, 0, "sdb", "", 0);
	assert_int_equal(find(0, 0, 0, name, &e), 0);
	assert_string_equal(name, "sda");
	assert_int_equal(find(1, 0, 0, name, &e), 0);
	assert_string_equal(name, "sdb");
	assert_int_equal(find(2, 0, 0, name, &e), -ETIMEDOUT);
}

static void test_partition_is_waited_for(void **state)
{
	char name[VOLUME_NAME_MAX];
	struct err e = { 0 };

	(void)state;
	qemu_host();
	tree_disk(&tree, 0, 3, "sda", "", 0);
	assert_int_equal(find(0, 3, 2, name, &e), -ETIMEDOUT);
	assert_non_null(strstr(e.text, "the partition is missing"));
	tree_dirs(tree_path(&tree,
			    "sys/bus/scsi/devices/0:0:0:3/block/sda/sda2"));
	tree_text(tree_path(&tree, "dev/sda2"), "");
	assert_int_equal(find(0, 3, 2, name, &e), 0);
	assert_string_equal(name, "sda2");
}

/* A node that is left of another disk is not taken for the new one. */
static void test_node_of_another_device_is_not_taken(void **state)
{
	struct err e = { 0 };

	(void)state;
	qemu_host();
	tree_disk(&tree, 0, 3, "sda", "", 0);
	tree_text(
		tree_path(&tree, "sys/bus/scsi/devices/0:0:0:3/block/sda/dev"),
		"8:0\n");
	assert_int_equal(find(0, 3, 0, NULL, &e), -ETIMEDOUT);
	assert_non_null(strstr(e.text, "its node is missing"));
}

static void *plug_later(void *arg)
{
	(void)arg;
	(void)usleep(20000);
	tree_disk(&tree, 0, 3, "sda", "", 0);
	return NULL;
}

static void test_disk_that_comes_later_is_found(void **state)
{
	char name[VOLUME_NAME_MAX];
	struct err e = { 0 };
	pthread_t t;

	(void)state;
	qemu_host();
	tree.env.wait_ms = 20000;
	assert_int_equal(pthread_create(&t, NULL, plug_later, NULL), 0);
	assert_int_equal(find(0, 3, 0, name, &e), 0);
	assert_string_equal(name, "sda");
	assert_int_equal(pthread_join(t, NULL), 0);
}

/* The reference waits for ever, and its host gives up the bridge. */
static void test_W_G25_wait_for_a_device_is_bounded(void **state)
{
	const struct msg_vpci_device pci = {
		.vmbus_guid = "00000000-0000-0000-0000-00000000ABCD"
	};
	struct err e = { 0 };

	(void)state;
	assert_int_equal(vpci_check(&pci, &e), 0);
	assert_int_equal(vpci_wait(&tree.env, &pci, &e), -ENODEV);
	qemu_host();
	assert_int_equal(find(0, 3, 0, NULL, &e), -ETIMEDOUT);
	assert_non_null(strstr(e.text, "controller 0, LUN 3"));
	tree_dirs(tree_path(&tree, "sys/bus/vmbus/devices"));
	assert_int_equal(vpci_wait(&tree.env, &pci, &e), -ETIMEDOUT);
	tree_dirs(tree_path(&tree, "sys/bus/vmbus/devices/"
				   "00000000-0000-0000-0000-00000000abcd/"
				   "pciabcd:00/abcd:00:00.0"));
	assert_int_equal(vpci_wait(&tree.env, &pci, &e), 0);
}

static void test_W_G5_controller_beyond_the_last_is_an_error(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(find(4, 0, 0, NULL, &e), -EINVAL);
	assert_int_equal(find(255, 0, 0, NULL, &e), -EINVAL);
	assert_int_equal(scsi_unplug(&tree.env, 4, 0, &e), -EINVAL);
}

static void test_unplug_tells_the_kernel(void **state)
{
	char text[8];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(scsi_unplug(&tree.env, 0, 3, &e), 0); /* no host */
	qemu_host();
	assert_int_equal(scsi_unplug(&tree.env, 0, 3, &e), 0); /* no disk */
	tree_disk(&tree, 0, 3, "sda", "", 0);
	assert_int_equal(scsi_unplug(&tree.env, 0, 3, &e), 0);
	tree_read(tree_path(&tree, "sys/bus/scsi/devices/0:0:0:3/delete"), text,
		  sizeof(text));
	assert_string_equal(text, "1\n");
}

/* --- Add ------------------------------------------------------------------- */

static int add(struct msg_mapped_virtual_disk m, struct volume_facts *f,
	       struct err *e)
{
	int r;

	m.lun = 3;
	m.mount_path = m.mount_path ? m.mount_path : DISK_AT;
	m.filesystem = m.filesystem ? m.filesystem : "";
	r = disk_check(&m, true, f, e);
	return r < 0 ? r : disk_add(&tree.env, &m, f, e);
}

static void test_request_that_makes_no_sense_is_refused(void **state)
{
	static const struct {
		struct msg_mapped_virtual_disk m;
		const char *names;
	} rows[] = {
		{ { .controller = 4 }, "Controller" },
		{ { .mount_path = "/" }, "MountPath" },
		{ { .mount_path = "/run/mounts/scsi/../../etc" }, "MountPath" },
		{ { .mount_path = "run/mounts/scsi/m0" }, "MountPath" },
		{ { .ensure_filesystem = true, .filesystem = "btrfs" },
		  "Filesystem" },
		{ { .ensure_filesystem = true }, "Filesystem" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct volume_facts f;
		struct err e = { 0 };

		assert_int_equal(add(rows[i].m, &f, &e), -EINVAL);
		assert_non_null(strstr(e.text, rows[i].names));
	}
}

static void test_block_device_is_a_link(void **state)
{
	struct volume_facts f;
	char at[256], target[256];
	struct err e = { 0 };
	ssize_t n;

	(void)state;
	(void)snprintf(at, sizeof(at), "%s",
		       tree_path(&tree, "run/mounts/scsi/dir/link"));
	qemu_host();
	tree_disk(&tree, 0, 3, "sda", "", 0);
	assert_int_equal(
		add(
			(struct msg_mapped_virtual_disk){
				.mount_path = "/run/mounts/scsi/dir/link",
				.block_dev = true },
			&f, &e),
		0);
	n = readlink(at, target, sizeof(target) - 1);
	assert_true(n > 0);
	target[n] = '\0';
	assert_string_equal(target, tree_path(&tree, "dev/sda"));
	assert_string_equal(f.device, "sda");
	assert_int_equal(disk_remove(&tree.env, &f, &e), 0);
	assert_false(tree_has(at));
	assert_int_equal(disk_remove(&tree.env, &f, &e), 0);
	/* What is no link is not removed. */
	tree_text(at, "precious");
	assert_int_equal(disk_remove(&tree.env, &f, &e), -EINVAL);
	assert_true(tree_has(at));
}

static void
test_unknown_file_system_is_an_error_and_leaves_nothing(void **state)
{
	struct volume_facts f;
	struct err e = { 0 };

	(void)state;
	qemu_host();
	tree_disk(&tree, 0, 3, "sda", "", 0);
	assert_int_equal(add((struct msg_mapped_virtual_disk){ 0 }, &f, &e),
			 -EINVAL);
	assert_non_null(strstr(e.text, "no known file system"));
	assert_false(tree_has(tree_path(&tree, "run/mounts/scsi/0_3_0")));
}

static void test_ensured_file_system_needs_its_program(void **state)
{
	struct msg_mapped_virtual_disk m = { .ensure_filesystem = true,
					     .filesystem = "ext4" };
	struct volume_facts f;
	char said[512], want[512];
	struct err e = { 0 };

	(void)state;
	qemu_host();
	tree_disk(&tree, 0, 3, "sda", "", 0);
	assert_int_equal(add(m, &f, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.text, "the image has no mkfs.ext4"));
	tree_script(&tree, "mkfs.ext4",
		    "#!/bin/sh\nexec >\"${0%/*}/said\"; echo \"$@\"\n");
	/* The file is no block device: the mount fails, the program ran. */
	assert_true(add(m, &f, &e) < 0);
	tree_read(tree_path(&tree, "programs/said"), said, sizeof(said));
	(void)snprintf(want, sizeof(want), "-F %s\n",
		       tree_path(&tree, "dev/sda"));
	assert_string_equal(said, want);
	tree_script(&tree, "mkfs.ext4", "#!/bin/sh\necho it broke; exit 1\n");
	assert_int_equal(add(m, &f, &e), -EIO);
	assert_non_null(strstr(e.text, "it broke"));
	assert_false(tree_has(tree_path(&tree, "run/mounts/scsi/0_3_0")));
	m.read_only = true;
	assert_int_equal(add(m, &f, &e), -EINVAL);
	assert_non_null(strstr(e.text, "read-only"));
	m = (struct msg_mapped_virtual_disk){ .ensure_filesystem = true,
					      .filesystem = "xfs" };
	assert_int_equal(add(m, &f, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.text, "the image has no mkfs.xfs"));
}

static void test_file_system_that_is_there_is_not_made_again(void **state)
{
	uint8_t head[FSPROBE_BYTES] = { 0 };
	struct volume_facts f;
	struct err e = { 0 };

	(void)state;
	qemu_host();
	head[1024 + 56] = 0x53;
	head[1024 + 57] = 0xef;
	tree_disk(&tree, 0, 3, "sda", head, sizeof(head));
	tree_script(&tree, "mkfs.ext4",
		    "#!/bin/sh\n/usr/bin/touch \"${0%/*}/ran\"\n");
	for (int ro = 0; ro <= 1; ro++) {
		/* Up to the mount, for the file is no disk. */
		assert_true(add(
				    (struct msg_mapped_virtual_disk){
					    .ensure_filesystem = true,
					    .filesystem = "ext4",
					    .read_only = ro },
				    &f, &e) != -EINVAL);
		assert_string_equal(f.filesystem, "ext4");
	}
	assert_false(tree_has(tree_path(&tree, "programs/ran")));
}

/* --- encrypted ------------------------------------------------------------- */

#define RECORD                                                                 \
	"#!/bin/sh\nPATH=/usr/bin:/bin\n"                                      \
	"d=${0%/programs/*}\n"                                                 \
	"echo \"$*\" | sed \"s|$d||g\" >>\"$d/said\"\n"

static void test_encrypted_disk_needs_cryptsetup(void **state)
{
	struct volume_facts f;
	struct err e = { 0 };

	(void)state;
	qemu_host();
	tree_disk(&tree, 0, 3, "sda", "", 0);
	assert_int_equal(
		add((struct msg_mapped_virtual_disk){ .encrypted = true,
						      .filesystem = "ext4" },
		    &f, &e),
		-EOPNOTSUPP);
	assert_non_null(strstr(e.text, "the image has no cryptsetup"));
}

/* The reference closes a device of another name. */
static void test_W_G27_failed_encryption_closes_its_own_device(void **state)
{
	struct volume_facts f;
	char said[4096], *at;
	struct err e = { 0 };

	(void)state;
	qemu_host();
	tree_disk(&tree, 0, 3, "sda", "", 0);
	tree_disk(&tree, 0, 4, "sdb", "", 0);
	tree_dirs(tree_path(&tree, "dev/mapper"));
	/* Opens, but the device cannot be written to: a directory. */
	tree_script(
		&tree, "cryptsetup",
		RECORD
		"case $3 in luksFormat) test -s \"$8\" || exit 9;;\n"
		"luksOpen) mkdir -p \"$d/dev/mapper/$5\";; esac\n"
		"case $1 in luksClose) rmdir \"$d/dev/mapper/$2\";; esac\n");
	assert_true(
		add((struct msg_mapped_virtual_disk){ .encrypted = true,
						      .filesystem = "ext4" },
		    &f, &e) < 0);
	tree_read(tree_path(&tree, "said"), said, sizeof(said));
	at = strstr(said, "--debug -v luksFormat /dev/sda --type luks2 "
			  "--key-file /run/ferry-keys/"
			  "dm-crypt-scsi-contr0-lun3-p0 --batch-mode "
			  "--cipher aes-xts-plain64 --integrity hmac-sha256 "
			  "--integrity-no-wipe --sector-size 4096 --pbkdf "
			  "pbkdf2 --pbkdf-force-iterations 1000\n");
	assert_ptr_equal(at, said);
	at = strstr(at, "--debug -v luksOpen /dev/sda "
			"dm-crypt-scsi-contr0-lun3-p0 --key-file ");
	assert_non_null(at);
	at = strstr(at, "luksClose dm-crypt-scsi-contr0-lun3-p0\n");
	assert_non_null(at);
	/* Once more, and closed for good. */
	at = strstr(at, "luksOpen");
	assert_non_null(at);
	assert_non_null(strstr(at, "luksClose dm-crypt-scsi-contr0-lun3-p0\n"));
	assert_false(tree_has(
		tree_path(&tree, "dev/mapper/dm-crypt-scsi-contr0-lun3-p0")));
	assert_false(tree_has(tree_path(
		&tree, "run/ferry-keys/dm-crypt-scsi-contr0-lun3-p0")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_superblocks_are_known),
		T(test_controller_is_found_by_vmbus_id),
		T(test_controller_is_found_by_place_without_vmbus),
		T(test_partition_is_waited_for),
		T(test_node_of_another_device_is_not_taken),
		T(test_disk_that_comes_later_is_found),
		T(test_W_G25_wait_for_a_device_is_bounded),
		T(test_W_G5_controller_beyond_the_last_is_an_error),
		T(test_unplug_tells_the_kernel),
		T(test_request_that_makes_no_sense_is_refused),
		T(test_block_device_is_a_link),
		T(test_unknown_file_system_is_an_error_and_leaves_nothing),
		T(test_ensured_file_system_needs_its_program),
		T(test_file_system_that_is_there_is_not_made_again),
		T(test_encrypted_disk_needs_cryptsetup),
		T(test_W_G27_failed_encryption_closes_its_own_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
