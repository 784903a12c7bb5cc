/* tests/unit/test_guest_oci_mounts.c - mounts and devices of a container */
#include "tests/unit/oci_fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include <json-c/json.h>

#include "bridge/guest/oci.h"
#include "bridge/io/fd.h"
#include "config/util.h"

TEST(test_shared_folders)
{
	struct made m;
	struct stat st;

	WANT(workload(&m, WORKLOAD(MOUNT("sandbox:///a/b", ""), "")) == 0);
	WANT(is(&m, "/mounts/0/source", "\"" BUNDLE "/sources/0\""));
	WANT(is(&m, "/mounts/0/options", "[\"rbind\"]"));
	WANT(fstatat(root, at(POD "/sandboxMounts/a/b"), &st, 0) == 0);
	WANT((st.st_mode & 07777) == 0777);
	WANT(file(POD "/sandboxMounts/a/b/f", "x") == 0);
	WANT(holds(BUNDLE "/sources/0/f", "x"));
	WANT(is(&m, "/mounts/1/source", "\"" POD "/hostname\""));
	WANT(is(&m, "/linux/cgroupsPath", "\"/pods/p1/c1\""));

	WANT(make(&m, "c2", WORKLOAD(MOUNT("sandbox-tmp://t", ""), ""), NULL) ==
	     0);
	WANT(there(POD "/sandboxTmpfsMounts/t"));
	WANT(file("/run/gcs/c/c2/sources/0/f", "y") == 0);
	WANT(holds(POD "/sandboxTmpfsMounts/t/f", "y"));
	/* a file is as good */
	WANT(make(&m, "c3", WORKLOAD(MOUNT("sandbox://a/b/f", ""), ""), NULL) ==
	     0);
	WANT(holds("/run/gcs/c/c3/sources/0", "x"));
	return 0;
}

/* Another container of the pod has left links there. */
TEST(test_shared_folders_lead_nowhere_else)
{
	struct made m;

	WANT(workload(&m, WORKLOAD(PLAIN, "")) == 0);
	dir("/secret");
	WANT(symlinkat("../../../../../secret", root,
		       at(POD "/sandboxMounts/out")) == 0);
	WANT(symlinkat("/secret", root, at(POD "/sandboxMounts/abs")) == 0);
	dir(POD "/sandboxMounts/in");
	WANT(symlinkat("in", root, at(POD "/sandboxMounts/near")) == 0);
	WANT(make(&m, "c2", WORKLOAD(MOUNT("sandbox://out", ""), ""), NULL) ==
	     -EXDEV);
	WANT(make(&m, "c2", WORKLOAD(MOUNT("sandbox://out/x", ""), ""), NULL) <
	     0);
	WANT(make(&m, "c2", WORKLOAD(MOUNT("sandbox://abs", ""), ""), NULL) ==
	     -EXDEV);
	WANT(make(&m, "c2", WORKLOAD(MOUNT("sandbox://../x", ""), ""), NULL) ==
	     -EXDEV);
	WANT(make(&m, "c2", WORKLOAD(MOUNT("sandbox://a/../../x", ""), ""),
		  NULL) < 0);
	WANT(!there("/secret/x") && !there(POD "/x"));
	WANT(make(&m, "c2", WORKLOAD(MOUNT("sandbox://near", ""), ""), NULL) ==
	     0);
	WANT(file("/run/gcs/c/c2/sources/0/f", "y") == 0);
	WANT(holds(POD "/sandboxMounts/in/f", "y"));
	return 0;
}

TEST(test_uvm_sources)
{
	struct made m;

	dir("/opt/x");
	WANT(workload(&m, WORKLOAD(MOUNT("uvm://opt/x", ""), "")) == 0);
	WANT(is(&m, "/mounts/0/source", "\"/opt/x\""));
	WANT(make(&m, "c2", WORKLOAD(MOUNT("uvm:///opt/none", ""), ""), NULL) ==
	     -ENOENT);
	WANT(strncmp(why.text, "$.mounts[0]: uvm://", 19) == 0);
	return 0;
}

