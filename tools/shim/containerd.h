/*
 * tools/shim/containerd.h - ferry as a runtime of containerd (shim v2)
 *
 * Under the name containerd-shim-ferry-v1 the program is what containerd starts
 * for the runtime io.containerd.ferry.v1:
 *
 *	... -namespace N -address A -id ID start	in a bundle: a shim for
 *		its group, the one that runs if there is one; its address on
 *		standard output and in the file "address"
 *	... -id ID -bundle DIR delete	after a container's end, also an orderly
 *		one: cleans up if the shim is dead, and says that it was killed
 *
 * The group of a container is the pod that CRI's annotation names, else the
 * container itself: one UVM each.
 * Source: shared specification migration.md 10.1.
 */
#ifndef FERRY_TOOLS_SHIM_CONTAINERD_H
#define FERRY_TOOLS_SHIM_CONTAINERD_H

#include <stdbool.h>

#define CONTAINERD_SHIM "containerd-shim-ferry-v1"

/** shim_containerd() - the whole program; return: its exit code */
int shim_containerd(int argc, char **argv);

/** shim_containerd_is() - is that what @argv0 asks for? */
bool shim_containerd_is(const char *argv0);

#endif
