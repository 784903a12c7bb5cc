/*
 * bridge/guest/takeoveruvm.h - takeover.h's part about the UVM itself: what is
 * mounted, the policy, and whose network is whose
 */
#ifndef FERRY_BRIDGE_GUEST_TAKEOVERUVM_H
#define FERRY_BRIDGE_GUEST_TAKEOVERUVM_H

#include "bridge/guest/agent.h"
#include "bridge/guest/left.h"

/** takeover_volumes() - and the policy; one that was being made, or taken away,
 * is undone. Once the containers are known */
void takeover_volumes(struct agent *a);

/**
 * takeover_networks() - once the containers and their processes are known, and
 * before what was not finished of them is undone
 *
 * An adapter that was on its way goes on; those of a pod that is not there any
 * more come back.
 */
void takeover_networks(struct agent *a, struct left *left);

#endif
