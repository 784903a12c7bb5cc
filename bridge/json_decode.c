/*
 * Theory of operation: json_check() decides what is JSON and how large it may
 * be. A small plain message is then read by json_flat(). For all others json-c
 * makes a tree of the text, and the functions here walk the schema and the
 * tree together. What they keep goes into the caller's arena; the tree is
 * gone when json_decode() returns. A path is a chain of frames on the stack,
 * and is put into words only when an error needs it.
 */
#include "bridge/json_decode.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <json-c/json.h>

#include "bridge/json_check.h"
#include "bridge/json_flat.h"
#include "bridge/json_tree.h"
#include "bridge/schema.h"
#include "config/text.h"

/* Texts longer than this leave nothing behind in the tokener. */
#define KEEP_MAX 65536u
/* Bytes of a name that an error shows. */
#define SHOW_MAX 32

/* Where we are: a member's name, or an element when the name is NULL. */
struct place {
	const struct place *up;
	const char *name;
	size_t index;
};

struct decoder {
	struct arena *arena;
	struct err *e;
};

static json_tokener *tokener;

static void add_place(struct text *t, const struct place *at)
{
	if (!at)
		return;
	add_place(t, at->up);
	if (at->name) {
		text_addc(t, '.');
		text_quote(t, at->name, SHOW_MAX);
	} else {
		text_addf(t, "[%zu]", at->index);
	}
}

/* Puts the path before @why, or before what e says when @why is NULL. */
static int refuse(const struct decoder *d, const struct place *at,
		  const char *why)
{
	char buf[ERR_TEXT_MAX];
	struct text path;

	text_fixed(&path, buf, sizeof(buf));
	text_addc(&path, '$');
	add_place(&path, at);
	if (!why)
		return err_wrap(d->e, "%s", buf);
	return err_set(d->e, EINVAL, "%s: %s", buf, why);
}

static int no_memory(const struct decoder *d)
{
	return err_set(d->e, ENOMEM, "no memory for a message");
}

static int decode_object(const struct decoder *d, const struct schema *schema,
			 json_object *v, void *ret, const struct place *at);

/* Into a pointer of whatever type. */
static void pointer_put(void *at, void *p)
{
	memcpy(at, &p, sizeof(p));
}

/* Zero, and "" for every string; the struct itself is zero already. */
static void blank(const struct schema *schema, void *ret)
{
	for (size_t i = 0; i < schema->n; i++) {
		const struct schema_member *m = &schema->member[i];
		void *p = (char *)ret + m->offset;

		if (m->kind == SCHEMA_KIND_STRING ||
		    m->kind == SCHEMA_KIND_GUID || m->kind == SCHEMA_KIND_JSON)
			*(const char **)p = "";
		else if (m->kind == SCHEMA_KIND_OBJECT ||
			 m->kind == SCHEMA_KIND_INNER)
			blank(m->schema, p);
	}
}

static int get_unsigned(const struct decoder *d, json_object *v, uint64_t max,
			uint64_t *ret, const struct place *at)
{
	uint64_t n;

	*ret = 0;
	if (!v)
		return 0;
	if (!json_object_is_type(v, json_type_int))
		return refuse(d, at, "want integer");
	n = json_object_get_uint64(v); /* 0 for a negative number */
	if (json_object_get_int64(v) < 0 || n > max)
		return refuse(d, at, "number out of range");
	*ret = n;
	return 0;
}

static int get_signed(const struct decoder *d, json_object *v, int64_t min,
		      int64_t max, int64_t *ret, const struct place *at)
{
	int64_t n;

	*ret = 0;
	if (!v)
		return 0;
	if (!json_object_is_type(v, json_type_int))
		return refuse(d, at, "want integer");
	n = json_object_get_int64(v); /* INT64_MAX for what is larger */
	if (n < min || n > max ||
	    (n > 0 && json_object_get_uint64(v) > (uint64_t)max))
		return refuse(d, at, "number out of range");
	*ret = n;
	return 0;
}

/* A signed number into 4 or 8 bytes. */
static int decode_signed(const struct decoder *d, enum schema_kind kind,
			 json_object *v, void *ret, const struct place *at)
{
	const bool wide = kind == SCHEMA_KIND_I64;
	int64_t n;
	const int r = get_signed(d, v, wide ? INT64_MIN : INT32_MIN,
				 wide ? INT64_MAX : INT32_MAX, &n, at);

	if (r < 0)
		return r;
	if (wide)
		*(int64_t *)ret = n;
	else
		*(int32_t *)ret = (int32_t)n;
	return 0;
}

