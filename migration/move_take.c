#include "migration/move.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "migration/container_life.h"
#include "migration/scsi_job.h"
#include "migration/status.h"

/* Version of the payloads; see migration/saved_codec.h. */
#define VERSION 1

struct taker {
	struct arena *a;
	const struct devices *devices;
	struct err *e;
};

static void *many(struct taker *t, size_t n, size_t size)
{
	void *p = arena_array(t->a, n ? n : 1, size);

	if (!p)
		(void)err_set(t->e, ENOMEM, "save: no memory");
	return p;
}

/* --- disks --- */

static int take_mount(struct taker *t, const struct scsi_mount *m,
		      struct saved_mount *ret)
{
	size_t i;

	*ret = (struct saved_mount){
		.partition = m->partition,
		.has_config = true,
		.read_only = m->config.read_only,
		.encrypted = m->config.encrypted,
		.options =
			many(t, m->config.n_options, sizeof(struct saved_text)),
		.n_options = m->config.n_options,
		.ensure_filesystem = m->config.ensure_filesystem,
		.filesystem = saved_text_of(m->config.filesystem),
		.block_dev = m->config.block_dev,
		.ref_count = m->ref_count,
		.guest_path = saved_text_of(m->guest_path),
		.stage = m->state == SCSI_MOUNT_RESERVED ? SAVED_STAGE_RESERVED
							 : SAVED_STAGE_MOUNTED,
	};
	if (!ret->options)
		return -ENOMEM;
	for (i = 0; i < m->config.n_options; i++)
		ret->options[i] = saved_text_of(m->config.options[i]);
	return 0;
}

static int take_disk(struct taker *t, const struct scsi_disk *d,
		     struct saved_disk *ret)
{
	const struct scsi_mount *m;
	size_t n = 0;

	for (m = d->mounts; m; m = m->next)
		n++;
	*ret = (struct saved_disk){
		.slot = d->slot,
		.has_config = true,
		.host_path = saved_text_of(d->config.path),
		.read_only = d->config.read_only,
		.type = saved_text_of(d->config.kind == VMM_DISK_DEVICE
					      ? "PassThru"
					      : "VirtualDisk"),
		.mounts = many(t, n, sizeof(struct saved_mount)),
		.stage = d->state == SCSI_DISK_RESERVED && !d->boot
				 ? SAVED_STAGE_RESERVED
				 : SAVED_STAGE_ATTACHED,
		.boot = d->boot,
	};
	if (!ret->mounts)
		return -ENOMEM;
	for (m = d->mounts; m; m = m->next)
		if (take_mount(t, m, &ret->mounts[ret->n_mounts++]) < 0)
			return -ENOMEM;
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct saved_reservation *x = a, *y = b;

	return strcmp(x->id.p, y->id.p);
}

static int take_scsi(struct taker *t, const struct scsi_ctl *c,
		     struct saved_scsi *ret)
{
	const struct scsi_reservation *r;
	size_t n = 0, i;

	for (r = c->reservations; r; r = r->next)
		n++;
	*ret = (struct saved_scsi){
		.version = VERSION,
		.n_controllers = c->n_controllers,
		.disks = many(t, SCSI_SLOTS_MAX, sizeof(struct saved_disk)),
		.reservations = many(t, n, sizeof(struct saved_reservation)),
	};
	if (!ret->disks || !ret->reservations)
		return -ENOMEM;
	for (i = 0; i < SCSI_SLOTS_MAX; i++)
		if (c->slot[i] &&
		    take_disk(t, c->slot[i], &ret->disks[ret->n_disks++]) < 0)
			return -ENOMEM;
	for (r = c->reservations; r; r = r->next)
		ret->reservations[ret->n_reservations++] =
			(struct saved_reservation){ saved_text_of(r->id),
						    r->slot, r->partition,
						    false };
	qsort(ret->reservations, ret->n_reservations,
	      sizeof(ret->reservations[0]), by_id);
	return 0;
}

/* --- devices --- */

static enum saved_stage stage_of(const struct device *x)
{
	static const enum saved_stage stages[DEVICE_STAGES] = {
		[DEVICE_RESERVED] = SAVED_STAGE_RESERVED,
		[DEVICE_ATTACHED] = SAVED_STAGE_ATTACHED,
		[DEVICE_MOUNTED] = SAVED_STAGE_MOUNTED,
	};

	return stages[x->stage];
}

static int take_devices(struct taker *t, const struct devices *d,
			struct saved_vm *ret)
{
	size_t i;

