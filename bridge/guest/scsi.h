/*
 * bridge/guest/scsi.h - the block device of a controller and a LUN
 *
 * The host counts controllers from 0. On Hyper-V each has a fixed VMBus id, and
 * the number of the Linux host is found below it. Elsewhere (QEMU) controller i
 * is the i-th host of the driver virtio_scsi, in the order of the devices on
 * their bus, which does not depend on when they were found. Target and channel
 * are 0. Source: shared specification bridge.md 3.11.1, 3.11.2.
 *
 * A name of a block device says nothing about the next disk that gets it: the
 * node below /dev is opened, and its device number must be the one that sysfs
 * says now.
 */
#ifndef FERRY_BRIDGE_GUEST_SCSI_H
#define FERRY_BRIDGE_GUEST_SCSI_H

#include <stdint.h>

#include "bridge/guest/volume.h"
#include "config/err.h"

#define SCSI_CONTROLLERS 4u

/**
 * struct scsi_disk - a device that was found
 * @fd:		read-only, the caller's
 * @name:	below /dev
 */
struct scsi_disk {
	int fd;
	char name[VOLUME_NAME_MAX];
};

/**
 * scsi_find() - wait for a disk or partition, and open it
 * @partition:	0: the whole disk
 *
 * Return: 0, -EINVAL (controller), -ETIMEDOUT (not there in time), -errno
 */
int scsi_find(const struct volume_env *env, uint32_t controller, uint32_t lun,
	      uint64_t partition, struct scsi_disk *ret, struct err *e);

/**
 * scsi_unplug() - take a disk away from the kernel before the host unplugs it
 *
 * Return: 0 (also when there is none), -EINVAL (controller), -errno
 */
int scsi_unplug(const struct volume_env *env, uint32_t controller, uint32_t lun,
		struct err *e);

#endif
