/*
 * tools/qemu/vhost.h - who serves the UVM's vsock device, and its address
 *
 * The kernel's vhost-vsock, where it can be used, or ferry's own library
 * (tools/vsock), preloaded into QEMU, which turns ports into unix sockets.
 */
#ifndef FERRY_TOOLS_QEMU_VHOST_H
#define FERRY_TOOLS_QEMU_VHOST_H

#include <stdbool.h>
#include <stdint.h>

#include "config/err.h"

enum vhost_backend {
	VHOST_AUTO,
	VHOST_KERNEL,
	VHOST_USER,
};

/** vhost_parse() - "auto", "kernel" or "user"; return: 0 or -EINVAL */
int vhost_parse(const char *text, enum vhost_backend *ret, struct err *e);

/**
 * vhost_kernel_probe() - can this process use the device at @device?
 * @device:	"/dev/vhost-vsock"; another path in tests
 * @e:		the step that failed
 *
 * Opened and owned for a moment, as QEMU would. Return: 0 or -errno
 */
int vhost_kernel_probe(const char *device, struct err *e);

/**
 * vhost_choose() - settle VHOST_AUTO, refuse a kernel device that is unusable
 *
 * Return: 0, or -errno with the reason when VHOST_KERNEL was asked for
 */
int vhost_choose(enum vhost_backend wanted, enum vhost_backend *ret,
		 struct err *e);

/**
 * vhost_cid_probe() - does no guest of this host have the CID @number?
 * @e:		reason
 *
 * The kernel is asked by setting it on a device that is closed again.
 * Return: 0, -EADDRINUSE, or -errno
 */
int vhost_cid_probe(uint32_t number, struct err *e);

/** vhost_cid_taken() - do these words of QEMU say that the CID is in use? */
bool vhost_cid_taken(const char *qemu_stderr);

#endif
