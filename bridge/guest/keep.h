/*
 * bridge/guest/keep.h - what a later agent has to know, object by object
 *
 * Each keep function writes the record of one object as it is now
 * (bridge/guest/slot.h): before and behind every act that cannot be repeated.
 * A record that cannot be written is told once in the log; the agent goes on.
 * The bodies are defined in keep.c and nowhere else; bridge/guest/takeover.h
 * reads them.
 *
 * A process of the UVM is kept before it is started, with its ticket; its pid
 * is written by itself into the record's word (bridge/io/spawn.h). So there is
 * no instant at which a process runs and nobody will ever know of it.
 */
#ifndef FERRY_BRIDGE_GUEST_KEEP_H
#define FERRY_BRIDGE_GUEST_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/guest/agent.h"

/* Bytes of a body without its texts. */
#define KEEP_BODY_MAX 512u

/* --- the agent itself --------------------------------------------------------- */

/**
 * struct keep_agent - what all objects refer to
 * @number:	of the last connection
 * @epoch:	see struct agent
 * @serial:	of the last container
 */
struct keep_agent {
	uint32_t number;
	uint32_t epoch;
	uint64_t serial;
};

void keep_agent(struct agent *a);
bool keep_agent_read(const struct slot_view *v, struct keep_agent *ret);

/* --- processes ---------------------------------------------------------------- */

/**
 * struct keep_process - one process
 * @ticket, @number, @request: see struct process
 * @serial:	of its container, 0: of the UVM
 * @pid:	0: in the word of the record, or it was never started
 * @ports:	a host's ports may be dialled again
 */
struct keep_process {
	uint64_t ticket;
	uint64_t number;
	uint64_t request;
	uint64_t serial;
	uint32_t pid;
	uint32_t exit_code;
	uint32_t told_on;
	enum process_state state;
	bool init;
	bool console;
};

/** keep_process_put() - before there is an object; *@slot as for slot_put() */
void keep_process_put(struct agent *a, uint32_t *slot,
		      const struct keep_process *k);
/** keep_process() - the object as it is; @forgotten: and now it goes */
void keep_process(void *agent, struct process *p, bool forgotten);
bool keep_process_read(const struct slot_view *v, struct keep_process *ret);

/* --- waits -------------------------------------------------------------------- */

/**
 * struct keep_wait - a request without a limit that waits for an exit
 * @to:		whom to answer
 * @serial:	of the container, 0: of the UVM
 */
struct keep_wait {
	struct answer_to to;
	uint64_t serial;
	uint32_t pid;
};

/** keep_wait() - @r waits for @p */
void keep_wait(struct agent *a, struct request *r, const struct process *p);
bool keep_wait_read(const struct slot_view *v, struct keep_wait *ret);

/* --- containers --------------------------------------------------------------- */

/** keep_container() - as it is now */
void keep_container(struct container *c);

/**
 * keep_container_read() - a container as it was kept
 *
 * Return: it is in the table, without processes; NULL: no container, no memory
 */
struct container *keep_container_read(struct agent *a,
				      const struct slot_view *v);

#endif
