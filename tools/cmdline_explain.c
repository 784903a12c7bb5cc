/*
 * Theory of operation. The builder tells of each word with the annotation and
 * the option that it can come from (struct cmdline_origin); which of them it
 * was this time follows from what was given, in the order of ferry.conf(5).
 * The verdicts on annotations are the builder's notes. Of a sandbox that is
 * refused the builder tells only the first reason; so each annotation is then
 * tried alone, and those that are wrong by themselves are listed.
 */
#include "tools/cmdline_explain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmdline/build.h"
#include "config/annotations.h"
#include "config/text.h"
#include "config/util.h"

#define ARENA_MAX (64ul * 1024 * 1024)

/* A note shows so much of a key, see notes_add(). */
#define NOTE_KEY_MAX 128

/* Which setting of a file stands for which option. */
static const struct {
	const char *option;
	enum conf_key key;
	bool wins; /* over an annotation that is there as well */
} options[] = {
	{ "--profile", CONF_BOOT_PROFILE, false },
	{ "--console", CONF_BOOT_CONSOLE, false },
	{ "--processors", CONF_SANDBOX_PROCESSORS, false },
	{ "--log-level", CONF_LOG_LEVEL, false },
	{ "--scrub-logs", CONF_LOG_SCRUB, false },
	{ "--forwarder", CONF_LOG_FORWARDER, true },
	{ "--rootfs", CONF_KEYS, true }, /* no setting */
};

/* While it is made. */
struct maker {
	struct explain *x;
	const struct cmdline_args *a;
	bool no_memory;
};

static const char *copy(struct maker *m, const char *s)
{
	const char *c = arena_strn(&m->x->arena, s, strlen(s));

	m->no_memory |= !c;
	return c;
}

/* The option on the command line, or the setting of a file that stands for it.
 */
static bool from_option(const struct maker *m, const char *option,
			struct explain_source *ret)
{
	const struct conf_value *v;

	if (cmdline_args_given(m->a, option)) {
		*ret = (struct explain_source){ "option", option, NULL, NULL };
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		if (strcmp(options[i].option, option) != 0 ||
		    options[i].key == CONF_KEYS)
			continue;
		v = &m->a->conf.value[options[i].key];
		if (strcmp(v->origin, "default") == 0)
			continue;
		*ret = (struct explain_source){ "file",
						conf_row(options[i].key)->key,
						v->text, v->origin };
		return true;
	}
	return false;
}

/* A text that compat mode could not read leaves the default standing. */
static bool is_readable(const char *key, const char *value)
{
	const struct annotation_row *row = annotation_find(key);
	uint64_t room[2];
	struct arena a;
	int r;

	arena_init(&a, ANNOTATIONS_BYTES_MAX);
	r = row ? value_parse(row->kind, value, &a, room) : 0;
	arena_done(&a);
	return r == 0;
}

static bool from_annotation(const struct maker *m, const char *key,
			    struct explain_source *ret)
{
	const struct cmdline_args *a = m->a;
	const char *value = annotation_map_get(&a->annotations, key);
	const char *where = NULL;

	if (!value) {
		value = annotation_map_get(&a->conf.annotations, key);
		where = annotation_map_get(&a->conf.origins, key);
	}
	if (!value || !is_readable(key, value))
		return false;
	*ret = (struct explain_source){ where ? "file" : "annotation", key,
					value, where };
	return true;
}

static bool wins(const char *option)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (strcmp(options[i].option, option) == 0)
			return options[i].wins;
	return false;
}

static struct explain_source find_source(const struct maker *m,
					 const struct cmdline_origin *from)
{
	struct explain_source s = { "always", NULL, NULL, NULL };

	if (!from->key && !from->option)
		return s;
	s.kind = "default";
	if (from->option && wins(from->option) &&
	    from_option(m, from->option, &s))
		return s;
	if (from->key && from_annotation(m, from->key, &s))
		return s;
	if (from->older_key && from_annotation(m, from->older_key, &s))
		return s;
	if (from->option)
		(void)from_option(m, from->option, &s);
	return s;
}

