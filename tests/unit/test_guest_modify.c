/* tests/unit/test_guest_modify.c - ModifySettings of the UVM, over sockets */
#include "tests/unit/guest_peer.h"
#include "tests/unit/guest_tree.h"

#include "bridge/guest/disk.h"

#define NULL_ID "00000000-0000-0000-0000-000000000000"

static struct tree tree;
static struct peer peer;
static int64_t wait_ms;
static int64_t make_ms = MODIFY_MAKE_MS;
static int64_t mount_ms = MODIFY_MOUNT_MS;

static void tune(struct agent *a)
{
	struct volume_env *env = &a->modify.env;

	fd_close(&env->root);
	env->root = fcntl(tree.env.root, F_DUPFD_CLOEXEC, 3);
	env->sys = tree.sys;
	env->dev = tree.dev;
	env->programs = tree.programs;
	env->wait_ms = wait_ms;
	env->uevents = false;
	a->modify.make_ms = make_ms;
	a->modify.mount_ms = mount_ms;
}

static int setup(void **state)
{
	(void)state;
	tree_init(&tree);
	tree_host(&tree, 0, "virtio_scsi\n", "pci0000:00/0000:00:03.0/virtio0");
	wait_ms = TREE_WAIT_MS;
	peer_init(&peer);
	peer.tune = tune;
	peer_start_agent(&peer);
	peer_accept(&peer);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	peer_done(&peer);
	tree_done(&tree);
	return 0;
}

static void negotiate(void)
{
	struct peer_frame f;
	char body[256];

	(void)snprintf(body, sizeof(body),
		       "{" PEER_BASE ",\"MinimumVersion\":4,"
		       "\"MaximumVersion\":4}",
		       NULL_ID);
	assert_int_equal(peer_call(&peer, WIRE_NEGOTIATE_PROTOCOL, body, &f),
			 0);
}

static void modify_body(char *body, size_t size, const char *type,
			const char *resource, const char *settings)
{
	(void)snprintf(body, size,
		       "{" PEER_BASE ",\"Request\":{\"RequestType\":\"%s\","
		       "\"ResourceType\":\"%s\"%s%s}}",
		       NULL_ID, type, resource,
		       settings ? ",\"Settings\":" : "",
		       settings ? settings : "");
}

static uint64_t ask(const char *type, const char *resource,
		    const char *settings)
{
	char body[4096];

	modify_body(body, sizeof(body), type, resource, settings);
	return peer_send(&peer, WIRE_MODIFY_SETTINGS, body);
}

static uint32_t modify(const char *type, const char *resource,
		       const char *settings, struct peer_frame *f)
{
	peer_answer(&peer, ask(type, resource, settings), f);
	return peer_result(f);
}

#define LINK(lun, name)                                                        \
	"{\"Lun\":" lun ",\"BlockDev\":true,"                                  \
	"\"MountPath\":\"/run/mounts/scsi/" name "\"}"

static void test_disk_comes_and_goes(void **state)
{
	struct peer_frame f;

	(void)state;
	negotiate();
	tree_disk(&tree, 0, 3, "sda", "", 0);
	assert_int_equal(modify("Add", "MappedVirtualDisk", LINK("3", "a"), &f),
			 0);
	assert_true(tree_has(tree_path(&tree, "run/mounts/scsi/a")));
	assert_int_equal(peer_call(&peer, WIRE_DUMP_STACKS, "{}", &f), 0);
	assert_non_null(strstr(f.body, "volume link path=/run/mounts/scsi/a "
				       "ro=0 at=0:3:0 encrypted=0 "
				       "device=sda"));
	/* V1 hosts do not repeat what it was. */
	assert_int_equal(modify("Remove", "MappedVirtualDisk",
				"{\"Lun\":3,\"MountPath\":"
				"\"/run/mounts/scsi/a\"}",
				&f),
			 0);
	assert_false(tree_has(tree_path(&tree, "run/mounts/scsi/a")));
	assert_int_equal(modify("Remove", "SCSIDevice", "{\"Lun\":3}", &f), 0);
	assert_int_equal(peer_call(&peer, WIRE_DUMP_STACKS, "{}", &f), 0);
	assert_non_null(strstr(f.body, "volumes 0\\n"));
}

