/* tests/unit/pick.h - random numbers, the same in each run */
#ifndef FERRY_TESTS_UNIT_PICK_H
#define FERRY_TESTS_UNIT_PICK_H

#include <stdint.h>

/* xorshift64 */
static inline uint32_t pick(uint32_t below)
{
	static uint64_t state = 88172645463325252ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 33) % below;
}

#endif
