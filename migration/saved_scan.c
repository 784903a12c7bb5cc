/* The wire format of Protocol Buffers, walked by the generated descriptors. */
#include <string.h>

#include "migration/saved_codec.h"

/* Deepest nesting of messages inside of one payload: scsi has four. */
#define SCAN_DEPTH_MAX 8u
#define VARINT_BYTES_MAX 10u

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

struct cursor {
	const uint8_t *p;
	size_t n;
};

/* Bytes of the clean copy; counted first, then written. */
struct sink {
	uint8_t *p; /* NULL: only count */
	size_t n;
};

static int refuse(struct saved_reader *r, const char *why)
{
	return saved_refuse(r, "S3", EINVAL, "malformed message: %s", why);
}

static int get_varint(struct saved_reader *r, struct cursor *c, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < c->n && i < VARINT_BYTES_MAX; i++) {
		v |= (uint64_t)(c->p[i] & 0x7f) << (7 * i);
		if (c->p[i] & 0x80)
			continue;
		c->p += i + 1;
		c->n -= i + 1;
		*ret = v;
		return 0;
	}
	return refuse(r, i == VARINT_BYTES_MAX ? "a number over 10 bytes"
					       : "cut in a number");
}

static void put(struct sink *s, const void *p, size_t n)
{
	if (s->p && n > 0)
		memcpy(s->p + s->n, p, n);
	s->n += n;
}

