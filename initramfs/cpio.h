/*
 * initramfs/cpio.h - the kernel's initramfs format ("newc"), both ways; pure
 *
 * Format: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
 * An archive is entries up to one named TRAILER!!!; an image is one archive or
 * several, with zero bytes between them. The writer is reproducible: entries
 * in byte order of their names, owner 0:0, one given time, inode numbers
 * counted, so that the same tree always gives the same bytes.
 */
#ifndef FERRY_INITRAMFS_CPIO_H
#define FERRY_INITRAMFS_CPIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/arena.h"
#include "config/err.h"

/* Longest name without its NUL: the kernel skips an entry with a longer one. */
#define CPIO_NAME_MAX 4095
/* Longest target of a symbolic link: the kernel skips longer ones too. */
#define CPIO_TARGET_MAX 4095
/* Entries of one tree or image; the largest image is below. */
#define CPIO_ENTRIES_MAX 262144
/* Bytes of one image; what a guest of any sensible size can hold unpacked. */
#define CPIO_IMAGE_MAX ((size_t)1024 * 1024 * 1024)

/**
 * struct cpio_entry - one file of any kind
 * @name:	path without a leading '/', NUL-terminated; "/" is taken for a
 *		folder only: the root itself, "." in the archive
 * @mode:	kind (S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR, S_IFBLK, S_IFIFO,
 *		S_IFSOCK) and permissions
 * @rdev_major:	of a device node, else 0
 * @rdev_minor:	of a device node, else 0
 * @data:	bytes of a file, or of a link's target (no NUL)
 * @size:	bytes at @data, 0 for the other kinds
 */
struct cpio_entry {
	const char *name;
	uint32_t mode;
	uint32_t rdev_major;
	uint32_t rdev_minor;
	const void *data;
	size_t size;
};

/* What an entry does when its name is in the tree already. */
enum cpio_rank {
	CPIO_WEAK,    /* gives way to any other */
	CPIO_ONCE,    /* is an error, unless the other one is weak */
	CPIO_REPLACE, /* takes the place of one that came before */
};

struct cpio_node;

/**
 * struct cpio_tree - entries on their way into an archive
 * @names:	owns names and link targets
 * @nodes:	entries in the order in which they came, owned
 * @count:	number of them
 * @space:	room at @nodes
 */
struct cpio_tree {
	struct arena names;
	struct cpio_node *nodes;
	size_t count;
	size_t space;
};

/** cpio_tree_init() - an empty tree */
void cpio_tree_init(struct cpio_tree *t);

/** cpio_tree_done() - release it; file contents are not the tree's */
void cpio_tree_done(struct cpio_tree *t);

/**
 * cpio_tree_add() - one more entry
 * @t:		the tree
 * @entry:	name (a leading '/' is dropped) and a link's target are copied;
 *		a file's @data is borrowed until the tree is written
 * @rank:	what if its name is there twice; two folders are never a fault
 * @e:		names the entry
 *
 * Return: 0, -EINVAL (name, kind or target not allowed), -E2BIG (a limit),
 * -ENOMEM
 */
int cpio_tree_add(struct cpio_tree *t, const struct cpio_entry *entry,
		  enum cpio_rank rank, struct err *e);

/* Takes @len bytes of the archive; 0 or a negative errno with @e filled. */
typedef int cpio_put_fn(void *arg, const void *buf, size_t len, struct err *e);

/**
 * cpio_tree_write() - the archive, to the end
 * @t:		the tree; sorted by this, and completed with the folders (0755)
 *		that its names imply
 * @mtime:	time of every entry, in seconds since 1970
 * @put:	receives the bytes in order
 * @arg:	for @put
 * @e:		reason
 *
 * Return: 0, -EEXIST (a name twice, which their ranks forbid), -ENOTDIR
 * (a name below something that is no folder), -E2BIG, -ENOMEM, or of @put
 */
int cpio_tree_write(struct cpio_tree *t, uint32_t mtime, cpio_put_fn *put,
		    void *arg, struct err *e);

/**
 * struct cpio_reader - position in an image that may be hostile
 * @buf:	the image, borrowed
 * @len:	bytes at @buf
 * @pos:	next byte to read
 * @entries:	entries so far, over all archives
 * @archives:	complete archives so far
 * @open:	inside an archive, its trailer is yet to come
 */
struct cpio_reader {
	const uint8_t *buf;
	size_t len;
	size_t pos;
	size_t entries;
	size_t archives;
	bool open;
};

/** cpio_reader_init() - at the begin of @len bytes at @buf */
void cpio_reader_init(struct cpio_reader *r, const void *buf, size_t len);

/**
 * cpio_next() - the next entry of any of the image's archives
 * @r:		the reader
 * @entry:	on 1: filled; @name and @data point into the image
 * @e:		what is wrong, and at which byte
 *
 * Return: 1 (an entry), 0 (the image is at its end), -EINVAL (not the format,
 * or an entry that reaches past the end), -E2BIG (a limit)
 */
int cpio_next(struct cpio_reader *r, struct cpio_entry *entry, struct err *e);

#endif
