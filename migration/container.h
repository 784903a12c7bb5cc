/*
 * migration/container.h - one Linux container
 *
 * Theory of operation. A container is created in a pod and owns reservations of
 * disks, an overlay in the guest, the guest's container, and its processes:
 *
 *	create	[sandbox: the pod's network] -> reserve and map layers, scratch
 *		and disks -> combine layers -> Create and Start in the guest
 *	start	ExecuteProcess of init
 *	delete	remove combined layers -> DeleteContainerState -> unmap scratch
 *		-> unmap layers -> unmap disks [sandbox: the pod's network]
 *
 * Each fact has a flag, set before what could make it true and cleared when it
 * is surely undone: so a failed create clears up by the same chain as delete,
 * and a failed delete can be repeated. Resources of an exited container are
 * released by delete, not by its exit.
 *
 * Ids: @id is containerd's, on this host; @gcs_id is what the guest knows and
 * never changes. They differ after a move, and so do those of the pod.
 * Source: shared specification migration.md 3.3, bridge.md 7.5.
 */
#ifndef FERRY_MIGRATION_CONTAINER_H
#define FERRY_MIGRATION_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "migration/machine.h"
#include "migration/names.h"
#include "migration/op.h"
#include "migration/process.h"
#include "migration/scsi.h"
#include "migration/seams.h"
#include "migration/seq.h"

#define CONTAINER_LAYERS_MAX 128u
#define CONTAINER_DISKS_MAX 64u
/* Processes of one container. */
#define CONTAINER_PROCESSES_MAX 4096u

enum container_state {
	CONTAINER_NOT_CREATED = 0,
	CONTAINER_CREATED = 1,
	CONTAINER_RUNNING = 2,
	CONTAINER_STOPPED = 3,
	CONTAINER_INVALID = 4,
	CONTAINER_DESTINATION_MIGRATING = 5,
	CONTAINER_SOURCE_MIGRATING = 6,
	CONTAINER_STATES, /* number of states */
};

enum container_event {
	CONTAINER_EV_CREATE,
	CONTAINER_EV_START,
	CONTAINER_EV_EXEC,
	CONTAINER_EV_KILL,
	CONTAINER_EV_QUERY,  /* pids, stats: the shim does it, if allowed */
	CONTAINER_EV_UPDATE, /* the same */
	CONTAINER_EV_EXIT,
	CONTAINER_EV_DELETE,
	CONTAINER_EV_DELETE_EXEC,
	CONTAINER_EV_SAVE,
	CONTAINER_EV_PATCH,
	CONTAINER_EV_RESUME,
	CONTAINER_EV_ABORT,
	CONTAINER_EVENTS, /* number of events */
};

extern const struct machine container_machine;

struct pod_ctl;

/**
 * struct container_disk - a disk of the host that a container brings
 * @disk:	which
 * @partition:	0: whole
 * @mount:	how the guest mounts it
 */
struct container_disk {
	struct scsi_disk_config disk;
	uint64_t partition;
	struct scsi_mount_config mount;
};

/**
 * struct container_spec - what to create; borrowed for the call
 * @id:		1 to 256 bytes
 * @bundle:	on this host
 * @document:	OCI document for the guest, JSON text
 * @layers:	topmost first; read-only. None: the container has no rootfs of
 *		its own disks, and @scratch is not looked at
 * @scratch:	writable layer; path NULL: the overlay is read-only
 * @disks:	for mounts of the document, see struct guest_container
 * @init:	stdio of init; @init.exec_id and @init.document are ignored
 */
struct container_spec {
	const char *id;
	const char *bundle;
	const char *document;
	const struct container_disk *layers;
	size_t n_layers;
	struct container_disk scratch;
	const struct container_disk *disks;
	size_t n_disks;
	struct process_spec init;
};

/**
 * struct container_layer - one reservation of a container
 * @reservation: GUID, "": none
 * @guest_path:	where the layer is visible, owned; of scratch a directory below
 *		the mount
 */
struct container_layer {
	char reservation[NAMES_GUID_SIZE];
	char *guest_path;
};

struct container_ctl {
	struct container_ctl *next; /* ascending id */
	struct pod_ctl *pod;
	char *id;
	char *gcs_id;
	char *bundle;
	char *guest_bundle;
	char *rootfs;
	char *document;
	enum container_state state;

	struct container_layer *layers;
	size_t n_layers;
	bool has_scratch;
	struct container_layer scratch;
	struct container_layer *disks;
	size_t n_disks;
	size_t at; /* of the loops of a chain */

	bool patched;  /* imported, and containerd of this host knows it */
	bool opened;   /* destination: tracked again in the guest */
	bool combined; /* an overlay was asked for */
	bool in_guest; /* the guest was asked to create it */
	bool network;  /* sandbox: it brought the pod's network up */
	uint64_t io_retry_s; /* 0: for ever */

	struct process_ctl *processes;
	struct process_ctl *init;
	size_t n_processes;

	struct seq seq;
	struct op *op; /* the caller's */
	int create_result;
	struct err create_err;
};

/**
 * container_ctl_exec() - add a process; it is started by process_ctl_start()
 *
 * Return: 0, -EPRECONDITION, -EEXIST, -EINVAL, -EEXHAUSTED, -ENOMEM
 */
int container_ctl_exec(struct container_ctl *c, const struct process_spec *spec,
		       struct process_ctl **ret, struct err *e);

/** container_ctl_process() - by exec id, "" for init; NULL: none */
struct process_ctl *container_ctl_process(const struct container_ctl *c,
					  const char *exec_id);

/** container_ctl_is_sandbox() - is it the container that its pod is named by? */
bool container_ctl_is_sandbox(const struct container_ctl *c);

/**
 * container_ctl_delete() - release everything; the object is freed before the
 * op ends with 0
 *
 * After a failure it can be repeated. The answer's exit status is that of init:
 * read it before. Return: 0 (see op.h), -EPRECONDITION, -EBUSY
 */
int container_ctl_delete(struct container_ctl *c, struct op *op, struct err *e);

/**
 * container_ctl_cancel() - end a create early; its op gets -ECANCELED when
 * everything is cleared up
 */
void container_ctl_cancel(struct container_ctl *c);

/** container_ctl_check() - may this happen now? See process_ctl_check() */
int container_ctl_check(const struct container_ctl *c,
			enum container_event event, struct err *e);

#endif
