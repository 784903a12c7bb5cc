/*
 * tools/qemu/rundir.h - the folder of one running sandbox: sockets, no more
 *
 * BASE/ferry-UID/ (0700) holds folders of two kinds: uvm-XXXXXX of each UVM,
 * shim-NAME of each sandbox that runs by itself. A folder's owner keeps a lock
 * on it (flock), which the kernel drops whenever and however the owner ends;
 * whoever starts next removes the folders that nobody holds. BASE is
 * XDG_RUNTIME_DIR, else TMPDIR, else /tmp.
 *
 * A folder can name one process that must not outlive its owner. It is ended
 * before the folder goes, when it is that process for sure: of the same start
 * time, looked at while a pidfd holds its number.
 */
#ifndef FERRY_TOOLS_QEMU_RUNDIR_H
#define FERRY_TOOLS_QEMU_RUNDIR_H

#include <stdbool.h>

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

/* Bytes of a sandbox's name with its NUL. */
#define RUNDIR_NAME_MAX 41

/**
 * rundir_named() - as rundir_new(), for a folder shim-@name
 *
 * Return: as rundir_new(); -EEXIST: its owner lives; -EINVAL: not a name
 */
int rundir_named(const char *base, const char *name, struct rundir *ret,
		 struct err *e);

/**
 * rundir_name_check() - 1 to 40 letters, digits, '-', '_' and '.', the first
 * one a letter or digit
 *
 * Return: 0 or -EINVAL
 */
int rundir_name_check(const char *name, struct err *e);

/**
 * rundir_find() - the folder of a sandbox, whether its owner lives or not
 * @ret:	RUNDIR_MAX bytes, receives the path
 *
 * Return: 0, -ENOENT, -EINVAL (no name), or as rundir_new()
 */
int rundir_find(const char *base, const char *name, char *ret, struct err *e);

/* @alive: somebody holds it; one that nobody holds may be removed already */
typedef void rundir_fn(void *ctx, const char *name, const char *path,
		       bool alive);

/**
 * rundir_each() - every folder of a sandbox that runs by itself
 *
 * Return: 0 (also when there is none) or -errno
 */
int rundir_each(const char *base, rundir_fn *fn, void *ctx, struct err *e);

/**
 * rundir_clean() - remove what the dead left
 * @fn:		told of each folder that is gone, of both kinds; may be NULL
 *
 * Return: 0 or -errno
 */
int rundir_clean(const char *base, rundir_fn *fn, void *ctx, struct err *e);

/* The socket of its owner, or a link to it: containerd has a folder for those.
 * What the link of a dead owner leads to goes too, when it is a socket on which
 * nobody listens, and no younger than the link. */
#define RUNDIR_SOCKET "s"
/* The log of its owner, in the folder of a sandbox that runs by itself: that of
 * one that died is kept, see remains.h. */
#define RUNDIR_LOG "log"

/**
 * rundir_enter() - the folder above all
 * @path:	RUNDIR_MAX bytes, receives its path
 * @ret:	receives it, locked until it is closed
 *
 * Return: as rundir_new()
 */
int rundir_enter(const char *base, char *path, int *ret, struct err *e);

/**
 * rundir_keep_pid() - name the process that ends when the owner has died
 * @pid:	its number, while it is a child of the caller
 *
 * Return: 0 or -errno
 */
int rundir_keep_pid(const struct rundir *d, int pid, struct err *e);

/** rundir_done() - remove the folder and what is in it; fine when empty */
void rundir_done(struct rundir *d);

#endif
