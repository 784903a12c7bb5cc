#include "migration/vm.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "migration/sandbox.h"
#include "migration/status.h"

/* clang-format off */
static const char *const states[] = {
	[VM_NOT_CREATED] = "not created",
	[VM_CREATED] = "created",
	[VM_RUNNING] = "running",
	[VM_TERMINATED] = "terminated",
	[VM_INVALID] = "invalid",
	[VM_SOURCE_INITIALIZED] = "source-migration-initialized",
	[VM_SOURCE_STARTED] = "source-migration-started",
	[VM_DESTINATION_IMPORTED] = "destination-migration-imported",
	[VM_DESTINATION_CREATED] = "destination-migration-created",
	[VM_DESTINATION_PATCHED] = "destination-migration-patched",
	[VM_DESTINATION_STARTED] = "destination-migration-started",
	[VM_TRANSFER_COMPLETED] = "transfer-completed",
	[VM_MIGRATION_FINALIZED] = "migration-finalized",
};

static const char *const events[] = {
	[VM_EV_CREATE] = "create",
	[VM_EV_START] = "start",
	[VM_EV_USE] = "use",
	[VM_EV_COMPAT] = "compatibility query",
	[VM_EV_INIT_SOURCE] = "initialize source",
	[VM_EV_SAVE] = "save",
	[VM_EV_START_SOURCE] = "start source",
	[VM_EV_TRANSFER] = "transfer",
	[VM_EV_IMPORT] = "import",
	[VM_EV_CREATE_DESTINATION] = "create destination",
	[VM_EV_GRANT] = "grant disks",
	[VM_EV_START_DESTINATION] = "start destination",
	[VM_EV_FINALIZE_STOP] = "finalize with stop",
	[VM_EV_FINALIZE_RESUME] = "finalize with resume",
	[VM_EV_RESUME] = "resume",
	[VM_EV_CANCEL] = "cancel",
	[VM_EV_TERMINATE] = "terminate",
	[VM_EV_EXIT] = "exit",
};

#define B(state) MACHINE_BIT(VM_##state)
/* A move has begun, and the outcome is open. */
#define OPEN (B(SOURCE_INITIALIZED) | B(SOURCE_STARTED) | \
	B(DESTINATION_CREATED) | B(DESTINATION_PATCHED) | \
	B(DESTINATION_STARTED) | B(TRANSFER_COMPLETED))
#define ANY (MACHINE_BIT(VM_STATES) - 1)
#define NO MACHINE_SAME

