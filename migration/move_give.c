/* Import: inert objects from a state that was decoded and checked. */
#include "migration/move.h"

#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "migration/container_life.h"
#include "migration/lists.h"
#include "migration/scsi_job.h"
#include "migration/status.h"

/* A heap string; a NUL inside has no place in any text that ferry uses. */
static int give_text(struct saved_text t, char **ret, struct err *e)
{
	char *copy;

	if (t.n > 0 && memchr(t.p, '\0', t.n))
		return err_set(e, EINVAL, "a text with a NUL in it");
	copy = malloc(t.n + 1);
	if (!copy)
		return err_set(e, ENOMEM, "import: no memory");
	if (t.n > 0)
		memcpy(copy, t.p, t.n);
	copy[t.n] = '\0';
	free(*ret);
	*ret = copy;
	return 0;
}

static int give_guid(struct saved_text t, char ret[NAMES_GUID_SIZE],
		     struct err *e)
{
	if (!names_guid_ok(t.p, t.n))
		return err_set(e, EINVAL, "not a GUID");
	names_guid_lower(t.p, ret);
	return 0;
}

/* --- disks --- */

static int give_mount(struct scsi_disk *d, const struct saved_mount *m,
		      struct err *e)
{
	const struct scsi_mount_config config = {
		.read_only = m->read_only,
		.encrypted = m->encrypted,
		.ensure_filesystem = m->ensure_filesystem,
		.block_dev = m->block_dev,
	};
	char *path = NULL;
	struct scsi_mount *made;
	size_t i;
	int r = give_text(m->guest_path, &path, e);

	if (r < 0)
		return r;
	made = scsi_mount_new(d, m->partition, &config, path, e);
	free(path);
	if (!made)
		return -ENOMEM;
	made->ref_count = m->ref_count;
	made->state = m->stage == SAVED_STAGE_RESERVED ? SCSI_MOUNT_RESERVED
						       : SCSI_MOUNT_MOUNTED;
	made->tried = made->state == SCSI_MOUNT_MOUNTED;
	r = give_text(m->filesystem, &made->config.filesystem, e);
	if (r < 0 || m->n_options == 0)
		return r;
	made->config.options = calloc(m->n_options, sizeof(char *));
	if (!made->config.options)
		return err_set(e, ENOMEM, "import: no memory");
	made->config.n_options = m->n_options;
	for (i = 0; i < m->n_options && r == 0; i++)
		r = give_text(m->options[i], &made->config.options[i], e);
	return r;
}

static int give_disk(struct scsi_ctl *c, const struct saved_disk *saved,
		     struct err *e)
{
	struct scsi_disk_config config = {
		.read_only = saved->read_only,
		.kind = saved->type.n == strlen("PassThru") ? VMM_DISK_DEVICE
							    : VMM_DISK_IMAGE,
	};
	struct scsi_disk *d;
	size_t i;
	int r = give_text(saved->host_path, &config.path, e);

	if (r < 0)
		return r;
	d = scsi_disk_new(c, saved->slot, &config, e);
	free(config.path);
	if (!d)
		return -ENOMEM;
	d->state = saved->stage == SAVED_STAGE_RESERVED ? SCSI_DISK_RESERVED
							: SCSI_DISK_ATTACHED;
	d->tried = d->state == SCSI_DISK_ATTACHED;
	d->boot = saved->boot;
	for (i = 0; i < saved->n_mounts && r == 0; i++)
		r = give_mount(d, &saved->mounts[i], e);
	return r;
}

static int give_scsi(struct scsi_ctl *c, const struct saved_scsi *saved,
		     struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; i < saved->n_disks && r == 0; i++)
		r = give_disk(c, &saved->disks[i], e);
	for (i = 0; i < saved->n_reservations && r == 0; i++)
		r = scsi_reservation_new(c, saved->reservations[i].id.p,
					 saved->reservations[i].slot,
					 saved->reservations[i].partition, e);
	return r;
}

/* --- pods --- */

