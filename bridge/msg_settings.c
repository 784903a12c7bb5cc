#include "bridge/msg_settings.h"

#include <string.h>

#include "bridge/msg_base.h"
#include "config/util.h"

#define OPT SCHEMA_OPTIONAL

/* clang-format off */

static const struct schema_member request_members[] = {
#define T struct msg_modify_request
	SCHEMA_STRING(T, request_type, "RequestType", OPT),
	SCHEMA_STRING(T, resource_type, "ResourceType", SCHEMA_ALWAYS),
	SCHEMA_RAW(T, settings, "Settings", OPT),
#undef T
};
static const struct schema request_schema =
	SCHEMA(struct msg_modify_request, request_members);

static const struct schema_member modify_settings_members[] = {
#define T struct msg_modify_settings
	MSG_BASE_ROWS(T, base.),
	SCHEMA_OBJECT(struct msg_modify_request, T, request, "Request",
		      SCHEMA_ALWAYS | SCHEMA_REQUIRED, request_schema),
#undef T
};
const struct schema msg_modify_settings_schema =
	SCHEMA(struct msg_modify_settings, modify_settings_members);

static const struct schema_member disk_members[] = {
#define T struct msg_mapped_virtual_disk
	SCHEMA_STRING(T, mount_path, "MountPath", OPT),
	SCHEMA_U8(T, lun, "Lun", OPT),
	SCHEMA_U8(T, controller, "Controller", OPT),
	SCHEMA_U64(T, partition, "Partition", OPT),
	SCHEMA_BOOL(T, read_only, "ReadOnly", OPT),
	SCHEMA_BOOL(T, encrypted, "Encrypted", OPT),
	SCHEMA_STRINGS(T, options, "Options", OPT),
	SCHEMA_BOOL(T, block_dev, "BlockDev", OPT),
	SCHEMA_BOOL(T, ensure_filesystem, "EnsureFilesystem", OPT),
	SCHEMA_STRING(T, filesystem, "Filesystem", OPT),
#undef T
};
const struct schema msg_mapped_virtual_disk_schema =
	SCHEMA(struct msg_mapped_virtual_disk, disk_members);

static const struct schema_member scsi_members[] = {
#define T struct msg_scsi_device
	SCHEMA_U8(T, controller, "Controller", OPT),
	SCHEMA_U8(T, lun, "Lun", OPT),
#undef T
};
const struct schema msg_scsi_device_schema =
	SCHEMA(struct msg_scsi_device, scsi_members);

static const struct schema_member layer_members[] = {
#define T struct msg_layer
	SCHEMA_STRING(T, id, "Id", OPT),
	SCHEMA_STRING(T, path, "Path", OPT),
	SCHEMA_STRING(T, path_type, "PathType", OPT),
	SCHEMA_STRING(T, cache, "Cache", OPT),
#undef T
};
static const struct schema layer_schema =
	SCHEMA(struct msg_layer, layer_members);

static const struct schema_member combined_layers_members[] = {
#define T struct msg_combined_layers
	SCHEMA_STRING(T, container_id, "ContainerID", OPT),
	SCHEMA_STRING(T, container_root_path, "ContainerRootPath", OPT),
	SCHEMA_ARRAY(struct msg_layer, T, layer, n_layers, "Layers", OPT,
		     layer_schema),
	SCHEMA_STRING(T, scratch_path, "ScratchPath", OPT),
#undef T
};
const struct schema msg_combined_layers_schema =
	SCHEMA(struct msg_combined_layers, combined_layers_members);

static const struct schema_member directory_members[] = {
#define T struct msg_mapped_directory
	SCHEMA_STRING(T, mount_path, "MountPath", SCHEMA_ALWAYS),
	SCHEMA_I32(T, port, "Port", OPT),
	SCHEMA_STRING(T, share_name, "ShareName", OPT),
	SCHEMA_BOOL(T, read_only, "ReadOnly", OPT),
#undef T
};
const struct schema msg_mapped_directory_schema =
	SCHEMA(struct msg_mapped_directory, directory_members);

static const struct schema_member mapping_members[] = {
#define T struct msg_vpmem_mapping
	SCHEMA_U64(T, offset_bytes, "DeviceOffsetInBytes", OPT),
	SCHEMA_U64(T, size_bytes, "DeviceSizeInBytes", OPT),
#undef T
};
static const struct schema mapping_schema =
	SCHEMA(struct msg_vpmem_mapping, mapping_members);

static const struct schema_member vpmem_members[] = {
#define T struct msg_vpmem_device
	SCHEMA_U32(T, device_number, "DeviceNumber", OPT),
	SCHEMA_STRING(T, mount_path, "MountPath", SCHEMA_ALWAYS),
	SCHEMA_POINTER(struct msg_vpmem_mapping, T, mapping, "MappingInfo",
		       OPT, mapping_schema),
#undef T
};
const struct schema msg_vpmem_device_schema =
	SCHEMA(struct msg_vpmem_device, vpmem_members);

