#include "bridge/json_encode.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/json_check.h"
#include "bridge/schema.h"
#include "config/util.h"

#define GUID_LEN 36
/* Longer pieces are worth a memcpy(). */
#define PUT_MAX 64u

struct encoder {
	struct text *out;
	size_t cut;
};

/* --- strings --------------------------------------------------------------- */

/* The escapes of one character; enough for the longest, "\ufffd". */
struct escape {
	char text[8];
	size_t len;
};

/* Bytes that stand for themselves; 0x7f and all above it take the long way. */
static const bool plain_bytes[256] = {
	[' '] = true,	       ['!'] = true, ['#' ... '%'] = true,
	['\'' ... ';'] = true, ['='] = true, ['?' ... '['] = true,
	[']' ... '~'] = true,
};

/*
 * As text_addn(), without a call when there is room: names and values are
 * short, and what musl's memcpy() needs to begin is longer than the copy.
 */
static void put(struct text *out, const char *s, size_t n)
{
	char *to;

	if (out->full || n >= out->size - out->len || n > PUT_MAX) {
		text_addn(out, s, n);
		return;
	}
	to = out->buf + out->len;
	out->len += n;
	for (; n >= sizeof(uint64_t); n -= sizeof(uint64_t)) {
		memcpy(to, s, sizeof(uint64_t));
		to += sizeof(uint64_t);
		s += sizeof(uint64_t);
	}
	while (n-- > 0)
		*to++ = *s++;
	*to = '\0';
}

static void put_byte(struct text *out, char c)
{
	put(out, &c, 1);
}

static struct escape escape_code(unsigned int code)
{
	static const char hex[] = "0123456789abcdef";

	return (struct escape){ { '\\', 'u', hex[code >> 12 & 15],
				  hex[code >> 8 & 15], hex[code >> 4 & 15],
				  hex[code & 15] },
				6 };
}

static struct escape escape_ascii(unsigned char c)
{
	static const char from[] = "\"\\\n\r\t", to[] = "\"\\nrt";
	const char *p = c == '\0' ? NULL : strchr(from, c);

	if (p)
		return (struct escape){ { '\\', to[p - from] }, 2 };
	if (c == 0x7f)
		return (struct escape){ { (char)c }, 1 };
	return escape_code(c);
}

/*
 * What the character at @s becomes, and how many of the @n bytes it takes.
 * U+2028 and U+2029 are line ends in JavaScript, though not in JSON.
 */
static struct escape escape(const unsigned char *s, size_t n, size_t *ret_used)
{
	struct escape as_is = { .len = json_utf8(s, n) };

	*ret_used = 1;
	if (s[0] < 0x80)
		return escape_ascii(s[0]);
	if (as_is.len == 0)
		return escape_code(0xfffd);
	*ret_used = as_is.len;
	if (as_is.len == 3 && s[0] == 0xe2 && s[1] == 0x80 &&
	    (s[2] == 0xa8 || s[2] == 0xa9))
		return escape_code(0x2000u + (s[2] & 0x3fu));
	memcpy(as_is.text, s, as_is.len);
	return as_is;
}

void json_string(struct text *out, const char *s, size_t n, size_t cut)
{
	const unsigned char *p = (const unsigned char *)s, *end = p + n;

	put_byte(out, '"');
	while (p < end && !out->full) {
		const unsigned char *plain = p;
		struct escape x;
		size_t used;

		while (p < end && plain_bytes[*p] && (size_t)(p - plain) < cut)
			p++;
		put(out, (const char *)plain, (size_t)(p - plain));
		cut -= (size_t)(p - plain);
		if (p == end)
			break;
		x = escape(p, (size_t)(end - p), &used);
		if (x.len > cut)
			break;
		put(out, x.text, x.len);
		cut -= x.len;
		p += used;
	}
	put_byte(out, '"');
}

static void add_string(struct text *out, const char *s, size_t cut)
{
	json_string(out, s ? s : "", s ? strlen(s) : 0, cut);
}

/* --- other values ---------------------------------------------------------- */

static void add_number(struct text *out, uint64_t n, bool minus)
{
	char buf[21]; /* a sign and the 20 digits of 2^64 - 1 */
	char *p = buf + sizeof(buf);

	do {
		*--p = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	if (minus)
		*--p = '-';
	put(out, p, (size_t)(buf + sizeof(buf) - p));
}

static uint64_t unsigned_at(enum schema_kind kind, const void *p)
{
	if (kind == SCHEMA_KIND_U8)
		return *(const uint8_t *)p;
	if (kind == SCHEMA_KIND_U16)
		return *(const uint16_t *)p;
	if (kind == SCHEMA_KIND_U32)
		return *(const uint32_t *)p;
	return *(const uint64_t *)p;
}

static void add_signed(struct text *out, int64_t n)
{
	add_number(out, n < 0 ? 0 - (uint64_t)n : (uint64_t)n, n < 0);
}

static bool is_guid(const char *s)
{
	if (!s || strlen(s) != GUID_LEN)
		return false;
	for (size_t i = 0; i < GUID_LEN; i++) {
		const bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s[i] != '-'
			 : !strchr("0123456789abcdefABCDEF", s[i]))
			return false;
	}
	return true;
}

