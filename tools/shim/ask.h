/*
 * tools/shim/ask.h - a call of a client that is answered when an operation ends
 *
 *	struct ask *a = ask_new(shim, call, reply);
 *	if (!a)
 *		return;				already refused
 *	if (op_starter(..., &a->op, &e) < 0)
 *		ask_refuse(a, &e);
 *
 * A client that leaves is not waited for: the operation goes on, and its end
 * is told to nobody.
 */
#ifndef FERRY_TOOLS_SHIM_ASK_H
#define FERRY_TOOLS_SHIM_ASK_H

#include <stddef.h>

#include "config/err.h"
#include "migration/op.h"
#include "tools/shim/shim.h"
#include "tools/ttrpc/server.h"

/**
 * struct ask - one call in progress
 * @reply:	answers @call for @op, which has ended well; NULL: empty answer
 * @call:	NULL: nobody waits for the answer any more
 * @data:	for @reply
 * @own:	@data was given by ask_data()
 * @step:	of a move: when it fails diagnostics are left; NULL: none
 */
struct ask {
	struct op op;
	struct shim *shim;
	struct ttrpc_call *call;
	void (*reply)(struct ask *a);
	void *data;
	void *own;
	const char *step;
};

/** ask_new() - NULL: no memory, and @call is refused */
struct ask *ask_new(struct shim *s, struct ttrpc_call *call,
		    void (*reply)(struct ask *a));

/**
 * ask_data() - @size zeroed bytes of the call's own, as @a->data
 *
 * NULL: no memory, and the call is refused.
 */
void *ask_data(struct ask *a, size_t size);

/** ask_refuse() - the operation was not started */
void ask_refuse(struct ask *a, const struct err *e);

/** ask_code() - the code for an errno, as the task service has them */
enum ttrpc_code ask_code(int error);

#endif
