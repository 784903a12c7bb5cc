#include "tools/shim/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bridge/io/log.h"
#include "migration/status.h"
#include "tools/shim/debug.h"
#include "tools/ttrpc/codec.h"

enum ttrpc_code ask_code(int error)
{
	const enum status_code code = status_of(error < 0 ? error : -error);

	/* The errnos that callers of a shim tell apart, then all others. */
	return code != STATUS_UNKNOWN ? (enum ttrpc_code)code
				      : ttrpc_code_of(error);
}

static void ask_free(struct ask *a)
{
	free(a->own);
	free(a);
}

/* A refusal is no failure: nothing has happened. */
static bool is_failure(int result)
{
	return result < 0 && result != -EINVAL && result != -EPRECONDITION &&
	       result != -ECANCELED;
}

static void on_end(struct op *op, int result, const struct err *e)
{
	struct ask *a = op->ctx;
	char words[ERR_TEXT_MAX];

	if (result < 0)
		(void)snprintf(words, sizeof(words), "%s", e->text);
	if (a->step && is_failure(result)) {
		log_err("%s: %s", a->step, e->text);
		shim_debug_leave(a->shim, REMAINS_MOVE, e->text);
		shim_debug_refer(a->shim, e->text, words, sizeof(words));
	}
	if (!a->call)
		; /* its client has gone */
	else if (result < 0)
		ttrpc_fail(a->call, ask_code(result), "%s", words);
	else if (a->reply)
		a->reply(a);
	else
		ttrpc_reply(a->call, NULL);
	ask_free(a);
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

void *ask_data(struct ask *a, size_t size)
{
	a->own = calloc(1, size);
	a->data = a->own;
	if (!a->own) {
		ttrpc_fail(a->call, TTRPC_RESOURCE_EXHAUSTED, "no memory");
		ask_free(a);
		return NULL;
	}
	return a->data;
}

void ask_refuse(struct ask *a, const struct err *e)
{
	if (a->call)
		ttrpc_fail(a->call, ask_code(e->code), "%s", e->text);
	ask_free(a);
}
