/*
 * bridge/msg.h - the bodies of bridge messages as typed structs; pure.
 *
 * A message kind is a C struct plus a schema (bridge/schema.h): a table of its
 * JSON members. One decoder and one encoder work on all of them, in both
 * directions, so that guest and host use the same tables.
 *
 * Decoding: member names match without regard to case, the last of equal
 * names wins, unknown members are skipped, null is the zero value, a wrong
 * type or a number out of range is an error that names the path. Strings and
 * arrays are copied into the caller's arena; an absent string is "" and
 * never NULL. JSON inside a JSON string is decoded in place (ProcessParameters)
 * or, where it is not ours to read (OCI documents), kept as text: such a text
 * is NULL when absent.
 * Encoding: members in table order, zero values of optional members left out.
 * Source: shared specification bridge.md 2 and 3.
 */
#ifndef FERRY_BRIDGE_MSG_H
#define FERRY_BRIDGE_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/schema.h"
#include "config/arena.h"
#include "config/err.h"
#include "config/text.h"

struct msg_ferry_hello;
struct msg_ferry_welcome;

/* Base of every request, and the whole body of Start, Shutdown*, DumpStacks
 * and DeleteContainerState. */
struct msg_base {
	const char *container_id; /* WIRE_NULL_ID: the UVM */
	const char *activity_id;  /* GUID, or "" */
	struct msg_pairs otsc;	  /* W3C trace context */
};

struct msg_error_record {
	int32_t result;
	const char *message;
	const char *stack_trace;
	const char *module_name;
	const char *file_name;
	uint32_t line; /* UINT32_MAX: unknown */
	const char *function_name;
};

/* Base of every response, and the whole body of most. */
struct msg_result {
	int32_t result;		 /* hresult_to_wire() */
	const char *activity_id; /* "" is left out on the wire */
	const char *error_message;
	struct msg_error_record *record;
	size_t n_records;
};

struct msg_negotiate {
	struct msg_base base;
	uint32_t minimum_version;
	uint32_t maximum_version;
	bool ferry_events;	       /* takes ferry's own notices */
	struct msg_ferry_hello *ferry; /* NULL: a host without FerryResume */
};

struct msg_schema_version {
	uint32_t major;
	uint32_t minor;
};

struct msg_capabilities {
	bool send_host_create_message;
	bool send_host_start_message;
	bool hv_socket_config_on_startup;
	struct msg_schema_version *schema_version;
	size_t n_schema_versions;
	const char *runtime_os_type;
	bool namespace_add_request_supported;
	bool signal_process_supported;
	bool dump_stacks_supported;
	bool delete_container_state_supported;
	bool ferry_resume;
};

struct msg_negotiate_result {
	struct msg_result base;
	uint32_t version;
	struct msg_capabilities capabilities;
	struct msg_ferry_welcome *ferry; /* NULL: the plain protocol */
};

/* The inner document of ExecuteProcess. */
struct msg_process_parameters {
	struct msg_strings command_args;
	const char *command_line; /* used when command_args is empty */
	const char *working_directory;
	struct msg_pairs environment;
	bool emulate_console;
	bool create_stdin_pipe;
	bool create_stdout_pipe;
	bool create_stderr_pipe;
	bool create_in_utility_vm;
	uint16_t console_size[2]; /* height, width; 0: not told */
	const char *oci_process; /* JSON text of an OCI process, NULL: absent */
};

enum msg_stdio { MSG_STDIN, MSG_STDOUT, MSG_STDERR, MSG_STDIO };

struct msg_execute_process {
	struct msg_base base;
	struct msg_process_parameters parameters;
	uint32_t port[MSG_STDIO]; /* host ports, 0: stream not requested */
};

struct msg_execute_process_result {
	struct msg_result base;
	uint32_t process_id;
};

#define MSG_WAIT_FOREVER UINT32_MAX

