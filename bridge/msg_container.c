#include "bridge/msg_container.h"

#include "bridge/msg_base.h"
#include "bridge/msg_metrics.h"

/* clang-format off */

static const struct schema_member config_members[] = {
#define T struct msg_container_config
	SCHEMA_OBJECT(struct msg_schema_version, T, schema_version,
		      "SchemaVersion", SCHEMA_OPTIONAL,
		      msg_schema_version_schema),
	SCHEMA_STRING(T, oci_bundle_path, "OciBundlePath", SCHEMA_OPTIONAL),
	SCHEMA_RAW(T, oci_specification, "OciSpecification", SCHEMA_OPTIONAL),
	SCHEMA_STRING(T, scratch_dir_path, "ScratchDirPath", SCHEMA_OPTIONAL),
	SCHEMA_STRING(T, system_type, "SystemType", SCHEMA_OPTIONAL),
#undef T
};
const struct schema msg_container_config_schema =
	SCHEMA(struct msg_container_config, config_members);

static const struct schema_member create_members[] = {
#define T struct msg_create
	MSG_BASE_ROWS(T, base.),
	SCHEMA_INNER(struct msg_container_config, T, config, "ContainerConfig",
		     SCHEMA_ALWAYS | SCHEMA_REQUIRED,
		     msg_container_config_schema),
#undef T
};
const struct schema msg_create_schema =
	SCHEMA(struct msg_create, create_members);

static const struct schema_member create_result_members[] = {
#define T struct msg_create_result
	MSG_RESULT_ROWS(T, base.),
	SCHEMA_STRING(T, selected_version, "SelectedVersion", SCHEMA_OPTIONAL),
	SCHEMA_U32(T, selected_protocol_version, "SelectedProtocolVersion",
		   SCHEMA_ALWAYS),
#undef T
};
const struct schema msg_create_result_schema =
	SCHEMA(struct msg_create_result, create_result_members);

static const struct schema_member query_members[] = {
#define T struct msg_property_query
	SCHEMA_STRINGS(T, types, "PropertyTypes", SCHEMA_OPTIONAL),
	SCHEMA_RAW(T, queries, "Queries", SCHEMA_OPTIONAL),
#undef T
};
const struct schema msg_property_query_schema =
	SCHEMA(struct msg_property_query, query_members);

static const struct schema_member get_properties_members[] = {
#define T struct msg_get_properties
	MSG_BASE_ROWS(T, base.),
	SCHEMA_INNER(struct msg_property_query, T, query, "Query",
		     SCHEMA_ALWAYS | SCHEMA_EMPTY_OK,
		     msg_property_query_schema),
#undef T
};
const struct schema msg_get_properties_schema =
	SCHEMA(struct msg_get_properties, get_properties_members);

static const struct schema_member process_members[] = {
	SCHEMA_U32(struct msg_process_details, process_id, "ProcessId",
		   SCHEMA_ALWAYS),
};
static const struct schema process_schema =
	SCHEMA(struct msg_process_details, process_members);

static const struct schema_member properties_members[] = {
#define T struct msg_properties
	SCHEMA_ARRAY(struct msg_process_details, T, process, n_processes,
		     "ProcessList", SCHEMA_OPTIONAL, process_schema),
	SCHEMA_POINTER(const struct msg_metrics, T, metrics, "LCOWMetrics",
		       SCHEMA_OPTIONAL, msg_metrics_schema),
#undef T
};
const struct schema msg_properties_schema =
	SCHEMA(struct msg_properties, properties_members);

static const struct schema_member get_properties_result_members[] = {
#define T struct msg_get_properties_result
	MSG_RESULT_ROWS(T, base.),
	SCHEMA_INNER(struct msg_properties, T, properties, "Properties",
		     SCHEMA_ALWAYS, msg_properties_schema),
#undef T
};
const struct schema msg_get_properties_result_schema =
	SCHEMA(struct msg_get_properties_result, get_properties_result_members);

/* clang-format on */
