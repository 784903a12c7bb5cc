#include "bridge/msg.h"

#include <errno.h>

#include "bridge/hresult.h"
#include "bridge/json_decode.h"
#include "bridge/json_encode.h"
#include "bridge/msg_base.h"
#include "bridge/msg_container.h"
#include "bridge/msg_ferry.h"
#include "bridge/msg_settings.h"
#include "bridge/wire.h"
#include "config/util.h"

#define OPT SCHEMA_OPTIONAL

/* clang-format off */

static const struct schema_member base_members[] = {
	MSG_BASE_ROWS(struct msg_base, ),
};
const struct schema msg_base_schema = SCHEMA(struct msg_base, base_members);

static const struct schema_member error_record_members[] = {
#define T struct msg_error_record
	SCHEMA_I32(T, result, "Result", SCHEMA_ALWAYS),
	SCHEMA_STRING(T, message, "Message", SCHEMA_ALWAYS | SCHEMA_CUT),
	SCHEMA_STRING(T, stack_trace, "StackTrace", SCHEMA_CUT),
	SCHEMA_STRING(T, module_name, "ModuleName",
		      SCHEMA_ALWAYS | SCHEMA_CUT),
	SCHEMA_STRING(T, file_name, "FileName", SCHEMA_ALWAYS | SCHEMA_CUT),
	SCHEMA_U32(T, line, "Line", SCHEMA_ALWAYS),
	SCHEMA_STRING(T, function_name, "FunctionName", SCHEMA_CUT),
#undef T
};
const struct schema msg_error_record_schema =
	SCHEMA(struct msg_error_record, error_record_members);

static const struct schema_member result_members[] = {
	MSG_RESULT_ROWS(struct msg_result, ),
};
const struct schema msg_result_schema =
	SCHEMA(struct msg_result, result_members);

static const struct schema_member negotiate_members[] = {
#define T struct msg_negotiate
	MSG_BASE_ROWS(T, base.),
	SCHEMA_U32(T, minimum_version, "MinimumVersion", SCHEMA_ALWAYS),
	SCHEMA_U32(T, maximum_version, "MaximumVersion", SCHEMA_ALWAYS),
	SCHEMA_BOOL(T, ferry_events, "FerryEvents", OPT),
	SCHEMA_POINTER(struct msg_ferry_hello, T, ferry, "Ferry", OPT,
		       msg_ferry_hello_schema),
#undef T
};
const struct schema msg_negotiate_schema =
	SCHEMA(struct msg_negotiate, negotiate_members);

static const struct schema_member schema_version_members[] = {
#define T struct msg_schema_version
	SCHEMA_U32(T, major, "Major", SCHEMA_ALWAYS),
	SCHEMA_U32(T, minor, "Minor", SCHEMA_ALWAYS),
#undef T
};
const struct schema msg_schema_version_schema =
	SCHEMA(struct msg_schema_version, schema_version_members);

static const struct schema_member guest_defined_members[] = {
#define T struct msg_capabilities
	SCHEMA_BOOL(T, namespace_add_request_supported,
		    "NamespaceAddRequestSupported", OPT),
	SCHEMA_BOOL(T, signal_process_supported, "SignalProcessSupported", OPT),
	SCHEMA_BOOL(T, dump_stacks_supported, "DumpStacksSupported", OPT),
	SCHEMA_BOOL(T, delete_container_state_supported,
		    "DeleteContainerStateSupported", OPT),
	SCHEMA_BOOL(T, ferry_resume, "FerryResume", OPT),
#undef T
};
static const struct schema guest_defined_schema =
	SCHEMA(struct msg_capabilities, guest_defined_members);