	ret->vpci = many(t, d->n, sizeof(struct saved_vpci));
	ret->shares = many(t, d->n, sizeof(struct saved_share));
	if (!ret->vpci || !ret->shares)
		return -ENOMEM;
	for (i = 0; i < d->n; i++) {
		const struct device *x = &d->device[i];

		if (x->kind == DEVICE_VPCI)
			ret->vpci[ret->n_vpci++] =
				(struct saved_vpci){ saved_text_of(x->id),
						     saved_text_of(x->host),
						     stage_of(x) };
		else
			ret->shares[ret->n_shares++] = (struct saved_share){
				.reservation = saved_text_of(x->id),
				.host_path = saved_text_of(x->host),
				.name = saved_text_of(x->name),
				.guest_path = saved_text_of(x->guest_path),
				.read_only = x->read_only,
				.ref_count = (uint32_t)x->n_holders,
				.stage = stage_of(x),
			};
	}
	return 0;
}

static bool holds(const struct device *x, const struct container_ctl *c)
{
	size_t i;

	for (i = 0; i < x->n_holders; i++)
		if (strcmp(x->holder[i], c->gcs_id) == 0)
			return true;
	return false;
}

/* What this container holds; nothing but in a save to a file. */
static int take_references(struct taker *t, const struct container_ctl *c,
			   struct saved_container *ret)
{
	const struct devices *d = t->devices;
	size_t i;

	ret->vpci_guids = many(t, d->n, sizeof(struct saved_text));
	ret->share_reservations = many(t, d->n, sizeof(struct saved_text));
	if (!ret->vpci_guids || !ret->share_reservations)
		return -ENOMEM;
	for (i = 0; i < d->n; i++) {
		const struct device *x = &d->device[i];

		if (!holds(x, c))
			continue;
		if (x->kind == DEVICE_VPCI)
			ret->vpci_guids[ret->n_vpci_guids++] =
				saved_text_of(x->id);
		else
			ret->share_reservations[ret->n_share_reservations++] =
				saved_text_of(x->id);
	}
	return 0;
}

/* --- VM --- */

static int take_vm(struct taker *t, const struct vm_ctl *v,
		   struct saved_vm *ret)
{
	const struct seams *s = v->seams;
	struct saved_text session = { "", 0 };
	int r;

	if (v->state != VM_RUNNING) {
		r = vm_ctl_check(v, VM_EV_SAVE, t->e);
		if (r < 0)
			return r;
	}
	r = scsi_ctl_check_save(&v->scsi, t->e);
	if (r < 0)
		return r;
	r = v->state == VM_RUNNING ? devices_check_file(&v->devices, t->e)
				   : devices_check_save(&v->devices, t->e);
	if (r < 0)
		return r;
	if (s->guest->session_save) {
		r = s->guest->session_save(s->guest_ctx, t->a, &session, t->e);
		if (r < 0)
			return r;
	}
	*ret = (struct saved_vm){
		.version = VERSION,
		.id = saved_text_of(v->id),
		.has_options = true,
		.no_writable_file_shares = v->options.no_writable_file_shares,
		.enable_scratch_encryption =
			v->options.enable_scratch_encryption,
		.policy_based_routing = v->options.policy_based_routing,
		.architecture = saved_text_of(v->options.architecture),
		.fully_physically_backed = v->options.fully_physically_backed,
		.has_scsi = true,
		.next_port = s->guest->next_port(s->guest_ctx),
		.compat = { v->compat, v->compat_len },
		.document = { v->document, v->document_len },
		.next_id = (int64_t)s->guest->next_id(s->guest_ctx),
		.annotation_lock = { v->annotation_lock,
				     v->annotation_lock_len },
		.epoch = v->epoch + 1,
		.machine = saved_text_of(v->machine),
		.lease = saved_text_of(v->lease),
		.session = session,
	};
	r = take_devices(t, &v->devices, ret);
	if (r == 0 && s->guest->others_save)
		r = s->guest->others_save(s->guest_ctx, t->a, ret, t->e);
	return r < 0 ? r : take_scsi(t, &v->scsi, &ret->scsi);
}

/* --- pods --- */

static int by_nic(const void *a, const void *b)
{
	const struct saved_endpoint *x = a, *y = b;

	return strcmp(x->nic_id.p, y->nic_id.p);
}

static int take_network(struct taker *t, const struct network_ctl *n,
			struct saved_network *ret)
{
	const struct network_endpoint *x;
	size_t count = 0;
	int r = machine_check(&network_machine, n->state, NETWORK_EV_SAVE,
			      t->e);

