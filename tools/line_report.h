/*
 * tools/line_report.h - a kernel line taken apart: words, init, problems
 *
 * The kernel's words come from cmdline/words.h and distribute.h, what init
 * makes of its arguments from initargs.h and mode.h; here they are put side by
 * side, with everything that would go wrong.
 */
#ifndef FERRY_TOOLS_LINE_REPORT_H
#define FERRY_TOOLS_LINE_REPORT_H

#include <stddef.h>

#include "cmdline/distribute.h"
#include "cmdline/initargs.h"
#include "cmdline/mode.h"
#include "cmdline/words.h"
#include "config/err.h"

/* A line that does not boot is still shown, up to this many bytes. */
#define LINE_REPORT_MAX 65536u
#define LINE_PROBLEMS_MAX 16u

/* One word before the separator. */
struct line_word {
	const char *text;
	enum word_fate fate;
};

/**
 * struct line_report - the parts; all text belongs to it
 * @length:	bytes of the line
 * @word:	words before the separator, in order
 * @n_words:	how many
 * @d:		what the first process receives
 * @args:	what init makes of its arguments
 * @mode:	forwarder mode and the reason
 * @problem:	constant or own sentences
 * @n_problems:	how many
 * @fatal:	the UVM would not reach init: class and sentence; class ERR_NONE:
 *		it would
 */
struct line_report {
	size_t length;
	struct line_word *word;
	size_t n_words;
	struct distribution d;
	struct init_args args;
	struct mode mode;
	char problem[LINE_PROBLEMS_MAX][ERR_TEXT_MAX];
	size_t n_problems;
	struct err fatal;
	char *words_text;
	char *init_text;
};

/**
 * line_report_new() - take a line apart
 * @line:	NUL-terminated, at most LINE_REPORT_MAX bytes; not changed
 * @ret:	the caller's, for line_report_free()
 *
 * Return: 0, -E2BIG, -ENOMEM
 */
int line_report_new(const char *line, struct line_report **ret, struct err *e);

/** line_report_free() - release it; NULL is fine */
void line_report_free(struct line_report *r);

#endif
