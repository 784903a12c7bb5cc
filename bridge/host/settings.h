/*
 * bridge/host/settings.h - ModifySettings, one function for each resource
 *
 * Each starts one call (see bridge/host/calls.h); its callback gets a struct
 * msg_result. All of them but host_modify_constraints() concern the UVM. The
 * settings are borrowed for the call. What a member means and which are
 * optional: bridge/msg_settings.h.
 * Source: shared specification bridge.md 3.11.
 */
#ifndef FERRY_BRIDGE_HOST_SETTINGS_H
#define FERRY_BRIDGE_HOST_SETTINGS_H

#include <stdint.h>

#include "bridge/host/calls.h"
#include "bridge/host/client.h"
#include "bridge/msg_settings.h"
#include "config/err.h"

enum host_modify {
	HOST_ADD,
	HOST_REMOVE,
	HOST_UPDATE,
	HOST_MODIFIES, /* number of kinds */
};

/** host_modify_disk() - mount a SCSI disk, or unmount it (add, remove) */
int host_modify_disk(struct host_client *c, enum host_modify how,
		     const struct msg_mapped_virtual_disk *disk,
		     const struct host_done *done, uint64_t *ret_id,
		     struct err *e);

/** host_unplug_disk() - the guest lets go of a SCSI disk before it is pulled */
int host_unplug_disk(struct host_client *c,
		     const struct msg_scsi_device *device,
		     const struct host_done *done, uint64_t *ret_id,
		     struct err *e);

/** host_modify_layers() - overlay of a container's root (add, remove) */
int host_modify_layers(struct host_client *c, enum host_modify how,
		       const struct msg_combined_layers *layers,
		       const struct host_done *done, uint64_t *ret_id,
		       struct err *e);

/** host_modify_directory() - 9p share (add, remove) */
int host_modify_directory(struct host_client *c, enum host_modify how,
			  const struct msg_mapped_directory *directory,
			  const struct host_done *done, uint64_t *ret_id,
			  struct err *e);

/** host_modify_vpmem() - persistent memory device (add, remove) */
int host_modify_vpmem(struct host_client *c, enum host_modify how,
		      const struct msg_vpmem_device *device,
		      const struct host_done *done, uint64_t *ret_id,
		      struct err *e);

/** host_add_vpci() - wait until the guest sees an assigned device */
int host_add_vpci(struct host_client *c, const struct msg_vpci_device *device,
		  const struct host_done *done, uint64_t *ret_id,
		  struct err *e);

/**
 * host_modify_network() - adapter of a network namespace (add, remove)
 *
 * Return: as the others; -EOPNOTSUPP: the guest said in negotiation that it
 *         takes none
 */
int host_modify_network(struct host_client *c, enum host_modify how,
			const struct msg_network *adapter,
			const struct host_done *done, uint64_t *ret_id,
			struct err *e);

/** host_modify_constraints() - resource limits of a running container */
int host_modify_constraints(struct host_client *c, const char *container_id,
			    const struct msg_container_constraints *constraints,
			    const struct host_done *done, uint64_t *ret_id,
			    struct err *e);

/** host_refresh_pod_memory() - the guest computes the limit of all pods again */
int host_refresh_pod_memory(struct host_client *c, const struct host_done *done,
			    uint64_t *ret_id, struct err *e);

/** host_set_policy() - security policy, once in the life of a UVM */
int host_set_policy(struct host_client *c,
		    const struct msg_security_policy *policy,
		    const struct host_done *done, uint64_t *ret_id,
		    struct err *e);

/** host_add_policy_fragment() - one more fragment of the policy */
int host_add_policy_fragment(
	struct host_client *c,
	const struct msg_security_policy_fragment *fragment,
	const struct host_done *done, uint64_t *ret_id, struct err *e);

#endif
