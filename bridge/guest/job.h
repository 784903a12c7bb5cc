/*
 * bridge/guest/job.h - work that may block, in a child with a deadline
 *
 * The agent has one thread and never waits. What may block (a mount of a slow
 * disk, the OCI runtime, mkfs, a dial) is a job: a child process of the agent.
 * Two kinds:
 *
 *   job_call()	a C function of the agent in a forked child. It may block, and
 *		start programs of its own; its return value, its struct err and
 *		its output text come back over a pipe. What it changes in memory
 *		is lost.
 *   job_exec()	a program; its exit code and what it wrote come back.
 *
 * Life of a job:
 *
 *	queued --slot free--> running --exit, seen by pidfd--> done
 *	running --deadline, cancel--> killed --exit--> done
 *	killed --JOB_KILL_MS without an exit--> done, and stuck: the child sits
 *		in the kernel where no signal reaches it; the caller is told,
 *		the child is reaped whenever it ends
 *
 * Each job is a session and process group of its own. On expiry and on cancel
 * SIGKILL goes to the whole group; at the end of a job_call() too, whatever its
 * result, so that nothing it has started is left. What a program has left
 * behind on purpose (in a session of its own) is not touched.
 *
 * A child dies with the agent (PR_SET_PDEATHSIG), but for the system call that it
 * is in: a mount of a slow disk ends when it ends. A function's child therefore has
 * a lock, of the byte of its agent's number in a file that agents hand on, and
 * begins when no child of an earlier agent has one, or after JOB_EARLIER_LOOKS.
 *
 * A forked child has default signal actions, but for SIGPIPE, which stays ignored,
 * an empty signal mask, /dev/null as 0 and 1, 2 as the agent's and, of all other
 * descriptors, only those that the job names and the file of the locks: the
 * agent's sockets do not live on in it. It must not log and not touch the loop.
 *
 * Slots. Two classes, so that waiting does not hold up work: JOB_WORK (costs
 * memory and CPU: the runtime, mkfs) and JOB_WAIT (mostly waits for a device or
 * a peer). Jobs beyond the slots wait in the order in which they came.
 */
#ifndef FERRY_BRIDGE_GUEST_JOB_H
#define FERRY_BRIDGE_GUEST_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "bridge/guest/list.h"
#include "bridge/io/loop.h"
#include "config/err.h"
#include "config/text.h"

/* Jobs that run at once, by class, and those that wait for a slot. */
#define JOBS_WORK_MAX 32u
#define JOBS_WAIT_MAX 128u
#define JOBS_QUEUED_MAX 16384u
/* Killed children that do not end; with that many no job is started. */
#define JOBS_STUCK_MAX 256u
/* From SIGKILL to the answer when the child does not end. */
#define JOB_KILL_MS 1000
/* Bytes of output that are kept unless the job says otherwise. */
#define JOB_OUTPUT_DEFAULT 16384u
#define JOB_OUTPUT_MAX ((size_t)4 << 20)
/* Looks at children of earlier agents, and the time between: 3 s. */
#define JOB_EARLIER_LOOKS 150
#define JOB_EARLIER_MS 20
/* Descriptors that a forked child may keep. */
#define JOB_KEEP_MAX 8u
/* Longest standard input of a program. */
#define JOB_INPUT_MAX ((size_t)4 << 20)

enum job_class {
	JOB_WORK,
	JOB_WAIT,
	JOB_CLASSES, /* number of classes */
};

struct job;

/**
 * struct job_result - how a job ended
 * @result:	job_call(): what the function returned; job_exec(): the exit
 *		code, 0..255, 128 + n for a death by signal n. Negative:
 *		the job could not be started (errno of that), -ETIMEDOUT (the
 *		deadline), -ECANCELED, -EPROTO (a function's child died
 *		without a word)
 * @err:	words for a negative @result
 * @out:	what the function wrote into its text, or the program to its
 *		standard output, NUL-terminated; never NULL
 * @out_len:	its bytes
 * @out_cut:	there was more; the last bytes are kept
 * @errors:	standard error of a program, never NULL
 * @errors_len:	its bytes
 * @errors_cut:	there was more; the last bytes are kept
 */
struct job_result {
	int result;
	struct err err;
	const char *out;
	size_t out_len;
	bool out_cut;
	const char *errors;
	size_t errors_len;
	bool errors_cut;
};

/* Called from the loop, exactly once, never from job_call() or job_exec()
 * themselves; the job is gone when it returns. */
typedef void job_done_fn(void *ctx, const struct job_result *r);

/**
 * Runs in the child.
 * @arg:	as the job says
 * @out:	text that comes back, bounded by the job's output_max; text that
 *		did not fit is -EMSGSIZE
 * @e:		comes back
 *
 * Return: comes back
 */
typedef int job_fn(void *arg, struct text *out, struct err *e);

