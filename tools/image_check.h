/* tools/image_check.h - looks into an image that may be hostile */
#ifndef FERRY_TOOLS_IMAGE_CHECK_H
#define FERRY_TOOLS_IMAGE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "config/err.h"

/**
 * image_list() - one line for each entry, or one JSON array
 * @image:	@len bytes
 * @json:	as JSON: name, type, mode, size, and target or device
 * @to:		where to
 * @e:		what is wrong with the image; entries before it were printed
 *
 * Return: 0 or -errno of cpio_next(), or -EIO (@to cannot be written)
 */
int image_list(const void *image, size_t len, bool json, FILE *to,
	       struct err *e);

/**
 * struct image_summary - of an image that was read to its end
 * @files:	entries
 * @archives:	archives one after the other
 * @modules:	lines of the list of modules loaded at boot
 * @problems:	what keeps it from being a utility VM's image
 */
struct image_summary {
	size_t files;
	size_t archives;
	size_t modules;
	size_t problems;
};

/**
 * image_check() - is this an image that boots a utility VM?
 * @image:	@len bytes
 * @to:		receives a line for each problem
 * @ret:	filled on 0
 * @e:		what is wrong with the format
 *
 * Wanted: a sound structure; /init and /bin/gcs as static programs of this
 * machine; the folders that PID 1 mounts on; /lib/modules/ferry.list with
 * files that are there.
 *
 * Return: 0, or -errno of cpio_next()
 */
int image_check(const void *image, size_t len, FILE *to,
		struct image_summary *ret, struct err *e);

#endif
