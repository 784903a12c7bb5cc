/*
 * bridge/schema.h - a JSON object and a C struct, member by member; pure.
 *
 * A schema is a table of members: the name in JSON, what kind of value it is,
 * and where it lies in the struct. bridge/json_decode.h and
 * bridge/json_encode.h work from it in either direction. An object of the
 * JSON text need not be a struct of its own: an object member at offset 0 is
 * a level of JSON whose members lie flat in the struct around it.
 *
 * The macros below make one row each and refuse, when compiled, a struct
 * member of another type than the kind wants:
 *
 *	static const struct schema_member wait_members[] = {
 *		SCHEMA_U32(struct wait, pid, "ProcessId", SCHEMA_ALWAYS),
 *	};
 *	const struct schema wait_schema = SCHEMA(struct wait, wait_members);
 */
#ifndef FERRY_BRIDGE_SCHEMA_H
#define FERRY_BRIDGE_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One "name": "value" of a JSON object of strings. */
struct msg_pair {
	const char *name;
	const char *value;
};

/* A JSON object of strings: by name when decoded, by name when encoded. */
struct msg_pairs {
	struct msg_pair *item;
	size_t n;
};

struct msg_strings {
	const char **item;
	size_t n;
};

struct msg_numbers {
	uint64_t *item;
	size_t n;
};

enum schema_kind {
	SCHEMA_KIND_BOOL,     /* bool */
	SCHEMA_KIND_I32,      /* int32_t */
	SCHEMA_KIND_I64,      /* int64_t */
	SCHEMA_KIND_U8,	      /* uint8_t */
	SCHEMA_KIND_U16,      /* uint16_t */
	SCHEMA_KIND_U32,      /* uint32_t */
	SCHEMA_KIND_U64,      /* uint64_t */
	SCHEMA_KIND_U16_PAIR, /* uint16_t[2], an array of two numbers */
	SCHEMA_KIND_STRING,   /* const char *, NULL encodes as "" */
	SCHEMA_KIND_GUID,     /* const char *, encoded when it is a GUID */
	SCHEMA_KIND_JSON,     /* const char *, JSON text inside a string, opt */
	SCHEMA_KIND_RAW,      /* const char *, JSON text as it stands, opt */
	SCHEMA_KIND_STRINGS,  /* struct msg_strings */
	SCHEMA_KIND_NUMBERS,  /* struct msg_numbers */
	SCHEMA_KIND_PAIRS,    /* struct msg_pairs */
	SCHEMA_KIND_OBJECT,   /* struct of the schema, in place */
	SCHEMA_KIND_INNER,    /* the same, as JSON text inside a string */
	SCHEMA_KIND_POINTER,  /* pointer to such a struct, NULL: absent */
	SCHEMA_KIND_ARRAY,    /* pointer and count of such structs */
};

enum schema_flag {
	SCHEMA_OPTIONAL = 0, /* left out when zero, empty or absent */
	SCHEMA_ALWAYS = 1,   /* encoded whatever it is */
	SCHEMA_CUT = 2,	     /* a text for people, which may be cut short */
	SCHEMA_EMPTY_OK = 4, /* inner: the empty string is an empty object */
	SCHEMA_REQUIRED = 8, /* absent or null is an error when decoded */
};

/* Rows of one table: decoding notes the members seen in a 64-bit mask. */
#define SCHEMA_MEMBERS_MAX 64

struct schema;

/**
 * struct schema_member - one row
 * @name:	the member's name
 * @quoted:	"name": with its quotes, as it is encoded
 * @len:	bytes of @name
 * @kind:	kind of the value
 * @flags:	enum schema_flag, added
 * @offset:	place in the struct
 * @count:	place of the count (arrays)
 * @schema:	what the object or the objects look like
 */
struct schema_member {
	const char *name;
	const char *quoted;
	uint16_t len;
	uint8_t kind;
	uint8_t flags;
	size_t offset;
	size_t count;
	const struct schema *schema;
};

/**
 * struct schema - one object
 * @member:	rows in the order in which they are encoded
 * @n:		number of rows
 * @size:	bytes of the struct
 */
struct schema {
	const struct schema_member *member;
	size_t n;
	size_t size;
};

/* offsetof() that fails to compile when the member has another type. */
#define SCHEMA_AT(type, field, want)                                           \
	(offsetof(type, field) +                                               \
	 0 * sizeof(char[__builtin_types_compatible_p(                         \
				 __typeof__(((type *)0)->field), want)         \
				 ? 1                                           \
				 : -1]))

#define SCHEMA_ROW(kind_, name_, flags_, ...)                                  \
	{                                                                      \
		.name = (name_),                                               \
		.quoted = "\"" name_ "\":", .len = sizeof(name_) - 1,          \
		.kind = (kind_), .flags = (flags_), __VA_ARGS__                \
	}