/* An unsigned number into 1, 2, 4 or 8 bytes. */
static int decode_unsigned(const struct decoder *d, enum schema_kind kind,
			   json_object *v, void *ret, const struct place *at)
{
	const uint64_t max = kind == SCHEMA_KIND_U8    ? UINT8_MAX
			     : kind == SCHEMA_KIND_U16 ? UINT16_MAX
			     : kind == SCHEMA_KIND_U32 ? UINT32_MAX
						       : UINT64_MAX;
	uint64_t n;
	const int r = get_unsigned(d, v, max, &n, at);

	if (r < 0)
		return r;
	if (kind == SCHEMA_KIND_U8)
		*(uint8_t *)ret = (uint8_t)n;
	else if (kind == SCHEMA_KIND_U16)
		*(uint16_t *)ret = (uint16_t)n;
	else if (kind == SCHEMA_KIND_U32)
		*(uint32_t *)ret = (uint32_t)n;
	else
		*(uint64_t *)ret = n;
	return 0;
}

static int decode_bool(const struct decoder *d, json_object *v, bool *ret,
		       const struct place *at)
{
	if (v && !json_object_is_type(v, json_type_boolean))
		return refuse(d, at, "want true or false");
	*ret = v && json_object_get_boolean(v);
	return 0;
}

/* The string inside @v, which lives as long as @v; null is "". */
static int get_string(const struct decoder *d, json_object *v, const char **ret,
		      size_t *ret_len, const struct place *at)
{
	*ret = "";
	*ret_len = 0;
	if (!v)
		return 0;
	if (!json_object_is_type(v, json_type_string))
		return refuse(d, at, "want string");
	*ret = json_object_get_string(v);
	*ret_len = (size_t)json_object_get_string_len(v);
	if (strlen(*ret) != *ret_len)
		return refuse(d, at, "a NUL in a string");
	return 0;
}

static int keep_string(const struct decoder *d, const char *s, size_t len,
		       const char **ret)
{
	if (len == 0) {
		*ret = "";
		return 0;
	}
	*ret = arena_strn(d->arena, s, len);
	return *ret ? 0 : no_memory(d);
}

static int decode_string(const struct decoder *d, json_object *v,
			 const char **ret, const struct place *at)
{
	const char *s;
	size_t len;
	const int r = get_string(d, v, &s, &len, at);

	return r < 0 ? r : keep_string(d, s, len, ret);
}

/* A string that holds JSON text which stays text, or nothing. */
static int decode_json(const struct decoder *d, json_object *v,
		       const char **ret, const struct place *at)
{
	const int r = decode_string(d, v, ret, at);

	if (r < 0 || (*ret)[0] == '\0')
		return r;
	if (json_check(*ret, strlen(*ret), d->e) < 0)
		return refuse(d, at, NULL);
	return 0;
}

static int decode_raw(const struct decoder *d, json_object *v, const char **ret,
		      const struct place *at)
{
	const char *s;
	size_t len;

	*ret = NULL;
	if (!v)
		return 0;
	if (!json_object_is_type(v, json_type_object))
		return refuse(d, at, "want object");
	s = json_object_to_json_string_length(
		v, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
		&len);
	return s && !json_tree_lost() ? keep_string(d, s, len, ret)
				      : no_memory(d);
}

static int decode_inner(const struct decoder *d, const struct schema_member *m,
			json_object *v, void *ret, const struct place *at)
{
	const char *s;
	size_t len;
	int r = get_string(d, v, &s, &len, at);

	if (r < 0 || !v || (len == 0 && (m->flags & SCHEMA_EMPTY_OK)))
		return r;
	r = json_decode(m->schema, s, len, d->arena, ret, d->e);
	return r < 0 ? refuse(d, at, NULL) : 0;
}

/* Length of an array value, and room for as many elements of @size bytes. */
static int make_array(const struct decoder *d, json_object *v, size_t size,
		      void **ret_item, size_t *ret_n, const struct place *at)
{
	*ret_item = NULL;
	*ret_n = 0;
	if (!v)
		return 0;
	if (!json_object_is_type(v, json_type_array))
		return refuse(d, at, "want array");
	*ret_n = json_object_array_length(v);
	if (*ret_n == 0)
		return 0;
	*ret_item = arena_array(d->arena, *ret_n, size);
	return *ret_item ? 0 : no_memory(d);
}