/* Without GuestDefinedCapabilities the reference host fails the connection. */
static const struct schema_member capabilities_members[] = {
#define T struct msg_capabilities
	SCHEMA_BOOL(T, send_host_create_message, "SendHostCreateMessage", OPT),
	SCHEMA_BOOL(T, send_host_start_message, "SendHostStartMessage", OPT),
	SCHEMA_BOOL(T, hv_socket_config_on_startup, "HvSocketConfigOnStartup",
		    OPT),
	SCHEMA_ARRAY(struct msg_schema_version, T, schema_version,
		     n_schema_versions, "SupportedSchemaVersions", OPT,
		     msg_schema_version_schema),
	SCHEMA_STRING(T, runtime_os_type, "RuntimeOsType", OPT),
	SCHEMA_LEVEL("GuestDefinedCapabilities", SCHEMA_ALWAYS,
		     guest_defined_schema),
#undef T
};
static const struct schema capabilities_schema =
	SCHEMA(struct msg_capabilities, capabilities_members);

static const struct schema_member negotiate_result_members[] = {
#define T struct msg_negotiate_result
	MSG_RESULT_ROWS(T, base.),
	SCHEMA_U32(T, version, "Version", SCHEMA_ALWAYS),
	SCHEMA_OBJECT(struct msg_capabilities, T, capabilities, "Capabilities",
		      SCHEMA_ALWAYS, capabilities_schema),
	SCHEMA_POINTER(struct msg_ferry_welcome, T, ferry, "Ferry", OPT,
		       msg_ferry_welcome_schema),
#undef T
};
const struct schema msg_negotiate_result_schema =
	SCHEMA(struct msg_negotiate_result, negotiate_result_members);

static const struct schema_member process_parameters_members[] = {
#define T struct msg_process_parameters
	SCHEMA_STRINGS(T, command_args, "CommandArgs", OPT),
	SCHEMA_STRING(T, command_line, "CommandLine", OPT),
	SCHEMA_STRING(T, working_directory, "WorkingDirectory", OPT),
	SCHEMA_PAIRS(T, environment, "Environment", OPT),
	SCHEMA_BOOL(T, emulate_console, "EmulateConsole", OPT),
	SCHEMA_BOOL(T, create_stdin_pipe, "CreateStdInPipe", OPT),
	SCHEMA_BOOL(T, create_stdout_pipe, "CreateStdOutPipe", OPT),
	SCHEMA_BOOL(T, create_stderr_pipe, "CreateStdErrPipe", OPT),
	SCHEMA_U16_PAIR(T, console_size, "ConsoleSize", OPT),
	SCHEMA_BOOL(T, create_in_utility_vm, "CreateInUtilityVM", OPT),
	SCHEMA_RAW(T, oci_process, "OciProcess", OPT),
#undef T
};
const struct schema msg_process_parameters_schema =
	SCHEMA(struct msg_process_parameters, process_parameters_members);

static const struct schema_member vsock_stdio_members[] = {
#define T struct msg_execute_process
	SCHEMA_U32(T, port[MSG_STDIN], "StdIn", OPT),
	SCHEMA_U32(T, port[MSG_STDOUT], "StdOut", OPT),
	SCHEMA_U32(T, port[MSG_STDERR], "StdErr", OPT),
#undef T
};
static const struct schema vsock_stdio_schema =
	SCHEMA(struct msg_execute_process, vsock_stdio_members);

static const struct schema_member execute_settings_members[] = {
	SCHEMA_INNER(struct msg_process_parameters, struct msg_execute_process,
		     parameters, "ProcessParameters",
		     SCHEMA_ALWAYS | SCHEMA_REQUIRED,
		     msg_process_parameters_schema),
	SCHEMA_LEVEL("VsockStdioRelaySettings", OPT, vsock_stdio_schema),
};
static const struct schema execute_settings_schema =
	SCHEMA(struct msg_execute_process, execute_settings_members);

static const struct schema_member execute_process_members[] = {
	MSG_BASE_ROWS(struct msg_execute_process, base.),
	SCHEMA_LEVEL("Settings", SCHEMA_ALWAYS | SCHEMA_REQUIRED,
		     execute_settings_schema),
};
const struct schema msg_execute_process_schema =
	SCHEMA(struct msg_execute_process, execute_process_members);

