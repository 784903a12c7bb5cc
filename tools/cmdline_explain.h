/* tools/cmdline_explain.h - where each word of a line comes from */
#ifndef FERRY_TOOLS_CMDLINE_EXPLAIN_H
#define FERRY_TOOLS_CMDLINE_EXPLAIN_H

#include <stdio.h>

#include "cmdline/build.h"
#include "config/err.h"
#include "config/options.h"
#include "tools/cmdline_args.h"

/**
 * cmdline_explain_print() - a table for people: words with their bytes, rule
 * and source; then what became of each annotation that is in none of them
 * @o:		finished options
 * @a:		what the user gave
 * @to:		stream
 * @e:		reason
 *
 * Return: 0, or a negative errno (of the builder, or of writing)
 */
int cmdline_explain_print(const struct sandbox_options *o,
			  const struct cmdline_args *a, FILE *to,
			  struct err *e);

#endif
