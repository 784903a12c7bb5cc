#include "init/slots.h"

/* Fibonacci hashing spreads numbers that count up. */
static uint32_t chain(const struct slots *s, uint64_t key)
{
	return (uint32_t)((key * 0x9e3779b97f4a7c15ull) >> 32) &
	       (s->n_heads - 1);
}

void slots_add(struct slots *s, uint64_t key, uint32_t row)
{
	uint16_t *head = &s->heads[chain(s, key)];

	s->next[row] = *head;
	*head = (uint16_t)(row + 1);
}

void slots_drop(struct slots *s, uint64_t key, uint32_t row)
{
	uint16_t *link = &s->heads[chain(s, key)];

	while (*link != 0 && *link != row + 1)
		link = &s->next[*link - 1];
	if (*link != 0)
		*link = s->next[row];
}

uint32_t slots_first(const struct slots *s, uint64_t key)
{
	const uint16_t head = s->heads[chain(s, key)];

	return head ? head - 1u : SLOTS_NONE;
}

uint32_t slots_next(const struct slots *s, uint32_t row)
{
	return s->next[row] ? s->next[row] - 1u : SLOTS_NONE;
}

uint32_t rows_take(struct rows *r)
{
	uint32_t row;

	if (r->free != 0) {
		row = r->free - 1;
		r->free = r->next[row];
	} else if (r->fresh < r->max) {
		row = r->fresh++;
	} else {
		return SLOTS_NONE;
	}
	r->used++;
	return row;
}

void rows_give(struct rows *r, uint32_t row)
{
	r->next[row] = (uint16_t)r->free;
	r->free = row + 1;
	r->used--;
}