static void test_requests_that_make_no_sense(void **state)
{
	static const struct {
		const char *type;
		const char *resource;
		const char *settings;
		uint32_t code;
		const char *names;
	} rows[] = {
		{ "Add", "Nonsense", "{}", HR_FAIL, "ResourceType" },
		{ "", "", "{}", HR_FAIL, "ResourceType" },
		{ "Update", "MappedVirtualDisk", "{}", HR_FAIL, "RequestType" },
		{ "Add", "SCSIDevice", "{}", HR_FAIL, "RequestType" },
		{ "Remove", "VPCIDevice", "{}", HR_FAIL, "RequestType" },
		{ "Add", "MappedVirtualDisk", NULL, HR_INVALID_JSON,
		  "Settings" },
		{ "Add", "MappedVirtualDisk", "[]", HR_INVALID_JSON,
		  "Settings" },
		{ "Add", "MappedVirtualDisk",
		  "{\"Controller\":4,\"MountPath\":\"/run/mounts/scsi/a\"}",
		  HR_FAIL, "Controller" },
		{ "Add", "MappedVirtualDisk", "{\"MountPath\":\"/etc\"}",
		  HR_FAIL, "MountPath" },
		{ "Remove", "MappedVirtualDisk", "{\"MountPath\":\"/\"}",
		  HR_FAIL, "MountPath" },
		{ "Remove", "SCSIDevice", "{\"Controller\":200}", HR_FAIL,
		  "Controller" },
		{ "Remove", "CombinedLayers",
		  "{\"ContainerRootPath\":\"/run\"}", HR_FAIL,
		  "ContainerRootPath" },
		{ "Add", "MappedDirectory",
		  "{\"MountPath\":\"/run/mounts/plan9/1\",\"Port\":564,"
		  "\"ShareName\":\"a,b\"}",
		  HR_FAIL, "ShareName" },
		{ "Add", "MappedDirectory",
		  "{\"MountPath\":\"/run/mounts/plan9/1\"}", HR_FAIL, "Port" },
		{ "Add", "VPCIDevice", "{\"VMBusGUID\":\"../..\"}", HR_FAIL,
		  "VMBusGUID" },
		{ "Add", "VPMemDevice",
		  "{\"MountPath\":\"/run/layers/p0\",\"MappingInfo\":"
		  "{\"DeviceOffsetInBytes\":1,\"DeviceSizeInBytes\":512}}",
		  HR_FAIL, "MappingInfo" },
		{ "Add", "ContainerConstraints", "{}", HR_SYSTEM_NOT_FOUND,
		  "" },
		{ "Update", "Network", "{}", HR_FAIL, "RequestType" },
		{ "Add", "Network", NULL, HR_INVALID_JSON, "Settings" },
		{ "Remove", "Network", "7", HR_INVALID_JSON, "Settings" },
		{ "Add", "PodCgroupMemoryLimit", NULL, HR_FAIL, "RequestType" },
		{ "", "PodCgroupMemoryLimit", NULL, HR_FAIL, "RequestType" },
		{ "Add", "SecurityPolicy", NULL, HR_INVALID_JSON, "Settings" },
		/* No RequestType is looked at. */
		{ "Nonsense", "SecurityPolicyFragment",
		  "{\"Fragment\":\"ZnJhZw==\"}", HR_FAIL, "ragment" },
		{ "Add", "NetworkNamespace", "{}", HR_FAIL, "ResourceType" },
		{ "Add", "HvSocket", "{}", HR_FAIL, "ResourceType" },
	};
	struct peer_frame f;

	(void)state;
	negotiate();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(modify(rows[i].type, rows[i].resource,
					rows[i].settings, &f),
				 rows[i].code);
		assert_non_null(strstr(f.body, rows[i].names));
	}
	/* An empty path: nothing is done, and that is a success. */
	assert_int_equal(modify("Add", "MappedVirtualDisk", "{}", &f), 0);
}

