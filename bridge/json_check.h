/* bridge/json_check.h - is a text strict JSON, and of a bearable size?; pure */
#ifndef FERRY_BRIDGE_JSON_CHECK_H
#define FERRY_BRIDGE_JSON_CHECK_H

#include <stddef.h>

#include "config/err.h"

/* Bytes of one document; no frame holds more (WIRE_HOST_FRAME_MAX). */
#define JSON_TEXT_MAX 0x1000000u
/* Objects and arrays inside one another; an OCI document has about 8. */
#define JSON_DEPTH_MAX 64
/* Values of one document; a parser may spend some 100 bytes on each. */
#define JSON_VALUES_MAX 100000

/**
 * json_check() - refuse everything that is not exactly one JSON value
 * @text:	bytes, need not end with a NUL
 * @len:	bytes of @text
 * @e:		reason and byte offset
 *
 * The grammar is RFC 8259 to the letter, with white space allowed around the
 * value. Refused as well: bytes that are not UTF-8, a NUL in a member's name
 * (also when escaped), integers that fit neither int64_t nor uint64_t, more
 * than JSON_TEXT_MAX bytes, JSON_DEPTH_MAX levels or JSON_VALUES_MAX values.
 *
 * It exists because the tokener of json-c is laxer in its strict mode than
 * its name says (0.16: takes NaN, 00, "1.", overlong UTF-8 and raw control
 * bytes, makes 18446744073709551615 of any larger number, cuts names at a
 * NUL) and sets no bound on what it allocates.
 *
 * Return: 0 or -EINVAL
 */
int json_check(const char *text, size_t len, struct err *e);

/**
 * json_utf8() - length of the UTF-8 sequence that begins at @s
 * @s:		bytes
 * @n:		how many there are, at least 1
 *
 * Return: 1 to 4, or 0 when it is cut, overlong, a surrogate or above
 *         U+10FFFF (Unicode, table 3-7)
 */
size_t json_utf8(const unsigned char *s, size_t n);

#endif