static const struct machine_row rows[] = {
	{ B(NOT_CREATED), VM_EV_CREATE, MACHINE_GO, VM_CREATED, NO, 0, "" },
	{ B(CREATED), VM_EV_START, MACHINE_GO, VM_RUNNING, VM_TERMINATED, 0, "boots, the guest connects" },
	{ B(RUNNING), VM_EV_USE, MACHINE_GO, NO, NO, 0, "" },
	{ B(RUNNING) | B(SOURCE_INITIALIZED) | B(SOURCE_STARTED), VM_EV_COMPAT, MACHINE_GO, NO, NO, 0, "" },
	{ B(RUNNING), VM_EV_INIT_SOURCE, MACHINE_GO, VM_SOURCE_INITIALIZED, NO, 0, "the platform is armed" },
	{ B(SOURCE_INITIALIZED), VM_EV_SAVE, MACHINE_GO, NO, NO, 0, "" },
	{ B(SOURCE_INITIALIZED), VM_EV_START_SOURCE, MACHINE_GO, VM_SOURCE_STARTED, NO, 0, "the connection is marked migrating" },
	{ B(SOURCE_STARTED) | B(DESTINATION_STARTED), VM_EV_TRANSFER, MACHINE_GO, VM_TRANSFER_COMPLETED, NO, 0, "until the memory is over" },
	{ B(NOT_CREATED), VM_EV_IMPORT, MACHINE_GO, VM_DESTINATION_IMPORTED, NO, 0, "no platform call" },
	{ B(DESTINATION_IMPORTED), VM_EV_CREATE_DESTINATION, MACHINE_GO, VM_DESTINATION_CREATED, NO, 0, "not started" },
	{ B(DESTINATION_CREATED), VM_EV_GRANT, MACHINE_GO, VM_DESTINATION_PATCHED, NO, 0, "access to each disk" },
	{ B(DESTINATION_PATCHED), VM_EV_START_DESTINATION, MACHINE_GO, VM_DESTINATION_STARTED, NO, 0, "the listener is bound before" },
	{ OPEN | B(MIGRATION_FINALIZED), VM_EV_FINALIZE_STOP, MACHINE_GO, VM_TERMINATED, NO, 0, "the VM ends here" },
	{ B(TERMINATED), VM_EV_FINALIZE_STOP, MACHINE_NOOP, NO, NO, 0, "" },
	{ OPEN, VM_EV_FINALIZE_RESUME, MACHINE_GO, VM_MIGRATION_FINALIZED, NO, 0, "the VM runs here" },
	{ B(MIGRATION_FINALIZED) | B(RUNNING), VM_EV_FINALIZE_RESUME, MACHINE_NOOP, NO, NO, 0, "the resume steps run again" },
	{ B(MIGRATION_FINALIZED), VM_EV_RESUME, MACHINE_GO, VM_RUNNING, NO, 0, "bridge, floors, SCSI" },
	{ B(RUNNING), VM_EV_RESUME, MACHINE_NOOP, NO, NO, 0, "" },
	{ B(CREATED) | B(RUNNING) | OPEN | B(MIGRATION_FINALIZED), VM_EV_CANCEL, MACHINE_GO, NO, NO, 0, "does not wait for the transfer" },
	{ B(NOT_CREATED) | B(TERMINATED), VM_EV_TERMINATE, MACHINE_NOOP, NO, NO, 0, "" },
	{ ANY & ~(B(NOT_CREATED) | B(TERMINATED)), VM_EV_TERMINATE, MACHINE_GO, VM_TERMINATED, VM_INVALID, 0, "" },
	{ B(TERMINATED), VM_EV_EXIT, MACHINE_NOOP, NO, NO, 0, "" },
	{ ANY & ~B(TERMINATED), VM_EV_EXIT, MACHINE_GO, VM_TERMINATED, NO, 0, "all waits end" },
};
/* clang-format on */

const struct machine vm_machine = {
	.name = "VM",
	.states = states,
	.n_states = ARRAY_LEN(states),
	.events = events,
	.n_events = ARRAY_LEN(events),
	.rows = rows,
	.n_rows = ARRAY_LEN(rows),
};

void vm_ctl_init(struct vm_ctl *v, struct sandbox_ctl *s)
{
	*v = (struct vm_ctl){ .seams = &s->seams, .sandbox = s };
	scsi_ctl_init(&v->scsi, 1, v->seams);
}

void vm_ctl_done(struct vm_ctl *v)
{
	scsi_ctl_done(&v->scsi);
	devices_done(&v->devices);
	free(v->id);
	free(v->document);
	free(v->compat);
	free(v->options.architecture);
	free(v->annotation_lock);
	free(v->lease);
	free(v->session);
	v->id = v->options.architecture = v->lease = NULL;
	v->session = NULL;
	v->session_len = 0;
	v->document = v->compat = v->annotation_lock = NULL;
	v->document_len = v->compat_len = v->annotation_lock_len = 0;
}

int vm_ctl_check(const struct vm_ctl *v, enum vm_event event, struct err *e)
{
	int r = machine_check(&vm_machine, v->state, event, e);

	return r < 0 ? r : 0;
}

static int check_spec(const struct vm_spec *spec, struct err *e)
{
	if (spec->n_controllers < 1 ||
	    spec->n_controllers > SCSI_CONTROLLERS_MAX)
		return err_set(e, EINVAL, "%u SCSI controllers: want 1 to %u",
			       spec->n_controllers, SCSI_CONTROLLERS_MAX);
	if (spec->document_len > VM_DOCUMENT_MAX)
		return err_set(e, E2BIG, "VM document: more than %zu bytes",
			       VM_DOCUMENT_MAX);
	return names_check_id("VM id", spec->id, e);
}

int vm_ctl_blob(const void *p, size_t n, void **ret)
{
	char *copy = malloc(n + 1);

	if (!copy)
		return -ENOMEM;
	if (n)
		memcpy(copy, p, n);
	copy[n] = '\0'; /* JSON text is read as a string, too */
	*ret = copy;
	return 0;
}

