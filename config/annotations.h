/*
 * config/annotations.h - the catalogue: every annotation that ferry knows
 *
 * One table is the truth for parsing, ranges, migration, explanations and the
 * manual page. A key that has no row is unknown.
 * Source: shared specification cmdline.md 4, 5, 11.
 */
#ifndef FERRY_CONFIG_ANNOTATIONS_H
#define FERRY_CONFIG_ANNOTATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/annotation_map.h"
#include "config/err.h"
#include "config/notes.h"
#include "config/value.h"

enum annotation_scope {
	SCOPE_SANDBOX,
	SCOPE_CONTAINER,
	SCOPE_BOTH,
};

enum annotation_use {
	USE_MEMBER,  /* sets a member of struct sandbox_options */
	USE_GUEST,   /* read elsewhere: by the agent or the shim */
	USE_EXPANDS, /* writes other annotations */
	USE_REFUSED, /* any text but the empty one is an error */
	USE_UNREAD,  /* known to the reference, read by nobody */
	USE_PREFIX,  /* the row's key is only the beginning of the key */
};

/* @member of a row that sets none. */
#define ANNOTATION_NO_MEMBER SIZE_MAX

/**
 * struct annotation_row - one annotation
 * @key:	exact key; USE_PREFIX: what keys begin with
 * @kind:	grammar of the value
 * @scope:	whose annotation
 * @use:	what becomes of it
 * @member:	offset in struct sandbox_options, of the C type of @kind
 * @deflt:	default as text of @kind, NULL: the zero value of the type
 * @deflt_note:	the default in words where it is not a constant, else NULL
 * @min:	strict mode: smallest number (each of a list)
 * @max:	strict mode: largest; 0: no range beyond the kind's
 * @locked:	it shapes the UVM: once a migratable sandbox is built, no later
 *		value may differ (config/annotation_lock.h)
 * @not_migratable: why a migratable sandbox may not set it (to something else
 *		than the zero value), NULL: it may
 * @summary:	what it does, a phrase without a full stop
 */
struct annotation_row {
	const char *key;
	enum value_kind kind;
	enum annotation_scope scope;
	enum annotation_use use;
	size_t member;
	const char *deflt;
	const char *deflt_note;
	uint64_t min;
	uint64_t max;
	bool locked;
	const char *not_migratable;
	const char *summary;
};

extern const struct annotation_row annotation_rows[];
extern const size_t annotation_rows_n;

/** annotation_find() - the row of a key, exactly; NULL: not in the catalogue */
const struct annotation_row *annotation_find(const char *key);

/**
 * annotation_is_ours() - does a key that has no row begin like those that do?
 *
 * Such a key is most likely misspelt. Keys below io.kubernetes.cri. are left
 * alone: containerd puts a dozen of its own there.
 */
bool annotation_is_ours(const char *key);

/**
 * annotations_merge() - add each default whose key the map does not have
 *
 * Return: 0, or as annotation_map_set()
 */
int annotations_merge(struct annotation_map *m,
		      const struct annotation_map *defaults, struct err *e);

/**
 * annotations_expand() - carry out annotations that write others, in place
 * @m:		map; on a conflict the other targets are written all the same
 * @by_meaning:	"true" and "True" agree; else only equal texts do
 * @notes:	receives a note for each key written, NULL: no notes
 * @a:		owner of the notes' texts
 * @e:		annotation-conflict
 *
 * Return: 0, -EINVAL, -ENOMEM
 */
int annotations_expand(struct annotation_map *m, bool by_meaning,
		       struct notes *notes, struct arena *a, struct err *e);

/**
 * annotations_refuse() - is there one that is no longer supported?
 *
 * Return: 0, -EINVAL (annotation-unsupported)
 */
int annotations_refuse(const struct annotation_map *m, struct err *e);

#endif
