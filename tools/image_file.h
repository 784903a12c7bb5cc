/* tools/image_file.h - files that are read whole, and written whole or not */
#ifndef FERRY_TOOLS_IMAGE_FILE_H
#define FERRY_TOOLS_IMAGE_FILE_H

#include <limits.h>
#include <stddef.h>

#include "config/err.h"

/**
 * image_file_read() - a whole regular file
 * @path:	its name
 * @max:	largest size accepted
 * @ret:	receives the bytes on the heap, a NUL behind them; the caller's
 * @ret_len:	receives their number, without that NUL
 * @e:		names the file
 *
 * Return: 0, -E2BIG (longer than @max), -EINVAL (no regular file), -ENOMEM, or
 * of open and read
 */
int image_file_read(const char *path, size_t max, void **ret, size_t *ret_len,
		    struct err *e);

/**
 * struct image_out - a file that appears at its place only when whole
 * @path:	its name, borrowed
 * @temp:	name of the unfinished file beside it, "" while it has none
 * @fd:		the unfinished file, -1: none
 * @buf:	bytes not written yet
 * @used:	bytes in @buf
 */
struct image_out {
	const char *path;
	char temp[PATH_MAX];
	int fd;
	char buf[65536];
	size_t used;
};

/**
 * image_out_open() - begin; @path is borrowed until the end
 *
 * What is there already and is no regular file (a device, a pipe) is written
 * to as it is. Return: 0 or -errno
 */
int image_out_open(struct image_out *o, const char *path, struct err *e);

/** image_out_put() - append; a cpio_put_fn with the struct image_out as @arg */
int image_out_put(void *arg, const void *buf, size_t len, struct err *e);

/**
 * image_out_commit() - put the file in its place, with mode 0644 less umask
 *
 * Return: 0 or -errno; in both cases only image_out_done() may follow
 */
int image_out_commit(struct image_out *o, struct err *e);

/** image_out_done() - release; without a commit nothing is left of the file */
void image_out_done(struct image_out *o);

#endif
