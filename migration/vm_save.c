/* hcsshim.controller.vm.save.v1 */
#include <stdlib.h>

#include "migration/saved_codec.h"
#include "build/proto/state_ext.pb-c.h"
#include "build/proto/state_vm.pb-c.h"

static int get_options(struct saved_reader *r, const StateSandboxOptions *o,
		       struct saved_vm *ret)
{
	if (!o)
		return 0;
	ret->has_options = true;
	ret->no_writable_file_shares = o->no_writable_file_shares;
	ret->enable_scratch_encryption = o->enable_scratch_encryption;
	ret->policy_based_routing = o->policy_based_routing;
	ret->fully_physically_backed = o->fully_physically_backed;
	return saved_take_text(r, "architecture", o->architecture,
			       &ret->architecture);
}

static int get_vpci(struct saved_reader *r, const StateVpciExt *x,
		    struct saved_vpci *ret)
{
	*ret = (struct saved_vpci){ .stage = (enum saved_stage)x->stage };
	if (x->stage >= SAVED_STAGES)
		return saved_refuse(r, "S3", EINVAL, "vpci: stage %u",
				    x->stage);
	if (saved_take_text(r, "vmbus_guid", x->vmbus_guid, &ret->vmbus_guid) <
	    0)
		return err_code(r->e);
	return saved_take_text(r, "host_device", x->host_device,
			       &ret->host_device);
}

static int get_share(struct saved_reader *r, const StateShareExt *x,
		     struct saved_share *ret)
{
	*ret = (struct saved_share){ .read_only = x->read_only,
				     .ref_count = x->ref_count,
				     .stage = (enum saved_stage)x->stage };
	if (x->stage >= SAVED_STAGES)
		return saved_refuse(r, "S3", EINVAL, "share: stage %u",
				    x->stage);
	if (saved_take_text(r, "reservation_id", x->reservation_id,
			    &ret->reservation) < 0 ||
	    saved_take_text(r, "host_path", x->host_path, &ret->host_path) <
		    0 ||
	    saved_take_text(r, "name", x->name, &ret->name) < 0)
		return err_code(r->e);
	return saved_take_text(r, "guest_path", x->guest_path,
			       &ret->guest_path);
}

static int get_processes(struct saved_reader *r, const StateVmExt *x,
			 struct saved_vm *ret)
{
	size_t i;

	ret->processes = saved_many(r, x->n_processes, sizeof(*ret->processes));
	if (!ret->processes)
		return -EEXHAUSTED;
	for (i = 0; i < x->n_processes; i++) {
		struct saved_process *p = &ret->processes[ret->n_processes++];

		if (process_save_get_packed(r, x->processes[i], p) < 0)
			return err_wrap(r->e, "processes[%zu]", i);
		p->key = p->exec_id;
	}
	qsort(ret->processes, ret->n_processes, sizeof(*ret->processes),
	      saved_by_process_key);
	return 0;
}

static int get_extension(struct saved_reader *r, const StateVm *m,
			 struct saved_vm *ret)
{
	bool bad;
	const StateVmExt *x = saved_extension(r, m->extension,
					      &state_vm_ext__descriptor, &bad);
	size_t i;
	int ok = 0;

	if (!x)
		return bad ? err_code(r->e) : 0;
	ret->annotation_lock = saved_bytes(x->annotation_lock);
	ret->epoch = x->epoch;
	ret->vpci = saved_many(r, x->n_vpci, sizeof(*ret->vpci));
	ret->shares = saved_many(r, x->n_shares, sizeof(*ret->shares));
	if (!ret->vpci || !ret->shares)
		return -EEXHAUSTED;
	for (i = 0; i < x->n_vpci && ok == 0; i++)
		ok = get_vpci(r, x->vpci[i], &ret->vpci[ret->n_vpci++]);
	for (i = 0; i < x->n_shares && ok == 0; i++)
		ok = get_share(r, x->shares[i], &ret->shares[ret->n_shares++]);
	if (ok == 0)
		ok = get_processes(r, x, ret);
	if (ok < 0)
		return ok;
	if (saved_take_text(r, "machine", x->machine, &ret->machine) < 0 ||
	    saved_take_text(r, "lease", x->lease, &ret->lease) < 0)
		return err_code(r->e);
	ret->session = saved_bytes(x->session);
	return saved_take_text(r, "producer", x->producer, &ret->producer);
}

int vm_save_get(struct saved_reader *r, const struct saved_any *any,
		struct saved_vm *ret)
{
	const StateVm *m = saved_open(r, any, "vm", &state_vm__descriptor);
	int ok;

