#include "migration/saved.h"

#include <stdlib.h>
#include <string.h>

#include "bridge/json_check.h"
#include "migration/saved_codec.h"
#include "build/proto/state_any.pb-c.h"

#define TYPE_PREFIX "type.microsoft.com/hcsshim.controller."
#define TYPE_SUFFIX ".save.v1.Payload"
#define TYPE_BYTES_MAX 128
/* Structs, and each payload's bytes once for each level above it. */
#define ENCODE_BYTES_MAX ((size_t)128 * 1024 * 1024)

struct saved_text saved_text_of(const char *s)
{
	return (struct saved_text){ s ? s : "", s ? strlen(s) : 0 };
}

bool saved_equal_text(struct saved_text a, struct saved_text b)
{
	return saved_compare(a, b) == 0;
}

int saved_compare(struct saved_text a, struct saved_text b)
{
	const size_t n = a.n < b.n ? a.n : b.n;
	const int r = n > 0 ? memcmp(a.p, b.p, n) : 0;

	if (r != 0)
		return r;
	return a.n < b.n ? -1 : a.n > b.n;
}

static unsigned char lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

int saved_compare_guid(struct saved_text a, struct saved_text b)
{
	size_t i;

	for (i = 0; i < a.n && i < b.n; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return lower(a.p[i]) < lower(b.p[i]) ? -1 : 1;
	return a.n < b.n ? -1 : a.n > b.n;
}

void saved_arena_init(struct arena *a, size_t size)
{
	arena_init(a, SAVED_ARENA_BASE + SAVED_ARENA_FACTOR * size);
}

/* --- reading --- */

void *saved_many(struct saved_reader *r, size_t n, size_t size)
{
	void *p = arena_array(r->a, n ? n : 1, size);

	if (!p)
		(void)saved_refuse(r, "S1", EEXHAUSTED,
				   "more memory than its size allows");
	return p;
}

static void *from_arena(void *data, size_t size)
{
	struct saved_reader *r = data;

	return arena_alloc(r->a, size ? size : 1);
}

static void to_arena(void *data, void *p)
{
	(void)data; /* it all goes with the arena */
	(void)p;
}

void *saved_unpack(struct saved_reader *r, const ProtobufCMessageDescriptor *d,
		   struct saved_text in)
{
	struct saved_text clean;
	ProtobufCMessage *m;

	if (saved_scan(r, d, in, &clean) < 0)
		return NULL;
	m = protobuf_c_message_unpack(d, &r->alloc, clean.n,
				      (const uint8_t *)clean.p);
	if (!m) /* well-formed it is: only memory is left as a reason */
		(void)saved_refuse(r, "S1", EEXHAUSTED,
				   "more memory than its size allows");
	return m;
}

static bool is_type(struct saved_text type, const char *controller)
{
	const size_t n = strlen(controller);

	return type.n == strlen(TYPE_PREFIX) + n + strlen(TYPE_SUFFIX) &&
	       memcmp(type.p, TYPE_PREFIX, strlen(TYPE_PREFIX)) == 0 &&
	       memcmp(type.p + strlen(TYPE_PREFIX), controller, n) == 0 &&
	       memcmp(type.p + strlen(TYPE_PREFIX) + n, TYPE_SUFFIX,
		      strlen(TYPE_SUFFIX)) == 0;
}

/* Every payload begins so: field 1 is its version. */
struct versioned {
	ProtobufCMessage base;
	uint32_t schema_version;
};

void *saved_open(struct saved_reader *r, const struct saved_any *any,
		 const char *controller, const ProtobufCMessageDescriptor *d)
{
	const struct versioned *m;

	if (!is_type(any->type, controller)) {
		(void)saved_refuse(r, "S2", EINVAL,
				   "want a payload of type '%s%s%s'",
				   TYPE_PREFIX, controller, TYPE_SUFFIX);
		return NULL;
	}
	m = saved_unpack(r, d, any->value);
	if (m && m->schema_version != SAVED_VERSION) {
		(void)saved_refuse(
			r, "S4", EINVAL,
			"%s payload: version %u, this ferry reads %u",
			controller, m->schema_version, SAVED_VERSION);
		return NULL;
	}
	return (void *)(uintptr_t)m;
}

void *saved_extension(struct saved_reader *r, ProtobufCBinaryData bytes,
		      const ProtobufCMessageDescriptor *d, bool *ret_bad)
{
	/* Field 1, fixed32, first: so ferry's writer has it. */
	static const uint8_t head[] = { 0x0d, 'F', 'e', 'r', '1' };
	void *m;

	*ret_bad = false;
	if (bytes.len < sizeof(head) ||
	    memcmp(bytes.data, head, sizeof(head)) != 0)
		return NULL; /* somebody else's field */
	m = saved_unpack(r, d, saved_bytes(bytes));
	*ret_bad = !m;
	return m;
}

int saved_take_text(struct saved_reader *r, const char *what,
		    ProtobufCBinaryData in, struct saved_text *ret)
{
	size_t at = 0;

	while (at < in.len) {
		const size_t n = json_utf8(in.data + at, in.len - at);

		if (n == 0)
			return saved_refuse(r, "S5", EINVAL,
					    "%s: not UTF-8 at byte %zu", what,
					    at);
		at += n;
	}
	*ret = saved_bytes(in);
	return 0;
}

int saved_take_texts(struct saved_reader *r, const char *what, size_t n,
		     const ProtobufCBinaryData *in, struct saved_text **ret,
		     size_t *ret_n)
{
	struct saved_text *t = saved_many(r, n, sizeof(*t));
	size_t i;

	if (!t)
		return -EEXHAUSTED;
	for (i = 0; i < n; i++)
		if (saved_take_text(r, what, in[i], &t[i]) < 0)
			return err_code(r->e);
	*ret = t;
	*ret_n = n;
	return 0;
}

int saved_decode(const void *data, size_t size, const char *architecture,
		 struct arena *a, struct saved *ret, struct saved_fault *fault,
		 struct err *e)
{
	struct err local = { 0 };
	struct saved_reader r = {
		.a = a,
		.architecture = architecture,
		.fault = fault,
		.e = e ? e : &local,
	};
	const StateAny *outer;
	struct saved_any any;
	struct saved s;
	int ok;

	r.alloc = (ProtobufCAllocator){ from_arena, to_arena, &r };
	if (fault)
		*fault = (struct saved_fault){ "", 0 };
	if (size > SAVED_BYTES_MAX)
		return saved_refuse(&r, "S1", EEXHAUSTED,
				    "%zu bytes, at most %zu", size,
				    SAVED_BYTES_MAX);
	outer = saved_unpack(&r, &state_any__descriptor,
			     (struct saved_text){ data, size });
	if (!outer)
		return err_code(r.e);
	any = (struct saved_any){ saved_bytes(outer->type_url),
				  saved_bytes(outer->value) };
	ok = migration_save_get(&r, &any, &s);
	if (ok == 0)
		ok = saved_check(&r, &s);
	if (ok == 0)
		*ret = s;
	return ok;
}

/* --- writing --- */

ProtobufCBinaryData saved_put_text(struct saved_text t)
{
	return (ProtobufCBinaryData){ t.n, (uint8_t *)(uintptr_t)t.p };
}

void *saved_put_many(struct saved_writer *w, size_t n, size_t size)
{
	void *p = arena_array(w->a, n ? n : 1, size);

	if (!p)
		w->failed = true;
	return p;
}

void *saved_put_row(struct saved_writer *w, size_t n)
{
	return saved_put_many(w, n, sizeof(void *));
}

ProtobufCBinaryData *saved_put_texts(struct saved_writer *w,
				     const struct saved_text *t, size_t n)
{
	ProtobufCBinaryData *b = saved_put_many(w, n, sizeof(*b));
	size_t i;

	for (i = 0; b && i < n; i++)
		b[i] = saved_put_text(t[i]);
	return b;
}

struct saved_text saved_put_message(struct saved_writer *w,
				    const ProtobufCMessage *m)
{
	const size_t n = w->failed ? 0 : protobuf_c_message_get_packed_size(m);
	uint8_t *p = saved_put_many(w, n, 1);

	if (!p || w->failed)
		return (struct saved_text){ "", 0 };
	(void)protobuf_c_message_pack(m, p);
	return (struct saved_text){ (const char *)p, n };
}

void saved_put_any(struct saved_writer *w, const char *controller,
		   const ProtobufCMessage *m, struct saved_any *ret)
{
	struct text type;

	text_heap(&type, TYPE_BYTES_MAX);
	text_addf(&type, "%s%s%s", TYPE_PREFIX, controller, TYPE_SUFFIX);
	ret->type.p = arena_strn(w->a, text_str(&type), type.len);
	ret->type.n = ret->type.p ? type.len : 0;
	w->failed |= !ret->type.p || type.full;
	text_done(&type);
	ret->value = saved_put_message(w, m);
}

int saved_encode(const struct saved *s, struct text *out, struct err *e)
{
	StateAny outer = STATE_ANY__INIT;
	struct saved_any any;
	struct saved_writer w;
	struct saved_text bytes;
	struct arena a;
	int r = 0;

	arena_init(&a, ENCODE_BYTES_MAX);
	w = (struct saved_writer){ .a = &a };
	migration_save_put(&w, s, &any);
	outer.type_url = saved_put_text(any.type);
	outer.value = saved_put_text(any.value);
	bytes = saved_put_message(&w, &outer.base);
	if (w.failed)
		r = err_set(e, ENOMEM, "state: no memory");
	else if (bytes.n > SAVED_BYTES_MAX)
		r = err_set(e, EEXHAUSTED, "state: %zu bytes, at most %zu",
			    bytes.n, SAVED_BYTES_MAX);
	else
		text_addn(out, bytes.p, bytes.n);
	arena_done(&a);
	if (r == 0 && out->full)
		r = err_set(e, ENOMEM, "state: no memory");
	return r;
}
