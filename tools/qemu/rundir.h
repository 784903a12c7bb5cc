/*
 * tools/qemu/rundir.h - the folder of one running sandbox: sockets, no more
 *
 * BASE/ferry-UID/ (0700) holds one folder per sandbox. Its owner keeps a lock
 * on it (flock), which the kernel drops whenever and however the owner ends;
 * whoever starts next removes the folders that nobody holds. BASE is
 * XDG_RUNTIME_DIR, else TMPDIR, else /tmp.
 */
#ifndef FERRY_TOOLS_QEMU_RUNDIR_H
#define FERRY_TOOLS_QEMU_RUNDIR_H

#include "config/err.h"

/* Paths of unix sockets have 108 bytes; the names inside need some of them. */
#define RUNDIR_MAX 80

/**
 * struct rundir - a folder that this process owns
 * @path:	absolute path, "" when there is none
 * @lock:	the folder itself, locked; -1: none
 */
struct rundir {
	char path[RUNDIR_MAX];
	int lock;
};

/* A rundir that owns nothing, for declarations. */
#define RUNDIR_NONE                                                            \
	{                                                                      \
		.lock = -1                                                     \
	}

/**
 * rundir_base() - where folders go, by the environment
 *
 * Return: XDG_RUNTIME_DIR, TMPDIR or "/tmp"; borrowed
 */
const char *rundir_base(void);

/**
 * rundir_new() - clean up after the dead, then make and lock a new folder
 * @base:	existing folder
 * @ret:	receives it; rundir_done() removes it
 * @e:		the step that failed, with the path
 *
 * Return: 0, -ENAMETOOLONG, -EPERM (BASE/ferry-UID belongs to somebody else or
 *         is open to others), or -errno
 */
int rundir_new(const char *base, struct rundir *ret, struct err *e);

/** rundir_done() - remove the folder and what is in it; fine when empty */
void rundir_done(struct rundir *d);

#endif
