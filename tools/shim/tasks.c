#include "tools/shim/tasks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "bridge/io/log.h"
#include "config/annotation_lock.h"
#include "config/util.h"
#include "migration/names.h"
#include "tools/shim/events.h"
#include "tools/shim/machine.h"
#include "tools/shim/cards.h"
#include "tools/shim/shim.h"

/* Path of a container's root in the guest. */
#define GUEST_PATH_SIZE 640

static void advance(struct shim_tasks *t);

/* --- the table ------------------------------------------------------------------- */

struct shim_task *shim_task_find(const struct shim_tasks *t, const char *id)
{
	struct shim_task *task = t->first;

	while (task && strcmp(task->id, id) != 0)
		task = task->next;
	return task;
}

static void disk_release(struct task_disk *d)
{
	disk_job_free(d->job);
	d->job = NULL;
	disk_done(&d->disk);
	free(d->named);
}

static void release(struct shim_task *task)
{
	disk_release(&task->rootfs);
	disk_release(&task->scratch);
	if (task->mounted)
		(void)umount2(bundle_rootfs(task->bundle),
			      MNT_DETACH | UMOUNT_NOFOLLOW);
	bundle_free(task->bundle);
	if (task->id)
		task_bundle_remove(task);
	oci_facts_done(&task->facts);
	for (int i = 0; i < GUEST_STREAMS; i++)
		free(task->stdio[i]);
	free(task->id);
	free(task->dir);
	free(task);
}

static void forget(struct shim_task *task)
{
	struct shim_task **at = &task->table->first;

	while (*at != task)
		at = &(*at)->next;
	*at = task->next;
	task->table->n--;
	release(task);
}

/* The pod that it has begun goes with it; one that has members, with the last. */
static void end_pod(const struct shim_task *task)
{
	struct pod_ctl *pod = NULL;

	if (task->facts.kind != OCI_CONTAINER)
		pod = sandbox_ctl_pod(&task->table->ctl, task->id);
	if (pod)
		(void)sandbox_ctl_pod_delete(pod, NULL);
}

void task_give_up(struct shim_task *task, int result, const struct err *e)
{
	struct op *op = task->caller;
	const struct err why = *e;

	end_pod(task);
	forget(task);
	op_end(op, result, &why);
}

/* --- creating ----------------------------------------------------------------------- */

static const char *pod_id(const struct shim_task *task)
{
	return task->facts.kind == OCI_CONTAINER ? task->facts.pod_id
						 : task->id;
}

/* A create whose way back failed as well has left something behind. */
static bool is_left(const struct shim_task *task)
{
	const struct pod_ctl *pod =
		sandbox_ctl_pod(&task->table->ctl, pod_id(task));

	return pod && pod_ctl_container(pod, task->id);
}

static void on_created(struct op *op, int result, const struct err *e)
{
	struct shim_task *task = op->ctx;
	struct op *caller = task->caller;

	if (result < 0 && !is_left(task)) {
		task_give_up(task, result, e);
		return;
	}
	task->stage = TASK_THERE; /* or what is left of it, to be deleted */
	task->caller = NULL;
	caller->value = 0;
	op_end(caller, result, e);
}

/* The pod of a task; one that begins a pod makes it. */
static int find_pod(struct shim_task *task, struct pod_ctl **ret, struct err *e)
{
	struct shim_tasks *t = task->table;
	const char *id = pod_id(task);

	*ret = sandbox_ctl_pod(&t->ctl, id);
	if (*ret)
		return 0;
	if (task->facts.kind == OCI_CONTAINER)
		return err_set(e, ENOENT, "no pod %s", id);
	return cards_pod(&task->facts, &t->ctl, id, ret, e);
}

static int document(struct shim_task *task, const struct pod_ctl *pod,
		    struct text *out, struct err *e)
{
	static const char *const types[] = {
		[OCI_SANDBOX] = "sandbox",
		[OCI_CONTAINER] = "container",
	};
	const bool wired = pod->network.namespace_id[0] != '\0';
	const bool member = task->facts.kind == OCI_CONTAINER;
	const struct container_ctl *first =
		wired && member ? pod_ctl_container(pod, pod->id) : NULL;
	char rootfs[GUEST_PATH_SIZE];
	const struct bundle_edit edit = {
		.rootfs = rootfs,
		.terminal = task->terminal,
		.container_type = types[task->facts.kind],
		.sandbox_id =
			task->facts.kind == OCI_ALONE ? NULL : pod->gcs_id,
		.join_pid = first ? first->init->pid : 0,
		.network_id =
			wired && !member ? pod->network.namespace_id : NULL,
		.skip_network = task->facts.kind != OCI_ALONE && !wired,
	};

