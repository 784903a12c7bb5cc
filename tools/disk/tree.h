/* tools/disk/tree.h - what a folder holds, before it becomes a disk */
#ifndef FERRY_TOOLS_DISK_TREE_H
#define FERRY_TOOLS_DISK_TREE_H

#include <stdint.h>

#include "config/err.h"

/* Files of one folder, and folders within each other. */
#define TREE_FILES_MAX 50000000u
#define TREE_DEPTH_MAX 1000

/**
 * struct tree_sum - over everything below one folder, itself included
 * @files:	names
 * @bytes:	of the contents of files, each with many names once
 * @blocks:	the same in blocks of TREE_BLOCK bytes, with names and links
 * @newest_s:	latest time of modification, seconds since 1970
 */
struct tree_sum {
	uint64_t files;
	uint64_t bytes;
	uint64_t blocks;
	int64_t newest_s;
};

/* Of the file systems that disks are made with. */
#define TREE_BLOCK 4096u

/**
 * tree_measure() - go through a folder; it may take long
 * @path:	the folder; links in it are not followed, and it is not left
 *		where another file system is mounted inside
 * @ret:	filled on 0
 * @e:		names the file that cannot be read
 *
 * Return: 0, -ENOTDIR, -E2BIG (a limit), -EACCES (an unreadable folder or
 *         file), or -errno
 */
int tree_measure(const char *path, struct tree_sum *ret, struct err *e);

#endif
