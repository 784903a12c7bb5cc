/*
 * tools/qemu/orphan.h - a process that must not outlive the owner of a folder
 *
 * QEMU asks the kernel to end it with its parent. This is for the case that the
 * kernel forgets (it does when a process changes its credentials): the folder
 * holds number and start time of the process, and whoever removes the folder of
 * a dead owner ends it first.
 */
#ifndef FERRY_TOOLS_QEMU_ORPHAN_H
#define FERRY_TOOLS_QEMU_ORPHAN_H

#include "config/err.h"

/**
 * orphan_keep() - note @pid in the folder @dir
 *
 * Return: 0 or -errno
 */
int orphan_keep(int dir, int pid, struct err *e);

/** orphan_end() - end the process that @dir names, if it still is the same */
void orphan_end(int dir);

#endif
