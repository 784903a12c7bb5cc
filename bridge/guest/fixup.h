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

#include <stdbool.h>
#include <stdint.h>

#include "bridge/msg_ferry.h"
#include "config/err.h"

#define FIXUP_ENTROPY_MIN 32u
#define FIXUP_ENTROPY_MAX 512u
/* A clock that is behind or ahead by more is set, not slewed. */
#define FIXUP_BEHIND_NS ((int64_t)10000000)
#define FIXUP_AHEAD_NS ((int64_t)100000000)
/* A time that may be older than this is asked for again, so many times. */
#define FIXUP_SURE_NS ((int64_t)60000000)
#define FIXUP_AGAIN_MAX 5u
/* A time that may be older than this is taken as it is. */
#define FIXUP_OLD_NS ((int64_t)1000000000)

/** fixup_is_step() - is a clock that is behind by @off_ns to be set? Pure. */
bool fixup_is_step(int64_t off_ns);

/**
 * fixup_apply() - reseed the random generator, then set the clock
 * @m:		what the host has for us
 * @since_ns:	CLOCK_MONOTONIC, before the host can have said so. Its time is
 *		then at most that old, and taken to be half as old
 * @ours:	the clock is ours to set
 * @done:	receives what was done; addresses are announced by the caller. Its
 *		@again says that the time was too old to be exact
 * @left_ns:	receives by how much the clock is behind now
 *
 * Return: 0; -EINVAL: a member makes no sense; or why the generator was not
 *         reseeded: nobody is to be served then. A clock that cannot be set is
 *         logged and tolerated.
 */
int fixup_apply(const struct msg_ferry_fixup *m, int64_t since_ns, bool ours,
		struct msg_ferry_fixed *done, int64_t *left_ns, struct err *e);

/** fixup_now_ns() - CLOCK_MONOTONIC */
int64_t fixup_now_ns(void);

#endif
