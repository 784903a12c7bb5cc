#include "tools/shim/ask.h"

#include <stdlib.h>

#include "migration/status.h"
#include "tools/ttrpc/codec.h"

enum ttrpc_code ask_code(int error)
{
	const enum status_code code = status_of(error < 0 ? error : -error);

	/* The errnos that callers of a shim tell apart, then all others. */
	return code != STATUS_UNKNOWN ? (enum ttrpc_code)code
				      : ttrpc_code_of(error);
}

static void on_end(struct op *op, int result, const struct err *e)
{
	struct ask *a = op->ctx;

	if (result < 0)
		ttrpc_fail(a->call, ask_code(result), "%s", e->text);
	else if (a->reply)
		a->reply(a);
	else
		ttrpc_reply(a->call, NULL);
	free(a);
}

struct ask *ask_new(struct shim *s, struct ttrpc_call *call,
		    void (*reply)(struct ask *a))
{
	struct ask *a = calloc(1, sizeof(*a));

	if (!a) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "no memory");
		return NULL;
	}
	*a = (struct ask){
		.op = { .done = on_end },
		.shim = s,
		.call = call,
		.reply = reply,
	};
	a->op.ctx = a;
	return a;
}

void ask_refuse(struct ask *a, const struct err *e)
{
	ttrpc_fail(a->call, ask_code(e->code), "%s", e->text);
	free(a);
}
