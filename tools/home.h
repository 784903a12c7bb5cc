/*
 * tools/home.h - where ferry finds what it needs at run time
 *
 * Its library folder is lib/ferry beside the executable (the build tree), else
 * ../lib/ferry from there (an installed tree: bin/ferry and lib/ferry).
 */
#ifndef FERRY_TOOLS_HOME_H
#define FERRY_TOOLS_HOME_H

#include <stddef.h>

#include "config/err.h"

/* The files of the library folder. */
#define TOOL_LIB_VMLINUX "vmlinux"
#define TOOL_LIB_VMLINUZ "vmlinuz"
#define TOOL_LIB_AGENT "guest/gcs"
#define TOOL_LIB_INITRAMFS "initramfs.img"
#define TOOL_LIB_VHOST "vhost-vsock.so"

/**
 * tool_lib_path() - the absolute path of an existing file in ferry's library
 * @name:	relative to the library folder
 * @out:	receives the path; unchanged on failure
 * @size:	bytes at @out
 * @e:		names the file and the folders that were tried
 *
 * Return: 0, -ENOENT (in neither folder), -ENAMETOOLONG, or what readlink of
 * /proc/self/exe said
 */
int tool_lib_path(const char *name, char *out, size_t size, struct err *e);

/**
 * tool_lib_path_at() - as tool_lib_path(), for an executable in folder @dir
 */
int tool_lib_path_at(const char *dir, const char *name, char *out, size_t size,
		     struct err *e);

#endif
