/*
 * tools/qemu/remains.h - what sandboxes leave that ended in no order: bundles
 * of text files, for people
 *
 * BASE/ferry-UID/debug/ (0700, beside the folders of rundir.h) holds one folder
 * for each bundle, TIME-NAME-WHY, for example
 *
 *	20260131T235959Z-web-panic
 *
 * with the files that whoever wrote it knew how to fill. There are REMAINS_MAX
 * bundles at most: a new one makes the oldest go. A bundle is complete or not
 * there, for it is renamed when it is whole. Nobody removes them otherwise, not
 * even `ferry gc`: they are what one looks at afterwards.
 *
 * What goes into a bundle has been through mask_text() (tools/mask.h).
 */
#ifndef FERRY_TOOLS_QEMU_REMAINS_H
#define FERRY_TOOLS_QEMU_REMAINS_H

#include <stddef.h>
#include <sys/types.h>

#include "config/err.h"
#include "tools/qemu/rundir.h"

#define REMAINS_DIR "debug"
/* Bundles that are kept. */
#define REMAINS_MAX 16u
/* Bytes of one file; of a longer one the end is kept. */
#define REMAINS_FILE_MAX ((size_t)256 * 1024)
/* Files of one bundle. */
#define REMAINS_FILES_MAX 12u
/* Bytes of a bundle's path with its NUL. */
#define REMAINS_PATH_MAX 192

/* Why a bundle was left; the last word of its name. */
#define REMAINS_PANIC "panic" /* the kernel of the guest, or its PID 1 */
#define REMAINS_AGENT "agent" /* it does not answer, or does not come back */
#define REMAINS_ENDED "ended" /* QEMU went in another way */
#define REMAINS_MOVE "move"   /* a migration failed */
#define REMAINS_SHIM "shim"   /* the shim itself died */

/* One file of a bundle; @text is borrowed. */
struct remains_file {
	const char *name;
	const char *text;
	size_t len;
};

/**
 * remains_write() - leave a bundle
 * @base:	see rundir_base()
 * @name:	of the sandbox, see rundir_name_check()
 * @why:	one of the words above
 * @file:	@n files, REMAINS_FILES_MAX at most
 * @ret:	REMAINS_PATH_MAX bytes, receives the path
 *
 * Return: 0 or -errno: nothing is left
 */
int remains_write(const char *base, const char *name, const char *why,
		  const struct remains_file *file, size_t n, char *ret,
		  struct err *e);

/**
 * remains_end_of() - the end of a regular file
 * @fd:		-1: there is none
 * @buf:	REMAINS_FILE_MAX bytes
 *
 * Return: bytes in @buf; -1: no such file, or it cannot be read
 */
ssize_t remains_end_of(int fd, char *buf);

/**
 * remains_of_dead() - keep the log of a shim that died, before its folder goes
 * @parent:	BASE/ferry-UID, whose lock the caller holds
 * @dir:	folder of the sandbox
 * @name:	of the sandbox
 * @log:	name of its log in @dir
 *
 * Best effort: what cannot be kept is lost.
 */
void remains_of_dead(int parent, int dir, const char *name, const char *log);

/**
 * remains_find() - the newest bundle of a sandbox
 * @ret:	REMAINS_PATH_MAX bytes, receives its path
 *
 * Return: 0, -ENOENT, -errno
 */
int remains_find(const char *base, const char *name, char *ret, struct err *e);

#endif
