#include "config/annotation_lock.h"

#include <errno.h>
#include <string.h>

#include "config/annotations.h"
#include "config/num.h"
#include "config/util.h"

#define COUNT_KEY "io.microsoft.virtualmachine.computetopology.processor.count"
#define MEMORY_KEY "io.microsoft.virtualmachine.computetopology.memory.sizeinmb"
#define MIGRATION "io.microsoft.migration."

/* How much of a value an error shows. */
#define SHOWN_MAX 32
#define SHOWN_SIZE (4 * SHOWN_MAX + 4)

#define HEADER_SIZE 4u
#define PAIR_SIZE 8u

/* Room for the C type of any kind. */
union value {
	uint64_t room[2];
	const char *string;
};

/*
 * What stands for the key: the member of its row, or, where the annotation was
 * silent, what the rules made of that.
 */
static void print_member(const struct sandbox_options *o,
			 const struct annotation_row *row, struct text *out)
{
	const void *p = (const char *)o + row->member;
	int32_t count = o->count_text;
	uint64_t memory = o->memory_text;

	if (strcmp(row->key, COUNT_KEY) == 0) {
		count = count > 0 ? count : (int32_t)o->processor_count;
		p = &count;
	} else if (strcmp(row->key, MEMORY_KEY) == 0) {
		memory = memory ? memory : o->memory_mib;
		p = &memory;
	} else if (strncmp(row->key, MIGRATION, strlen(MIGRATION)) == 0) {
		p = &o->migratable; /* both names are one setting */
	}
	value_print(row->kind, p, out);
}

/* The default's text in the form of value_print(). */
static int print_default(const struct annotation_row *row, struct arena *a,
			 struct text *out)
{
	union value v = { { 0 } };
	int r;

	if (row->kind == VALUE_STRING)
		v.string = "";
	if (row->deflt) {
		r = value_parse(row->kind, row->deflt, a, &v);
		if (r < 0)
			return r;
	}
	value_print(row->kind, &v, out);
	return 0;
}

/* Only rows whose default is a constant may be left out of the lock. */
static int is_default(const struct annotation_row *row, const char *value,
		      bool *ret)
{
	struct arena a;
	struct text t;
	int r;

	*ret = false;
	if (row->deflt_note && !row->deflt)
		return 0;
	arena_init(&a, ANNOTATION_LOCK_BYTES_MAX);
	text_heap(&t, ANNOTATION_LOCK_BYTES_MAX);
	r = print_default(row, &a, &t);
	*ret = r == 0 && strcmp(text_str(&t), value) == 0;
	text_done(&t);
	arena_done(&a);
	return r;
}

static bool has_value(const struct annotation_row *row)
{
	return row->locked && row->use == USE_MEMBER;
}

static int take_row(const struct sandbox_options *o,
		    const struct annotation_row *row,
		    struct annotation_map *lock, struct err *e)
{
	struct text t;
	bool same;
	int r;

	text_heap(&t, ANNOTATIONS_BYTES_MAX);
	print_member(o, row, &t);
	r = t.full ? -ENOMEM : is_default(row, text_str(&t), &same);
	if (r < 0)
		(void)err_set(e, ENOMEM, "no memory for annotations");
	else if (!same)
		r = annotation_map_set(lock, row->key, text_str(&t), e);
	text_done(&t);
	return r;
}

int annotation_lock_take(const struct sandbox_options *o,
			 struct annotation_map *lock, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < annotation_rows_n && r == 0; i++)
		if (has_value(&annotation_rows[i]))
			r = take_row(o, &annotation_rows[i], lock, e);
	return r;
}

static const char *shown(char buf[SHOWN_SIZE], const char *text)
{
	struct text t;

	text_fixed(&t, buf, SHOWN_SIZE);
	text_quote(&t, text, SHOWN_MAX);
	return buf;
}

static int differs(const char *key, const char *was, const char *now,
		   struct err *e)
{
	char old[SHOWN_SIZE], later[SHOWN_SIZE];

	return err_class(e, ERR_MIGRATION_INCOMPATIBLE,
			 "%.100s is locked: the sandbox was built with '%s', "
			 "not '%s'",
			 key, shown(old, was), shown(later, now));
}

/* Compares in the form of value_print(). */
static int compare(const struct annotation_row *row, const char *was,
		   const char *now, struct arena *a, struct err *e)
{
	union value v = { { 0 } };
	char buf[SHOWN_SIZE];
	struct text t;
	bool same;
	int r = 0;

	/* An empty list is the default, as when the sandbox is built. */
	if (*now != '\0' || row->kind == VALUE_STRING)
		r = value_parse(row->kind, now, a, &v);
	else if (row->kind != VALUE_UINT32_LIST &&
		 row->kind != VALUE_UINT64_LIST)
		r = -EINVAL;
	if (r == -EINVAL)
		return err_class(e, ERR_ANNOTATION_MALFORMED,
				 "%s wants a %s, not '%s'", row->key,
				 value_kind_name(row->kind), shown(buf, now));
	if (r < 0)
		return err_set(e, ENOMEM, "no memory for annotations");

	text_heap(&t, ANNOTATIONS_BYTES_MAX);
	value_print(row->kind, &v, &t);
	same = !t.full && was && strcmp(was, text_str(&t)) == 0;
	if (!t.full && !was)
		r = is_default(row, text_str(&t), &same);
	if (t.full || r < 0)
		r = err_set(e, ENOMEM, "no memory for annotations");
	text_done(&t);
	if (r == 0 && !same)
		r = differs(row->key, was ? was : "(default)", now, e);
	return r;
}

