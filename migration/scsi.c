#include "migration/scsi.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "migration/lists.h"
#include "migration/scsi_job.h"
#include "migration/status.h"

/* clang-format off */
static const char *const scsi_states[] = {
	[SCSI_READY] = "ready",
	[SCSI_MIGRATING] = "migrating",
};

static const char *const scsi_events[] = {
	[SCSI_EV_RESERVE] = "reserve",
	[SCSI_EV_MAP] = "map",
	[SCSI_EV_UNMAP] = "unmap",
	[SCSI_EV_SAVE] = "save",
	[SCSI_EV_REPATH] = "new host path",
	[SCSI_EV_RESUME] = "resume",
};

#define READY MACHINE_BIT(SCSI_READY)
#define MIGRATING MACHINE_BIT(SCSI_MIGRATING)

static const struct machine_row scsi_rows[] = {
	{ READY, SCSI_EV_RESERVE, MACHINE_GO, MACHINE_SAME, MACHINE_SAME, 0, "takes a slot" },
	{ READY, SCSI_EV_MAP, MACHINE_GO, MACHINE_SAME, MACHINE_SAME, 0, "attach, mount" },
	{ READY, SCSI_EV_UNMAP, MACHINE_GO, MACHINE_SAME, MACHINE_SAME, 0, "unmount, eject, detach" },
	{ READY | MIGRATING, SCSI_EV_SAVE, MACHINE_GO, SCSI_MIGRATING, MACHINE_SAME, 0, "refuses changes" },
	{ MIGRATING, SCSI_EV_REPATH, MACHINE_GO, MACHINE_SAME, MACHINE_SAME, 0, "path of this host" },
	{ MIGRATING, SCSI_EV_RESUME, MACHINE_GO, SCSI_READY, MACHINE_SAME, 0, "takes changes" },
};

static const char *const disk_states[] = {
	[SCSI_DISK_RESERVED] = "reserved",
	[SCSI_DISK_ATTACHED] = "attached",
	[SCSI_DISK_EJECTED] = "ejected",
	[SCSI_DISK_DETACHED] = "detached",
};

static const char *const disk_events[] = {
	[SCSI_DISK_EV_ATTACH] = "attach",
	[SCSI_DISK_EV_EJECT] = "eject",
	[SCSI_DISK_EV_DETACH] = "detach",
	[SCSI_DISK_EV_SAVE] = "save",
};

static const struct machine_row disk_rows[] = {
	{ MACHINE_BIT(SCSI_DISK_RESERVED) | MACHINE_BIT(SCSI_DISK_DETACHED),
	  SCSI_DISK_EV_ATTACH, MACHINE_GO, SCSI_DISK_ATTACHED, MACHINE_SAME, 0, "hot-plug" },
	{ MACHINE_BIT(SCSI_DISK_ATTACHED),
	  SCSI_DISK_EV_EJECT, MACHINE_GO, SCSI_DISK_EJECTED, MACHINE_SAME, 0, "guest lets go" },
	{ MACHINE_BIT(SCSI_DISK_EJECTED) | MACHINE_BIT(SCSI_DISK_RESERVED),
	  SCSI_DISK_EV_DETACH, MACHINE_GO, SCSI_DISK_DETACHED, MACHINE_SAME, 0, "hot-unplug" },
	{ MACHINE_BIT(SCSI_DISK_RESERVED) | MACHINE_BIT(SCSI_DISK_ATTACHED),
	  SCSI_DISK_EV_SAVE, MACHINE_GO, MACHINE_SAME, MACHINE_SAME, 0, "" },
};

static const char *const mount_states[] = {
	[SCSI_MOUNT_RESERVED] = "reserved",
	[SCSI_MOUNT_MOUNTED] = "mounted",
	[SCSI_MOUNT_UNMOUNTED] = "unmounted",
};

static const char *const mount_events[] = {
	[SCSI_MOUNT_EV_MOUNT] = "mount",
	[SCSI_MOUNT_EV_UNMOUNT] = "unmount",
	[SCSI_MOUNT_EV_SAVE] = "save",
};