static void add_guid(struct text *out, const char *s)
{
	char lower[GUID_LEN];

	for (size_t i = 0; i < GUID_LEN; i++)
		lower[i] =
			(char)(s[i] >= 'A' && s[i] <= 'F' ? s[i] | 0x20 : s[i]);
	json_string(out, lower, sizeof(lower), JSON_UNCUT);
}

static bool is_json(const char *s)
{
	return s && json_check(s, strlen(s), NULL) == 0;
}

/* Valid JSON has '<' and the like only inside of strings. */
static void add_raw(struct text *out, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	if (!is_json(s)) {
		text_add(out, "null");
		return;
	}
	while (*p != '\0') {
		const unsigned char *plain = p;
		struct escape x;
		size_t used;

		while (*p != '\0' && *p < 0x80 && !strchr("<>&", *p))
			p++;
		put(out, (const char *)plain, (size_t)(p - plain));
		if (*p == '\0')
			break;
		x = escape(p, strnlen((const char *)p, 4), &used);
		put(out, x.text, x.len);
		p += used;
	}
}

static void add_strings(struct text *out, const struct msg_strings *list)
{
	put_byte(out, '[');
	for (size_t i = 0; i < list->n; i++) {
		if (i > 0)
			put_byte(out, ',');
		add_string(out, list->item[i], JSON_UNCUT);
	}
	put_byte(out, ']');
}

static void add_numbers(struct text *out, const struct msg_numbers *list)
{
	put_byte(out, '[');
	for (size_t i = 0; i < list->n; i++) {
		if (i > 0)
			put_byte(out, ',');
		add_number(out, list->item[i], false);
	}
	put_byte(out, ']');
}

static int by_name(const void *a, const void *b)
{
	const struct msg_pair *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static void add_pairs(struct text *out, const struct msg_pairs *list)
{
	cleanup_free const struct msg_pair **sorted =
		calloc(list->n + 1, sizeof(void *));

	if (!sorted) {
		out->full = true;
		return;
	}
	for (size_t i = 0; i < list->n; i++)
		sorted[i] = &list->item[i];
	qsort(sorted, list->n, sizeof(void *), by_name);
	put_byte(out, '{');
	for (size_t i = 0; i < list->n; i++) {
		if (i > 0)
			put_byte(out, ',');
		add_string(out, sorted[i]->name, JSON_UNCUT);
		put_byte(out, ':');
		add_string(out, sorted[i]->value, JSON_UNCUT);
	}
	put_byte(out, '}');
}

/* --- objects --------------------------------------------------------------- */

static void add_object(const struct encoder *x, const struct schema *schema,
		       const void *msg);

/* Out of a pointer of whatever type. */
static const void *pointer_get(const void *at)
{
	const void *p;

	memcpy(&p, at, sizeof(p));
	return p;
}

static void add_array(const struct encoder *x, const struct schema_member *m,
		      const void *object)
{
	const char *item = pointer_get((const char *)object + m->offset);
	const size_t n = *(const size_t *)((const char *)object + m->count);

	put_byte(x->out, '[');
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			put_byte(x->out, ',');
		add_object(x, m->schema, item + i * m->schema->size);
	}
	put_byte(x->out, ']');
}

/* The inner text is made apart and then escaped as any other string. */
static void add_inner(struct text *out, const struct schema *schema,
		      const void *msg)
{
	struct text inner;

	text_heap(&inner, out->max);
	json_encode(schema, msg, JSON_UNCUT, &inner);
	if (inner.full)
		out->full = true;
	else
		json_string(out, text_str(&inner), inner.len, JSON_UNCUT);
	text_done(&inner);
}

static void add_pointer(const struct encoder *x, const struct schema *schema,
			const void *msg)
{
	if (msg)
		add_object(x, schema, msg);
	else
		text_add(x->out, "null");
}

