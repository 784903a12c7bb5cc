/*
 * bridge/guest/process.h - processes that the host knows: of the UVM itself,
 * and those of containers (the init process, and execs)
 *
 *	LIVE --exit--> DRAINING --outputs sent, or the limit--> OVER
 *
 * The exit is told when what the process wrote was sent, but never later than
 * PROCESS_DRAIN_MS: neither a host that does not read nor a grandchild that
 * keeps the pipe open can hold it back.
 *
 * A terminal is hung up (SIGHUP to its session) when a host that is still
 * connected has closed both its input and its output.
 *
 * A process of the UVM is a child of the agent, which takes its exit code by
 * waitpid(). One of a container was left behind by the OCI runtime: PID 1 reaps
 * it and tells its exit, or, where PID 1 is not ferry's, it became the agent's
 * child (bridge/guest/orphans.h). Until it is settled who it is, which takes a
 * question to PID 1 and its answer, it has no pidfd and nobody else may know it.
 *
 * The init process of a container keeps its exit code as long as the container
 * is there. Any other process that is OVER keeps it until it was told, and then
 * until the connection on which it was told is gone and a limit pushes it out: on
 * that connection its pid is not known any more, as with the reference; on a
 * later one the host can ask again, because an answer that was sent need not
 * have arrived.
 *
 * A process whose exit code nobody asked for, and which a limit pushed out, is
 * told apart from one that never was: a host takes "not found" for an exit
 * with code 0, so the answer to a wait for it has to be another.
 */
#ifndef FERRY_BRIDGE_GUEST_PROCESS_H
#define FERRY_BRIDGE_GUEST_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bridge/guest/list.h"
#include "bridge/guest/request.h"
#include "bridge/guest/stream.h"
#include "bridge/io/loop.h"
#include "bridge/msg.h"
#include "config/err.h"

/* Most processes that are not OVER. */
#define PROCESSES_MAX 8192u
/*
 * Most exit codes that nobody asked for; the oldest goes first. As many as the
 * kernel has pids by default: an exit is known until its pid is used again.
 */
#define PROCESS_EXITS_MAX 32768u
/* Most exit codes that were told already. */
#define PROCESS_TOLD_MAX 256u
#define PROCESS_DRAIN_MS 5000
/* Longest wait for PID 1 to tell the exit of a process that is seen to be
 * gone; then its exit code is not known. */
#define PROCESS_TELL_MS 5000
#define PROCESS_BUCKETS 4096u
/* Bits that remember which pids were forgotten; pids may share one. */
#define PROCESS_FORGOTTEN_BITS 32768u

/* Role of the terminal's master among the deposits. */
#define PROCESS_TERMINAL 3u
/* Those of the files of its streams of the session begin here, and those of the
 * pipes before them. */
#define PROCESS_FILE 4u
#define PROCESS_MID 8u
/* The socket that a runtime sends a terminal to. */
#define PROCESS_CONSOLE 12u
/* No request has started it, or that was answered long ago. */
#define PROCESS_NO_REQUEST UINT64_MAX

enum process_state { PROCESS_LIVE, PROCESS_DRAINING, PROCESS_OVER };

struct container;
struct processes;
struct process;

/* See process_adopt_orphan(); must not forget @p. */
typedef void process_settled_fn(void *ctx, struct process *p);

/**
 * struct process - one of them
 * @node:	in one of the lists of struct processes; an init process that is
 *		OVER is in none
 * @sibling:	in its container's list
 * @container:	NULL: of the UVM
 * @init:	it is the container's init process
 * @orphan:	its exit is told by bridge/guest/orphans.h
 * @on_settled:	called once when an orphan is settled
 * @pid:	in the agent's pid namespace
 * @state:	see above
 * @exit_code:	0..255, or 128 + signal; valid behind LIVE
 * @told_on:	number of the connection on which it was told, 0: not yet; a host
 *		without a session that asks again there is told that it is unknown
 * @console:	it has a terminal
 * @stream:	standard input and output, NULL: none, or it is on its own now
 * @waiters:	requests that wait for its exit
 * @slot:	its record, see bridge/guest/keep.h
 * @number:	of its deposits with PID 1, 0: none; roles are those of the streams,
 *		and PROCESS_TERMINAL
 * @request:	id of the request that has started it
 * @port, @carried: see struct keep_process
 */
struct process {
	struct processes *owner;
	struct list node; /* live, untold or told */
	struct list bucket;
	struct list sibling;
	struct container *container;
	process_settled_fn *on_settled;
	void *settled_ctx;
	pid_t pid;
	enum process_state state;
	uint32_t exit_code;
	uint32_t told_on;
	bool init;
	bool orphan;
	bool console;
	int pidfd;
	int terminal;	 /* a master of its own, for its size; -1: none */
	uint64_t ticket; /* PID 1's, 0: none */
	struct loop_id watch;
	struct loop_id timer;
	struct stream *stream[MSG_STDIO];
	struct list waiters;
	uint32_t slot;
	uint64_t number;
	uint64_t request;
	uint32_t port[MSG_STDIO];
	bool carried;
};

