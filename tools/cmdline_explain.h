/*
 * tools/cmdline_explain.h - where each word of a line comes from, and what
 * became of each annotation
 *
 * Made once, then printed as a table for people or as JSON for programs. Also
 * of a sandbox that is refused: then there are no words, and the annotations
 * that are to blame say so.
 */
#ifndef FERRY_TOOLS_CMDLINE_EXPLAIN_H
#define FERRY_TOOLS_CMDLINE_EXPLAIN_H

#include <stddef.h>
#include <stdio.h>

#include "config/arena.h"
#include "config/err.h"
#include "config/options.h"
#include "tools/cmdline_args.h"

/* More words or annotations than this are not listed. */
#define EXPLAIN_MAX 8192u

/**
 * struct explain_source - what put something there
 * @kind:	"annotation", "option", "file" (the configuration), "default" or
 *		"always" (no input changes it)
 * @name:	key, option or setting; NULL for the last two
 * @value:	its text, NULL where it has none
 * @where:	"FILE:LINE" of a file, else NULL
 */
struct explain_source {
	const char *kind;
	const char *name;
	const char *value;
	const char *where;
};

/**
 * struct explain_word - one word of the line
 * @text:	as it is written, quotes and all
 * @bytes:	its share of the line, with the blank before it
 * @rule:	what it is for
 * @from:	what put it there
 */
struct explain_word {
	const char *text;
	size_t bytes;
	const char *rule;
	struct explain_source from;
};

/**
 * struct explain_annotation - what became of one
 * @key:	exactly as given
 * @value:	exactly as given
 * @where:	"FILE:LINE" where the configuration gave it, else NULL
 * @verdict:	"used", "passed" (to the agent or to others), "ignored",
 *		"defaulted", "clamped", "expanded", "warning", "refused"
 * @class:	error class, ERR_NONE
 * @why:	a phrase
 */
struct explain_annotation {
	const char *key;
	const char *value;
	const char *where;
	const char *verdict;
	enum err_class class;
	const char *why;
};

/**
 * struct explain - the whole; all text lives until explain_free(), or belongs
 * to the arguments and options that it was made from
 * @bytes:	of the line
 * @failure:	why there is no line; class and text, code 0: there is one
 */
struct explain {
	struct explain_word *word;
	size_t n_words;
	size_t bytes;
	struct explain_annotation *annotation;
	size_t n_annotations;
	struct err failure;
	struct arena arena;
};

/**
 * explain_new() - look at a sandbox that was built, or that was refused
 * @o:		options; after a failure their notes are used all the same
 * @a:		what the user gave
 * @failure:	why it was refused, NULL: it was not
 * @ret:	the caller's, for explain_free()
 *
 * Return: 0, -ENOMEM
 */
int explain_new(const struct sandbox_options *o, const struct cmdline_args *a,
		const struct err *failure, struct explain **ret, struct err *e);

/** explain_free() - release it; NULL is fine */
void explain_free(struct explain *x);

/** explain_print() - as a table; return: 0, or -errno of writing */
int explain_print(const struct explain *x, FILE *to, struct err *e);

#endif