int vm_ctl_set(struct vm_ctl *v, const struct vm_spec *spec, struct err *e)
{
	char *id = NULL, *arch = NULL;
	void *document = NULL, *lock = NULL;
	int r = vm_ctl_check(v, VM_EV_CREATE, e);

	if (r < 0)
		return r;
	r = check_spec(spec, e);
	if (r < 0)
		return r;
	if (vm_ctl_blob(spec->document, spec->document_len, &document) < 0 ||
	    vm_ctl_blob(spec->annotation_lock, spec->annotation_lock_len,
			&lock) < 0 ||
	    names_copy(spec->id, &id, e) < 0 ||
	    names_copy(spec->architecture, &arch, e) < 0) {
		free(document);
		free(lock);
		free(id);
		return err_set(e, ENOMEM, "VM: no memory");
	}
	vm_ctl_done(v);
	v->id = id;
	v->document = document;
	v->document_len = spec->document_len;
	v->annotation_lock = lock;
	v->annotation_lock_len = spec->annotation_lock_len;
	v->migratable = spec->migratable;
	lease_machine_make(v->seams->seed, v->machine);
	v->options = (struct vm_sandbox_options){
		.no_writable_file_shares = spec->no_writable_file_shares,
		.enable_scratch_encryption = spec->enable_scratch_encryption,
		.policy_based_routing = spec->policy_based_routing,
		.fully_physically_backed = spec->fully_physically_backed,
		.architecture = arch,
	};
	scsi_ctl_init(&v->scsi, spec->n_controllers, v->seams);
	return 0;
}

struct lease_claim vm_ctl_claim(const struct vm_ctl *v)
{
	return (struct lease_claim){
		.machine = v->machine,
		.from = v->is_destination ? v->epoch - 1 : v->epoch,
		.epoch = v->is_destination ? v->epoch : v->epoch + 2,
	};
}

/* --- boot --- */

size_t vm_ctl_disks(const struct vm_ctl *v, bool boot_only,
		    struct vmm_disk ret[SCSI_SLOTS_MAX])
{
	size_t n = 0;
	uint32_t slot;

	for (slot = 0; slot < SCSI_SLOTS_MAX; slot++) {
		const struct scsi_disk *d = v->scsi.slot[slot];

		if (!d || (boot_only && !d->boot))
			continue;
		ret[n++] = (struct vmm_disk){
			.controller = slot / SCSI_LUNS,
			.lun = slot % SCSI_LUNS,
			.path = d->config.path,
			.kind = d->config.kind,
			.read_only = d->config.read_only,
			.boot = d->boot,
		};
	}
	return n;
}

static int go_create(void *obj, struct op *op, struct err *e)
{
	struct vm_ctl *v = obj;
	struct vmm_disk disks[SCSI_SLOTS_MAX];
	const struct vmm_config config = {
		.id = v->id,
		.document = v->document,
		.document_len = v->document_len,
		.disks = disks,
		.n_disks = vm_ctl_disks(v, true, disks),
	};
	int r = v->seams->vmm->create(v->seams->vmm_ctx, &config, op, e);

	return r < 0 ? r : SEQ_WAIT;
}

static int landed_create(void *obj, int result, const struct op *op UNUSED)
{
	struct vm_ctl *v = obj;

	if (result < 0)
		return result;
	if (v->state == VM_NOT_CREATED)
		v->state = VM_CREATED;
	return SEQ_NEXT;
}

static int go_listen(void *obj, struct op *op, struct err *e)
{
	struct vm_ctl *v = obj;
	int r = v->seams->guest->listen(v->seams->guest_ctx, op, e);

	return r < 0 ? r : SEQ_WAIT;
}

static int go_start(void *obj, struct op *op, struct err *e)
{
	struct vm_ctl *v = obj;
	int r = v->seams->vmm->start(v->seams->vmm_ctx, op, e);

	return r < 0 ? r : SEQ_WAIT;
}

static int go_connect(void *obj, struct op *op, struct err *e)
{
	struct vm_ctl *v = obj;
	int r = v->seams->guest->connect(v->seams->guest_ctx, true, op, e);

	return r < 0 ? r : SEQ_WAIT;
}