static const struct schema_member vpci_members[] = {
	SCHEMA_STRING(struct msg_vpci_device, vmbus_guid, "VMBusGUID",
		      SCHEMA_ALWAYS),
};
const struct schema msg_vpci_device_schema =
	SCHEMA(struct msg_vpci_device, vpci_members);

static const struct schema_member ip_config_members[] = {
#define T struct msg_ip_config
	SCHEMA_STRING(T, address, "IPAddress", SCHEMA_ALWAYS),
	SCHEMA_U8(T, prefix_length, "PrefixLength", SCHEMA_ALWAYS),
#undef T
};
static const struct schema ip_config_schema =
	SCHEMA(struct msg_ip_config, ip_config_members);

static const struct schema_member route_members[] = {
#define T struct msg_route
	SCHEMA_STRING(T, next_hop, "NextHop", OPT),
	SCHEMA_STRING(T, destination_prefix, "DestinationPrefix", OPT),
	SCHEMA_U16(T, metric, "Metric", OPT),
#undef T
};
static const struct schema route_schema =
	SCHEMA(struct msg_route, route_members);

static const struct schema_member network_members[] = {
#define T struct msg_network
	SCHEMA_STRING(T, namespace_id, "NamespaceID", OPT),
	SCHEMA_STRING(T, id, "ID", OPT),
	SCHEMA_STRING(T, mac_address, "MacAddress", OPT),
	SCHEMA_STRING(T, dns_suffix, "DNSSuffix", OPT),
	SCHEMA_STRING(T, dns_server_list, "DNSServerList", OPT),
	SCHEMA_U16(T, encap_overhead, "EncapOverhead", OPT),
	SCHEMA_BOOL(T, vpci_assigned, "VPCIAssigned", OPT),
	SCHEMA_ARRAY(struct msg_ip_config, T, ip_config, n_ip_configs,
		     "IPConfigs", OPT, ip_config_schema),
	SCHEMA_ARRAY(struct msg_route, T, route, n_routes, "Routes", OPT,
		     route_schema),
	SCHEMA_BOOL(T, policy_based_routing, "PolicyBasedRouting", OPT),
	SCHEMA_BOOL(T, enable_low_metric, "EnableLowMetric", OPT),
#undef T
};
const struct schema msg_network_schema =
	SCHEMA(struct msg_network, network_members);

static const struct schema_member constraints_members[] = {
#define T struct msg_container_constraints
	SCHEMA_RAW(T, windows, "Windows", OPT),
	SCHEMA_RAW(T, linux_resources, "Linux", OPT),
#undef T
};
const struct schema msg_container_constraints_schema =
	SCHEMA(struct msg_container_constraints, constraints_members);

static const struct schema_member policy_members[] = {
#define T struct msg_security_policy
	SCHEMA_STRING(T, enforcer_type, "EnforcerType", OPT),
	SCHEMA_STRING(T, policy, "EncodedSecurityPolicy", OPT),
	SCHEMA_STRING(T, uvm_reference, "EncodedUVMReference", OPT),
	SCHEMA_STRING(T, uvm_hash_envelope_reference,
		      "EncodedUVMHashEnvelopeReference", OPT),
#undef T
};
const struct schema msg_security_policy_schema =
	SCHEMA(struct msg_security_policy, policy_members);

static const struct schema_member fragment_members[] = {
#define T struct msg_security_policy_fragment
	SCHEMA_STRING(T, fragment, "Fragment", OPT),
	SCHEMA_STRING(T, media_type, "MediaType", OPT),
#undef T
};
const struct schema msg_security_policy_fragment_schema =
	SCHEMA(struct msg_security_policy_fragment, fragment_members);

static const struct {
	const char *name;
	const struct schema *schema;
} resources[] = {
	{ "MappedVirtualDisk", &msg_mapped_virtual_disk_schema },
	{ "SCSIDevice", &msg_scsi_device_schema },
	{ "CombinedLayers", &msg_combined_layers_schema },
	{ "MappedDirectory", &msg_mapped_directory_schema },
	{ "VPMemDevice", &msg_vpmem_device_schema },
	{ "VPCIDevice", &msg_vpci_device_schema },
	{ "Network", &msg_network_schema },
	{ "ContainerConstraints", &msg_container_constraints_schema },
	{ "SecurityPolicy", &msg_security_policy_schema },
	{ "SecurityPolicyFragment", &msg_security_policy_fragment_schema },
};

/* clang-format on */

const struct schema *msg_settings_schema(const char *resource_type)
{
	for (size_t i = 0; i < ARRAY_LEN(resources); i++)
		if (strcmp(resources[i].name, resource_type) == 0)
			return resources[i].schema;
	return NULL;
}
