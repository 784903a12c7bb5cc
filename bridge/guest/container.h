/*
 * bridge/guest/container.h - containers: what they are, and what is being done
 * with them
 *
 *	CREATING --made--> CREATED --init let go--> RUNNING
 *	    |                 |                        |
 *	    | failed          | init ended             | init ended, drained
 *	    v                 v                        v
 *	  (gone)          TERMINATED <-----------------+
 *	                      |
 *	                      +--deleted--> (gone)
 *
 * What a request may do in which state:
 *
 *	CREATING	nothing: HR_INVALID_STATE
 *	CREATED		start its init process, signal, shut down, delete
 *	RUNNING		all but start again and delete (HR_INVALID_STATE)
 *	TERMINATED	wait, delete; HR_SYSTEM_ALREADY_STOPPED for the rest
 *
 * Order. What changes a container (start, exec, shutdown, constraints, delete)
 * is an operation (struct op) and waits in the container's queue for those
 * before it; different containers go on side by side. Waits, signals, sizes and
 * questions do not queue. An operation outlives its request: a host that goes
 * away does not undo what it has asked for.
 *
 * Who knows it. A container belongs to the UVM, not to a host object. A new
 * host object (a connection that began with id 0, struct agent @epoch) knows
 * none of them until it names one; answers and notices that are kept for a
 * container are sent after the first frame that names it was answered. See
 * container_named(), and struct answer_to @keep.
 *
 * Exit. When the init process was reaped, all that it wrote was sent or the
 * limit is over, the waiters are answered, and then the notice of the exit goes
 * out, once, whoever waits (bridge/guest/notice.h).
 * Source: shared specification bridge.md 3, 4, 6.5.
 */
#ifndef FERRY_BRIDGE_GUEST_CONTAINER_H
#define FERRY_BRIDGE_GUEST_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bridge/guest/answer.h"
#include "bridge/guest/ends.h"
#include "bridge/guest/list.h"
#include "bridge/guest/oci.h"
#include "bridge/guest/process.h"
#include "bridge/guest/request.h"
#include "bridge/io/loop.h"
#include "config/arena.h"
#include "config/err.h"

/* Containers in one UVM. */
#define CONTAINERS_MAX 2048u
#define CONTAINER_BUCKETS 1024u
/* Operations that wait for one container. */
#define CONTAINER_OPS_MAX 1024u
/* Memory that what is kept of a container's document may take. */
#define CONTAINER_MEMORY_MAX ((size_t)1 << 20)

enum container_state {
	CONTAINER_CREATING,
	CONTAINER_CREATED,
	CONTAINER_RUNNING,
	CONTAINER_TERMINATED,
	CONTAINER_STATES,
};

/* How the exit is called in the notice; the last signal of a host wins. */
enum container_exit {
	CONTAINER_UNEXPECTED,
	CONTAINER_GRACEFUL, /* SIGTERM was sent by a request */
	CONTAINER_FORCED,   /* SIGKILL likewise */
};

/**
 * struct container_facts - what another incarnation of the agent has to know
 * @serial:	names it as long as the UVM lives; never 0, never used again
 * @id:		the host's; all strings are the container's
 * @bundle, @scratch: as the host named them
 * @oci:	what its document says
 * @sandbox_root: folder of what its pod shares
 * @host_network: it is in the UVM's network namespace
 * @activity:	activity id of the request that created it
 * @has_user:	its document named a user, which is @uid and @gid
 * @deleting:	DeleteContainerState has begun
 * @told:	a host object was sent the notice of its end, that of @told_epoch
 * @told_frame: number of that in the session, 0: not known
 * @oom_kills:	processes that were killed for want of memory
 * @oom_told:	of those, what a host was told of
 * @init_pid:	0: none yet
 * @port:	the host's ports of the init process, 0: stream not requested
 * @number:	of the deposits of its init process, 0: none
 * @starting:	its init process is being let go, or was
 */
struct container_facts {
	uint64_t serial;
	enum container_state state;
	enum container_exit exit;
	const char *id;
	const char *bundle;
	const char *scratch;
	struct oci_facts oci;
	const char *sandbox_root;
	bool host_network;
	char activity[37];
	bool has_user;
	bool deleting;
	bool told;
	uint32_t uid;
	uint32_t gid;
	uint32_t told_epoch;
	uint64_t told_frame;
	uint64_t oom_kills;
	uint64_t oom_told;
	uint32_t init_pid;
	uint32_t port[MSG_STDIO];
	uint64_t number;
	bool starting;
};

struct agent;
struct keep_process;
struct container;
struct op;

/* Begin, or go on; ends with op_end(), later or at once. */
typedef void op_fn(struct op *op);

/**
 * struct op - one request that changes a container
 * @node:	in the container's queue; the first one is being done
 * @request:	NULL: the host that asked is gone, nobody is answered
 * @begin:	called when it is its turn
 * @release:	lets go of what the operation has; frees @op
 */
struct op {
	struct list node;
	struct agent *agent;
	struct container *container;
	struct request *request;
	op_fn *begin;
	op_fn *release;
	bool begun;
};

