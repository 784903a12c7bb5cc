#include "config/value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "config/num.h"
#include "config/util.h"

/* A list of more items than this is malformed; the longest that has a meaning
 * is a NUMA list of at most 65 nodes. */
#define LIST_MAX 65536u

static const struct {
	const char *name;
	size_t size;
} kinds[] = {
	[VALUE_BOOL] = { "bool", sizeof(bool) },
	[VALUE_NULLABLE_BOOL] = { "nullable_bool", sizeof(enum tristate) },
	[VALUE_INT32] = { "int32", sizeof(int32_t) },
	[VALUE_UINT32] = { "uint32", sizeof(uint32_t) },
	[VALUE_UINT64] = { "uint64", sizeof(uint64_t) },
	[VALUE_UINT32_LIST] = { "uint32_list", sizeof(struct u32_list) },
	[VALUE_UINT64_LIST] = { "uint64_list", sizeof(struct u64_list) },
	[VALUE_STRING] = { "string", sizeof(const char *) },
	[VALUE_STRING_LIST] = { "string_list", sizeof(struct string_list) },
	[VALUE_GUID] = { "guid", sizeof(const char *) },
};
static_assert(ARRAY_LEN(kinds) == VALUE_KINDS, "a kind has no name");

const char *value_kind_name(enum value_kind kind)
{
	return kinds[kind].name;
}

size_t value_size(enum value_kind kind)
{
	return kinds[kind].size;
}

bool value_kind_find(const char *name, enum value_kind *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i].name, name) == 0) {
			*ret = (enum value_kind)i;
			return true;
		}
	}
	return false;
}

bool value_warns(enum value_kind kind, const char *text)
{
	if (kind == VALUE_UINT32_LIST)
		return false;
	return kind != VALUE_UINT64_LIST || *text != '\0';
}

static int parse_bool(const char *text, bool *ret)
{
	static const char *const spellings[][2] = {
		{ "0", "1" },	     { "f", "t" },	  { "F", "T" },
		{ "FALSE", "TRUE" }, { "false", "true" }, { "False", "True" },
	};

	for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
		for (size_t v = 0; v < 2; v++) {
			if (strcmp(text, spellings[i][v]) == 0) {
				*ret = v == 1;
				return 0;
			}
		}
	}
	return -EINVAL;
}

static int parse_nullable(const char *text, enum tristate *ret)
{
	bool value = false;

	if (parse_bool(text, &value) < 0)
		return -EINVAL;
	*ret = value ? TRI_TRUE : TRI_FALSE;
	return 0;
}

static int parse_string(const char *text, struct arena *a, const char **ret)
{
	const char *copy = arena_strn(a, text, strlen(text));

	if (!copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}

/* Cuts a copy of @text at its commas; the items are strings of the arena. */
static int split(const char *text, struct arena *a, char ***ret, size_t *ret_n)
{
	char *copy = arena_strn(a, text, strlen(text));
	char **item;
	size_t n = 1;

	for (const char *p = text; *p != '\0'; p++)
		n += *p == ',';
	if (n > LIST_MAX)
		return -EINVAL;
	item = arena_array(a, n, sizeof(*item));
	if (!copy || !item)
		return -ENOMEM;

	n = 0;
	item[n++] = copy;
	for (char *p = copy; *p != '\0'; p++) {
		if (*p != ',')
			continue;
		*p = '\0';
		item[n++] = p + 1;
	}
	*ret = item;
	*ret_n = n;
	return 0;
}

static int parse_u32_list(const char *text, struct arena *a,
			  struct u32_list *ret)
{
	uint32_t *out;
	char **item;
	size_t n;
	int r = split(text, a, &item, &n);

	if (r < 0)
		return r;
	out = arena_array(a, n, sizeof(*out));
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (num_u32(item[i], 0, UINT32_MAX, &out[i], NULL) < 0)
			return -EINVAL;
	*ret = (struct u32_list){ out, n };
	return 0;
}

static int parse_u64_list(const char *text, struct arena *a,
			  struct u64_list *ret)
{
	uint64_t *out;
	char **item;
	size_t n;
	int r = split(text, a, &item, &n);

	if (r < 0)
		return r;
	out = arena_array(a, n, sizeof(*out));
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (num_u64(item[i], 0, UINT64_MAX, &out[i], NULL) < 0)
			return -EINVAL;
	*ret = (struct u64_list){ out, n };
	return 0;
}

static int parse_string_list(const char *text, struct arena *a,
			     struct string_list *ret)
{
	char **item = NULL;
	size_t n = 0;
	int r = 0;

	if (*text != '\0')
		r = split(text, a, &item, &n);
	if (r == 0)
		*ret = (struct string_list){ (const char *const *)item, n };
	return r;
}

static int parse_guid(const char *text, struct arena *a, const char **ret)
{
	static const char shape[] = "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh";
	char *copy;

	if (strlen(text) != sizeof(shape) - 1)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(shape) - 1; i++)
		if (shape[i] == '-' ? text[i] != '-'
				    : !isxdigit((unsigned char)text[i]))
			return -EINVAL;

	copy = arena_strn(a, text, sizeof(shape) - 1);
	if (!copy)
		return -ENOMEM;
	for (char *p = copy; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'F')
			*p = (char)(*p - 'A' + 'a');
	*ret = copy;
	return 0;
}

