/*
 * init/reserve.h - memory for the end, when nobody has any
 *
 * Files of the root and of a tmpfs are memory that no kill gives back. When
 * they are all there is, PID 1 is the last process, and the kernel panics as
 * soon as it wants one page more. But the kernel keeps some megabytes that
 * ordinary requests do not get: PID 1 asks it to keep fewer, and ends with
 * those. What is needed for that is opened while there is memory.
 */
#ifndef FERRY_INIT_RESERVE_H
#define FERRY_INIT_RESERVE_H

#include <stdbool.h>

#define RESERVE_KEPT "/proc/sys/vm/min_free_kbytes"
#define RESERVE_MEMINFO "/proc/meminfo"

/*
 * With less than this the agent is not started again. What the kernel calls
 * available can be had by nobody at the end: 6 MiB were, when it panicked.
 */
#define RESERVE_SHORT_KIB 16384u

/**
 * reserve_open() - get ready; what cannot be opened is done without
 * @kept:	RESERVE_KEPT but for tests
 * @meminfo:	RESERVE_MEMINFO but for tests
 */
void reserve_open(const char *kept, const char *meminfo);

/** reserve_give() - from now on the kernel's reserve can be used up */
void reserve_give(void);

/**
 * reserve_short() - would another program be the last straw?
 *
 * Return: is less than RESERVE_SHORT_KIB available? false: it is not known
 */
bool reserve_short(void);

#endif