static const struct seq_step boot_steps[] = {
	{ "create VM", go_create, landed_create, false },
	{ "listen", go_listen, NULL, false },
	{ "start VM", go_start, NULL, false },
	{ "wait for the guest", go_connect, NULL, false },
};

/* --- terminate --- */

static int go_stop(void *obj, struct op *op, struct err *e)
{
	struct vm_ctl *v = obj;
	int r;

	if (v->state == VM_TERMINATED)
		return SEQ_NEXT;
	r = v->seams->vmm->stop(v->seams->vmm_ctx, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_stop(void *obj UNUSED, int result, const struct op *op UNUSED)
{
	return result == -ESHUTDOWN ? SEQ_NEXT : result;
}

static const struct seq_step stop_steps[] = {
	{ "stop VM", go_stop, landed_stop, false },
};

void vm_ctl_exited(struct vm_ctl *v)
{
	if (v->state == VM_TERMINATED)
		return;
	v->state = VM_TERMINATED;
	v->exited = true;
	scsi_ctl_vm_gone(&v->scsi);
	v->seams->guest->set_migrating(v->seams->guest_ctx, false);
	v->seams->guest->close(v->seams->guest_ctx);
}

static void boot_stopped(void *obj, int result, const struct err *e)
{
	struct vm_ctl *v = obj;
	struct op *op = v->op;
	struct op *stop_op = v->stop_op;

	v->op = NULL;
	v->stop_op = NULL;
	if (result < 0)
		v->state = VM_INVALID;
	else
		sandbox_ctl_vm_exited(v->sandbox);
	if (stop_op)
		op_end(stop_op, result, e);
	op_end(op, v->boot_result, &v->boot_err);
}

static void booted(void *obj, int result, const struct err *e)
{
	struct vm_ctl *v = obj;
	struct op *op = v->op;

	if (result == 0 && v->state == VM_CREATED) {
		v->op = NULL;
		v->state = VM_RUNNING;
		op_end(op, 0, NULL);
		return;
	}
	if (result == 0) {
		result = err_set(&v->boot_err, ESHUTDOWN,
				 "the VM ended while it booted");
	} else {
		v->boot_err = *e;
	}
	v->boot_result = result;
	if (v->stop.busy || v->state == VM_INVALID) {
		v->op = NULL;
		op_end(op, result, &v->boot_err);
		return;
	}
	seq_start(&v->stop, stop_steps, ARRAY_LEN(stop_steps), true, v,
		  boot_stopped);
}

int vm_ctl_boot(struct vm_ctl *v, struct op *op, struct err *e)
{
	int r = vm_ctl_check(v, VM_EV_CREATE, e);

	if (r < 0)
		return r;
	if (v->seq.busy)
		return err_set(e, EBUSY, "VM is busy: %s", seq_at(&v->seq));
	if (!v->id)
		return err_set(e, EPRECONDITION, "VM is not described");
	v->op = op;
	v->doing = VM_EV_START;
	seq_start(&v->seq, boot_steps, ARRAY_LEN(boot_steps), false, v, booted);
	return 0;
}

static void terminated(void *obj, int result, const struct err *e)
{
	struct vm_ctl *v = obj;
	struct op *op = v->stop_op;

	v->stop_op = NULL;
	if (result < 0)
		v->state = VM_INVALID;
	else
		sandbox_ctl_vm_exited(v->sandbox);
	op_end(op, result, e);
}

int vm_ctl_terminate(struct vm_ctl *v, struct op *op, struct err *e)
{
	int r = machine_check(&vm_machine, v->state, VM_EV_TERMINATE, e);

	if (r < 0)
		return r;
	if (v->stop_op)
		return err_set(e, EBUSY, "VM is being terminated");
	if (v->seq.busy)
		seq_cancel(&v->seq); /* which may be its end */
	if (v->stop.busy || (v->seq.busy && v->state == VM_NOT_CREATED)) {
		v->stop_op = op; /* the end of the boot stops it */
		return 0;
	}
	if (machine_check(&vm_machine, v->state, VM_EV_TERMINATE, NULL) ==
	    MACHINE_NOOP) {
		op_end(op, 0, NULL);
		return 0;
	}
	v->stop_op = op;
	seq_start(&v->stop, stop_steps, ARRAY_LEN(stop_steps), true, v,
		  terminated);
	return 0;
}
