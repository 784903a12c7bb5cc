/*
 * tests/fuzz/fuzz_oci.c - any bytes as an OCI document
 *
 * What oci_read() takes is prepared and removed again in a root of the target's
 * own, a tmpfs in a mount namespace (where there is none to be had, only the
 * pure parts run). A config.json that comes out is strict JSON, and whatever
 * the document says, nothing appears beside the folders of containers.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "bridge/guest/beneath.h"
#include "bridge/guest/oci.h"
#include "bridge/io/fd.h"
#include "bridge/json_check.h"
#include "config/util.h"

#define ID "c1"
#define BUNDLE "/run/gcs/c/c1"
#define POD "/run/gcs/c/p1"
#define ARENA_MAX 0x4000000u

static int root = -1; /* -2: there is none to be had */

static void put(const char *path, const char *text)
{
	FUZZ_CHECK(beneath_write(root, path, BENEATH_STRICT, text, strlen(text),
				 0644, NULL) == 0);
}

static void dir(const char *path)
{
	int fd = beneath_mkdirs(root, path, BENEATH_STRICT, 0755, NULL);

	FUZZ_CHECK(fd >= 0);
	fd_close(&fd);
}

static void make_root(void)
{
	root = -2;
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return;
	/* over a folder that every machine has; nobody else sees it */
	if (mount("none", "/tmp", "tmpfs", 0, NULL) == 0)
		root = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return;
	dir("run/gcs/c");
	dir("run/mounts/scsi");
	dir("kept");
	dir("dev");
	put("kept/file", "kept");
	(void)mknodat(root, "dev/sda", S_IFBLK | 0600, makedev(8, 0));
	(void)mknodat(root, "dev/null", S_IFCHR | 0600, makedev(1, 3));
	FUZZ_CHECK(symlinkat("/dev/sda", root, "run/mounts/scsi/m1") == 0);
}

/* The folders that there were, and no others. */
static void check_root(void)
{
	static const char *const names[] = { ".", "..", "run", "kept", "dev" };
	const struct dirent *entry;
	struct stat st;
	int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fdopendir(fd);

	FUZZ_CHECK(d);
	while ((entry = readdir(d))) {
		size_t i = 0;

		while (i < ARRAY_LEN(names) &&
		       strcmp(entry->d_name, names[i]) != 0)
			i++;
		FUZZ_CHECK(i < ARRAY_LEN(names));
	}
	(void)closedir(d);
	FUZZ_CHECK(fstatat(root, "kept/file", &st, 0) == 0 && st.st_size == 4);
}

static void check_config(void)
{
	struct text t;

	text_heap(&t, OCI_TEXT_MAX + 1);
	FUZZ_CHECK(beneath_read(root, BUNDLE "/" OCI_CONFIG, BENEATH_STRICT,
				OCI_TEXT_MAX, &t, NULL) == 0);
	FUZZ_CHECK(json_check(text_str(&t), t.len, NULL) == 0);
	text_done(&t);
}

static void prepare(const char *document, const struct oci_facts *facts)
{
	struct oci_work w = {
		.root = root,
		.id = ID,
		.bundle = BUNDLE,
		.document = document,
		.scratch = BUNDLE "/scratch",
		.facts = facts,
		.sandbox_root =
			facts->kind == OCI_WORKLOAD ? POD : facts->sandbox_root,
		.host_network = facts->host_network,
		.reference = "cmVm",
	};
	struct text out;

	/* what is mounted in the pod goes with the pod */
	dir(POD);
	FUZZ_CHECK(mount("none", "/tmp" POD, "tmpfs", 0, NULL) == 0);
	dir(POD "/sandboxMounts");
	dir(POD "/sandboxTmpfsMounts");
	dir(POD "/hugepages");
	dir(BUNDLE "/rootfs/etc");
	put(BUNDLE "/rootfs/etc/passwd", "web:x:1:2::/:\n");
	text_heap(&out, 4096);
	if (oci_prepare(&w, &out, NULL) == 0)
		check_config();
	check_root();
	text_reset(&out);
	FUZZ_CHECK(oci_remove(&w, &out, NULL) == 0);
	text_done(&out);
	FUZZ_CHECK(beneath_unmount(root, POD, BENEATH_STRICT, MNT_DETACH,
				   NULL) == 0);
	FUZZ_CHECK(beneath_remove(root, POD, BENEATH_STRICT, NULL) == 0);
	check_root();
}

static void exec(const char *process)
{
	struct oci_exec x = { .root = root < 0 ? -1 : root,
			      .process = process,
			      .rlimits = "[]",
			      .rootfs = BUNDLE "/rootfs" };
	bool terminal, by_name;
	struct text out;

	if (oci_exec_read(process, &terminal, &by_name, NULL) < 0)
		return;
	text_heap(&out, OCI_TEXT_MAX + 1);
	if (oci_exec_prepare(&x, &out, NULL) == 0)
		FUZZ_CHECK(json_check(text_str(&out), out.len, NULL) == 0);
	text_done(&out);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	struct oci_facts facts;
	struct arena a;
	char *text = malloc(size + 1);

	FUZZ_CHECK(text);
	memcpy(text, data, size);
	text[size] = '\0';
	if (root == -1)
		make_root();
	exec(text);
	arena_init(&a, ARENA_MAX);
	if (oci_read(ID, BUNDLE, text, &a, &facts, NULL) == 0) {
		FUZZ_CHECK(facts.sandbox_id && facts.sandbox_root &&
			   facts.rootfs && facts.cgroup && facts.pod_cgroup &&
			   facts.namespace && facts.tee_log && facts.rlimits);
		FUZZ_CHECK(!strstr(facts.cgroup, ".."));
		if (root >= 0)
			prepare(text, &facts);
	}
	arena_done(&a);
	free(text);
	return 0;
}
