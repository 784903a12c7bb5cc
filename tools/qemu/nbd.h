/*
 * tools/qemu/nbd.h - disks that another machine serves over NBD
 *
 * A disk of a sandbox has an absolute path, on every host the same. One that
 * is served over NBD is a small file whose name ends with ".nbd" and that says,
 * in one line, where this host finds it:
 *
 *	nbd://HOST:PORT/EXPORT
 *
 * So two hosts may reach one disk by different addresses. HOST may be an IPv6
 * address in brackets. Source: the NBD project, doc/uri.md, of which this is
 * the part without TLS and unix sockets.
 */
#ifndef FERRY_TOOLS_QEMU_NBD_H
#define FERRY_TOOLS_QEMU_NBD_H

#include <stdbool.h>

#include "config/err.h"

#define NBD_HOST_MAX 256u
#define NBD_PORT_MAX 6u
#define NBD_EXPORT_MAX 256u
/* Bytes of a line, its end included. */
#define NBD_LINE_MAX (NBD_HOST_MAX + NBD_PORT_MAX + NBD_EXPORT_MAX + 16u)

struct nbd {
	char host[NBD_HOST_MAX];
	char port[NBD_PORT_MAX];
	char name[NBD_EXPORT_MAX];
};

/** nbd_is() - by its name, is the disk at @path one of these? */
bool nbd_is(const char *path);

/**
 * nbd_parse() - one line, without its end
 *
 * Host and export are printable ASCII without blanks, quotes and backslashes.
 * Return: 0 or -EINVAL
 */
int nbd_parse(const char *line, struct nbd *ret, struct err *e);

/**
 * nbd_read() - the line of a file
 * @ret:	NBD_LINE_MAX bytes, what nbd_parse() takes
 *
 * Return: 0, -EINVAL, or -errno
 */
int nbd_read(const char *path, char *ret, struct err *e);

#endif
