/*
 * Map and unmap. A job's steps look at what the slot is and at who still wants
 * it, so one chain serves a first attach, a shared disk, a retry after a
 * failure, and a disk that is wanted again while it goes.
 */
#include "migration/scsi_job.h"

#include <assert.h>
#include <stdlib.h>

#include "config/util.h"
#include "migration/status.h"

/* The VM is gone, and the resource with it. */
static bool released(const struct scsi_disk *d, int result)
{
	return result == -ESHUTDOWN || d->ctl->vm_gone;
}

/* Does anybody but those who are leaving hold this partition? */
static bool mount_wanted(const struct scsi_disk *d, uint64_t partition)
{
	const struct scsi_reservation *r;

	for (r = d->ctl->reservations; r; r = r->next)
		if (!r->releasing && r->slot == d->slot &&
		    r->partition == partition)
			return true;
	return false;
}

static bool disk_wanted(const struct scsi_disk *d)
{
	const struct scsi_mount *m;

	if (d->boot)
		return true;
	for (m = d->mounts; m; m = m->next)
		if (m->state == SCSI_MOUNT_MOUNTED ||
		    mount_wanted(d, m->partition))
			return true;
	return false;
}

static void mount_words(const struct scsi_disk *d, const struct scsi_mount *m,
			struct guest_mount *ret)
{
	*ret = (struct guest_mount){
		.controller = d->slot / SCSI_LUNS,
		.lun = d->slot % SCSI_LUNS,
		.partition = m->partition,
		.path = m->guest_path,
		.read_only = m->config.read_only,
		.encrypted = m->config.encrypted,
		.ensure_filesystem = m->config.ensure_filesystem,
		.block_dev = m->config.block_dev,
		.filesystem = m->config.filesystem,
		.options = (const char *const *)m->config.options,
		.n_options = m->config.n_options,
	};
}

static struct scsi_mount *job_mount(const struct scsi_disk *d)
{
	struct scsi_mount *m = scsi_disk_mount(d, d->jobs->partition);

	assert(m);
	return m;
}

/* --- detach: the last step of unmap, and the first of a map that comes back */

static bool detach_due(const struct scsi_disk *d)
{
	if (d->state == SCSI_DISK_EJECTED)
		return true; /* the guest has let go: there is no way back */
	return d->state == SCSI_DISK_RESERVED && d->tried && !disk_wanted(d);
}

