/*
 * tools/qemu/hostdir.h - the folder of this host that all sandboxes of a user
 * share, whatever their environment says: addresses and ports of the kernel's
 * vsock are those of the whole host
 *
 * /run/ferry of root; else ferry in /run/user/UID, or /tmp/ferry-host-UID. In
 * it are the acceptor's socket and lock (bridge/host/acceptor.h), and the locks
 * of guest CIDs (tools/qemu/cid.h). Nothing in it is worth keeping.
 */
#ifndef FERRY_TOOLS_QEMU_HOSTDIR_H
#define FERRY_TOOLS_QEMU_HOSTDIR_H

#include "bridge/io/transport.h"
#include "config/err.h"

/* It is the base of a transport. */
#define HOSTDIR_MAX TRANSPORT_BASE_MAX

/**
 * hostdir_get() - its path; the folder is there, and nobody else's
 * @ret:	HOSTDIR_MAX bytes
 *
 * Return: 0, -EPERM (somebody else's, or open to others), or -errno
 */
int hostdir_get(char *ret, struct err *e);

/** hostdir_make() - the same of any path */
int hostdir_make(const char *path, struct err *e);

#endif
