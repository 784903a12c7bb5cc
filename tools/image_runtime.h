/*
 * tools/image_runtime.h - a program that is not static, and all it loads
 *
 * The OCI runtime comes from a distribution and needs a loader and libraries.
 * Which ones is read from the files themselves (DT_NEEDED, PT_INTERP); they
 * are looked for in ferry's own folder, which the set-up filled, and then in
 * the system's. In the image the libraries stand where Debian's loader looks
 * first, the loader where the program wants it.
 */
#ifndef FERRY_TOOLS_IMAGE_RUNTIME_H
#define FERRY_TOOLS_IMAGE_RUNTIME_H

#include <stdint.h>

#include "config/err.h"
#include "tools/image_tree.h"

/* Libraries of one image. */
#define IMAGE_LIBRARIES_MAX 128

/**
 * image_runtime_add() - @source as @path, with its loader and libraries
 * @t:		the image
 * @path:	in the image
 * @mode:	permissions
 * @source:	file on the host
 * @e:		names the library that is nowhere, and who needs it
 *
 * What the image has already is not added twice.
 * Return: 0, -ENOENT (a library), -E2BIG (a limit), or -errno
 */
int image_runtime_add(struct image_tree *t, const char *path, uint32_t mode,
		      const char *source, struct err *e);

#endif