static void test_share_that_nobody_serves_is_an_error(void **state)
{
	struct peer_frame f;

	(void)state;
	negotiate();
	assert_int_equal(modify("Add", "MappedDirectory",
				"{\"MountPath\":\"/run/mounts/plan9/1\","
				"\"Port\":564,\"ShareName\":\"1\"}",
				&f),
			 HR_FAIL);
	assert_false(tree_has(tree_path(&tree, "run/mounts/plan9/1")));
	assert_int_equal(modify("Remove", "MappedDirectory",
				"{\"MountPath\":\"/run/mounts/plan9/1\"}", &f),
			 0);
}

/* One disk that does not come holds up neither others nor the bridge; what
 * has to do with it waits for it. */
static void test_slow_disk_holds_up_nobody_else(void **state)
{
	struct peer_frame f;
	uint64_t slow, same, unplug;

	(void)state;
	peer_done(&peer); /* with a longer wait */
	wait_ms = 400;
	peer_init(&peer);
	peer.tune = tune;
	peer_start_agent(&peer);
	peer_accept(&peer);
	negotiate();
	tree_disk(&tree, 0, 3, "sda", "", 0);
	slow = ask("Add", "MappedVirtualDisk", LINK("7", "slow"));
	same = ask("Remove", "MappedVirtualDisk", LINK("7", "slow"));
	unplug = ask("Remove", "SCSIDevice", "{\"Lun\":7}");
	assert_int_equal(modify("Add", "MappedVirtualDisk", LINK("3", "a"), &f),
			 0);
	peer_answer(&peer, slow, &f);
	assert_int_equal(peer_result(&f), HR_FAIL);
	assert_non_null(strstr(f.body, "LUN 7"));
	/* Answers to these came later, in any order. */
	for (int i = 0; i < 2; i++) {
		assert_true(peer_recv(&peer, &f));
		assert_true(f.id == same || f.id == unplug);
		assert_int_equal(peer_result(&f), 0);
	}
}

/* A host that goes away does not undo what it asked for. */
static void test_operation_outlives_its_connection(void **state)
{
	struct peer_frame f;
	uint64_t id;

	(void)state;
	negotiate();
	tree_script(&tree, "mkfs.ext4",
		    "#!/bin/sh\n/usr/bin/touch \"${0%/*}/ran\"\n"
		    "exec /usr/bin/sleep 0.2\n");
	tree_disk(&tree, 0, 3, "sda", "", 0);
	id = ask("Add", "MappedVirtualDisk",
		 "{\"Lun\":3,\"MountPath\":\"/run/mounts/scsi/a\","
		 "\"EnsureFilesystem\":true,\"Filesystem\":\"ext4\"}");
	while (!tree_has(tree_path(&tree, "programs/ran")))
		(void)usleep(1000);
	peer_drop(&peer, false);
	peer_accept(&peer);
	negotiate();
	peer_answer(&peer, id, &f);
	assert_int_equal(peer_result(&f), HR_FAIL); /* it is no real disk */
	assert_int_equal(peer_call(&peer, WIRE_DUMP_STACKS, "{}", &f), 0);
	assert_non_null(strstr(f.body, "operations 0\\nvolumes 0\\n"));
}

