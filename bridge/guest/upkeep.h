/*
 * bridge/guest/upkeep.h - what the agent does for the machine as a whole, when
 * the machine is a UVM of its own: its cgroups, the limit of the pods, the clock
 *
 * Nothing of it is done before a host has spoken over a real vsock socket (see
 * power_is_ours()): the same program also runs in tests, beside a machine that
 * is none of its business. It starts in the turn behind the negotiation, so
 * that the host's first answer does not wait for it.
 */
#ifndef FERRY_BRIDGE_GUEST_UPKEEP_H
#define FERRY_BRIDGE_GUEST_UPKEEP_H

#include <stdbool.h>

#include "bridge/guest/hostclock.h"
#include "bridge/io/loop.h"

struct agent;

/**
 * struct upkeep - what was begun
 * @ours:	the machine is ours; false until a host was there
 */
struct upkeep {
	bool ours;
	struct hostclock clock;
	struct loop_id timer;
};

void upkeep_init(struct agent *a);
void upkeep_done(struct agent *a);

/** upkeep_host() - a host is there: begin, or have a look at the clock */
void upkeep_host(struct agent *a);

#endif
