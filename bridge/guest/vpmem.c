#include "bridge/guest/vpmem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "bridge/guest/dm.h"
#include "bridge/guest/guestpath.h"
#include "bridge/guest/mnt.h"
#include "bridge/io/fd.h"

#define MOUNT_POINT_MODE 0700
#define PATH_BYTES 256

int vpmem_check(const struct msg_vpmem_device *m, struct volume_facts *f,
		struct err *e)
{
	struct guestpath p;
	int r = guestpath_check(m->mount_path, GUESTPATH_MOUNT, "MountPath", &p,
				e);

	*f = (struct volume_facts){ .kind = VOLUME_PMEM,
				    .pmem = m->device_number,
				    .read_only = true,
				    .filesystem = "ext4" };
	if (r == 0)
		r = volume_text(f->path, sizeof(f->path), m->mount_path,
				"MountPath", e);
	if (r < 0 || !m->mapping)
		return r;
	f->mapped = true;
	f->offset_bytes = m->mapping->offset_bytes;
	f->size_bytes = m->mapping->size_bytes;
	if (f->size_bytes < DM_SECTOR || f->size_bytes % DM_SECTOR != 0 ||
	    f->offset_bytes % DM_SECTOR != 0)
		return err_set(e, EINVAL,
			       "MappingInfo: not in sectors of %u bytes",
			       DM_SECTOR);
	return 0;
}

static void mapped_name(const struct volume_facts *f, char *buf, size_t size)
{
	(void)snprintf(buf, size, "dm-linear-pmem%u-%" PRIu64 "-%" PRIu64,
		       f->pmem, f->offset_bytes, f->size_bytes);
}

static void control_path(const struct volume_env *env, char *buf, size_t size)
{
	(void)snprintf(buf, size, "%s/mapper/control", env->dev);
}

struct search {
	char path[PATH_BYTES];
	dev_t number;
};

static int look(void *ctx, struct err *e)
{
	struct search *s = ctx;
	struct stat st;

	if (stat(s->path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s", s->path);
	s->number = st.st_rdev;
	return 1;
}

static int wait_node(const struct volume_env *env, struct search *s,
		     const char *name, struct err *e)
{
	int r;

	(void)snprintf(s->path, sizeof(s->path), "%s/%s", env->dev, name);
	r = volume_wait(env, look, s, e);
	if (r == 0)
		return err_set(e, ETIMEDOUT, "no %s within %" PRId64 " ms",
			       s->path, env->wait_ms);
	return r < 0 ? r : 0;
}

/* Puts the region's device on top; @s is that of it then. */
static int map_region(const struct volume_env *env,
		      const struct volume_facts *f, struct search *s,
		      struct err *e)
{
	char control[PATH_BYTES], name[PATH_BYTES], device[32], node[32];
	uint32_t minor_number = 0;
	int r;

	control_path(env, control, sizeof(control));
	mapped_name(f, name, sizeof(name));
	(void)snprintf(device, sizeof(device), "%u:%u", major(s->number),
		       minor(s->number));
	r = dm_linear(control, name, device, f->offset_bytes / DM_SECTOR,
		      f->size_bytes / DM_SECTOR, &minor_number, e);
	if (r < 0)
		return err_wrap(e, "MappingInfo");
	(void)snprintf(node, sizeof(node), "dm-%u", minor_number);
	return wait_node(env, s, node, e);
}

static int unmap_region(const struct volume_env *env,
			const struct volume_facts *f, struct err *e)
{
	char control[PATH_BYTES], name[PATH_BYTES];

	control_path(env, control, sizeof(control));
	mapped_name(f, name, sizeof(name));
	return dm_remove(control, name, e);
}

static int mount_at(const struct volume_env *env, const struct volume_facts *f,
		    const char *device, struct err *e)
{
	static const struct mnt_option noload = { "noload", NULL };
	cleanup_fd mnt = mnt_new("ext4", device, &noload, 1, true, e);

	if (mnt < 0)
		return mnt;
	return mnt_put(env->root, f->path, GUESTPATH_MOUNT, MOUNT_POINT_MODE,
		       mnt, e);
}

int vpmem_add(const struct volume_env *env, struct volume_facts *f,
	      struct err *e)
{
	struct search s = { 0 };
	int r;

	(void)snprintf(f->device, sizeof(f->device), "pmem%u", f->pmem);
	r = wait_node(env, &s, f->device, e);
	if (r < 0)
		return r;
	if (f->mapped)
		r = map_region(env, f, &s, e);
	if (r == 0)
		r = mount_at(env, f, s.path, e);
	if (r < 0 && f->mapped)
		(void)unmap_region(env, f, NULL); /* the first error counts */
	return r;
}

int vpmem_remove(const struct volume_env *env, const struct volume_facts *f,
		 struct err *e)
{
	const int r = mnt_remove(env->root, f->path, GUESTPATH_MOUNT, e);

	if (r < 0 || !f->mapped)
		return r < 0 ? r : 0;
	return unmap_region(env, f, e);
}
