/*
 * migration/vmm_ops.h - what the controllers ask of the virtual machine monitor
 *
 * One struct of functions for one VM; tools/ implements it with QEMU, tests
 * with a fake. Every function that takes a struct op is asynchronous
 * (migration/op.h). Rules for who implements it:
 *
 *   - an operation that fails has been undone, or is undone by its opposite:
 *     removing a disk or a NIC that is not there is a success
 *   - what is asked of a VM that has ended fails with -ESHUTDOWN, and vm_exited
 *     has been told or will be
 *   - op->cancel is set while an operation can be ended early
 *   - at most one of create, start and stop, and one of the operations of a
 *     migration, runs at a time; those of disks and NICs may overlap
 *   - strings and structs are borrowed for the call
 *
 * What nobody asked for comes back through sandbox_ctl_vm_exited() and
 * session_notify() (migration/sandbox.h, migration/session.h).
 */
#ifndef FERRY_MIGRATION_VMM_OPS_H
#define FERRY_MIGRATION_VMM_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/err.h"
#include "migration/lease.h"
#include "migration/op.h"

/* Values of the saved state, see scsi.DiskConfig.type. */
enum vmm_disk_kind {
	VMM_DISK_IMAGE,	 /* "VirtualDisk": a file, raw or qcow2 */
	VMM_DISK_DEVICE, /* "PassThru": a block device of the host */
	VMM_DISK_KINDS,	 /* number of kinds */
};

/**
 * struct vmm_disk - one disk at one address
 * @controller:	0..3, virtio-scsi controller with a fixed PCI address
 * @lun:	0..63; channel 0, SCSI id 0
 * @path:	on this host, absolute, resolved
 * @kind:	what @path is
 * @read_only:	for the VMM
 * @boot:	part of the VM from its start, not plugged
 */
struct vmm_disk {
	uint32_t controller;
	uint32_t lun;
	const char *path;
	enum vmm_disk_kind kind;
	bool read_only;
	bool boot;
};

/**
 * struct vmm_nic - one network card
 * @id:		GUID of the NIC, lower case
 * @endpoint:	what it is connected to on this host: a tap device, a CNI id
 * @mac:	00-15-5D-... form
 */
struct vmm_nic {
	const char *id;
	const char *endpoint;
	const char *mac;
};

/**
 * struct vmm_options - the caller's wishes for one migration, checked
 *
 * A member that was not given is 0; the platform's default holds then.
 * Source: shared specification migration.md 7.3 and 9.3.
 */
struct vmm_options {
	bool skip_throttling;
	uint32_t throttle_increment; /* percent, 1..99 */
	uint32_t throttle_initial;   /* percent, 1..99 */
	uint32_t passes_target;
	uint32_t passes_max;
	uint32_t downtime_ms;	    /* at most 2000000 */
	uint32_t blackout_limit_ms; /* cancel when it lasts longer */
	bool cancel_over_limit;
	uint32_t switchover_ms;	   /* a destination that hangs then; tests */
	uint32_t progress_ms;	   /* between two words of progress; tests */
	uint32_t compress_threads; /* 1..255 */
	bool trace;
	bool long_timeouts;
	bool to_file;	 /* the transport answers nothing */
	uint32_t idle_s; /* of a source that nobody calls; the shim's timer */
	/* Where the record of the machine goes; "": no name, LEASE_NONE: none */
	char lease[LEASE_PATH_MAX + 1];
};

/**
 * struct vmm_config - a VM to create
 * @id:		name of the VM
 * @document:	JSON object with ferry's description of the VM; at the
 *		destination that of the source
 * @disks:	destination: every disk that has to be there before the state
 *		comes, at its address; source: boot disks
 * @nics:	destination: the same for the NICs that were added while the
 *		source ran; their PCI addresses are in the document, their
 *		endpoints are those of this host
 * @compat:	destination: compatibility statement of the source, NULL: cold
 * @options:	destination only, else NULL
 *
 * With @compat the implementer compares it with this host first and fails with
 * -EPRECONDITION that names the first difference.
 */
