#include "bridge/hresult.h"

#include <stddef.h>

#include "config/util.h"

static const struct {
	uint32_t code;
	const char *name;
} codes[] = {
	{ HR_OK, "success" },
	{ HR_NOT_IMPLEMENTED, "not implemented" },
	{ HR_FAIL, "failure" },
	{ HR_INVALID_ARGUMENT, "invalid argument" },
	{ HR_ELEMENT_NOT_FOUND, "element not found" },
	{ HR_RETRY, "ask again" },
	{ HR_INVALID_STATE, "invalid state" },
	{ HR_TIMEOUT, "timeout" },
	{ HR_UNKNOWN_MESSAGE, "unknown message" },
	{ HR_UNSUPPORTED_VERSION, "unsupported protocol version" },
	{ HR_INVALID_JSON, "invalid JSON" },
	{ HR_SYSTEM_NOT_FOUND, "system not found" },
	{ HR_SYSTEM_ALREADY_EXISTS, "system already exists" },
	{ HR_SYSTEM_ALREADY_STOPPED, "system already stopped" },
};

const char *hresult_name(uint32_t code)
{
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (codes[i].code == code)
			return codes[i].name;
	return "unknown code";
}
