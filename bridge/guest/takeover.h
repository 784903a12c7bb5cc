/*
 * bridge/guest/takeover.h - a new agent takes the place of one that has died
 *
 * Called once, after PID 1 was greeted and before anything is served. Whatever
 * the earlier agent had not come to do is settled here:
 *
 *	state		opened as it was left; where there is none, or none that
 *			can be read, a new one is made and deposited
 *	processes	one that has ended is told as ever; one that lives gets its
 *			pidfd from PID 1, one that was started and not registered
 *			is registered now; its pipes and terminals come from PID 1,
 *			its streams are as after a lost host
 *	containers	as they were; one that was being made is undone, one that
 *			was being started is started
 *	networks	as they were; an adapter that was on its way is moved and
 *			configured once more, those of a pod that was not finished
 *			come back (bridge/guest/takeoveruvm.h, as volumes)
 *	the rest	of what lies with PID 1 is given back
 *
 * A record that agents die of is set aside (bridge/guest/slot.h): the object is
 * given up, and the report about the agent itself names the record. A request is
 * answered with an error, and so are those about an object that was given up.
 */
#ifndef FERRY_BRIDGE_GUEST_TAKEOVER_H
#define FERRY_BRIDGE_GUEST_TAKEOVER_H

#include "bridge/guest/agent.h"
#include "config/err.h"

/**
 * takeover() - see above; without PID 1 nothing is taken over and nothing kept
 *
 * Return: 0, or -errno: PID 1 is of no use
 */
int takeover(struct agent *a, struct err *e);

#endif
