/* tools/qemu/plug_args.h - the texts of QMP's hot-plug commands; pure */
#ifndef FERRY_TOOLS_QEMU_PLUG_ARGS_H
#define FERRY_TOOLS_QEMU_PLUG_ARGS_H

#include "config/err.h"
#include "config/text.h"
#include "tools/qemu/plug.h"

/* Bytes of a name of QEMU's: "disk-3-63", "net-7". */
#define PLUG_NAME_MAX 24
/* Bytes of the arguments of one command; the paths are the longest part. */
#define PLUG_ARGS_MAX 16384

/* Names of a device and its backend, and of a descriptor on its way. */
struct plug_names {
	char device[PLUG_NAME_MAX];
	char backend[PLUG_NAME_MAX];
	char fd[PLUG_NAME_MAX];
};

/** plug_disk_names(), plug_nic_names() - by address */
void plug_disk_names(uint32_t controller, uint32_t lun, struct plug_names *n);
void plug_nic_names(uint32_t port, struct plug_names *n);

/**
 * plug_disk_backend() - arguments of blockdev-add
 * @out:	receives a JSON object
 *
 * Return: 0, or -EINVAL: the path is not absolute, or not UTF-8
 */
int plug_disk_backend(const struct plug_disk *d, struct text *out,
		      struct err *e);

/** plug_disk_device() - arguments of device_add */
void plug_disk_device(const struct plug_disk *d, struct text *out);

/** plug_nic_backend() - arguments of netdev_add; return: 0 or -EINVAL */
int plug_nic_backend(const struct plug_nic *n, struct text *out, struct err *e);

/** plug_nic_device() - arguments of device_add; return: 0 or -EINVAL (MAC) */
int plug_nic_device(const struct plug_nic *n, struct text *out, struct err *e);

#endif