struct vmm_config {
	const char *id;
	const void *document;
	size_t document_len;
	const struct vmm_disk *disks;
	size_t n_disks;
	const struct vmm_nic *nics;
	size_t n_nics;
	const void *compat;
	size_t compat_len;
	const void *session; /* of the bridge, to go on with; a secret */
	size_t session_len;
	const struct vmm_options *options;
};

enum vmm_outcome {
	VMM_STOP,   /* this side gives the VM up */
	VMM_RESUME, /* this side runs it */
};

struct vmm_ops {
	/* --- life --- */
	int (*create)(void *ctx, const struct vmm_config *c, struct op *op,
		      struct err *e);
	/* Cold start of what create() made. */
	int (*start)(void *ctx, struct op *op, struct err *e);
	/* Ends it, by force if need be; done when the VM is gone. */
	int (*stop)(void *ctx, struct op *op, struct err *e);

	/* --- devices, while it runs --- */
	int (*disk_add)(void *ctx, const struct vmm_disk *d, struct op *op,
			struct err *e);
	int (*disk_remove)(void *ctx, uint32_t controller, uint32_t lun,
			   struct op *op, struct err *e);
	/* A NIC of that MAC which is there already gets this id and endpoint. */
	int (*nic_add)(void *ctx, const struct vmm_nic *n, struct op *op,
		       struct err *e);
	int (*nic_remove)(void *ctx, const char *id, struct op *op,
			  struct err *e);

	/* --- migration, both sides --- */
	/*
	 * Takes over a connected socket that @info names (migration.md 7.4).
	 * -EINVAL: malformed; -EPRECONDITION: not connected. A later call
	 * replaces it; transport_close() forgets it, also when there is none.
	 */
	int (*transport_adopt)(void *ctx, const void *info, size_t len,
			       struct op *op, struct err *e);
	void (*transport_close)(void *ctx);
	/*
	 * The guest's memory. Source: after source_start(); destination: after
	 * destination_start(). Ends when the memory is over or with a failure;
	 * -ECANCELED after migrate_cancel().
	 */
	int (*transfer)(void *ctx, struct op *op, struct err *e);
	/*
	 * Stops a transfer wherever it is; "nothing to cancel" is a success. It
	 * waits until the platform says what came of it, so that the end of the
	 * transfer is known when it returns.
	 */
	int (*migrate_cancel)(void *ctx, struct op *op, struct err *e);
	/*
	 * Applies the outcome; idempotent. STOP is done when the VM is gone.
	 * RESUME: what @claim says comes true before the guest runs, or -ESTALE,
	 * and it does not run; NULL: there is no lease. If it then cannot be
	 * let run the record is put back.
	 */
	int (*finalize)(void *ctx, enum vmm_outcome outcome,
			const struct lease_claim *claim, struct op *op,
			struct err *e);

	/* --- source --- */
	/*
	 * Arms the platform. The configuration is frozen from here until
	 * finalize(). -EPRECONDITION: something blocks migration.
	 */
	int (*source_init)(void *ctx, const struct vmm_options *o,
			   struct op *op, struct err *e);
	/*
	 * The compatibility statement, owned by the implementer until the next
	 * call. The document is what create() was given.
	 */
	int (*compat)(void *ctx, const void **ret, size_t *ret_len,
		      struct op *op, struct err *e);
	int (*source_start)(void *ctx, uint32_t number, struct op *op,
			    struct err *e);
	/*
	 * At each export; no operation. The record of @machine says @epoch, and
	 * its lock is held here until the memory is over, or the VM. @path: see
	 * vmm_options.lease; "" keeps the file that there is. @ret: path of it,
	 * owned by the implementer until the next call.
	 */
	int (*lease_hold)(void *ctx, const char *path, const char *machine,
			  uint64_t epoch, const char **ret, struct err *e);

	/* --- destination --- */
	/*
	 * At the import; no operation. Opened for later, and compared: -ESTALE,
	 * -EPRECONDITION when it cannot be reached from here.
	 */
	int (*lease_open)(void *ctx, const char *path,
			  const struct lease_claim *claim, struct err *e);
	/* May open this path for the VM; one call for each disk. */
	int (*disk_grant)(void *ctx, const struct vmm_disk *d, struct op *op,
			  struct err *e);
	int (*destination_start)(void *ctx, uint32_t number, struct op *op,
				 struct err *e);
};

#endif
