/* Requests about a container as a whole, but for its beginning and its end. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/guest/container.h"
#include "bridge/guest/handlers.h"
#include "bridge/guest/reply.h"
#include "bridge/hresult.h"
#include "bridge/msg_container.h"
#include "bridge/msg_metrics.h"
#include "bridge/msg_settings.h"
#include "bridge/wire.h"

/* Most processes that are listed: their text has to fit into one frame. */
#define LISTED_MAX 2500u

/* --- shutdown -------------------------------------------------------------- */

/**
 * struct shutdown - ask the init process to end, or end it
 * @signal:	SIGTERM or SIGKILL
 */
struct shutdown {
	struct op op;
	int signal;
};

static void shutdown_release(struct op *op)
{
	free(LIST_ITEM(op, struct shutdown, op));
}

/* As the runtime's kill would, but by the descriptor of that very process. */
static void shutdown_begin(struct op *op)
{
	const struct shutdown *s = LIST_ITEM(op, struct shutdown, op);
	struct container *c = op->container;
	struct err e = { 0 };
	int r = -ESRCH;

	if (c->init)
		r = process_signal(c->init, s->signal, &e);
	if (r == 0) {
		container_signalled(c, s->signal);
		op_ok(op);
		return;
	}
	if (r == -ESRCH)
		(void)err_set(&e, ESRCH, "container %s is not running",
			      c->facts.id);
	op_fail(op, r == -ESRCH ? HR_SYSTEM_ALREADY_STOPPED : HR_FAIL, &e);
}

void container_shutdown(struct call *c, const struct msg_base *m)
{
	struct container *found = named_container(c, m->container_id);
	struct shutdown *s = found ? op_new(sizeof(*s), found, shutdown_begin,
					    shutdown_release)
				   : NULL;

	if (!found)
		return;
	if (!s) {
		(void)reply_error(c->agent, &c->to, HR_FAIL, "no memory");
		return;
	}
	s->signal = c->to.type == WIRE_SHUTDOWN_FORCED ? SIGKILL : SIGTERM;
	op_queue(&s->op, &c->to);
}

/* --- constraints ----------------------------------------------------------- */

/**
 * struct update - new limits for a container that runs
 * @resources:	LinuxResources as JSON text
 */
struct update {
	struct op op;
	char *resources;
};

static void update_release(struct op *op)
{
	struct update *u = LIST_ITEM(op, struct update, op);

	free(u->resources);
	free(u);
}

static void on_updated(void *ctx, struct runtime_result *r)
{
	if (r->code == HR_OK)
		op_ok(ctx);
	else
		op_fail(ctx, r->code, &r->err);
}

static void update_begin(struct op *op)
{
	const struct update *u = LIST_ITEM(op, struct update, op);
	const struct container *c = op->container;
	const struct runtime_call q = {
		.verb = RUNTIME_UPDATE,
		.id = c->facts.id,
		.input = u->resources,
	};
	struct err e = { 0 };

	if (container_init_ended(c)) {
		(void)err_set(&e, ESRCH, "container %s is not running",
			      c->facts.id);
		op_fail(op, HR_SYSTEM_ALREADY_STOPPED, &e);
	} else if (runtime_call(&op->agent->runtime, &q, on_updated, op, &e) <
		   0) {
		op_fail(op, HR_FAIL, &e);
	}
}

static void update_queue(struct call *c, struct container *found,
			 const char *resources)
{
	struct update *u =
		op_new(sizeof(*u), found, update_begin, update_release);

	if (u)
		u->resources = strdup(resources);
	if (!u || !u->resources) {
		free(u);
		(void)reply_error(c->agent, &c->to, HR_FAIL, "no memory");
		return;
	}
	op_queue(&u->op, &c->to);
}

void container_modify(struct call *c, const struct msg_modify_settings *m)
{
	struct container *found = named_container(c, m->base.container_id);
	const char *settings = m->request.settings;
	struct msg_container_constraints constraints;
	struct err e = { 0 };

	if (!found)
		return;
	if (strcmp(m->request.resource_type, "ContainerConstraints") != 0)
		(void)reply_error(c->agent, &c->to, HR_FAIL,
				  "a container has no resource '%.64s'",
				  m->request.resource_type);
	else if (!settings ||
		 msg_decode(&msg_container_constraints_schema, settings,
			    strlen(settings), &c->agent->arena, &constraints,
			    &e) < 0)
		(void)reply_error(c->agent, &c->to, HR_INVALID_JSON,
				  "ContainerConstraints: %s",
				  settings ? e.text : "no settings");
	else
		update_queue(c, found,
			     constraints.linux_resources
				     ? constraints.linux_resources
				     : "{}");
}

/* --- properties ------------------------------------------------------------ */

static int list_processes(struct call *c, const struct container *found,
			  struct msg_properties *out, struct err *e)
{
	pid_t *pid = arena_array(&c->agent->arena, LISTED_MAX, sizeof(*pid));
	struct msg_process_details *p =
		arena_array(&c->agent->arena, LISTED_MAX, sizeof(*p));
	ssize_t n;

	if (!pid || !p)
		return err_set(e, ENOMEM, "no memory for processes");
	n = cgroup_procs(&c->agent->cgroups, found->facts.oci.cgroup, pid,
			 LISTED_MAX, e);
	if (n == -ENOENT)
		n = 0; /* it has ended, and its cgroup with it */
	if (n < 0)
		return (int)n;
	if (n > (ssize_t)LISTED_MAX)
		n = LISTED_MAX;
	for (ssize_t i = 0; i < n; i++)
		p[i].process_id = (uint32_t)pid[i];
	out->process = p;
	out->n_processes = (size_t)n;
	return 0;
}

static int fill_properties(struct call *c, const struct container *found,
			   const struct msg_strings *types,
			   struct msg_properties *out,
			   struct msg_metrics *metrics, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < types->n && r == 0; i++) {
		if (strcmp(types->item[i], "ProcessList") == 0) {
			r = list_processes(c, found, out, e);
		} else if (strcmp(types->item[i], "Statistics") == 0) {
			r = cgroup_stats(&c->agent->cgroups,
					 found->facts.oci.cgroup,
					 &c->agent->arena, metrics, e);
			out->metrics = metrics;
		}
	}
	return r;
}

void handle_get_properties(struct call *c, const void *msg)
{
	const struct msg_get_properties *m = msg;
	struct msg_metrics metrics = { 0 };
	struct msg_get_properties_result result = {
		.base = { .activity_id = c->to.activity },
	};
	const struct container *found;
	struct err e = { 0 };

	if (is_uvm(m->base.container_id)) {
		(void)reply_error(c->agent, &c->to, HR_FAIL,
				  "the UVM has no properties");
		return;
	}
	found = named_container(c, m->base.container_id);
	if (!found)
		return;
	if (fill_properties(c, found, &m->query.types, &result.properties,
			    &metrics, &e) < 0)
		(void)reply_error(c->agent, &c->to, HR_FAIL, "%s", e.text);
	else
		(void)reply_with(c->agent, &c->to,
				 &msg_get_properties_result_schema, &result);
}