static void take_word(void *ctx, const char *word,
		      const struct cmdline_origin *from)
{
	struct maker *m = ctx;
	struct explain *x = m->x;
	struct explain_word *w;

	if (x->n_words == EXPLAIN_MAX)
		return;
	w = &x->word[x->n_words++];
	w->text = copy(m, word);
	w->bytes = strlen(word) + (x->bytes ? 1 : 0);
	w->rule = from->rule;
	w->from = find_source(m, from);
	x->bytes += w->bytes;
}

static int take_words(struct maker *m, const struct sandbox_options *o,
		      struct err *e)
{
	char *line = malloc(CMDLINE_COMPAT_SIZE);
	int r;

	if (!line)
		return err_set(e, ENOMEM, "no memory");
	r = cmdline_explain(o, line, CMDLINE_COMPAT_SIZE, take_word, m, e);
	free(line);
	return r < 0 ? r : 0;
}

static void judge(struct maker *m, const struct explain_annotation *verdict)
{
	struct explain *x = m->x;

	if (x->n_annotations < EXPLAIN_MAX)
		x->annotation[x->n_annotations++] = *verdict;
}

/* Is the note about this key? It holds the key's safe form. */
static bool is_about(const struct note *n, const char *key)
{
	char safe[4 * NOTE_KEY_MAX + 4];
	struct text t;

	text_fixed(&t, safe, sizeof(safe));
	text_quote(&t, key, NOTE_KEY_MAX);
	return strcmp(text_str(&t), n->key) == 0;
}

/* Each note about it is a verdict; return: how many there are. */
static size_t judge_by_notes(struct maker *m, const struct notes *notes,
			     struct explain_annotation v)
{
	size_t n = 0;

	for (size_t i = 0; i < notes->n; i++) {
		const struct note *note = &notes->item[i];

		if (note->kind == NOTE_EXPANDED || !is_about(note, v.key))
			continue;
		v.verdict = note_kind_name(note->kind);
		v.class = note->class;
		v.why = copy(m, note->text);
		judge(m, &v);
		n++;
	}
	return n;
}

/* Is this class about one annotation, whatever else there is? */
static bool is_own_fault(enum err_class class)
{
	static const enum err_class own[] = {
		ERR_ANNOTATION_MALFORMED,
		ERR_ANNOTATION_RANGE,
		ERR_ANNOTATION_UNSUPPORTED,
		ERR_ANNOTATION_UNKNOWN,
		ERR_TEXT_INVALID,
		ERR_TEXT_QUOTE,
		ERR_TEXT_SEPARATOR,
		ERR_TEXT_RESERVED,
		ERR_TEXT_STRAY_WORD,
		ERR_POLICY_ENCODING,
		ERR_RESOURCE_PARTITION_INVALID,
		ERR_CONSOLE_INVALID,
		ERR_ROOTFS_TYPE_INVALID,
	};

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (own[i] == class)
			return true;
	return false;
}

/* Builds a strict sandbox from this annotation alone. */
static bool judge_alone(struct maker *m, struct explain_annotation v)
{
	struct runtime_options r = m->a->runtime;
	struct sandbox_options o;
	struct annotation_map one;
	char line[CMDLINE_SIZE];
	struct err e = { 0 };

	r.strictness = STRICT;
	r.defaults = NULL;
	sandbox_options_init(&o);
	annotation_map_init(&one);
	if (annotation_map_set(&one, v.key, v.value, &e) == 0 &&
	    sandbox_options_build(&o, &one, &r, &e) == 0)
		(void)cmdline_build(&o, line, sizeof(line), &e);
	annotation_map_done(&one);
	sandbox_options_done(&o);
	if (!is_own_fault(e.class))
		return false;

	v.verdict = "refused";
	v.class = e.class;
	v.why = copy(m, e.text);
	judge(m, &v);
	return true;
}

