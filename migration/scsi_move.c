/* What a move asks of the SCSI controller. */
#include <stdlib.h>
#include <string.h>

#include "migration/scsi.h"
#include "migration/scsi_job.h"
#include "migration/status.h"

static int disk_check_save(const struct scsi_disk *d, struct err *e)
{
	const struct scsi_mount *m;
	int r;

	if (d->jobs)
		return err_set(e, EPRECONDITION, "disk in slot %u is busy: %s",
			       d->slot, seq_at(&d->seq));
	r = machine_check(&scsi_disk_machine, d->state, SCSI_DISK_EV_SAVE, e);
	if (r < 0)
		return err_wrap(e, "slot %u", d->slot);
	for (m = d->mounts; m; m = m->next) {
		r = machine_check(&scsi_mount_machine, m->state,
				  SCSI_MOUNT_EV_SAVE, e);
		if (r < 0)
			return err_wrap(e, "%s", m->guest_path);
	}
	return 0;
}

int scsi_ctl_check_save(const struct scsi_ctl *c, struct err *e)
{
	const struct scsi_reservation *r;
	size_t i;

	for (i = 0; i < SCSI_SLOTS_MAX; i++)
		if (c->slot[i] && disk_check_save(c->slot[i], e) < 0)
			return err_code(e);
	for (r = c->reservations; r; r = r->next)
		if (r->releasing)
			return err_set(e, EPRECONDITION,
				       "reservation %s is half released",
				       r->id);
	return machine_check(&scsi_machine, c->state, SCSI_EV_SAVE, e);
}

void scsi_ctl_freeze(struct scsi_ctl *c)
{
	c->state = SCSI_MIGRATING;
}

int scsi_ctl_resume(struct scsi_ctl *c, struct err *e)
{
	int r = machine_check(&scsi_machine, c->state, SCSI_EV_RESUME, e);

	if (r < 0)
		return r;
	c->state = SCSI_READY;
	return 0;
}

int scsi_ctl_check_repath(const struct scsi_ctl *c, const char *id,
			  const char *path, struct err *e)
{
	const struct scsi_reservation *r = scsi_ctl_find(c, id);
	const struct scsi_disk *d;
	size_t i;
	int ok;

	ok = machine_check(&scsi_machine, c->state, SCSI_EV_REPATH, e);
	if (ok < 0)
		return ok;
	ok = names_check_path("path of the disk", path, e);
	if (ok < 0)
		return ok;
	d = r ? c->slot[r->slot] : NULL;
	if (!d)
		return err_set(e, ENOENT, "no reservation %s", id);
	if (d->repathed && strcmp(d->config.path, path) != 0)
		return err_set(e, EINVAL,
			       "the disk in slot %u got another path before",
			       d->slot);
	for (i = 0; i < SCSI_SLOTS_MAX; i++)
		if (c->slot[i] && c->slot[i] != d && c->slot[i]->repathed &&
		    strcmp(c->slot[i]->config.path, path) == 0)
			return err_set(e, EINVAL,
				       "slots %u and %u would get one path",
				       c->slot[i]->slot, d->slot);
	return 0;
}

void scsi_ctl_repath_take(struct scsi_ctl *c, const char *id, char **path)
{
	struct scsi_disk *d = c->slot[scsi_ctl_find(c, id)->slot];

	free(d->config.path);
	d->config.path = *path;
	d->repathed = true;
	*path = NULL;
}
