/* init/cgroup.h - the cgroup hierarchy: version 2, else version 1 */
#ifndef FERRY_INIT_CGROUP_H
#define FERRY_INIT_CGROUP_H

#include <stdbool.h>

#include "config/err.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

/* Bytes read of cgroup.controllers and /proc/cgroups: some 100 controllers. */
#define CGROUP_TEXT_MAX 4096u

/* Longest name of a controller that is taken. */
#define CGROUP_NAME_MAX 64u

/**
 * cgroup_v1_asked() - does the kernel's command line ask for version 1?
 * @line:	writable copy of the line; cut up by the call
 *
 * It does with the word hcsshim.cgroup=v1 before "--", split as the kernel
 * splits: whatever blank stands beside it and however it is quoted, but not
 * inside another word's value, and not among init's own arguments.
 */
bool cgroup_v1_asked(char *line);

/**
 * cgroup_enable() - turn controllers on for the children of a cgroup
 * @controllers: names separated by blanks; writable, cut up by the call
 * @write:	writes one text to the control file, 0 or -errno
 * @warn:	told of each controller that was refused
 *
 * All in one write; if that is refused, one by one, so that one that the
 * kernel refuses does not take the others with it.
 */
void cgroup_enable(char *controllers,
		   int (*write)(const char *text, struct err *e),
		   void (*warn)(const struct err *e));

/**
 * cgroup_v1_next() - next enabled controller of /proc/cgroups
 * @at:		cursor in a writable copy of the file
 *
 * Return: its name (below CGROUP_NAME_MAX bytes), NULL at the end
 */
const char *cgroup_v1_next(char **at);

/**
 * cgroup_setup() - mount what the kernel offers
 * @warn:	told of what failed on the way; the UVM boots all the same
 * @e:		reason
 *
 * Return: 2 or 1, the version that is mounted, or -errno: neither is
 */
int cgroup_setup(void (*warn)(const struct err *e), struct err *e);

#endif
