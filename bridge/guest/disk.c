#include "bridge/guest/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bridge/guest/beneath.h"
#include "bridge/guest/crypt.h"
#include "bridge/guest/fsprobe.h"
#include "bridge/guest/guestpath.h"
#include "bridge/guest/job.h"
#include "bridge/guest/mnt.h"
#include "bridge/guest/scsi.h"
#include "bridge/io/fd.h"
#include "config/util.h"

#define MOUNT_POINT_MODE 0700
#define DEVICE_PATH_MAX 256

/**
 * struct maker - a program that makes a file system
 * @force:	what it wants to hear before it overwrites another one
 */
static const struct maker {
	const char *type;
	const char *program;
	const char *force;
} makers[] = {
	{ "ext4", "mkfs.ext4", "-F" },
	{ "xfs", "mkfs.xfs", "-f" },
};

static const struct maker *maker_of(const char *type)
{
	for (size_t i = 0; i < ARRAY_LEN(makers); i++) {
		if (strcmp(makers[i].type, type) == 0)
			return &makers[i];
	}
	return NULL;
}

static int check_add(const struct msg_mapped_virtual_disk *m, struct err *e)
{
	if (m->options.n > DISK_OPTIONS_MAX)
		return err_set(e, EINVAL, "Options: more than %u",
			       DISK_OPTIONS_MAX);
	if (!m->ensure_filesystem)
		return 0;
	if (!maker_of(m->filesystem))
		return err_set(e, EINVAL,
			       "Filesystem: '%.32s' cannot be made, only ext4 "
			       "and xfs",
			       m->filesystem);
	return 0;
}

int disk_check(const struct msg_mapped_virtual_disk *m, bool add,
	       struct volume_facts *f, struct err *e)
{
	struct guestpath p;
	int r;

	*f = (struct volume_facts){
		.kind = m->block_dev ? VOLUME_LINK : VOLUME_DISK,
		.controller = m->controller,
		.lun = m->lun,
		.partition = m->partition,
		.read_only = m->read_only,
		.encrypted = m->encrypted,
	};
	if (m->controller >= SCSI_CONTROLLERS)
		return err_set(e, EINVAL, "Controller: %u, there are %u",
			       m->controller, SCSI_CONTROLLERS);
	r = guestpath_check(m->mount_path, GUESTPATH_MOUNT, "MountPath", &p, e);
	if (r == 0)
		r = volume_text(f->path, sizeof(f->path), m->mount_path,
				"MountPath", e);
	if (r == 0 && strlen(m->filesystem) >= sizeof(f->filesystem))
		r = err_set(e, EINVAL, "Filesystem: over %zu bytes",
			    sizeof(f->filesystem) - 1);
	if (r == 0 && add)
		r = check_add(m, e);
	return r;
}

/* --- what is on it --------------------------------------------------------- */

/* Return: the type, NULL: none that is known */
static const char *detect(const char *device)
{
	uint8_t head[FSPROBE_BYTES];

	for (int i = 0; i < 2; i++) {
		const struct timespec again = { .tv_nsec = DISK_AGAIN_MS *
							   1000000L };
		cleanup_fd fd = open(device, O_RDONLY | O_CLOEXEC);
		const ssize_t n =
			fd < 0 ? 0 : fd_read_full(fd, head, sizeof(head));
		const char *type = fsprobe(head, n > 0 ? (size_t)n : 0);

		if (type)
			return type;
		if (i == 0)
			(void)nanosleep(&again, NULL);
	}
	return NULL;
}

static int make_filesystem(const struct volume_env *env, const char *type,
			   const char *device, struct err *e)
{
	const struct maker *maker = maker_of(type);
	char program[32], force[4], at[DEVICE_PATH_MAX];
	char *const argv[] = { program, force, at, NULL };
	int r;

	if (!maker) /* was checked */
		return err_set(e, EINVAL, "Filesystem: '%.32s'", type);
	(void)snprintf(program, sizeof(program), "%s", maker->program);
	(void)snprintf(force, sizeof(force), "%s", maker->force);
	(void)snprintf(at, sizeof(at), "%s", device);
	r = job_run(argv, env->programs, NULL, 0, e);
	if (r == -ENOENT)
		return err_set(e, EOPNOTSUPP,
			       "EnsureFilesystem: the image has no %s",
			       maker->program);
	return r;
}

/* Fills in the type of the file system, which is made if that is wanted. */
static int settle_filesystem(const struct volume_env *env,
			     const struct msg_mapped_virtual_disk *m,
			     const char *device, struct volume_facts *f,
			     struct err *e)
{
	const char *found = f->encrypted ? NULL : detect(device);
	const char *wanted = m->filesystem;

	if (f->encrypted && wanted[0] == '\0')
		return err_set(e, EINVAL,
			       "Filesystem: needed for an encrypted disk");
	if (!found && wanted[0] == '\0')
		return err_set(e, EINVAL,
			       "no known file system on %s, and none named",
			       device);
	if (m->ensure_filesystem && (!found || strcmp(found, wanted) != 0)) {
		const int r = m->read_only
				      ? err_set(e, EINVAL,
						"EnsureFilesystem: the "
						"disk is read-only")
				      : make_filesystem(env, wanted, device, e);

		if (r < 0)
			return r;
	}
	return volume_text(f->filesystem, sizeof(f->filesystem),
			   wanted[0] ? wanted : found, "Filesystem", e);
}