/* The state of a source that has other limits; arrays of ours have these sizes. */
static int check_count(const char *what, size_t n, unsigned most, struct err *e)
{
	return n <= most ? 0
			 : err_set(e, EEXHAUSTED, "import: %zu %s, at most %u",
				   n, what, most);
}

static int give_network(struct network_ctl *n, const struct saved_network *s,
			struct err *e)
{
	size_t i;
	int r = check_count("cards of a pod", s->n_endpoints,
			    NETWORK_ENDPOINTS_MAX, e);

	if (r == 0)
		r = give_text(s->namespace_id, &n->namespace_id, e);
	n->policy_based_routing = s->policy_based_routing;
	n->guest_support = s->guest_support;
	n->state = NETWORK_DESTINATION_MIGRATING;
	for (i = 0; i < s->n_endpoints && r == 0; i++) {
		const struct saved_endpoint *x = &s->endpoints[i];
		struct network_endpoint *made = calloc(1, sizeof(*made));

		if (!made || give_text(x->nic_id, &made->nic_id, e) < 0 ||
		    give_text(x->endpoint_id, &made->endpoint_id, e) < 0 ||
		    give_text(x->mac, &made->mac, e) < 0 ||
		    give_text(x->name, &made->name, e) < 0 ||
		    give_text(x->settings, &made->settings, e) < 0) {
			network_endpoint_free(made);
			return made ? err_code(e)
				    : err_set(e, ENOMEM, "import: no memory");
		}
		made->tried = made->in_vm = made->in_guest = true;
		network_endpoints_insert(&n->endpoints, made);
	}
	return r;
}

static int give_layer(const struct saved_layer *s, struct container_layer *ret,
		      struct err *e)
{
	int r = give_guid(s->reservation, ret->reservation, e);

	return r < 0 ? r : give_text(s->guest_path, &ret->guest_path, e);
}

static int give_layers(struct container_ctl *c, const struct sandbox_ctl *s,
		       const struct saved_container *saved, struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; i < saved->n_ro_layers && r == 0; i++)
		r = give_layer(&saved->ro_layers[i], &c->layers[i], e);
	if (saved->has_scratch && r == 0)
		r = give_layer(&saved->scratch, &c->scratch, e);
	for (i = 0; i < saved->n_reservations && r == 0; i++) {
		const char *path;

		r = give_guid(saved->reservations[i], c->disks[i].reservation,
			      e);
		path = r < 0 ? NULL
			     : scsi_ctl_guest_path(&s->vm.scsi,
						   c->disks[i].reservation);
		if (path)
			r = give_text(saved_text_of(path),
				      &c->disks[i].guest_path, e);
	}
	c->has_scratch = saved->has_scratch;
	c->combined = saved->layers_combined;
	if (r == 0 && saved->rootfs.n > 0)
		r = give_text(saved->rootfs, &c->rootfs, e);
	return r;
}

static void give_bytes(struct saved_text *t, char **at)
{
	if (t->n > 0)
		memcpy(*at, t->p, t->n);
	t->p = *at;
	*at += t->n;
}

/* Copies with their bytes in one block, as long as nobody has opened it. */
static int give_streams(struct process_ctl *p, const struct saved_process *s,
			struct err *e)
{
	size_t size = s->n_streams * sizeof(*p->streams);
	char *at;
	size_t i;

	for (i = 0; i < s->n_streams; i++)
		size += s->streams[i].unacknowledged.n + s->streams[i].kept.n;
	for (i = 0; i < GUEST_STREAMS; i++)
		size += s->unread[i].n;
	if (size == 0)
		return 0;
	p->streams = malloc(size);
	if (!p->streams)
		return err_set(e, ENOMEM, "import: no memory");
	at = (char *)(p->streams + s->n_streams);
	for (i = 0; i < s->n_streams; i++) {
		p->streams[i] = s->streams[i];
		give_bytes(&p->streams[i].unacknowledged, &at);
		give_bytes(&p->streams[i].kept, &at);
	}
	p->n_streams = s->n_streams;
	for (i = 0; i < GUEST_STREAMS; i++) {
		p->unread[i] = s->unread[i];
		give_bytes(&p->unread[i], &at);
	}
	return 0;
}

