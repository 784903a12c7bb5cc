/*
 * bridge/guest/dispatch.h - a frame in, the handler of its type called
 *
 * Frames are handled one after the other, in the order of the stream, so a
 * request behind NegotiateProtocol finds it done. A type that is not known, or
 * not allowed now, is refused with HR_NOT_IMPLEMENTED; a body that cannot be
 * read with HR_INVALID_JSON; the connection stays up.
 */
#ifndef FERRY_BRIDGE_GUEST_DISPATCH_H
#define FERRY_BRIDGE_GUEST_DISPATCH_H

#include "bridge/frame.h"
#include "bridge/guest/agent.h"
#include "bridge/guest/answer.h"

/**
 * struct call - one request while it is being handled
 * @agent:	the agent
 * @to:		whom to answer; copy it to answer later
 */
struct call {
	struct agent *agent;
	struct answer_to to;
};

/* @msg: the decoded body, in the agent's arena; valid during the call */
typedef void handler_fn(struct call *c, const void *msg);

/** dispatch() - handle one frame; it is answered now or later, once */
void dispatch(struct agent *a, const struct frame *f);

#endif