static int decode_array(const struct decoder *d, const struct schema_member *m,
			json_object *v, void *object, const struct place *at)
{
	size_t *n = (size_t *)((char *)object + m->count);
	void *item;
	int r = make_array(d, v, m->schema->size, &item, n, at);

	pointer_put((char *)object + m->offset, item);
	for (size_t i = 0; r == 0 && i < *n; i++) {
		const struct place here = { .up = at, .index = i };

		r = decode_object(d, m->schema, json_object_array_get_idx(v, i),
				  (char *)item + i * m->schema->size, &here);
	}
	return r;
}

static int decode_strings(const struct decoder *d, json_object *v,
			  struct msg_strings *ret, const struct place *at)
{
	void *item;
	int r = make_array(d, v, sizeof(*ret->item), &item, &ret->n, at);

	ret->item = item;
	for (size_t i = 0; r == 0 && i < ret->n; i++) {
		const struct place here = { .up = at, .index = i };

		r = decode_string(d, json_object_array_get_idx(v, i),
				  &ret->item[i], &here);
	}
	return r;
}

static int decode_numbers(const struct decoder *d, json_object *v,
			  struct msg_numbers *ret, const struct place *at)
{
	void *item;
	int r = make_array(d, v, sizeof(*ret->item), &item, &ret->n, at);

	ret->item = item;
	for (size_t i = 0; r == 0 && i < ret->n; i++) {
		const struct place here = { .up = at, .index = i };

		r = get_unsigned(d, json_object_array_get_idx(v, i), UINT64_MAX,
				 &ret->item[i], &here);
	}
	return r;
}

static int decode_u16_pair(const struct decoder *d, json_object *v,
			   uint16_t *ret, const struct place *at)
{
	int r = 0;

	ret[0] = 0;
	ret[1] = 0;
	if (!v)
		return 0;
	if (!json_object_is_type(v, json_type_array) ||
	    json_object_array_length(v) != 2)
		return refuse(d, at, "want array of two");
	for (size_t i = 0; r == 0 && i < 2; i++) {
		const struct place here = { .up = at, .index = i };

		r = decode_unsigned(d, SCHEMA_KIND_U16,
				    json_object_array_get_idx(v, i), &ret[i],
				    &here);
	}
	return r;
}

static int decode_pairs(const struct decoder *d, json_object *v,
			struct msg_pairs *ret, const struct place *at)
{
	struct lh_entry *entry;
	int r = 0;

	*ret = (struct msg_pairs){ 0 };
	if (!v)
		return 0;
	if (!json_object_is_type(v, json_type_object))
		return refuse(d, at, "want object");
	ret->item = arena_array(d->arena, (size_t)json_object_object_length(v),
				sizeof(*ret->item));
	if (!ret->item)
		return no_memory(d);
	lh_foreach(json_object_get_object(v), entry)
	{
		const char *name = lh_entry_k(entry);
		const struct place here = { .up = at, .name = name };
		struct msg_pair *pair = &ret->item[ret->n];

		r = keep_string(d, name, strlen(name), &pair->name);
		if (r == 0)
			r = decode_string(d, lh_entry_v(entry), &pair->value,
					  &here);
		if (r < 0)
			return r;
		ret->n++;
	}
	return 0;
}

static int decode_pointer(const struct decoder *d,
			  const struct schema_member *m, json_object *v,
			  void *ret, const struct place *at)
{
	void *object = NULL;

	pointer_put(ret, NULL);
	if (!v)
		return 0;
	object = arena_alloc(d->arena, m->schema->size);
	if (!object)
		return no_memory(d);
	pointer_put(ret, object);
	return decode_object(d, m->schema, v, object, at);
}

/* @object is the struct that holds the member. */
static int decode_member(const struct decoder *d, const struct schema_member *m,
			 json_object *v, void *object, const struct place *at)
{
	void *p = (char *)object + m->offset;

	switch ((enum schema_kind)m->kind) {
	case SCHEMA_KIND_BOOL:
		return decode_bool(d, v, p, at);
	case SCHEMA_KIND_I32:
	case SCHEMA_KIND_I64:
		return decode_signed(d, (enum schema_kind)m->kind, v, p, at);
	case SCHEMA_KIND_U8:
	case SCHEMA_KIND_U16:
	case SCHEMA_KIND_U32:
	case SCHEMA_KIND_U64:
		return decode_unsigned(d, (enum schema_kind)m->kind, v, p, at);
	case SCHEMA_KIND_U16_PAIR:
		return decode_u16_pair(d, v, p, at);
	case SCHEMA_KIND_STRING:
	case SCHEMA_KIND_GUID:
		return decode_string(d, v, p, at);
	case SCHEMA_KIND_JSON:
		return decode_json(d, v, p, at);
	case SCHEMA_KIND_RAW:
		return decode_raw(d, v, p, at);
	case SCHEMA_KIND_STRINGS:
		return decode_strings(d, v, p, at);
	case SCHEMA_KIND_NUMBERS:
		return decode_numbers(d, v, p, at);
	case SCHEMA_KIND_PAIRS:
		return decode_pairs(d, v, p, at);
	case SCHEMA_KIND_OBJECT:
		return v ? decode_object(d, m->schema, v, p, at) : 0;
	case SCHEMA_KIND_INNER:
		return decode_inner(d, m, v, p, at);
	case SCHEMA_KIND_POINTER:
		return decode_pointer(d, m, v, p, at);
	case SCHEMA_KIND_ARRAY:
		return decode_array(d, m, v, object, at);
	}
	return refuse(d, at, "no such kind");
}

