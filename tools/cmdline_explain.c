#include "tools/cmdline_explain.h"

#include <string.h>

#include "config/annotations.h"
#include "config/text.h"

/* Widths of the columns; longer words simply push the rest. */
#define WORD_WIDTH 36
#define RULE_WIDTH 28
#define SHOWN_MAX 60
#define SHOWN_SIZE (4 * SHOWN_MAX + 4)

struct table {
	const struct cmdline_args *args;
	FILE *to;
	size_t bytes;
};

static const char *shown(char buf[SHOWN_SIZE], const char *s)
{
	struct text t;

	text_fixed(&t, buf, SHOWN_SIZE);
	text_quote(&t, s, SHOWN_MAX);
	return buf;
}

/* Was the option given? Those of the file count as given by the file. */
static bool option_given(const struct cmdline_args *a, const char *option)
{
	const struct runtime_options *r = &a->runtime;

	if (strcmp(option, "--rootfs") == 0)
		return r->rootfs != NULL;
	if (strcmp(option, "--profile") == 0)
		return r->profile != PROFILE_QEMU;
	if (strcmp(option, "--console") == 0)
		return r->console;
	if (strcmp(option, "--processors") == 0)
		return a->count >= 0 || r->processor_count != 0;
	if (strcmp(option, "--forwarder") == 0)
		return r->forwarder != FORWARDERS;
	if (strcmp(option, "--log-level") == 0)
		return r->log_level && *r->log_level != '\0';
	return r->scrub_logs != TRI_UNSET;
}

/* The options that say more than an annotation that is there as well. */
static bool option_wins(const char *option)
{
	return strcmp(option, "--rootfs") == 0 ||
	       strcmp(option, "--forwarder") == 0;
}

static void print_source(const struct table *t,
			 const struct cmdline_origin *from)
{
	const struct cmdline_args *a = t->args;
	const char *value =
		from->key ? annotation_map_get(&a->annotations, from->key)
			  : NULL;
	const bool option = from->option && option_given(a, from->option);
	char buf[SHOWN_SIZE];

	if (value && !(option && option_wins(from->option)))
		(void)fprintf(t->to, "annotation %s=%s", from->key,
			      shown(buf, value));
	else if (option)
		(void)fprintf(t->to, "option %s", from->option);
	else if (from->key &&
		 annotation_map_get(&a->conf.annotations, from->key))
		(void)fprintf(t->to, "configuration %s", from->key);
	else
		(void)fputs(from->key || from->option ? "default" : "always",
			    t->to);
}

static void print_word(void *ctx, const char *word,
		       const struct cmdline_origin *from)
{
	struct table *t = ctx;
	const size_t bytes = strlen(word) + (t->bytes ? 1 : 0);
	char buf[SHOWN_SIZE];

	t->bytes += bytes;
	(void)fprintf(t->to, "%5zu  %-*s  %-*s  ", bytes, WORD_WIDTH,
		      shown(buf, word), RULE_WIDTH, from->rule);
	print_source(t, from);
	(void)fputc('\n', t->to);
}

static void print_notes(const struct sandbox_options *o, FILE *to)
{
	for (size_t i = 0; i < o->notes.n; i++) {
		const struct note *n = &o->notes.item[i];

		(void)fprintf(to, "%-10s %s%s%s\n", note_kind_name(n->kind),
			      n->key, *n->key ? ": " : "", n->text);
	}
}

/* Annotations that shape the sandbox and not the line, or are not for it. */
static void print_others(const struct cmdline_args *a, FILE *to)
{
	for (size_t i = 0; i < a->annotations.n; i++) {
		const struct annotation *one = &a->annotations.item[i];
		const struct annotation_row *row = annotation_find(one->key);
		char key[SHOWN_SIZE], value[SHOWN_SIZE];

		(void)shown(key, one->key);
		if (!row && !annotation_is_ours(one->key))
			(void)fprintf(to, "%-10s %s: not ferry's\n", "passed",
				      key);
		else if (row && row->use != USE_UNREAD)
			(void)fprintf(to, "%-10s %s=%s: %s\n",
				      row->use == USE_GUEST ? "passed" : "read",
				      key, shown(value, one->value),
				      row->summary);
	}
}

int cmdline_explain_print(const struct sandbox_options *o,
			  const struct cmdline_args *a, FILE *to, struct err *e)
{
	static char line[CMDLINE_COMPAT_SIZE];
	struct table t = { .args = a, .to = to };
	int r;

	(void)fprintf(to, "%5s  %-*s  %-*s  %s\n", "bytes", WORD_WIDTH, "word",
		      RULE_WIDTH, "what for", "from");
	r = cmdline_explain(o, line, sizeof(line), print_word, &t, e);
	if (r < 0)
		return r;
	(void)fprintf(to, "%5zu  of %u bytes\n\n", t.bytes, CMDLINE_MAX);
	print_others(a, to);
	print_notes(o, to);
	return 0;
}