struct msg_wait_for_process {
	struct msg_base base;
	uint32_t process_id;
	uint32_t timeout_ms; /* MSG_WAIT_FOREVER: no limit, 0: expire at once */
};

struct msg_wait_for_process_result {
	struct msg_result base;
	uint32_t exit_code;
};

struct msg_signal_process {
	struct msg_base base;
	uint32_t process_id;
	int32_t signal; /* 0: absent, which means SIGKILL */
};

struct msg_resize_console {
	struct msg_base base;
	uint32_t process_id;
	uint16_t height;
	uint16_t width;
};

struct msg_dump_stacks_result {
	struct msg_result base;
	const char *guest_stacks;
};

/* Exit notification of a container. */
struct msg_notification {
	struct msg_base base;
	const char *type; /* "UnexpectedExit", "GracefulExit", "ForcedExit" */
	const char *operation; /* "None" */
	int32_t result;
	const char *result_info; /* JSON text, "": absent */
};

extern const struct schema msg_base_schema;
extern const struct schema msg_result_schema;
extern const struct schema msg_negotiate_schema;
extern const struct schema msg_negotiate_result_schema;
extern const struct schema msg_process_parameters_schema;
extern const struct schema msg_execute_process_schema;
extern const struct schema msg_execute_process_result_schema;
extern const struct schema msg_wait_for_process_schema;
extern const struct schema msg_wait_for_process_result_schema;
extern const struct schema msg_signal_process_schema;
extern const struct schema msg_resize_console_schema;
extern const struct schema msg_dump_stacks_result_schema;
extern const struct schema msg_notification_schema;

/**
 * msg_schema() - what the payload of a frame looks like
 * @type:	type word of a request, a response or the notification
 *
 * Return: the schema, NULL for a word that has no payload known to ferry
 */
const struct schema *msg_schema(uint32_t type);

/**
 * msg_decode() - JSON text into the struct that @schema describes
 * @schema:	one of the tables above
 * @body:	bytes of the payload; white space around the value is fine,
 *		anything else behind it is an error
 * @len:	bytes of @body
 * @a:		receives strings and arrays; the result lives as long
 * @ret:	the struct of @schema; set to its zero value first, so it is
 *		complete only on success
 * @e:		path and reason, for example "$.Settings.ProcessParameters:
 *		$.CommandArgs[2]: want string"
 *
 * Return: 0, -EINVAL (not JSON, wrong shape, too deep), -ENOMEM (past the
 *         arena's limit)
 */
int msg_decode(const struct schema *schema, const char *body, size_t len,
	       struct arena *a, void *ret, struct err *e);

/**
 * msg_encode() - append the JSON text of a struct
 * @schema:	one of the tables above
 * @msg:	the struct; a NULL string counts as ""
 * @out:	receives the text; out->full tells that it did not fit
 *
 * Output is valid UTF-8 whatever the input was, with '<', '>', '&', U+2028
 * and U+2029 escaped. An activity id that is not a GUID is left out.
 */
void msg_encode(const struct schema *schema, const void *msg, struct text *out);

/**
 * msg_encode_result() - a response body that always fits and is always safe
 * @schema:	schema of a response struct, whose base is a struct msg_result
 * @msg:	the response
 * @out:	text with a limit; WIRE_GUEST_FRAME_MAX - WIRE_HEADER_SIZE + 1
 *		for a guest
 *
 * When the text does not fit, the longest strings (error texts, stacks) are
 * cut at a character border until it does. An answer that is too long without
 * them becomes a failure (HR_FAIL) that says so. A failed result (result != 0)
 * is encoded as its base only. What bridge.md 2.6 forbids is never produced:
 * an activity id is written in lower case, and left out unless it is a GUID.
 *
 * Return: 0, or -ENOMEM when not even the bare result code could be written:
 *         @out is as it was then
 */
int msg_encode_result(const struct schema *schema, const void *msg,
		      struct text *out);

#endif
