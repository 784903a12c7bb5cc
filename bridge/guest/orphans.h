/*
 * bridge/guest/orphans.h - the processes that an OCI runtime leaves behind
 *
 * The runtime starts a container's process and ends: the process is an orphan.
 * Its number is read from a file afterwards, and by then it may have ended and
 * the number may be another's. What keeps that right is an order of steps:
 *
 *	1. orphans_open()	before the runtime starts. From now on every exit of
 *				an unknown orphan is remembered
 *	2. the runtime runs, and its process file is read
 *	3. orphans_adopt()	the exit that was seen, or the process that lives
 *	   or orphans_close()	nothing was left behind
 *
 * Under ferry's PID 1 the orphans are its children, and all this is its own
 * protocol (bridge/io/control.h). Else the agent is their reaper and keeps the
 * exits itself. Tickets are few: do not open one for work that waits.
 */
#ifndef FERRY_BRIDGE_GUEST_ORPHANS_H
#define FERRY_BRIDGE_GUEST_ORPHANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bridge/guest/pid1.h"
#include "bridge/guest/process.h"
#include "bridge/guest/slot.h"
#include "config/err.h"

/* Exits kept while a ticket is open, without ferry's PID 1. */
#define ORPHANS_EXITS_MAX 512u

struct keep_process;

struct orphan_exit {
	pid_t pid;
	int status;
};

/**
 * struct orphans - who looks after them
 * @slots:	of whose records none is to blame for a lost PID 1
 * @open:	tickets
 * @exits:	without PID 1: seen while tickets are open, oldest first
 */
struct orphans {
	struct pid1 *pid1;
	struct processes *processes;
	struct slots *slots;
	unsigned int open;
	size_t n_exits;
	struct orphan_exit exits[ORPHANS_EXITS_MAX];
};

/** orphans_init() - none; listens to @pid1 */
void orphans_init(struct orphans *o, struct pid1 *pid1,
		  struct processes *processes, struct slots *slots);

/** orphans_open() - a runtime is about to start; return: the ticket */
uint64_t orphans_open(struct orphans *o);

/** orphans_opened() - an earlier agent has opened one more */
void orphans_opened(struct orphans *o);

/** orphans_close() - it has left nothing behind */
void orphans_close(struct orphans *o, uint64_t ticket);

/**
 * orphans_adopt() - it has left process @pid behind; ends the ticket, whatever
 * it returns
 * @kept:	its record as it is so far, and the number of that; the pid does not
 *		matter
 * @fn:		called once it is known who the process is, perhaps before this
 *		returns; a process that has ended is told as one that then ends
 *
 * Return: 0 or -ENOMEM
 */
int orphans_adopt(struct orphans *o, uint64_t ticket, pid_t pid,
		  struct container *c, const struct keep_process *kept,
		  uint32_t slot, process_settled_fn *fn, void *ctx,
		  struct err *e);

/** orphans_reaped() - without PID 1: an unknown child was reaped */
void orphans_reaped(struct orphans *o, pid_t pid, int status);

#endif