static const struct machine_row mount_rows[] = {
	{ MACHINE_BIT(SCSI_MOUNT_RESERVED) | MACHINE_BIT(SCSI_MOUNT_UNMOUNTED),
	  SCSI_MOUNT_EV_MOUNT, MACHINE_GO, SCSI_MOUNT_MOUNTED, MACHINE_SAME, 0, "guest mounts" },
	{ MACHINE_BIT(SCSI_MOUNT_MOUNTED) | MACHINE_BIT(SCSI_MOUNT_RESERVED),
	  SCSI_MOUNT_EV_UNMOUNT, MACHINE_GO, SCSI_MOUNT_UNMOUNTED, MACHINE_SAME, 0, "guest unmounts" },
	{ MACHINE_BIT(SCSI_MOUNT_RESERVED) | MACHINE_BIT(SCSI_MOUNT_MOUNTED),
	  SCSI_MOUNT_EV_SAVE, MACHINE_GO, MACHINE_SAME, MACHINE_SAME, 0, "" },
};
/* clang-format on */

const struct machine scsi_machine = {
	.name = "SCSI controller",
	.states = scsi_states,
	.n_states = ARRAY_LEN(scsi_states),
	.events = scsi_events,
	.n_events = ARRAY_LEN(scsi_events),
	.rows = scsi_rows,
	.n_rows = ARRAY_LEN(scsi_rows),
};

const struct machine scsi_disk_machine = {
	.name = "disk",
	.states = disk_states,
	.n_states = ARRAY_LEN(disk_states),
	.events = disk_events,
	.n_events = ARRAY_LEN(disk_events),
	.rows = disk_rows,
	.n_rows = ARRAY_LEN(disk_rows),
};

const struct machine scsi_mount_machine = {
	.name = "mount",
	.states = mount_states,
	.n_states = ARRAY_LEN(mount_states),
	.events = mount_events,
	.n_events = ARRAY_LEN(mount_events),
	.rows = mount_rows,
	.n_rows = ARRAY_LEN(mount_rows),
};

void scsi_ctl_init(struct scsi_ctl *c, uint32_t n_controllers,
		   const struct seams *seams)
{
	assert(n_controllers >= 1 && n_controllers <= SCSI_CONTROLLERS_MAX);
	*c = (struct scsi_ctl){ .seams = seams,
				.n_controllers = n_controllers };
}

static void mount_free(struct scsi_mount *m)
{
	size_t i;

	if (!m)
		return;
	for (i = 0; i < m->config.n_options; i++)
		free(m->config.options[i]);
	free(m->config.options);
	free(m->config.filesystem);
	free(m->guest_path);
	free(m);
}

static void disk_free(struct scsi_disk *d)
{
	struct scsi_mount *m;

	if (!d)
		return;
	assert(!d->jobs);
	while ((m = d->mounts)) {
		d->mounts = m->next;
		mount_free(m);
	}
	free(d->config.path);
	free(d);
}

void scsi_ctl_done(struct scsi_ctl *c)
{
	struct scsi_reservation *r;
	size_t i;

	for (i = 0; i < SCSI_SLOTS_MAX; i++) {
		disk_free(c->slot[i]);
		c->slot[i] = NULL;
	}
	while ((r = c->reservations)) {
		c->reservations = r->next;
		free(r);
	}
}

struct scsi_disk *scsi_disk_new(struct scsi_ctl *c, uint32_t slot,
				const struct scsi_disk_config *config,
				struct err *e)
{
	struct scsi_disk *d = calloc(1, sizeof(*d));

	if (!d || names_copy(config->path, &d->config.path, e) < 0) {
		free(d);
		(void)err_set(e, ENOMEM, "disk: no memory");
		return NULL;
	}
	d->config.read_only = config->read_only;
	d->config.kind = config->kind;
	d->slot = slot;
	d->ctl = c;
	c->slot[slot] = d;
	return d;
}

static int mount_copy(struct scsi_mount *m, const struct scsi_mount_config *c)
{
	size_t i;

	m->config = *c;
	m->config.n_options = 0;
	m->config.options = NULL;
	m->config.filesystem = strdup(c->filesystem ? c->filesystem : "");
	if (!m->config.filesystem)
		return -ENOMEM;
	if (c->n_options == 0)
		return 0;
	m->config.options = calloc(c->n_options, sizeof(char *));
	if (!m->config.options)
		return -ENOMEM;
	for (i = 0; i < c->n_options; i++) {
		m->config.options[i] = strdup(c->options[i]);
		if (!m->config.options[i])
			return -ENOMEM;
		m->config.n_options++;
	}
	return 0;
}

