/*
 * Files, mounts and config.json of a container, in a root of the test's own: a
 * tmpfs in a mount namespace of a child. A check that fails prints its line.
 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>

#include "bridge/guest/beneath.h"
#include "bridge/guest/oci.h"
#include "bridge/io/fd.h"
#include "config/util.h"

#define POD "/run/gcs/c/p1"
#define BUNDLE "/run/gcs/c/c1"
#define TYPE(t) "\"io.kubernetes.cri.container-type\":\"" t "\""
#define IN_POD "\"io.kubernetes.cri.sandbox-id\":\"p1\""
#define PROCESS "\"process\":{\"args\":[\"a\"],\"cwd\":\"/\"}"
#define ROOT "\"root\":{\"path\":\"rootfs\"}"
#define REST PROCESS "," ROOT ",\"linux\":{}"
#define SANDBOX                                                                \
	"{" REST                                                               \
	",\"hostname\":\"pod-0.x\",\"annotations\":{" TYPE("sandbox") "}}"
/* A workload with these members and these annotations. */
#define WORKLOAD(members, annotations)                                         \
	"{" ROOT "," members                                                   \
	",\"annotations\":{" TYPE("container") "," IN_POD annotations "}}"
#define PLAIN PROCESS ",\"linux\":{}"

static int root = -1;
static struct err why;