/* The program that hangs is gone, and the Add has left nothing. */
static void test_add_that_hangs_is_killed(void **state)
{
	struct peer_frame f;
	char pid[32];

	(void)state;
	peer_done(&peer);
	make_ms = 1;
	mount_ms = DISK_AGAIN_MS + 1000;
	peer_init(&peer);
	peer.tune = tune;
	peer_start_agent(&peer);
	make_ms = MODIFY_MAKE_MS;
	mount_ms = MODIFY_MOUNT_MS;
	peer_accept(&peer);
	negotiate();
	tree_disk(&tree, 0, 3, "sda", "", 0);
	tree_script(&tree, "mkfs.ext4",
		    "#!/bin/sh\necho $$ >\"${0%/*}/pid\"\n"
		    "exec /usr/bin/sleep 1000\n");
	assert_int_equal(modify("Add", "MappedVirtualDisk",
				"{\"Lun\":3,\"MountPath\":"
				"\"/run/mounts/scsi/a\","
				"\"EnsureFilesystem\":true,"
				"\"Filesystem\":\"ext4\"}",
				&f),
			 HR_FAIL);
	assert_non_null(strstr(f.body, "no end within"));
	tree_read(tree_path(&tree, "programs/pid"), pid, sizeof(pid));
	assert_true(atoi(pid) > 1);
	/* It may be a zombie that this process has not reaped yet. */
	for (int i = 0; i < 500 && kill(atoi(pid), 0) == 0; i++) {
		(void)waitpid(atoi(pid), NULL, WNOHANG);
		(void)usleep(10000);
	}
	assert_int_equal(kill(atoi(pid), 0), -1);
	assert_false(tree_has(tree_path(&tree, "run/mounts/scsi/a")));
	assert_int_equal(modify("Add", "MappedVirtualDisk", LINK("3", "a"), &f),
			 0);
	assert_int_equal(peer_call(&peer, WIRE_DUMP_STACKS, "{}", &f), 0);
	assert_non_null(strstr(f.body, "volumes 1\\n"));
}

#define LAYERS(root, path)                                                     \
	"{\"ContainerRootPath\":\"/run/gcs/c/" root "/rootfs\",\"Layers\":"    \
	"[{\"Path\":\"/run/mounts/scsi/" path "\"}]}"

static void test_many_layers_of_one_disk_side_by_side(void **state)
{
	enum { N = 40 };
	struct peer_frame f;
	uint64_t first = 0;

	(void)state;
	if (!tree.mounts)
		skip();
	negotiate();
	tree_text(tree_path(&tree, "run/mounts/scsi/l/file"), "text");
	for (int i = 0; i < N; i++) {
		char settings[256];
		uint64_t id;

		(void)snprintf(settings, sizeof(settings), LAYERS("c%d", "l"),
			       i);
		id = ask("Add", "CombinedLayers", settings);
		first = i == 0 ? id : first;
	}
	for (int i = 0; i < N; i++) {
		assert_true(peer_recv(&peer, &f));
		assert_true(f.id >= first && f.id < first + N);
		assert_int_equal(peer_result(&f), 0);
	}
	for (int i = 0; i < N; i++) {
		char settings[256];

		/* Mounted in the agent's namespace, which is this one. */
		assert_true(tree_has(
			tree_path(&tree, "run/gcs/c/c%d/rootfs/file", i)));
		(void)snprintf(settings, sizeof(settings),
			       "{\"ContainerRootPath\":"
			       "\"/run/gcs/c/c%d/rootfs\"}",
			       i);
		assert_int_equal(
			modify("Remove", "CombinedLayers", settings, &f), 0);
		assert_false(
			tree_has(tree_path(&tree, "run/gcs/c/c%d/rootfs", i)));
	}
	assert_int_equal(peer_call(&peer, WIRE_DUMP_STACKS, "{}", &f), 0);
	assert_non_null(strstr(f.body, "volumes 0\\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_disk_comes_and_goes),
		T(test_requests_that_make_no_sense),
		T(test_share_that_nobody_serves_is_an_error),
		T(test_slow_disk_holds_up_nobody_else),
		T(test_operation_outlives_its_connection),
		T(test_add_that_hangs_is_killed),
		T(test_many_layers_of_one_disk_side_by_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
