#include "bridge/guest/oci_doc.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "bridge/guest/beneath.h"
#include "bridge/io/fd.h"
#include "config/util.h"

/* How deep nodes lie below /dev, and how many a privileged container gets. */
#define DEV_DEPTH_MAX 8
#define NODES_MAX 4096u
/* How long an assigned device may take to get its nodes, and looks at it. */
#define ASSIGNED_WAIT_MS 60000
#define ASSIGNED_LOOK_MS 500
#define SYS_LINK_MAX 1024

int oci_rule(struct oci_prep *p, bool allow, const char *type,
	     const unsigned int number[2], const char *access)
{
	json_object *resources = NULL, *rules = NULL;
	json_object *v = json_object_new_object();
	int r = doc_make(p->linux_, "$.linux", "resources", json_type_object,
			 &resources, p->e);

	if (r == 0)
		r = doc_make(resources, "$.linux.resources", "devices",
			     json_type_array, &rules, p->e);
	if (r == 0)
		r = doc_append(rules, v, p->e);
	else
		json_object_put(v);
	if (r == 0)
		r = doc_set(v, "allow", json_object_new_boolean(allow), p->e);
	if (r == 0 && type)
		r = doc_set(v, "type", json_object_new_string(type), p->e);
	if (r == 0 && number)
		r = doc_set(v, "major", json_object_new_int64(number[0]), p->e);
	if (r == 0 && number)
		r = doc_set(v, "minor", json_object_new_int64(number[1]), p->e);
	return r < 0 ? r
		     : doc_set(v, "access", json_object_new_string(access),
			       p->e);
}

/* A node of the UVM's /dev for the container. */
static int add_node(struct oci_prep *p, json_object *list, const char *path,
		    const struct stat *st, bool rule)
{
	const unsigned int number[2] = { major(st->st_rdev),
					 minor(st->st_rdev) };
	const char *type = S_ISBLK(st->st_mode) ? "b" : "c";
	json_object *v = json_object_new_object();
	int r = doc_append(list, v, p->e);

	if (r == 0)
		r = doc_set(v, "path", json_object_new_string(path), p->e);
	if (r == 0)
		r = doc_set(v, "type", json_object_new_string(type), p->e);
	if (r == 0)
		r = doc_set(v, "major", json_object_new_int64(number[0]), p->e);
	if (r == 0)
		r = doc_set(v, "minor", json_object_new_int64(number[1]), p->e);
	if (r == 0)
		r = doc_set(v, "fileMode",
			    json_object_new_int64(st->st_mode & 07777), p->e);
	if (r == 0)
		r = doc_set(v, "uid", json_object_new_int64(st->st_uid), p->e);
	if (r == 0)
		r = doc_set(v, "gid", json_object_new_int64(st->st_gid), p->e);
	return r < 0 || !rule ? r : oci_rule(p, true, type, number, "rwm");
}

static bool is_node(const struct stat *st)
{
	return S_ISBLK(st->st_mode) || S_ISCHR(st->st_mode);
}

/* --- privileged: all that the UVM has -------------------------------------------- */

/* Folders and nodes that every container has of its own. */
static bool is_its_own(const char *name)
{
	static const char *const names[] = { "pts",    "shm",	  "fd",
					     "mqueue", "console", NULL };

	for (size_t i = 0; names[i]; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return name[0] == '.';
}

static int add_folder(struct oci_prep *p, json_object *list, int *fd,
		      const char *path, int depth)
{
	DIR *d = fdopendir(*fd);
	const struct dirent *entry;
	char name[512];
	struct stat st;
	int r = 0;

	if (!d)
		return err_sys(p->e, "%s", path);
	*fd = -1;
	while (r == 0 && (entry = readdir(d))) {
		if (is_its_own(entry->d_name) ||
		    fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) <
			    0)
			continue;
		(void)snprintf(name, sizeof(name), "%s/%.255s", path,
			       entry->d_name);
		if (is_node(&st) &&
		    json_object_array_length(list) < NODES_MAX) {
			r = add_node(p, list, name, &st, false);
		} else if (S_ISDIR(st.st_mode) && depth < DEV_DEPTH_MAX) {
			cleanup_fd sub = openat(dirfd(d), entry->d_name,
						O_RDONLY | O_DIRECTORY |
							O_NOFOLLOW | O_CLOEXEC);

			r = sub < 0 ? 0
				    : add_folder(p, list, &sub, name,
						 depth + 1);
		}
	}
	(void)closedir(d);
	return r;
}

