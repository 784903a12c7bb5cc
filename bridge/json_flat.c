#include "bridge/json_flat.h"

#include <stdint.h>
#include <string.h>

#include "bridge/json_check.h"
#include "bridge/schema.h"

/* Pairs of one map; a trace context has two or three. */
#define PAIRS_MAX 8

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

/* The closing quote of the string whose inside begins at @p. */
static const char *string_end(const char *p, bool *ret_escapes)
{
	*ret_escapes = false;
	while (*p != '"') {
		if (*p == '\\') {
			*ret_escapes = true;
			p++;
		}
		p++;
	}
	return p;
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

static unsigned int hex_digit(char c)
{
	return (unsigned int)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* The ASCII character of the escape behind @p's backslash; '\0': another. */
static char unescape(const char *p)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";

	if (*p == 'u')
		return p[1] == '0' && p[2] == '0' && p[3] <= '7'
			       ? (char)(hex_digit(p[3]) << 4 | hex_digit(p[4]))
			       : '\0';
	for (size_t i = 0; i < sizeof(from) - 1; i++)
		if (*p == from[i])
			return to[i];
	return '\0';
}

/* Takes the escapes out of the @n bytes at @s; false: some are not plain. */
static bool unescape_all(char *s, size_t n)
{
	const char *from = s, *end = s + n;
	char *to = s;

	while (from < end) {
		if (*from != '\\') {
			*to++ = *from++;
			continue;
		}
		from++;
		*to = unescape(from);
		if (*to++ == '\0')
			return false;
		from += *from == 'u' ? 5 : 1;
	}
	*to = '\0';
	return true;
}

/* Behind a string. */
static const char *flat_string(const char *p, struct arena *a, const char **ret)
{
	bool escapes;
	const char *end;
	char *s;

	if (*p++ != '"')
		return NULL;
	end = string_end(p, &escapes);
	*ret = "";
	if (end == p)
		return end + 1;
	s = arena_strn(a, p, (size_t)(end - p));
	if (!s || (escapes && !unescape_all(s, (size_t)(end - p))))
		return NULL;
	*ret = s;
	return end + 1;
}

/* Strings of an array that begins at @p; 0 also when not all are strings. */
static size_t count_strings(const char *p)
{
	size_t n = 0;
	bool escapes;

	for (p = skip_space(p + 1); *p == '"'; n++) {
		p = skip_space(string_end(p + 1, &escapes) + 1);
		if (*p == ',')
			p = skip_space(p + 1);
	}
	return *p == ']' ? n : 0;
}

static const char *flat_strings(const char *p, struct arena *a,
				struct msg_strings *ret)
{
	const size_t n = *p == '[' ? count_strings(p) : 0;

	if (n == 0) /* an empty array is rare */
		return NULL;
	ret->item = arena_array(a, n, sizeof(void *));
	if (!ret->item)
		return NULL;
	for (ret->n = 0; p && ret->n < n; ret->n++) {
		p = flat_string(skip_space(p + 1), a, &ret->item[ret->n]);
		p = p ? skip_space(p) : NULL; /* at ',' or ']' */
	}
	return p ? p + 1 : NULL;
}

static const char *flat_bool(const char *p, bool *ret)
{
	*ret = *p == 't';
	if (*p == 't')
		return p + strlen("true");
	return *p == 'f' ? p + strlen("false") : NULL;
}

/*
 * A few pairs, in one go: counted by walking over them, and left to the tree
 * when a name occurs twice.
 */
static const char *flat_pairs(const char *p, struct arena *a,
			      struct msg_pairs *ret)
{
	struct msg_pair pair[PAIRS_MAX];
	size_t n = 0;

	if (*p != '{')
		return NULL;
	p = skip_space(p + 1);
	for (; *p != '}'; n++) {
		if (n == PAIRS_MAX)
			return NULL;
		p = flat_string(p, a, &pair[n].name);
		if (!p)
			return NULL;
		for (size_t i = 0; i < n; i++)
			if (strcmp(pair[i].name, pair[n].name) == 0)
				return NULL;
		p = skip_space(p); /* at ':' */
		p = flat_string(skip_space(p + 1), a, &pair[n].value);
		if (!p)
			return NULL;
		p = skip_space(p);
		if (*p == ',')
			p = skip_space(p + 1);
	}
	ret->item = arena_array(a, n, sizeof(pair[0]));
	if (!ret->item)
		return NULL;
	memcpy(ret->item, pair, n * sizeof(pair[0]));
	ret->n = n;
	return p + 1;
}

static const char *flat_object(const struct schema *schema, const char *p,
			       struct arena *a, void *ret);

/* JSON text inside a string: checked as any text is, then read as one. */
static const char *flat_inner(const struct schema_member *m, const char *p,
			      struct arena *a, void *ret)
{
	const char *text;

	p = flat_string(p, a, &text);
	if (!p || json_check(text, strlen(text), NULL) < 0 ||
	    !json_flat(m->schema, text, a, ret))
		return NULL;
	return p;
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
	case SCHEMA_KIND_STRINGS:
		return flat_strings(p, a, ret);
	case SCHEMA_KIND_PAIRS:
		return flat_pairs(p, a, ret);
	case SCHEMA_KIND_INNER:
		return flat_inner(m, p, a, ret);
	case SCHEMA_KIND_OBJECT:
		return flat_object(m->schema, p, a, ret);
	case SCHEMA_KIND_U8:
	case SCHEMA_KIND_I64:
	case SCHEMA_KIND_U64:
	case SCHEMA_KIND_U16_PAIR:
	case SCHEMA_KIND_JSON:
	case SCHEMA_KIND_RAW:
	case SCHEMA_KIND_NUMBERS:
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
	bool escapes;
	const char *name = p + 1, *end = string_end(name, &escapes);
	uint64_t bit;

	/* A name with an escape is not found as it stands. */
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

/* Behind the closing brace; NULL: not plain. As deep as the schema is. */
static const char *flat_object(const struct schema *schema, const char *p,
			       struct arena *a, void *ret)
{
	uint64_t seen = 0;
	size_t next = 0;

	if (*p != '{')
		return NULL;
	p = skip_space(p + 1);
	while (*p != '}') {
		p = flat_member(schema, p, a, ret, &seen, &next);
		if (!p)
			return NULL;
		if (*p == ',')
			p = skip_space(p + 1);
	}
	return has_required(schema, seen) ? p + 1 : NULL;
}

bool json_flat(const struct schema *schema, const char *text, struct arena *a,
	       void *ret)
{
	return flat_object(schema, skip_space(text), a, ret) != NULL;
}
