#include "bridge/guest/dispatch.h"

#include <stdio.h>
#include <string.h>

#include "bridge/guest/handlers.h"
#include "bridge/guest/keep.h"
#include "bridge/guest/reply.h"
#include "bridge/hresult.h"
#include "bridge/msg.h"
#include "bridge/msg_container.h"
#include "bridge/msg_ferry.h"
#include "bridge/msg_settings.h"
#include "bridge/wire.h"
#include "config/util.h"

/* Any decoded request; each begins with its base. */
union request_body {
	struct msg_base base;
	struct msg_negotiate negotiate;
	struct msg_execute_process execute_process;
	struct msg_wait_for_process wait_for_process;
	struct msg_signal_process signal_process;
	struct msg_resize_console resize_console;
	struct msg_create create;
	struct msg_get_properties get_properties;
	struct msg_modify_settings modify_settings;
	struct msg_ferry_read_log read_log;
};

/**
 * struct row - how one type is handled
 * @schema:	of the body
 * @any_body:	a body that cannot be read is no reason to refuse
 */
struct row {
	uint32_t type;
	bool any_body;
	const struct schema *schema;
	handler_fn *handler;
};

#define MESSAGE_NUMBER(type) ((type) >> 8 & 0xfffu)
#define ROW(t, s, h)                                                           \
	[MESSAGE_NUMBER(t)] = { .type = (t), .schema = (s), .handler = (h) }

/* By message number; the whole word is compared. */
static const struct row rows[] = {
	ROW(WIRE_CREATE, &msg_create_schema, handle_create),
	ROW(WIRE_START, &msg_base_schema, handle_start),
	ROW(WIRE_SHUTDOWN_GRACEFUL, &msg_base_schema, handle_shutdown),
	ROW(WIRE_SHUTDOWN_FORCED, &msg_base_schema, handle_shutdown),
	ROW(WIRE_EXECUTE_PROCESS, &msg_execute_process_schema,
	    handle_execute_process),
	ROW(WIRE_WAIT_FOR_PROCESS, &msg_wait_for_process_schema,
	    handle_wait_for_process),
	ROW(WIRE_SIGNAL_PROCESS, &msg_signal_process_schema,
	    handle_signal_process),
	ROW(WIRE_RESIZE_CONSOLE, &msg_resize_console_schema,
	    handle_resize_console),
	ROW(WIRE_GET_PROPERTIES, &msg_get_properties_schema,
	    handle_get_properties),
	ROW(WIRE_MODIFY_SETTINGS, &msg_modify_settings_schema,
	    handle_modify_settings),
	ROW(WIRE_NEGOTIATE_PROTOCOL, &msg_negotiate_schema, handle_negotiate),
	[MESSAGE_NUMBER(WIRE_DUMP_STACKS)] = { .type = WIRE_DUMP_STACKS,
					       .any_body = true,
					       .schema = &msg_base_schema,
					       .handler = handle_dump_stacks },
	ROW(WIRE_DELETE_CONTAINER_STATE, &msg_base_schema,
	    handle_delete_container_state),
};

/* Of ferry's own, whose numbers are those of others. */
static const struct row read_log = { .type = WIRE_FERRY_READ_LOG,
				     .schema = &msg_ferry_read_log_schema,
				     .handler = handle_read_log };

/* The row that may serve @type now, or NULL. */
static const struct row *row_for(const struct agent *a, uint32_t type)
{
	const uint32_t n = MESSAGE_NUMBER(type);

	if (!a->flags.v4)
		return NULL;
	if (a->conn.negotiated == (type == WIRE_NEGOTIATE_PROTOCOL))
		return NULL;
	if (type == read_log.type)
		return &read_log;
	if (n >= ARRAY_LEN(rows) || rows[n].type != type)
		return NULL;
	return rows[n].handler ? &rows[n] : NULL;
}

/* Remembers the activity id for the answer; too long ones are no GUIDs. */
static void take_activity(struct call *c, const char *activity)
{
	if (strlen(activity) < sizeof(c->to.activity))
		(void)snprintf(c->to.activity, sizeof(c->to.activity), "%s",
			       activity);
}

/* The base alone, where nothing else of the body is wanted or readable. */
static void read_base(struct call *c, const struct frame *f)
{
	struct msg_base base;

	arena_reset(&c->agent->arena);
	if (msg_decode(&msg_base_schema, f->body, f->len, &c->agent->arena,
		       &base, NULL) == 0)
		take_activity(c, base.activity_id);
}

/* From here on it is ours: whatever becomes of this agent, it gets one answer. */
static void take(struct call *c, const struct frame *f, const char *container)
{
	struct agent *a = c->agent;
	struct keep_request k = { .to = c->to, .frame = resume_next(a) };

	if (strlen(container) < sizeof(k.container))
		(void)snprintf(k.container, sizeof(k.container), "%s",
			       container);
	if (f->header.type != WIRE_NEGOTIATE_PROTOCOL)
		keep_request(a, &a->requests.kept, &k);
	resume_took(a, f);
}

static void refuse(struct call *c, const struct frame *f)
{
	const char *name = wire_type_name(f->header.type);

	read_base(c, f);
	take(c, f, "");
	(void)reply_error(
		c->agent, &c->to, HR_NOT_IMPLEMENTED,
		"bridge: function not supported, header type: %s (0x%08x)%s",
		name ? name : "unknown", f->header.type,
		c->agent->conn.negotiated ? "" : ", no version negotiated");
}

static void handle(struct call *c, const struct frame *f, const struct row *row)
{
	union request_body body;
	struct container *found = NULL;
	uint64_t serial = 0;
	bool waited;
	struct err e = { 0 };

	arena_reset(&c->agent->arena);
	if (msg_decode(row->schema, f->body, f->len, &c->agent->arena, &body,
		       &e) == 0) {
		take_activity(c, body.base.activity_id);
	} else if (row->any_body) {
		body.base = (struct msg_base){ .container_id = "",
					       .activity_id = "" };
	} else {
		read_base(c, f);
		take(c, f, "");
		(void)reply_error(c->agent, &c->to, HR_INVALID_JSON,
				  "request of %zu bytes: %s", f->len, e.text);
		return;
	}
	take(c, f, body.base.container_id);
	if (!is_uvm(body.base.container_id))
		found = container_find(&c->agent->containers,
				       body.base.container_id);
	if (found && !container_known(found))
		serial = found->facts.serial;
	waited = found && f->header.type == WIRE_WAIT_FOR_PROCESS &&
		 body.wait_for_process.process_id == found->facts.init_pid;
	row->handler(c, &body);
	/* It may be gone now. Its first frame is answered before what is kept
	 * for it is sent. */
	if (serial != 0)
		found = container_by_serial(&c->agent->containers, serial);
	if (serial != 0 && found)
		container_named(found, waited);
}

void dispatch(struct agent *a, const struct frame *f)
{
	const struct row *row = row_for(a, f->header.type);
	struct call c = {
		.agent = a,
		.to = { .id = f->header.id,
			.type = f->header.type,
			.conn = a->conn.number },
	};

	if (resume_frame(a, f))
		return;
	a->frames++;
	if (!a->conn.negotiated && f->header.id == 0)
		a->conn.saw_id_zero = true;
	/* Whatever the frame is, it gets an answer of its own: an older one to
	 * the same id would be the second, which ends a host's bridge. */
	requests_drop_id(&a->requests, c.to.id, c.to.conn);
	reply_drop_held(a, c.to.id);
	if (row)
		handle(&c, f, row);
	else
		refuse(&c, f);
	request_passed(&a->requests);
}
