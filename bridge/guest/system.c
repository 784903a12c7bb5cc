/* Requests about the bridge and the UVM itself. */
#include <unistd.h>

#include "bridge/guest/dump.h"
#include "bridge/guest/handlers.h"
#include "bridge/guest/modify.h"
#include "bridge/guest/reply.h"
#include "bridge/hresult.h"
#include "bridge/msg.h"
#include "bridge/msg_ferry.h"
#include "bridge/msg_settings.h"
#include "bridge/wire.h"

/* The version is agreed on; requests are served from here on. Or the host is to
 * ask again. */
static void answer_negotiation(struct agent *a)
{
	static struct msg_schema_version schema = { .major = 2, .minor = 1 };
	struct resume *r = &a->resume;
	struct msg_negotiate_result result = {
		.base = { .activity_id = r->to.activity },
		.version = WIRE_PROTOCOL_VERSION,
		.capabilities = {
			.schema_version = &schema,
			.n_schema_versions = 1,
			.runtime_os_type = "Linux",
			.namespace_add_request_supported = true,
			.signal_process_supported = true,
			.dump_stacks_supported = true,
			.delete_container_state_supported = true,
		},
	};

	if (r->how != RESUME_PLAIN || r->welcome.msg.fixed) {
		result.capabilities.ferry_resume = true;
		result.ferry = &r->welcome.msg;
	}
	(void)reply_with(a, &r->to, &msg_negotiate_result_schema, &result);
	if (r->how == RESUME_AGAIN)
		return;
	a->conn.events = r->events || r->how != RESUME_PLAIN;
	agent_negotiated(a, r->how);
}

/* What cannot be announced the neighbours will ask for. */
static void on_announced(void *ctx, int sent, const struct err *why)
{
	struct agent *a = ctx;
	struct resume *r = &a->resume;

	if (!r->negotiating)
		return;
	r->negotiating = false;
	if (sent < 0)
		log_warn("addresses were not announced: %s", why->text);
	else
		r->welcome.fixed.announced = (uint32_t)sent;
	if (r->to.conn == a->conn.number && a->conn.up && !a->conn.lost)
		answer_negotiation(a);
}

void handle_negotiate(struct call *c, const void *msg)
{
	const struct msg_negotiate *m = msg;
	struct agent *a = c->agent;
	struct resume *r = &a->resume;
	struct err e = { 0 };

	if (m->maximum_version < WIRE_PROTOCOL_VERSION ||
	    m->minimum_version > WIRE_PROTOCOL_VERSION) {
		(void)reply_code(a, &c->to, HR_UNSUPPORTED_VERSION);
		return;
	}
	if (r->negotiating && r->to.conn == c->to.conn) {
		(void)reply_error(a, &c->to, HR_FAIL,
				  "a negotiation is under way");
		return;
	}
	r->negotiating = false;
	r->to = c->to;
	r->events = m->ferry_events;
	r->how = resume_hello(a, m->ferry, &r->welcome, &e);
	if (r->how < 0) {
		(void)reply_error(a, &c->to, HR_FAIL, "%s", e.text);
		return;
	}
	if (r->how != RESUME_AGAIN && r->welcome.msg.fixed &&
	    m->ferry->fixup->announce &&
	    network_announce(&a->networks, on_announced, a, &e) == 0)
		r->negotiating = true;
	else
		answer_negotiation(a);
}

/* As the reference: success for any id, nothing is started. */
void handle_start(struct call *c, const void *msg)
{
	(void)msg;
	(void)reply_ok(c->agent, &c->to);
}

void handle_shutdown(struct call *c, const void *msg)
{
	const struct msg_base *m = msg;

	if (!is_uvm(m->container_id)) {
		container_shutdown(c, m);
		return;
	}
	(void)reply_ok(c->agent, &c->to);
	agent_shutdown(c->agent);
}

void handle_modify_settings(struct call *c, const void *msg)
{
	const struct msg_modify_settings *m = msg;

	if (is_uvm(m->base.container_id))
		modify_uvm(c, m);
	else
		container_modify(c, m);
}

void handle_dump_stacks(struct call *c, const void *msg)
{
	struct text text;
	struct msg_dump_stacks_result result = {
		.base = { .activity_id = c->to.activity },
	};

	(void)msg;
	text_heap(&text, DUMP_MAX);
	dump_state(c->agent, &text);
	result.guest_stacks = text_str(&text);
	(void)reply_with(c->agent, &c->to, &msg_dump_stacks_result_schema,
			 &result);
	text_done(&text);
}

void handle_read_log(struct call *c, const void *msg)
{
	const struct msg_ferry_read_log *m = msg;
	char buf[READ_LOG_MAX + 1];
	struct pid1_log log;
	struct text text;
	struct msg_ferry_read_log_result result = {
		.base = { .activity_id = c->to.activity },
	};

	text_fixed(&text, buf, sizeof(buf));
	if (!pid1_log_read(&c->agent->pid1, m->from,
			   m->max < READ_LOG_MAX ? m->max : READ_LOG_MAX, &log,
			   &text)) {
		(void)reply_error(c->agent, &c->to, HR_NOT_IMPLEMENTED,
				  "nobody keeps a log in this UVM");
		return;
	}
	result.from = log.from;
	result.head = log.head;
	result.dropped = log.dropped;
	result.text = text_str(&text);
	(void)reply_with(c->agent, &c->to, &msg_ferry_read_log_result_schema,
			 &result);
}
