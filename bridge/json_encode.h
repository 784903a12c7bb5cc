/* bridge/json_encode.h - a struct as JSON text, by its schema; pure */
#ifndef FERRY_BRIDGE_JSON_ENCODE_H
#define FERRY_BRIDGE_JSON_ENCODE_H

#include <stddef.h>

#include "config/text.h"

struct schema;

/* For json_encode(): no string is cut. */
#define JSON_UNCUT ((size_t)-1)

/**
 * json_encode() - append the JSON object of a struct
 * @schema:	its members
 * @msg:	the struct
 * @cut:	most bytes, as escaped, of each string marked SCHEMA_CUT;
 *		JSON_UNCUT for all of them
 * @out:	receives the text; out->full tells that it did not fit
 *
 * Members in table order, those of a map in byte order. A JSON text among the
 * members that is not valid is left out (SCHEMA_ALWAYS: null).
 */
void json_encode(const struct schema *schema, const void *msg, size_t cut,
		 struct text *out);

/**
 * json_string() - append a string with its quotes
 * @out:	receives it
 * @s:		@n bytes of any kind
 * @n:		number of bytes
 * @cut:	most bytes between the quotes; the cut is between characters
 *
 * '<', '>', '&', U+2028 and U+2029 are escaped, and each byte that is no
 * UTF-8 becomes \ufffd, as Go's encoder does.
 */
void json_string(struct text *out, const char *s, size_t n, size_t cut);

#endif