	if (n->state == NETWORK_NOT_CONFIGURED && !n->namespace_id[0])
		r = 0; /* a pod without network has none to move */
	if (r < 0)
		return r;
	if (n->seq.busy)
		return err_set(t->e, EPRECONDITION, "network is busy: %s",
			       seq_at(&n->seq));
	for (x = n->endpoints; x; x = x->next)
		count++;
	*ret = (struct saved_network){
		.version = VERSION,
		.namespace_id = saved_text_of(n->namespace_id),
		.policy_based_routing = n->policy_based_routing,
		.guest_support = n->guest_support,
		.endpoints = many(t, count, sizeof(struct saved_endpoint)),
	};
	if (!ret->endpoints)
		return -ENOMEM;
	for (x = n->endpoints; x; x = x->next)
		ret->endpoints[ret->n_endpoints++] = (struct saved_endpoint){
			.nic_id = saved_text_of(x->nic_id),
			.endpoint_id = saved_text_of(x->endpoint_id),
			.mac = saved_text_of(x->mac),
			.name = saved_text_of(x->name),
			.settings = saved_text_of(x->settings),
		};
	qsort(ret->endpoints, ret->n_endpoints, sizeof(ret->endpoints[0]),
	      by_nic);
	return 0;
}

static int take_process(struct taker *t, struct process_ctl *p,
			struct saved_process *ret)
{
	const struct seams *s = container_ctl_seams(p->container);
	int r = process_ctl_check(p, PROCESS_EV_SAVE, t->e);

	if (r == 0 && p->state == PROCESS_RUNNING)
		r = s->guest->process_state(s->guest_ctx, p->container->gcs_id,
					    p->exec_id, p->port, &p->wait_id,
					    t->e);
	if (r < 0)
		return r;
	*ret = (struct saved_process){
		.key = saved_text_of(p->exec_id),
		.version = VERSION,
		.exec_id = saved_text_of(p->exec_id),
		.pid = (int32_t)p->pid,
		.bundle = saved_text_of(p->container->bundle),
		.document = saved_text_of(p->document),
		.wait_id = (int64_t)p->wait_id,
		.terminal = p->terminal,
	};
	memcpy(ret->port, p->port, sizeof(ret->port));
	if (s->guest->process_streams)
		r = s->guest->process_streams(s->guest_ctx,
					      p->container->gcs_id, p->exec_id,
					      t->a, ret, t->e);
	return r;
}

/* Its end may not have been asked for yet, nor what it wrote been read. */
static int take_stopped(struct taker *t, const struct process_ctl *p,
			struct saved_process *ret)
{
	const struct seams *s = container_ctl_seams(p->container);

	*ret = (struct saved_process){
		.key = saved_text_of(p->exec_id),
		.version = VERSION,
		.exec_id = saved_text_of(p->exec_id),
		.pid = (int32_t)p->pid,
		.bundle = saved_text_of(p->container->bundle),
		.terminal = p->terminal,
		.stage = SAVED_STAGE_STOPPED,
		.exit_status = p->exit_status,
		.exited_at_ns = p->exited_at_ns,
	};
	if (!s->guest->process_streams)
		return 0;
	return s->guest->process_streams(s->guest_ctx, p->container->gcs_id,
					 p->exec_id, t->a, ret, t->e);
}

static int take_exec(struct taker *t, struct process_ctl *p,
		     struct saved_process *ret)
{
	int r = 0;

	if (p->starting || p->state == PROCESS_CREATED)
		return err_set(t->e, EPRECONDITION,
			       "exec %s was made and does not run yet",
			       p->exec_id);
	if (p->state == PROCESS_TERMINATED)
		r = take_stopped(t, p, ret);
	else
		r = take_process(t, p, ret);
	if (r < 0)
		return err_wrap(t->e, "exec %s", p->exec_id);
	for (size_t i = 0; i < GUEST_STREAMS; i++)
		ret->stdio[i] = saved_text_of(p->stdio[i]);
	return r;
}

static int take_execs(struct taker *t, const struct container_ctl *c,
		      struct saved_container *ret)
{
	struct process_ctl *p;
	int r = 0;

	ret->execs = many(t, c->n_processes, sizeof(struct saved_process));
	if (!ret->execs)
		return -ENOMEM;
	for (p = c->processes; p && r == 0; p = p->next)
		/* One that never ran is known to nobody in the guest. */
		if (p != c->init &&
		    !(p->state == PROCESS_TERMINATED && !p->pid))
			r = take_exec(t, p, &ret->execs[ret->n_execs++]);
	return r;
}

static int take_layers(struct taker *t, const struct container_ctl *c,
		       struct saved_container *ret)
{
	size_t i;

