/*
 * tools/ttrpc/reader.h - whole ttrpc frames out of a byte stream; pure
 *
 * The owner copies what it has read with ttrpc_reader_add() and takes frames
 * until there is none. The buffer follows what has really arrived: a header
 * that announces 4 MiB costs nothing. The data of a frame over the limit is
 * never kept; the frame is reported at once, without data, and skipped.
 */
#ifndef FERRY_TOOLS_TTRPC_READER_H
#define FERRY_TOOLS_TTRPC_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/err.h"
#include "tools/ttrpc/wire.h"

/**
 * struct ttrpc_reader - bytes that are no frame yet; the zero value is empty
 * @buf:	owned; @start to @end are in use
 * @skip:	bytes of an overlong frame that are still to come
 */
struct ttrpc_reader {
	uint8_t *buf;
	size_t size;
	size_t start;
	size_t end;
	size_t skip;
};

/**
 * struct ttrpc_frame - one frame, borrowed from its reader
 * @too_long:	its data were over TTRPC_DATA_MAX; @data is NULL
 */
struct ttrpc_frame {
	struct ttrpc_header header;
	const uint8_t *data;
	bool too_long;
};

/**
 * ttrpc_reader_add() - bytes have come; frames taken before are invalid
 *
 * Return: 0 or -ENOMEM
 */
int ttrpc_reader_add(struct ttrpc_reader *r, const void *bytes, size_t n,
		     struct err *e);

/** ttrpc_reader_next() - return: is there a frame? */
bool ttrpc_reader_next(struct ttrpc_reader *r, struct ttrpc_frame *ret);

/** ttrpc_reader_pending() - bytes that are held */
size_t ttrpc_reader_pending(const struct ttrpc_reader *r);

/** ttrpc_reader_done() - release; empty and usable again */
void ttrpc_reader_done(struct ttrpc_reader *r);

#endif
