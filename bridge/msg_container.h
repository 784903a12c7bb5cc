/*
 * bridge/msg_container.h - bodies of the messages about containers: Create
 * and GetProperties with their inner documents; pure.
 *
 * As bridge/msg.h. Source: shared specification bridge.md 3.2, 3.3, 3.10.
 */
#ifndef FERRY_BRIDGE_MSG_CONTAINER_H
#define FERRY_BRIDGE_MSG_CONTAINER_H

#include <stddef.h>
#include <stdint.h>

#include "bridge/msg.h"
#include "bridge/schema.h"

/* The inner document of Create, for a container and for the UVM itself. */
struct msg_container_config {
	struct msg_schema_version schema_version; /* 2.1 or later */
	const char *oci_bundle_path;
	const char *oci_specification; /* JSON text, NULL: absent */
	const char *scratch_dir_path;
	const char *system_type; /* "Container" for the UVM */
};

struct msg_create {
	struct msg_base base;
	struct msg_container_config config;
};

struct msg_create_result {
	struct msg_result base;
	const char *selected_version;
	uint32_t selected_protocol_version;
};

/* The inner document of the GetProperties request. */
struct msg_property_query {
	struct msg_strings types; /* "ProcessList", "Statistics" */
	const char *queries;	  /* JSON text, NULL: absent; unused */
};

struct msg_get_properties {
	struct msg_base base;
	struct msg_property_query query;
};

struct msg_process_details {
	uint32_t process_id;
};

struct msg_metrics;

/* The inner document of the answer. */
struct msg_properties {
	struct msg_process_details *process;
	size_t n_processes;
	const struct msg_metrics *metrics; /* NULL: not asked for */
};

struct msg_get_properties_result {
	struct msg_result base;
	struct msg_properties properties;
};

extern const struct schema msg_container_config_schema;
extern const struct schema msg_create_schema;
extern const struct schema msg_create_result_schema;
extern const struct schema msg_property_query_schema;
extern const struct schema msg_get_properties_schema;
extern const struct schema msg_properties_schema;
extern const struct schema msg_get_properties_result_schema;

#endif
