#include "bridge/wire.h"

#include <errno.h>

#include "config/num.h"
#include "config/util.h"

struct wire_header wire_header_get(const void *bytes)
{
	const uint8_t *b = bytes;

	return (struct wire_header){ .type = le32_get(b),
				     .size = le32_get(b + 4),
				     .id = le64_get(b + 8) };
}

void wire_header_put(void *bytes, const struct wire_header *h)
{
	uint8_t *b = bytes;

	le32_put(b, h->type);
	le32_put(b + 4, h->size);
	le64_put(b + 8, h->id);
}

int wire_size_check(const struct wire_header *h, uint32_t max, struct err *e)
{
	if (h->size < WIRE_HEADER_SIZE)
		return err_set(e, EPROTO,
			       "frame size %u is below the header's %u",
			       h->size, WIRE_HEADER_SIZE);
	if (h->size > max)
		return err_set(e, EPROTO, "frame size %u is above the limit %u",
			       h->size, max);
	return 0;
}

static const struct {
	uint32_t type;
	const char *name;
} types[] = {
	{ WIRE_CREATE, "Create" },
	{ WIRE_START, "Start" },
	{ WIRE_SHUTDOWN_GRACEFUL, "ShutdownGraceful" },
	{ WIRE_SHUTDOWN_FORCED, "ShutdownForced" },
	{ WIRE_EXECUTE_PROCESS, "ExecuteProcess" },
	{ WIRE_WAIT_FOR_PROCESS, "WaitForProcess" },
	{ WIRE_SIGNAL_PROCESS, "SignalProcess" },
	{ WIRE_RESIZE_CONSOLE, "ResizeConsole" },
	{ WIRE_GET_PROPERTIES, "GetProperties" },
	{ WIRE_MODIFY_SETTINGS, "ModifySettings" },
	{ WIRE_NEGOTIATE_PROTOCOL, "NegotiateProtocol" },
	{ WIRE_DUMP_STACKS, "DumpStacks" },
	{ WIRE_DELETE_CONTAINER_STATE, "DeleteContainerState" },
	{ WIRE_UPDATE_CONTAINER, "UpdateContainer" },
	{ WIRE_LIFECYCLE_NOTIFICATION, "LifecycleNotification" },
	{ WIRE_MODIFY_SERVICE_SETTINGS, "ModifyServiceSettings" },
	{ WIRE_CONTAINER_NOTIFICATION, "ContainerNotification" },
};

const char *wire_type_name(uint32_t type)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].type == type ||
		    (wire_kind(types[i].type) == WIRE_REQUEST &&
		     wire_response_type(types[i].type) == type))
			return types[i].name;
	return NULL;
}