TEST(test_huge_pages)
{
	struct made m;
	struct statfs fs;
	static const char *const bad[] = {
		WORKLOAD(MOUNT("hugepages://2M", ""), ""),
		WORKLOAD(MOUNT("hugepages:///x", ""), ""),
		WORKLOAD(MOUNT("hugepages://2M,gid=0/x", ""), ""),
		WORKLOAD(MOUNT("hugepages://2M/../../x", ""), ""),
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		WANT((i ? make(&m, "c2", bad[i], NULL)
			: workload(&m, bad[i])) == -EINVAL);
	if (make(&m, "c1", WORKLOAD(MOUNT("hugepages://2M/x", ""), ""), NULL) <
	    0) {
		/* no such pages here: the mount says so */
		WANT(strstr(why.text, "hugepages"));
		return 77;
	}
	WANT(is(&m, "/mounts/0/source", "\"" BUNDLE "/sources/0\""));
	cleanup_fd fd = openat(root, at(BUNDLE "/sources/0"), O_PATH);
	WANT(fstatfs(fd, &fs) == 0 && fs.f_type == 0x958458f6);
	return 0;
}

/* A node of the test's /dev: of the null device, whatever its type is. */
static int node(const char *path, mode_t type, unsigned int major_,
		unsigned int minor_)
{
	dir("/dev");
	return mknodat(root, at(path), type | 0600, makedev(major_, minor_));
}

#define BLOCKDEV(options)                                                      \
	WORKLOAD(PLAIN                                                         \
		 ",\"mounts\":[{\"destination\":\"blockdev:///dev/x\","        \
		 "\"source\":\"/run/mounts/scsi/m1\",\"options\":[" options    \
		 "]}]",                                                        \
		 "")

TEST(test_block_devices)
{
	struct made m;

	if (node("/dev/sda", S_IFBLK, 8, 5) < 0)
		return 77;
	dir("/run/mounts/scsi");
	WANT(symlinkat("/dev/sda", root, "run/mounts/scsi/m1") == 0);
	WANT(workload(&m, BLOCKDEV("\"bind\"")) == 0);
	WANT(is(&m, "/mounts/0/destination", "\"/dev/x\""));
	WANT(is(&m, "/mounts/0/source", "\"/dev/sda\""));
	WANT(is(&m, "/linux/resources/devices",
		"[{\"allow\":false,\"access\":\"rwm\"},{\"allow\":true,"
		"\"type\":\"b\",\"major\":8,\"minor\":5,\"access\":\"rwm\"}]"));
	WANT(make(&m, "c2", BLOCKDEV("\"bind\",\"ro\""), NULL) == 0);
	WANT(is(&m, "/linux/resources/devices/1/access", "\"r\""));
	WANT(unlinkat(root, "run/mounts/scsi/m1", 0) == 0);
	WANT(make(&m, "c2", BLOCKDEV(""), NULL) == -EINVAL);
	WANT(symlinkat("/etc/shadow", root, "run/mounts/scsi/m1") == 0);
	WANT(make(&m, "c2", BLOCKDEV(""), NULL) == -EINVAL);
	WANT(unlinkat(root, "run/mounts/scsi/m1", 0) == 0);
	WANT(symlinkat("/dev/../etc", root, "run/mounts/scsi/m1") == 0);
	dir("/etc");
	WANT(make(&m, "c2", BLOCKDEV(""), NULL) == -ENODEV);
	return 0;
}

TEST(test_shared_memory)
{
#define SHM(n) ",\"io.microsoft.lcow.shm.size-kb\":\"" n "\""
	struct made m;
	static const char want[] =
		"{\"destination\":\"/dev/shm\",\"type\":\"tmpfs\",\"source\":"
		"\"shm\",\"options\":[\"nosuid\",\"noexec\",\"nodev\","
		"\"mode=1777\",\"size=18446744073709551615k\"]}";
	static const char *const bad[] = {
		WORKLOAD(PLAIN, SHM("0")),
		WORKLOAD(PLAIN, SHM("x")),
		WORKLOAD(PLAIN, SHM("-1")),
		WORKLOAD(PLAIN, SHM("18446744073709551616")),
		WORKLOAD(PLAIN, SHM("1,uid=5")),
	};

	WANT(workload(&m, WORKLOAD(PLAIN ",\"mounts\":[{\"destination\":"
					 "\"/dev/shm\",\"source\":\"x\"}]",
				   SHM("18446744073709551615"))) == 0);
	WANT(is(&m, "/mounts/0", want));
	WANT(make(&m, "c2", WORKLOAD(PLAIN, SHM("18446744073709551615")),
		  NULL) == 0);
	WANT(is(&m, "/mounts/3", want));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		WANT(make(&m, "c3", bad[i], NULL) < 0 &&
		     strstr(why.text, "shm.size-kb"));
	return 0;
}

/* CVE-2020-2023: without rules a runtime leaves every node to mknod. */
TEST(test_no_devices_but_the_documents)
{
	struct made m;

	WANT(make(&m, "c1", "{" REST "}", NULL) == 0);
	WANT(is(&m, "/linux/resources/devices",
		"[{\"allow\":false,\"access\":\"rwm\"}]"));
	WANT(workload(&m, WORKLOAD(PROCESS
				   ",\"linux\":{\"resources\":{\"devices\":[{"
				   "\"allow\":true,\"type\":\"c\",\"access\":"
				   "\"r\"}]}}",
				   "")) == 0);
	WANT(is(&m, "/linux/resources/devices",
		"[{\"allow\":false,\"access\":\"rwm\"},{\"allow\":true,"
		"\"type\":\"c\",\"access\":\"r\"}]"));
	return 0;
}

TEST(test_listed_devices)
{
#define DEVICE(path)                                                           \
	WORKLOAD(PROCESS ",\"linux\":{\"devices\":[{\"path\":\"" path          \
			 "\",\"type\":\"b\",\"major\":1}]}",                   \
		 "")
	struct made m;

	if (node("/dev/fuse", S_IFCHR, 10, 229) < 0)
		return 77;
	WANT(workload(&m, DEVICE("/dev/fuse")) == 0);
	WANT(is(&m, "/linux/devices",
		"[{\"path\":\"/dev/fuse\",\"type\":\"c\",\"major\":10,"
		"\"minor\":229,\"fileMode\":384,\"uid\":0,\"gid\":0}]"));
	WANT(is(&m, "/linux/resources/devices/1",
		"{\"allow\":true,\"type\":\"c\",\"major\":10,\"minor\":229,"
		"\"access\":\"rwm\"}"));
	WANT(make(&m, "c2", DEVICE("/dev/none"), NULL) == -ENOENT);
	WANT(strstr(why.text, "$.linux.devices[0].path"));
	dir("/dev/d");
	WANT(make(&m, "c2", DEVICE("/dev/d"), NULL) == -ENODEV);
	return 0;
}

TEST(test_privileged)
{
#define PRIVILEGED ",\"io.microsoft.virtualmachine.lcow.privileged\":\"true\""
	struct made m;

	if (node("/dev/sda", S_IFBLK, 8, 0) < 0)
		return 77;
	dir("/dev/pts");
	dir("/dev/sub");
	WANT(node("/dev/console", S_IFCHR, 5, 1) == 0);
	WANT(node("/dev/pts/0", S_IFCHR, 136, 0) == 0);
	WANT(node("/dev/sub/x", S_IFCHR, 1, 3) == 0);
	WANT(symlinkat("sda", root, "dev/link") == 0);
	WANT(workload(&m, WORKLOAD(PLAIN, PRIVILEGED)) == 0);
	WANT(is(&m, "/linux/resources/devices",
		"[{\"allow\":true,\"access\":\"rwm\"}]"));
	WANT(is(&m, "/linux/devices/2", ""));
	json_object *v = NULL;
	WANT(json_pointer_get(m.config, "/linux/devices", &v) == 0);
	WANT(json_object_array_length(v) == 2);
	WANT(strstr(json_object_to_json_string(v), "sub\\/x"));
	return 0;
}

TEST(test_assigned_devices)
{
#define ASSIGNED(id, type)                                                     \
	WORKLOAD(PLAIN ",\"windows\":{\"devices\":[{\"id\":\"" id              \
		       "\",\"idType\":\"" type "\"}]}",                        \
		 "")
#define GUID "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
	struct made m;

	WANT(workload(&m, ASSIGNED(GUID, "gpu")) == -EOPNOTSUPP);
	WANT(strstr(why.text, "$.windows.devices[0]"));
	WANT(make(&m, "c1", ASSIGNED(GUID, "vpci"), NULL) == -ENODEV);
	WANT(make(&m, "c1", ASSIGNED("../x", "vpci"), NULL) == -EINVAL);
	WANT(make(&m, "c1", ASSIGNED(GUID, "disk"), NULL) == -EINVAL);
	if (node("/dev/acc0", S_IFCHR, 240, 1) < 0)
		return 77;
	dir("/sys/bus/vmbus/devices");
	dir("/sys/dev/block");
	dir("/sys/dev/char");
	dir("/sys/devices/" GUID "/pci0/0/acc0");
	WANT(file("/sys/devices/" GUID "/pci0/0/acc0/uevent",
		  "MAJOR=240\nDEVNAME=acc0\n") == 0);
	WANT(symlinkat("../../../devices/" GUID, root,
		       "sys/bus/vmbus/devices/" GUID) == 0);
	WANT(symlinkat("../../devices/" GUID "/pci0/0/acc0", root,
		       "sys/dev/char/240:1") == 0);
	WANT(make(&m, "c1",
		  ASSIGNED("3F2504E0-4f89-11d3-9a0c-0305e82c3301",
			   "vpci-instance-id"),
		  NULL) == 0);
	WANT(is(&m, "/linux/devices/0/path", "\"/dev/acc0\""));
	WANT(is(&m, "/linux/resources/devices/1/major", "240"));
	WANT(is(&m, "/windows", ""));
	return 0;
}

int main(void)
{
#define T(f) cmocka_unit_test(f)
	const struct CMUnitTest tests[] = {
		T(test_shared_folders),
		T(test_shared_folders_lead_nowhere_else),
		T(test_uvm_sources),
		T(test_huge_pages),
		T(test_block_devices),
		T(test_shared_memory),
		T(test_no_devices_but_the_documents),
		T(test_listed_devices),
		T(test_privileged),
		T(test_assigned_devices),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
