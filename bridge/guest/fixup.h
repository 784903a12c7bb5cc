/*
 * bridge/guest/fixup.h - what has to be put right when the VM runs in a new
 * place, before anything else is served
 *
 * A VM that was moved, or of which two were loaded from one state, has the
 * random generator of the other, a clock that stood still, and neighbours that
 * look for its addresses elsewhere. Source: docs/resume.md 4.
 */
#ifndef FERRY_BRIDGE_GUEST_FIXUP_H
#define FERRY_BRIDGE_GUEST_FIXUP_H

#include <stdint.h>

#include "bridge/msg_ferry.h"
#include "config/err.h"

#define FIXUP_ENTROPY_MIN 32u
#define FIXUP_ENTROPY_MAX 512u
/* A clock that is off by more is set, not slewed. */
#define FIXUP_STEP_NS ((int64_t)100000000)
/* A time that may be older than this is taken as it is. */
#define FIXUP_OLD_NS ((int64_t)1000000000)

/**
 * fixup_clock_step() - by how much to set the clock; pure
 * @host_ns, @guest_ns: CLOCK_REALTIME of both at the same time
 *
 * Return: nanoseconds to add, 0: let it be
 */
int64_t fixup_clock_step(uint64_t host_ns, uint64_t guest_ns);

/**
 * fixup_apply() - reseed the random generator, then set the clock
 * @m:		what the host has for us
 * @since_ns:	CLOCK_MONOTONIC, before the host can have said so. Its time is
 *		then at most that old, and taken to be half as old
 * @done:	receives what was done; addresses are announced by the caller
 *
 * Return: 0; -EINVAL: a member makes no sense; or why the generator was not
 *         reseeded: nobody is to be served then. A clock that cannot be set is
 *         logged and tolerated.
 */
int fixup_apply(const struct msg_ferry_fixup *m, int64_t since_ns,
		struct msg_ferry_fixed *done, struct err *e);

/** fixup_now_ns() - CLOCK_MONOTONIC */
int64_t fixup_now_ns(void);

#endif
