#include "config/arena.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 4096u

struct arena_block {
	struct arena_block *next;
	size_t size;
	size_t used;
	alignas(max_align_t) unsigned char bytes[];
};

void arena_init(struct arena *a, size_t max)
{
	*a = (struct arena){ .max = max };
}

void arena_done(struct arena *a)
{
	while (a->head) {
		struct arena_block *b = a->head;

		a->head = b->next;
		free(b);
	}
	a->used = 0;
}

void arena_reset(struct arena *a)
{
	struct arena_block *keep = a->head;

	if (keep && keep->size > BLOCK_SIZE)
		keep = NULL; /* an outsized block is not worth keeping */
	if (keep) {
		a->head = keep->next;
		arena_done(a);
		keep->next = NULL;
		keep->used = 0;
		a->head = keep;
	} else {
		arena_done(a);
	}
	a->used = 0;
}

static struct arena_block *block_new(struct arena *a, size_t need)
{
	const size_t size = need > BLOCK_SIZE ? need : BLOCK_SIZE;
	struct arena_block *b = malloc(sizeof(*b) + size);

	if (!b)
		return NULL;
	b->next = a->head;
	b->size = size;
	b->used = 0;
	a->head = b;
	return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_block *b = a->head;
	size_t need;
	void *p;

	if (size > a->max - a->used)
		return NULL;
	need = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (need < size)
		return NULL;
	if (!b || b->size - b->used < need)
		b = block_new(a, need);
	if (!b)
		return NULL;

	p = b->bytes + b->used;
	b->used += need;
	a->used += size;
	return memset(p, 0, size);
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	size_t all;

	if (__builtin_mul_overflow(n, size, &all))
		return NULL;
	return arena_alloc(a, all);
}

char *arena_strn(struct arena *a, const char *s, size_t n)
{
	char *p;

	if (n == (size_t)-1)
		return NULL;
	p = arena_alloc(a, n + 1);
	if (p)
		memcpy(p, s, n);
	return p;
}
