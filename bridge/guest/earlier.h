/*
 * bridge/guest/earlier.h - a runtime that an earlier agent started goes on
 *
 * One that lets a container go, or starts an exec, is left alone when its agent is
 * killed: half of that is worse than none or all. The next agent knows the runtime's pid (a word of its
 * record, see struct spawn) and waits for its end before it looks at what is there.
 * A runtime that does not end is killed, and waited for EARLIER_KILL_MS more; what has its pid and is no call of the
 * runtime is nobody that anyone waits for.
 */
#ifndef FERRY_BRIDGE_GUEST_EARLIER_H
#define FERRY_BRIDGE_GUEST_EARLIER_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/guest/runtime.h"
#include "bridge/io/loop.h"

/* From SIGKILL to the end of a runtime; then it is waited for no more. */
#define EARLIER_KILL_MS 5000

/* Called once, from the loop: it has ended. */
typedef void earlier_fn(void *ctx);

/**
 * struct earlier - a wait for one
 * @runs:	its pidfd, -1: nobody is waited for
 * @killed:	at its limit
 */
struct earlier {
	struct loop *loop;
	int runs;
	bool killed;
	struct loop_id watch;
	struct loop_id timer;
	earlier_fn *over;
	void *ctx;
};

/** earlier_init() - nobody */
void earlier_init(struct earlier *w, struct loop *l);

/**
 * earlier_wait() - until the runtime has ended
 * @pid:	0: it was never started
 * @limit_ms:	from now on, then it is killed
 *
 * Return: 1: @over will be called, 0: there is nobody to wait for, -errno: no memory
 *         or descriptor
 */
int earlier_wait(struct earlier *w, const struct runtime *rt, uint64_t pid,
		 int64_t limit_ms, earlier_fn *over, void *ctx);

/** earlier_stop() - nobody any more; the runtime goes on */
void earlier_stop(struct earlier *w);

#endif
