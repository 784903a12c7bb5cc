/* Requests about processes that run or have run, of the UVM and of containers. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "bridge/guest/container.h"
#include "bridge/guest/handlers.h"
#include "bridge/guest/keep.h"
#include "bridge/guest/process.h"
#include "bridge/guest/pty.h"
#include "bridge/guest/reply.h"
#include "bridge/hresult.h"
#include "bridge/msg.h"
#include "bridge/wire.h"

bool is_uvm(const char *container_id)
{
	return strcmp(container_id, WIRE_NULL_ID) == 0;
}

struct container *named_container(struct call *c, const char *id)
{
	struct container *found = container_find(&c->agent->containers, id);

	if (!found) {
		(void)reply_code(c->agent, &c->to, HR_SYSTEM_NOT_FOUND);
		return NULL;
	}
	if (found->facts.state == CONTAINER_CREATING) {
		(void)reply_error(c->agent, &c->to, HR_INVALID_STATE,
				  "container %s is still being created", id);
		return NULL;
	}
	return found;
}

/* The process that a request names, or NULL and the request is answered. */
static struct process *named(struct call *c, const char *container_id,
			     uint32_t pid)
{
	struct container *container = NULL;
	struct process *p;

	if (!is_uvm(container_id)) {
		container = named_container(c, container_id);
		if (!container)
			return NULL;
	}
	p = process_find(&c->agent->processes, container, pid);
	if (p && !p->on_settled)
		return p;
	if (process_forgotten(&c->agent->processes, pid))
		(void)reply_error(c->agent, &c->to, HR_FAIL,
				  "process %u has ended and its exit code was "
				  "forgotten",
				  pid);
	else
		(void)reply_code(c->agent, &c->to, HR_ELEMENT_NOT_FOUND);
	return NULL;
}

static enum reply tell_exit(struct agent *a, const struct answer_to *to,
			    const struct process *p)
{
	const struct msg_wait_for_process_result result = {
		.base = { .activity_id = to->activity },
		.exit_code = p->exit_code,
	};

	return reply_with(a, to, &msg_wait_for_process_result_schema, &result);
}

void process_answer_waiters(void *ctx, struct process *p)
{
	struct agent *a = ctx;
	bool told = false;
	struct list *node;

	while ((node = list_pop(&p->waiters)) != NULL) {
		struct request *r = LIST_ITEM(node, struct request, waiting);

		if (tell_exit(a, &r->to, p) == REPLY_SENT)
			told = true;
		request_free(&a->requests, r);
	}
	if (told)
		process_told(p, a->conn.number);
	if (p->container)
		container_process_over(p);
}

/* The one wait of a container that a later host object may know: the first one
 * for its init process without a limit. */
static void on_kept_dropped(struct request *r)
{
	const struct agent *a = r->ctx;
	struct container *c = container_by_serial(&a->containers, r->to.keep);

	if (c)
		c->kept_wait = false;
}

static void keep_first(struct request *r, const struct process *p)
{
	if (!p->init || p->container->kept_wait)
		return;
	p->container->kept_wait = true;
	r->to.keep = p->container->facts.serial;
	r->on_drop = on_kept_dropped;
}

static void on_wait_timeout(void *ctx)
{
	struct request *r = ctx;
	struct agent *a = r->ctx;

	(void)reply_code(a, &r->to, HR_TIMEOUT);
	request_free(&a->requests, r);
}

static void wait_for(struct call *c, struct process *p, uint32_t timeout_ms)
{
	struct agent *a = c->agent;
	struct request *r;
	struct err e = { 0 };

	if (timeout_ms == 0) {
		(void)reply_code(a, &c->to, HR_TIMEOUT);
		return;
	}
	r = request_new(&a->requests, &c->to);
	if (!r) {
		(void)reply_error(a, &c->to, HR_FAIL,
				  "too many requests in progress (%zu)",
				  a->requests.n);
		return;
	}
	r->ctx = a;
	if (timeout_ms != MSG_WAIT_FOREVER &&
	    loop_at(a->loop, loop_now_ms(a->loop) + timeout_ms, on_wait_timeout,
		    r, &r->timer, &e) < 0) {
		request_free(&a->requests, r);
		(void)reply_error(a, &c->to, HR_FAIL, "%s", e.text);
		return;
	}
	if (timeout_ms == MSG_WAIT_FOREVER)
		keep_first(r, p);
	keep_wait(a, r, p,
		  timeout_ms == MSG_WAIT_FOREVER
			  ? 0
			  : loop_now_ms(a->loop) + timeout_ms);
	list_push(&p->waiters, &r->waiting);
}

void process_wait_again(struct agent *a, struct process *p, struct request *r,
			int64_t until_ms)
{
	const struct answer_to *to = &r->to;

	r->ctx = a;
	if (until_ms != 0)
		(void)loop_at(a->loop, until_ms, on_wait_timeout, r, &r->timer,
			      NULL);
	if (to->keep != 0 && p->container) {
		p->container->kept_wait = true;
		r->on_drop = on_kept_dropped;
	}
	list_push(&p->waiters, &r->waiting);
	if (p->state == PROCESS_OVER) {
		(void)tell_exit(a, to, p);
		request_free(&a->requests, r);
	}
}

void handle_wait_for_process(struct call *c, const void *msg)
{
	const struct msg_wait_for_process *m = msg;
	struct agent *a = c->agent;
	struct process *p = named(c, m->base.container_id, m->process_id);

	if (!p)
		return;
	if (p->state != PROCESS_OVER)
		wait_for(c, p, m->timeout_ms);
	else if (!p->init && p->told_on == a->conn.number && !a->resume.on)
		(void)reply_code(a, &c->to, HR_ELEMENT_NOT_FOUND);
	else if (tell_exit(a, &c->to, p) == REPLY_SENT)
		process_told(p, a->conn.number);
}

void handle_signal_process(struct call *c, const void *msg)
{
	const struct msg_signal_process *m = msg;
	const struct process *p = named(c, m->base.container_id, m->process_id);
	const int number = m->signal == 0 ? SIGKILL : m->signal;
	struct err e = { 0 };
	int r;

	if (!p)
		return;
	r = process_signal(p, number, &e);
	if (r == -ESRCH)
		(void)reply_error(c->agent, &c->to, HR_ELEMENT_NOT_FOUND, "%s",
				  e.text);
	else if (r < 0)
		(void)reply_error(c->agent, &c->to, HR_FAIL, "%s", e.text);
	else
		(void)reply_ok(c->agent, &c->to);
	if (r == 0 && p->init)
		container_signalled(p->container, number);
}

/* An init process that was not started yet has its terminal already. */
static bool process_has_terminal(const struct process *p)
{
	return p->console || (p->init && p->container->facts.oci.terminal);
}

static int process_terminal(const struct process *p)
{
	if (p->init && p->terminal < 0)
		return p->container->ends.terminal;
	return p->terminal;
}

void handle_resize_console(struct call *c, const void *msg)
{
	const struct msg_resize_console *m = msg;
	const struct process *p = named(c, m->base.container_id, m->process_id);
	const int master = p ? process_terminal(p) : -1;
	struct err e = { 0 };

	if (!p)
		return;
	if (!process_has_terminal(p))
		(void)reply_error(c->agent, &c->to, HR_FAIL,
				  "process %u has no terminal", m->process_id);
	else if (master >= 0 && pty_resize(master, m->height, m->width, &e) < 0)
		(void)reply_error(c->agent, &c->to, HR_FAIL, "%s", e.text);
	else
		(void)reply_ok(c->agent, &c->to);
}
