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
 * What cannot be had at this moment is not given up: the agent ends, and the next
 * one tries again, see takeover_again().
 *
 * A record that agents die of is set aside (bridge/guest/slot.h): the object is
 * given up and ended (bridge/guest/giveup.h), and the report about the agent itself
 * names the record. A request is answered with an error, and so are those about an
 * object that was given up.
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

/**
 * takeover_again() - @what would be lost for want of memory or descriptors
 *
 * An agent may die at any instant, and this is one: the next agent may have what
 * this one has not, and this one ends. The record that is being read is not to
 * blame. The third one in a row, of which PID 1 says so, goes on with what there
 * is: then this returns.
 * @e:		NULL, or without words: no memory
 */
void takeover_again(struct agent *a, const char *what, const struct err *e);

/**
 * takeover_rather() - there is no memory for @what, which somebody would wait for
 * for ever
 *
 * The record of it is still there: an agent that PID 1 starts again ends, and the
 * next one sees to it. Any other goes on, and the third in a row: then this
 * returns.
 */
void takeover_rather(const struct agent *a, const char *what);

#endif
