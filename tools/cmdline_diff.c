#include "tools/cmdline_diff.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmdline/tokenize.h"
#include "config/err.h"
#include "config/text.h"
#include "config/util.h"
#include "tools/tool.h"

/* The table of lengths has this squared; a line that boots has 1024 words. */
#define WORDS_MAX 2048u
#define WORD_SHOWN_MAX 4096u

struct words {
	char *text;
	char **item;
	size_t n;
};

static void words_done(struct words *w)
{
	free(w->text);
	free(w->item);
}

static int split(const char *line, struct words *w, struct err *e)
{
	struct token t;
	char *at;

	w->text = strdup(line);
	w->item = calloc(WORDS_MAX, sizeof(*w->item));
	if (!w->text || !w->item)
		return err_set(e, ENOMEM, "no memory");
	for (at = w->text; token_next(&at, &t);) {
		if (w->n == WORDS_MAX)
			return err_set(e, EINVAL,
				       "a line has more than %u words",
				       WORDS_MAX);
		w->item[w->n++] = token_join(&t);
	}
	return 0;
}

static void print_word(char side, const char *word)
{
	struct text t;

	text_heap(&t, 5 * (size_t)WORD_SHOWN_MAX);
	text_quote(&t, word, WORD_SHOWN_MAX);
	(void)printf("%c %s\n", side, text_str(&t));
	text_done(&t);
}

/*
 * Longest common subsequence: cell (i, j) is its length for the words from i
 * and from j on. The table has one row and column more than there are words.
 */
static uint16_t *lengths(const struct words *a, const struct words *b)
{
	const size_t width = b->n + 1;
	uint16_t *t = calloc((a->n + 1) * width, sizeof(*t));

	for (size_t i = a->n; t && i-- > 0;) {
		for (size_t j = b->n; j-- > 0;) {
			const uint16_t down = t[(i + 1) * width + j];
			const uint16_t right = t[i * width + j + 1];
			uint16_t best = down > right ? down : right;

			if (strcmp(a->item[i], b->item[j]) == 0)
				best = (uint16_t)(t[(i + 1) * width + j + 1] +
						  1);
			t[i * width + j] = best;
		}
	}
	return t;
}

/* Walks the table from its corner; return: number of words printed. */
static size_t walk(const struct words *a, const struct words *b,
		   const uint16_t *t)
{
	const size_t width = b->n + 1;
	size_t i = 0, j = 0, n = 0;

	while (i < a->n || j < b->n) {
		if (i < a->n && j < b->n &&
		    strcmp(a->item[i], b->item[j]) == 0) {
			i++;
			j++;
			continue;
		}
		n++;
		if (j == b->n || (i < a->n && t[(i + 1) * width + j] >=
						      t[i * width + j + 1]))
			print_word('-', a->item[i++]);
		else
			print_word('+', b->item[j++]);
	}
	return n;
}

int cmdline_diff(int argc, char **argv)
{
	struct words a = { 0 }, b = { 0 };
	uint16_t *table = NULL;
	struct err e = { 0 };
	int r, code;

	if (argc != 3)
		return tool_usage("cmdline", "diff A B");
	r = split(argv[1], &a, &e);
	if (r == 0)
		r = split(argv[2], &b, &e);
	if (r == 0)
		table = lengths(&a, &b);
	if (r == 0 && !table)
		r = err_set(&e, ENOMEM, "no memory");

	if (r < 0)
		code = tool_fail(&e);
	else
		code = walk(&a, &b, table) ? TOOL_FAILURE : TOOL_OK;
	free(table);
	words_done(&a);
	words_done(&b);
	return code;
}