	(void)snprintf(rootfs, sizeof(rootfs), "/run/gcs/pods/%s/%s/rootfs",
		       pod->gcs_id, task->id);
	return bundle_document(task->bundle, &edit, out, e);
}

static int create(struct shim_task *task, struct err *e)
{
	const struct container_disk layer = task_disk_of(&task->rootfs, true);
	struct container_spec spec = {
		.id = task->id,
		.bundle = task->dir,
		.layers = &layer,
		.n_layers = 1,
		.scratch = task_disk_of(&task->scratch, false),
		.init = { .terminal = task->terminal },
	};
	struct pod_ctl *pod = NULL;
	struct text text;
	int r;

	text_heap(&text, BUNDLE_DOCUMENT_MAX);
	r = find_pod(task, &pod, e);
	if (r == 0)
		r = document(task, pod, &text, e);
	if (r == 0) {
		spec.document = text_str(&text);
		for (int i = 0; i < GUEST_STREAMS; i++)
			spec.init.stdio[i] = task->stdio[i];
		task->stage = TASK_CREATING;
		task->op = (struct op){ .done = on_created, .ctx = task };
		r = pod_ctl_container_new(pod, &spec, &task->ctl, &task->op, e);
	}
	text_done(&text);
	return r;
}

/* Begins what can be begun. */
static void advance(struct shim_tasks *t)
{
	struct shim_task *next;
	struct err e;
	int r;

	for (struct shim_task *task = t->first; task && t->booted;
	     task = next) {
		next = task->next;
		if (task->stage != TASK_MAKING || !task->rootfs.ready ||
		    !task->scratch.ready)
			continue;
		r = create(task, &e);
		if (r < 0)
			task_give_up(task, r, &e);
	}
}

static void on_disk(void *ctx, int result, struct disk *disk,
		    const struct err *e)
{
	struct task_disk *d = ctx;

	if (result < 0) {
		task_give_up(d->task, result, e);
		return;
	}
	disk_job_free(d->job);
	d->job = NULL;
	d->disk = *disk;
	d->ready = true;
	advance(d->task->table);
}

static int make_disk(struct task_disk *d, const struct disk_wish *wish,
		     struct err *e)
{
	const struct disk_handler h = { .done = on_disk, .ctx = d };

	return disk_start(d->task->table->shim->loop, wish, &h, &d->job, e);
}

static int make_disks(struct shim_task *task, struct err *e)
{
	const struct disk_wish rootfs = {
		.source = bundle_rootfs(task->bundle),
	};
	const struct disk_wish scratch = { .size = DISK_SCRATCH_DEFAULT };
	int r = make_disk(&task->rootfs, &rootfs, e);

	if (r == 0)
		r = make_disk(&task->scratch, &scratch, e);
	return r;
}

/* containerd's snapshots: nothing of them is left mounted when we die. */
static int mount_rootfs(struct shim_task *task, const struct task_wish *wish,
			struct err *e)
{
	const char *path = bundle_rootfs(task->bundle);

	for (size_t i = 0; i < wish->n_mounts; i++) {
		const struct task_mount *m = &wish->mounts[i];

		if (mount(m->source, path, m->type, m->flags, m->options) < 0)
			return err_sys(e, "mount %s on %s", m->type, path);
		task->mounted = true;
	}
	return 0;
}

/* The id that it had on the source; NULL: it is new. */
static const char *source_of(const struct shim_task *task,
			     const struct task_wish *wish)
{
	return wish->source_id ? wish->source_id
			       : annotation_map_get(&task->facts.annotations,
						    SHIM_SOURCE_ID);
}

static int open_task(struct shim_task *task, const struct task_wish *wish,
		     struct err *e)
{
	const struct shim *s = task->table->shim;
	const bool locked =
		s->launch->options.migratable && !s->birth->incoming;
	int r = names_copy(wish->id, &task->id, e);

