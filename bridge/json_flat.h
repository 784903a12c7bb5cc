/*
 * bridge/json_flat.h - the short way for small messages; pure.
 *
 * Most requests are strings and numbers in an object or two. Building a tree
 * of those with json-c costs more than all the rest of a request under musl (2.1
 * of 2.6 microseconds for WaitForProcess), so they are read straight from the
 * text. Whatever is not as plain as that, and every error, is left to
 * json_decode(): the two never disagree, they only differ in how much they
 * take on.
 */
#ifndef FERRY_BRIDGE_JSON_FLAT_H
#define FERRY_BRIDGE_JSON_FLAT_H

#include <stdbool.h>
#include <stddef.h>

#include "config/arena.h"

struct schema;
struct schema_member;

/**
 * json_flat() - decode an object of plain members
 * @schema:	its members
 * @text:	an object that json_check() has accepted, so that its end need
 *		not be told
 * @a:		receives strings
 * @ret:	the struct of @schema, blank (json_decode() says what that is)
 *
 * Plain are strings without escapes of non-ASCII characters, numbers that fit
 * their member, true and false, arrays of strings, objects of these, and such
 * objects as text inside a string.
 *
 * Return: true: done; false: something is not plain, or wrong, or @a is
 *         exhausted, and @ret is half written
 */
bool json_flat(const struct schema *schema, const char *text, struct arena *a,
	       void *ret);

/**
 * json_find() - the row of a member
 * @schema:	table
 * @name:	@len bytes, matched without regard to ASCII case
 * @len:	bytes of @name
 * @next:	where to begin, because members mostly come in the order of the
 *		table; start with 0, it is moved behind the row
 *
 * Return: the row, or NULL
 */
const struct schema_member *json_find(const struct schema *schema,
				      const char *name, size_t len,
				      size_t *next);

#endif
