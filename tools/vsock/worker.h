/*
 * tools/vsock/worker.h - the one device of this process and its thread
 *
 * The thread waits for events, then serves one turn under a lock; an ioctl is
 * handled under the same lock and never waits for more than one turn. QEMU
 * holds one end of a socket pair as its descriptor of the device: when it
 * closes that, the thread ends and takes everything with it.
 */
#ifndef FERRY_TOOLS_VSOCK_WORKER_H
#define FERRY_TOOLS_VSOCK_WORKER_H

#include <stdbool.h>

/* Names the base path of the VM's sockets (hybrid.h); unset: not for us. */
#define WORKER_BASE_ENV "FERRY_VSOCK_BASE"

/**
 * worker_open() - open the device
 * @base:	base path of the VM's sockets
 * @cloexec:	close-on-exec, as the caller asked
 *
 * Return: descriptor, or -EBUSY (open already), -ENAMETOOLONG, -errno
 */
int worker_open(const char *base, bool cloexec);

/** worker_owns() - is it the descriptor that worker_open() gave? */
bool worker_owns(int fd);

/** worker_ioctl() - a vhost request on it; return: 0 or -errno */
int worker_ioctl(unsigned long request, void *arg);

#endif
