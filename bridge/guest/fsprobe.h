/*
 * bridge/guest/fsprobe.h - which file system is on a disk, by its superblock;
 * pure. Source: the kernel's headers of each (ext4.h, xfs_format.h, erofs_fs.h,
 * squashfs_fs.h).
 */
#ifndef FERRY_BRIDGE_GUEST_FSPROBE_H
#define FERRY_BRIDGE_GUEST_FSPROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes from the beginning of the disk that are enough. */
#define FSPROBE_BYTES 2048u

/**
 * fsprobe() - look
 * @head:	the first @len bytes of the disk; fewer than FSPROBE_BYTES on a
 *		disk that has no more
 *
 * Return: name of the type as the kernel knows it, NULL: none that is known.
 *         ext2 and ext3 are "ext4", which mounts them
 */
const char *fsprobe(const uint8_t *head, size_t len);

/** fsprobe_has_noload() - does the type know the option noload? */
bool fsprobe_has_noload(const char *type);

/** fsprobe_read_only() - can the type be mounted read-only alone? */
bool fsprobe_read_only(const char *type);

#endif
