/*
 * cmdline/rawtext.h - texts from annotations that become part of the line
 *
 * Strict mode only. A raw text is cut up as the kernel will do it and handed
 * out word by word; whatever could change a word besides its own is refused.
 * Source: shared specification cmdline.md 12.1, rules 4 to 6.
 */
#ifndef FERRY_CMDLINE_RAWTEXT_H
#define FERRY_CMDLINE_RAWTEXT_H

#include <stdbool.h>

#include "config/err.h"

/* A raw text longer than this cannot be part of a line that boots. */
#define RAWTEXT_MAX 2047u

/*
 * One word: @raw is what to write (quotes included), @name and @value are what
 * the kernel makes of it, @joined is both in one string. May be changed.
 */
struct raw_word {
	const char *raw;
	const char *name;
	const char *value;
	const char *joined;
};

/* Return: 0, or a negative errno that ends the walk */
typedef int raw_word_fn(void *ctx, const struct raw_word *w, struct err *e);

/**
 * rawtext_words() - call @fn for each word of @text
 * @what:	name of the annotation, for messages
 * @text:	raw text
 * @fn:		takes a word
 * @ctx:	passed to @fn
 * @e:		cmdline-too-long, text-invalid (bytes outside 0x20..0x7e),
 *		text-quote (a quote is never closed), text-separator (a "--")
 *
 * Return: 0, -EINVAL, or what @fn returned
 */
int rawtext_words(const char *what, const char *text, raw_word_fn *fn,
		  void *ctx, struct err *e);

/**
 * rawtext_dump_location() - may this be the place of core dumps?
 *
 * Return: 0 or -EINVAL (text-invalid)
 */
int rawtext_dump_location(const char *text, struct err *e);

/**
 * rawtext_log_level() - is this a level that the agent takes?
 *
 * Return: 0 or -EINVAL (text-invalid)
 */
int rawtext_log_level(const char *text, struct err *e);

/**
 * rawtext_table() - may this device-mapper table stand between quotes?
 *
 * Return: 0 or -EINVAL (text-quote)
 */
int rawtext_table(const char *text, struct err *e);

/** rawtext_shell_safe() - does a shell read this word as it stands? */
bool rawtext_shell_safe(const char *word);

#endif
