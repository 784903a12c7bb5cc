/*
 * init/slots.h - an index over the rows of a fixed table, by a number
 *
 * Chains in two arrays of the caller; zeroed arrays are an empty index, so a
 * large table costs no memory until it is used.
 */
#ifndef FERRY_INIT_SLOTS_H
#define FERRY_INIT_SLOTS_H

#include <stddef.h>
#include <stdint.h>

/* No row. */
#define SLOTS_NONE UINT32_MAX

/**
 * struct slots - the index
 * @heads:	first row of each chain, plus one
 * @next:	next row of the same chain, plus one; one per row
 * @n_heads:	entries of @heads, a power of two
 */
struct slots {
	uint16_t *heads;
	uint16_t *next;
	uint32_t n_heads;
};

/** slots_add() - put @row under @key; a row stands in an index once */
void slots_add(struct slots *s, uint64_t key, uint32_t row);

/** slots_drop() - take @row, which stands under @key, out */
void slots_drop(struct slots *s, uint64_t key, uint32_t row);

/** slots_first() - first row of the chain of @key (rows of other keys may be
 * in it: compare), or SLOTS_NONE */
uint32_t slots_first(const struct slots *s, uint64_t key);

/** slots_next() - the row behind @row in its chain, or SLOTS_NONE */
uint32_t slots_next(const struct slots *s, uint32_t row);

/**
 * struct rows - which rows of a fixed table are free
 * @free:	chain of rows given back, plus one, through @next
 * @fresh:	rows from here on were never used
 * @used:	rows in use
 * @max:	rows of the table, below 65535
 * @next:	one per row; may be the same array as one index's, because a
 *		free row stands in no index
 */
struct rows {
	uint32_t free;
	uint32_t fresh;
	uint32_t used;
	uint32_t max;
	uint16_t *next;
};

/** rows_take() - a free row, or SLOTS_NONE when the table is full */
uint32_t rows_take(struct rows *r);

/** rows_give() - give a row back that stands in no index any more */
void rows_give(struct rows *r, uint32_t row);

#endif
