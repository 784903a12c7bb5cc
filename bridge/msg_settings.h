/*
 * bridge/msg_settings.h - the body of ModifySettings and the settings of each
 * kind of resource; pure.
 *
 * Two steps: the message itself keeps its Settings as JSON text, because what
 * they are is told by another member; msg_settings_schema() names the table
 * with which msg_decode() reads them. As bridge/msg.h otherwise.
 * Source: shared specification bridge.md 3.11.
 */
#ifndef FERRY_BRIDGE_MSG_SETTINGS_H
#define FERRY_BRIDGE_MSG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/msg.h"
#include "bridge/schema.h"

struct msg_modify_request {
	const char *request_type; /* "" means "Add" */
	const char *resource_type;
	const char *settings; /* JSON text, NULL: absent */
};

struct msg_modify_settings {
	struct msg_base base;
	struct msg_modify_request request;
};

struct msg_mapped_virtual_disk {
	const char *mount_path; /* "": do nothing */
	uint8_t lun;
	uint8_t controller;
	uint64_t partition; /* 0: the whole disk */
	bool read_only;
	bool encrypted;
	struct msg_strings options;
	bool block_dev;
	bool ensure_filesystem;
	const char *filesystem; /* "": find out */
};

struct msg_scsi_device {
	uint8_t controller;
	uint8_t lun;
};

struct msg_layer {
	const char *id;
	const char *path;
	const char *path_type;
	const char *cache;
};

struct msg_combined_layers {
	const char *container_id;
	const char *container_root_path;
	struct msg_layer *layer; /* topmost first */
	size_t n_layers;
	const char *scratch_path; /* "": read-only */
};

struct msg_mapped_directory {
	const char *mount_path;
	int32_t port;
	const char *share_name;
	bool read_only;
};

struct msg_vpmem_mapping {
	uint64_t offset_bytes;
	uint64_t size_bytes;
};

struct msg_vpmem_device {
	uint32_t device_number;
	const char *mount_path;
	struct msg_vpmem_mapping *mapping; /* NULL: the whole device */
};

struct msg_vpci_device {
	const char *vmbus_guid;
};

struct msg_ip_config {
	const char *address;
	uint8_t prefix_length;
};

struct msg_route {
	const char *next_hop;
	const char *destination_prefix;
	uint16_t metric;
};

struct msg_network {
	const char *namespace_id;
	const char *id;
	const char *mac_address;     /* 00-15-5D-... */
	const char *dns_suffix;	     /* search list, by comma */
	const char *dns_server_list; /* by comma */
	uint16_t encap_overhead;
	bool vpci_assigned;
	struct msg_ip_config *ip_config;
	size_t n_ip_configs;
	struct msg_route *route;
	size_t n_routes;
	bool policy_based_routing;
	bool enable_low_metric;
};

struct msg_container_constraints {
	const char *windows;	     /* JSON text; ignored by a Linux guest */
	const char *linux_resources; /* JSON text, NULL: absent */
};

struct msg_security_policy {
	const char *enforcer_type;
	const char *policy; /* this and what follows: base64 */
	const char *uvm_reference;
	const char *uvm_hash_envelope_reference;
};

struct msg_security_policy_fragment {
	const char *fragment;
	const char *media_type;
};

extern const struct schema msg_modify_settings_schema;
extern const struct schema msg_mapped_virtual_disk_schema;
extern const struct schema msg_scsi_device_schema;
extern const struct schema msg_combined_layers_schema;
extern const struct schema msg_mapped_directory_schema;
extern const struct schema msg_vpmem_device_schema;
extern const struct schema msg_vpci_device_schema;
extern const struct schema msg_network_schema;
extern const struct schema msg_container_constraints_schema;
extern const struct schema msg_security_policy_schema;
extern const struct schema msg_security_policy_fragment_schema;

/**
 * msg_settings_schema() - the table for the Settings of a resource
 * @resource_type:	as in the request, case matters
 *
 * Return: the schema, NULL for a type that ferry does not know or that has no
 *         settings (PodCgroupMemoryLimit)
 */
const struct schema *msg_settings_schema(const char *resource_type);

#endif
