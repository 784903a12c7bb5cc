/*
 * cmdline/roundtrip.h - the last line of defence: does the kernel read what
 * the builder meant?
 *
 * The builder notes each word as it should arrive; the finished line is then
 * cut up and handed out as the kernel does it, and every word must be the one
 * that was meant, in the same place, with nothing besides.
 * Source: shared specification cmdline.md 12.1, rules 7 and 8.
 */
#ifndef FERRY_CMDLINE_ROUNDTRIP_H
#define FERRY_CMDLINE_ROUNDTRIP_H

#include <stdbool.h>
#include <stddef.h>

#include "config/err.h"
#include "config/text.h"

/* A line that boots has no more words than this. */
#define INTENT_WORDS_MAX 1024u
/* Text of all words with their NULs: never longer than the line with one. */
#define INTENT_TEXT_MAX 4096u

/**
 * struct intent - the words that were meant, in order
 * @word:	for the kernel first, then for init; "name=value" without the
 *		quotes that the kernel drops
 * @n:		words
 * @n_kernel:	words before the separator
 * @store:	text of the words
 * @used:	bytes of @store
 * @full:	a word found no room: the line cannot be one that boots
 */
struct intent {
	const char *word[INTENT_WORDS_MAX];
	size_t n;
	size_t n_kernel;
	char store[INTENT_TEXT_MAX];
	size_t used;
	bool full;
};

/** intent_init() - nothing meant so far */
void intent_init(struct intent *in);

/** intent_kernel() - a word for the kernel; all before the first for init */
void intent_kernel(struct intent *in, const char *word);

/** intent_arg() - an argument for init */
void intent_arg(struct intent *in, const char *word);

/**
 * roundtrip_check() - limits, and the comparison
 * @line:	finished line
 * @in:		what was meant
 * @e:		cmdline-too-long, init-args-overflow, init-env-overflow,
 *		cmdline-roundtrip
 *
 * Return: 0 or -EINVAL
 */
int roundtrip_check(const char *line, const struct intent *in, struct err *e);

#endif
