/* config/num.h - decimal text to numbers, strictly, and little-endian bytes */
#ifndef FERRY_CONFIG_NUM_H
#define FERRY_CONFIG_NUM_H

#include <stdint.h>
#include <string.h>

#include "config/err.h"

/**
 * num_u64() - one or more ASCII digits, nothing else, as an unsigned number
 * @text:	NUL-terminated; no sign, no blank, leading zeros allowed
 * @min:	smallest value accepted
 * @max:	largest value accepted
 * @ret:	written on success only
 * @e:		says what was read and what was wanted
 *
 * Return: 0, -EINVAL (not a number), -ERANGE (out of @min..@max)
 */
int num_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret,
	    struct err *e);

/** num_u32() - as num_u64(), 32 bits */
int num_u32(const char *text, uint32_t min, uint32_t max, uint32_t *ret,
	    struct err *e);

/**
 * num_i32() - as num_u64(), signed, with one optional '+' or '-' in front
 */
int num_i32(const char *text, int32_t min, int32_t max, int32_t *ret,
	    struct err *e);

static inline uint16_t le16_get(const void *p)
{
	const uint8_t *b = p;

	return (uint16_t)(b[0] | b[1] << 8);
}

static inline uint32_t le32_get(const void *p)
{
	const uint8_t *b = p;

	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
	       (uint32_t)b[3] << 24;
}

static inline uint64_t le64_get(const void *p)
{
	const uint8_t *b = p;

	return le32_get(b) | (uint64_t)le32_get(b + 4) << 32;
}

static inline void le16_put(void *p, uint16_t v)
{
	uint8_t *b = p;

	b[0] = (uint8_t)v;
	b[1] = (uint8_t)(v >> 8);
}

static inline void le32_put(void *p, uint32_t v)
{
	le16_put(p, (uint16_t)v);
	le16_put((uint8_t *)p + 2, (uint16_t)(v >> 16));
}

static inline void le64_put(void *p, uint64_t v)
{
	le32_put(p, (uint32_t)v);
	le32_put((uint8_t *)p + 4, (uint32_t)(v >> 32));
}

#endif
