#include "bridge/host/calls.h"

#include <stddef.h>

#include "bridge/wire.h"

/* What a message has besides its content: its tables and its limits. */
struct message {
	uint32_t type;
	const struct schema *request;
	const struct schema *response;
	size_t response_size;
	int timeout_ms;
};

static int start(struct host_client *c, const struct message *m,
		 const void *content, bool survives, bool ends_bridge,
		 const struct host_done *done, uint64_t *ret_id, struct err *e)
{
	struct host_call call = {
		.type = m->type,
		.request = m->request,
		.message = content,
		.response = m->response,
		.response_size = m->response_size,
		.timeout_ms = m->timeout_ms,
		.survives = survives,
		.ends_bridge = ends_bridge,
	};

	if (done) {
		call.done = done->fn;
		call.ctx = done->ctx;
		if (done->timeout_ms != 0)
			call.timeout_ms = done->timeout_ms;
	}
	return host_client_call(c, &call, ret_id, e);
}

static struct msg_base base(const char *container_id)
{
	return (struct msg_base){
		.container_id = container_id ? container_id : WIRE_NULL_ID,
		.activity_id = WIRE_NULL_ID,
	};
}

/* A request that is nothing but its base, and an answer likewise. */
static int start_plain(struct host_client *c, uint32_t type,
		       const char *container_id, const struct host_done *done,
		       uint64_t *ret_id, struct err *e)
{
	const struct message m = {
		.type = type,
		.request = &msg_base_schema,
		.response = &msg_result_schema,
		.response_size = sizeof(struct msg_result),
		.timeout_ms = HOST_CALL_TIMEOUT_MS,
	};
	const struct msg_base content = base(container_id);

	return start(c, &m, &content, false, false, done, ret_id, e);
}

int host_create(struct host_client *c, const char *container_id,
		const struct msg_container_config *document,
		const struct host_done *done, uint64_t *ret_id, struct err *e)
{
	static const struct message m = {
		.type = WIRE_CREATE,
		.request = &msg_create_schema,
		.response = &msg_create_result_schema,
		.response_size = sizeof(struct msg_create_result),
		.timeout_ms = HOST_CALL_TIMEOUT_MS,
	};
	struct msg_create content = {
		.base = base(container_id),
		.config = *document,
	};

	if (content.config.schema_version.major == 0)
		content.config.schema_version =
			(struct msg_schema_version){ 2, 1 };
	return start(c, &m, &content, false, false, done, ret_id, e);
}

int host_start(struct host_client *c, const char *container_id,
	       const struct host_done *done, uint64_t *ret_id, struct err *e)
{
	return start_plain(c, WIRE_START, container_id, done, ret_id, e);
}

int host_delete_container_state(struct host_client *c, const char *container_id,
				const struct host_done *done, uint64_t *ret_id,
				struct err *e)
{
	return start_plain(c, WIRE_DELETE_CONTAINER_STATE, container_id, done,
			   ret_id, e);
}

int host_get_properties(struct host_client *c, const char *container_id,
			unsigned int what, const struct host_done *done,
			uint64_t *ret_id, struct err *e)
{
	static const struct message m = {
		.type = WIRE_GET_PROPERTIES,
		.request = &msg_get_properties_schema,
		.response = &msg_get_properties_result_schema,
		.response_size = sizeof(struct msg_get_properties_result),
		.timeout_ms = HOST_CALL_TIMEOUT_MS,
	};
	const char *types[2];
	struct msg_get_properties content = {
		.base = base(container_id),
		.query = { .types = { .item = types } },
	};

	if (what & HOST_PROCESS_LIST)
		types[content.query.types.n++] = "ProcessList";
	if (what & HOST_STATISTICS)
		types[content.query.types.n++] = "Statistics";
	return start(c, &m, &content, false, false, done, ret_id, e);
}

int host_execute_process(struct host_client *c, const char *container_id,
			 const struct msg_process_parameters *parameters,
			 const uint32_t port[MSG_STDIO],
			 const struct host_done *done, uint64_t *ret_id,
			 struct err *e)
{
	static const struct message m = {
		.type = WIRE_EXECUTE_PROCESS,
		.request = &msg_execute_process_schema,
		.response = &msg_execute_process_result_schema,
		.response_size = sizeof(struct msg_execute_process_result),
		.timeout_ms = HOST_CALL_TIMEOUT_MS,
	};
	const struct msg_execute_process content = {
		.base = base(container_id),
		.parameters = *parameters,
		.port = { port[MSG_STDIN], port[MSG_STDOUT], port[MSG_STDERR] },
	};

	return start(c, &m, &content, false, false, done, ret_id, e);
}