/* Called when a process is OVER: answer its waiters. */
typedef void process_over_fn(void *ctx, struct process *p);
/* Called when a process was reaped, before anything else happens. */
typedef void process_reaped_fn(void *ctx, struct process *p);
/* What a later agent has to know of it has changed; @forgotten: it is about to
 * be released. */
typedef void process_kept_fn(void *ctx, struct process *p, bool forgotten);

/**
 * struct processes - all of them
 * @max_live, @max_untold, @max_told: PROCESSES_MAX, PROCESS_EXITS_MAX,
 *		PROCESS_TOLD_MAX; a test may want less
 * @forgotten:	a bit for each pid that was pushed out untold
 */
struct processes {
	struct loop *loop;
	struct list live;   /* LIVE and DRAINING */
	struct list untold; /* OVER, oldest first */
	struct list told;   /* OVER, oldest first */
	size_t n_live;
	size_t n_untold;
	size_t n_told;
	size_t max_live;
	size_t max_untold;
	size_t max_told;
	size_t n_kept; /* of init processes that are OVER */
	uint64_t started;
	process_over_fn *on_over;
	process_reaped_fn *on_reaped;
	process_kept_fn *on_kept; /* NULL: nobody wants to know */
	void *ctx;
	struct list bucket[PROCESS_BUCKETS];
	uint8_t forgotten[PROCESS_FORGOTTEN_BITS / 8];
};

/** processes_init() - none */
void processes_init(struct processes *all, struct loop *l,
		    process_over_fn *over, process_reaped_fn *reaped,
		    void *ctx);

/** processes_done() - forget all; processes that run go on running */
void processes_done(struct processes *all);

/**
 * process_adopt() - keep a process that was just started
 * @pid:	a child that was not waited for
 * @pidfd:	its pidfd; the object's, also on failure
 * @ret:	receives the object, which has no streams and no terminal yet
 *
 * An older object of the same pid, whose process was reaped, is forgotten.
 * Return: 0, -ENOMEM, or -errno of the event loop
 */
int process_adopt(struct processes *all, pid_t pid, int pidfd,
		  struct process **ret, struct err *e);

/**
 * process_adopt_orphan() - keep a process that a runtime left behind
 * @c:		its container
 * @init:	its init process
 * @ticket:	PID 1's, 0: none
 * @fn:		called by process_settled() or process_exit_told()
 *
 * Return: 0 or -ENOMEM
 */
int process_adopt_orphan(struct processes *all, pid_t pid, struct container *c,
			 bool init, uint64_t ticket, process_settled_fn *fn,
			 void *ctx, struct process **ret, struct err *e);

/**
 * process_settled() - the process lives, and this is it
 * @pidfd:	taken; -1: there is none to be had, its end is not seen by the
 *		agent itself
 */
void process_settled(struct process *p, int pidfd);

/** process_exit_told() - an orphan has ended with this wait status */
void process_exit_told(struct process *p, int status);

/** process_exit_unknown() - an orphan has ended, and nobody knows how */
void process_exit_unknown(struct process *p);

/**
 * process_restore() - one that an earlier agent had started
 *
 * It is an orphan, has no pidfd, no streams, and no terminal yet; its other
 * members are the caller's to fill.
 * Return: the object, or NULL: no memory
 */
struct process *process_restore(struct processes *all, pid_t pid,
				struct container *c);

/** process_restored() - its members are filled, and it is DRAINING or OVER */
void process_restored(struct process *p, enum process_state state);

/** process_forget() - release it; one that runs goes on running */
void process_forget(struct process *p);

/**
 * process_find() - the object of a pid, or NULL
 * @c:		its container, NULL: of the UVM
 */
struct process *process_find(struct processes *all, const struct container *c,
			     uint32_t pid);

/** process_by_pid() - the live object of a pid, whosever it is, or NULL */
struct process *process_by_pid(struct processes *all, uint32_t pid);

/**
 * process_forgotten() - was there a process of this pid (or of one that shares
 * its bit) whose exit code was pushed out before anybody asked for it?
 */
bool process_forgotten(const struct processes *all, uint32_t pid);

/** process_room() - may one more be started? */
bool process_room(const struct processes *all);

/**
 * process_check() - go on when it has ended and its outputs are drained;
 * called when a stream of it changed
 */
void process_check(struct process *p);

/** process_keep() - what a later agent has to know of it has changed */
void process_keep(struct process *p);

/** process_told() - its exit code was told on connection @conn */
void process_told(struct process *p, uint32_t conn);

/**
 * process_reap() - if it has ended, take its exit code
 *
 * Called by the pidfd's watch, and by who sees SIGCHLD.
 */
void process_reap(struct process *p);

/**
 * process_signal() - send @signal to this process and no other
 *
 * Return: 0, -ESRCH (it has ended), -EINVAL (no such signal), -EPERM
 */
int process_signal(const struct process *p, int signal, struct err *e);

/** process_state_name() - for the agent's report about itself */
const char *process_state_name(enum process_state state);

/** process_exit_code() - of a wait status; pure */
uint32_t process_exit_code(int status);

#endif
