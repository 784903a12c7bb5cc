/*
 * Theory of operation: hosts name what a workload shares by schemes of their
 * own, sandbox://, sandbox-tmp://, hugepages://, uvm:// as the source of a
 * mount, blockdev:// as its destination. Each is put into words of the
 * runtime. The first three lie where other containers of the pod can write:
 * they are opened beneath their folder and bound to OCI_SOURCES/N of the
 * bundle; the runtime is given that path, in which nobody can plant a link.
 */
#include "bridge/guest/oci_doc.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/magic.h>

#include "bridge/guest/beneath.h"
#include "bridge/guest/guestpath.h"
#include "bridge/io/fd.h"
#include "config/num.h"
#include "config/util.h"

#define SHARED_MODE 0777
/* Longest name of a page size: "1048576kB". */
#define PAGE_SIZE_NAME_MAX 16

/* What follows @scheme in @text, or NULL. */
static const char *behind(const char *text, const char *scheme)
{
	const size_t len = strlen(scheme);

	return strncmp(text, scheme, len) == 0 ? text + len : NULL;
}

static json_object *bind_mount(const char *destination, const char *source,
			       bool readonly)
{
	static const char *const rw[] = { "bind", NULL };
	static const char *const ro[] = { "bind", "ro", NULL };
	json_object *v = json_object_new_object();

	if (v &&
	    (doc_set(v, "destination", json_object_new_string(destination),
		     NULL) < 0 ||
	     doc_set(v, "type", json_object_new_string("bind"), NULL) < 0 ||
	     doc_set(v, "source", json_object_new_string(source), NULL) < 0 ||
	     doc_set(v, "options", doc_strings(readonly ? ro : rw), NULL) <
		     0)) {
		json_object_put(v);
		return NULL;
	}
	return v;
}

/* The mount with that destination, or -1. */
static ssize_t find_mount(struct oci_prep *p, const char *destination)
{
	const char *s = "";

	for (size_t i = 0; i < json_object_array_length(p->mounts); i++) {
		json_object *m = json_object_array_get_idx(p->mounts, i);

		if (doc_string(m, "", "destination", &s, NULL) == 0 &&
		    strcmp(s, destination) == 0)
			return (ssize_t)i;
	}
	return -1;
}

static bool has_option(json_object *m, const char *option)
{
	json_object *all = NULL;

	(void)doc_member(m, "", "options", json_type_array, &all, NULL);
	for (size_t i = 0; all && i < json_object_array_length(all); i++)
		if (strcmp(json_object_get_string(
				   json_object_array_get_idx(all, i)),
			   option) == 0)
			return true;
	return false;
}

/* --- sources where others can write ------------------------------------------ */

/* What is open becomes OCI_SOURCES/N of the bundle, and the mount's source. */
static int bind_source(struct oci_prep *p, json_object *m, int fd)
{
	char name[40], from[BENEATH_PROC_MAX], to[BENEATH_PROC_MAX];
	char path[GUESTPATH_MAX + sizeof(name)];
	struct stat st;
	cleanup_fd target = -1;

	if (fstat(fd, &st) < 0)
		return err_sys(p->e, "source of a mount");
	(void)snprintf(name, sizeof(name), OCI_SOURCES "/%u", p->sources++);
	target = beneath_target(p->bundle, name, BENEATH_STRICT,
				S_ISDIR(st.st_mode), 0700, p->e);
	if (target < 0)
		return target;
	if (mount(beneath_proc(fd, from), beneath_proc(target, to), NULL,
		  MS_BIND | MS_REC, NULL) < 0)
		return err_sys(p->e, "source of a mount");
	(void)snprintf(path, sizeof(path), "%s/%s", p->w->bundle, name);
	return doc_set(m, "source", json_object_new_string(path), p->e);
}

/* A file or folder of the pod's @folder, made as a folder when missing. */
static int shared_source(struct oci_prep *p, json_object *m, const char *folder,
			 const char *path)
{
	cleanup_fd dir = beneath_open(p->sandbox, folder, BENEATH_STRICT,
				      O_PATH | O_DIRECTORY, 0, p->e);
	cleanup_fd fd = -1;

	if (dir < 0)
		return dir;
	fd = beneath_open(dir, path, BENEATH_INSIDE, O_PATH, 0, p->e);
	if (fd == -ENOENT)
		fd = beneath_mkdirs(dir, path, BENEATH_INSIDE, SHARED_MODE,
				    p->e);
	return fd < 0 ? fd : bind_source(p, m, fd);
}