#define SCHEMA_PLAIN(kind, ctype, type, field, name, flags)                    \
	SCHEMA_ROW(kind, name, flags, .offset = SCHEMA_AT(type, field, ctype))

#define SCHEMA_BOOL(...) SCHEMA_PLAIN(SCHEMA_KIND_BOOL, bool, __VA_ARGS__)
#define SCHEMA_I32(...) SCHEMA_PLAIN(SCHEMA_KIND_I32, int32_t, __VA_ARGS__)
#define SCHEMA_I64(...) SCHEMA_PLAIN(SCHEMA_KIND_I64, int64_t, __VA_ARGS__)
#define SCHEMA_U8(...) SCHEMA_PLAIN(SCHEMA_KIND_U8, uint8_t, __VA_ARGS__)
#define SCHEMA_U16(...) SCHEMA_PLAIN(SCHEMA_KIND_U16, uint16_t, __VA_ARGS__)
#define SCHEMA_U32(...) SCHEMA_PLAIN(SCHEMA_KIND_U32, uint32_t, __VA_ARGS__)
#define SCHEMA_U64(...) SCHEMA_PLAIN(SCHEMA_KIND_U64, uint64_t, __VA_ARGS__)
#define SCHEMA_U16_PAIR(...)                                                   \
	SCHEMA_PLAIN(SCHEMA_KIND_U16_PAIR, uint16_t[2], __VA_ARGS__)
#define SCHEMA_STRING(...)                                                     \
	SCHEMA_PLAIN(SCHEMA_KIND_STRING, const char *, __VA_ARGS__)
#define SCHEMA_GUID(...)                                                       \
	SCHEMA_PLAIN(SCHEMA_KIND_GUID, const char *, __VA_ARGS__)
#define SCHEMA_JSON(...)                                                       \
	SCHEMA_PLAIN(SCHEMA_KIND_JSON, const char *, __VA_ARGS__)
#define SCHEMA_RAW(...) SCHEMA_PLAIN(SCHEMA_KIND_RAW, const char *, __VA_ARGS__)
#define SCHEMA_STRINGS(...)                                                    \
	SCHEMA_PLAIN(SCHEMA_KIND_STRINGS, struct msg_strings, __VA_ARGS__)
#define SCHEMA_NUMBERS(...)                                                    \
	SCHEMA_PLAIN(SCHEMA_KIND_NUMBERS, struct msg_numbers, __VA_ARGS__)
#define SCHEMA_PAIRS(...)                                                      \
	SCHEMA_PLAIN(SCHEMA_KIND_PAIRS, struct msg_pairs, __VA_ARGS__)

#define SCHEMA_SUB(kind_, ctype, type, field, name, flags, sub)                \
	SCHEMA_ROW(kind_, name, flags,                                         \
		   .offset = SCHEMA_AT(type, field, ctype), .schema = &(sub))

/* A struct in place, and the same as JSON text inside a string. */
#define SCHEMA_OBJECT(ctype, ...)                                              \
	SCHEMA_SUB(SCHEMA_KIND_OBJECT, ctype, __VA_ARGS__)
#define SCHEMA_INNER(ctype, ...)                                               \
	SCHEMA_SUB(SCHEMA_KIND_INNER, ctype, __VA_ARGS__)
/* A pointer to a struct of type @ctype. */
#define SCHEMA_POINTER(ctype, ...)                                             \
	SCHEMA_SUB(SCHEMA_KIND_POINTER, ctype *, __VA_ARGS__)
/* An object whose members lie in the surrounding struct, by @sub's offsets. */
#define SCHEMA_LEVEL(name_, flags_, sub)                                       \
	SCHEMA_ROW(SCHEMA_KIND_OBJECT, name_, flags_, .schema = &(sub))
/* @field points to @n_field structs. */
#define SCHEMA_ARRAY(ctype, type, field, n_field, name_, flags_, sub)          \
	SCHEMA_ROW(SCHEMA_KIND_ARRAY, name_, flags_,                           \
		   .offset = SCHEMA_AT(type, field, ctype *),                  \
		   .count = SCHEMA_AT(type, n_field, size_t),                  \
		   .schema = &(sub))

#define SCHEMA_COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define SCHEMA(type, rows)                                                     \
	{                                                                      \
		.member = (rows),                                              \
		.n = SCHEMA_COUNT(rows) +                                      \
		     0 * sizeof(char[SCHEMA_COUNT(rows) <= SCHEMA_MEMBERS_MAX  \
					     ? 1                               \
					     : -1]),                           \
		.size = sizeof(type)                                           \
	}

#endif
