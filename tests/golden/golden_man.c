/*
 * tests/golden/golden_man.c - the parts of the manual that are tables of the
 * code: compared with it, or written from it
 *
 *	golden-man		compare, one verdict a part
 *	golden-man --write	put the present tables into docs/
 *
 * A part of a page lies between the comments ".\" generated: NAME" and ".\"
 * end". Run from the root of the tree.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/annotations.h"
#include "config/conf.h"
#include "config/err.h"
#include "config/migratable.h"
#include "config/text.h"
#include "config/util.h"

#define PAGE_MAX ((size_t)1024 * 1024)
#define BEGIN ".\\\" generated: "
#define END ".\\\" end\n"

/* Text of a line in roff: no leading dot or quote, no live backslash. */
static void roff(struct text *t, const char *s)
{
	if (*s == '.' || *s == '\'')
		text_add(t, "\\&");
	for (; *s != '\0'; s++) {
		if (*s == '\\')
			text_add(t, "\\e");
		else if (*s == '-')
			text_add(t, "\\-");
		else
			text_addc(t, *s);
	}
}

/* "Summary." from a phrase. */
static void sentence(struct text *t, const char *phrase)
{
	char first[2] = { phrase[0], '\0' };

	if (first[0] >= 'a' && first[0] <= 'z')
		first[0] = (char)(first[0] - 'a' + 'A');
	if (strncmp(phrase, "initrd", 6) == 0) /* a value, not a word */
		first[0] = 'i';
	roff(t, first);
	roff(t, phrase + 1);
	text_add(t, ".\n");
}

static void range(struct text *t, const struct annotation_row *row)
{
	if (row->max == UINT64_MAX)
		text_addf(t, ", at least %llu", (unsigned long long)row->min);
	else if (row->max)
		text_addf(t, ", %llu to %llu", (unsigned long long)row->min,
			  (unsigned long long)row->max);
}

static void one_annotation(struct text *t, const struct annotation_row *row)
{
	text_add(t, ".It Sy ");
	roff(t, row->key);
	if (row->use == USE_PREFIX)
		text_add(t, " Ns Ar GUID");
	text_addf(t, "\n(%s", value_kind_name(row->kind));
	range(t, row);
	if (row->deflt_note)
		text_addf(t, "; default: %s", row->deflt_note);
	else if (row->deflt && *row->deflt != '\0')
		text_addf(t, "; default: %s", row->deflt);
	text_add(t, ")\n");
	sentence(t, row->summary);
	if (row->use == USE_REFUSED)
		text_add(t, "Any text but the empty one is refused.\n");
	if (row->not_migratable) {
		text_add(t, "Not in a migratable sandbox: ");
		roff(t, row->not_migratable);
		text_add(t, ".\n");
	}
	if (row->locked)
		text_add(t, "Locked.\n");
}

static void of_scope(struct text *t, bool sandbox)
{
	text_add(t, ".Bl -tag -width Ds\n");
	for (size_t i = 0; i < annotation_rows_n; i++)
		if ((annotation_rows[i].scope != SCOPE_CONTAINER) == sandbox)
			one_annotation(t, &annotation_rows[i]);
	text_add(t, ".El\n");
}

static void sandbox_annotations(struct text *t)
{
	of_scope(t, true);
}

static void container_annotations(struct text *t)
{
	of_scope(t, false);
}

static void migration_rules(struct text *t)
{
	text_add(t, ".Bl -bullet -compact\n");
	for (size_t i = 0; i < MIGRATABLE_RULES; i++) {
		text_add(t, ".It\n");
		roff(t, migratable_rules[i].what);
		text_add(t, ": ");
		roff(t, migratable_rules[i].why);
		text_addc(t, '\n');
	}
	text_add(t, ".El\n");
}

static void grammar(struct text *t, const struct conf_row *row)
{
	switch (row->kind) {
	case CONF_BOOL:
		text_add(t, "true or false");
		break;
	case CONF_U32:
		text_addf(t, "%u to %u", row->min, row->max);
		break;
	case CONF_STRING:
		text_add(t, "text");
		break;
	case CONF_CHOICE:
		for (const char *p = row->choices; *p != '\0'; p++) {
			if (*p == '|')
				text_add(t, ", ");
			else
				text_addc(t, *p);
		}
		break;
	}
}

