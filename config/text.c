#include "config/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 256

void text_fixed(struct text *t, char *buf, size_t size)
{
	*t = (struct text){ .buf = buf, .size = size, .max = size };
	buf[0] = '\0';
}

void text_heap(struct text *t, size_t max)
{
	*t = (struct text){ .max = max, .heap = true };
}

void text_done(struct text *t)
{
	if (t->heap)
		free(t->buf);
	else if (t->size)
		t->buf[0] = '\0';
	*t = (struct text){ .buf = t->heap ? NULL : t->buf,
			    .size = t->heap ? 0 : t->size,
			    .max = t->max,
			    .heap = t->heap };
}

void text_reset(struct text *t)
{
	t->len = 0;
	t->full = false;
	if (t->buf)
		t->buf[0] = '\0';
}

/* Room for @n more bytes and the NUL. */
static bool reserve(struct text *t, size_t n)
{
	size_t need, size;
	char *buf;

	if (t->full)
		return false;
	if (__builtin_add_overflow(t->len, n, &need) ||
	    __builtin_add_overflow(need, 1, &need) || need > t->max) {
		t->full = true;
		return false;
	}
	if (need <= t->size)
		return true;

	for (size = t->size ? t->size : FIRST_SIZE; size < need; size *= 2)
		if (size > SIZE_MAX / 2)
			break;
	if (size < need || size > t->max)
		size = t->max;
	buf = realloc(t->buf, size);
	if (!buf) {
		t->full = true;
		return false;
	}
	t->buf = buf;
	t->size = size;
	return true;
}

void text_addn(struct text *t, const void *s, size_t n)
{
	if (!reserve(t, n))
		return;
	if (n)
		memcpy(t->buf + t->len, s, n);
	t->len += n;
	t->buf[t->len] = '\0';
}

void text_add(struct text *t, const char *s)
{
	text_addn(t, s, strlen(s));
}

void text_addc(struct text *t, char c)
{
	text_addn(t, &c, 1);
}

void text_addf(struct text *t, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n >= 0 && reserve(t, (size_t)n)) {
		(void)vsnprintf(t->buf + t->len, (size_t)n + 1, fmt, again);
		t->len += (size_t)n;
	}
	va_end(again);
}

void text_quote(struct text *t, const char *s, size_t max)
{
	for (size_t i = 0; s[i] != '\0'; i++) {
		const unsigned char c = (unsigned char)s[i];

		if (i == max) {
			text_add(t, "...");
			return;
		}
		if (c >= 0x20 && c < 0x7f)
			text_addc(t, s[i]);
		else
			text_addf(t, "\\x%02x", c);
	}
}

const char *text_str(const struct text *t)
{
	return t->buf ? t->buf : "";
}
