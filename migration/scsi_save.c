/* hcsshim.controller.scsi.save.v1 */
#include <stdlib.h>
#include <string.h>

#include "migration/saved_codec.h"
#include "build/proto/state_ext.pb-c.h"
#include "build/proto/state_scsi.pb-c.h"

static int by_partition(const void *a, const void *b)
{
	const struct saved_mount *x = a, *y = b;

	return x->partition < y->partition ? -1 : x->partition > y->partition;
}

static int by_slot(const void *a, const void *b)
{
	const struct saved_disk *x = a, *y = b;

	return x->slot < y->slot ? -1 : x->slot > y->slot;
}

static int by_id(const void *a, const void *b)
{
	const struct saved_reservation *x = a, *y = b;

	return saved_compare_guid(x->id, y->id);
}

static int get_mount(struct saved_reader *r, const StateMountEntry *entry,
		     struct saved_mount *ret)
{
	const StateMount *m = entry->value;
	const StateMountConfig *c = m ? m->config : NULL;
	int ok;

	*ret = (struct saved_mount){ .partition = entry->key };
	if (!m)
		return 0; /* an entry without a value: an empty message */
	ret->ref_count = m->ref_count;
	ok = saved_take_text(r, "guest_path", m->guest_path, &ret->guest_path);
	if (ok < 0 || !c)
		return ok;
	ret->has_config = true;
	ret->read_only = c->read_only;
	ret->encrypted = c->encrypted;
	ret->ensure_filesystem = c->ensure_filesystem;
	ret->block_dev = c->block_dev;
	ok = saved_take_text(r, "filesystem", c->filesystem, &ret->filesystem);
	if (ok < 0)
		return ok;
	return saved_take_texts(r, "options", c->n_options, c->options,
				&ret->options, &ret->n_options);
}

static int get_config(struct saved_reader *r, const StateDiskConfig *c,
		      struct saved_disk *ret)
{
	if (!c)
		return 0;
	ret->has_config = true;
	ret->read_only = c->read_only;
	if (saved_take_text(r, "host_path", c->host_path, &ret->host_path) <
		    0 ||
	    saved_take_text(r, "type", c->type, &ret->type) < 0)
		return err_code(r->e);
	return saved_take_text(r, "evd_type", c->evd_type, &ret->evd_type);
}

static int get_disk(struct saved_reader *r, const StateDiskEntry *entry,
		    struct saved_disk *ret)
{
	const StateDisk *d = entry->value;
	size_t i;
	int ok;

	*ret = (struct saved_disk){ .slot = entry->key };
	if (!d)
		return 0;
	ok = get_config(r, d->config, ret);
	if (ok < 0)
		return ok;
	ret->mounts = saved_many(r, d->n_mounts, sizeof(*ret->mounts));
	if (!ret->mounts)
		return -EEXHAUSTED;
	for (i = 0; i < d->n_mounts; i++) {
		ok = get_mount(r, d->mounts[i], &ret->mounts[ret->n_mounts++]);
		if (ok < 0)
			return err_wrap(r->e, "mounts[%llu]",
					(unsigned long long)d->mounts[i]->key);
	}
	qsort(ret->mounts, ret->n_mounts, sizeof(*ret->mounts), by_partition);
	return 0;
}

/* --- ferry's: what is not attached and mounted --- */

static int get_stages(struct saved_reader *r, const StateDiskExt *x,
		      struct saved_disk *disk)
{
	size_t i;

	if (x->stage > SAVED_STAGE_ATTACHED)
		return saved_refuse(r, "S3", EINVAL, "disk: stage %u",
				    x->stage);
	disk->stage = x->stage == SAVED_STAGE_RESERVED ? SAVED_STAGE_RESERVED
						       : SAVED_STAGE_DEFAULT;
	disk->boot = x->boot;
	for (i = 0; i < x->n_mounts; i++) {
		const struct saved_mount key = {
			.partition = x->mounts[i]->partition
		};
		struct saved_mount *m =
			bsearch(&key, disk->mounts, disk->n_mounts, sizeof(key),
				by_partition);

		if (m && x->mounts[i]->stage == SAVED_STAGE_RESERVED)
			m->stage = SAVED_STAGE_RESERVED;
	}
	return 0;
}

