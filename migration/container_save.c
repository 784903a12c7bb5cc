/* hcsshim.controller.linuxcontainer.save.v1 */
#include <stdlib.h>

#include "build/proto/state_container.pb-c.h"
#include "build/proto/state_ext.pb-c.h"
#include "migration/saved_codec.h"

static int get_layer(struct saved_reader *r, const StateLayer *m,
		     struct saved_layer *ret)
{
	if (saved_take_text(r, "reservation_id", m->reservation_id,
			    &ret->reservation) < 0)
		return err_code(r->e);
	return saved_take_text(r, "guest_path", m->guest_path,
			       &ret->guest_path);
}

static int get_layers(struct saved_reader *r, const StateLayers *m,
		      struct saved_container *ret)
{
	size_t i;
	int ok = 0;

	ret->has_layers = true;
	ret->layers_combined = m->layers_combined;
	ret->ro_layers = saved_many(r, m->n_ro_layers, sizeof(*ret->ro_layers));
	if (!ret->ro_layers)
		return -EEXHAUSTED;
	for (i = 0; i < m->n_ro_layers && ok == 0; i++)
		ok = get_layer(r, m->ro_layers[i],
			       &ret->ro_layers[ret->n_ro_layers++]);
	ret->has_scratch = m->scratch != NULL;
	if (m->scratch && ok == 0)
		ok = get_layer(r, m->scratch, &ret->scratch);
	if (ok < 0)
		return err_wrap(r->e, "layers");
	return saved_take_text(r, "rootfs_path", m->rootfs_path, &ret->rootfs);
}

static int get_processes(struct saved_reader *r, const StateContainer *m,
			 struct saved_container *ret)
{
	size_t i;

	ret->processes = saved_many(r, m->n_processes, sizeof(*ret->processes));
	if (!ret->processes)
		return -EEXHAUSTED;
	for (i = 0; i < m->n_processes; i++) {
		struct saved_process *p = &ret->processes[ret->n_processes++];

		if (process_save_get_packed(r, m->processes[i]->value, p) < 0)
			return err_wrap(r->e, "processes[%zu]", i);
		if (saved_take_text(r, "processes", m->processes[i]->key,
				    &p->key) < 0)
			return err_code(r->e);
	}
	qsort(ret->processes, ret->n_processes, sizeof(*ret->processes),
	      saved_by_process_key);
	return 0;
}

static int get_extension(struct saved_reader *r, const StateContainer *m,
			 struct saved_container *ret)
{
	bool bad;
	const StateContainerExt *x = saved_extension(
		r, m->extension, &state_container_ext__descriptor, &bad);
	size_t i;

	if (!x)
		return bad ? err_code(r->e) : 0;
	if (x->stage >= SAVED_STAGES)
		return saved_refuse(r, "S3", EINVAL, "container: stage %u",
				    x->stage);
	ret->stage = (enum saved_stage)x->stage;
	ret->exit_status = x->exit_status;
	ret->exited_at_ns = x->exited_at_ns;
	if (saved_take_texts(r, "vpci_guids", x->n_vpci_guids, x->vpci_guids,
			     &ret->vpci_guids, &ret->n_vpci_guids) < 0 ||
	    saved_take_texts(r, "share_reservation_ids",
			     x->n_share_reservation_ids,
			     x->share_reservation_ids, &ret->share_reservations,
			     &ret->n_share_reservations) < 0)
		return err_code(r->e);
	ret->execs = saved_many(r, x->n_execs, sizeof(*ret->execs));
	if (!ret->execs)
		return -EEXHAUSTED;
	for (i = 0; i < x->n_execs; i++) {
		if (process_save_get_packed(r, x->execs[i],
					    &ret->execs[ret->n_execs]) < 0)
			return err_wrap(r->e, "execs[%zu]", i);
		ret->execs[ret->n_execs].key = ret->execs[ret->n_execs].exec_id;
		ret->n_execs++;
	}
	qsort(ret->execs, ret->n_execs, sizeof(*ret->execs),
	      saved_by_process_key);
	return 0;
}

int container_save_get(struct saved_reader *r, const struct saved_any *any,
		       struct saved_container *ret)
{
	const StateContainer *m = saved_open(r, any, "linuxcontainer",
					     &state_container__descriptor);
	int ok = 0;

