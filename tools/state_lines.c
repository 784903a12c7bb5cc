/* Two states side by side: as lines, each of which says where it stands. */
#include "tools/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "bridge/json_check.h"

struct lines {
	char **line;
	size_t n;
	size_t room;
	bool failed;
};

static void add(struct lines *l, const char *path, const char *value)
{
	char *line = NULL, *p;

	if (l->n == l->room) {
		const size_t room = l->room ? 2 * l->room : 64;
		char **grown = realloc(l->line, room * sizeof(*grown));

		if (!grown) {
			l->failed = true;
			return;
		}
		l->line = grown;
		l->room = room;
	}
	if (asprintf(&line, "%s = %s\n", path, value) < 0) {
		l->failed = true;
		return;
	}
	for (p = line; *p && *(p + 1); p++) /* keys are a peer's */
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	l->line[l->n++] = line;
}

/* An element of an array goes by its id, so that a new one moves no other. */
static const char *name_of(json_object *o, size_t i, char buf[24])
{
	static const char *const keys[] = { "podId", "containerId" };
	json_object *v = NULL;
	size_t k;

	for (k = 0; k < 2 && json_object_is_type(o, json_type_object); k++)
		if (json_object_object_get_ex(o, keys[k], &v))
			return json_object_get_string(v);
	(void)snprintf(buf, 24, "%zu", i);
	return buf;
}

static void flatten(struct lines *l, const char *path, json_object *o,
		    unsigned depth)
{
	char *inner = NULL;
	char buf[24];
	size_t i;

	if (l->failed || depth > JSON_DEPTH_MAX)
		return;
	if (json_object_is_type(o, json_type_object)) {
		json_object_object_foreach(o, key, value)
		{
			if (strcmp(key, "@type") == 0)
				continue;
			if (asprintf(&inner, "%s%s%s", path, path[0] ? "." : "",
				     key[0] ? key : "\"\"") < 0) {
				l->failed = true;
				return;
			}
			flatten(l, inner, value, depth + 1);
			free(inner);
		}
		return;
	}
	if (!json_object_is_type(o, json_type_array)) {
		add(l, path, json_object_to_json_string(o));
		return;
	}
	for (i = 0; i < json_object_array_length(o); i++) {
		json_object *v = json_object_array_get_idx(o, i);

		if (asprintf(&inner, "%s[%s]", path, name_of(v, i, buf)) < 0) {
			l->failed = true;
			return;
		}
		flatten(l, inner, v, depth + 1);
		free(inner);
	}
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int state_lines(const char *json, struct text *out)
{
	struct lines l = { 0 };
	json_object *o = json_tokener_parse(json);
	size_t i;

	if (!o)
		return -EINVAL;
	flatten(&l, "", o, 0);
	json_object_put(o);
	if (l.n > 0)
		qsort(l.line, l.n, sizeof(*l.line), by_text);
	for (i = 0; i < l.n; i++) {
		if (!l.failed)
			text_add(out, l.line[i]);
		free(l.line[i]);
	}
	free(l.line);
	return l.failed || out->full ? -ENOMEM : 0;
}

static size_t line_len(const char *p)
{
	const char *end = strchr(p, '\n');

	return end ? (size_t)(end - p) + 1 : strlen(p);
}

static void put(struct text *out, char sign, const char *p, size_t n)
{
	text_addc(out, sign);
	text_addc(out, ' ');
	text_addn(out, p, n);
}

size_t state_diff(const char *a, const char *b, struct text *out)
{
	size_t count = 0;

	while (*a || *b) {
		const size_t na = line_len(a), nb = line_len(b);
		const size_t n = na < nb ? na : nb;
		int r = strncmp(a, b, n);

		if (r == 0)
			r = na < nb ? -1 : na > nb;
		if (!*a)
			r = 1;
		else if (!*b)
			r = -1;
		if (r < 0) {
			put(out, '-', a, na);
			count++;
		} else if (r > 0) {
			put(out, '+', b, nb);
			count++;
		}
		a += r <= 0 ? na : 0;
		b += r >= 0 ? nb : 0;
	}
	return count;
}

void state_diff_json(const char *diff, struct text *out)
{
	json_object *all = json_object_new_object();
	json_object *removed = json_object_new_array();
	json_object *added = json_object_new_array();

	for (; *diff; diff += line_len(diff)) {
		const size_t n = line_len(diff);

		if (n > 3)
			(void)json_object_array_add(
				*diff == '-' ? removed : added,
				json_object_new_string_len(diff + 2,
							   (int)(n - 3)));
	}
	(void)json_object_object_add(all, "removed", removed);
	(void)json_object_object_add(all, "added", added);
	text_add(out, json_object_to_json_string(all));
	text_addc(out, '\n');
	json_object_put(all);
}
