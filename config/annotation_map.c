#include "config/annotation_map.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "config/text.h"

#define FIRST_ROOM 32

void annotation_map_init(struct annotation_map *m)
{
	*m = (struct annotation_map){ 0 };
	arena_init(&m->arena, ANNOTATIONS_BYTES_MAX);
}

void annotation_map_done(struct annotation_map *m)
{
	free(m->item);
	arena_done(&m->arena);
	annotation_map_init(m);
}

/* Where @key is, or where it belongs. */
static size_t find(const struct annotation_map *m, const char *key, bool *found)
{
	size_t low = 0, high = m->n;

	*found = false;
	while (low < high) {
		const size_t mid = low + (high - low) / 2;
		const int order = strcmp(m->item[mid].key, key);

		if (order == 0) {
			*found = true;
			return mid;
		}
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const char *annotation_map_get(const struct annotation_map *m, const char *key)
{
	bool found;
	const size_t at = find(m, key, &found);

	return found ? m->item[at].value : NULL;
}

static int reserve(struct annotation_map *m, struct err *e)
{
	const size_t room = m->room ? 2 * m->room : FIRST_ROOM;
	struct annotation *item;

	if (m->n < m->room)
		return 0;
	if (m->n >= ANNOTATIONS_MAX)
		return err_set(e, E2BIG, "more than %u annotations",
			       ANNOTATIONS_MAX);
	item = reallocarray(m->item, room, sizeof(*item));
	if (!item)
		return err_set(e, ENOMEM, "no memory for annotations");
	m->item = item;
	m->room = room;
	return 0;
}

static int copy(struct annotation_map *m, const char *s, const char **ret,
		struct err *e)
{
	*ret = arena_strn(&m->arena, s, strlen(s));
	if (!*ret)
		return err_set(e, E2BIG, "more than %zu bytes of annotations",
			       ANNOTATIONS_BYTES_MAX);
	return 0;
}

int annotation_map_set(struct annotation_map *m, const char *key,
		       const char *value, struct err *e)
{
	struct annotation pair;
	bool found;
	const size_t at = find(m, key, &found);
	int r;

	if (*key == '\0')
		return err_set(e, EINVAL, "an annotation has an empty key");
	if (strlen(key) > ANNOTATION_KEY_MAX)
		return err_set(e, EINVAL,
			       "an annotation key is longer than %u bytes",
			       ANNOTATION_KEY_MAX);

	r = copy(m, value, &pair.value, e);
	if (r < 0)
		return r;
	if (found) {
		m->item[at].value = pair.value;
		return 0;
	}
	r = copy(m, key, &pair.key, e);
	if (r == 0)
		r = reserve(m, e);
	if (r < 0)
		return r;

	memmove(&m->item[at + 1], &m->item[at],
		(m->n - at) * sizeof(m->item[0]));
	m->item[at] = pair;
	m->n++;
	return 0;
}

int annotation_map_copy(struct annotation_map *to,
			const struct annotation_map *from, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < from->n && r == 0; i++)
		r = annotation_map_set(to, from->item[i].key,
				       from->item[i].value, e);
	return r;
}
