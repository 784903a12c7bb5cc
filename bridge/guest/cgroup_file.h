/* bridge/guest/cgroup_file.h - files of cgroupfs, read and written whole */
#ifndef FERRY_BRIDGE_GUEST_CGROUP_FILE_H
#define FERRY_BRIDGE_GUEST_CGROUP_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "bridge/guest/cgroup.h"
#include "config/err.h"

/* Bytes of the largest file that is read; memory.stat has about 2,000. */
#define CGROUP_FILE_MAX 16384

/* A line "name value" of a file, and where the value goes. */
struct cgroup_key {
	const char *name;
	size_t offset; /* of a uint64_t */
};

/**
 * cgroup_dir() - open the directory of a cgroup
 * @controller:	which hierarchy of cgroup 1; not heeded with cgroup 2
 * @path:	as cgroup.h says
 *
 * Return: a descriptor (O_RDONLY), -EINVAL (path), -ENOENT, -errno
 */
int cgroup_dir(const struct cgroups *c, const char *controller,
	       const char *path, struct err *e);

/** cgroup_path_check() - is @path one that cgroup.h allows? */
int cgroup_path_check(const char *path, struct err *e);

/**
 * cgroup_controller() - the controllers that cgroup 1 has mounted
 * @i:		from 0; with cgroup 2 there is one, without a name
 *
 * Return: its name, NULL: there are no more
 */
const char *cgroup_controller(const struct cgroups *c, unsigned int i);

/**
 * cgroup_read() - a file as text
 * @size:	bytes at @text; a longer file is cut
 *
 * Return: length without the NUL, or -errno; @text is a string in any case
 */
int cgroup_read(int dir, const char *name, char *text, size_t size);

/** cgroup_number() - a file with one number; "max": UINT64_MAX, else 0 */
uint64_t cgroup_number(int dir, const char *name);

/** cgroup_keys() - fill what @key wants from a file of lines; missing: 0 */
void cgroup_keys(int dir, const char *name, const struct cgroup_key *key,
		 size_t n, void *ret);

/** cgroup_keys_text() - the same from text, which is changed */
void cgroup_keys_text(char *text, const struct cgroup_key *key, size_t n,
		      void *ret);

/**
 * cgroup_make() - make a cgroup and those above it, in every hierarchy
 * @parent:	it is to have children and no processes: with cgroup 2 all that
 *		is controlled in it is handed on (a cgroup cannot do both)
 */
int cgroup_make(const struct cgroups *c, const char *path, bool parent,
		struct err *e);

/** cgroup_write() - write a file; return: 0 or -errno (names the file) */
int cgroup_write(int dir, const char *name, const char *text, struct err *e);

#endif