	if (!m)
		return err_code(r->e);
	*ret = (struct saved_vm){
		.version = m->schema_version,
		.next_port = m->gcs_next_port,
		.compat = saved_bytes(m->compat_info),
		.document = saved_bytes(m->hcs_document),
		.next_id = m->bridge_next_id,
	};
	ok = saved_take_text(r, "vm_id", m->vm_id, &ret->id);
	if (ok == 0)
		ok = get_options(r, m->sandbox_options, ret);
	if (ok == 0)
		ok = get_extension(r, m, ret);
	if (ok < 0 || !m->scsi)
		return ok;
	ret->has_scsi = true;
	ok = scsi_save_get(r,
			   &(struct saved_any){ saved_bytes(m->scsi->type_url),
						saved_bytes(m->scsi->value) },
			   &ret->scsi);
	return ok < 0 ? err_wrap(r->e, "scsi") : 0;
}

static ProtobufCBinaryData put_extension(struct saved_writer *w,
					 const struct saved_vm *v)
{
	StateVmExt x = STATE_VM_EXT__INIT;
	StateVpciExt *vpci = saved_put_many(w, v->n_vpci, sizeof(*vpci));
	StateShareExt *shares = saved_put_many(w, v->n_shares, sizeof(*shares));
	size_t i;

	if (!v->annotation_lock.n && !v->epoch && !v->producer.n &&
	    !v->n_vpci && !v->n_shares && !v->machine.n && !v->lease.n &&
	    !v->session.n && !v->n_processes)
		return (ProtobufCBinaryData){ 0, NULL };
	x.magic = SAVED_MAGIC;
	x.annotation_lock = saved_put_text(v->annotation_lock);
	x.epoch = v->epoch;
	x.producer = saved_put_text(v->producer);
	x.machine = saved_put_text(v->machine);
	x.lease = saved_put_text(v->lease);
	x.vpci = saved_put_row(w, v->n_vpci);
	for (i = 0; vpci && x.vpci && i < v->n_vpci; i++) {
		state_vpci_ext__init(&vpci[i]);
		vpci[i].vmbus_guid = saved_put_text(v->vpci[i].vmbus_guid);
		vpci[i].host_device = saved_put_text(v->vpci[i].host_device);
		vpci[i].stage = (uint32_t)v->vpci[i].stage;
		x.vpci[x.n_vpci++] = &vpci[i];
	}
	x.shares = saved_put_row(w, v->n_shares);
	for (i = 0; shares && x.shares && i < v->n_shares; i++) {
		const struct saved_share *s = &v->shares[i];

		state_share_ext__init(&shares[i]);
		shares[i].reservation_id = saved_put_text(s->reservation);
		shares[i].host_path = saved_put_text(s->host_path);
		shares[i].name = saved_put_text(s->name);
		shares[i].guest_path = saved_put_text(s->guest_path);
		shares[i].read_only = s->read_only;
		shares[i].ref_count = s->ref_count;
		shares[i].stage = (uint32_t)s->stage;
		x.shares[x.n_shares++] = &shares[i];
	}
	x.session = saved_put_text(v->session);
	x.processes = saved_put_row(w, v->n_processes);
	for (i = 0; x.processes && i < v->n_processes; i++)
		x.processes[x.n_processes++] =
			process_save_put_packed(w, &v->processes[i]);
	if (w->failed)
		return (ProtobufCBinaryData){ 0, NULL };
	return saved_put_text(saved_put_message(w, &x.base));
}

void vm_save_put(struct saved_writer *w, const struct saved_vm *v,
		 struct saved_any *ret)
{
	StateVm m = STATE_VM__INIT;
	StateSandboxOptions o = STATE_SANDBOX_OPTIONS__INIT;
	StateAny scsi = STATE_ANY__INIT;
	struct saved_any any;

	m.schema_version = v->version;
	m.vm_id = saved_put_text(v->id);
	o.no_writable_file_shares = v->no_writable_file_shares;
	o.enable_scratch_encryption = v->enable_scratch_encryption;
	o.policy_based_routing = v->policy_based_routing;
	o.architecture = saved_put_text(v->architecture);
	o.fully_physically_backed = v->fully_physically_backed;
	m.sandbox_options = v->has_options ? &o : NULL;
	if (v->has_scsi) {
		scsi_save_put(w, &v->scsi, &any);
		scsi.type_url = saved_put_text(any.type);
		scsi.value = saved_put_text(any.value);
		m.scsi = &scsi;
	}
	m.gcs_next_port = v->next_port;
	m.compat_info = saved_put_text(v->compat);
	m.hcs_document = saved_put_text(v->document);
	m.bridge_next_id = v->next_id;
	m.extension = put_extension(w, v);
	saved_put_any(w, "vm", &m.base, ret);
}
