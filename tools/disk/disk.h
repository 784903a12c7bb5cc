/*
 * tools/disk/disk.h - disks made on the fly: a folder as a read-only disk, and
 * empty disks to write to
 *
 * Theory of operation. A disk is a file without a name: it is unlinked as soon
 * as it is made, and lives as long as a descriptor of it does, ours or QEMU's.
 * So nothing can be left over, however a program ends. Others of the same user
 * open it by disk->path, which goes through /proc.
 *
 * A folder is looked through by a forked child, which needs not be waited for,
 * then mkfs.erofs (or mke2fs, where that is wanted or the first is missing)
 * reads it, a child too. Both are watched by the loop. The same folder always
 * gives the same bytes with erofs: the identifier is fixed, and the time of the
 * file system is that of its newest file.
 *
 * A user who is not root owns all files of a folder that he unpacked; in the
 * disk they are root's then.
 */
#ifndef FERRY_TOOLS_DISK_DISK_H
#define FERRY_TOOLS_DISK_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/io/loop.h"
#include "config/err.h"

/* "/proc/PID/fd/N" */
#define DISK_PATH_MAX 48
/* An empty disk is sparse: it takes as much as is written to it. */
#define DISK_SCRATCH_DEFAULT ((uint64_t)10 * 1024 * 1024 * 1024)
#define DISK_SCRATCH_MIN ((uint64_t)8 * 1024 * 1024)
#define DISK_SCRATCH_MAX ((uint64_t)8 * 1024 * 1024 * 1024 * 1024)
/* A program that writes nothing for so long has come to a stop. */
#define DISK_STALL_MS 300000
/* How often progress is told. */
#define DISK_PROGRESS_MS 200

enum disk_fs {
	DISK_FS_AUTO, /* erofs where its program is there, else ext4 */
	DISK_FS_EROFS,
	DISK_FS_EXT4,
	DISK_FSS,
};

/**
 * struct disk - one that is ready
 * @fd:		the file, owned; -1: none
 * @path:	for others of this user, while this process has @fd
 * @fs:		what is on it
 * @size:	in bytes, a multiple of 512
 */
struct disk {
	int fd;
	char path[DISK_PATH_MAX];
	enum disk_fs fs;
	uint64_t size;
};

/**
 * struct disk_wish - what to make; borrowed for the call
 * @source:	the folder; NULL: an empty disk
 * @fs:		of a folder; an empty disk is always ext4
 * @size:	of an empty disk, in bytes
 * @where:	folder for the file, NULL: disk_folder()
 */
struct disk_wish {
	const char *source;
	enum disk_fs fs;
	uint64_t size;
	const char *where;
};

/**
 * struct disk_handler - what the owner is told; any may be NULL
 * @progress:	bytes written, and how many there will be, about
 * @done:	the last callback. On 0 @disk is moved to the owner. @e names what
 *		failed: a file that cannot be read, a full disk, a program that
 *		is missing. The job may be freed from within
 * @ctx:	passed to both
 */
struct disk_handler {
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	void (*done)(void *ctx, int result, struct disk *disk,
		     const struct err *e);
	void *ctx;
};

struct disk_job;

/**
 * disk_start() - begin to make a disk
 * @ret:	receives the job, the caller's; disk_job_free() it in any case
 *
 * Return: 0; -ENOENT (no program for it, or no such folder), -ENOTDIR,
 *         -ERANGE (@size), -errno. No callback is made before it returns
 */
int disk_start(struct loop *l, const struct disk_wish *w,
	       const struct disk_handler *h, struct disk_job **ret,
	       struct err *e);

/** disk_job_free() - end it, if it is not over, without a callback; or NULL */
void disk_job_free(struct disk_job *j);

/** disk_done() - let go of a disk; fine on one that is none */
void disk_done(struct disk *d);

/** disk_folder() - TMPDIR if it is an absolute path, else /var/tmp; borrowed */
const char *disk_folder(void);

/** disk_fs_name() - "erofs", "ext4", "auto" */
const char *disk_fs_name(enum disk_fs fs);

/** disk_fs_parse() - and back; 0 or -EINVAL */
int disk_fs_parse(const char *text, enum disk_fs *ret, struct err *e);

#endif
