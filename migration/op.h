/*
 * migration/op.h - one asynchronous operation and the end of it
 *
 * Who starts an operation gives a struct op and keeps it where it is until the
 * end. A starter's return says which of two stories it is:
 *
 *	0	done() runs exactly once: with 0 or a negative errno. It may
 *		run before the starter returns
 *	-errno	nothing was started, done() never runs
 *
 * The same struct serves both sides of migration/: what the controllers ask of
 * the VMM and the guest (vmm_ops.h, guest_ops.h) and what the shim asks of the
 * controllers. No operation may stay without an end: who carries it out has a
 * deadline for it and ends it with -ETIMEDOUT.
 */
#ifndef FERRY_MIGRATION_OP_H
#define FERRY_MIGRATION_OP_H

#include <stdint.h>

#include "config/err.h"

struct op;

/**
 * op_done_fn - the operation is over
 * @op:		as it was given; it may be used again or freed from here on
 * @result:	0 or a negative errno
 * @e:		the reason when @result is negative, for the time of the call
 */
typedef void op_done_fn(struct op *op, int result, const struct err *e);

/**
 * struct op - one operation, embedded by who starts it
 * @done:	hears of the end
 * @ctx:	the starter's
 * @value:	what came of it when it succeeded: a process id, an exit code;
 *		each starter says which. Set by who carries it out
 * @cancel:	set by who carries it out: asks for an early end with -ECANCELED;
 *		done() still runs, once. NULL: it cannot be ended early
 * @impl:	for who carries it out
 */
struct op {
	op_done_fn *done;
	void *ctx;
	uint64_t value;
	void (*cancel)(struct op *op);
	void *impl;
};

/** op_end() - tell the end; the last thing that is done with @op */
static inline void op_end(struct op *op, int result, const struct err *e)
{
	op->done(op, result, e);
}

/** op_cancel() - ask for an early end of an operation that has been started */
static inline void op_cancel(struct op *op)
{
	if (op->cancel)
		op->cancel(op);
}

#endif