static const struct schema_member execute_process_result_members[] = {
#define T struct msg_execute_process_result
	MSG_RESULT_ROWS(T, base.),
	SCHEMA_U32(T, process_id, "ProcessId", SCHEMA_ALWAYS),
#undef T
};
const struct schema msg_execute_process_result_schema =
	SCHEMA(struct msg_execute_process_result,
	       execute_process_result_members);

static const struct schema_member wait_for_process_members[] = {
#define T struct msg_wait_for_process
	MSG_BASE_ROWS(T, base.),
	SCHEMA_U32(T, process_id, "ProcessId", SCHEMA_ALWAYS),
	SCHEMA_U32(T, timeout_ms, "TimeoutInMs", SCHEMA_ALWAYS),
#undef T
};
const struct schema msg_wait_for_process_schema =
	SCHEMA(struct msg_wait_for_process, wait_for_process_members);

static const struct schema_member wait_for_process_result_members[] = {
#define T struct msg_wait_for_process_result
	MSG_RESULT_ROWS(T, base.),
	SCHEMA_U32(T, exit_code, "ExitCode", SCHEMA_ALWAYS),
#undef T
};
const struct schema msg_wait_for_process_result_schema =
	SCHEMA(struct msg_wait_for_process_result,
	       wait_for_process_result_members);

static const struct schema_member signal_options_members[] = {
	SCHEMA_I32(struct msg_signal_process, signal, "Signal", OPT),
};
static const struct schema signal_options_schema =
	SCHEMA(struct msg_signal_process, signal_options_members);

static const struct schema_member signal_process_members[] = {
#define T struct msg_signal_process
	MSG_BASE_ROWS(T, base.),
	SCHEMA_U32(T, process_id, "ProcessId", SCHEMA_ALWAYS),
	SCHEMA_LEVEL("Options", OPT, signal_options_schema),
#undef T
};
const struct schema msg_signal_process_schema =
	SCHEMA(struct msg_signal_process, signal_process_members);

static const struct schema_member resize_console_members[] = {
#define T struct msg_resize_console
	MSG_BASE_ROWS(T, base.),
	SCHEMA_U32(T, process_id, "ProcessId", SCHEMA_ALWAYS),
	SCHEMA_U16(T, height, "Height", SCHEMA_ALWAYS),
	SCHEMA_U16(T, width, "Width", SCHEMA_ALWAYS),
#undef T
};
const struct schema msg_resize_console_schema =
	SCHEMA(struct msg_resize_console, resize_console_members);

static const struct schema_member dump_stacks_result_members[] = {
#define T struct msg_dump_stacks_result
	MSG_RESULT_ROWS(T, base.),
	SCHEMA_STRING(T, guest_stacks, "GuestStacks",
		      SCHEMA_ALWAYS | SCHEMA_CUT),
#undef T
};
const struct schema msg_dump_stacks_result_schema =
	SCHEMA(struct msg_dump_stacks_result, dump_stacks_result_members);

static const struct schema_member notification_members[] = {
#define T struct msg_notification
	MSG_BASE_ROWS(T, base.),
	SCHEMA_STRING(T, type, "Type", SCHEMA_ALWAYS),
	SCHEMA_STRING(T, operation, "Operation", SCHEMA_ALWAYS),
	SCHEMA_I32(T, result, "Result", SCHEMA_ALWAYS),
	SCHEMA_JSON(T, result_info, "ResultInfo", OPT),
#undef T
};
const struct schema msg_notification_schema =
	SCHEMA(struct msg_notification, notification_members);