static int get_extension(struct saved_reader *r, const StateScsi *m,
			 struct saved_scsi *ret)
{
	bool bad;
	const StateScsiExt *x = saved_extension(
		r, m->extension, &state_scsi_ext__descriptor, &bad);
	size_t i;

	if (!x)
		return bad ? err_code(r->e) : 0;
	for (i = 0; i < x->n_disks; i++) {
		const struct saved_disk key = { .slot = x->disks[i]->slot };
		struct saved_disk *d =
			ret->n_disks ? bsearch(&key, ret->disks, ret->n_disks,
					       sizeof(key), by_slot)
				     : NULL;

		if (d && get_stages(r, x->disks[i], d) < 0)
			return err_code(r->e);
	}
	return 0;
}

int scsi_save_get(struct saved_reader *r, const struct saved_any *any,
		  struct saved_scsi *ret)
{
	const StateScsi *m =
		saved_open(r, any, "scsi", &state_scsi__descriptor);
	size_t i;
	int ok;

	if (!m)
		return err_code(r->e);
	*ret = (struct saved_scsi){ .version = m->schema_version,
				    .n_controllers = m->num_controllers };
	ret->disks = saved_many(r, m->n_disks, sizeof(*ret->disks));
	ret->reservations =
		saved_many(r, m->n_reservations, sizeof(*ret->reservations));
	if (!ret->disks || !ret->reservations)
		return -EEXHAUSTED;
	for (i = 0; i < m->n_disks; i++) {
		ok = get_disk(r, m->disks[i], &ret->disks[ret->n_disks++]);
		if (ok < 0)
			return err_wrap(r->e, "disks[%u]", m->disks[i]->key);
	}
	for (i = 0; i < m->n_reservations; i++) {
		const StateReservationEntry *x = m->reservations[i];
		struct saved_reservation *res =
			&ret->reservations[ret->n_reservations++];

		ok = saved_take_text(r, "reservations", x->key, &res->id);
		if (ok < 0)
			return ok;
		res->slot = x->value ? x->value->slot : 0;
		res->partition = x->value ? x->value->partition : 0;
	}
	qsort(ret->disks, ret->n_disks, sizeof(*ret->disks), by_slot);
	qsort(ret->reservations, ret->n_reservations,
	      sizeof(*ret->reservations), by_id);
	return get_extension(r, m, ret);
}

/* --- writing --- */

static void put_mount(struct saved_writer *w, const struct saved_mount *m,
		      StateMountEntry *entry)
{
	StateMount *value = saved_put_many(w, 1, sizeof(*value));
	StateMountConfig *c = saved_put_many(w, 1, sizeof(*c));

	state_mount_entry__init(entry);
	if (!value || !c)
		return;
	state_mount__init(value);
	state_mount_config__init(c);
	entry->key = m->partition;
	entry->value = value;
	value->ref_count = m->ref_count;
	value->guest_path = saved_put_text(m->guest_path);
	value->config = m->has_config ? c : NULL;
	c->read_only = m->read_only;
	c->encrypted = m->encrypted;
	c->options = saved_put_texts(w, m->options, m->n_options);
	c->n_options = c->options ? m->n_options : 0;
	c->ensure_filesystem = m->ensure_filesystem;
	c->filesystem = saved_put_text(m->filesystem);
	c->block_dev = m->block_dev;
}

