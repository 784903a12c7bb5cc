/*
 * initramfs/modules.h - which kernel modules a name needs, in load order; pure
 *
 * Reads modules.dep of depmod(8), "PATH: PATH...": each line's modules on the
 * right are loaded from right to left before the one on the left. In module
 * names '-' and '_' are the same character.
 */
#ifndef FERRY_INITRAMFS_MODULES_H
#define FERRY_INITRAMFS_MODULES_H

#include <stdbool.h>
#include <stddef.h>

#include "config/arena.h"
#include "config/err.h"

/* Modules in one modules.dep; Debian's generic kernel has about 4,000. */
#define MODULES_MAX 32768
/* Bytes of one modules.dep; Debian's generic kernel has 0.5 MiB. */
#define MODULES_DEP_MAX ((size_t)16 * 1024 * 1024)
/* Longest chain of dependencies. */
#define MODULES_DEPTH_MAX 64

/**
 * struct module - one line of modules.dep
 * @path:	of its file, relative to the folder of modules.dep
 * @name:	base name without ".ko", '-' turned to '_'
 * @builtin:	part of the kernel itself: nothing to load, no file
 * @deps:	the right side, in the order of the line
 * @state:	used by modules_closure()
 */
struct module {
	const char *path;
	const char *name;
	bool builtin;
	const char *deps;
	int state;
};

/**
 * struct modules - a kernel's modules
 * @arena:	owns all text
 * @list:	sorted by name, then file before built-in; owned
 * @count:	modules in @list
 * @space:	room at @list
 */
struct modules {
	struct arena arena;
	struct module *list;
	size_t count;
	size_t space;
};

/**
 * modules_parse() - read modules.dep and modules.builtin
 * @m:		filled; needs modules_done() in any case
 * @dep:	text of modules.dep, @dep_len bytes
 * @builtin:	text of modules.builtin (one path a line), may be NULL
 * @e:		names file and line
 *
 * Return: 0, -EINVAL (form), -E2BIG (a limit), -ENOMEM
 */
int modules_parse(struct modules *m, const char *dep, size_t dep_len,
		  const char *builtin, size_t builtin_len, struct err *e);

/** modules_done() - release @m */
void modules_done(struct modules *m);

/**
 * modules_find() - the module of a name, "-" and "_" being equal
 *
 * Return: the module, or NULL
 */
const struct module *modules_find(const struct modules *m, const char *name);

/**
 * modules_closure() - @names and all they need, in load order
 * @m:		the kernel's modules
 * @names:	wanted, the earlier the sooner
 * @n:		how many
 * @ret:	receives pointers into @m, each module once; room for @m->count
 * @ret_count:	receives how many; built-in ones are left out
 * @e:		names the module that is not there or depends on itself
 *
 * Return: 0, -ENOENT (no such module), -ELOOP, -E2BIG (chain too long)
 */
int modules_closure(struct modules *m, const char *const *names, size_t n,
		    const struct module **ret, size_t *ret_count,
		    struct err *e);

/**
 * modules_release() - the kernel release that a module file was built for
 * @ko:		content of a .ko file; its "vermagic" is looked for
 * @len:	bytes at @ko
 * @out:	receives the release, for example "6.1.0-9-cloud-amd64"
 * @size:	bytes at @out
 *
 * Return: 0, or -ENOENT (none that could be a folder's name)
 */
int modules_release(const void *ko, size_t len, char *out, size_t size);

#endif
