/* config/notes.h - what a reader of a result should know; bounded, in order */
#ifndef FERRY_CONFIG_NOTES_H
#define FERRY_CONFIG_NOTES_H

#include <stddef.h>

#include "config/arena.h"
#include "config/err.h"

/* More notes than this are counted, not kept. */
#define NOTES_MAX 256u

enum note_kind {
	NOTE_WARNING,	/* something in the input is not as it should be */
	NOTE_IGNORED,	/* an annotation that sets nothing here */
	NOTE_DEFAULTED, /* malformed: the default stands (compat) */
	NOTE_CLAMPED,	/* a number was moved into its range */
	NOTE_EXPANDED,	/* an annotation was written by another one */
	NOTE_REFUSED,	/* what strict mode would refuse (compat) */
	NOTE_KINDS,	/* number of kinds */
};

/**
 * struct note - one remark
 * @kind:	what happened
 * @class:	the error class that it is in strict mode, or ERR_NONE
 * @key:	the annotation that it is about, "" for none
 * @text:	one sentence without a full stop, safe to print
 */
struct note {
	enum note_kind kind;
	enum err_class class;
	const char *key;
	const char *text;
};

/**
 * struct notes - the list
 * @item:	in the order of their making; strings belong to the arena that
 *		was given to notes_add()
 * @n:		notes kept
 * @dropped:	notes that found no room
 */
struct notes {
	struct note item[NOTES_MAX];
	size_t n;
	size_t dropped;
};

/** notes_add() - append a remark; without room it is counted only */
void notes_add(struct notes *l, struct arena *a, enum note_kind kind,
	       enum err_class class, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/** note_kind_name() - "warning", "ignored", ... */
const char *note_kind_name(enum note_kind kind);

#endif
