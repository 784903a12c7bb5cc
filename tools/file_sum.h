/*
 * tools/file_sum.h - SHA-256 of a large file, a piece at a time
 *
 * The file is opened at the start: what is summed is what was there then, also
 * when the name leads to another one by the time.
 */
#ifndef FERRY_TOOLS_FILE_SUM_H
#define FERRY_TOOLS_FILE_SUM_H

#include <stdbool.h>

#include "config/digest.h"
#include "config/err.h"

/* A turn of a loop has time for so much. */
#define FILE_SUM_STEP ((size_t)1024 * 1024)
#define FILE_SUM_SIZE (2u * DIGEST_BYTES + 1u)

/**
 * struct file_sum - one file
 * @fd:		-1: none
 * @hex:	"" until it is whole
 */
struct file_sum {
	int fd;
	struct digest digest;
	char hex[FILE_SUM_SIZE];
	struct err why;
};

/** file_sum_none() - nothing is opened */
void file_sum_none(struct file_sum *f);

/** file_sum_open() - begin; a file that cannot be opened is told at the end */
void file_sum_open(struct file_sum *f, const char *path);

/** file_sum_step() - one piece; false: it is over */
bool file_sum_step(struct file_sum *f);

/** file_sum_hex() - the sum, whatever is left of it to do; NULL: @e says why */
const char *file_sum_hex(struct file_sum *f, struct err *e);

/** file_sum_done() - release; fine on none */
void file_sum_done(struct file_sum *f);

#endif
