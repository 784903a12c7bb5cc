/*
 * An exec that the runtime was starting when the agent was killed. The runtime
 * goes on without an agent: what it leaves behind is its process file, and when
 * it has ended without one there is no process. Its terminal is in the socket that
 * it was sent to, or with PID 1, or, in between, gone: then the process is hung up.
 */
#include <errno.h>
#include <stdlib.h>

#include "bridge/guest/agent.h"
#include "bridge/guest/console.h"
#include "bridge/guest/container.h"
#include "bridge/guest/earlier.h"
#include "bridge/guest/ends.h"
#include "bridge/guest/handlers.h"
#include "bridge/guest/keep.h"
#include "bridge/guest/reply.h"
#include "bridge/guest/takeover.h"
#include "bridge/hresult.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"

/**
 * struct again - one of them
 * @kept:	its record, @slot
 * @pid:	what it has left behind
 * @runtime:	that agent's
 * @console:	takes the terminal
 * @timer:	it is to come until then
 */
struct again {
	struct op op;
	struct keep_process kept;
	uint32_t slot;
	struct ends ends;
	pid_t pid;
	struct earlier runtime;
	struct console console;
	struct loop_id timer;
};

static struct again *again_of(struct op *op)
{
	return LIST_ITEM(op, struct again, op);
}

static void release(struct op *op)
{
	struct again *x = again_of(op);

	earlier_stop(&x->runtime);
	loop_cancel(op->agent->loop, &x->timer);
	console_done(&x->console);
	ends_close(&x->ends);
	free(x);
}

static void again_fail(struct again *x, const struct err *e)
{
	struct agent *a = x->op.agent;

	slot_drop(&a->slots, &x->slot);
	pid1_withdraw(&a->pid1, x->kept.number, CONTROL_ROLE_ALL);
	op_fail(&x->op, HR_FAIL, e);
}

static void on_settled(void *ctx, struct process *p)
{
	static const uint32_t none[MSG_STDIO];
	struct again *x = ctx;
	struct agent *a = x->op.agent;
	int sock[MSG_STDIO] = { -1, -1, -1 };
	struct err e = { 0 };

	list_push(&x->op.container->processes, &p->sibling);
	p->console = x->ends.terminal >= 0;
	if ((a->resume.exists && (p->port[0] | p->port[1] | p->port[2]) != 0
		     ? ends_connect(&x->ends, &a->streams, p, sock, p->port, &e)
		     : ends_restore(&x->ends, &a->streams, p, none, &e)) < 0)
		takeover_rather(a, "the streams of an exec");
	if (x->op.request)
		process_tell_start(a, &x->op.request->to, p);
	op_end(&x->op);
}

static void adopt(struct again *x)
{
	struct agent *a = x->op.agent;
	struct keep_process kept = x->kept;
	struct err e = { 0 };

	loop_cancel(x->op.agent->loop, &x->timer);
	kept.call = 0;
	if (orphans_adopt(&a->orphans, x->kept.ticket, x->pid, x->op.container,
			  &kept, x->slot, on_settled, x, &e) < 0)
		again_fail(x, &e);
}

static void on_master(void *ctx, int master, const struct err *why)
{
	static const bool both[MSG_STDIO] = { true, true, false };
	struct again *x = ctx;
	struct err e = *why;

	if (master < 0 || ends_master(&x->ends, both, master, &e) < 0)
		log_warn("terminal of pid=%d: %s", (int)x->pid, e.text);
	ends_deposit_master(&x->ends, &x->op.agent->pid1, x->kept.number);
	adopt(x);
}

static void on_console_limit(void *ctx)
{
	const struct err none = { .text = "it was taken by an earlier agent" };

	on_master(ctx, -1, &none);
}

/* The runtime has ended: what has it left? */
static void look(void *ctx)
{
	struct again *x = ctx;
	struct agent *a = x->op.agent;
	struct loop *l = a->loop;
	struct err e = { 0 };

	x->pid = runtime_left(&a->runtime, x->kept.call);
	runtime_settled(&a->runtime, x->kept.call);
	if (x->pid == 0) {
		orphans_close(&a->orphans, x->kept.ticket);
		(void)err_set(&e, EIO,
			      "the agent was restarted while it served this");
		again_fail(x, &e);
	} else if (!x->kept.console || x->ends.terminal >= 0) {
		adopt(x);
	} else if (x->console.listener < 0 ||
		   loop_at(l, loop_now_ms(l) + RUNTIME_CONSOLE_MS,
			   on_console_limit, x, &x->timer, &e) < 0) {
		on_console_limit(x);
	} else {
		console_wanted(&x->console, on_master, x);
	}
}

static void begin(struct op *op)
{
	struct again *x = again_of(op);
	struct runtime *rt = &op->agent->runtime;

	int r = 0;

	if (runtime_left(rt, x->kept.call) == 0)
		r = earlier_wait(&x->runtime, rt, x->kept.runs,
				 runtime_limits.start, look, x);
	if (r < 0)
		takeover_rather(op->agent, "an exec");
	if (r <= 0)
		look(x);
}

void container_exec_again(struct container *c, const struct keep_process *k,
			  uint32_t slot, struct ends *ends, int console)
{
	struct again *x = op_new(sizeof(*x), c, begin, release);

	/* Before anybody else makes a folder. */
	(void)runtime_left(&c->agent->runtime, k->call);
	if (!x) {
		takeover_rather(c->agent, "an exec");
		pid1_ticket_close(&c->agent->pid1, k->ticket);
		ends_close(ends);
		fd_close(&console);
		return;
	}
	orphans_opened(&c->agent->orphans);
	x->kept = *k;
	x->slot = slot;
	earlier_init(&x->runtime, c->agent->loop);
	console_init(&x->console, c->agent->loop);
	x->console.listener = console;
	x->ends = *ends;
	op_queue_own(&x->op);
}

bool container_exec_asked(struct container *c, struct request *r)
{
	for (struct list *l = c->ops.next; l != &c->ops; l = l->next) {
		struct op *op = LIST_ITEM(l, struct op, node);

		if (op->begin != begin ||
		    again_of(op)->kept.request != r->to.id)
			continue;
		op_answers(op, r);
		return true;
	}
	return false;
}