static int add_all(struct oci_prep *p, json_object *list)
{
	cleanup_fd dev = beneath_open(p->w->root, "dev", BENEATH_STRICT,
				      O_RDONLY | O_DIRECTORY, 0, p->e);

	return dev < 0 ? dev : add_folder(p, list, &dev, "/dev", 0);
}

/* --- listed ones, as they are in this UVM ----------------------------------------- */

static int add_listed(struct oci_prep *p, json_object *list, json_object *old)
{
	char place[DOC_PLACE_MAX];
	const char *path = "";
	json_object *v = NULL;
	struct stat st;
	int r = 0;

	for (size_t i = 0; r == 0 && old && i < json_object_array_length(old);
	     i++) {
		cleanup_fd fd = -1;

		r = doc_element(old, "$.linux.devices", i, json_type_object,
				place, &v, p->e);
		if (r == 0)
			r = doc_string(v, place, "path", &path, p->e);
		if (r < 0)
			return r;
		fd = beneath_open(p->w->root, path, BENEATH_ROOTFS, O_PATH, 0,
				  p->e);
		if (fd < 0)
			return err_wrap(p->e, "%s.path", place);
		if (fstat(fd, &st) < 0 || !is_node(&st))
			return err_set(p->e, ENODEV, "%s.path: %s is no device",
				       place, path);
		r = add_node(p, list, path, &st, true);
	}
	return r;
}

int oci_step_devices(struct oci_prep *p)
{
	json_object *old, *list = json_object_new_array();
	int r = doc_member(p->linux_, "$.linux", "devices", json_type_array,
			   &old, p->e);

	if (r == 0 && !list)
		r = err_set(p->e, ENOMEM, "no memory for a document");
	if (r == 0)
		r = p->w->facts->privileged ? add_all(p, list)
					    : add_listed(p, list, old);
	if (r == 0)
		return doc_set(p->linux_, "devices", list, p->e);
	json_object_put(list);
	return r;
}

/*
 * Rules are taken one after the other, the last that fits wins: nothing, then
 * what the document has. The runtime adds the nodes that every container has.
 */
int oci_step_device_rules(struct oci_prep *p)
{
	json_object *resources = NULL, *old = NULL, *v = NULL;
	const bool all =
		p->w->facts->privileged && p->w->facts->kind == OCI_WORKLOAD;
	int r = doc_make(p->linux_, "$.linux", "resources", json_type_object,
			 &resources, p->e);

	if (r == 0)
		r = doc_member(resources, "$.linux.resources", "devices",
			       json_type_array, &old, p->e);
	if (r < 0)
		return r;
	old = json_object_get(old); /* ours, while a new list is begun */
	json_object_object_del(resources, "devices");
	r = oci_rule(p, all, NULL, NULL, "rwm");
	for (size_t i = 0;
	     r == 0 && !all && old && i < json_object_array_length(old); i++) {
		r = doc_make(resources, "$.linux.resources", "devices",
			     json_type_array, &v, p->e);
		if (r == 0)
			r = doc_append(
				v,
				json_object_get(
					json_object_array_get_idx(old, i)),
				p->e);
	}
	json_object_put(old);
	return r;
}

/* --- assigned to the UVM ------------------------------------------------------------ */

/* "DEVNAME=" of a device's uevent as a path of /dev; false: it has no node. */
static bool node_name(int device, char *path, size_t size)
{
	struct text t;
	const char *name = "";
	bool found = false;

	text_heap(&t, 8192);
	if (beneath_read(device, "uevent", BENEATH_STRICT, 4096, &t, NULL) ==
	    0) {
		name = strstr(text_str(&t), "DEVNAME=");
		if (name) {
			name += strlen("DEVNAME=");
			(void)snprintf(path, size, "/dev/%.*s",
				       (int)strcspn(name, "\n"), name);
			found = true;
		}
	}
	text_done(&t);
	return found;
}

/*
 * /sys/dev/char and /sys/dev/block hold a link for each device with a node,
 * to where it is below its parents.
 */