/**
 * struct container - one of them
 * @named_on:	number of the last connection on which it was named
 * @arena:	the strings of @facts
 * @processes:	init and execs, also those that are OVER
 * @init:	NULL until it was created
 * @ends:	the init process's, between create and start
 * @on_over:	called once when it is TERMINATED
 * @slot:	its record, see bridge/guest/keep.h
 * @kept_wait:	a request of it is kept, see struct answer_to @keep
 */
struct container {
	struct list node;
	struct list bucket;
	struct agent *agent;
	struct container_facts facts;
	uint32_t named_on;
	struct arena arena;
	struct list processes;
	struct process *init;
	struct ends ends;
	struct list ops;
	size_t n_ops;
	struct oom_watch *oom;
	loop_timer_fn *on_over;
	void *over_ctx;
	uint32_t slot;
	bool kept_wait;
	bool advancing;
	struct create *abandoned; /* it is being undone */
};

struct containers {
	struct agent *agent;
	struct list all;
	size_t n;
	uint64_t serial; /* the last one given */
	bool closing;	 /* the agent ends: no container does */
	struct list bucket[CONTAINER_BUCKETS];
};

/** containers_init() - none */
void containers_init(struct containers *all, struct agent *a);

/** containers_done() - forget all; what runs goes on running */
void containers_done(struct containers *all);

/** container_find() - by id, or NULL */
struct container *container_find(struct containers *all, const char *id);

/**
 * container_new() - take an id
 *
 * Return: the container in CREATING, or NULL: no memory, or CONTAINERS_MAX;
 *         the id must be free
 */
struct container *container_new(struct containers *all, const char *id);

/** container_free() - the id is free again; operations that wait are told so */
void container_free(struct container *c);

/** container_by_serial() - or NULL */
struct container *container_by_serial(const struct containers *all,
				      uint64_t serial);

/** container_state_name() - for the agent's report about itself */
const char *container_state_name(enum container_state state);

/** container_string() - a copy that lives as long as the container, or NULL */
const char *container_string(struct container *c, const char *s);

/** container_half_made() - an agent died before its create was done */
static inline bool container_half_made(const struct container *c)
{
	return c->facts.state == CONTAINER_CREATING || !c->init;
}

/** container_init_ended() - was its init process reaped? */
bool container_init_ended(const struct container *c);

/**
 * container_known() - does the host object that is connected, or was last, know
 * this container?
 */
bool container_known(const struct container *c);

/**
 * container_named() - a frame that names it was handled: send what was kept
 * @waited:	the frame was a wait for its init process
 */
void container_named(struct container *c, bool waited);

/** container_signalled() - a request has sent its init process a signal */
void container_signalled(struct container *c, int number);

/* --- its processes (exit.c) -------------------------------------------------- */

/** container_process_reaped() - the end of one was seen; its output may not be
 * through yet */
void container_process_reaped(struct process *p);

/** container_process_over() - waiters of it were answered */
void container_process_over(struct process *p);

/* --- taken over from an earlier agent --------------------------------------- */

/** container_abandon() - an agent died in its create: undo it (create.c) */
void container_abandon(struct container *c);

/** container_abandon_asked() - the create's request is answered when it is undone,
 * and then nothing of the container is left. Return: false: it is not */
bool container_abandon_asked(struct container *c, struct request *r);

/** container_watch_oom() - tell of kills for want of memory (create.c) */
void container_watch_oom(struct container *c);

/** container_start_again() - its init process was being let go (start.c) */
void container_start_again(struct container *c);

/** container_start_asked() - and @r, of an earlier agent, had asked for that */
void container_start_asked(struct container *c, struct request *r);

/**
 * container_exec_again() - an exec of it was being started (execagain.c)
 * @k:		its record, which is @slot
 * @ends:	what is ours of it; taken
 * @console:	socket that its terminal comes from, -1: none; taken
 */
void container_exec_again(struct container *c, const struct keep_process *k,
			  uint32_t slot, struct ends *ends, int console);

/** container_exec_asked() - @r asked for it. Return: false: there is none */
bool container_exec_asked(struct container *c, struct request *r);

/**
 * container_streams() - those of its init process outlive the host, and its log
 * gets what goes out (start.c)
 */
void container_streams(struct container *c);

/* --- operations ------------------------------------------------------------ */

/**
 * op_new() - zeroed memory for a struct that begins with a struct op
 * @size:	of that struct
 *
 * Return: the operation, not queued yet, or NULL
 */
void *op_new(size_t size, struct container *c, op_fn *begin, op_fn *release);

/**
 * op_queue() - do it when its turn comes
 * @op:		@container, @begin and @release are set; taken, also on failure
 * @to:		the request
 *
 * On failure the request was answered.
 */
void op_queue(struct op *op, const struct answer_to *to);

/** op_answers() - @r, which nobody looks after, is answered by it */
void op_answers(struct op *op, struct request *r);

/** op_queue_own() - the same for the agent's own work, without a request */
void op_queue_own(struct op *op);

/** op_end() - it is done and answered: release it, begin the next one */
void op_end(struct op *op);

/** op_ok() - answer success, and end */
void op_ok(struct op *op);

/** op_fail() - answer a failure, and end */
void op_fail(struct op *op, uint32_t code, const struct err *e);

#endif
