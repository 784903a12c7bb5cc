/* bridge/io/pool.h - the kernel's random generator */
#ifndef FERRY_BRIDGE_IO_POOL_H
#define FERRY_BRIDGE_IO_POOL_H

#include <stddef.h>

#include "config/err.h"

/* Most bytes that are credited at once. */
#define POOL_CREDIT_MAX 4096u

/**
 * pool_credit() - mix @len bytes in, 8 bits of entropy credited for each
 *
 * Writing to the device would mix and not credit.
 * Return: 0, -EINVAL (@len), -EPERM, or -errno
 */
int pool_credit(const void *buf, size_t len, struct err *e);

/**
 * pool_reseed() - what was mixed in counts for the next byte that is drawn
 *
 * Without it the generator goes on from its old key until its next turn, and
 * two VMs that were loaded from one state draw the same bytes until then.
 * Return: 0, -EPERM, or -errno
 */
int pool_reseed(struct err *e);

#endif
