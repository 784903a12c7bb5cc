/* The end of a container's processes. */
#include <signal.h>
#include <stdlib.h>

#include "bridge/guest/agent.h"
#include "bridge/guest/container.h"
#include "bridge/guest/keep.h"
#include "bridge/guest/notice.h"
#include "bridge/guest/runtime.h"
#include "bridge/hresult.h"
#include "bridge/io/log.h"

void container_signalled(struct container *c, int number)
{
	if (number == SIGTERM)
		c->facts.exit = CONTAINER_GRACEFUL;
	else if (number == SIGKILL)
		c->facts.exit = CONTAINER_FORCED;
	keep_container(c);
}

/* --- what its init process left running ------------------------------------ */

static void release(struct op *op)
{
	free(op);
}

static void on_killed(void *ctx, struct runtime_result *r)
{
	struct op *op = ctx;

	/* Of a container that has ended a runtime may say so. */
	if (r->code != HR_OK)
		log_debug("container=%s: its last processes: %s",
			  op->container->facts.id, r->err.text);
	op_end(op);
}

static void kill_all(struct op *op)
{
	const struct runtime_call q = {
		.verb = RUNTIME_KILL_ALL,
		.id = op->container->facts.id,
		.signal = SIGKILL,
	};
	struct err e = { 0 };

	if (runtime_call(&op->agent->runtime, &q, on_killed, op, &e) == 0)
		return;
	log_warn("container=%s: its last processes live on: %s",
		 op->container->facts.id, e.text);
	op_end(op);
}

/* In a pid namespace of its own they end with the init process. */
static void end_the_rest(struct container *c)
{
	struct op *op;

	if (c->facts.oci.owns_pid_namespace || c->facts.deleting)
		return;
	op = op_new(sizeof(*op), c, kill_all, release);
	if (!op) {
		log_warn("container=%s: no memory to end its last processes",
			 c->facts.id);
		return;
	}
	op_queue_own(op);
}

void container_process_reaped(struct process *p)
{
	struct container *c = p->container;

	if (c->oom)
		(void)oom_check(c->oom);
	if (!p->init || c->facts.state == CONTAINER_CREATING)
		return;
	end_the_rest(c);
}

void container_process_over(struct process *p)
{
	struct container *c = p->container;
	loop_timer_fn *fn = c->on_over;

	if (!p->init || c->facts.state == CONTAINER_CREATING)
		return; /* a create that goes on, or not, sees to it */
	c->facts.state = CONTAINER_TERMINATED;
	ends_close(&c->ends);
	log_info("container=%s has ended exit_code=%u", c->facts.id,
		 p->exit_code);
	notice_send(c);
	keep_container(c);
	c->on_over = NULL;
	if (fn)
		fn(c->over_ctx);
}
