/*
 * Tasks whose containers come with their VM. The disks are those of the source,
 * by the same paths, or by those that the Create names; they are opened here, so
 * that they stay when the source has gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "migration/status.h"
#include "tools/shim/cards.h"
#include "tools/shim/shim.h"

/* Disks of ferry's making, see tools/disk/disk.h. */
#define UNNAMED "/proc/"

static struct container_ctl *find(const struct shim_task *task,
				  const char *source_id, struct err *e)
{
	struct container_ctl *c =
		sandbox_ctl_container(&task->table->ctl, source_id);

	if (!c || !task->table->has_ctl)
		(void)err_set(e, ENOENT, "no container %.64s has come",
			      source_id);
	else if (c->n_layers != 1 || !c->has_scratch)
		(void)err_set(e, EPRECONDITION,
			      "container %.64s has not the disks of ferry",
			      source_id);
	else
		return c;
	return NULL;
}

/* The path goes through a descriptor of ours: names may vanish, disks not. */
static int take(struct task_disk *d, const char *reservation, bool read_only,
		struct err *e)
{
	const struct scsi_ctl *scsi = &d->task->table->ctl.vm.scsi;
	const struct scsi_reservation *r = scsi_ctl_find(scsi, reservation);
	const struct scsi_disk *disk = r ? scsi->slot[r->slot] : NULL;

	if (!disk)
		return err_set(e, EINVAL, "a disk is not in the state");
	/* One that has a name keeps it, for the next move too; but the files of
	 * a saved sandbox are removed when it goes on. */
	if (!d->task->table->shim->migration.session.from_file &&
	    strncmp(disk->config.path, UNNAMED, strlen(UNNAMED)) != 0)
		return task_disk_name(d, disk->config.path, read_only, e);
	if (task_disk_check(disk->config.path, e) < 0)
		return err_wrap(e, "of the source");
	d->disk.fd = open(disk->config.path,
			  (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (d->disk.fd < 0)
		return err_sys(e, "disk %s of the source", disk->config.path);
	(void)snprintf(d->disk.path, sizeof(d->disk.path), "/proc/%d/fd/%d",
		       (int)getpid(), d->disk.fd);
	d->ready = true;
	return 0;
}

int task_take_disks(struct shim_task *task, const char *source_id,
		    struct err *e)
{
	const struct container_ctl *c = find(task, source_id, e);
	int r;

	if (!c)
		return -e->code;
	r = take(&task->rootfs, c->layers[0].reservation, true, e);
	if (r == 0)
		r = take(&task->scratch, c->scratch.reservation, false, e);
	return r;
}

static void on_patched(struct op *op, int result, const struct err *e)
{
	struct shim_task *task = op->ctx;
	struct op *caller = task->caller;

	if (result < 0) {
		task_give_up(task, result, e);
		return;
	}
	task->ctl = sandbox_ctl_container(&task->table->ctl, task->id);
	task->stage = TASK_THERE;
	task->caller = NULL;
	caller->value = op->value;
	op_end(caller, 0, NULL);
}

int task_patch(struct shim_task *task, const char *source_id, struct err *e)
{
	static const char *const types[] = {
		[OCI_ALONE] = "",
		[OCI_SANDBOX] = "sandbox",
		[OCI_CONTAINER] = "container",
	};
	const char *const layer = task_disk_path(&task->rootfs);
	struct cards cards;
	int r = cards_read(&task->facts, &cards, e);
	struct session_patch p = {
		.source_id = source_id,
		.id = task->id,
		.type = types[task->facts.kind],
		.bundle = task->dir,
		.layers = &layer,
		.n_layers = 1,
		.scratch = task_disk_path(&task->scratch),
		.init = { .terminal = task->terminal },
		.namespace_id = cards.namespace_id,
		.endpoints = cards.endpoint,
		.n_endpoints = cards.n,
		.annotations = &task->facts.annotations,
	};

	for (int i = 0; i < GUEST_STREAMS; i++)
		p.init.stdio[i] = task->stdio[i];
	task->stage = TASK_CREATING;
	task->op = (struct op){ .done = on_patched, .ctx = task };
	if (r == 0)
		r = session_ctl_patch(&task->table->shim->migration.session, &p,
				      &task->op, e);
	cards_done(&cards);
	return r;
}

void task_bundle_path(const struct shim *s, const char *id,
		      char ret[TASK_BUNDLE_MAX])
{
	(void)snprintf(ret, TASK_BUNDLE_MAX, "%s/b-%.255s", s->dir.path, id);
}

void task_bundle_remove(const struct shim_task *task)
{
	char path[TASK_BUNDLE_MAX];
	char file[TASK_BUNDLE_MAX + 16];

	task_bundle_path(task->table->shim, task->id, path);
	if (!task->dir || strcmp(task->dir, path) != 0)
		return; /* somebody else's */
	(void)snprintf(file, sizeof(file), "%s/config.json", path);
	(void)unlink(file);
	(void)rmdir(path); /* what is left goes with the next clean-up */
}