struct scsi_mount *scsi_mount_new(struct scsi_disk *d, uint64_t partition,
				  const struct scsi_mount_config *config,
				  const char *guest_path, struct err *e)
{
	struct scsi_mount *m = calloc(1, sizeof(*m));
	struct scsi_mount *before = NULL, *behind = d->mounts;

	if (m)
		m->guest_path =
			guest_path ? strdup(guest_path)
				   : names_join("/run/mounts/scsi/%u_%u_%llu",
						d->slot / SCSI_LUNS,
						d->slot % SCSI_LUNS,
						(unsigned long long)partition);
	if (!m || !m->guest_path || mount_copy(m, config) < 0) {
		mount_free(m);
		(void)err_set(e, ENOMEM, "mount: no memory");
		return NULL;
	}
	m->partition = partition;
	for (; behind && behind->partition < partition; behind = behind->next)
		before = behind;
	m->next = behind;
	if (before)
		before->next = m;
	else
		d->mounts = m;
	return m;
}

struct scsi_mount *scsi_disk_mount(const struct scsi_disk *d,
				   uint64_t partition)
{
	struct scsi_mount *m;

	for (m = d->mounts; m; m = m->next)
		if (m->partition == partition)
			return m;
	return NULL;
}

/* Also the checks of what is reserved: nothing that could not be imported. */
static int disk_config_check(const struct scsi_disk_config *d, struct err *e)
{
	if (d->kind >= VMM_DISK_KINDS)
		return err_set(e, EINVAL, "disk kind %d", (int)d->kind);
	return names_check_path("path of the disk", d->path, e);
}

static struct scsi_disk *disk_by_path(const struct scsi_ctl *c,
				      const char *path)
{
	size_t i;

	for (i = 0; i < SCSI_SLOTS_MAX; i++)
		if (c->slot[i] && strcmp(c->slot[i]->config.path, path) == 0)
			return c->slot[i];
	return NULL;
}

int scsi_ctl_boot_disk(struct scsi_ctl *c, uint32_t slot,
		       const struct scsi_disk_config *config, struct err *e)
{
	struct scsi_disk *d;
	int r;

	r = machine_check(&scsi_machine, c->state, SCSI_EV_RESERVE, e);
	if (r < 0)
		return r;
	r = disk_config_check(config, e);
	if (r < 0)
		return r;
	if (slot >= c->n_controllers * SCSI_LUNS)
		return err_set(e, EINVAL, "boot disk: no slot %u", slot);
	if (c->slot[slot] || disk_by_path(c, config->path))
		return err_set(e, EEXIST, "boot disk: slot or path is taken");
	d = scsi_disk_new(c, slot, config, e);
	if (!d)
		return -ENOMEM;
	d->boot = true;
	return 0;
}

static bool same_options(const struct scsi_mount_config *a,
			 const struct scsi_mount_config *b)
{
	size_t i;

	if (a->n_options != b->n_options)
		return false;
	for (i = 0; i < a->n_options; i++)
		if (strcmp(a->options[i], b->options[i]) != 0)
			return false;
	return true;
}

static bool same_mount(const struct scsi_mount_config *a,
		       const struct scsi_mount_config *b)
{
	return a->read_only == b->read_only && a->encrypted == b->encrypted &&
	       a->ensure_filesystem == b->ensure_filesystem &&
	       a->block_dev == b->block_dev &&
	       strcmp(a->filesystem ? a->filesystem : "",
		      b->filesystem ? b->filesystem : "") == 0 &&
	       same_options(a, b);
}

static int free_slot(const struct scsi_ctl *c, uint32_t *ret, struct err *e)
{
	uint32_t slot;

	for (slot = 0; slot < c->n_controllers * SCSI_LUNS; slot++)
		if (!c->slot[slot]) {
			*ret = slot;
			return 0;
		}
	return err_set(e, ENOSPC, "disk: all %u slots are taken",
		       c->n_controllers * SCSI_LUNS);
}

/* The disk for a reservation, shared or new. */
static int reserve_disk(struct scsi_ctl *c, const struct scsi_disk_config *cfg,
			struct scsi_disk **ret, struct err *e)
{
	struct scsi_disk *d = disk_by_path(c, cfg->path);
	uint32_t slot = 0;
	int r;

	if (d) {
		if (d->config.read_only != cfg->read_only ||
		    d->config.kind != cfg->kind)
			return err_set(e, EINVAL,
				       "disk: others use it in another mode");
		*ret = d;
		return 0;
	}
	r = free_slot(c, &slot, e);
	if (r < 0)
		return r;
	d = scsi_disk_new(c, slot, cfg, e);
	if (!d)
		return -ENOMEM;
	*ret = d;
	return 0;
}

