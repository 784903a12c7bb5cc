/* config/arena.h - many small allocations that are released together */
#ifndef FERRY_CONFIG_ARENA_H
#define FERRY_CONFIG_ARENA_H

#include <stddef.h>

struct arena_block;

/**
 * struct arena - a bounded region; what it gives lives until arena_done()
 * @head:	newest block, owned
 * @used:	bytes given so far
 * @max:	bytes it may give in all; a peer's message cannot take more
 */
struct arena {
	struct arena_block *head;
	size_t used;
	size_t max;
};

/** arena_init() - an empty arena that may give @max bytes */
void arena_init(struct arena *a, size_t max);

/** arena_done() - release all of it; the arena is empty and usable again */
void arena_done(struct arena *a);

/** arena_reset() - as arena_done(), but one block is kept for the next user */
void arena_reset(struct arena *a);

/**
 * arena_alloc() - zeroed, aligned for any type
 *
 * Return: the memory, or NULL (no memory, or past @max)
 */
void *arena_alloc(struct arena *a, size_t size);

/** arena_array() - arena_alloc(n * size) with overflow checked */
void *arena_array(struct arena *a, size_t n, size_t size);

/** arena_strn() - a NUL-terminated copy of @n bytes, or NULL */
char *arena_strn(struct arena *a, const char *s, size_t n);

#endif
