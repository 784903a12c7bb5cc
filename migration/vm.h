/*
 * migration/vm.h - the VM of a sandbox
 *
 * Theory of operation. A cold start is create -> bind the bridge's listener ->
 * start -> wait for the guest; a failure of any of them terminates the VM. The
 * end of the VM, whoever brought it about, is told by sandbox_ctl_vm_exited():
 * every process of it has ended then.
 *
 * Cancel of a transfer does not wait for the transfer: both are operations of
 * the VMM, and the transfer ends because of it.
 * Source: shared specification migration.md 3.1 and 6.4.
 */
#ifndef FERRY_MIGRATION_VM_H
#define FERRY_MIGRATION_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "migration/devices.h"
#include "migration/lease.h"
#include "migration/machine.h"
#include "migration/op.h"
#include "migration/scsi.h"
#include "migration/seams.h"
#include "migration/seq.h"

/* Limits of the saved state. */
#define VM_DOCUMENT_MAX ((size_t)262144)
#define VM_COMPAT_MAX ((size_t)262144)

/* The reference's numbers. */
enum vm_state {
	VM_NOT_CREATED = 0,
	VM_CREATED = 1,
	VM_RUNNING = 2,
	VM_TERMINATED = 3,
	VM_INVALID = 4,
	VM_SOURCE_INITIALIZED = 5,
	VM_SOURCE_STARTED = 6,
	VM_DESTINATION_IMPORTED = 7,
	VM_DESTINATION_CREATED = 8,
	VM_DESTINATION_PATCHED = 9,
	VM_DESTINATION_STARTED = 10,
	VM_TRANSFER_COMPLETED = 11,
	VM_MIGRATION_FINALIZED = 12,
	VM_STATES, /* number of states */
};

enum vm_event {
	VM_EV_CREATE,
	VM_EV_START,
	VM_EV_USE, /* containers, devices */
	VM_EV_COMPAT,
	VM_EV_INIT_SOURCE,
	VM_EV_SAVE,
	VM_EV_START_SOURCE,
	VM_EV_TRANSFER,
	VM_EV_IMPORT,
	VM_EV_CREATE_DESTINATION,
	VM_EV_GRANT,
	VM_EV_START_DESTINATION,
	VM_EV_FINALIZE_STOP,
	VM_EV_FINALIZE_RESUME,
	VM_EV_RESUME,
	VM_EV_CANCEL,
	VM_EV_TERMINATE,
	VM_EV_EXIT,
	VM_EVENTS, /* number of events */
};

extern const struct machine vm_machine;

struct sandbox_ctl;

/* Options that shape containers created later; travel with the VM. */
struct vm_sandbox_options {
	bool no_writable_file_shares;
	bool enable_scratch_encryption;
	bool policy_based_routing;
	bool fully_physically_backed;
	char *architecture; /* "amd64", "arm64"; owned */
};

/**
 * struct vm_ctl - the VM
 * @id:		name of it on this host, SANDBOX@vm
 * @migratable:	it was made for migration: no share, no log listener
 * @scsi:	its disks
 * @exited:	it ran and is gone
 */
struct vm_ctl {
	const struct seams *seams;
	enum vm_state state;
	char *id;
	void *document;
	size_t document_len;
	void *compat;
	size_t compat_len;
	bool migratable;
	bool is_destination;
	bool exited;
	struct vm_sandbox_options options;
	uint32_t next_port; /* floors of the source, 0: not known */
	uint64_t next_id;
	struct scsi_ctl scsi;
	struct devices devices;
	void *annotation_lock; /* saved form, see config/annotation_lock.h */
	size_t annotation_lock_len;
	uint64_t epoch;			  /* rises with each change of host */
	char machine[LEASE_MACHINE_SIZE]; /* "": from before there were any */
	char *lease; /* path of its record, NULL: none; see migration/lease.h */
	void *session; /* of the source's bridge, until it was used */
	size_t session_len;

	struct sandbox_ctl *sandbox;
	enum vm_event doing; /* while seq.busy */
	struct seq seq;
	struct op *op;	 /* the caller's */
	struct seq stop; /* may run beside @seq, which ends because of it */
	struct op *stop_op;
	int boot_result;
	struct err boot_err;
	size_t at;
};

/**
 * struct vm_spec - a VM to boot; borrowed for the call
 * @id:		name
 * @document:	JSON object, at most VM_DOCUMENT_MAX
 * @n_controllers: SCSI controllers, 1 to 4
 * @migratable:	may be moved
 * @architecture: "amd64", "arm64"
 * @annotation_lock: saved form of the annotations that it was built from
 */
struct vm_spec {
	const char *id;
	const void *document;
	size_t document_len;
	uint32_t n_controllers;
	bool migratable;
	bool no_writable_file_shares;
	bool enable_scratch_encryption;
	bool policy_based_routing;
	bool fully_physically_backed;
	const char *architecture;
	const void *annotation_lock;
	size_t annotation_lock_len;
};

void vm_ctl_init(struct vm_ctl *v, struct sandbox_ctl *s);
void vm_ctl_done(struct vm_ctl *v);

/**
 * vm_ctl_set() - what to boot; boot disks go into v->scsi behind it
 *
 * Return: 0, -EPRECONDITION (not NotCreated), -EINVAL, -E2BIG, -ENOMEM
 */
int vm_ctl_set(struct vm_ctl *v, const struct vm_spec *spec, struct err *e);

/**
 * vm_ctl_boot() - cold: create, listen, start, connect; Running when op ends
 *
 * A failure ends with a terminated VM. Return: 0 (see op.h), -EPRECONDITION
 */
int vm_ctl_boot(struct vm_ctl *v, struct op *op, struct err *e);

/**
 * vm_ctl_terminate() - end it, whatever it does; repeatable
 *
 * What is on its way is cancelled first. op ends when the VM is gone.
 */
int vm_ctl_terminate(struct vm_ctl *v, struct op *op, struct err *e);

/** vm_ctl_exited() - it is gone; sandbox_ctl_vm_exited() is what others call */
void vm_ctl_exited(struct vm_ctl *v);

/** vm_ctl_blob() - a heap copy with a NUL behind it; 0 or -ENOMEM */
int vm_ctl_blob(const void *p, size_t n, void **ret);

/** vm_ctl_disks() - its disks in the words of the VMM; gives how many */
size_t vm_ctl_disks(const struct vm_ctl *v, bool boot_only,
		    struct vmm_disk ret[SCSI_SLOTS_MAX]);

/**
 * vm_ctl_claim() - what it says when it is to run after a move
 *
 * The destination runs in the epoch of its state, a source that goes on after
 * all in one that was never handed out.
 */
struct lease_claim vm_ctl_claim(const struct vm_ctl *v);

/** vm_ctl_check() - may this happen now? */
int vm_ctl_check(const struct vm_ctl *v, enum vm_event event, struct err *e);

#endif