static int give_process(struct process_ctl *p, const struct saved_process *s,
			struct err *e)
{
	p->pid = (uint32_t)s->pid;
	p->wait_id = (uint64_t)s->wait_id;
	p->terminal = s->terminal;
	p->exit_status = s->exit_status;
	p->exited_at_ns = s->exited_at_ns;
	memcpy(p->port, s->port, sizeof(p->port));
	p->state = PROCESS_DESTINATION_MIGRATING;
	return give_streams(p, s, e);
}

static int give_exec(struct container_ctl *c, const struct saved_process *s,
		     struct err *e)
{
	struct process_spec spec = { .document = "" };
	struct process_ctl *p = NULL;
	char *id = NULL;
	size_t i;
	int r = give_text(s->exec_id, &id, e);

	spec.exec_id = id;
	if (r == 0)
		r = process_ctl_new(c, &spec, &p, e);
	free(id);
	if (r == 0)
		r = give_text(s->document, &p->document, e);
	for (i = 0; i < GUEST_STREAMS && r == 0; i++)
		r = give_text(s->stdio[i], &p->stdio[i], e);
	if (r == 0)
		r = give_process(p, s, e);
	if (r == 0 && s->stage == SAVED_STAGE_STOPPED)
		p->state = PROCESS_TERMINATED;
	return r;
}

static const struct saved_process *init_of(const struct saved_container *c)
{
	size_t i;

	for (i = 0; i < c->n_processes; i++)
		if (c->processes[i].key.n == 0)
			return &c->processes[i];
	return NULL;
}

static int give_container(struct pod_ctl *p, const struct sandbox_ctl *s,
			  const struct saved_container *saved, struct err *e)
{
	const struct saved_process *init = init_of(saved);
	const struct container_spec spec = {
		.id = "imported",
		.bundle = "/",
		.n_layers = saved->n_ro_layers,
		.n_disks = saved->n_reservations,
	};
	struct container_ctl *c;
	size_t i;
	int r;

	if (!init)
		return err_set(e, EINVAL, "no init process");
	r = check_count("layers of a container", spec.n_layers,
			CONTAINER_LAYERS_MAX, e);
	if (r == 0)
		r = check_count("disks of a container", spec.n_disks,
				CONTAINER_DISKS_MAX, e);
	if (r < 0)
		return r;
	c = container_ctl_new(p, &spec, e);
	if (!c)
		return err_code(e);
	/* In its pod from here on, so that it goes with the pod. */
	r = give_text(saved->id, &c->id, e);
	pod_ctl_insert(p, c);
	if (r == 0)
		r = give_text(saved->gcs_id, &c->gcs_id, e);
	if (r == 0)
		r = container_ctl_paths(c, e);
	if (r == 0)
		r = give_layers(c, s, saved, e);
	if (r < 0)
		return r;
	c->io_retry_s = (uint64_t)saved->io_retry.seconds;
	c->in_guest = true;
	c->network = container_ctl_is_sandbox(c) && p->network.namespace_id[0];
	c->state = CONTAINER_DESTINATION_MIGRATING;
	r = give_text(init->bundle, &c->bundle, e);
	if (r == 0)
		r = give_process(c->init, init, e);
	for (i = 0; i < saved->n_execs && r == 0; i++)
		r = give_exec(c, &saved->execs[i], e);
	return r;
}

static int give_pod(struct sandbox_ctl *s, const struct saved_pod *saved,
		    struct err *e)
{
	struct pod_ctl *p = sandbox_ctl_pod_make(s, "", "", "", e);
	size_t i;
	int r;

	if (!p)
		return -ENOMEM;
	r = give_text(saved->id, &p->id, e);
	sandbox_ctl_insert(s, p);
	if (r == 0)
		r = give_text(saved->gcs_id, &p->gcs_id, e);
	p->migrating = true;
	if (r == 0)
		r = check_count("containers of a pod", saved->n_containers,
				POD_CONTAINERS_MAX, e);
	if (r == 0)
		r = give_network(&p->network, &saved->network, e);
	for (i = 0; i < saved->n_containers && r == 0; i++)
		r = give_container(p, s, &saved->containers[i], e);
	return r;
}

