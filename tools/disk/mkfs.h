/*
 * tools/disk/mkfs.h - the programs that make file systems, and their words
 *
 * mkfs.erofs of erofs-utils 1.5 and mke2fs of e2fsprogs 1.47 or later.
 */
#ifndef FERRY_TOOLS_DISK_MKFS_H
#define FERRY_TOOLS_DISK_MKFS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/err.h"
#include "tools/disk/disk.h"
#include "tools/disk/tree.h"

#define MKFS_ARGS_MAX 24
#define MKFS_TEXT_MAX 48

/**
 * struct mkfs_wish - what is to be made; borrowed
 * @fs:		DISK_FS_EROFS or DISK_FS_EXT4
 * @source:	folder, NULL: nothing is in it
 * @target:	the file, of its full size already for ext4
 * @sum:	of @source
 * @all_root:	every file belongs to root
 */
struct mkfs_wish {
	enum disk_fs fs;
	const char *source;
	const char *target;
	struct tree_sum sum;
	bool all_root;
};

/* A command; it points into itself and into its wish. */
struct mkfs_command {
	char *argv[MKFS_ARGS_MAX];
	char *envp[4];
	char inodes[MKFS_TEXT_MAX];
	char epoch[MKFS_TEXT_MAX];
};

/** mkfs_command() - fill in @c */
void mkfs_command(const struct mkfs_wish *w, struct mkfs_command *c);

/** mkfs_name() - of the program */
const char *mkfs_name(enum disk_fs fs);

/** mkfs_path() - where it is looked for: PATH, and the folders of system tools*/
const char *mkfs_path(void);

/** mkfs_ext4_size() - bytes that an ext4 disk of these files needs */
uint64_t mkfs_ext4_size(const struct tree_sum *sum);

/** mkfs_check() - does the file begin as it should? 0, -EIO or -errno */
int mkfs_check(int fd, enum disk_fs fs, struct err *e);

#endif
