#include "bridge/host/settings.h"

#include <errno.h>
#include <string.h>

#include "bridge/wire.h"
#include "config/text.h"
#include "config/util.h"

static const char *const request_types[] = {
	[HOST_ADD] = "Add",
	[HOST_REMOVE] = "Remove",
	[HOST_UPDATE] = "Update",
};
static_assert(ARRAY_LEN(request_types) == HOST_MODIFIES, "one has no name");

/* What a guest undoes, or finds done, when it is asked once more. */
static bool is_repeatable(const char *resource)
{
	static const char *const names[] = {
		"MappedVirtualDisk", "SCSIDevice",  "CombinedLayers",
		"MappedDirectory",   "VPMemDevice",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(resource, names[i]) == 0)
			return true;
	return false;
}

/* Sends one; the Settings member is the text that @settings encodes to. */
static int modify(struct host_client *c, const char *container_id,
		  enum host_modify how, const char *resource,
		  const struct schema *schema, const void *settings,
		  const struct host_done *done, uint64_t *ret_id, struct err *e)
{
	struct host_call call = {
		.type = WIRE_MODIFY_SETTINGS,
		.request = &msg_modify_settings_schema,
		.response = &msg_result_schema,
		.response_size = sizeof(struct msg_result),
		.done = done ? done->fn : NULL,
		.ctx = done ? done->ctx : NULL,
		.timeout_ms = done ? done->timeout_ms : 0,
		.again = !container_id && is_repeatable(resource),
	};
	struct msg_modify_settings content = {
		.base = {
			.container_id = container_id ? container_id :
						       WIRE_NULL_ID,
			.activity_id = WIRE_NULL_ID,
		},
		.request = {
			.request_type = request_types[how],
			.resource_type = resource,
		},
	};
	struct text text;
	int r;

	text_heap(&text, WIRE_HOST_FRAME_MAX);
	if (schema) {
		msg_encode(schema, settings, &text);
		content.request.settings = text_str(&text);
	}
	call.message = &content;
	if (text.full)
		r = err_set(e, E2BIG, "%s: the settings are too large",
			    resource);
	else
		r = host_client_call(c, &call, ret_id, e);
	text_done(&text);
	return r;
}

int host_modify_disk(struct host_client *c, enum host_modify how,
		     const struct msg_mapped_virtual_disk *disk,
		     const struct host_done *done, uint64_t *ret_id,
		     struct err *e)
{
	return modify(c, NULL, how, "MappedVirtualDisk",
		      &msg_mapped_virtual_disk_schema, disk, done, ret_id, e);
}

int host_unplug_disk(struct host_client *c,
		     const struct msg_scsi_device *device,
		     const struct host_done *done, uint64_t *ret_id,
		     struct err *e)
{
	return modify(c, NULL, HOST_REMOVE, "SCSIDevice",
		      &msg_scsi_device_schema, device, done, ret_id, e);
}

int host_modify_layers(struct host_client *c, enum host_modify how,
		       const struct msg_combined_layers *layers,
		       const struct host_done *done, uint64_t *ret_id,
		       struct err *e)
{
	return modify(c, NULL, how, "CombinedLayers",
		      &msg_combined_layers_schema, layers, done, ret_id, e);
}

int host_modify_directory(struct host_client *c, enum host_modify how,
			  const struct msg_mapped_directory *directory,
			  const struct host_done *done, uint64_t *ret_id,
			  struct err *e)
{
	return modify(c, NULL, how, "MappedDirectory",
		      &msg_mapped_directory_schema, directory, done, ret_id, e);
}

int host_modify_vpmem(struct host_client *c, enum host_modify how,
		      const struct msg_vpmem_device *device,
		      const struct host_done *done, uint64_t *ret_id,
		      struct err *e)
{
	return modify(c, NULL, how, "VPMemDevice", &msg_vpmem_device_schema,
		      device, done, ret_id, e);
}

int host_add_vpci(struct host_client *c, const struct msg_vpci_device *device,
		  const struct host_done *done, uint64_t *ret_id, struct err *e)
{
	return modify(c, NULL, HOST_ADD, "VPCIDevice", &msg_vpci_device_schema,
		      device, done, ret_id, e);
}

int host_modify_network(struct host_client *c, enum host_modify how,
			const struct msg_network *adapter,
			const struct host_done *done, uint64_t *ret_id,
			struct err *e)
{
	const struct host_guest *guest = host_client_guest(c);

	if (guest && !guest->namespace_add_supported)
		return err_set(e, EOPNOTSUPP,
			       "the guest takes no network adapters");
	return modify(c, NULL, how, "Network", &msg_network_schema, adapter,
		      done, ret_id, e);
}

int host_modify_constraints(struct host_client *c, const char *container_id,
			    const struct msg_container_constraints *constraints,
			    const struct host_done *done, uint64_t *ret_id,
			    struct err *e)
{
	return modify(c, container_id, HOST_UPDATE, "ContainerConstraints",
		      &msg_container_constraints_schema, constraints, done,
		      ret_id, e);
}

int host_refresh_pod_memory(struct host_client *c, const struct host_done *done,
			    uint64_t *ret_id, struct err *e)
{
	return modify(c, NULL, HOST_UPDATE, "PodCgroupMemoryLimit", NULL, NULL,
		      done, ret_id, e);
}

int host_set_policy(struct host_client *c,
		    const struct msg_security_policy *policy,
		    const struct host_done *done, uint64_t *ret_id,
		    struct err *e)
{
	return modify(c, NULL, HOST_ADD, "SecurityPolicy",
		      &msg_security_policy_schema, policy, done, ret_id, e);
}

int host_add_policy_fragment(
	struct host_client *c,
	const struct msg_security_policy_fragment *fragment,
	const struct host_done *done, uint64_t *ret_id, struct err *e)
{
	return modify(c, NULL, HOST_ADD, "SecurityPolicyFragment",
		      &msg_security_policy_fragment_schema, fragment, done,
		      ret_id, e);
}
