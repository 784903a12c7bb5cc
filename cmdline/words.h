/*
 * cmdline/words.h - the kernel's own words: who consumes them, which values
 * are good, which of them an annotation may bring
 *
 * The table is an allow list. A word that the kernel does not know becomes an
 * argument or an environment entry of init, and a value that a parameter of
 * the kernel rejects makes it throw away all of init's arguments: so a word
 * from outside is let through only with a value of its grammar.
 * Source: shared specification cmdline.md 7.2, 12.1; Linux 6.1 admin-guide
 * kernel-parameters, each allowed word booted on Debian's cloud kernel.
 */
#ifndef FERRY_CMDLINE_WORDS_H
#define FERRY_CMDLINE_WORDS_H

#include <stdbool.h>

#include "config/err.h"

enum word_fate {
	WORD_UNKNOWN,  /* argument or environment entry of init */
	WORD_CONSUMED, /* the kernel keeps it */
	WORD_DROPPED,  /* dotted: taken for a module's parameter */
	WORD_POISON,   /* a parameter with a value that the kernel rejects */
};

/**
 * words_fate() - what a kernel does with a word before the separator
 * @name:	the word or the part before '='; '-' and '_' are equal
 * @value:	the part behind '=', NULL: none
 *
 * "init" and "rdinit" are WORD_CONSUMED like others; what else they do is the
 * business of cmdline/distribute.h.
 */
enum word_fate words_fate(const char *name, const char *value);

/**
 * words_leak() - does the kernel hand this word of its own on to init?
 *
 * "nokaslr" is read by the code that unpacks an x86 kernel and is unknown to
 * the kernel itself (observed with 6.1). A line that has it needs an init=
 * behind it, which erases the arguments so far.
 */
bool words_leak(const char *name);

/**
 * words_check() - may an annotation put this word before the separator?
 * @name:	the word or the part before '='
 * @value:	the part behind '=', NULL: none
 * @console:	the line has a serial console, so console= may be added
 * @e:		text-reserved (not on the list, or the builder's own),
 *		text-stray-word (a bare word that would become an argument),
 *		text-invalid (the value is not of the word's grammar)
 *
 * Return: 0 or -EINVAL
 */
int words_check(const char *name, const char *value, bool console,
		struct err *e);

#endif