/* --- Add ------------------------------------------------------------------- */

static int propagate(const struct msg_mapped_virtual_disk *m, int mnt,
		     struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->options.n; i++) {
		/* Everything else among them never had an effect. */
		if (mnt_is_propagation(m->options.item[i]))
			r = mnt_propagate(mnt, m->options.item[i], e);
	}
	return r;
}

static int mount_at(const struct volume_env *env,
		    const struct msg_mapped_virtual_disk *m, const char *device,
		    const struct volume_facts *f, struct err *e)
{
	static const struct mnt_option noload = { "noload", NULL };
	const bool ro = f->read_only || fsprobe_read_only(f->filesystem);
	const size_t n = f->read_only && fsprobe_has_noload(f->filesystem);
	cleanup_fd mnt = mnt_new(f->filesystem, device, &noload, n, ro, e);
	int r;

	if (mnt < 0)
		return mnt;
	r = mnt_put(env->root, f->path, GUESTPATH_MOUNT, MOUNT_POINT_MODE, mnt,
		    e);
	if (r < 0)
		return r;
	r = propagate(m, mnt, e);
	fd_close(&mnt);
	if (r < 0)
		mnt_take_back(env->root, f->path, GUESTPATH_MOUNT);
	return r;
}

static int mount_disk(const struct volume_env *env,
		      const struct msg_mapped_virtual_disk *m,
		      const char *device, struct volume_facts *f, struct err *e)
{
	char opened[DEVICE_PATH_MAX];
	int r;

	if (f->encrypted) {
		r = crypt_open(env, f, device, opened, sizeof(opened), e);
		if (r < 0)
			return r;
		device = opened;
	}
	r = settle_filesystem(env, m, device, f, e);
	if (r == 0)
		r = mount_at(env, m, device, f, e);
	if (r < 0 && f->encrypted)
		(void)crypt_close(env, f, NULL); /* the first error counts */
	return r;
}

static int link_disk(const struct volume_env *env, const char *device,
		     const struct guestpath *p, struct err *e)
{
	char parent[VOLUME_PATH_MAX];
	const char *slash = strrchr(p->rest, '/');
	const size_t len = slash ? (size_t)(slash - p->rest) : 0;
	cleanup_fd base = guestpath_base(env->root, p, e);
	cleanup_fd dir = -1;

	if (base < 0)
		return base;
	(void)snprintf(parent, sizeof(parent), "%.*s", (int)len, p->rest);
	dir = beneath_mkdirs(base, parent, BENEATH_STRICT, MOUNT_POINT_MODE, e);
	if (dir < 0)
		return dir;
	return beneath_symlink(dir, slash ? slash + 1 : p->rest, BENEATH_STRICT,
			       device, e);
}

int disk_add(const struct volume_env *env,
	     const struct msg_mapped_virtual_disk *m, struct volume_facts *f,
	     struct err *e)
{
	struct scsi_disk disk = { .fd = -1 };
	char device[DEVICE_PATH_MAX];
	struct guestpath p;
	int r = guestpath_check(f->path, GUESTPATH_MOUNT, "MountPath", &p, e);

	if (r == 0)
		r = scsi_find(env, f->controller, f->lun, f->partition, &disk,
			      e);
	if (r < 0)
		return r;
	(void)volume_text(f->device, sizeof(f->device), disk.name, "", NULL);
	(void)snprintf(device, sizeof(device), "%s/%s", env->dev, disk.name);
	r = f->kind == VOLUME_LINK ? link_disk(env, device, &p, e)
				   : mount_disk(env, m, device, f, e);
	fd_close(&disk.fd); /* open so far: no other disk gets its name */
	return r;
}

/* --- Remove ---------------------------------------------------------------- */

static int remove_link(const struct volume_env *env,
		       const struct volume_facts *f, struct err *e)
{
	struct guestpath p;
	char was[1];
	const char *name = "";
	cleanup_fd base = -1;
	cleanup_fd dir = -1;
	int r = guestpath_check(f->path, GUESTPATH_MOUNT, "MountPath", &p, e);

	if (r < 0)
		return r;
	base = beneath_open(env->root, p.prefix, BENEATH_STRICT,
			    O_PATH | O_DIRECTORY, 0, e);
	if (base < 0)
		return base == -ENOENT ? 0 : base;
	dir = beneath_parent(base, p.rest, BENEATH_STRICT, &name, e);
	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	if (readlinkat(dir, name, was, sizeof(was)) < 0)
		return errno == ENOENT
			       ? 0
			       : err_set(e, EINVAL, "MountPath: %s is no link",
					 f->path);
	return beneath_unlink(dir, name, BENEATH_STRICT, 0, e);
}

int disk_remove(const struct volume_env *env, const struct volume_facts *f,
		struct err *e)
{
	int r;

	if (f->kind == VOLUME_LINK)
		return remove_link(env, f, e);
	r = mnt_remove(env->root, f->path, GUESTPATH_MOUNT, e);
	if (r < 0)
		return r;
	return f->encrypted ? crypt_close(env, f, e) : 0;
}