/**
 * struct job_call - a function to run
 * @name:	for people; a literal
 * @fn:		the function
 * @arg:	its argument; must live until @done, a queued job is not copied
 * @deadline_ms: from the start of the child, at least 1
 * @class:	which slots
 * @keep:	descriptors that the child keeps, with their numbers; borrowed
 *		until @done
 * @n_keep:	how many, JOB_KEEP_MAX at most
 * @output_max:	bytes of text, 0: JOB_OUTPUT_DEFAULT
 * @done:	told the result
 * @ctx:	passed to @done
 */
struct job_call {
	const char *name;
	job_fn *fn;
	void *arg;
	int64_t deadline_ms;
	enum job_class class;
	const int *keep;
	size_t n_keep;
	size_t output_max;
	job_done_fn *done;
	void *ctx;
};

/**
 * struct job_exec - a program to run
 * @name:	for people; a literal
 * @argv:	arguments, copied; argv[0] is looked up in @path when it has no
 *		slash
 * @envp:	environment, copied; NULL: empty
 * @path:	search path, copied; NULL: the agent's
 * @cwd:	working directory, copied; NULL: /
 * @input:	bytes for its standard input, copied; NULL: /dev/null
 * @input_len:	their number
 * @stdio:	NULL, or three descriptors, duplicated at once: what becomes 0,
 *		1, 2; -1: as without (@input, captured, captured)
 * @no_vsock:	as struct spawn: nothing below it may use AF_VSOCK
 * @started:	as struct spawn: it outlives the agent then, and receives its pid
 * @deadline_ms: from the start of the child, at least 1
 * @class:	which slots
 * @output_max:	bytes kept of each captured output, 0: JOB_OUTPUT_DEFAULT
 * @done:	told the result
 * @ctx:	passed to @done
 *
 * The end of the program is its exit. Output that others still hold the pipe
 * of is read as far as it is there.
 */
struct job_exec {
	const char *name;
	char *const *argv;
	char *const *envp;
	const char *path;
	const char *cwd;
	const void *input;
	size_t input_len;
	const int *stdio;
	bool no_vsock;
	uint64_t *started;
	int64_t deadline_ms;
	enum job_class class;
	size_t output_max;
	job_done_fn *done;
	void *ctx;
};

/**
 * struct jobs - all jobs of the agent
 * @loop:	borrowed
 * @nofile:	descriptor limit that programs get; borrowed, NULL: the agent's
 * @running:	have a child
 * @queued:	wait for a slot, by class, oldest first
 * @cancelled:	were queued, and wait to be told
 * @stuck:	were answered, and their child has not ended
 * @n_running:	by class
 * @pump:	timer that starts what is queued
 * @locks:	the file of the children's locks, borrowed; -1: none
 * @number:	of this agent, from 1
 */
struct jobs {
	struct loop *loop;
	const struct rlimit *nofile;
	struct list running;
	struct list queued[JOB_CLASSES];
	struct list cancelled;
	struct list stuck;
	size_t n_running[JOB_CLASSES];
	size_t n_queued;
	size_t n_stuck;
	uint64_t started;
	uint64_t expired;
	struct loop_id pump;
	int locks;
	uint64_t number;
};

/** jobs_init() - none */
void jobs_init(struct jobs *all, struct loop *l, const struct rlimit *nofile);

/** jobs_done() - kill and reap all; nobody is told */
void jobs_done(struct jobs *all);

/**
 * job_call() - run a function in a child
 * @c:		what; borrowed for the call but for what it says
 * @ret:	receives the job, valid until done is called; may be NULL
 *
 * Return: 0: done will be called; -EINVAL, -ENOMEM, -ENOSPC
 *         (JOBS_QUEUED_MAX): it will not
 */
int job_call(struct jobs *all, const struct job_call *c, struct job **ret,
	     struct err *e);

/**
 * job_exec() - run a program
 *
 * A program that cannot be started is told by done, as every result.
 * Return: as job_call(), also -errno of duplicating a descriptor
 */
int job_exec(struct jobs *all, const struct job_exec *x, struct job **ret,
	     struct err *e);

/**
 * job_cancel() - kill it; done is called with -ECANCELED, later, unless the
 * child has ended by itself by then
 */
void job_cancel(struct job *j);

/**
 * jobs_reap() - @pid has ended, says a caller that looks at every child
 *
 * Return: true: it is a job's child and was taken care of
 */
bool jobs_reap(struct jobs *all, pid_t pid);

/** jobs_dump() - a line for each job, for the agent's report about itself */
void jobs_dump(const struct jobs *all, struct text *out);

/**
 * job_run() - a program from inside a job_call() function, waited for
 * @argv:	as struct spawn
 * @path:	search path; NULL: the usual one
 * @input:	bytes for standard input, NULL: /dev/null
 * @e:		names the program, its exit and the end of its output
 *
 * It stays in the group of the job and ends with it.
 * Return: 0: it ended with 0; -ENOENT: there is no such program; -EIO: any
 *         other exit; -errno of starting it
 */
int job_run(char *const *argv, const char *path, const void *input,
	    size_t input_len, struct err *e);

#endif
