/*
 * bridge/guest/dm.h - device-mapper devices of one linear target, by ioctl
 *
 * Source: the kernel's linux/dm-ioctl.h and its document
 * admin-guide/device-mapper/linear.rst.
 */
#ifndef FERRY_BRIDGE_GUEST_DM_H
#define FERRY_BRIDGE_GUEST_DM_H

#include <stddef.h>
#include <stdint.h>

#include "config/err.h"

/* The unit of the tables. */
#define DM_SECTOR 512u

/**
 * dm_linear() - a read-only device that is a region of another
 * @control:	path of /dev/mapper/control
 * @name:	of the new device, unique
 * @device:	"MAJOR:MINOR" of the other
 * @start, @count: sectors
 * @ret_minor:	the node is /dev/dm-N
 *
 * Return: 0 or -errno (-ENOENT, -ENODEV: the kernel has no device mapper)
 */
int dm_linear(const char *control, const char *name, const char *device,
	      uint64_t start, uint64_t count, uint32_t *ret_minor,
	      struct err *e);

/** dm_remove() - remove a device; a missing one is fine. Return: 0 or -errno */
int dm_remove(const char *control, const char *name, struct err *e);

#endif
