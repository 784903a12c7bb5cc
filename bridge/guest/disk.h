/*
 * bridge/guest/disk.h - MappedVirtualDisk: a SCSI disk is mounted somewhere, or
 * a link to its device is put there
 *
 * What can be found on a disk is told by its superblock (fsprobe.h). An ensured
 * file system is made by mkfs.ext4 or mkfs.xfs of the image; there being none
 * is an error that says so. Encrypted: crypt.h.
 * Source: shared specification bridge.md 3.11.1.
 */
#ifndef FERRY_BRIDGE_GUEST_DISK_H
#define FERRY_BRIDGE_GUEST_DISK_H

#include "bridge/guest/volume.h"
#include "bridge/msg_settings.h"
#include "config/err.h"

/* Options that one request may have. */
#define DISK_OPTIONS_MAX 32u
/* A disk without a known file system is read once more after this time. */
#define DISK_AGAIN_MS 500

/**
 * disk_check() - is the request one that can be tried? Pure.
 * @f:		receives what it says
 *
 * Return: 0 or -EINVAL (names the member)
 */
int disk_check(const struct msg_mapped_virtual_disk *m, bool add,
	       struct volume_facts *f, struct err *e);

/**
 * disk_add() - wait for it, prepare it, mount it or link to it; blocks
 * @f:		from disk_check(); device and file system are filled in
 *
 * What fails leaves nothing behind. Return: 0 or -errno
 */
int disk_add(const struct volume_env *env,
	     const struct msg_mapped_virtual_disk *m, struct volume_facts *f,
	     struct err *e);

/** disk_remove() - see volume_remove() */
int disk_remove(const struct volume_env *env, const struct volume_facts *f,
		struct err *e);

#endif
