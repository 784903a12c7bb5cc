/* config/util.h - the few macros that every room uses */
#ifndef FERRY_CONFIG_UTIL_H
#define FERRY_CONFIG_UTIL_H

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define UNUSED __attribute__((unused))

static inline void cleanup_free_ptr(void *p)
{
	free(*(void **)p);
}

/* The pointer is freed when its scope ends, unless it was taken. */
#define cleanup_free __attribute__((cleanup(cleanup_free_ptr)))

/* Moves a heap pointer out of a cleanup_free variable. */
#define mem_take(pp)                                                           \
	({                                                                     \
		__typeof__(*(pp)) p_ = *(pp);                                  \
		*(pp) = NULL;                                                  \
		p_;                                                            \
	})

#endif
