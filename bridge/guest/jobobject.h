/* bridge/guest/jobobject.h - a job, as the files that make jobs see it */
#ifndef FERRY_BRIDGE_GUEST_JOBOBJECT_H
#define FERRY_BRIDGE_GUEST_JOBOBJECT_H

#include <stdbool.h>
#include <sys/types.h>

#include "bridge/guest/capture.h"
#include "bridge/guest/job.h"
#include "bridge/guest/list.h"
#include "bridge/io/loop.h"
#include "bridge/io/spawn.h"
#include "config/arena.h"
#include "config/err.h"

enum job_state {
	JOB_QUEUED,
	JOB_RUNNING,
	JOB_KILLED,
	JOB_STUCK,
	JOB_STATES, /* number of states */
};

/**
 * struct job - one of them
 * @call:	the function; @call.fn NULL: it is a program
 * @why:	KILLED: what to tell, -ETIMEDOUT or -ECANCELED
 * @cancelled:	QUEUED: never start it
 * @arena:	copies of a program's arguments
 * @stdio:	of a program; -1: captured, or /dev/null for 0
 */
struct job {
	struct list node;
	struct jobs *owner;
	enum job_state state;
	int why;
	bool cancelled;
	struct job_call call;
	int keep[JOB_KEEP_MAX];
	struct arena arena;
	struct spawn spawn;
	int stdio[3];
	pid_t pid;
	int pidfd;
	struct loop_id watch;
	struct loop_id timer;
	struct capture out;
	struct capture errors;
};

/** job_free() - release it and its descriptors; the child is not touched */
void job_free(struct job *j);

/**
 * jobs_pump_soon() - look at the queue in the next turn of the loop
 *
 * Return: 0 or -ENOMEM
 */
int jobs_pump_soon(struct jobs *all, struct err *e);

#endif