/* --- devices --- */

/* Detached all of them, and known by who holds them. */
static int give_device(struct devices *d, const struct device_spec *spec,
		       enum saved_stage stage, const char *container,
		       struct err *e)
{
	int r = devices_hold(d, spec, container, e);
	struct device *x = devices_find(d, spec->kind, spec->id);

	if (r < 0 || !x)
		return r;
	x->stage = stage == SAVED_STAGE_MOUNTED	   ? DEVICE_MOUNTED
		   : stage == SAVED_STAGE_RESERVED ? DEVICE_RESERVED
						   : DEVICE_ATTACHED;
	x->detached = true;
	return 0;
}

static int give_vpci(struct devices *d, const struct saved_vm *saved,
		     struct saved_text id, const char *container, struct err *e)
{
	char guid[NAMES_GUID_SIZE];
	struct device_spec spec = { .kind = DEVICE_VPCI, .id = guid };
	char *host = NULL;
	size_t i;
	int r = give_guid(id, guid, e);

	for (i = 0; i < saved->n_vpci && r == 0; i++) {
		const struct saved_vpci *x = &saved->vpci[i];

		if (saved_compare_guid(x->vmbus_guid, id) != 0)
			continue;
		r = give_text(x->host_device, &host, e);
		spec.host = host;
		if (r == 0)
			r = give_device(d, &spec, x->stage, container, e);
		break;
	}
	free(host);
	return r;
}

static int give_share(struct devices *d, const struct saved_vm *saved,
		      struct saved_text id, const char *container,
		      struct err *e)
{
	char guid[NAMES_GUID_SIZE];
	struct device_spec spec = { .kind = DEVICE_PLAN9, .id = guid };
	char *host = NULL, *name = NULL, *path = NULL;
	size_t i;
	int r = give_guid(id, guid, e);

	for (i = 0; i < saved->n_shares && r == 0; i++) {
		const struct saved_share *x = &saved->shares[i];

		if (saved_compare_guid(x->reservation, id) != 0)
			continue;
		if (give_text(x->host_path, &host, e) < 0 ||
		    give_text(x->name, &name, e) < 0 ||
		    give_text(x->guest_path, &path, e) < 0) {
			r = err_code(e);
			break;
		}
		spec.host = host;
		spec.name = name;
		spec.guest_path = path;
		spec.read_only = x->read_only;
		r = give_device(d, &spec, x->stage, container, e);
		break;
	}
	free(host);
	free(name);
	free(path);
	return r;
}

static int give_devices(struct devices *d, const struct saved *s, struct err *e)
{
	size_t i, j, k;
	int r = 0;

	for (i = 0; i < s->n_pods; i++)
		for (j = 0; j < s->pods[i].n_containers && r == 0; j++) {
			const struct saved_container *c =
				&s->pods[i].containers[j];
			char *holder = NULL;

			r = give_text(c->gcs_id, &holder, e);
			for (k = 0; k < c->n_vpci_guids && r == 0; k++)
				r = give_vpci(d, &s->vm, c->vpci_guids[k],
					      holder, e);
			for (k = 0; k < c->n_share_reservations && r == 0; k++)
				r = give_share(d, &s->vm,
					       c->share_reservations[k], holder,
					       e);
			free(holder);
		}
	return r;
}

/* --- VM --- */

static int give_vm(struct sandbox_ctl *s, const struct saved_vm *saved,
		   struct err *e)
{
	struct vm_ctl *v = &s->vm;
	int r = 0;