	if (!m)
		return err_code(r->e);
	*ret = (struct saved_container){ .version = m->schema_version };
	if (saved_take_text(r, "container_id", m->container_id, &ret->id) < 0 ||
	    saved_take_text(r, "gcs_container_id", m->gcs_container_id,
			    &ret->gcs_id) < 0 ||
	    saved_take_texts(r, "scsi_reservation_ids",
			     m->n_scsi_reservation_ids, m->scsi_reservation_ids,
			     &ret->reservations, &ret->n_reservations) < 0)
		return err_code(r->e);
	if (m->io_retry_timeout)
		ret->io_retry =
			(struct saved_duration){ true,
						 m->io_retry_timeout->seconds,
						 m->io_retry_timeout->nanos };
	if (m->layers)
		ok = get_layers(r, m->layers, ret);
	if (ok == 0)
		ok = get_processes(r, m, ret);
	return ok < 0 ? ok : get_extension(r, m, ret);
}

/* --- writing --- */

static StateLayer *put_layer(struct saved_writer *w,
			     const struct saved_layer *l)
{
	StateLayer *m = saved_put_many(w, 1, sizeof(*m));

	if (!m)
		return NULL;
	state_layer__init(m);
	m->reservation_id = saved_put_text(l->reservation);
	m->guest_path = saved_put_text(l->guest_path);
	return m;
}

static StateLayers *put_layers(struct saved_writer *w,
			       const struct saved_container *c)
{
	StateLayers *m = saved_put_many(w, 1, sizeof(*m));
	size_t i;

	if (!m || !c->has_layers)
		return NULL;
	state_layers__init(m);
	m->ro_layers = saved_put_row(w, c->n_ro_layers);
	for (i = 0; m->ro_layers && i < c->n_ro_layers; i++)
		m->ro_layers[m->n_ro_layers++] = put_layer(w, &c->ro_layers[i]);
	m->scratch = c->has_scratch ? put_layer(w, &c->scratch) : NULL;
	m->layers_combined = c->layers_combined;
	m->rootfs_path = saved_put_text(c->rootfs);
	return w->failed ? NULL : m;
}

static ProtobufCBinaryData put_extension(struct saved_writer *w,
					 const struct saved_container *c)
{
	StateContainerExt x = STATE_CONTAINER_EXT__INIT;
	size_t i;

	if (!c->stage && !c->exit_status && !c->exited_at_ns &&
	    !c->n_vpci_guids && !c->n_share_reservations && !c->n_execs)
		return (ProtobufCBinaryData){ 0, NULL };
	x.magic = SAVED_MAGIC;
	x.stage = (uint32_t)c->stage;
	x.exit_status = c->exit_status;
	x.exited_at_ns = c->exited_at_ns;
	x.vpci_guids = saved_put_texts(w, c->vpci_guids, c->n_vpci_guids);
	x.n_vpci_guids = x.vpci_guids ? c->n_vpci_guids : 0;
	x.share_reservation_ids = saved_put_texts(w, c->share_reservations,
						  c->n_share_reservations);
	x.n_share_reservation_ids =
		x.share_reservation_ids ? c->n_share_reservations : 0;
	x.execs = saved_put_row(w, c->n_execs);
	for (i = 0; x.execs && i < c->n_execs; i++)
		x.execs[x.n_execs++] = process_save_put_packed(w, &c->execs[i]);
	if (w->failed)
		return (ProtobufCBinaryData){ 0, NULL };
	return saved_put_text(saved_put_message(w, &x.base));
}

void container_save_put(struct saved_writer *w, const struct saved_container *c,
			struct saved_any *ret)
{
	StateContainer m = STATE_CONTAINER__INIT;
	StateDuration d = STATE_DURATION__INIT;
	StateProcessEntry *p = saved_put_many(w, c->n_processes, sizeof(*p));
	size_t i;

	m.schema_version = c->version;
	m.container_id = saved_put_text(c->id);
	m.gcs_container_id = saved_put_text(c->gcs_id);
	d.seconds = c->io_retry.seconds;
	d.nanos = c->io_retry.nanos;
	m.io_retry_timeout = c->io_retry.present ? &d : NULL;
	m.layers = put_layers(w, c);
	m.scsi_reservation_ids =
		saved_put_texts(w, c->reservations, c->n_reservations);
	m.n_scsi_reservation_ids =
		m.scsi_reservation_ids ? c->n_reservations : 0;
	m.processes = saved_put_row(w, c->n_processes);
	for (i = 0; p && m.processes && i < c->n_processes; i++) {
		state_process_entry__init(&p[i]);
		p[i].key = saved_put_text(c->processes[i].key);
		p[i].value = process_save_put_packed(w, &c->processes[i]);
		m.processes[m.n_processes++] = &p[i];
	}
	m.extension = put_extension(w, c);
	saved_put_any(w, "linuxcontainer", &m.base, ret);
}
