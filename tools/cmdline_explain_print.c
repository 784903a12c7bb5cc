/* The table for people; struct explain is in tools/cmdline_explain.h. */
#include <string.h>

#include "cmdline/build.h"
#include "config/text.h"
#include "tools/cmdline_explain.h"

/* Widths of the columns; longer words simply push the rest. */
#define WORD_WIDTH 36
#define RULE_WIDTH 28
#define VERDICT_WIDTH 10
#define SHOWN_MAX 72
#define KEY_SHOWN_MAX 128
#define SHOWN_SIZE (4 * KEY_SHOWN_MAX + 4)

static const char *shown(char buf[SHOWN_SIZE], const char *s, size_t max)
{
	struct text t;

	text_fixed(&t, buf, SHOWN_SIZE);
	text_quote(&t, s, max);
	return buf;
}

static void print_source(const struct explain_source *s, FILE *to)
{
	char buf[SHOWN_SIZE];

	if (s->where)
		(void)fprintf(to, "%s: ", s->where);
	else if (s->name)
		(void)fprintf(to, "%s ", s->kind);
	(void)fputs(s->name ? s->name : s->kind, to);
	if (s->value)
		(void)fprintf(to, "=%s", shown(buf, s->value, SHOWN_MAX));
	(void)fputc('\n', to);
}

static void print_words(const struct explain *x, FILE *to)
{
	char buf[SHOWN_SIZE];

	(void)fprintf(to, "%5s  %-*s  %-*s  %s\n", "bytes", WORD_WIDTH, "word",
		      RULE_WIDTH, "what for", "from");
	for (size_t i = 0; i < x->n_words; i++) {
		const struct explain_word *w = &x->word[i];

		(void)fprintf(to, "%5zu  %-*s  %-*s  ", w->bytes, WORD_WIDTH,
			      shown(buf, w->text, SHOWN_MAX), RULE_WIDTH,
			      w->rule);
		print_source(&w->from, to);
	}
	(void)fprintf(to, "%5zu  of %u bytes\n", x->bytes, CMDLINE_MAX);
}

static void print_annotation(const struct explain_annotation *a, FILE *to)
{
	char buf[SHOWN_SIZE];

	(void)fprintf(to, "%-*s ", VERDICT_WIDTH, a->verdict);
	if (*a->key != '\0')
		(void)fprintf(to, "%s", shown(buf, a->key, KEY_SHOWN_MAX));
	if (*a->value != '\0')
		(void)fprintf(to, "=%s", shown(buf, a->value, SHOWN_MAX));
	if (a->where)
		(void)fprintf(to, " (%s)", a->where);
	if (*a->key != '\0')
		(void)fputs("\n           ", to);
	if (a->class != ERR_NONE)
		(void)fprintf(to, "%s: ", err_class_name(a->class));
	(void)fprintf(to, "%s\n", a->why);
}

int explain_print(const struct explain *x, FILE *to, struct err *e)
{
	if (x->failure.code)
		(void)fprintf(to, "no line: %s: %s\n",
			      err_class_name(x->failure.class),
			      x->failure.text);
	else if (x->n_words)
		print_words(x, to);
	else
		(void)fputs("no line: it is inside the measured image\n", to);
	if (x->n_annotations)
		(void)fputc('\n', to);
	for (size_t i = 0; i < x->n_annotations; i++)
		print_annotation(&x->annotation[i], to);
	return ferror(to) ? err_sys(e, "standard output") : 0;
}
