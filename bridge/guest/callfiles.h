/*
 * bridge/guest/callfiles.h - the files of one call of the OCI runtime
 *
 * They are in a folder of their own, which has the call's number, below one that no
 * container sees (RUNTIME_DIR): log, pid, process.json, master.sock. A call that
 * outlives its agent leaves them to the next one.
 */
#ifndef FERRY_BRIDGE_GUEST_CALLFILES_H
#define FERRY_BRIDGE_GUEST_CALLFILES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/err.h"

/* Bytes of a folder's path, and of a file's in it. */
#define CALLFILES_FOLDER_MAX 64
#define CALLFILES_PATH_MAX (CALLFILES_FOLDER_MAX + 16)

/**
 * struct callfiles - where they are
 * @folder:	absolute path, "": nowhere yet
 */
struct callfiles {
	char folder[CALLFILES_FOLDER_MAX];
};

/** callfiles_name() - those of @call below @dir, whether they are there or not */
void callfiles_name(struct callfiles *f, const char *dir, uint64_t call);

/**
 * callfiles_make() - an empty folder for a new call; what is in it goes
 *
 * Return: 0, -errno
 */
int callfiles_make(struct callfiles *f, const char *dir, uint64_t call,
		   struct err *e);

/** callfiles_remove() - all of them, and the folder */
void callfiles_remove(const struct callfiles *f);

/** callfiles_path() - one of them, in @buf */
const char *callfiles_path(const struct callfiles *f, const char *name,
			   char buf[CALLFILES_PATH_MAX]);

/**
 * callfiles_read() - the last @max bytes of a file
 *
 * Return: its text, "" where it is not there, to be freed; NULL: no memory
 */
char *callfiles_read(const struct callfiles *f, const char *name, size_t max);

/** callfiles_write() - a new file. Return: 0, -errno */
int callfiles_write(const struct callfiles *f, const char *name,
		    const char *text, struct err *e);

/**
 * callfiles_pid() - who the process is that the call has made
 *
 * Return: 0, -ENOMEM, -EINVAL or -ERANGE (no file, or no number in it)
 */
int callfiles_pid(const struct callfiles *f, pid_t *ret, struct err *e);

#endif