	if (r == 0)
		r = names_copy(wish->dir, &task->dir, e);
	for (int i = 0; r == 0 && i < GUEST_STREAMS; i++)
		r = names_copy(wish->stdio[i], &task->stdio[i], e);
	if (r == 0)
		r = oci_facts_read(task->dir, locked ? &s->lock : NULL,
				   &task->facts, e);
	if (r < 0)
		return r;
	if (source_of(task, wish))
		return task_take_disks(task, source_of(task, wish), e);
	r = bundle_open(task->dir, &task->bundle, e);
	if (r == 0)
		r = task_named_disks(task, e);
	if (r != 0) /* when its disks are there, nothing is to be made */
		return r < 0 ? r : 0;
	r = mount_rootfs(task, wish, e);
	return r == 0 ? make_disks(task, e) : r;
}

int shim_task_create(struct shim_tasks *t, const struct task_wish *wish,
		     struct op *op, struct err *e)
{
	struct shim_task *task;
	int r = names_check_id("container id", wish->id, e);

	if (r < 0)
		return r;
	if (shim_task_find(t, wish->id))
		return err_set(e, EEXIST, "container %s exists already",
			       wish->id);
	if (t->n >= TASKS_MAX)
		return err_set(e, ENOSPC, "too many containers");
	task = calloc(1, sizeof(*task));
	if (!task)
		return err_set(e, ENOMEM, "no memory for a container");
	task->table = t;
	task->terminal = wish->terminal;
	task->caller = op;
	task->rootfs = (struct task_disk){ .task = task, .disk.fd = -1 };
	task->scratch = task->rootfs;
	annotation_map_init(&task->facts.annotations);
	r = open_task(task, wish, e);
	if (r < 0) {
		release(task);
		return r;
	}
	task->next = t->first;
	t->first = task;
	t->n++;
	if (!source_of(task, wish)) {
		advance(t); /* its disks may be there already */
		return 0;
	}
	r = task_patch(task, source_of(task, wish), e);
	if (r < 0)
		forget(task);
	return r;
}

/* --- deleting ------------------------------------------------------------------------ */

static void on_deleted(struct op *op, int result, const struct err *e)
{
	struct shim_task *task = op->ctx;
	struct op *caller = task->caller;

	if (result < 0) {
		task->stage = TASK_THERE;
		task->caller = NULL;
		op_end(caller, result, e);
		return;
	}
	task->ctl = NULL;
	end_pod(task);
	forget(task);
	op_end(caller, 0, NULL);
}

int shim_task_delete(struct shim_task *task, struct op *op, struct err *e)
{
	int r;

	if (task->stage != TASK_THERE)
		return err_set(e, EBADFD, "container %s is busy", task->id);
	task->pid = task->ctl->init->pid;
	task->exit_status = task->ctl->init->exit_status;
	task->exited_at_ns = task->ctl->init->exited_at_ns;
	task->op = (struct op){ .done = on_deleted, .ctx = task };
	task->caller = op;
	task->stage = TASK_DELETING;
	r = container_ctl_delete(task->ctl, &task->op, e);
	if (r < 0) {
		task->caller = NULL;
		task->stage = TASK_THERE;
	}
	return r;
}

/* --- the sandbox ------------------------------------------------------------------------ */

static void on_process_exited(void *ctx, const char *container_id,
			      const char *exec_id, uint32_t status,
			      uint64_t at_ns,
			      const struct host_process_end *end UNUSED)
{
	struct shim_tasks *t = ctx;

	(void)sandbox_ctl_process_exited(&t->ctl, container_id, exec_id, status,
					 at_ns);
}

static void on_out_of_memory(void *ctx, const char *container_id)
{
	struct shim_tasks *t = ctx;

	if (t->has_ctl)
		sandbox_ctl_oom(&t->ctl, container_id);
}

static void on_vm_exited(void *ctx)
{
	struct shim_tasks *t = ctx;

	if (t->has_ctl)
		sandbox_ctl_vm_exited(&t->ctl);
}

static void on_booted(struct op *op, int result, const struct err *e)
{
	struct shim_tasks *t = op->ctx;

	if (result < 0) {
		log_err("containers cannot be run: %s", e->text);
		return;
	}
	t->booted = true;
	advance(t);
}

