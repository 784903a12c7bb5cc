/* config/annotation_map.h - annotations as they came: keys and texts */
#ifndef FERRY_CONFIG_ANNOTATION_MAP_H
#define FERRY_CONFIG_ANNOTATION_MAP_H

#include <stddef.h>

#include "config/arena.h"
#include "config/err.h"

/* Bounds of what a user or a peer may hand in. */
#define ANNOTATIONS_MAX 4096u
#define ANNOTATIONS_BYTES_MAX ((size_t)16 * 1024 * 1024)
#define ANNOTATION_KEY_MAX 1024u

/* One pair; both strings belong to the map. */
struct annotation {
	const char *key;
	const char *value;
};

/**
 * struct annotation_map - UTF-8 text to UTF-8 text, exact keys, sorted by key
 * @item:	pairs in byte order of their keys, each key once
 * @n:		number of pairs
 * @room:	pairs that @item has room for
 * @arena:	owns the strings
 */
struct annotation_map {
	struct annotation *item;
	size_t n;
	size_t room;
	struct arena arena;
};

/** annotation_map_init() - an empty map */
void annotation_map_init(struct annotation_map *m);

/** annotation_map_done() - release it; it is empty and usable again */
void annotation_map_done(struct annotation_map *m);

/**
 * annotation_map_set() - add a pair, or replace the value of a key
 * @m:		map; strings are copied
 * @key:	not empty, at most ANNOTATION_KEY_MAX bytes
 * @value:	any text
 * @e:		names the limit that was passed
 *
 * Return: 0, -EINVAL (bad key), -E2BIG (too many, too large), -ENOMEM
 */
int annotation_map_set(struct annotation_map *m, const char *key,
		       const char *value, struct err *e);

/** annotation_map_get() - the value of a key, exactly; NULL when absent */
const char *annotation_map_get(const struct annotation_map *m, const char *key);

/**
 * annotation_map_copy() - make @to (initialised) hold also all pairs of @from
 *
 * Return: 0, or as annotation_map_set()
 */
int annotation_map_copy(struct annotation_map *to,
			const struct annotation_map *from, struct err *e);

#endif
