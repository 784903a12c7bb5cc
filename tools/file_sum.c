#include "tools/file_sum.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"

void file_sum_none(struct file_sum *f)
{
	*f = (struct file_sum){ .fd = -1 };
	(void)err_set(&f->why, ENOENT, "no file");
}

void file_sum_open(struct file_sum *f, const char *path)
{
	file_sum_none(f);
	digest_init(&f->digest);
	f->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (f->fd < 0)
		(void)err_sys(&f->why, "%s", path);
	else
		f->why = (struct err){ 0 };
}

static void whole(struct file_sum *f)
{
	uint8_t sum[DIGEST_BYTES];

	digest_done(&f->digest, sum);
	for (size_t i = 0; i < DIGEST_BYTES; i++)
		(void)snprintf(f->hex + 2 * i, 3, "%02x", sum[i]);
	fd_close(&f->fd);
}

bool file_sum_step(struct file_sum *f)
{
	cleanup_free char *piece = NULL;
	ssize_t n;

	if (f->fd < 0)
		return false;
	piece = malloc(FILE_SUM_STEP);
	n = piece ? fd_read_full(f->fd, piece, FILE_SUM_STEP) : -ENOMEM;
	if (n < 0) {
		(void)err_set(&f->why, (int)-n, "cannot be read");
		fd_close(&f->fd);
		return false;
	}
	digest_add(&f->digest, piece, (size_t)n);
	if ((size_t)n < FILE_SUM_STEP)
		whole(f);
	return f->fd >= 0;
}

const char *file_sum_hex(struct file_sum *f, struct err *e)
{
	while (file_sum_step(f))
		;
	if (f->hex[0])
		return f->hex;
	*e = f->why;
	return NULL;
}

void file_sum_done(struct file_sum *f)
{
	fd_close(&f->fd);
}
