/* bridge/json_decode.h - JSON text into a struct, by its schema; pure */
#ifndef FERRY_BRIDGE_JSON_DECODE_H
#define FERRY_BRIDGE_JSON_DECODE_H

#include <stddef.h>

#include "config/arena.h"
#include "config/err.h"

struct schema;

/**
 * json_decode() - read one JSON object
 * @schema:	its members
 * @text:	bytes, need not end with a NUL
 * @len:	bytes of @text
 * @a:		receives strings and arrays
 * @ret:	the struct of @schema; set to zero first, complete only on
 *		success
 * @e:		path of the member and reason, or byte offset and reason
 *
 * Names match without regard to ASCII case, unknown members are skipped, null
 * is the zero value, of equal names the last wins (bridge/json_tree.h). Strings
 * are NUL-terminated and therefore must not hold a NUL; an absent one is "". Not
 * for use by two threads at once: the tokener of json-c is kept between calls.
 *
 * Return: 0, -EINVAL (text or shape), -ENOMEM (no memory, arena exhausted)
 */
int json_decode(const struct schema *schema, const char *text, size_t len,
		struct arena *a, void *ret, struct err *e);

/**
 * json_decode_done() - give back the memory that json_decode() keeps
 *
 * For programs that want a clean heap at their end; it may be used again.
 */
void json_decode_done(void);

#endif