	ret->has_layers = c->n_layers > 0;
	ret->ro_layers = many(t, c->n_layers, sizeof(struct saved_layer));
	ret->reservations = many(t, c->n_disks, sizeof(struct saved_text));
	if (!ret->ro_layers || !ret->reservations)
		return -ENOMEM;
	if (ret->has_layers && !c->has_scratch)
		return err_set(t->e, EPRECONDITION,
			       "a container without a scratch disk stays");
	for (i = 0; i < c->n_layers; i++)
		ret->ro_layers[ret->n_ro_layers++] = (struct saved_layer){
			saved_text_of(c->layers[i].reservation),
			saved_text_of(c->layers[i].guest_path)
		};
	for (i = 0; i < c->n_disks; i++)
		ret->reservations[ret->n_reservations++] =
			saved_text_of(c->disks[i].reservation);
	ret->has_scratch = c->has_scratch;
	if (c->has_scratch)
		ret->scratch = (struct saved_layer){
			saved_text_of(c->scratch.reservation),
			saved_text_of(c->scratch.guest_path)
		};
	ret->layers_combined = c->combined;
	ret->rootfs = saved_text_of(ret->has_layers ? c->rootfs : "");
	return 0;
}

static int take_container(struct taker *t, const struct container_ctl *c,
			  struct saved_container *ret)
{
	int r = container_ctl_check(c, CONTAINER_EV_SAVE, t->e);

	if (r < 0)
		return r;
	if (c->seq.busy)
		return err_set(t->e, EPRECONDITION, "container is busy: %s",
			       seq_at(&c->seq));
	if (!c->init)
		return err_set(t->e, EPRECONDITION, "no init process");
	*ret = (struct saved_container){
		.version = VERSION,
		.id = saved_text_of(c->id),
		.gcs_id = saved_text_of(c->gcs_id),
		.io_retry = { .present = c->io_retry_s > 0,
			      .seconds = (int64_t)c->io_retry_s },
		.processes = many(t, 1, sizeof(struct saved_process)),
		.n_processes = 1,
	};
	if (!ret->processes)
		return -ENOMEM;
	r = take_layers(t, c, ret);
	if (r == 0)
		r = take_references(t, c, ret);
	if (r == 0)
		r = take_execs(t, c, ret);
	return r < 0 ? r : take_process(t, c->init, &ret->processes[0]);
}

static int take_pod(struct taker *t, const struct pod_ctl *p,
		    struct saved_pod *ret)
{
	const struct container_ctl *c;
	int r;

	*ret = (struct saved_pod){
		.version = VERSION,
		.id = saved_text_of(p->id),
		.gcs_id = saved_text_of(p->gcs_id),
		.containers = many(t, p->n_containers,
				   sizeof(struct saved_container)),
	};
	if (!ret->containers)
		return -ENOMEM;
	if (!pod_ctl_container(p, p->id))
		return err_set(t->e, EPRECONDITION, "no sandbox container");
	for (c = p->containers; c; c = c->next) {
		r = take_container(t, c, &ret->containers[ret->n_containers++]);
		if (r < 0)
			return err_wrap(t->e, "container %s", c->id);
	}
	return take_network(t, &p->network, &ret->network);
}

int move_take(struct sandbox_ctl *s, struct arena *a, struct saved *ret,
	      struct err *e)
{
	struct taker t = { a, &s->vm.devices, e };
	const struct pod_ctl *p;
	int r;

	*ret = (struct saved){ .version = VERSION };
	r = take_vm(&t, &s->vm, &ret->vm);
	if (r < 0)
		return r;
	ret->pods = many(&t, s->n_pods, sizeof(struct saved_pod));
	if (!ret->pods)
		return -ENOMEM;
	for (p = s->pods; p; p = p->next) {
		r = take_pod(&t, p, &ret->pods[ret->n_pods++]);
		if (r < 0)
			return err_wrap(e, "pod %s", p->id);
	}
	return 0;
}

void move_freeze(struct sandbox_ctl *s)
{
	struct container_ctl *c;
	struct process_ctl *i;
	struct pod_ctl *p;

	scsi_ctl_freeze(&s->vm.scsi);
	for (p = s->pods; p; p = p->next) {
		for (c = p->containers; c; c = c->next) {
			for (i = c->processes; i; i = i->next)
				if (i->state == PROCESS_RUNNING)
					i->state = PROCESS_SOURCE_MIGRATING;
			c->state = CONTAINER_SOURCE_MIGRATING;
		}
		if (p->network.state == NETWORK_CONFIGURED)
			p->network.state = NETWORK_SOURCE_MIGRATING;
		p->migrating = true;
	}
}
