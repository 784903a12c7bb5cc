/*
 * bridge/guest/process.h - processes of the UVM itself
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
 * A process that is OVER keeps its exit code until it was told, and then until
 * the connection on which it was told is gone and a limit pushes it out: on
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
#define PROCESS_BUCKETS 4096u
/* Bits that remember which pids were forgotten; pids may share one. */
#define PROCESS_FORGOTTEN_BITS 32768u

enum process_state { PROCESS_LIVE, PROCESS_DRAINING, PROCESS_OVER };

struct processes;

/**
 * struct process - one of them
 * @pid:	in the agent's pid namespace
 * @state:	see above
 * @exit_code:	0..255, or 128 + signal; valid behind LIVE
 * @told_on:	number of the connection on which it was told, 0: not yet
 * @console:	it has a terminal
 * @stream:	standard input and output, NULL: none, or it is on its own now
 * @waiters:	requests that wait for its exit
 */
struct process {
	struct processes *owner;
	struct list node; /* live, untold or told */
	struct list bucket;
	pid_t pid;
	enum process_state state;
	uint32_t exit_code;
	uint32_t told_on;
	bool console;
	int pidfd;
	int terminal;	 /* a master of its own, for its size; -1: none */
	uint64_t ticket; /* PID 1's, 0: none */
	struct loop_id watch;
	struct loop_id timer;
	struct stream *stream[MSG_STDIO];
	struct list waiters;
};

/* Called when a process is OVER: answer its waiters. */
typedef void process_over_fn(void *ctx, struct process *p);
/* Called when a process was reaped, before anything else happens. */
typedef void process_reaped_fn(void *ctx, struct process *p);

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
	uint64_t started;
	process_over_fn *on_over;
	process_reaped_fn *on_reaped;
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

/** process_find() - the object of a pid, or NULL */
struct process *process_find(struct processes *all, uint32_t pid);

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
