/*
 * tools/qemu/history.h - the last events of a QEMU, for who asks how it ended
 *
 * A ring of fixed lines. An event that repeats itself (MIGRATION_PASS, BLOCK_*)
 * takes one line with a count.
 */
#ifndef FERRY_TOOLS_QEMU_HISTORY_H
#define FERRY_TOOLS_QEMU_HISTORY_H

#include <stdint.h>

#include "config/text.h"
#include "tools/qemu/qmp.h"

#define HISTORY_LINES 32u
#define HISTORY_LINE_MAX 120u

/**
 * struct history - zeros are an empty one
 * @total:	events ever
 */
struct history {
	struct {
		char text[HISTORY_LINE_MAX];
		int64_t at_ms;
		uint32_t times;
	} line[HISTORY_LINES];
	uint64_t lines;
	uint64_t total;
};

/** history_add() - an event; @now_ms: of the monotonic clock */
void history_add(struct history *h, const char *name,
		 const struct qmp_data *data, int64_t now_ms);

/** history_print() - oldest first, with their age at @now_ms */
void history_print(const struct history *h, int64_t now_ms, struct text *out);

#endif