#define WANT(condition)                                                        \
	do {                                                                   \
		if (!(condition)) {                                            \
			(void)fprintf(stderr, "line %d: %s [%s]\n", __LINE__,  \
				      #condition, why.text);                   \
			return 1;                                              \
		}                                                              \
	} while (0)

/* An absolute path, below the root's descriptor. */
static const char *at(const char *path)
{
	return path + 1;
}

/* --- a root ------------------------------------------------------------------- */

static int make_root(const char *top)
{
	if (mount("none", top, "tmpfs", 0, NULL) < 0)
		return -1;
	root = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root;
}

static int in_child(int (*body)(void))
{
	char top[] = "/tmp/ferry-oci-XXXXXX";
	int status;
	pid_t pid;

	assert_non_null(mkdtemp(top));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (unshare(geteuid() == 0 ? CLONE_NEWNS
					   : CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    make_root(top) < 0)
			_exit(77);
		_exit(body());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)rmdir(top);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	return WEXITSTATUS(status);
}

#define TEST(name)                                                             \
	static int name##_body(void);                                          \
	static void name(void **state)                                         \
	{                                                                      \
		(void)state;                                                   \
		assert_int_equal(in_child(name##_body), 0);                    \
	}                                                                      \
	static int name##_body(void)

static void dir(const char *path)
{
	int fd = beneath_mkdirs(root, path, BENEATH_STRICT, 0755, &why);

	fd_close(&fd);
}

static int file(const char *path, const char *text)
{
	return beneath_write(root, path, BENEATH_STRICT, text, strlen(text),
			     0644, &why);
}

static bool there(const char *path)
{
	return faccessat(root, at(path), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool holds(const char *path, const char *text)
{
	struct text t;
	bool same;

	text_heap(&t, 65536);
	same = beneath_read(root, path, BENEATH_ROOTFS, 65535, &t, &why) == 0 &&
	       strcmp(text_str(&t), text) == 0;
	text_done(&t);
	return same;
}

/* --- containers ------------------------------------------------------------------ */

struct made {
	struct arena arena;
	struct oci_facts facts;
	struct oci_work work;
	struct oci_prepared got;
	json_object *config;
};

/* As the agent does it; @edit may change what is asked for. */
static int make(struct made *m, const char *id, const char *document,
		void (*edit)(struct oci_work *))
{
	static char bundle[64];
	struct text out;
	int r;

	*m = (struct made){ 0 };
	why = (struct err){ 0 };
	arena_init(&m->arena, 1u << 20);
	(void)snprintf(bundle, sizeof(bundle), "/run/gcs/c/%s", id);
	r = oci_read(id, bundle, document, &m->arena, &m->facts, &why);
	if (r < 0)
		return r;
	dir(m->facts.rootfs);
	m->work = (struct oci_work){
		.root = root,
		.id = id,
		.bundle = bundle,
		.document = document,
		.facts = &m->facts,
		.sandbox_root = m->facts.kind == OCI_WORKLOAD
					? POD
					: m->facts.sandbox_root,
		.host_network = m->facts.host_network,
	};
	if (edit)
		edit(&m->work);
	text_heap(&out, 4096);
	r = oci_prepare(&m->work, &out, &why);
	if (r == 0 && oci_prepared_get(text_str(&out), out.len, &m->got) < 0)
		r = -EPROTO;
	text_reset(&out);
	(void)snprintf(bundle, sizeof(bundle), "run/gcs/c/%s/config.json", id);
	text_done(&out);
	text_heap(&out, 65536);
	if (r == 0)
		r = beneath_read(root, bundle, BENEATH_STRICT, 65535, &out,
				 &why);
	if (r == 0)
		m->config = json_tokener_parse(text_str(&out));
	text_done(&out);
	(void)snprintf(bundle, sizeof(bundle), "/run/gcs/c/%s", id);
	return r;
}

/* A pod, then a workload in it. */
static int workload(struct made *m, const char *document)
{
	struct made pod;

	if (make(&pod, "p1", SANDBOX, NULL) < 0)
		return -1;
	return make(m, "c1", document, NULL);
}

/* Is the value at a JSON pointer that text? "": it is absent. */
static bool is(const struct made *m, const char *pointer, const char *text)
{
	json_object *v = NULL;

	if (json_pointer_get(m->config, pointer, &v) < 0)
		return *text == '\0';
	if (strcmp(json_object_to_json_string_ext(
			   v, JSON_C_TO_STRING_PLAIN |
				      JSON_C_TO_STRING_NOSLASHESCAPE),
		   text) == 0)
		return true;
	(void)fprintf(stderr, "%s is %s\n", pointer,
		      json_object_to_json_string(v));
	return false;
}

/* --- 2, 3 ------------------------------------------------------------------------- */

static void with_dns(struct oci_work *w)
{
	w->resolv_conf = "search a\nnameserver 1.2.3.4\n";
}

TEST(test_sandbox)
{
	struct made m;
	struct stat st;
	static const char *const mounts[] = { POD "/sandboxMounts",
					      POD "/sandboxTmpfsMounts",
					      POD "/hugepages" };

	WANT(make(&m, "p1", SANDBOX, with_dns) == 0);
	WANT(holds(POD "/hostname", "pod-0.x\n"));
	WANT(holds(POD "/resolv.conf", "search a\nnameserver 1.2.3.4\n"));
	WANT(is(&m, "/hostname", "\"pod-0.x\""));
	WANT(is(&m, "/mounts", "[]")); /* nothing is added */
	WANT(is(&m, "/linux/cgroupsPath", "\"/pods/p1/p1\""));
	/* crun takes no other. */
	WANT(is(&m, "/ociVersion", "\"1.0.2\""));
	WANT(is(&m, "/root/path", "\"" POD "/rootfs\""));
	WANT(fstatat(root, at(POD "/logs"), &st, 0) == 0);
	WANT((st.st_mode & 07777) == 0777);
	for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
		WANT(fstatat(root, at(mounts[i]), &st, 0) == 0);
		WANT((st.st_mode & 0777) == 0755 || i == 1);
		WANT(beneath_unmount(root, mounts[i], BENEATH_STRICT, 0,
				     &why) == 0);
	}
	/* the one in memory has two layers */
	WANT(beneath_unmount(root, mounts[1], BENEATH_STRICT, 0, &why) == 0);
	WANT(beneath_unmount(root, mounts[1], BENEATH_STRICT, 0, &why) ==
	     -EINVAL);
	return 0;
}

TEST(test_standalone)
{
	struct made m;

	WANT(make(&m, "c1",
		  "{" REST ",\"mounts\":[{\"destination\":\"/etc/hosts\"}]}",
		  NULL) == 0);
	WANT(is(&m, "/mounts/1",
		"{\"destination\":\"/etc/hostname\",\"type\":\"bind\","
		"\"source\":\"" BUNDLE "/hostname\",\"options\":[\"bind\"]}"));
	WANT(is(&m, "/mounts/2/destination", "\"/etc/resolv.conf\""));
	WANT(is(&m, "/mounts/3", ""));
	WANT(is(&m, "/linux/cgroupsPath", "\"/pods/c1\""));
	/* crun takes no other. */
	WANT(is(&m, "/ociVersion", "\"1.0.2\""));
	WANT(holds(BUNDLE "/resolv.conf", ""));
	WANT(!there(BUNDLE "/sandboxMounts"));
	WANT(!m.got.has_user);
	return 0;
}

TEST(test_read_only_root)
{
	struct made m;

	WANT(make(&m, "c1",
		  "{" PROCESS ",\"linux\":{},\"root\":{\"path\":\"rootfs\","
		  "\"readonly\":true}}",
		  NULL) == 0);
	WANT(is(&m, "/mounts/0/options", "[\"bind\",\"ro\"]"));
	return 0;
}

/* A UVM that nobody gave a name is called "(none)". */
TEST(test_uvm_without_a_name)
{
	struct made m;

	if (unshare(CLONE_NEWUTS) < 0)
		return 77;
	WANT(sethostname("(none)", 6) == 0);
	WANT(make(&m, "c1", "{" REST "}", NULL) == 0);
	WANT(holds(BUNDLE "/hostname", "localhost\n"));
	WANT(sethostname("uvm-1", 5) == 0);
	WANT(make(&m, "c1", "{" REST "}", NULL) == 0);
	WANT(holds(BUNDLE "/hostname", "uvm-1\n"));
	return 0;
}

/* --- 4 ------------------------------------------------------------------------------ */

#define MOUNT(source, more)                                                    \
	PLAIN ",\"mounts\":[{\"destination\":\"/data\",\"source\":\"" source   \
	      "\",\"options\":[\"rbind\"]" more "}]"

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

/* --- 5 to 8, and the rest ------------------------------------------------------------- */

TEST(test_user_of_the_rootfs)
{
#define USER(name)                                                             \
	WORKLOAD("\"process\":{\"args\":[\"a\"],\"cwd\":\"/\",\"user\":{"      \
		 "\"username\":\"" name "\",\"uid\":9,\"additionalGids\":[4]}" \
		 "},\"linux\":{}",                                             \
		 "")
	struct made m;

	dir(BUNDLE "/rootfs/etc");
	WANT(file(BUNDLE "/rootfs/etc/passwd", "web:x:33:34::/:\n") == 0);
	WANT(workload(&m, USER("web")) == 0);
	WANT(m.got.has_user && m.got.uid == 33 && m.got.gid == 34);
	WANT(is(&m, "/process/user",
		"{\"uid\":33,\"additionalGids\":[4],\"gid\":34}"));
	WANT(make(&m, "c1", USER("nobody"), NULL) == -ENOENT);
	/* a standalone's name is the runtime's business */
	WANT(make(&m, "c1",
		  "{" ROOT ",\"linux\":{},\"process\":{\"args\":[\"a\"],"
		  "\"cwd\":\"/\",\"user\":{\"username\":\"web\"}}}",
		  NULL) == 0);
	WANT(!m.got.has_user);
	WANT(is(&m, "/process/user/username", "\"web\""));
	/* an exec looks there too */
	struct oci_exec x = { .root = root,
			      .process = "{\"args\":[\"a\"],\"user\":{"
					 "\"username\":\"web:7\"}}",
			      .rlimits = "",
			      .rootfs = BUNDLE "/rootfs" };
	struct text t;
	text_heap(&t, 4096);
	WANT(oci_exec_prepare(&x, &t, &why) == 0);
	WANT(strcmp(text_str(&t), "{\"args\":[\"a\"],\"user\":{\"uid\":33,"
				  "\"gid\":7}}") == 0);
	return 0;
}

TEST(test_host_network)
{
#define SPACES                                                                 \
	PROCESS ",\"linux\":{\"namespaces\":[{\"type\":\"network\"},"          \
		"{\"type\":\"pid\"},{\"type\":\"network\",\"path\":\"/x\"}]}"
	struct made m;

	WANT(workload(&m, WORKLOAD(SPACES, "")) == 0);
	WANT(is(&m, "/linux/namespaces/2/path", "\"/x\""));
	/* the sandbox's counts, not the document's */
	WANT(workload(&m, WORKLOAD(SPACES, ",\"io.microsoft.virtualmachine."
					   "lcow.hostnetwork\":\"true\"")) ==
	     0);
	WANT(is(&m, "/linux/namespaces", "[{\"type\":\"pid\"}]"));
	return 0;
}

TEST(test_tee_folder)
{
	struct made m;
	struct stat st;
	static const char document[] =
		WORKLOAD(PLAIN, ",\"io.microsoft.container.lcow.tee-log-path\":"
				"\"a/b/c.log\",\"io.microsoft.container.lcow."
				"tee-log-dir-mount\":\"/var/log/pod\"");
	cleanup_fd fd = -1;

	WANT(workload(&m, document) == 0);
	WANT(is(&m, "/mounts/3",
		"{\"destination\":\"/var/log/pod\",\"type\":\"bind\","
		"\"source\":\"" POD "/logs\",\"options\":[\"bind\"]}"));
	WANT(fstatat(root, at(POD "/logs/a/b"), &st, 0) == 0);
	WANT((st.st_mode & 07777) == 0777);
	fd = oci_tee_open(root, POD, m.facts.tee_log, &why);
	WANT(fd >= 0 && fd_write_full(fd, "1", 1) == 0);
	fd_close(&fd);
	fd = oci_tee_open(root, POD, m.facts.tee_log, &why);
	WANT(fd >= 0 && fd_write_full(fd, "2", 1) == 0);
	WANT(holds(POD "/logs/a/b/c.log", "12"));
	fd_close(&fd);
	/* what the pod's containers could put there */
	WANT(file("/shadow", "kept") == 0);
	WANT(linkat(root, "shadow", root, at(POD "/logs/hard"), 0) == 0);
	WANT(symlinkat("/shadow", root, at(POD "/logs/link")) == 0);
	WANT(symlinkat("../../../../../../", root, at(POD "/logs/up")) == 0);
	WANT(mkfifoat(root, at(POD "/logs/fifo"), 0666) == 0);
	WANT(oci_tee_open(root, POD, "logs/link", &why) == -ELOOP);
	WANT(oci_tee_open(root, POD, "logs/up/shadow", &why) == -ELOOP);
	WANT(oci_tee_open(root, POD, "logs/hard", &why) == -EINVAL);
	WANT(oci_tee_open(root, POD, "logs/fifo", &why) < 0);
	WANT(holds("/shadow", "kept"));
	return 0;
}

static void with_policy(struct oci_work *w)
{
	w->reference = "cmVm";
	w->hash_envelope = "";
}

TEST(test_security_context)
{
	struct made m;
	char path[128];
	json_object *v = NULL;

	WANT(make(&m, "c1", "{" REST "}", with_policy) == 0);
	WANT(json_pointer_get(m.config, "/process/env/0", &v) == 0);
	WANT(strncmp(json_object_get_string(v),
		     "UVM_SECURITY_CONTEXT_DIR=/security-context-", 43) == 0);
	(void)snprintf(path, sizeof(path),
		       BUNDLE "/rootfs/%s/reference-info-base64",
		       json_object_get_string(v) + 26);
	WANT(holds(path, "cmVm"));
	*strrchr(path, '/') = '\0';
	strcat(path, "/transparent-reference-info-base64");
	WANT(!there(path));
	WANT(make(&m, "c2",
		  "{" REST ",\"annotations\":{\"io.microsoft.virtualmachine."
		  "lcow.securitypolicy.env\":\"false\"}}",
		  with_policy) == 0);
	WANT(is(&m, "/process/env", ""));
	WANT(make(&m, "c3", "{" REST "}", NULL) == 0);
	WANT(is(&m, "/process/env", ""));
	return 0;
}

TEST(test_working_directory)
{
#define CWD(path)                                                              \
	"{" ROOT ",\"linux\":{},\"process\":{\"args\":[\"a\"],\"cwd\":\"" path \
	"\"}}"
	struct made m;

	WANT(make(&m, "c1", CWD("/a/b"), NULL) == 0);
	WANT(there(BUNDLE "/rootfs/a/b"));
	WANT(is(&m, "/process/cwd", "\"/a/b\""));
	WANT(symlinkat("/../../../../x", root, at(BUNDLE "/rootfs/l")) == 0);
	WANT(make(&m, "c1", CWD("/l"), NULL) < 0);
	WANT(make(&m, "c1", CWD("/l/y"), NULL) < 0);
	WANT(!there("/x") && !there("/run/gcs/c/x"));
	WANT(file(BUNDLE "/rootfs/f", "") == 0);
	WANT(make(&m, "c1", CWD("/f"), NULL) == -ENOTDIR);
	WANT(strstr(why.text, "$.process.cwd"));
	return 0;
}

/* CVE-2026-47766 */
TEST(test_dev_of_the_rootfs_is_no_link)
{
	struct made m;

	dir(BUNDLE "/rootfs");
	WANT(symlinkat("/", root, at(BUNDLE "/rootfs/dev")) == 0);
	WANT(make(&m, "c1", "{" REST "}", NULL) == -ELOOP);
	WANT(!there(BUNDLE "/config.json"));
	return 0;
}

/* What a document says beyond that reaches the runtime as it was. */
TEST(test_everything_else_stays)
{
	struct made m;

	WANT(workload(&m,
		      WORKLOAD("\"process\":{\"args\":[\"\\u00e4\\n\",\"b\"],"
			       "\"cwd\":\"/\",\"oomScoreAdj\":-999},\"x\":{"
			       "\"big\":18446744073709551615,\"small\":"
			       "-9223372036854775808,\"f\":1.50},"
			       "\"linux\":{\"seccomp\":{\"defaultAction\":"
			       "\"SCMP_ACT_ERRNO\"},\"maskedPaths\":[\"/a\"]}",
			       "")) == 0);
	WANT(is(&m, "/process/args", "[\"\xc3\xa4\\n\",\"b\"]"));
	WANT(is(&m, "/process/oomScoreAdj", "-999"));
	WANT(is(&m, "/x",
		"{\"big\":18446744073709551615,\"small\":"
		"-9223372036854775808,\"f\":1.50}"));
	WANT(is(&m, "/linux/seccomp",
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\"}"));
	WANT(is(&m, "/linux/maskedPaths", "[\"/a\"]"));
	return 0;
}

/* --- the end ---------------------------------------------------------------------------- */

static int remove_all(struct made *m)
{
	struct text none;

	text_heap(&none, 16);
	return oci_remove(&m->work, &none, &why);
}

TEST(test_removal)
{
	struct made pod, m;

	WANT(workload(&m, WORKLOAD(MOUNT("sandbox://a", ""), "")) == 0);
	dir(BUNDLE "/scratch/c1/upper");
	dir(BUNDLE "x");
	m.work.scratch = BUNDLE "/scratch/c1";
	WANT(file(POD "/sandboxMounts/a/kept", "x") == 0);
	WANT(remove_all(&m) == 0);
	WANT(!there(BUNDLE) && there(BUNDLE "x"));
	/* the source was unmounted, not emptied */
	WANT(holds(POD "/sandboxMounts/a/kept", "x"));
	WANT(remove_all(&m) == 0);
	/* the sandbox again: its mounts are on top of those of before */
	WANT(make(&pod, "p1", SANDBOX, NULL) == 0);
	WANT(remove_all(&pod) == 0);
	WANT(!there(POD));
	return 0;
}

/* W-G32 and CVE-2020-2024: links and foreign mounts in what is removed. */
TEST(test_w_g32_removal_stays_below)
{
	struct made m;
	struct err e = { 0 };
	char to[BENEATH_PROC_MAX], from[BENEATH_PROC_MAX];

	WANT(make(&m, "c1", "{" REST "}", NULL) == 0);
	dir("/kept");
	WANT(file("/kept/file", "x") == 0);
	WANT(symlinkat("/kept", root, at(BUNDLE "/rootfs/l")) == 0);
	WANT(symlinkat("../../../../kept", root, at(BUNDLE "/sources")) == 0);
	WANT(symlinkat("../../../kept", root, "run/gcs/c/s1") == 0);
	m.work.scratch = "/run/gcs/c/s1";
	WANT(remove_all(&m) == 0);
	WANT(!there(BUNDLE) && !there("/run/gcs/c/s1"));
	WANT(holds("/kept/file", "x"));
	m.work.scratch = "/kept";
	WANT(remove_all(&m) == -EINVAL);
	m.work.scratch = "/";
	WANT(remove_all(&m) == -EINVAL);
	m.work.scratch = "/run/gcs/c/../../../kept";
	WANT(remove_all(&m) == -EINVAL);
	WANT(holds("/kept/file", "x"));

	WANT(make(&m, "c1", "{" REST "}", NULL) == 0);
	dir(BUNDLE "/rootfs/m");
	cleanup_fd kept = openat(root, "kept", O_PATH);
	cleanup_fd on = openat(root, at(BUNDLE "/rootfs/m"), O_PATH);
	WANT(mount(beneath_proc(kept, from), beneath_proc(on, to), NULL,
		   MS_BIND, NULL) == 0);
	m.work.scratch = NULL;
	WANT(remove_all(&m) == -EBUSY);
	WANT(holds("/kept/file", "x"));
	fd_close(&on);
	WANT(beneath_unmount(root, BUNDLE "/rootfs/m", BENEATH_STRICT, 0, &e) ==
	     0);
	WANT(remove_all(&m) == 0);
	return 0;
}

int main(void)
{
#define T(f) cmocka_unit_test(f)
	const struct CMUnitTest tests[] = {
		T(test_sandbox),
		T(test_standalone),
		T(test_uvm_without_a_name),
		T(test_read_only_root),
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
		T(test_user_of_the_rootfs),
		T(test_host_network),
		T(test_tee_folder),
		T(test_security_context),
		T(test_working_directory),
		T(test_dev_of_the_rootfs_is_no_link),
		T(test_everything_else_stays),
		T(test_removal),
		T(test_w_g32_removal_stays_below),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
