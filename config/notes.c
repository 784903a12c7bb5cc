#include "config/notes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/text.h"
#include "config/util.h"

/* A note quotes at most this much of a key. */
#define KEY_MAX 128
#define TEXT_MAX 512

static const char *const names[] = {
	[NOTE_WARNING] = "warning",	[NOTE_IGNORED] = "ignored",
	[NOTE_DEFAULTED] = "defaulted", [NOTE_CLAMPED] = "clamped",
	[NOTE_EXPANDED] = "expanded",	[NOTE_REFUSED] = "refused",
};
static_assert(ARRAY_LEN(names) == NOTE_KINDS, "a kind of note has no name");

const char *note_kind_name(enum note_kind kind)
{
	return names[kind];
}

/* A key is foreign text: only its safe form is kept. */
static const char *safe_key(struct arena *a, const char *key)
{
	char buf[4 * KEY_MAX + 4];
	struct text t;

	text_fixed(&t, buf, sizeof(buf));
	text_quote(&t, key, KEY_MAX);
	return arena_strn(a, text_str(&t), t.len);
}

void notes_add(struct notes *l, struct arena *a, enum note_kind kind,
	       enum err_class class, const char *key, const char *fmt, ...)
{
	char text[TEXT_MAX];
	struct note note = { .kind = kind, .class = class };
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut is fine */
	va_end(ap);

	if (l->n < NOTES_MAX) {
		note.key = safe_key(a, key);
		note.text = arena_strn(a, text, strlen(text));
	}
	if (note.key && note.text)
		l->item[l->n++] = note;
	else
		l->dropped++;
}