static void put_varint(struct sink *s, uint64_t v)
{
	uint8_t b[VARINT_BYTES_MAX];
	size_t n = 0;

	while (v >= 0x80) {
		b[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	b[n++] = (uint8_t)v;
	put(s, b, n);
}

static enum wire wire_of(const ProtobufCFieldDescriptor *f)
{
	switch ((int)f->type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return WIRE_BYTES;
	case PROTOBUF_C_TYPE_FIXED32:
		return WIRE_32;
	default:
		return WIRE_VARINT;
	}
}

/* The value behind a tag: where it is, whole; a length is not part of it. */
static int get_value(struct saved_reader *r, struct cursor *c, unsigned wire,
		     struct cursor *ret)
{
	const struct cursor begin = *c;
	uint64_t v = 0;
	int ok;

	switch (wire) {
	case WIRE_VARINT:
		ok = get_varint(r, c, &v);
		*ret = (struct cursor){ begin.p, begin.n - c->n };
		return ok;
	case WIRE_64:
	case WIRE_32:
		v = wire == WIRE_64 ? 8 : 4;
		break;
	case WIRE_BYTES:
		ok = get_varint(r, c, &v);
		if (ok < 0)
			return ok;
		break;
	default:
		return refuse(r, "a group or a reserved wire type");
	}
	if (v > c->n)
		return refuse(r, "a length beyond the end");
	*ret = (struct cursor){ c->p, (size_t)v };
	c->p += v;
	c->n -= (size_t)v;
	return 0;
}

static int scan(struct saved_reader *r, const ProtobufCMessageDescriptor *d,
		struct cursor in, struct sink *out, unsigned depth);

static int scan_field(struct saved_reader *r, const ProtobufCFieldDescriptor *f,
		      uint64_t tag, struct cursor value, struct sink *out,
		      unsigned depth)
{
	struct sink inner = { NULL, 0 };
	int ok;

	put_varint(out, tag);
	if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
		ok = scan(r, f->descriptor, value, &inner, depth + 1);
		if (ok < 0)
			return ok;
		put_varint(out, inner.n);
		if (!out->p) {
			out->n += inner.n;
			return 0;
		}
		return scan(r, f->descriptor, value, out, depth + 1);
	}
	if (wire_of(f) == WIRE_BYTES)
		put_varint(out, value.n);
	put(out, value.p, value.n);
	return 0;
}

/* The next field; *@ret_f: NULL: not known. */
static int get_field(struct saved_reader *r,
		     const ProtobufCMessageDescriptor *d, struct cursor *in,
		     uint64_t *ret_tag, const ProtobufCFieldDescriptor **ret_f,
		     struct cursor *ret)
{
	const ProtobufCFieldDescriptor *f;
	int ok;

	*ret_f = NULL;
	ok = get_varint(r, in, ret_tag);
	if (ok < 0)
		return ok;
	if (*ret_tag > UINT32_MAX || *ret_tag >> 3 == 0)
		return refuse(r, "a bad field number");
	ok = get_value(r, in, (unsigned)(*ret_tag & 7), ret);
	f = protobuf_c_message_descriptor_get_field(d,
						    (unsigned)(*ret_tag >> 3));
	/* S6: what is not known is not kept */
	*ret_f = f && wire_of(f) == (*ret_tag & 7) ? f : NULL;
	return ok;
}

/* Return: 1: *@ret is @f's next value in @in; 0: there is none */
static int get_again(struct saved_reader *r,
		     const ProtobufCMessageDescriptor *d,
		     const ProtobufCFieldDescriptor *f, struct cursor *in,
		     struct cursor *ret)
{
	while (in->n > 0) {
		const ProtobufCFieldDescriptor *other;
		struct cursor value = { NULL, 0 };
		uint64_t tag = 0;
		int ok = get_field(r, d, in, &tag, &other, &value);

		if (ok < 0)
			return ok;
		if (other != f)
			continue;
		*ret = value;
		return 1;
	}
	return 0;
}

/*
 * S7: of a number that occurs again the last counts, messages are merged, which
 * is what their bytes in a row mean. protobuf-c overlooks a zero that is written
 * in a later part, and keeps a record of each earlier one.
 */
static int take_again(struct saved_reader *r,
		      const ProtobufCMessageDescriptor *d,
		      const ProtobufCFieldDescriptor *f, struct cursor rest,
		      struct cursor *value)
{
	struct cursor in = rest, part = *value;
	size_t n = value->n;
	bool again = false;
	struct cursor all;
	int ok;

	while ((ok = get_again(r, d, f, &in, value)) > 0) {
		n += value->n;
		again = true;
	}
	if (ok < 0 || !again || f->type != PROTOBUF_C_TYPE_MESSAGE)
		return ok;
	all = (struct cursor){ saved_many(r, n + 1, 1), 0 };
	if (!all.p)
		return -EEXHAUSTED;
	do {
		if (part.n > 0)
			memcpy((uint8_t *)(uintptr_t)all.p + all.n, part.p,
			       part.n);
		all.n += part.n;
	} while (get_again(r, d, f, &rest, &part) > 0);
	*value = all;
	return 0;
}

static int scan(struct saved_reader *r, const ProtobufCMessageDescriptor *d,
		struct cursor in, struct sink *out, unsigned depth)
{
	uint64_t seen = 0;

	if (depth > SCAN_DEPTH_MAX)
		return refuse(r, "too deep");
	while (in.n > 0) {
		const ProtobufCFieldDescriptor *f;
		struct cursor value = { NULL, 0 };
		uint64_t tag = 0;
		int ok = get_field(r, d, &in, &tag, &f, &value);

		if (ok < 0)
			return ok;
		if (!f)
			continue;
		if (f->label != PROTOBUF_C_LABEL_REPEATED) {
			const uint64_t bit = UINT64_C(1) << (f - d->fields);

			if (seen & bit)
				continue;
			seen |= bit;
			ok = take_again(r, d, f, in, &value);
			if (ok < 0)
				return ok;
		}
		ok = scan_field(r, f, tag, value, out, depth);
		if (ok < 0)
			return ok;
	}
	return 0;
}

int saved_scan(struct saved_reader *r, const ProtobufCMessageDescriptor *d,
	       struct saved_text in, struct saved_text *ret)
{
	const struct cursor c = { (const uint8_t *)in.p, in.n };
	struct sink out = { NULL, 0 };
	int ok = scan(r, d, c, &out, 0);

	if (ok < 0)
		return ok;
	out.p = saved_many(r, out.n + 1, 1);
	if (!out.p)
		return -EEXHAUSTED;
	out.n = 0;
	ok = scan(r, d, c, &out, 0);
	*ret = (struct saved_text){ (const char *)out.p, out.n };
	return ok;
}