int value_parse(enum value_kind kind, const char *text, struct arena *a,
		void *ret)
{
	int r = -EINVAL;

	switch (kind) {
	case VALUE_BOOL:
		return parse_bool(text, ret);
	case VALUE_NULLABLE_BOOL:
		return parse_nullable(text, ret);
	case VALUE_INT32:
		r = num_i32(text, INT32_MIN, INT32_MAX, ret, NULL);
		break;
	case VALUE_UINT32:
		r = num_u32(text, 0, UINT32_MAX, ret, NULL);
		break;
	case VALUE_UINT64:
		r = num_u64(text, 0, UINT64_MAX, ret, NULL);
		break;
	case VALUE_UINT32_LIST:
		return parse_u32_list(text, a, ret);
	case VALUE_UINT64_LIST:
		return parse_u64_list(text, a, ret);
	case VALUE_STRING:
		return parse_string(text, a, ret);
	case VALUE_STRING_LIST:
		return parse_string_list(text, a, ret);
	case VALUE_GUID:
		return parse_guid(text, a, ret);
	case VALUE_KINDS:
		break;
	}
	return r < 0 ? -EINVAL : 0;
}

static void print_list(enum value_kind kind, const void *value,
		       struct text *out)
{
	const struct string_list *strings = value;
	const struct u32_list *u32 = value;
	const struct u64_list *u64 = value;
	const size_t n = kind == VALUE_STRING_LIST   ? strings->n
			 : kind == VALUE_UINT32_LIST ? u32->n
						     : u64->n;

	for (size_t i = 0; i < n; i++) {
		if (i)
			text_addc(out, ',');
		if (kind == VALUE_STRING_LIST)
			text_add(out, strings->item[i]);
		else if (kind == VALUE_UINT32_LIST)
			text_addf(out, "%" PRIu32, u32->item[i]);
		else
			text_addf(out, "%" PRIu64, u64->item[i]);
	}
}

void value_print(enum value_kind kind, const void *value, struct text *out)
{
	enum tristate tri;

	switch (kind) {
	case VALUE_BOOL:
		text_add(out, *(const bool *)value ? "true" : "false");
		break;
	case VALUE_NULLABLE_BOOL:
		tri = *(const enum tristate *)value;
		if (tri != TRI_UNSET)
			text_add(out, tri == TRI_TRUE ? "true" : "false");
		break;
	case VALUE_INT32:
		text_addf(out, "%" PRId32, *(const int32_t *)value);
		break;
	case VALUE_UINT32:
		text_addf(out, "%" PRIu32, *(const uint32_t *)value);
		break;
	case VALUE_UINT64:
		text_addf(out, "%" PRIu64, *(const uint64_t *)value);
		break;
	case VALUE_UINT32_LIST:
	case VALUE_UINT64_LIST:
	case VALUE_STRING_LIST:
		print_list(kind, value, out);
		break;
	case VALUE_STRING:
	case VALUE_GUID:
		text_add(out, *(const char *const *)value);
		break;
	case VALUE_KINDS:
		break;
	}
}
