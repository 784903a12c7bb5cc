/* tools/image_modules.h - the kernel modules of an image, and when they load */
#ifndef FERRY_TOOLS_IMAGE_MODULES_H
#define FERRY_TOOLS_IMAGE_MODULES_H

#include "config/err.h"
#include "initramfs/manifest.h"
#include "tools/image_tree.h"

/**
 * image_modules_add() - all modules that a manifest and the options name
 * @t:		the image
 * @m:		manifest
 * @e:		names the module or the folder
 *
 * Files go below /lib/modules/RELEASE, with a modules.dep of their own. The
 * list for PID 1 (init/modules.h) has first what loads in any case, then what
 * loads when a device is there, each with all it needs before it.
 * Return: 0 or -errno
 */
int image_modules_add(struct image_tree *t, const struct manifest *m,
		      struct err *e);

#endif
