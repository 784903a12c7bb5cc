#include "tools/metrics_text.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "config/util.h"

#define NAME_MAX_BYTES 128u
#define LINE_BYTES 4096u
/* The first label of each sample. */
#define OWN_LABEL "sandbox"

/* A metric's or a label's name; colons are for rules of the server. */
static bool is_name(const char *name)
{
	size_t i = 0;

	for (; name[i]; i++) {
		const char c = name[i];
		const bool letter = (c >= 'a' && c <= 'z') ||
				    (c >= 'A' && c <= 'Z') || c == '_';

		if (!letter && !(i > 0 && c >= '0' && c <= '9'))
			return false;
	}
	return i > 0 && i < NAME_MAX_BYTES;
}

static bool is_one_of(const char *word, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(word, list[i]) == 0)
			return true;
	return false;
}

void metrics_text_init(struct metrics_text *m)
{
	m->n = 0;
	m->lines = 0;
	arena_init(&m->arena, METRICS_BYTES_MAX);
}

void metrics_text_done(struct metrics_text *m)
{
	arena_done(&m->arena);
	m->n = 0;
}

int metrics_text_group(struct metrics_text *m, const char *name,
		       const char *help, const char *type,
		       struct metrics_group **ret, struct err *e)
{
	static const char *const types[] = { "counter", "gauge", "histogram" };
	struct metrics_group *g = m->group;

	while (g < m->group + m->n && strcmp(g->name, name) != 0)
		g++;
	if (g < m->group + m->n) {
		*ret = g;
		return strcmp(g->type, type) == 0
			       ? 0
			       : err_set(e, EINVAL, "metric %s has two types",
					 name);
	}
	if (!is_name(name) || !is_one_of(type, types, ARRAY_LEN(types)))
		return err_set(e, EINVAL, "'%.60s' is no metric", name);
	if (m->n == METRICS_MAX)
		return err_set(e, E2BIG, "more than %u metrics", METRICS_MAX);
	*g = (struct metrics_group){
		.name = arena_strn(&m->arena, name, strlen(name)),
		.help = arena_strn(&m->arena, help, strlen(help)),
		.type = arena_strn(&m->arena, type, strlen(type)),
	};
	if (!g->name || !g->help || !g->type)
		return err_set(e, ENOMEM, "no memory for metrics");
	m->n++;
	*ret = g;
	return 0;
}

/* --- one line ---------------------------------------------------------------- */

/* Backslash and line feed everywhere, quotes in values of labels. */
static void escape(struct text *t, const char *s, bool quotes)
{
	for (; *s; s++) {
		if (*s == '\\')
			text_add(t, "\\\\");
		else if (*s == '\n')
			text_add(t, "\\n");
		else if (*s == '"' && quotes)
			text_add(t, "\\\"");
		else
			text_addc(t, *s);
	}
}

static void put_number(struct text *t, double value)
{
	if (isnan(value))
		text_add(t, "NaN");
	else if (isinf(value))
		text_add(t, value > 0 ? "+Inf" : "-Inf");
	else
		text_addf(t, "%.17g", value);
}

static void put_label(struct text *t, const char *name, const char *value)
{
	text_addf(t, "%s=\"", name);
	escape(t, value, true);
	text_addc(t, '"');
}

int metrics_text_sample(struct metrics_text *m, struct metrics_group *g,
			const char *sandbox, const struct metrics_sample *s,
			struct err *e)
{
	static const char *const suffixes[] = { "", "_bucket", "_sum",
						"_count" };
	struct metrics_line *line = arena_array(&m->arena, 1, sizeof(*line));
	char buf[LINE_BYTES];
	struct text t;

	text_fixed(&t, buf, sizeof(buf));
	if (!is_one_of(s->suffix, suffixes, ARRAY_LEN(suffixes)))
		return err_set(e, EINVAL, "metric %s: what is '%.20s'?",
			       g->name, s->suffix);
	text_addf(&t, "%s%s{", g->name, s->suffix);
	put_label(&t, OWN_LABEL, sandbox);
	for (size_t i = 0; i < s->n_labels; i++) {
		if (!is_name(s->label[2 * i]) ||
		    strcmp(s->label[2 * i], OWN_LABEL) == 0)
			return err_set(e, EINVAL,
				       "metric %s: '%.60s' is no label",
				       g->name, s->label[2 * i]);
		text_addc(&t, ',');
		put_label(&t, s->label[2 * i], s->label[2 * i + 1]);
	}
	text_add(&t, "} ");
	put_number(&t, s->value);
	if (t.full || m->lines == METRICS_LINES_MAX)
		return err_set(e, E2BIG, "metric %s is too long", g->name);
	if (line)
		*line = (struct metrics_line){
			.text = arena_strn(&m->arena, buf, t.len),
		};
	if (!line || !line->text)
		return err_set(e, ENOMEM, "no memory for metrics");
	if (g->last)
		g->last->next = line;
	else
		g->first = line;
	g->last = line;
	m->lines++;
	return 0;
}

void metrics_text_print(const struct metrics_text *m, struct text *out)
{
	for (const struct metrics_group *g = m->group; g < m->group + m->n;
	     g++) {
		text_addf(out, "# HELP %s ", g->name);
		escape(out, g->help, false);
		text_addf(out, "\n# TYPE %s %s\n", g->name, g->type);
		for (const struct metrics_line *l = g->first; l; l = l->next) {
			text_add(out, l->text);
			text_addc(out, '\n');
		}
	}
}
