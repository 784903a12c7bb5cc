/*
 * bridge/guest/streamstep.h - moving some bytes of a stream, once
 *
 * By splice where the kernel can, else through the scratch buffer; nothing here
 * waits, and nothing changes the state of the stream. See bridge/guest/stream.h.
 */
#ifndef FERRY_BRIDGE_GUEST_STREAMSTEP_H
#define FERRY_BRIDGE_GUEST_STREAMSTEP_H

#include "bridge/guest/stream.h"

enum step {
	STEP_MOVED,
	STEP_NEED_SOURCE, /* empty */
	STEP_NEED_SINK,	  /* full */
	STEP_END,	  /* the source has ended */
	STEP_SINK_BROKE,
	STEP_AGAIN, /* another way has to be tried */
};

/** stream_count() - @n bytes were taken from the source */
void stream_count(struct stream *s, size_t n);

/** stream_step() - take from the source, give to the sink */
enum step stream_step(struct stream *s);

#endif
