/*
 * bridge/guest/runtime.h - the OCI runtime of the image, one call after another
 *
 * crun if the image has it, else runc. Each invocation is a job with a
 * deadline; what it says is told by its exit status and, in words, by the last
 * error of its JSON log or by what it printed. There are no two runtimes with
 * the same words, so the words of both are in one table (runtime_code()), and
 * the caller judges by what it knows itself first: a container that has ended
 * is not asked whether it has.
 *
 * Files of an invocation are in a folder of their own below RUNTIME_DIR, see
 * bridge/guest/callfiles.h. It is removed when the call is over.
 *
 * Calls that start a process (create, exec) hold a ticket for what the runtime
 * leaves behind, see bridge/guest/orphans.h. Of these at most RUNTIME_STARTS_MAX
 * run at once, others wait.
 * Source: shared specification bridge.md 2.7, 4.5.
 */
#ifndef FERRY_BRIDGE_GUEST_RUNTIME_H
#define FERRY_BRIDGE_GUEST_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bridge/guest/job.h"
#include "bridge/guest/list.h"
#include "bridge/guest/orphans.h"
#include "bridge/io/loop.h"
#include "bridge/msg.h"
#include "config/err.h"

#define RUNTIME_DIR "/run/gcsrunc"
/* Starts at once; PID 1 has 256 tickets, and the machine few cores. */
#define RUNTIME_STARTS_MAX 24u
/* From the runtime's end to the terminal that it was to send. */
#define RUNTIME_CONSOLE_MS 5000
/* Bytes of a log that are read, its end. */
#define RUNTIME_LOG_MAX 65536u

/**
 * struct runtime_limits - how long a call may take, in milliseconds
 * @start:	a create or an exec on a machine that is busy
 * @call:	everything else
 *
 * There is one, for calls of earlier agents are waited for before anybody could
 * say otherwise; tests do so before there is an agent.
 */
struct runtime_limits {
	int64_t start;
	int64_t call;
};

extern struct runtime_limits runtime_limits;

/**
 * struct runtime - the program, and calls in progress
 * @program:	absolute path, "": none was found yet
 * @is_crun:	it is crun
 * @no_pivot:	the root is an initramfs, out of which nobody can pivot
 * @dir:	RUNTIME_DIR; tests say otherwise
 * @waiting:	starts that wait for others to end
 * @starts:	starts in progress
 * @serial:	names folders
 * @calls:	invocations ever
 */
struct runtime {
	struct loop *loop;
	struct jobs *jobs;
	struct orphans *orphans;
	const char *dir;
	char program[256];
	bool is_crun;
	bool no_pivot;
	struct list waiting;
	unsigned int starts;
	uint64_t serial;
	uint64_t calls;
};

/**
 * struct runtime_result - how a call ended
 * @code:	HR_OK, or what the host is told
 * @err:	in words
 * @pid:	of a start: what was left behind; its ticket is the receiver's
 *		to end by orphans_adopt() or orphans_close()
 * @ticket:	of a start that has succeeded
 * @master:	of a start with a terminal: taken by the receiver; else -1
 * @refused:	the runtime itself has ended with an error: it was neither killed
 *		nor without a start
 */
struct runtime_result {
	uint32_t code;
	struct err err;
	pid_t pid;
	uint64_t ticket;
	int master;
	bool refused;
};

/* Called once, from the loop, never before the call returned. */
typedef void runtime_done_fn(void *ctx, struct runtime_result *r);

/**
 * struct runtime_start - a process to be made
 * @id:		of the container
 * @bundle:	create: the bundle; NULL: an exec in a container that runs
 * @process:	exec: OCI process document
 * @terminal:	it has one
 * @vsock:	it may use AF_VSOCK
 * @stdio:	what becomes its 0, 1, 2; -1: /dev/null; unused with a terminal
 * @begins:	NULL, or called right before the runtime is: it is to outlive the
 *		agent. @call names the call for runtime_left(), @console is the
 *		socket for its terminal, -1: none. Return: the word that receives
 *		its pid
 *
 * All of it is copied.
 */
struct runtime_start {
	const char *id;
	const char *bundle;
	const char *process;
	bool terminal;
	bool vsock;
	int stdio[MSG_STDIO];
	uint64_t *(*begins)(void *ctx, uint64_t ticket, uint64_t call,
			    int console);
};

/** runtime_init() - none found yet */
void runtime_init(struct runtime *rt, struct loop *l, struct jobs *jobs,
		  struct orphans *orphans);

/** runtime_done() - forget what waits; jobs are ended by their owner */
void runtime_done(struct runtime *rt);

/**
 * runtime_start() - create, or exec
 *
 * Return: 0 (@done will be called), -ENOENT (no runtime in the image), -ENOMEM,
 *         -errno of its folder
 */
int runtime_start(struct runtime *rt, const struct runtime_start *s,
		  runtime_done_fn *done, void *ctx, struct err *e);

/**
 * runtime_left() - what a call of an earlier agent has left behind
 *
 * Return: the pid, 0: nothing yet, or never
 */
pid_t runtime_left(struct runtime *rt, uint64_t call);

/** runtime_settled() - forget its folder */
void runtime_settled(struct runtime *rt, uint64_t call);

enum runtime_verb {
	RUNTIME_RUN,	      /* start: let the init process go */
	RUNTIME_KILL_ALL,     /* @signal to all processes */
	RUNTIME_DELETE,	      /* of one that has ended */
	RUNTIME_DELETE_FORCE, /* of whatever is there */
	RUNTIME_UPDATE,	      /* resources from @input */
	RUNTIME_VERBS,
};

/**
 * struct runtime_call - anything else
 * @signal:	number
 * @input:	JSON text, NULL: none
 * @started:	NULL, or the word that receives its pid: it is to outlive the agent
 */
struct runtime_call {
	enum runtime_verb verb;
	const char *id;
	int signal;
	const char *input;
	uint64_t *started;
};

/** runtime_call() - as runtime_start() */
int runtime_call(struct runtime *rt, const struct runtime_call *c,
		 runtime_done_fn *done, void *ctx, struct err *e);

/* --- words (runtime_words.c), pure ------------------------------------------ */

/**
 * runtime_code() - what the host is told for words of a runtime
 * @text:	one message, or all that was printed
 *
 * Return: the code, HR_FAIL for words that are not known
 */
uint32_t runtime_code(const char *text);

/**
 * runtime_log_last() - the last entry of level error or worse of a JSON log
 * @log:	the file's text; lines that are no entries are skipped
 * @size:	of @out
 *
 * Return: false: there is none, @out is ""
 */
bool runtime_log_last(const char *log, char *out, size_t size);

#endif
