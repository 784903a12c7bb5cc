/*
 * bridge/host/carrystep.h - moving some bytes of a stream of the session, once
 *
 * Nothing here waits, and nothing changes what the stream is; the caller acts
 * on what a step came to. See bridge/host/carry.h.
 */
#ifndef FERRY_BRIDGE_HOST_CARRYSTEP_H
#define FERRY_BRIDGE_HOST_CARRYSTEP_H

#include <stdbool.h>

#include "bridge/host/carry.h"

enum carry_step {
	STEP_MOVED,
	STEP_WAIT,
	STEP_HANG_UP, /* the guest's end is of no use */
	STEP_LOCAL_GONE,
	STEP_CUT,
	STEP_INPUT_ENDED,
};

/** carry_window() - memory for what an input keeps; 0 or -ENOMEM */
int carry_window(struct host_carry *c, struct err *e);

/**
 * carry_step() - take from one end, give to the other
 * @ready:	the local end was seen to be ready: one that may block can be used
 */
enum carry_step carry_step(struct host_stream *s, bool ready);

#endif