static void settings(struct text *t)
{
	const char *section = "";

	for (size_t i = 0; i < CONF_KEYS; i++) {
		const struct conf_row *row = conf_row((enum conf_key)i);

		if (strcmp(section, row->section) != 0) {
			text_addf(t, "%s.Ss [%s]\n.Bl -tag -width Ds\n",
				  *section ? ".El\n" : "", row->section);
			section = row->section;
		}
		text_addf(t, ".It Sy %s\n(", row->key);
		grammar(t, row);
		if (*row->fallback != '\0')
			text_addf(t, "; default: %s", row->fallback);
		text_add(t, ")\n");
		sentence(t, row->help);
	}
	text_add(t, ".El\n");
}

static void classes(struct text *t)
{
	for (int i = ERR_NONE + 1; i < ERR_CLASSES; i++)
		text_addf(t, ".Sy %s%s\n", err_class_name((enum err_class)i),
			  i + 1 < ERR_CLASSES ? " ," : "");
}

static const struct {
	const char *page;
	const char *part;
	void (*make)(struct text *t);
} parts[] = {
	{ "docs/ferry-annotations.7", "sandbox", sandbox_annotations },
	{ "docs/ferry-annotations.7", "container", container_annotations },
	{ "docs/ferry-annotations.7", "migration", migration_rules },
	{ "docs/ferry.conf.5", "settings", settings },
	{ "docs/ferry-cmdline.1", "classes", classes },
};

static bool read_page(const char *path, struct text *t)
{
	char buf[4096];
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return false;
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		text_addn(t, buf, n);
	return fclose(f) == 0 && !t->full;
}

static bool write_page(const char *path, const struct text *t)
{
	FILE *f = fopen(path, "we");

	bool ok;

	if (!f)
		return false;
	ok = fwrite(t->buf, 1, t->len, f) == t->len;
	return fclose(f) == 0 && ok;
}

/* Where the part lies in the page, without its two marks. */
static bool find_part(const char *page, const char *part, const char **from,
		      const char **to)
{
	char mark[64];

	(void)snprintf(mark, sizeof(mark), BEGIN "%s\n", part);
	*from = strstr(page, mark);
	if (!*from)
		return false;
	*from += strlen(mark);
	*to = strstr(*from, END);
	return *to != NULL;
}

static bool replace(const char *path, const struct text *page, const char *from,
		    const char *to, const struct text *now)
{
	struct text t;
	bool ok;

	text_heap(&t, PAGE_MAX);
	text_addn(&t, page->buf, (size_t)(from - page->buf));
	text_addn(&t, now->buf, now->len);
	text_add(&t, to);
	ok = !t.full && write_page(path, &t);
	text_done(&t);
	return ok;
}

static bool check(size_t i, bool write)
{
	const char *from, *to;
	struct text page, now;
	bool ok;

	text_heap(&page, PAGE_MAX);
	text_heap(&now, PAGE_MAX);
	parts[i].make(&now);
	ok = read_page(parts[i].page, &page) && !now.full &&
	     find_part(text_str(&page), parts[i].part, &from, &to);
	if (ok && write)
		ok = replace(parts[i].page, &page, from, to, &now);
	else if (ok)
		ok = (size_t)(to - from) == now.len &&
		     memcmp(from, now.buf, now.len) == 0;
	text_done(&page);
	text_done(&now);
	return ok;
}

int main(int argc, char **argv)
{
	const bool write = argc == 2 && strcmp(argv[1], "--write") == 0;
	int passed = 0, failed = 0;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (check(i, write)) {
			passed++;
			continue;
		}
		failed++;
		(void)printf("FAIL %s, part %s: not what the code says; "
			     "golden-man --write\n",
			     parts[i].page, parts[i].part);
	}
	(void)printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}
