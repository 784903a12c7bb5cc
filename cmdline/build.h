/*
 * cmdline/build.h - sandbox options in, one kernel command line out; pure
 *
 * Source: shared specification cmdline.md 6, 12.1, 13.
 */
#ifndef FERRY_CMDLINE_BUILD_H
#define FERRY_CMDLINE_BUILD_H

#include <stddef.h>

#include "config/err.h"
#include "config/options.h"

/* What an x86 kernel takes, without and with the NUL (cmdline.md 7.3). */
#define CMDLINE_MAX 2047u
#define CMDLINE_SIZE (CMDLINE_MAX + 1)

/* Room for any line that compat mode may build, past the kernel's limit. */
#define CMDLINE_COMPAT_SIZE ((size_t)64 * 1024)

/**
 * struct cmdline_origin - why a word is in the line; all text is constant
 * @rule:	what the word is for
 * @key:	annotation that it depends on, NULL: none
 * @older_key:	another name of that annotation, NULL: none
 * @option:	option of `ferry cmdline build` that it depends on, NULL: none
 */
struct cmdline_origin {
	const char *rule;
	const char *key;
	const char *older_key;
	const char *option;
};

/* Told of each word as it is written, quotes and all, in order. */
typedef void cmdline_word_fn(void *ctx, const char *word,
			     const struct cmdline_origin *from);

/**
 * cmdline_build() - render the kernel command line of one utility VM
 * @o:		options, as sandbox_options_build() leaves them
 * @out:	receives the NUL-terminated line, "" on failure
 * @size:	bytes in @out; strict mode needs CMDLINE_SIZE at most
 * @e:		class and sentence
 *
 * Strict mode checks raw texts and limits, and that the kernel's own splitting
 * of the finished line gives back exactly what was meant (cmdline.md 12.1).
 * Compat mode writes what the reference writes.
 *
 * Return: length without the NUL, -EINVAL (class tells), -ENOBUFS (@out is
 *         too small)
 */
int cmdline_build(const struct sandbox_options *o, char *out, size_t size,
		  struct err *e);

/**
 * cmdline_explain() - as cmdline_build(), and tell of each word
 * @fn:		called for each word; what it was told counts only when the
 *		line is finished
 * @ctx:	passed to @fn
 */
int cmdline_explain(const struct sandbox_options *o, char *out, size_t size,
		    cmdline_word_fn *fn, void *ctx, struct err *e);

#endif
