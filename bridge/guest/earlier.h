/*
 * bridge/guest/earlier.h - a runtime that an earlier agent started goes on
 *
 * Creates, starts and execs are left alone when their agent is killed: half of one
 * is worse than none or all. The next agent knows the runtime's pid (a word of its
 * record, see struct spawn) and waits for its end before it looks at what is there.
 * A runtime that does not end is killed; what has its pid and is no call of the
 * runtime is nobody that anyone waits for.
 */
#ifndef FERRY_BRIDGE_GUEST_EARLIER_H
#define FERRY_BRIDGE_GUEST_EARLIER_H

#include <stdint.h>

#include "bridge/guest/runtime.h"
#include "bridge/io/loop.h"

/* Called once, from the loop: it has ended. */
typedef void earlier_fn(void *ctx);

/**
 * struct earlier - a wait for one
 * @runs:	its pidfd, -1: nobody is waited for
 */
struct earlier {
	struct loop *loop;
	int runs;
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