/* "<size>/<path>": a file system of such pages, once. */
static int huge_source(struct oci_prep *p, json_object *m, const char *path)
{
	char option[PAGE_SIZE_NAME_MAX + 16], at[BENEATH_PROC_MAX];
	const size_t len = strcspn(path, "/");
	struct statfs fs;
	cleanup_fd dir = -1;
	cleanup_fd fd = -1;

	if (len == 0 || len > PAGE_SIZE_NAME_MAX || path[len] == '\0' ||
	    strspn(path, "0123456789KMGkBi") != len)
		return err_set(p->e, EINVAL,
			       "hugepages://%.64s: want size/path", path);
	dir = beneath_open(p->sandbox, OCI_HUGEPAGES, BENEATH_STRICT,
			   O_PATH | O_DIRECTORY, 0, p->e);
	fd = dir < 0 ? dir
		     : beneath_mkdirs(dir, path, BENEATH_INSIDE, 0755, p->e);
	if (fd < 0)
		return fd;
	if (fstatfs(fd, &fs) < 0)
		return err_sys(p->e, "hugepages://%s", path);
	if (fs.f_type != HUGETLBFS_MAGIC) {
		(void)snprintf(option, sizeof(option), "pagesize=%.*s",
			       (int)len, path);
		if (mount("none", beneath_proc(fd, at), "hugetlbfs", 0,
			  option) < 0)
			return err_sys(p->e, "hugepages://%s", path);
		fd_close(&fd);
		fd = beneath_open(dir, path, BENEATH_INSIDE, O_PATH, 0, p->e);
		if (fd < 0)
			return fd;
	}
	return bind_source(p, m, fd);
}

/* A path of the UVM itself, which the host answers for. */
static int uvm_source(struct oci_prep *p, json_object *m, const char *path)
{
	char absolute[GUESTPATH_MAX];
	cleanup_fd fd =
		beneath_open(p->w->root, path, BENEATH_ROOTFS, O_PATH, 0, p->e);
	const int n = snprintf(absolute, sizeof(absolute), "/%s",
			       path + strspn(path, "/"));

	if (fd < 0)
		return err_wrap(p->e, "uvm://");
	if (n < 0 || (size_t)n >= sizeof(absolute))
		return err_set(p->e, ENAMETOOLONG, "uvm://: too long");
	return doc_set(m, "source", json_object_new_string(absolute), p->e);
}

static int rewrite_source(struct oci_prep *p, json_object *m, const char *place)
{
	static const struct {
		const char *scheme, *folder;
	} shared[] = {
		{ "sandbox://", OCI_SHARED },
		{ "sandbox-tmp://", OCI_SHARED_TMPFS },
	};
	const char *source = "", *path = "";
	int r = doc_string(m, place, "source", &source, p->e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(shared); i++) {
		path = behind(source, shared[i].scheme);
		if (path)
			return shared_source(p, m, shared[i].folder, path);
	}
	path = behind(source, "hugepages://");
	if (path)
		return huge_source(p, m, path);
	path = behind(source, "uvm://");
	return path ? uvm_source(p, m, path) : 0;
}

/* --- block devices -------------------------------------------------------------- */

/* The source is a link that MappedVirtualDisk has made to a node of /dev. */
static int block_device(struct oci_prep *p, json_object *m, const char *place,
			const char *destination)
{
	struct guestpath g = { 0 };
	struct stat st;
	unsigned int number[2] = { 0 };
	char node[256] = "";
	const char *source = "";
	ssize_t n = -1;
	int r = doc_string(m, place, "source", &source, p->e);
	cleanup_fd base = -1;
	cleanup_fd fd = -1;

	if (r == 0)
		r = guestpath_check(source, GUESTPATH_MOUNT, place, &g, p->e);
	base = r < 0 ? r : guestpath_base(p->w->root, &g, p->e);
	if (base < 0)
		return base;
	fd = beneath_open(base, g.rest, BENEATH_STRICT, O_PATH | O_NOFOLLOW, 0,
			  p->e);
	n = fd < 0 ? -1 : readlinkat(fd, "", node, sizeof(node) - 1);
	if (n < 0)
		return err_set(p->e, EINVAL, "%s.source: no link to a device",
			       place);
	node[n] = '\0';
	if (!behind(node, "/dev/"))
		return err_set(p->e, EINVAL, "%s.source: leads out of /dev",
			       place);
	fd_close(&fd);
	fd = beneath_open(p->w->root, node, BENEATH_ROOTFS, O_PATH, 0, p->e);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISBLK(st.st_mode))
		return err_set(p->e, ENODEV, "%s.source: no block device",
			       place);
	number[0] = major(st.st_rdev);
	number[1] = minor(st.st_rdev);
	r = oci_rule(p, true, "b", number, has_option(m, "ro") ? "r" : "rwm");
	if (r == 0)
		r = doc_set(m, "source", json_object_new_string(node), p->e);
	if (r == 0)
		r = doc_set(m, "destination",
			    json_object_new_string(destination), p->e);
	return r;
}