static void put_disk(struct saved_writer *w, const struct saved_disk *d,
		     StateDiskEntry *entry)
{
	StateDisk *value = saved_put_many(w, 1, sizeof(*value));
	StateDiskConfig *c = saved_put_many(w, 1, sizeof(*c));
	StateMountEntry *mounts =
		saved_put_many(w, d->n_mounts, sizeof(*mounts));
	size_t i;

	state_disk_entry__init(entry);
	if (!value || !c || !mounts)
		return;
	state_disk__init(value);
	state_disk_config__init(c);
	entry->key = d->slot;
	entry->value = value;
	value->config = d->has_config ? c : NULL;
	c->host_path = saved_put_text(d->host_path);
	c->read_only = d->read_only;
	c->type = saved_put_text(d->type);
	c->evd_type = saved_put_text(d->evd_type);
	value->mounts = saved_put_row(w, d->n_mounts);
	for (i = 0; value->mounts && i < d->n_mounts; i++) {
		put_mount(w, &d->mounts[i], &mounts[i]);
		value->mounts[value->n_mounts++] = &mounts[i];
	}
}

static bool is_special(const struct saved_disk *d)
{
	size_t i;

	if (d->boot || d->stage == SAVED_STAGE_RESERVED)
		return true;
	for (i = 0; i < d->n_mounts; i++)
		if (d->mounts[i].stage == SAVED_STAGE_RESERVED)
			return true;
	return false;
}

static void put_stages(struct saved_writer *w, const struct saved_disk *d,
		       StateDiskExt *x)
{
	StateMountExt *mounts = saved_put_many(w, d->n_mounts, sizeof(*mounts));
	size_t i;

	state_disk_ext__init(x);
	x->slot = d->slot;
	x->stage = (uint32_t)d->stage;
	x->boot = d->boot;
	x->mounts = saved_put_row(w, d->n_mounts);
	for (i = 0; mounts && x->mounts && i < d->n_mounts; i++) {
		if (d->mounts[i].stage != SAVED_STAGE_RESERVED)
			continue;
		state_mount_ext__init(&mounts[i]);
		mounts[i].partition = d->mounts[i].partition;
		mounts[i].stage = SAVED_STAGE_RESERVED;
		x->mounts[x->n_mounts++] = &mounts[i];
	}
}

static ProtobufCBinaryData put_extension(struct saved_writer *w,
					 const struct saved_scsi *s)
{
	StateScsiExt x = STATE_SCSI_EXT__INIT;
	StateDiskExt *disks = saved_put_many(w, s->n_disks, sizeof(*disks));
	size_t i;

	x.magic = SAVED_MAGIC;
	x.disks = saved_put_row(w, s->n_disks);
	for (i = 0; disks && x.disks && i < s->n_disks; i++)
		if (is_special(&s->disks[i])) {
			put_stages(w, &s->disks[i], &disks[i]);
			x.disks[x.n_disks++] = &disks[i];
		}
	if (x.n_disks == 0)
		return (ProtobufCBinaryData){ 0, NULL };
	return saved_put_text(saved_put_message(w, &x.base));
}

void scsi_save_put(struct saved_writer *w, const struct saved_scsi *s,
		   struct saved_any *ret)
{
	StateScsi m = STATE_SCSI__INIT;
	StateDiskEntry *disks = saved_put_many(w, s->n_disks, sizeof(*disks));
	StateReservationEntry *res =
		saved_put_many(w, s->n_reservations, sizeof(*res));
	StateReservation *values =
		saved_put_many(w, s->n_reservations, sizeof(*values));
	size_t i;

	m.schema_version = s->version;
	m.num_controllers = s->n_controllers;
	m.disks = saved_put_row(w, s->n_disks);
	for (i = 0; disks && m.disks && i < s->n_disks; i++) {
		put_disk(w, &s->disks[i], &disks[i]);
		m.disks[m.n_disks++] = &disks[i];
	}
	m.reservations = saved_put_row(w, s->n_reservations);
	for (i = 0; res && values && m.reservations && i < s->n_reservations;
	     i++) {
		state_reservation_entry__init(&res[i]);
		state_reservation__init(&values[i]);
		res[i].key = saved_put_text(s->reservations[i].id);
		res[i].value = &values[i];
		values[i].slot = s->reservations[i].slot;
		values[i].partition = s->reservations[i].partition;
		m.reservations[m.n_reservations++] = &res[i];
	}
	m.extension = put_extension(w, s);
	saved_put_any(w, "scsi", &m.base, ret);
}
