/*
 * tools/shim/watch.h - does the agent of a sandbox still answer?
 *
 * The plain protocol has no heartbeat: an agent that hangs is noticed by whoever
 * calls it, minutes later. So the shim asks every now and then for the end of a
 * process that is not there, which costs nothing and changes nothing. An agent
 * that does not answer is told in the log, and a diagnostics bundle is left, once
 * until it answers again; nothing is ended. While it is silent, or there is no
 * bridge, the places of the guest's processors are logged instead
 * (tools/qemu/vcpus.h). Nothing is asked while a move goes on.
 */
#ifndef FERRY_TOOLS_SHIM_WATCH_H
#define FERRY_TOOLS_SHIM_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/io/loop.h"

/* Between an answer and the next question. */
#define WATCH_EVERY_MS 10000
/* An agent that is this slow hangs, or has no processor to run on. */
#define WATCH_ANSWER_MS 10000

struct shim;

/** struct watch - in the shim; zeros before watch_begin() */
struct watch {
	struct shim *shim;
	struct loop_id timer;
	uint64_t asked;
	uint64_t unanswered;
	bool asking;
	bool silent;
};

/** watch_begin() - the bridge stands for the first time */
void watch_begin(struct watch *w, struct shim *s);

/** watch_end() - before the loop goes; fine when it never began */
void watch_end(struct watch *w);

#endif
