/*
 * tools/vsock/dirtylog.h - tell a migration which guest pages were written
 *
 * One bit per 4 KiB page, lowest page in the lowest bit of the first byte; the
 * reader takes and clears whole words at any time, so bits are set atomically,
 * and only after the write that they announce.
 */
#ifndef FERRY_TOOLS_VSOCK_DIRTYLOG_H
#define FERRY_TOOLS_VSOCK_DIRTYLOG_H

#include <stdint.h>

/**
 * struct dirtylog - borrowed bitmap and its bounds
 * @bits:	NULL: nothing is logged
 * @pages:	bits that may be set; a page beyond is left out
 */
struct dirtylog {
	uint8_t *bits;
	uint64_t pages;
};

/**
 * dirtylog_mark() - the guest range @guest, @len bytes, was written
 * @len:	0 marks nothing; a range that wraps is cut at its end
 */
void dirtylog_mark(const struct dirtylog *l, uint64_t guest, uint64_t len);

#endif
