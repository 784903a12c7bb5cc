/*
 * tools/vsock/ioctls.h - the ioctls of /dev/vhost-vsock, answered by a backend
 *
 * Source: linux/vhost.h, and what QEMU 7.2 asks for. The caller is QEMU, which
 * is trusted with pointers of its own process, not with sense: every argument
 * that reaches the rings is checked.
 */
#ifndef FERRY_TOOLS_VSOCK_IOCTLS_H
#define FERRY_TOOLS_VSOCK_IOCTLS_H

#include <stdbool.h>

#include "tools/vsock/backend.h"

/** ioctls_is_vhost() - is it a request of the vhost family (type 0xAF)? */
bool ioctls_is_vhost(unsigned long request);

/**
 * ioctls_answer() - answer one request
 * @b:		backend, not being served at the same time
 * @request:	VHOST_*
 * @arg:	its argument, as the kernel would get it
 *
 * Return: 0, or a negative errno as the kernel would give it; -ENOTTY for a
 * request that is not known, which QEMU takes for an old kernel
 */
int ioctls_answer(struct backend *b, unsigned long request, void *arg);

#endif
