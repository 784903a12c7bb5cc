/*
 * init/link.h - PID 1's end of the control socket; never blocks
 *
 * One answer may be waiting for room; until it is sent, no further packet is
 * taken, so that its descriptor stays what it was.
 */
#ifndef FERRY_INIT_LINK_H
#define FERRY_INIT_LINK_H

#include <stdbool.h>

#include "bridge/io/control.h"
#include "init/serve.h"

/* Packets served in one turn, so that other peers get theirs. */
#define LINK_TURN_MAX 64u

/* Packets that are still taken from an incarnation that has ended: more than
 * a socket's buffer holds. */
#define LINK_DRAIN_MAX 4096u

/**
 * struct link - the socket
 * @fd:		owned, -1: closed
 * @serve:	who answers; borrowed
 * @waiting:	@answer did not fit yet
 * @crowded:	an exit did not fit yet
 */
struct link {
	int fd;
	struct serve *serve;
	bool waiting;
	bool crowded;
	struct control_msg answer;
	int answer_fd;
};

/**
 * link_open() - a fresh socket pair
 * @l:		@serve is set, no socket is open
 * @ret_child:	receives the agent's end, close-on-exec, the caller's
 * @e:		reason
 *
 * Return: 0 or -errno
 */
int link_open(struct link *l, int *ret_child, struct err *e);

/** link_events() - POLLIN or POLLOUT, what to wait for now */
short link_events(const struct link *l);

/**
 * link_turn() - serve what is there, tell exits, without blocking
 *
 * Return: 0, or -errno: the peer is gone or broke the protocol, and the
 *         socket is closed
 */
int link_turn(struct link *l, struct err *e);

/** link_finish() - the agent has ended: do what it still asked for, close */
void link_finish(struct link *l);

#endif
