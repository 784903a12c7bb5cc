/*
 * bridge/msg_base.h - the rows that every request and every response begins
 * with, for the files that hold the tables; pure.
 * Source: shared specification bridge.md 2.2 and 2.3.
 */
#ifndef FERRY_BRIDGE_MSG_BASE_H
#define FERRY_BRIDGE_MSG_BASE_H

#include "bridge/msg.h"
#include "bridge/schema.h"

/* clang-format off */

/* @in leads to the struct msg_base of @type: "base." or nothing. */
#define MSG_BASE_ROWS(type, in)                                                \
	SCHEMA_STRING(type, in container_id, "ContainerId", SCHEMA_ALWAYS),    \
	SCHEMA_GUID(type, in activity_id, "ActivityId", SCHEMA_OPTIONAL),      \
	SCHEMA_PAIRS(type, in otsc, "otsc", SCHEMA_OPTIONAL)

/* @in leads to the struct msg_result of @type. */
#define MSG_RESULT_ROWS(type, in)                                              \
	SCHEMA_I32(type, in result, "Result", SCHEMA_ALWAYS),                  \
	SCHEMA_GUID(type, in activity_id, "ActivityId", SCHEMA_OPTIONAL),      \
	SCHEMA_STRING(type, in error_message, "ErrorMessage", SCHEMA_CUT),     \
	SCHEMA_ARRAY(struct msg_error_record, type, in record, in n_records,   \
		     "ErrorRecords", SCHEMA_OPTIONAL, msg_error_record_schema)

/* clang-format on */

extern const struct schema msg_error_record_schema;
extern const struct schema msg_schema_version_schema;

#endif
