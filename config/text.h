/* config/text.h - text built up in a bounded buffer */
#ifndef FERRY_CONFIG_TEXT_H
#define FERRY_CONFIG_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/**
 * struct text - a growing, NUL-terminated byte string with a limit
 * @buf:	bytes; the NUL behind @len is always there once anything was
 *		added. Caller's memory (text_fixed) or the heap (text_heap)
 * @len:	bytes in use, without the NUL
 * @size:	bytes of @buf
 * @max:	largest @size ever allowed, NUL included
 * @heap:	@buf is ours and may grow up to @max
 * @full:	something did not fit (or no memory): sticky, and nothing is
 *		added any more, so one check at the end is enough
 */
struct text {
	char *buf;
	size_t len;
	size_t size;
	size_t max;
	bool heap;
	bool full;
};

/** text_fixed() - a text in the caller's @buf of @size bytes (at least 1) */
void text_fixed(struct text *t, char *buf, size_t size);

/** text_heap() - a text on the heap that may grow to @max bytes with NUL */
void text_heap(struct text *t, size_t max);

/** text_done() - release a heap text; harmless on a fixed one; reusable */
void text_done(struct text *t);

/** text_reset() - empty again, memory kept, @full forgotten */
void text_reset(struct text *t);

/** text_add() - append the NUL-terminated @s */
void text_add(struct text *t, const char *s);

/** text_addn() - append @n bytes at @s, which may hold NULs */
void text_addn(struct text *t, const void *s, size_t n);

/** text_addc() - append one byte */
void text_addc(struct text *t, char c);

/** text_addf() - append as printf; all of it or, when full, none */
void text_addf(struct text *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * text_quote() - append @s shortened and safe to print: at most @max bytes of
 * it, control and non-ASCII bytes as \xNN, "..." when cut
 */
void text_quote(struct text *t, const char *s, size_t max);

/** text_str() - the string so far, "" when nothing was ever added */
const char *text_str(const struct text *t);

#endif
