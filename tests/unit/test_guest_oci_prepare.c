/*
 * tests/unit/test_guest_oci_prepare.c - files and config.json of a container, from
 * the names in its /etc to their removal; its mounts are in
 * test_guest_oci_mounts.c
 */
#include "tests/unit/oci_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <json-c/json.h>

#include "bridge/guest/beneath.h"
#include "bridge/guest/oci.h"
#include "bridge/io/fd.h"
#include "config/util.h"

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