int oci_step_mounts(struct oci_prep *p)
{
	char place[DOC_PLACE_MAX];
	const char *destination = "", *path = "";
	json_object *m = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < json_object_array_length(p->mounts);
	     i++) {
		r = doc_element(p->mounts, "$.mounts", i, json_type_object,
				place, &m, p->e);
		if (r == 0)
			r = doc_string(m, place, "destination", &destination,
				       p->e);
		if (r < 0)
			return r;
		path = behind(destination, "blockdev://");
		r = path ? block_device(p, m, place, path)
			 : rewrite_source(p, m, place);
		if (r < 0 && !path)
			err_prepend(p->e, "%s", place);
	}
	return r;
}

/* --- files of the sandbox, shared memory, logs ---------------------------------- */

static int root_readonly(struct oci_prep *p, bool *ret)
{
	json_object *root = NULL;
	const int r =
		doc_need(p->doc, "$", "root", json_type_object, &root, p->e);

	return r < 0 ? r : doc_bool(root, "$.root", "readonly", ret, p->e);
}

int oci_step_etc(struct oci_prep *p)
{
	static const char *const names[] = { "hostname", "hosts",
					     "resolv.conf" };
	char destination[32], source[GUESTPATH_MAX + 32];
	bool readonly = false;
	int r = root_readonly(p, &readonly);

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(names); i++) {
		(void)snprintf(destination, sizeof(destination), "/etc/%s",
			       names[i]);
		(void)snprintf(source, sizeof(source), "%s/%s",
			       p->w->sandbox_root, names[i]);
		if (find_mount(p, destination) < 0)
			r = doc_append(
				p->mounts,
				bind_mount(destination, source, readonly),
				p->e);
	}
	return r;
}

static json_object *shm_mount(uint64_t kib)
{
	char size[40];
	const char *const options[] = { "nosuid",    "noexec", "nodev",
					"mode=1777", size,     NULL };
	json_object *v = bind_mount("/dev/shm", "shm", false);

	(void)snprintf(size, sizeof(size), "size=%" PRIu64 "k", kib);
	if (v &&
	    (doc_set(v, "type", json_object_new_string("tmpfs"), NULL) < 0 ||
	     doc_set(v, "options", doc_strings(options), NULL) < 0)) {
		json_object_put(v);
		return NULL;
	}
	return v;
}

int oci_step_shm(struct oci_prep *p)
{
	const char *text = "";
	json_object *v = NULL;
	uint64_t kib;
	ssize_t at;
	int r = doc_annotation(p->doc, ANN_SHM, &text, p->e);

	if (r < 0 || *text == '\0')
		return r;
	if (num_u64(text, 1, UINT64_MAX, &kib, p->e) < 0)
		return err_wrap(p->e, "$.annotations." ANN_SHM);
	v = shm_mount(kib);
	at = find_mount(p, "/dev/shm");
	if (at < 0 || !v)
		return doc_append(p->mounts, v, p->e);
	if (json_object_array_put_idx(p->mounts, (size_t)at, v) == 0)
		return 0;
	json_object_put(v);
	return err_set(p->e, ENOMEM, "no memory for a document");
}

/* The log's folder, and where the container sees it. */
int oci_step_tee(struct oci_prep *p)
{
	char source[GUESTPATH_MAX + 16], up[BENEATH_PATH_MAX];
	const char *tee = p->w->facts->tee_log;
	const char *destination = "";
	cleanup_fd fd = -1;
	int r = doc_annotation(p->doc, ANN_TEE_MOUNT, &destination, p->e);

	if (r < 0 || (*destination == '\0' && *tee == '\0'))
		return r;
	(void)snprintf(up, sizeof(up), "%.*s",
		       *tee ? (int)(strrchr(tee, '/') - tee)
			    : (int)strlen(OCI_LOGS),
		       *tee ? tee : OCI_LOGS);
	fd = beneath_mkdirs(p->sandbox, up, BENEATH_STRICT, SHARED_MODE, p->e);
	if (fd < 0)
		return err_wrap(p->e, "$.annotations." ANN_TEE_PATH);
	if (*destination == '\0')
		return 0;
	(void)snprintf(source, sizeof(source), "%s/" OCI_LOGS,
		       p->w->sandbox_root);
	return doc_append(p->mounts, bind_mount(destination, source, false),
			  p->e);
}
