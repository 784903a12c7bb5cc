/*
 * bridge/guest/mnt.h - mounts by descriptor; everything here may block
 *
 * A mount is made detached, seen by nobody, and attached to a directory that
 * was opened before: no path is looked at twice, and what fails before the
 * attachment has left nothing to undo. Kernel 5.12 or later.
 * Source: fsopen(2), fsconfig(2), fsmount(2), move_mount(2), open_tree(2),
 * mount_setattr(2).
 */
#ifndef FERRY_BRIDGE_GUEST_MNT_H
#define FERRY_BRIDGE_GUEST_MNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bridge/guest/guestpath.h"
#include "config/err.h"

/* Mounts on top of each other that one removal takes away. */
#define MNT_STACKED_MAX 5
/* Bytes of an option's value for fsconfig(2), with the NUL. */
#define MNT_VALUE_MAX 256u

/**
 * struct mnt_option - one option of a file system
 * @key:	its name
 * @value:	NULL: a flag
 */
struct mnt_option {
	const char *key;
	const char *value;
};

/**
 * mnt_new() - a mount of a file system, not attached yet
 * @type:	of the file system
 * @source:	device, or whatever the file system wants
 * @option:	@n options
 * @read_only:	file system and mount
 *
 * Return: a descriptor of the mount, or -errno (-ENODEV: the kernel does not
 *         know the type)
 */
int mnt_new(const char *type, const char *source,
	    const struct mnt_option *option, size_t n, bool read_only,
	    struct err *e);

/**
 * mnt_clone() - what is at @dir once more, not attached yet
 *
 * Return: a descriptor of the mount, or -errno
 */
int mnt_clone(int dir, bool read_only, struct err *e);

/** mnt_attach() - @mnt from now on is what is at @target; 0 or -errno */
int mnt_attach(int mnt, int target, struct err *e);

/**
 * mnt_put() - attach @mnt at a path, which is made
 * @root:	descriptor of "/"
 * @path:	is checked by guestpath_check()
 * @mode:	of the directories that are made
 *
 * Return: 0 or -errno; then the directory is gone again, unless somebody uses
 *         it
 */
int mnt_put(int root, const char *path, enum guestpath_use use, mode_t mode,
	    int mnt, struct err *e);

/**
 * mnt_put_page() - mount(2) at a path, as mnt_put() otherwise: for values of
 * options that fsconfig(2) does not take (MNT_VALUE_MAX)
 * @data:	options, a page at most
 */
int mnt_put_page(int root, const char *path, enum guestpath_use use,
		 mode_t mode, const char *type, const char *data,
		 bool read_only, struct err *e);

/** mnt_take_back() - undo one mnt_put(), as far as it can be undone */
void mnt_take_back(int root, const char *path, enum guestpath_use use);

/** mnt_is_propagation() - is an option of a disk one that mnt_propagate() takes? */
bool mnt_is_propagation(const char *flag);

/**
 * mnt_propagate() - "shared", "rslave", ...
 * @mnt:	attached
 *
 * Return: 0, -EINVAL (no such flag), -errno
 */
int mnt_propagate(int mnt, const char *flag, struct err *e);

/**
 * mnt_remove() - unmount what is at a path, and remove the path
 * @root:	descriptor of "/"
 * @path:	was checked by guestpath_check()
 *
 * Up to MNT_STACKED_MAX mounts. A path that is not there is a success. What
 * was below a mount is removed with the directory; a directory on which
 * nothing was mounted goes only if it is empty.
 *
 * Return: number of mounts that were there, or -errno (-EIO, -EROFS: they are
 *         gone; the directory is on a disk that is gone, too)
 */
int mnt_remove(int root, const char *path, enum guestpath_use use,
	       struct err *e);

#endif
