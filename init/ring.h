/*
 * init/ring.h - the log ring that outlives the agent (bridge/io/control.h)
 *
 * A memfd, written through one mapping that PID 1 makes before it seals the
 * file against further writing: every other holder can read only.
 */
#ifndef FERRY_INIT_RING_H
#define FERRY_INIT_RING_H

#include <stddef.h>

#include "bridge/io/control.h"
#include "config/err.h"

/**
 * struct ring - PID 1's side
 * @fd:		the memfd, owned, -1: none (a ring that swallows everything)
 * @head:	mapping of the whole file, NULL: none
 */
struct ring {
	int fd;
	struct control_ring *head;
};

/**
 * ring_open() - make the memfd, map and seal it
 *
 * On failure @r is a ring that swallows what it is given.
 * Return: 0 or -errno
 */
int ring_open(struct ring *r, struct err *e);

/** ring_put() - append @len bytes, over the oldest ones; never fails */
void ring_put(struct ring *r, const void *data, size_t len);

/** ring_done() - unmap and close */
void ring_done(struct ring *r);

#endif
