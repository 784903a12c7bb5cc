/*
 * bridge/guest/beneath.h - paths below a directory that others may write to
 *
 * Every path that a host or a container has a hand in is resolved by the
 * kernel below a descriptor (openat2), never by name from the root and never
 * by looking first and opening then. Who swaps a directory for a link between
 * two calls finds that the second call still speaks of the same directory, or
 * gets an error. A path given here is relative; leading slashes are skipped.
 *
 * Three ways to resolve:
 *
 *	BENEATH_STRICT	no link of any kind on the way, no "..": folders that
 *			only the agent and the host shape (bundles, mounts)
 *	BENEATH_INSIDE	links are followed as long as they stay below
 *	BENEATH_ROOTFS	the directory is "/": absolute links and ".." end
 *			inside it, as they would for a process chrooted there
 *
 * None follows a magic link of proc. Mounts are crossed, except by
 * beneath_remove(). Nothing here blocks on a FIFO or a device, but a dead
 * disk may hold up any call: run them in a job.
 *
 * What is mounted is mounted on a descriptor: "/proc/self/fd/N" of what
 * beneath_target() opened. What is unmounted is named by its parent's
 * descriptor, see beneath_unmount().
 *
 * Source: openat2(2), mount(2), umount(2).
 */
#ifndef FERRY_BRIDGE_GUEST_BENEATH_H
#define FERRY_BRIDGE_GUEST_BENEATH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "config/err.h"
#include "config/text.h"

enum beneath {
	BENEATH_STRICT,
	BENEATH_INSIDE,
	BENEATH_ROOTFS,
};

/* Longest path with its NUL, components of it. */
#define BENEATH_PATH_MAX 4096
#define BENEATH_PARTS_MAX 256

/* "/proc/self/fd/" and a number, with the NUL. */
#define BENEATH_PROC_MAX 32

/**
 * beneath_open() - openat2() below @dir, repeated while the kernel says that
 * somebody renamed things on the way
 * @dir:	directory descriptor
 * @path:	"" or "." is @dir itself
 * @how:	how links are taken
 * @flags:	as for open(); O_CLOEXEC and O_NOCTTY are always set
 * @mode:	with O_CREAT, else 0
 *
 * Return: the descriptor, or -errno (-EXDEV, -ELOOP: the path leads out)
 */
int beneath_open(int dir, const char *path, enum beneath how, int flags,
		 mode_t mode, struct err *e);

/**
 * beneath_parent() - the directory that holds the last component, as O_PATH
 * @name:	receives where that component begins in @path, in one piece
 *
 * Return: the descriptor, or -errno (-EINVAL: there is no last component, or
 * it is "." or "..")
 */
int beneath_parent(int dir, const char *path, enum beneath how,
		   const char **ret_name, struct err *e);

/**
 * beneath_mkdirs() - mkdir -p
 * @mode:	of each directory that is made, umask or not; existing ones
 *		stay as they are
 *
 * ".." is refused, also in a rootfs. A link that leads nowhere is an error.
 *
 * Return: a descriptor of the directory, O_PATH or not, or -errno
 */
int beneath_mkdirs(int dir, const char *path, enum beneath how, mode_t mode,
		   struct err *e);

/**
 * beneath_write() - make or replace a file, whole or not at all
 * @mode:	of the file, umask or not
 *
 * What had the name before, be it a link, is replaced and not followed. The
 * directory must exist.
 *
 * Return: 0 or -errno
 */
int beneath_write(int dir, const char *path, enum beneath how, const void *data,
		  size_t size, mode_t mode, struct err *e);

/**
 * beneath_read() - a regular file of at most @max bytes
 * @out:	a heap text with room for them, receives the bytes at its end
 *
 * Return: 0 or -errno (-EFBIG: longer; -EINVAL: no regular file)
 */
int beneath_read(int dir, const char *path, enum beneath how, size_t max,
		 struct text *out, struct err *e);

/**
 * beneath_symlink() - a link at @path; an equal one that exists is fine
 *
 * Return: 0 or -errno
 */
int beneath_symlink(int dir, const char *path, enum beneath how,
		    const char *target, struct err *e);

/**
 * beneath_unlink() - remove a name; a missing one is fine
 * @flags:	0 or AT_REMOVEDIR
 *
 * Return: 0 or -errno
 */
int beneath_unlink(int dir, const char *path, enum beneath how, int flags,
		   struct err *e);

/**
 * beneath_remove() - remove a tree, or any other thing; a missing one is fine
 *
 * Links are removed, not followed. A mount below is not entered: it stays,
 * and so do the directories above it. Everything else goes all the same, to
 * any depth, with a bounded number of descriptors.
 *
 * Return: 0 or the first failure as -errno (-EBUSY: there is a mount)
 */
int beneath_remove(int dir, const char *path, enum beneath how, struct err *e);

/**
 * beneath_target() - open what shall be mounted on, make it where it is missing
 * @directory:	a directory, else a file; what exists must be of that kind
 * @mode:	of what is made: the directories on the way, and the target
 *
 * Return: a descriptor as beneath_mkdirs(), or -errno
 */
int beneath_target(int dir, const char *path, enum beneath how, bool directory,
		   mode_t mode, struct err *e);

/**
 * beneath_unmount() - unmount the topmost mount at @path
 * @flags:	MNT_DETACH, MNT_FORCE or 0; UMOUNT_NOFOLLOW is always set
 *
 * Return: 0 or -errno (-EINVAL: nothing is mounted there; -ENOENT)
 */
int beneath_unmount(int dir, const char *path, enum beneath how, int flags,
		    struct err *e);

/** beneath_proc() - "/proc/self/fd/N" into @buf of BENEATH_PROC_MAX bytes */
const char *beneath_proc(int fd, char *buf);

#endif