	v->id = names_join("%s@vm", s->id);
	if (!v->id ||
	    vm_ctl_blob(saved->document.p, saved->document.n, &v->document) <
		    0 ||
	    vm_ctl_blob(saved->compat.p, saved->compat.n, &v->compat) < 0 ||
	    vm_ctl_blob(saved->annotation_lock.p, saved->annotation_lock.n,
			&v->annotation_lock) < 0 ||
	    vm_ctl_blob(saved->session.p, saved->session.n, &v->session) < 0)
		return err_set(e, ENOMEM, "import: no memory");
	v->document_len = saved->document.n;
	v->compat_len = saved->compat.n;
	v->annotation_lock_len = saved->annotation_lock.n;
	v->session_len = saved->session.n;
	v->options.no_writable_file_shares = saved->no_writable_file_shares;
	v->options.enable_scratch_encryption = saved->enable_scratch_encryption;
	v->options.policy_based_routing = saved->policy_based_routing;
	v->options.fully_physically_backed = saved->fully_physically_backed;
	r = give_text(saved->architecture, &v->options.architecture, e);
	v->next_port = saved->next_port;
	v->next_id = (uint64_t)saved->next_id;
	v->epoch = saved->epoch;
	if (r == 0 && saved->lease.n)
		r = give_text(saved->lease, &v->lease, e);
	if (saved->machine.n == sizeof(v->machine) - 1) /* as it was checked */
		memcpy(v->machine, saved->machine.p, saved->machine.n);
	v->migratable = true;
	v->is_destination = true;
	scsi_ctl_init(&v->scsi, saved->has_scsi ? saved->scsi.n_controllers : 1,
		      v->seams);
	if (r == 0 && saved->has_scsi)
		r = give_scsi(&v->scsi, &saved->scsi, e);
	scsi_ctl_freeze(&v->scsi);
	v->state = VM_DESTINATION_IMPORTED;
	return r;
}

int move_give(struct sandbox_ctl *s, const struct saved *saved, struct err *e)
{
	struct sandbox_ctl aside;
	struct pod_ctl *p;
	size_t i;
	int r = vm_ctl_check(&s->vm, VM_EV_IMPORT, e);

	if (r < 0)
		return r;
	if (s->pods)
		return err_set(e, EPRECONDITION, "there are pods already");
	r = sandbox_ctl_init(&aside, s->id, &s->seams, e);
	if (r < 0)
		return r;
	r = give_vm(&aside, &saved->vm, e);
	for (i = 0; i < saved->n_pods && r == 0; i++)
		r = give_pod(&aside, &saved->pods[i], e);
	if (r == 0)
		r = give_devices(&aside.vm.devices, saved, e);
	if (r == 0 && s->seams.guest->others_give)
		r = s->seams.guest->others_give(s->seams.guest_ctx, &saved->vm,
						e);
	if (r < 0) {
		sandbox_ctl_done(&aside);
		return r;
	}
	/* Nothing can fail any more: into place, with all that points back. */
	vm_ctl_done(&s->vm);
	s->vm = aside.vm;
	s->vm.seams = &s->seams;
	s->vm.sandbox = s;
	s->vm.scsi.seams = &s->seams;
	for (i = 0; i < SCSI_SLOTS_MAX; i++)
		if (s->vm.scsi.slot[i])
			s->vm.scsi.slot[i]->ctl = &s->vm.scsi;
	s->pods = aside.pods;
	s->n_pods = aside.n_pods;
	for (p = s->pods; p; p = p->next) {
		p->sandbox = s;
		p->network.seams = &s->seams;
	}
	free(aside.id);
	return 0;
}

/* --- the way back --- */

static void abort_pod(struct pod_ctl *p, uint64_t now)
{
	struct container_ctl *c, *next;

	for (c = p->containers; c; c = next) {
		next = c->next;
		if (c->state != CONTAINER_DESTINATION_MIGRATING)
			continue;
		if (!c->patched) {
			container_ctl_free(c); /* no task of this host */
			continue;
		}
		container_ctl_end_all(c, TASK_EXIT_ABORTED, now);
	}
	p->migrating = false;
}

void move_abort(struct sandbox_ctl *s)
{
	const uint64_t now = s->seams.now_ns(s->seams.now_ctx);
	struct pod_ctl *p, *next;

	for (p = s->pods; p; p = next) {
		next = p->next;
		network_ctl_vm_gone(&p->network);
		abort_pod(p, now);
		if (!p->containers)
			(void)sandbox_ctl_pod_delete(p, NULL);
	}
	scsi_ctl_vm_gone(&s->vm.scsi);
}
