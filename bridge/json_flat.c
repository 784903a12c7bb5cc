#include "bridge/json_flat.h"

#include <stdint.h>
#include <string.h>

#include "bridge/schema.h"

static unsigned char lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

static bool same_name(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

const struct schema_member *json_find(const struct schema *schema,
				      const char *name, size_t len,
				      size_t *next)
{
	size_t at = *next;

	for (size_t i = 0; i < schema->n; i++, at++) {
		const struct schema_member *m;

		if (at >= schema->n)
			at = 0;
		m = &schema->member[at];
		if (m->len == len && same_name(m->name, name, len)) {
			*next = at + 1;
			return m;
		}
	}
	return NULL;
}

/*
 * From here on the text is known to be one JSON value, so no position needs
 * to be checked against its end: each value and name is followed by something.
 */

static const char *skip_space(const char *p)
{
	while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
		p++;
	return p;
}

/* The closing quote of the string whose inside begins at @p, NULL: escapes. */
static const char *string_end(const char *p)
{
	while (*p != '"' && *p != '\\')
		p++;
	return *p == '"' ? p : NULL;
}

/* Behind an unsigned integer that is at most @max; NULL: something else. */
static const char *read_number(const char *p, uint64_t max, uint64_t *ret)
{
	uint64_t n = 0;

	if (*p < '0' || *p > '9')
		return NULL;
	for (; *p >= '0' && *p <= '9'; p++)
		n = 10 * n + (uint64_t)(*p - '0'); /* json_check(): fits */
	if (n > max || *p == '.' || *p == 'e' || *p == 'E')
		return NULL;
	*ret = n;
	return p;
}

static const char *flat_number(const char *p, enum schema_kind kind, void *ret)
{
	uint64_t n;

	if (kind == SCHEMA_KIND_U32) {
		p = read_number(p, UINT32_MAX, &n);
		if (p)
			*(uint32_t *)ret = (uint32_t)n;
	} else if (kind == SCHEMA_KIND_U16) {
		p = read_number(p, UINT16_MAX, &n);
		if (p)
			*(uint16_t *)ret = (uint16_t)n;
	} else { /* negative ones take the long way */
		p = read_number(p, INT32_MAX, &n);
		if (p)
			*(int32_t *)ret = (int32_t)n;
	}
	return p;
}

static const char *flat_string(const char *p, struct arena *a, const char **ret)
{
	const char *end = *p == '"' ? string_end(p + 1) : NULL;

	if (!end)
		return NULL;
	p++;
	*ret = end == p ? "" : arena_strn(a, p, (size_t)(end - p));
	return *ret ? end + 1 : NULL;
}

static const char *flat_bool(const char *p, bool *ret)
{
	*ret = *p == 't';
	if (*p == 't')
		return p + strlen("true");
	return *p == 'f' ? p + strlen("false") : NULL;
}

static const char *flat_value(const struct schema_member *m, const char *p,
			      struct arena *a, void *ret)
{
	switch ((enum schema_kind)m->kind) {
	case SCHEMA_KIND_STRING:
	case SCHEMA_KIND_GUID:
		return flat_string(p, a, ret);
	case SCHEMA_KIND_I32:
	case SCHEMA_KIND_U16:
	case SCHEMA_KIND_U32:
		return flat_number(p, (enum schema_kind)m->kind, ret);
	case SCHEMA_KIND_BOOL:
		return flat_bool(p, ret);
	case SCHEMA_KIND_U8:
	case SCHEMA_KIND_U64:
	case SCHEMA_KIND_U16_PAIR:
	case SCHEMA_KIND_JSON:
	case SCHEMA_KIND_RAW:
	case SCHEMA_KIND_STRINGS:
	case SCHEMA_KIND_NUMBERS:
	case SCHEMA_KIND_PAIRS:
	case SCHEMA_KIND_OBJECT:
	case SCHEMA_KIND_INNER:
	case SCHEMA_KIND_POINTER:
	case SCHEMA_KIND_ARRAY:
		break;
	}
	return NULL;
}

/* Behind one member, at ',' or '}'; NULL: not plain. */
static const char *flat_member(const struct schema *schema, const char *p,
			       struct arena *a, void *ret, uint64_t *seen,
			       size_t *next)
{
	const struct schema_member *m;
	const char *name = p + 1, *end = string_end(name);
	uint64_t bit;

	if (!end)
		return NULL;
	m = json_find(schema, name, (size_t)(end - name), next);
	if (!m) /* an unknown member may be anything */
		return NULL;
	bit = UINT64_C(1) << (m - schema->member);
	if (*seen & bit) /* which one counts is not decided here */
		return NULL;
	*seen |= bit;
	p = skip_space(end + 1);
	p = flat_value(m, skip_space(p + 1), a, (char *)ret + m->offset);
	return p ? skip_space(p) : NULL;
}

static bool has_required(const struct schema *schema, uint64_t seen)
{
	for (size_t i = 0; i < schema->n; i++)
		if ((schema->member[i].flags & SCHEMA_REQUIRED) &&
		    !(seen >> i & 1))
			return false;
	return true;
}

bool json_flat(const struct schema *schema, const char *text, size_t len,
	       struct arena *a, void *ret)
{
	const char *p = skip_space(text);
	uint64_t seen = 0;
	size_t next = 0;

	if (len == 0 || *p != '{')
		return false;
	p = skip_space(p + 1);
	while (*p != '}') {
		p = flat_member(schema, p, a, ret, &seen, &next);
		if (!p)
			return false;
		if (*p == ',')
			p = skip_space(p + 1);
	}
	return has_required(schema, seen);
}
