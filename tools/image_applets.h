/* tools/image_applets.h - the commands that a busybox was built with */
#ifndef FERRY_TOOLS_IMAGE_APPLETS_H
#define FERRY_TOOLS_IMAGE_APPLETS_H

#include "config/err.h"

/* Applets of one busybox, bytes of its list, and how long it may take. */
#define IMAGE_APPLETS_MAX 1024
#define IMAGE_APPLETS_BYTES_MAX 65536
#define IMAGE_APPLETS_LIMIT_MS 10000

/* Takes one applet's @path, "bin/cat"; 0 or -errno with @e filled. */
typedef int image_applet_fn(void *arg, const char *path, struct err *e);

/**
 * image_applets() - run `BUSYBOX --list-full` and hand on what it prints
 * @busybox:	file to run
 * @take:	called for each applet, but not for one called init or linuxrc:
 *		those are the image's own
 * @arg:	for @take
 * @e:		names the file
 *
 * Return: 0, -ETIMEDOUT, -EINVAL (no such list), -E2BIG, of running it or of
 * @take
 */
int image_applets(const char *busybox, image_applet_fn *take, void *arg,
		  struct err *e);

#endif
