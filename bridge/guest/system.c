/* Requests about the bridge and the UVM itself. */
#include <unistd.h>

#include "bridge/guest/dump.h"
#include "bridge/guest/handlers.h"
#include "bridge/guest/modify.h"
#include "bridge/guest/reply.h"
#include "bridge/hresult.h"
#include "bridge/msg.h"
#include "bridge/msg_settings.h"
#include "bridge/wire.h"

void handle_negotiate(struct call *c, const void *msg)
{
	static struct msg_schema_version schema = { .major = 2, .minor = 1 };
	const struct msg_negotiate *m = msg;
	struct resume_welcome welcome = { 0 };
	struct err e = { 0 };
	struct msg_negotiate_result result = {
		.base = { .activity_id = c->to.activity },
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
	int how;

	if (m->maximum_version < WIRE_PROTOCOL_VERSION ||
	    m->minimum_version > WIRE_PROTOCOL_VERSION) {
		(void)reply_code(c->agent, &c->to, HR_UNSUPPORTED_VERSION);
		return;
	}
	how = resume_hello(c->agent, m->ferry, &welcome, &e);
	if (how < 0) {
		(void)reply_error(c->agent, &c->to, HR_FAIL, "%s", e.text);
		return;
	}
	if (how != RESUME_PLAIN) {
		result.capabilities.ferry_resume = true;
		result.ferry = &welcome.msg;
	}
	(void)reply_with(c->agent, &c->to, &msg_negotiate_result_schema,
			 &result);
	c->agent->conn.events = m->ferry_events || how != RESUME_PLAIN;
	agent_negotiated(c->agent, how);
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
