/*
 * bridge/guest/guestpath.h - the paths of the guest that a host may name
 *
 * A reference guest creates, mounts on and deletes whatever directory a
 * request names, "/" included (W-G32). ferry's takes only paths below the
 * prefixes that hosts are known to use, in one spelling: absolute, no empty
 * component, no "." or "..", no control byte, bounded. What lies below a
 * prefix is then opened with bridge/guest/beneath.h, which lets no link lead
 * out of it.
 *
 *	/run/gcs/c	bundles of V1 hosts, their scratch, their 9p mounts
 *	/run/gcs/pods	bundles of V2 hosts
 *	/run/mounts	disks and 9p shares, scratch folders on disks
 *	/run/layers	pmem layers
 *	/run/drivers	driver disks
 *
 * Source: shared specification bridge.md 10.1.
 */
#ifndef FERRY_BRIDGE_GUEST_GUESTPATH_H
#define FERRY_BRIDGE_GUEST_GUESTPATH_H

#include <stdbool.h>

#include "config/err.h"

/* What a request wants a path for. */
enum guestpath_use {
	GUESTPATH_BUNDLE = 1,  /* OciBundlePath, ContainerRootPath */
	GUESTPATH_SCRATCH = 2, /* ScratchDirPath, ScratchPath */
	GUESTPATH_MOUNT = 4,   /* MountPath of any kind */
	GUESTPATH_LAYER = 8,   /* Path of a layer */
};

/* Longest path with its NUL; a mount's page of options holds several. */
#define GUESTPATH_MAX 1024

/**
 * struct guestpath - a path that was found to be good
 * @prefix:	row of the table
 * @rest:	what follows the prefix, relative, never empty; in the caller's
 *		text
 */
struct guestpath {
	const char *prefix;
	const char *rest;
};

/**
 * guestpath_check() - may a request name this path for that use?
 * @path:	the request's text
 * @use:	one of the uses
 * @what:	the member's name, for the error
 * @ret:	written on success only; refers to @path
 *
 * For SCRATCH and LAYER, which end up in options of a mount, a path with ':',
 * ',' or '\' is refused as well.
 *
 * Return: 0 or -EINVAL
 */
int guestpath_check(const char *path, enum guestpath_use use, const char *what,
		    struct guestpath *ret, struct err *e);

/**
 * guestpath_base() - open the prefix of a good path, make it where it misses
 * @root:	descriptor of "/" (tests: of any directory)
 * @p:		from guestpath_check()
 *
 * The path itself is then @p->rest below the descriptor, BENEATH_STRICT.
 *
 * Return: a descriptor as beneath_mkdirs(), or -errno
 */
int guestpath_base(int root, const struct guestpath *p, struct err *e);

/**
 * guestpath_id_ok() - is @id good as a single name of a directory?
 *
 * Ids of containers and pods are free strings on the wire; they become names
 * of directories, cgroups and arguments of the runtime. Good are 1 to 255
 * bytes of [A-Za-z0-9_.+-], not "." or "..", not beginning with '-'.
 */
bool guestpath_id_ok(const char *id);

#endif
