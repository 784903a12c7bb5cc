/*
 * tools/shim/task_disks.c - disks of a container that ferry does not make: they
 * have names, and so other hosts can open them too
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migration/names.h"
#include "tools/shim/shim.h"

const char *task_disk_path(const struct task_disk *d)
{
	return d->named ? d->named : d->disk.path;
}

static enum vmm_disk_kind kind_of(const struct task_disk *d)
{
	struct stat st;

	return d->named && stat(d->named, &st) == 0 && S_ISBLK(st.st_mode)
		       ? VMM_DISK_DEVICE
		       : VMM_DISK_IMAGE;
}

struct container_disk task_disk_of(const struct task_disk *d, bool read_only)
{
	return (struct container_disk){
		.disk = { .path = (char *)(uintptr_t)task_disk_path(d),
			  .read_only = read_only,
			  .kind = kind_of(d) },
		.mount = { .read_only = read_only,
			   .filesystem = (char *)(uintptr_t)disk_fs_name(
				   d->disk.fs) },
	};
}

int task_disk_check(const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_sys(e, "disk %s", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, EINVAL,
			       "disk %s: neither a file nor a block device",
			       path);
	return 0;
}

int task_disk_name(struct task_disk *d, const char *path, bool read_only,
		   struct err *e)
{
	int r = names_check_path("a disk", path, e);

	if (r == 0)
		r = task_disk_check(path, e);
	if (r == 0 && access(path, read_only ? R_OK : R_OK | W_OK) < 0)
		r = err_sys(e, "disk %s", path);
	if (r == 0)
		r = names_copy(path, &d->named, e);
	d->ready = r == 0;
	return r;
}

int task_named_disks(struct shim_task *task, struct err *e)
{
	const struct annotation_map *a = &task->facts.annotations;
	const char *rootfs = annotation_map_get(a, SHIM_DISK_ROOTFS);
	const char *scratch = annotation_map_get(a, SHIM_DISK_SCRATCH);
	const char *fs = annotation_map_get(a, SHIM_DISK_ROOTFS_FS);
	int r = 0;

	if (!rootfs && !scratch)
		return fs ? err_set(e, EINVAL, "%s goes with %s",
				    SHIM_DISK_ROOTFS_FS, SHIM_DISK_ROOTFS)
			  : 0;
	if (!rootfs || !scratch)
		return err_set(e, EINVAL, "%s and %s go together",
			       SHIM_DISK_ROOTFS, SHIM_DISK_SCRATCH);
	task->rootfs.disk.fs = DISK_FS_EXT4;
	task->scratch.disk.fs = DISK_FS_EXT4;
	if (fs)
		r = disk_fs_parse(fs, &task->rootfs.disk.fs, e);
	if (r == 0 && task->rootfs.disk.fs == DISK_FS_AUTO)
		r = err_set(e, EINVAL, "%s is ext4 or erofs",
			    SHIM_DISK_ROOTFS_FS);
	if (r == 0)
		r = task_disk_name(&task->rootfs, rootfs, true, e);
	if (r == 0)
		r = task_disk_name(&task->scratch, scratch, false, e);
	return r < 0 ? r : 1;
}
