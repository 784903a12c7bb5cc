/*
 * init/serve.h - PID 1's answers to the agent (bridge/io/control.h)
 *
 * A packet in, at most one packet out; the socket is init/link.h's.
 */
#ifndef FERRY_INIT_SERVE_H
#define FERRY_INIT_SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/io/control.h"

/**
 * struct serve - what PID 1 knows of the present incarnation
 * @incarnation: 1, 2, ...
 * @poisoned:	told at HELLO
 * @ring_fd:	the log ring's memfd, borrowed, -1: none
 * @hello:	it has said HELLO
 * @migratable: the UVM was started to be migrated
 * @stable:	it has said STABLE
 * @power_off:	it has asked for the end of the UVM
 * @end:	which end
 */
struct serve {
	uint32_t incarnation;
	bool poisoned;
	bool migratable;
	int ring_fd;
	bool hello;
	bool stable;
	bool power_off;
	enum control_end end;
};

/** serve_begin() - a new incarnation is about to start */
void serve_begin(struct serve *s, bool poisoned);

/**
 * serve_packet() - do what a packet asks
 * @s:		state
 * @q:		packet from the agent
 * @fds:	its descriptors; those that are kept are set to -1, the caller
 *		closes the rest
 * @a:		receives the answer
 * @a_fd:	receives a borrowed descriptor to send with it, or -1; it stays
 *		open until the next packet is served
 *
 * Return: is there an answer?
 */
bool serve_packet(struct serve *s, const struct control_msg *q,
		  int fds[CONTROL_FDS_MAX], struct control_msg *a, int *a_fd);

#endif