static int nodes_below(struct oci_prep *p, json_object *list,
		       const char *numbers, const char *guid, unsigned int *n)
{
	char link[SYS_LINK_MAX], want[80], path[512];
	const struct dirent *entry;
	struct stat st;
	ssize_t len;
	int r = 0;
	int fd = beneath_open(p->w->root, numbers, BENEATH_STRICT,
			      O_RDONLY | O_DIRECTORY, 0, p->e);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d) {
		fd_close(&fd);
		return fd < 0 ? err_code(p->e) : err_sys(p->e, "%s", numbers);
	}
	(void)snprintf(want, sizeof(want), "/%s/pci", guid);
	while (r == 0 && (entry = readdir(d))) {
		len = readlinkat(dirfd(d), entry->d_name, link,
				 sizeof(link) - 1);
		if (len < 0)
			continue;
		link[len] = '\0';
		if (!strstr(link, want))
			continue;
		/* the link is the kernel's own */
		cleanup_fd device = openat(dirfd(d), entry->d_name,
					   O_PATH | O_DIRECTORY | O_CLOEXEC);
		cleanup_fd node = -1;

		if (device < 0 || !node_name(device, path, sizeof(path)))
			continue;
		node = beneath_open(p->w->root, path, BENEATH_ROOTFS, O_PATH, 0,
				    NULL);
		if (node < 0 || fstat(node, &st) < 0 || !is_node(&st))
			continue;
		r = add_node(p, list, path, &st, true);
		++*n;
	}
	(void)closedir(d);
	return r;
}

static int add_assigned(struct oci_prep *p, json_object *list, const char *id)
{
	static const struct timespec pause = { .tv_nsec = ASSIGNED_LOOK_MS *
							  1000000L };
	char guid[40], bus[96];
	unsigned int n = 0;
	int r;
	cleanup_fd fd = -1;

	if (strlen(id) != 36 || strspn(id, "0123456789abcdefABCDEF-") != 36)
		return err_set(p->e, EINVAL, "'%.64s' is no GUID", id);
	for (size_t i = 0; i <= 36; i++)
		guid[i] = (char)tolower((unsigned char)id[i]);
	(void)snprintf(bus, sizeof(bus), "sys/bus/vmbus/devices/%s", guid);
	fd = beneath_open(p->w->root, bus, BENEATH_INSIDE, O_PATH, 0, p->e);
	if (fd < 0)
		return err_set(p->e, ENODEV, "no device %s on a VMBus", guid);
	for (int waited = 0;; waited += ASSIGNED_LOOK_MS) {
		r = nodes_below(p, list, "sys/dev/char", guid, &n);
		if (r == 0)
			r = nodes_below(p, list, "sys/dev/block", guid, &n);
		if (r < 0 || n > 0)
			return r;
		if (waited >= ASSIGNED_WAIT_MS)
			return err_set(p->e, ETIMEDOUT,
				       "device %s has no node in /dev", guid);
		(void)nanosleep(&pause, NULL);
	}
}

int oci_step_assigned(struct oci_prep *p)
{
	char place[DOC_PLACE_MAX];
	json_object *windows = NULL, *all = NULL, *v = NULL, *list = NULL;
	const char *id = "", *type = "";
	int r = doc_member(p->doc, "$", "windows", json_type_object, &windows,
			   p->e);

	if (r == 0 && windows)
		r = doc_member(windows, "$.windows", "devices", json_type_array,
			       &all, p->e);
	if (r < 0 || !all)
		return r;
	r = doc_make(p->linux_, "$.linux", "devices", json_type_array, &list,
		     p->e);
	for (size_t i = 0; r == 0 && i < json_object_array_length(all); i++) {
		r = doc_element(all, "$.windows.devices", i, json_type_object,
				place, &v, p->e);
		if (r == 0)
			r = doc_string(v, place, "id", &id, p->e);
		if (r == 0)
			r = doc_string(v, place, "idType", &type, p->e);
		if (r < 0)
			return r;
		if (strcmp(type, "vpci") == 0 ||
		    strcmp(type, "vpci-instance-id") == 0)
			r = add_assigned(p, list, id);
		else if (strcmp(type, "gpu") == 0)
			r = err_set(p->e, EOPNOTSUPP,
				    "no nvidia-container-cli in this image");
		else
			r = err_set(p->e, EINVAL,
				    "'%.64s' is no type of device", type);
		if (r < 0)
			err_prepend(p->e, "%s", place);
	}
	return r;
}
