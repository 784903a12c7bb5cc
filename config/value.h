/*
 * config/value.h - the kinds of annotation values and their grammars; pure.
 * Source: shared specification cmdline.md 2 (ASCII digits only, no blanks, no
 * 0x, no underscore; a bool is one of twelve spellings).
 */
#ifndef FERRY_CONFIG_VALUE_H
#define FERRY_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/arena.h"
#include "config/text.h"

enum value_kind {
	VALUE_BOOL,
	VALUE_NULLABLE_BOOL,
	VALUE_INT32,
	VALUE_UINT32,
	VALUE_UINT64,
	VALUE_UINT32_LIST,
	VALUE_UINT64_LIST,
	VALUE_STRING,
	VALUE_STRING_LIST,
	VALUE_GUID,
	VALUE_KINDS, /* number of kinds */
};

enum tristate {
	TRI_UNSET = 0,
	TRI_FALSE = 1,
	TRI_TRUE = 2,
};

/* A GUID as text, lower case, with its NUL. */
#define VALUE_GUID_SIZE 37

struct u32_list {
	const uint32_t *item;
	size_t n;
};

struct u64_list {
	const uint64_t *item;
	size_t n;
};

struct string_list {
	const char *const *item; /* NULL: the list is null, not empty */
	size_t n;
};

/**
 * value_parse() - one annotation value into the C type of its kind
 * @kind:	which grammar
 * @text:	NUL-terminated
 * @a:		gets the copies that strings, GUIDs and lists need
 * @ret:	VALUE_BOOL bool, VALUE_NULLABLE_BOOL enum tristate, VALUE_INT32
 *		int32_t, VALUE_UINT32 uint32_t, VALUE_UINT64 uint64_t, lists
 *		the structs above, VALUE_STRING and VALUE_GUID const char *;
 *		written on success only
 *
 * Return: 0, -EINVAL (malformed), -ENOMEM
 */
int value_parse(enum value_kind kind, const char *text, struct arena *a,
		void *ret);

/**
 * value_print() - a value as the one text that stands for it: two texts mean
 * the same exactly when they print the same
 * @kind:	which C type
 * @value:	as value_parse() writes it
 * @out:	receives "true", "17", "0,1"; a string as it is; nothing for an
 *		unset or null value
 */
void value_print(enum value_kind kind, const void *value, struct text *out);

/**
 * value_warns() - does the reference write a log record for this malformed
 * text? It is silent for lists of 32-bit numbers and for empty lists.
 */
bool value_warns(enum value_kind kind, const char *text);

/** value_size() - bytes of the C type of a kind */
size_t value_size(enum value_kind kind);

/** value_kind_name() - "bool", "int32", ...: as in messages and vectors */
const char *value_kind_name(enum value_kind kind);

/**
 * value_kind_find() - the kind of a printed name
 *
 * Return: true and *@ret set, or false
 */
bool value_kind_find(const char *name, enum value_kind *ret);

#endif