static const struct {
	uint32_t type;
	const struct schema *request;
	const struct schema *response;
} kinds[] = {
	{ WIRE_CREATE, &msg_create_schema, &msg_create_result_schema },
	{ WIRE_START, &msg_base_schema, &msg_result_schema },
	{ WIRE_SHUTDOWN_GRACEFUL, &msg_base_schema, &msg_result_schema },
	{ WIRE_SHUTDOWN_FORCED, &msg_base_schema, &msg_result_schema },
	{ WIRE_EXECUTE_PROCESS, &msg_execute_process_schema,
	  &msg_execute_process_result_schema },
	{ WIRE_WAIT_FOR_PROCESS, &msg_wait_for_process_schema,
	  &msg_wait_for_process_result_schema },
	{ WIRE_SIGNAL_PROCESS, &msg_signal_process_schema, &msg_result_schema },
	{ WIRE_RESIZE_CONSOLE, &msg_resize_console_schema, &msg_result_schema },
	{ WIRE_GET_PROPERTIES, &msg_get_properties_schema,
	  &msg_get_properties_result_schema },
	{ WIRE_MODIFY_SETTINGS, &msg_modify_settings_schema,
	  &msg_result_schema },
	{ WIRE_NEGOTIATE_PROTOCOL, &msg_negotiate_schema,
	  &msg_negotiate_result_schema },
	{ WIRE_DUMP_STACKS, &msg_base_schema, &msg_dump_stacks_result_schema },
	{ WIRE_DELETE_CONTAINER_STATE, &msg_base_schema, &msg_result_schema },
	{ WIRE_UPDATE_CONTAINER, &msg_base_schema, &msg_result_schema },
	{ WIRE_LIFECYCLE_NOTIFICATION, &msg_base_schema, &msg_result_schema },
	{ WIRE_MODIFY_SERVICE_SETTINGS, &msg_base_schema, &msg_result_schema },
};

/* clang-format on */

const struct schema *msg_schema(uint32_t type)
{
	if (type == WIRE_CONTAINER_NOTIFICATION)
		return &msg_notification_schema;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (type == kinds[i].type)
			return kinds[i].request;
		if (type == wire_response_type(kinds[i].type))
			return kinds[i].response;
	}
	return NULL;
}

int msg_decode(const struct schema *schema, const char *body, size_t len,
	       struct arena *a, void *ret, struct err *e)
{
	return json_decode(schema, body, len, a, ret, e);
}

void msg_encode(const struct schema *schema, const void *msg, struct text *out)
{
	json_encode(schema, msg, JSON_UNCUT, out);
}

/* Encodes and says whether it fitted; when not, @out is as before. */
static bool try_encode(const struct schema *schema, const void *msg, size_t cut,
		       struct text *out)
{
	const size_t len = out->len;

	json_encode(schema, msg, cut, out);
	if (!out->full)
		return true;
	out->full = false;
	out->len = len;
	if (out->buf)
		out->buf[len] = '\0';
	return false;
}

/*
 * The largest cut that fits is found by halving: the strings that are longer
 * than it lose their ends, the shorter ones stay whole.
 */
static bool encode_cut(const struct schema *schema, const void *msg,
		       struct text *out)
{
	size_t fits = 0, too_long = out->max;

	while (too_long - fits > 1) {
		const size_t cut = fits + (too_long - fits) / 2;
		const size_t len = out->len;

		if (!try_encode(schema, msg, cut, out)) {
			too_long = cut;
			continue;
		}
		fits = cut;
		out->len = len;
	}
	return try_encode(schema, msg, fits, out);
}

int msg_encode_result(const struct schema *schema, const void *msg,
		      struct text *out)
{
	const struct msg_result *base = msg;
	struct msg_result bare = {
		.result = base->result,
		.activity_id = base->activity_id,
		.error_message = "the answer does not fit into a frame",
	};

	if (out->full)
		return -ENOMEM;
	if (base->result != 0)
		schema = &msg_result_schema;
	if (try_encode(schema, msg, JSON_UNCUT, out) ||
	    encode_cut(schema, msg, out))
		return 0;

	if (bare.result == 0)
		bare.result = hresult_to_wire(HR_FAIL);
	if (encode_cut(&msg_result_schema, &bare, out))
		return 0;
	bare.error_message = NULL;
	if (try_encode(&msg_result_schema, &bare, 0, out))
		return 0;
	bare.activity_id = NULL;
	return try_encode(&msg_result_schema, &bare, 0, out) ? 0 : -ENOMEM;
}
