/* init/clock.h - milliseconds for deadlines */
#ifndef FERRY_INIT_CLOCK_H
#define FERRY_INIT_CLOCK_H

#include <stdint.h>
#include <time.h>

/** clock_ms() - CLOCK_MONOTONIC in milliseconds */
static inline int64_t clock_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail on Linux */
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/** clock_sleep_ms() - sleep, possibly less when a signal comes */
static inline void clock_sleep_ms(int ms)
{
	const struct timespec t = { .tv_sec = ms / 1000,
				    .tv_nsec = (long)(ms % 1000) * 1000000 };

	(void)nanosleep(&t, NULL); /* callers loop on a deadline */
}

#endif