static void judge_one(struct maker *m, const struct sandbox_options *o,
		      struct explain_annotation v)
{
	const struct annotation_row *row = annotation_find(v.key);
	size_t n = judge_by_notes(m, &o->notes, v);

	/* In compat mode: what strict mode would refuse. */
	if (m->x->failure.code || m->a->runtime.strictness == COMPAT)
		n += judge_alone(m, v);
	if (n)
		return;
	/* A sandbox that is refused early has no notes of these two. */
	if (!row && annotation_is_ours(v.key)) {
		v.verdict = note_kind_name(NOTE_WARNING);
		v.class = ERR_ANNOTATION_UNKNOWN;
		v.why = "there is no such annotation";
	} else if (!row) {
		v.verdict = "passed";
		v.why = "not ferry's";
	} else if (row->use == USE_UNREAD) {
		v.verdict = note_kind_name(NOTE_IGNORED);
		v.why = "nothing reads this annotation";
	} else {
		v.verdict = row->use == USE_GUEST ? "passed" : "used";
		v.why = row->summary;
	}
	judge(m, &v);
}

/* What other annotations wrote. */
static void judge_expanded(struct maker *m, const struct notes *notes)
{
	for (size_t i = 0; i < notes->n; i++) {
		const struct note *n = &notes->item[i];
		struct explain_annotation v = { .verdict = "expanded",
						.value = "" };

		if (n->kind != NOTE_EXPANDED)
			continue;
		v.key = copy(m, n->key);
		v.why = copy(m, n->text);
		judge(m, &v);
	}
}

static void judge_all(struct maker *m, const struct sandbox_options *o)
{
	const struct annotation_map *own = &m->a->annotations;
	const struct annotation_map *file = &m->a->conf.annotations;

	for (size_t i = 0; i < own->n; i++)
		judge_one(m, o,
			  (struct explain_annotation){
				  .key = own->item[i].key,
				  .value = own->item[i].value });
	for (size_t i = 0; i < file->n; i++) {
		struct explain_annotation v = { .key = file->item[i].key,
						.value = file->item[i].value,
						.where = annotation_map_get(
							&m->a->conf.origins,
							file->item[i].key) };

		if (!annotation_map_get(own, v.key)) {
			judge_one(m, o, v);
			continue;
		}
		v.verdict = "ignored";
		v.why = "the sandbox has its own";
		judge(m, &v);
	}
	judge_expanded(m, &o->notes);
	for (size_t i = 0; i < o->notes.n; i++)
		if (*o->notes.item[i].key == '\0')
			judge(m,
			      &(struct explain_annotation){
				      .key = "",
				      .value = "",
				      .verdict = "warning",
				      .why = copy(m, o->notes.item[i].text) });
}

int explain_new(const struct sandbox_options *o, const struct cmdline_args *a,
		const struct err *failure, struct explain **ret, struct err *e)
{
	struct explain *x = calloc(1, sizeof(*x));
	struct maker m = { .x = x, .a = a };
	int r = 0;

	if (!x)
		return err_set(e, ENOMEM, "no memory");
	arena_init(&x->arena, ARENA_MAX);
	x->word = calloc(EXPLAIN_MAX, sizeof(*x->word));
	x->annotation = calloc(EXPLAIN_MAX, sizeof(*x->annotation));
	if (!x->word || !x->annotation)
		r = err_set(e, ENOMEM, "no memory");
	if (failure)
		x->failure = *failure;
	if (r == 0 && !failure)
		r = take_words(&m, o, e);
	if (r == 0)
		judge_all(&m, o);
	if (r == 0 && m.no_memory)
		r = err_set(e, ENOMEM, "no memory");
	if (r < 0)
		explain_free(x);
	else
		*ret = x;
	return r;
}

void explain_free(struct explain *x)
{
	if (!x)
		return;
	free(x->word);
	free(x->annotation);
	arena_done(&x->arena);
	free(x);
}
