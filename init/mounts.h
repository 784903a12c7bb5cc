/* init/mounts.h - the file systems of the UVM, as tables */
#ifndef FERRY_INIT_MOUNTS_H
#define FERRY_INIT_MOUNTS_H

#include "config/err.h"

/** mounts_dev() - /dev alone; one that is mounted already is fine */
int mounts_dev(struct err *e);

/** mounts_base() - /proc, /run, /tmp, /dev/shm, /dev/pts, /sys and links */
int mounts_base(struct err *e);

/**
 * mounts_overlay() - writable overlays on /etc and /var (-w), kept in a tmpfs
 * on /run/over; after the modules, which may hold the file system
 */
int mounts_overlay(struct err *e);

#endif