int scsi_reservation_new(struct scsi_ctl *c, const char *id, uint32_t slot,
			 uint64_t partition, struct err *e)
{
	struct scsi_reservation *r = calloc(1, sizeof(*r));

	if (!r)
		return err_set(e, ENOMEM, "reservation: no memory");
	names_guid_lower(id, r->id);
	r->slot = slot;
	r->partition = partition;
	r->next = c->reservations;
	c->reservations = r;
	return 0;
}

/* Frees a disk that nobody holds and that the VM does not have. */
void scsi_disk_drop(struct scsi_disk *d)
{
	if (d->boot || d->mounts || d->jobs || d->tried)
		return;
	if (d->state != SCSI_DISK_RESERVED && d->state != SCSI_DISK_DETACHED)
		return;
	d->ctl->slot[d->slot] = NULL;
	disk_free(d);
}

void scsi_mount_drop(struct scsi_disk *d, struct scsi_mount *m)
{
	struct scsi_mount **at;

	for (at = &d->mounts; *at; at = &(*at)->next)
		if (*at == m) {
			*at = m->next;
			mount_free(m);
			return;
		}
}

static int reserve_check(const struct scsi_ctl *c,
			 const struct scsi_disk_config *d,
			 const struct scsi_mount_config *m, struct err *e)
{
	int r = machine_check(&scsi_machine, c->state, SCSI_EV_RESERVE, e);

	if (r < 0)
		return r;
	if (c->vm_gone)
		return err_set(e, EPRECONDITION, "disk: the VM has ended");
	if (m->n_options > SCSI_OPTIONS_MAX)
		return err_set(e, EINVAL, "mount: more than %u options",
			       SCSI_OPTIONS_MAX);
	return disk_config_check(d, e);
}

int scsi_ctl_reserve(struct scsi_ctl *c, const struct scsi_disk_config *cfg,
		     uint64_t partition, const struct scsi_mount_config *mount,
		     char ret_id[NAMES_GUID_SIZE], struct err *e)
{
	char id[NAMES_GUID_SIZE];
	struct scsi_disk *d = NULL;
	struct scsi_mount *m;
	int r;

	r = reserve_check(c, cfg, mount, e);
	if (r < 0)
		return r;
	r = reserve_disk(c, cfg, &d, e);
	if (r < 0)
		return r;
	m = scsi_disk_mount(d, partition);
	if (m && !same_mount(&m->config, mount))
		return err_set(e, EINVAL,
			       "disk: others mount it with other options");
	if (!m)
		m = scsi_mount_new(d, partition, mount, NULL, e);
	do
		names_guid_make(c->seams->seed, c->next_number++, id);
	while (scsi_ctl_find(c, id));
	r = m ? scsi_reservation_new(c, id, d->slot, partition, e) : -ENOMEM;
	if (r < 0) {
		if (m && m->ref_count == 0)
			scsi_mount_drop(d, m);
		scsi_disk_drop(d);
		return r;
	}
	m->ref_count++;
	memcpy(ret_id, id, sizeof(id));
	return 0;
}

struct scsi_reservation *scsi_ctl_find(const struct scsi_ctl *c, const char *id)
{
	char lower[NAMES_GUID_SIZE];
	struct scsi_reservation *r;

	if (!id || !names_guid_ok(id, strlen(id)))
		return NULL;
	names_guid_lower(id, lower);
	for (r = c->reservations; r; r = r->next)
		if (strcmp(r->id, lower) == 0)
			return r;
	return NULL;
}

struct scsi_mount *scsi_ctl_mount_of(const struct scsi_ctl *c,
				     const struct scsi_reservation *r)
{
	const struct scsi_disk *d = r ? c->slot[r->slot] : NULL;

	return d ? scsi_disk_mount(d, r->partition) : NULL;
}

const char *scsi_ctl_guest_path(const struct scsi_ctl *c, const char *id)
{
	const struct scsi_mount *m = scsi_ctl_mount_of(c, scsi_ctl_find(c, id));

	return m ? m->guest_path : NULL;
}

void scsi_ctl_vm_gone(struct scsi_ctl *c)
{
	c->vm_gone = true;
	c->state = SCSI_READY; /* deletes are bookkeeping now */
}
