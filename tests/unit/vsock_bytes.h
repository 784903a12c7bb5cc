/* tests/unit/vsock_bytes.h - what streams of the vsock tests carry */
#ifndef FERRY_TESTS_UNIT_VSOCK_BYTES_H
#define FERRY_TESTS_UNIT_VSOCK_BYTES_H

#include "tests/unit/unit.h"

#include "config/util.h"

/* Byte @i of a direction's stream; no two blocks are alike. */
UNUSED static uint8_t pattern(size_t i, unsigned int salt)
{
	return (uint8_t)((i * 2654435761u >> 13) + i / 4096 + salt);
}

UNUSED static void fill(uint8_t *to, size_t from, size_t n, unsigned int salt)
{
	for (size_t i = 0; i < n; i++)
		to[i] = pattern(from + i, salt);
}

UNUSED static void check(const uint8_t *data, size_t from, size_t n,
			 unsigned int salt)
{
	for (size_t i = 0; i < n; i++)
		if (data[i] != pattern(from + i, salt))
			fail_msg("byte %zu is wrong", from + i);
}

#endif
