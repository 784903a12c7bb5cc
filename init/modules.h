/* init/modules.h - kernel modules, in the order that the image gives */
#ifndef FERRY_INIT_MODULES_H
#define FERRY_INIT_MODULES_H

#include "config/err.h"

/*
 * One absolute path a line, in load order; made when the image is built. A
 * blank behind the path and PCI devices as the kernel lists them, "1af41004",
 * with commas between: loaded only if one of them is there.
 */
#define MODULES_LIST "/lib/modules/ferry.list"

/* Bytes of the list that are read: some 300 modules. */
#define MODULES_LIST_MAX 16384u

/* What the machine has, one device a line, the second word its numbers. */
#define MODULES_DEVICES "/proc/bus/pci/devices"
/* Bytes of it that are read: some 150 devices. */
#define MODULES_DEVICES_MAX 16384u

/**
 * modules_load() - load every module of the list
 * @list:	path of the list; absent: nothing to load, which is fine
 * @devices:	path of the list of devices; when it cannot be read, every
 *		module is loaded
 * @load:	loads one, 0 or -errno; modules_insert() but for tests
 * @warn:	told of each module that failed; loading goes on
 * @e:		reason
 *
 * Return: 0, or -errno: the list cannot be read or is over MODULES_LIST_MAX
 */
int modules_load(const char *list, const char *devices,
		 int (*load)(const char *path, struct err *e),
		 void (*warn)(const struct err *e), struct err *e);

/**
 * modules_insert() - insert one module file; one that is there is fine
 *
 * Return: 0 or -errno
 */
int modules_insert(const char *path, struct err *e);

#endif
