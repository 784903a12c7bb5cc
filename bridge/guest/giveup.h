/*
 * bridge/guest/giveup.h - the end of what agents died of
 *
 * A record that two agents died of is set aside (bridge/guest/slot.h), and what it
 * describes is not taken over. It does not run on unknown: a request is answered
 * with an error; a container is ended by the runtime, which needs its id alone, and
 * its end is told once; a process of either is known to PID 1, and killed by the
 * descriptor that PID 1 has of it (left_give_back()). No more of such a record is
 * read than that. What was mounted for a container stays, and the host takes it
 * away as ever; the cgroup of a pod stays.
 */
#ifndef FERRY_BRIDGE_GUEST_GIVEUP_H
#define FERRY_BRIDGE_GUEST_GIVEUP_H

#include "bridge/guest/agent.h"

/** giveup() - all that was set aside; once the rest was taken over */
void giveup(struct agent *a);

#endif
