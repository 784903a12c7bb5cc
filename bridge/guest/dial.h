/*
 * bridge/guest/dial.h - connect the standard streams of a process to the host
 *
 * The host's ports are dialled one after the other, in the order stdin,
 * stdout, stderr, each without blocking; a port that does not answer is dialled
 * again as the reference does it. Then everything is told at once.
 */
#ifndef FERRY_BRIDGE_GUEST_DIAL_H
#define FERRY_BRIDGE_GUEST_DIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/io/loop.h"
#include "bridge/io/transport.h"
#include "bridge/msg.h"
#include "config/err.h"

/* A port that does not answer is dialled this often, with pauses. */
#define DIALS_MAX 10u
#define DIAL_AGAIN_MS 100
/* Longest wait for one dial. The host takes one connection at each port: who gives
 * up a dial that the host has taken, and dials again, finds nobody. */
#define DIAL_LIMIT_MS 10000

/* @e: NULL when all ports stand; may free the struct dial */
typedef void dial_done_fn(void *ctx, struct err *e);

/**
 * struct dial - one set of ports
 * @carried:	the streams are of the session (bridge/guest/carry.h), which
 *		dials by itself; nothing is dialled here
 * @port:	0: the stream was not requested
 * @sock:	connected and non-blocking, -1: not requested, or not yet; the
 *		owner takes what it wants
 * @at:		the stream being dialled
 * @dials:	attempts at it
 */
struct dial {
	struct loop *loop;
	const struct transport *transport;
	bool carried;
	uint32_t port[MSG_STDIO];
	int sock[MSG_STDIO];
	int at;
	unsigned int dials;
	struct loop_id watch;
	struct loop_id timer;
	dial_done_fn *done;
	void *ctx;
};

/** dial_init() - nothing is dialled; dial_stop() is fine */
void dial_init(struct dial *d, struct loop *l, const struct transport *t,
	       dial_done_fn *done, void *ctx);

/**
 * dial_wanted() - take the ports of a request
 *
 * A port counts only with its flag.
 */
void dial_wanted(struct dial *d, const struct msg_execute_process *m);

/** dial_start() - begin; @done is called once, perhaps before this returns */
void dial_start(struct dial *d);

/** dial_has() - which streams are there? */
void dial_has(const struct dial *d, bool has[MSG_STDIO]);

/** dial_stop() - no more, and close what was not taken */
void dial_stop(struct dial *d);

#endif