static int go_detach(void *obj, struct op *op, struct err *e)
{
	struct scsi_disk *d = obj;
	const struct seams *s = d->ctl->seams;
	int r;

	if (!detach_due(d))
		return SEQ_NEXT;
	if (d->ctl->vm_gone)
		return -ESHUTDOWN;
	r = s->vmm->disk_remove(s->vmm_ctx, d->slot / SCSI_LUNS,
				d->slot % SCSI_LUNS, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_detach(void *obj, int result, const struct op *op UNUSED)
{
	struct scsi_disk *d = obj;

	if (result < 0 && !released(d, result))
		return result;
	d->state = SCSI_DISK_DETACHED;
	d->tried = false;
	return SEQ_NEXT;
}

/* --- map --- */

static int go_attach(void *obj, struct op *op, struct err *e)
{
	struct scsi_disk *d = obj;
	const struct seams *s = d->ctl->seams;
	const struct vmm_disk words = {
		.controller = d->slot / SCSI_LUNS,
		.lun = d->slot % SCSI_LUNS,
		.path = d->config.path,
		.kind = d->config.kind,
		.read_only = d->config.read_only,
	};
	int r;

	if (d->boot || d->state == SCSI_DISK_ATTACHED)
		return SEQ_NEXT;
	if (d->ctl->vm_gone)
		return err_set(e, ESHUTDOWN, "the VM has ended");
	d->tried = true;
	r = s->vmm->disk_add(s->vmm_ctx, &words, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_attach(void *obj, int result, const struct op *op UNUSED)
{
	struct scsi_disk *d = obj;

	if (result < 0)
		return result;
	d->state = SCSI_DISK_ATTACHED;
	return SEQ_NEXT;
}

static int go_mount(void *obj, struct op *op, struct err *e)
{
	struct scsi_disk *d = obj;
	const struct seams *s = d->ctl->seams;
	struct scsi_mount *m = job_mount(d);
	struct guest_mount words;
	int r;

	if (m->state == SCSI_MOUNT_MOUNTED)
		return SEQ_NEXT;
	if (d->ctl->vm_gone)
		return err_set(e, ESHUTDOWN, "the VM has ended");
	mount_words(d, m, &words);
	m->tried = true;
	r = s->guest->disk_mount(s->guest_ctx, &words, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_mount(void *obj, int result, const struct op *op UNUSED)
{
	if (result < 0)
		return result;
	job_mount(obj)->state = SCSI_MOUNT_MOUNTED;
	return SEQ_NEXT;
}

static const struct seq_step map_steps[] = {
	{ "detach", go_detach, landed_detach, false },
	{ "attach", go_attach, landed_attach, false },
	{ "mount", go_mount, landed_mount, false },
};

/* --- unmap --- */

static int go_unmount(void *obj, struct op *op, struct err *e)
{
	struct scsi_disk *d = obj;
	const struct seams *s = d->ctl->seams;
	struct scsi_mount *m = job_mount(d);
	struct guest_mount words;
	int r;

	if (!m->tried || mount_wanted(d, m->partition))
		return SEQ_NEXT;
	if (d->ctl->vm_gone)
		return -ESHUTDOWN;
	mount_words(d, m, &words);
	r = s->guest->disk_unmount(s->guest_ctx, &words, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_unmount(void *obj, int result, const struct op *op UNUSED)
{
	struct scsi_disk *d = obj;
	struct scsi_mount *m = job_mount(d);

	if (result < 0 && !released(d, result))
		return result;
	m->state = SCSI_MOUNT_UNMOUNTED;
	m->tried = false;
	return SEQ_NEXT;
}

static int go_eject(void *obj, struct op *op, struct err *e)
{
	struct scsi_disk *d = obj;
	const struct seams *s = d->ctl->seams;
	int r;

	if (d->state != SCSI_DISK_ATTACHED || disk_wanted(d))
		return SEQ_NEXT;
	if (d->ctl->vm_gone)
		return -ESHUTDOWN;
	r = s->guest->disk_eject(s->guest_ctx, d->slot / SCSI_LUNS,
				 d->slot % SCSI_LUNS, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_eject(void *obj, int result, const struct op *op UNUSED)
{
	struct scsi_disk *d = obj;

	if (result < 0 && !released(d, result))
		return result;
	d->state = SCSI_DISK_EJECTED;
	return SEQ_NEXT;
}

static const struct seq_step unmap_steps[] = {
	{ "unmount", go_unmount, landed_unmount, false },
	{ "eject", go_eject, landed_eject, false },
	{ "detach", go_detach, landed_detach, false },
};

/* --- the queue of a slot --- */

static void job_ended(void *obj, int result, const struct err *e);

static void job_run(struct scsi_disk *d)
{
	if (d->jobs->unmap)
		seq_start(&d->seq, unmap_steps, ARRAY_LEN(unmap_steps), false,
			  d, job_ended);
	else
		seq_start(&d->seq, map_steps, ARRAY_LEN(map_steps), false, d,
			  job_ended);
}

/* An unmap is complete: the reservation goes, and what only it held. */
static void reservation_drop(struct scsi_disk *d, struct scsi_reservation *res)
{
	struct scsi_mount *m = scsi_disk_mount(d, res->partition);
	struct scsi_reservation **at;

	for (at = &d->ctl->reservations; *at != res;)
		at = &(*at)->next;
	*at = res->next;
	free(res);
	if (m && --m->ref_count == 0)
		scsi_mount_drop(d, m);
}

static void job_ended(void *obj, int result, const struct err *e)
{
	struct scsi_disk *d = obj;
	struct scsi_reservation *job = d->jobs;
	struct op *op = job->op;

	d->jobs = job->next_job;
	job->op = NULL;
	job->next_job = NULL;
	if (job->unmap && result == 0)
		reservation_drop(d, job);
	if (d->jobs)
		job_run(d);
	else
		scsi_disk_drop(d);
	op_end(op, result, e);
}

static void job_add(struct scsi_disk *d, struct scsi_reservation *job)
{
	struct scsi_reservation *last = d->jobs;

	if (!last) {
		d->jobs = job;
		job_run(d);
		return;
	}
	while (last->next_job)
		last = last->next_job;
	last->next_job = job;
}

static int job_new(struct scsi_ctl *c, const char *id, bool unmap,
		   struct op *op, struct err *e)
{
	const enum scsi_event event = unmap ? SCSI_EV_UNMAP : SCSI_EV_MAP;
	struct scsi_reservation *r = scsi_ctl_find(c, id);
	int ok;

	ok = machine_check(&scsi_machine, c->state, event, e);
	if (ok < 0)
		return ok;
	if (!r || (r->releasing && !unmap))
		return err_set(e, ENOENT, "no reservation %s", id ? id : "");
	if (r->op)
		return err_set(e, EBUSY, "reservation %s is busy", r->id);
	r->op = op;
	r->unmap = unmap;
	if (unmap)
		r->releasing = true;
	job_add(c->slot[r->slot], r);
	return 0;
}

int scsi_ctl_map(struct scsi_ctl *c, const char *id, struct op *op,
		 struct err *e)
{
	return job_new(c, id, false, op, e);
}

int scsi_ctl_unmap(struct scsi_ctl *c, const char *id, struct op *op,
		   struct err *e)
{
	return job_new(c, id, true, op, e);
}
