#include "bridge/msg_ferry.h"

#include "bridge/msg_base.h"
#include "bridge/wire.h"
#include "config/util.h"

#define OPT SCHEMA_OPTIONAL

/* clang-format off */

static const struct schema_member fixup_members[] = {
#define T struct msg_ferry_fixup
	SCHEMA_STRING(T, entropy, "Entropy", SCHEMA_ALWAYS),
	SCHEMA_U64(T, time_ns, "TimeNs", SCHEMA_ALWAYS),
	SCHEMA_BOOL(T, announce, "Announce", OPT),
#undef T
};
static const struct schema fixup_schema =
	SCHEMA(struct msg_ferry_fixup, fixup_members);

static const struct schema_member hello_members[] = {
#define T struct msg_ferry_hello
	SCHEMA_U32(T, version, "Version", SCHEMA_ALWAYS),
	SCHEMA_STRING(T, nonce, "Nonce", SCHEMA_ALWAYS),
	SCHEMA_STRING(T, session, "Session", OPT),
	SCHEMA_U64(T, received, "Received", OPT),
	SCHEMA_U64(T, sent, "Sent", OPT),
	SCHEMA_U32(T, heartbeat_ms, "HeartbeatMs", OPT),
	SCHEMA_BOOL(T, plain, "Plain", OPT),
	SCHEMA_POINTER(struct msg_ferry_fixup, T, fixup, "Fixup", OPT,
		       fixup_schema),
#undef T
};
const struct schema msg_ferry_hello_schema =
	SCHEMA(struct msg_ferry_hello, hello_members);

static const struct schema_member fixed_members[] = {
#define T struct msg_ferry_fixed
	SCHEMA_BOOL(T, credited, "Credited", SCHEMA_ALWAYS),
	SCHEMA_I32(T, clock_step_ms, "ClockStepMs", SCHEMA_ALWAYS),
	SCHEMA_U32(T, announced, "Announced", SCHEMA_ALWAYS),
	SCHEMA_BOOL(T, again, "Again", OPT),
#undef T
};
static const struct schema fixed_schema =
	SCHEMA(struct msg_ferry_fixed, fixed_members);

static const struct schema_member welcome_members[] = {
#define T struct msg_ferry_welcome
	SCHEMA_U32(T, version, "Version", SCHEMA_ALWAYS),
	SCHEMA_STRING(T, session, "Session", SCHEMA_ALWAYS),
	SCHEMA_STRING(T, key, "Key", OPT),
	SCHEMA_STRING(T, proof, "Proof", SCHEMA_ALWAYS),
	SCHEMA_U64(T, received, "Received", SCHEMA_ALWAYS),
	SCHEMA_U64(T, incarnation, "Incarnation", SCHEMA_ALWAYS),
	SCHEMA_POINTER(struct msg_ferry_fixed, T, fixed, "Fixup", OPT,
		       fixed_schema),
#undef T
};
const struct schema msg_ferry_welcome_schema =
	SCHEMA(struct msg_ferry_welcome, welcome_members);

static const struct schema_member received_members[] = {
	SCHEMA_U64(struct msg_ferry_received, received, "Received",
		   SCHEMA_ALWAYS),
};
const struct schema msg_ferry_received_schema =
	SCHEMA(struct msg_ferry_received, received_members);

static const struct schema_member stream_end_members[] = {
#define T struct msg_ferry_stream_end
	SCHEMA_U32(T, port, "Port", SCHEMA_ALWAYS),
	SCHEMA_U64(T, length, "Length", SCHEMA_ALWAYS),
#undef T
};
const struct schema msg_ferry_stream_end_schema =
	SCHEMA(struct msg_ferry_stream_end, stream_end_members);

static const struct schema_member out_of_memory_members[] = {
#define T struct msg_ferry_out_of_memory
	MSG_BASE_ROWS(T, base.),
	SCHEMA_U64(T, count, "Count", SCHEMA_ALWAYS),
#undef T
};
const struct schema msg_ferry_out_of_memory_schema =
	SCHEMA(struct msg_ferry_out_of_memory, out_of_memory_members);

static const struct schema_member unwanted_members[] = {
	SCHEMA_U32(struct msg_ferry_unwanted, port, "Port", SCHEMA_ALWAYS),
};
const struct schema msg_ferry_unwanted_schema =
	SCHEMA(struct msg_ferry_unwanted, unwanted_members);

static const struct schema_member read_log_members[] = {
#define T struct msg_ferry_read_log
	MSG_BASE_ROWS(T, base.),
	SCHEMA_U64(T, from, "From", SCHEMA_ALWAYS),
	SCHEMA_U32(T, max, "Max", SCHEMA_ALWAYS),
#undef T
};
const struct schema msg_ferry_read_log_schema =
	SCHEMA(struct msg_ferry_read_log, read_log_members);

static const struct schema_member read_log_result_members[] = {
#define T struct msg_ferry_read_log_result
	MSG_RESULT_ROWS(T, base.),
	SCHEMA_U64(T, from, "From", SCHEMA_ALWAYS),
	SCHEMA_U64(T, head, "Head", SCHEMA_ALWAYS),
	SCHEMA_U64(T, dropped, "Dropped", SCHEMA_ALWAYS),
	SCHEMA_STRING(T, text, "Text", SCHEMA_ALWAYS),
#undef T
};
const struct schema msg_ferry_read_log_result_schema =
	SCHEMA(struct msg_ferry_read_log_result, read_log_result_members);

static const struct {
	uint32_t type;
	const struct schema *body;
	const struct schema *response;
} kinds[] = {
	{ WIRE_FERRY_RECEIVED, &msg_ferry_received_schema, NULL },
	{ WIRE_FERRY_STREAM_END, &msg_ferry_stream_end_schema, NULL },
	{ WIRE_FERRY_OUT_OF_MEMORY, &msg_ferry_out_of_memory_schema, NULL },
	{ WIRE_FERRY_STREAM_MARK, &msg_ferry_stream_end_schema, NULL },
	{ WIRE_FERRY_UNWANTED, &msg_ferry_unwanted_schema, NULL },
	{ WIRE_FERRY_READ_LOG, &msg_ferry_read_log_schema,
	  &msg_ferry_read_log_result_schema },
};

/* clang-format on */

const struct schema *msg_ferry_schema(uint32_t type)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (type == kinds[i].type)
			return kinds[i].body;
		if (kinds[i].response &&
		    type == wire_response_type(kinds[i].type))
			return kinds[i].response;
	}
	return NULL;
}