static void add_value(const struct encoder *x, const struct schema_member *m,
		      const void *object)
{
	const void *p = (const char *)object + m->offset;
	const size_t cut = m->flags & SCHEMA_CUT ? x->cut : JSON_UNCUT;
	const uint16_t *pair = p;
	const char *const *s = p;

	switch ((enum schema_kind)m->kind) {
	case SCHEMA_KIND_BOOL:
		text_add(x->out, *(const bool *)p ? "true" : "false");
		break;
	case SCHEMA_KIND_I32:
		add_signed(x->out, *(const int32_t *)p);
		break;
	case SCHEMA_KIND_I64:
		add_signed(x->out, *(const int64_t *)p);
		break;
	case SCHEMA_KIND_U8:
	case SCHEMA_KIND_U16:
	case SCHEMA_KIND_U32:
	case SCHEMA_KIND_U64:
		add_number(x->out, unsigned_at((enum schema_kind)m->kind, p),
			   false);
		break;
	case SCHEMA_KIND_U16_PAIR:
		put_byte(x->out, '[');
		add_number(x->out, pair[0], false);
		put_byte(x->out, ',');
		add_number(x->out, pair[1], false);
		put_byte(x->out, ']');
		break;
	case SCHEMA_KIND_STRING:
	case SCHEMA_KIND_JSON:
		add_string(x->out, *s, cut);
		break;
	case SCHEMA_KIND_GUID:
		add_guid(x->out, *s);
		break;
	case SCHEMA_KIND_RAW:
		add_raw(x->out, *s);
		break;
	case SCHEMA_KIND_STRINGS:
		add_strings(x->out, p);
		break;
	case SCHEMA_KIND_NUMBERS:
		add_numbers(x->out, p);
		break;
	case SCHEMA_KIND_PAIRS:
		add_pairs(x->out, p);
		break;
	case SCHEMA_KIND_OBJECT:
		add_object(x, m->schema, p);
		break;
	case SCHEMA_KIND_INNER:
		add_inner(x->out, m->schema, p);
		break;
	case SCHEMA_KIND_POINTER:
		add_pointer(x, m->schema, pointer_get(p));
		break;
	case SCHEMA_KIND_ARRAY:
		add_array(x, m, object);
		break;
	}
}

static bool is_zero_object(const struct schema *schema, const void *msg);

static bool is_zero(const struct schema_member *m, const void *object)
{
	const void *p = (const char *)object + m->offset;
	const char *const *s = p;
	const uint16_t *pair = p;

	switch ((enum schema_kind)m->kind) {
	case SCHEMA_KIND_BOOL:
		return !*(const bool *)p;
	case SCHEMA_KIND_I32:
		return *(const int32_t *)p == 0;
	case SCHEMA_KIND_I64:
		return *(const int64_t *)p == 0;
	case SCHEMA_KIND_U8:
	case SCHEMA_KIND_U16:
	case SCHEMA_KIND_U32:
	case SCHEMA_KIND_U64:
		return unsigned_at((enum schema_kind)m->kind, p) == 0;
	case SCHEMA_KIND_U16_PAIR:
		return pair[0] == 0 && pair[1] == 0;
	case SCHEMA_KIND_STRING:
		return !*s || (*s)[0] == '\0';
	case SCHEMA_KIND_GUID:
		return !is_guid(*s);
	case SCHEMA_KIND_JSON:
	case SCHEMA_KIND_RAW:
		return !is_json(*s);
	case SCHEMA_KIND_STRINGS:
		return ((const struct msg_strings *)p)->n == 0;
	case SCHEMA_KIND_NUMBERS:
		return ((const struct msg_numbers *)p)->n == 0;
	case SCHEMA_KIND_PAIRS:
		return ((const struct msg_pairs *)p)->n == 0;
	case SCHEMA_KIND_OBJECT:
	case SCHEMA_KIND_INNER:
		return is_zero_object(m->schema, p);
	case SCHEMA_KIND_POINTER:
		return !pointer_get(p);
	case SCHEMA_KIND_ARRAY:
		return *(const size_t *)((const char *)object + m->count) == 0;
	}
	return true;
}

static bool is_zero_object(const struct schema *schema, const void *msg)
{
	for (size_t i = 0; i < schema->n; i++)
		if (!is_zero(&schema->member[i], msg))
			return false;
	return true;
}

static void add_object(const struct encoder *x, const struct schema *schema,
		       const void *msg)
{
	char before = '{';

	for (size_t i = 0; i < schema->n && !x->out->full; i++) {
		const struct schema_member *m = &schema->member[i];

		if (!(m->flags & SCHEMA_ALWAYS) && is_zero(m, msg))
			continue;
		put_byte(x->out, before);
		before = ',';
		put(x->out, m->quoted, (size_t)m->len + 3);
		add_value(x, m, msg);
	}
	text_add(x->out, before == '{' ? "{}" : "}");
}

void json_encode(const struct schema *schema, const void *msg, size_t cut,
		 struct text *out)
{
	const struct encoder x = { .out = out, .cut = cut };

	add_object(&x, schema, msg);
}