int annotation_lock_check(const struct annotation_map *lock,
			  const struct annotation_map *later, struct err *e)
{
	struct arena a;
	int r = 0;

	arena_init(&a, 4 * ANNOTATIONS_BYTES_MAX);
	for (size_t i = 0; i < later->n && r == 0; i++) {
		const char *key = later->item[i].key;
		const char *now = later->item[i].value;
		const struct annotation_row *row = annotation_find(key);

		if (!row || !row->locked)
			continue;
		/* No migratable sandbox is built with one of a family. */
		if (row->use == USE_PREFIX)
			r = differs(key, "(default)", now, e);
		else
			r = compare(row, annotation_map_get(lock, key), now, &a,
				    e);
	}
	arena_done(&a);
	return r;
}

static void put_number(struct text *out, uint32_t n, size_t size)
{
	uint8_t bytes[4];

	le32_put(bytes, n);
	text_addn(out, bytes, size);
}

void annotation_lock_put(const struct annotation_map *lock, struct text *out)
{
	put_number(out, ANNOTATION_LOCK_VERSION, 2);
	put_number(out, (uint32_t)lock->n, 2);
	for (size_t i = 0; i < lock->n; i++) {
		const struct annotation *pair = &lock->item[i];

		put_number(out, (uint32_t)strlen(pair->key), 4);
		put_number(out, (uint32_t)strlen(pair->value), 4);
		text_add(out, pair->key);
		text_add(out, pair->value);
	}
}

/* A saved form as it is read. */
struct reader {
	const uint8_t *at;
	size_t left;
	struct arena arena;
	const char *last; /* key before, NULL: none */
};

/* The next @n bytes as a string, NULL: a NUL byte in it, or no memory. */
static const char *take_text(struct reader *r, size_t n)
{
	const char *s = NULL;

	if (!memchr(r->at, '\0', n))
		s = arena_strn(&r->arena, (const char *)r->at, n);
	r->at += n;
	r->left -= n;
	return s;
}

/* A locked key with a value in the form of value_print(). */
static int check_pair(struct reader *r, const char *key, const char *value,
		      struct err *e)
{
	const struct annotation_row *row = annotation_find(key);
	char buf[SHOWN_SIZE];

	if (!row || !has_value(row))
		return err_set(e, EINVAL,
			       "the saved annotation '%s' is not one that this "
			       "ferry locks",
			       shown(buf, key));
	if (compare(row, value, value, &r->arena, NULL) < 0)
		return err_set(e, EINVAL,
			       "the saved annotation %s has no value that it "
			       "can have",
			       key);
	return 0;
}

static int get_pair(struct reader *r, struct annotation_map *lock,
		    struct err *e)
{
	uint32_t key_size, value_size;
	const char *key, *value;
	int rc;

	if (r->left < PAIR_SIZE)
		return err_set(e, EINVAL, "saved annotations are cut off");
	key_size = le32_get(r->at);
	value_size = le32_get(r->at + 4);
	r->at += PAIR_SIZE;
	r->left -= PAIR_SIZE;
	if (key_size > r->left || value_size > r->left - key_size)
		return err_set(e, EINVAL, "saved annotations are cut off");

	key = take_text(r, key_size);
	value = take_text(r, value_size);
	if (!key || !value)
		return err_set(e, EINVAL,
			       "a saved annotation holds a NUL byte");
	if (r->last && strcmp(r->last, key) >= 0)
		return err_set(e, EINVAL, "saved annotations are not in order");
	r->last = key;
	rc = check_pair(r, key, value, e);
	return rc < 0 ? rc : annotation_map_set(lock, key, value, e);
}

static int get_pairs(struct reader *r, struct annotation_map *lock,
		     struct err *e)
{
	const uint16_t version = le16_get(r->at);
	const uint16_t n = le16_get(r->at + 2);
	int rc = 0;

	if (version != ANNOTATION_LOCK_VERSION)
		return err_set(e, EPROTO,
			       "saved annotations have version %u, this ferry "
			       "reads %u",
			       version, ANNOTATION_LOCK_VERSION);
	r->at += HEADER_SIZE;
	r->left -= HEADER_SIZE;
	for (uint16_t i = 0; i < n && rc == 0; i++)
		rc = get_pair(r, lock, e);
	if (rc == 0 && r->left)
		rc = err_set(e, EINVAL, "bytes behind the saved annotations");
	return rc;
}

int annotation_lock_get(const void *data, size_t size,
			struct annotation_map *lock, struct err *e)
{
	struct reader r = { .at = data, .left = size };
	int rc;

	if (size > ANNOTATION_LOCK_BYTES_MAX)
		return err_set(e, E2BIG,
			       "saved annotations have more than %zu bytes",
			       ANNOTATION_LOCK_BYTES_MAX);
	if (size < HEADER_SIZE)
		return err_set(e, EINVAL, "saved annotations are cut off");
	arena_init(&r.arena, 4 * ANNOTATION_LOCK_BYTES_MAX);
	rc = get_pairs(&r, lock, e);
	arena_done(&r.arena);
	return rc;
}