static int decode_members(const struct decoder *d, const struct schema *schema,
			  json_object *v, void *ret, const struct place *at,
			  uint64_t *ret_seen)
{
	struct lh_entry *entry;
	size_t next = 0;

	lh_foreach(json_object_get_object(v), entry)
	{
		const char *name = lh_entry_k(entry);
		const struct schema_member *m =
			json_find(schema, name, strlen(name), &next);
		const struct place here = { .up = at,
					    .name = m ? m->name : NULL };
		int r;

		if (!m)
			continue;
		r = decode_member(d, m, lh_entry_v(entry), ret, &here);
		if (r < 0)
			return r;
		if (lh_entry_v(entry))
			*ret_seen |= UINT64_C(1) << (m - schema->member);
	}
	return 0;
}

static int decode_object(const struct decoder *d, const struct schema *schema,
			 json_object *v, void *ret, const struct place *at)
{
	uint64_t seen = 0;
	int r;

	blank(schema, ret);
	if (!v)
		return 0;
	if (!json_object_is_type(v, json_type_object))
		return refuse(d, at, "want object");
	r = decode_members(d, schema, v, ret, at, &seen);
	for (size_t i = 0; r == 0 && i < schema->n; i++) {
		const struct place here = { .up = at,
					    .name = schema->member[i].name };

		if ((schema->member[i].flags & SCHEMA_REQUIRED) &&
		    !(seen >> i & 1))
			r = refuse(d, &here, "missing");
	}
	return r;
}

static json_object *parse(const char *text, size_t len, struct err *e)
{
	json_object *tree;

	if (!tokener) {
		/* json-c counts the scalars' level and the root's too. */
		tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 2);
		if (!tokener) {
			(void)err_set(e, ENOMEM, "no memory for a message");
			return NULL;
		}
		json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	}
	tree = json_tokener_parse_ex(tokener, text, (int)len);
	if (json_tree_lost()) {
		json_object_put(tree);
		tree = NULL;
		(void)err_set(e, ENOMEM, "no memory for a message");
	} else if (!tree) {
		(void)err_set(e, EINVAL, "not JSON: %s",
			      json_tokener_error_desc(
				      json_tokener_get_error(tokener)));
	}
	if (len > KEEP_MAX)
		json_decode_done();
	else
		json_tokener_reset(tokener);
	return tree;
}

void json_decode_done(void)
{
	if (tokener)
		json_tokener_free(tokener);
	tokener = NULL;
}

static int decode_tree(const struct decoder *d, const struct schema *schema,
		       const char *text, size_t len, void *ret)
{
	json_object *tree = parse(text, len, d->e);
	int r;

	if (!tree)
		return -d->e->code;
	memset(ret, 0, schema->size);
	r = decode_object(d, schema, tree, ret, NULL);
	json_object_put(tree);
	return r;
}

int json_decode(const struct schema *schema, const char *text, size_t len,
		struct arena *a, void *ret, struct err *e)
{
	/* The path is wrapped around a text: have one. */
	struct err own = { 0 };
	const struct decoder d = { .arena = a, .e = e ? e : &own };
	const size_t used = a->used;
	int r;

	memset(ret, 0, schema->size);
	blank(schema, ret);
	r = json_check(text, len, d.e);
	if (r < 0)
		return r;
	if (text[strspn(text, " \t\r\n")] != '{')
		return err_set(e, EINVAL, "$: want object");
	if (json_flat(schema, text, a, ret))
		return 0;
	a->used = used; /* what was begun does not count against the limit */
	return decode_tree(&d, schema, text, len, ret);
}