int host_wait_for_process(struct host_client *c, const char *container_id,
			  uint32_t pid, uint32_t timeout_ms,
			  const struct host_done *done, uint64_t *ret_id,
			  struct err *e)
{
	const bool for_ever = timeout_ms == MSG_WAIT_FOREVER;
	const struct message m = {
		.type = WIRE_WAIT_FOR_PROCESS,
		.request = &msg_wait_for_process_schema,
		.response = &msg_wait_for_process_result_schema,
		.response_size = sizeof(struct msg_wait_for_process_result),
		.timeout_ms = for_ever ? HOST_NO_TIMEOUT : HOST_CALL_TIMEOUT_MS,
	};
	const struct msg_wait_for_process content = {
		.base = base(container_id),
		.process_id = pid,
		.timeout_ms = timeout_ms,
	};

	return start(c, &m, &content, for_ever, false, done, ret_id, e);
}

int host_preregister_wait(struct host_client *c, uint64_t id,
			  host_answer_fn *done, void *ctx, struct err *e)
{
	const struct host_call call = {
		.type = WIRE_WAIT_FOR_PROCESS,
		.response = &msg_wait_for_process_result_schema,
		.response_size = sizeof(struct msg_wait_for_process_result),
		.timeout_ms = HOST_NO_TIMEOUT,
		.survives = true,
		.done = done,
		.ctx = ctx,
	};

	return host_client_preregister(c, id, &call, e);
}

int host_signal_process(struct host_client *c, const char *container_id,
			uint32_t pid, int32_t signal,
			const struct host_done *done, uint64_t *ret_id,
			struct err *e)
{
	static const struct message m = {
		.type = WIRE_SIGNAL_PROCESS,
		.request = &msg_signal_process_schema,
		.response = &msg_result_schema,
		.response_size = sizeof(struct msg_result),
		.timeout_ms = HOST_CALL_TIMEOUT_MS,
	};
	const struct msg_signal_process content = {
		.base = base(container_id),
		.process_id = pid,
		.signal = signal,
	};

	return start(c, &m, &content, false, false, done, ret_id, e);
}

int host_resize_console(struct host_client *c, const char *container_id,
			uint32_t pid, uint16_t height, uint16_t width,
			const struct host_done *done, uint64_t *ret_id,
			struct err *e)
{
	static const struct message m = {
		.type = WIRE_RESIZE_CONSOLE,
		.request = &msg_resize_console_schema,
		.response = &msg_result_schema,
		.response_size = sizeof(struct msg_result),
		.timeout_ms = HOST_CALL_TIMEOUT_MS,
	};
	const struct msg_resize_console content = {
		.base = base(container_id),
		.process_id = pid,
		.height = height,
		.width = width,
	};

	return start(c, &m, &content, false, false, done, ret_id, e);
}

int host_dump_stacks(struct host_client *c, const struct host_done *done,
		     uint64_t *ret_id, struct err *e)
{
	static const struct message m = {
		.type = WIRE_DUMP_STACKS,
		.request = &msg_base_schema,
		.response = &msg_dump_stacks_result_schema,
		.response_size = sizeof(struct msg_dump_stacks_result),
		.timeout_ms = HOST_CALL_TIMEOUT_MS,
	};
	const struct msg_base content = base(NULL);

	return start(c, &m, &content, false, false, done, ret_id, e);
}

int host_read_log(struct host_client *c, uint64_t from, uint32_t max,
		  const struct host_done *done, uint64_t *ret_id, struct err *e)
{
	static const struct message m = {
		.type = WIRE_FERRY_READ_LOG,
		.request = &msg_ferry_read_log_schema,
		.response = &msg_ferry_read_log_result_schema,
		.response_size = sizeof(struct msg_ferry_read_log_result),
		.timeout_ms = HOST_CALL_TIMEOUT_MS,
	};
	const struct msg_ferry_read_log content = {
		.base = base(NULL),
		.from = from,
		.max = max,
	};

	return start(c, &m, &content, false, false, done, ret_id, e);
}

int host_shutdown(struct host_client *c, const char *container_id, bool forced,
		  const struct host_done *done, uint64_t *ret_id, struct err *e)
{
	const struct message m = {
		.type = forced ? WIRE_SHUTDOWN_FORCED : WIRE_SHUTDOWN_GRACEFUL,
		.request = &msg_base_schema,
		.response = &msg_result_schema,
		.response_size = sizeof(struct msg_result),
		.timeout_ms = HOST_SHUTDOWN_TIMEOUT_MS,
	};
	const struct msg_base content = base(container_id);

	return start(c, &m, &content, false, container_id == NULL, done, ret_id,
		     e);
}