static int set_vm(struct shim_tasks *t, struct err *e)
{
	const struct shim *s = t->shim;
	struct vm_spec vm = {
		.id = s->name,
		.n_controllers = QEMU_SCSI_MAX,
		.migratable = s->launch->options.migratable,
		.architecture = "amd64",
	};
	struct text document;
	struct text lock;
	int r;

	text_heap(&lock, ANNOTATION_LOCK_BYTES_MAX);
	text_heap(&document, MACHINE_BYTES_MAX);
	r = machine_document(s, &document, e);
	vm.document = document.buf;
	vm.document_len = document.len;
	if (vm.migratable) {
		annotation_lock_put(&s->lock, &lock);
		vm.annotation_lock = lock.buf;
		vm.annotation_lock_len = lock.len;
	}
	if (r == 0 && lock.full)
		r = err_set(e, ENOMEM, "no memory for the annotations");
	if (r == 0)
		r = vm_ctl_set(&t->ctl.vm, &vm, e);
	text_done(&document);
	text_done(&lock);
	return r;
}

static int compat(void *ctx, const void **ret, size_t *ret_len, struct err *e)
{
	struct shim_tasks *t = ctx;
	int r;

	text_done(&t->compat);
	text_heap(&t->compat, MACHINE_BYTES_MAX);
	r = machine_compat(t->shim, &t->compat, e);
	*ret = t->compat.buf;
	*ret_len = t->compat.len;
	return r;
}

static int make(void *ctx, const struct vmm_config *c, struct sandbox **ret,
		struct err *e)
{
	const struct shim_tasks *t = ctx;

	return shim_make(t->shim, c, ret, e);
}

static int begin(struct shim_tasks *t, struct sandbox *s, struct err *e)
{
	struct ops_config config = {
		.loop = t->shim->loop,
		.name = t->shim->name,
		.sandbox = s,
		.make = make,
		.compat = compat,
		.process_exited = on_process_exited,
		.out_of_memory = on_out_of_memory,
		.vm_exited = on_vm_exited,
		.ctx = t,
	};
	struct seams seams = {
		.events = &shim_task_events,
		.events_ctx = t->shim,
	};
	int r;

	task_streams(t, &config);
	r = ops_new(&config, &t->ops, e);
	if (r < 0)
		return r;
	ops_seams(t->ops, &seams);
	r = sandbox_ctl_init(&t->ctl, t->shim->name, &seams, e);
	t->has_ctl = r == 0;
	if (t->has_ctl) {
		shim_migration_ready(&t->shim->migration, t->shim->loop,
				     &t->ctl);
		t->shim->migration.session.annotations =
			&t->shim->launch->args.annotations;
	}
	return r;
}

int shim_tasks_ready(struct shim_tasks *t, struct sandbox *s, struct err *e)
{
	int r = begin(t, s, e);

	if (r == 0)
		r = set_vm(t, e);
	t->boot = (struct op){ .done = on_booted, .ctx = t };
	return r < 0 ? r : vm_ctl_boot(&t->ctl.vm, &t->boot, e);
}

int shim_tasks_wait(struct shim_tasks *t, struct err *e)
{
	return begin(t, NULL, e);
}

void shim_tasks_arrived(struct shim_tasks *t)
{
	t->booted = true;
	advance(t);
}

void shim_tasks_ended(struct shim_tasks *t)
{
	struct shim_task *next;
	struct err e;

	t->booted = false;
	if (t->ops)
		ops_ended(t->ops);
	(void)err_set(&e, ECANCELED, "the sandbox has ended");
	for (struct shim_task *task = t->first; task; task = next) {
		next = task->next;
		if (task->stage == TASK_MAKING)
			task_give_up(task, -ECANCELED, &e);
	}
}

void shim_tasks_done(struct shim_tasks *t)
{
	while (t->first) {
		struct shim_task *task = t->first;

		t->first = task->next;
		release(task);
	}
	t->n = 0;
	if (t->has_ctl)
		sandbox_ctl_done(&t->ctl);
	t->has_ctl = false;
	ops_free(t->ops);
	t->ops = NULL;
	text_done(&t->compat);
}
