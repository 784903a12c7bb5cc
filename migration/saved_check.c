/*
 * The rules about content, S8 to S62, on what was decoded. Lists are sorted by
 * their keys, so that a key that occurs twice has its like beside it and
 * references are found by halving.
 */
#include <stdlib.h>
#include <string.h>

#include "bridge/json_check.h"
#include "migration/lease.h"
#include "migration/names.h"
#include "migration/saved_codec.h"

#define LUNS 64u
#define CONTROLLERS_MAX 4u

struct check {
	struct saved_reader *r;
	struct saved *s;
};

#define refuse(c, rule, code, ...) saved_refuse((c)->r, rule, code, __VA_ARGS__)

static int check_id(struct check *c, const char *what, struct saved_text t)
{
	if (names_id_ok(t.p, t.n))
		return 0;
	return refuse(c, "S9", EINVAL, "%s: want 1 to %u bytes without '/'",
		      what, NAMES_ID_MAX);
}

static int check_path(struct check *c, const char *what, struct saved_text t)
{
	if (names_path_ok(t.p, t.n))
		return 0;
	return refuse(c, "S10", EINVAL,
		      "%s: want an absolute path without '.' and '..'", what);
}

static int check_duration(struct check *c, const struct saved_duration *d)
{
	if (d->seconds < 0 || d->seconds > SAVED_SECONDS_MAX || d->nanos < 0 ||
	    d->nanos > 999999999)
		return refuse(c, "S12", EINVAL, "io_retry_timeout is no time");
	return 0;
}

/* --- VM --- */

static int check_document(struct check *c, struct saved_text t)
{
	size_t i = 0;

	while (i < t.n && (t.p[i] == ' ' || t.p[i] == '\t' || t.p[i] == '\n' ||
			   t.p[i] == '\r'))
		i++;
	if (i < t.n && t.p[i] == '{' && json_check(t.p, t.n, NULL) == 0)
		return 0;
	return refuse(c, "S14", EINVAL, "hcs_document is no JSON object");
}

/* A lease without a machine could be anybody's. */
static int check_lease(struct check *c, const struct saved_vm *v)
{
	if (v->machine.n == 0 && v->lease.n == 0)
		return 0;
	if (!lease_machine_ok(v->machine.p, v->machine.n))
		return refuse(c, "S9", EINVAL,
			      "machine: want %u hexadecimal digits",
			      LEASE_MACHINE_SIZE - 1);
	if (v->lease.n == 0)
		return 0;
	if (v->lease.n > LEASE_PATH_MAX)
		return refuse(c, "S10", EINVAL, "lease: more than %u bytes",
			      LEASE_PATH_MAX);
	if (v->epoch == 0)
		return refuse(c, "S9", EINVAL, "a lease without an epoch");
	return check_path(c, "lease", v->lease);
}

static int check_vm(struct check *c)
{
	const struct saved_vm *v = &c->s->vm;

	if (v->document.n > SAVED_BLOB_MAX)
		return refuse(c, "S1", EEXHAUSTED, "hcs_document is too long");
	if (v->compat.n > SAVED_BLOB_MAX)
		return refuse(c, "S1", EEXHAUSTED, "compat_info is too long");
	if (check_id(c, "vm_id", v->id) < 0 ||
	    check_document(c, v->document) < 0 || check_lease(c, v) < 0)
		return err_code(c->r->e);
	if (v->next_id < 0)
		return refuse(c, "S17", EINVAL, "bridge_next_id is negative");
	if (v->architecture.n > 0 && c->r->architecture &&
	    !saved_equal_text(v->architecture,
			      saved_text_of(c->r->architecture)))
		return refuse(c, "S15", EPRECONDITION,
			      "architecture: this host is %s",
			      c->r->architecture);
	return 0;
}

/* --- disks --- */

static int check_mount(struct check *c, const struct saved_mount *m,
		       const struct saved_mount *before)
{
	if (before && before->partition == m->partition)
		return refuse(c, "S8", EINVAL, "a partition occurs twice");
	if (!m->has_config || m->guest_path.n == 0)
		return refuse(c, "S24", EINVAL,
			      "mount without configuration or path");
	return check_path(c, "guest_path", m->guest_path);
}

static bool is_text(struct saved_text t, const char *s)
{
	return saved_equal_text(t, saved_text_of(s));
}

static int check_type(struct check *c, const struct saved_disk *d)
{
	if (is_text(d->type, "ExtensibleVirtualDisk"))
		return refuse(c, "S23", EPRECONDITION,
			      "disks of a provider cannot move here");
	if (!is_text(d->type, "VirtualDisk") && !is_text(d->type, "PassThru"))
		return refuse(c, "S23", EINVAL, "type of the disk");
	if (d->evd_type.n > 0)
		return refuse(c, "S23", EINVAL,
			      "evd_type of a disk without provider");
	return 0;
}

static int check_disk(struct check *c, const struct saved_disk *d,
		      const struct saved_disk *before)
{
	const struct saved_scsi *scsi = &c->s->vm.scsi;
	size_t i;
	int ok;

	if (before && before->slot == d->slot)
		return refuse(c, "S8", EINVAL, "the slot occurs twice");
	if (d->slot >= scsi->n_controllers * LUNS)
		return refuse(c, "S21", EINVAL, "no such slot");
	if (!d->has_config)
		return refuse(c, "S22", EINVAL, "no configuration");
	ok = check_path(c, "host_path", d->host_path);
	if (ok == 0)
		ok = check_type(c, d);
	for (i = 0; i < d->n_mounts && ok == 0; i++)
		ok = check_mount(c, &d->mounts[i],
				 i > 0 ? &d->mounts[i - 1] : NULL);
	return ok;
}

static int check_paths_differ(struct check *c)
{
	const struct saved_scsi *s = &c->s->vm.scsi;
	size_t i, j;

	for (i = 0; i < s->n_disks; i++) /* not more than there are slots */
		for (j = 0; j < i; j++)
			if (saved_equal_text(s->disks[i].host_path,
					     s->disks[j].host_path))
				return refuse(c, "S22", EINVAL,
					      "disks %u and %u have one path",
					      s->disks[j].slot,
					      s->disks[i].slot);
	return 0;
}

static int by_slot(const void *a, const void *b)
{
	const struct saved_disk *x = a, *y = b;

	return x->slot < y->slot ? -1 : x->slot > y->slot;
}

static int by_partition(const void *a, const void *b)
{
	const struct saved_mount *x = a, *y = b;

	return x->partition < y->partition ? -1 : x->partition > y->partition;
}

static struct saved_mount *mount_of(const struct saved_scsi *s,
				    const struct saved_reservation *r)
{
	const struct saved_disk disk = { .slot = r->slot };
	const struct saved_mount mount = { .partition = r->partition };
	const struct saved_disk *d =
		s->n_disks ? bsearch(&disk, s->disks, s->n_disks, sizeof(disk),
				     by_slot)
			   : NULL;

	if (!d || d->n_mounts == 0)
		return NULL;
	return bsearch(&mount, d->mounts, d->n_mounts, sizeof(mount),
		       by_partition);
}

static int check_reservations(struct check *c)
{
	struct saved_scsi *s = &c->s->vm.scsi;
	struct saved_mount *m;
	size_t i, j;

	for (i = 0; i < s->n_reservations; i++) {
		struct saved_reservation *r = &s->reservations[i];

		if (!names_guid_ok(r->id.p, r->id.n))
			return refuse(c, "S11", EINVAL,
				      "reservation without a GUID");
		if (i > 0 && saved_compare_guid(r->id, r[-1].id) == 0)
			return refuse(c, "S8", EINVAL,
				      "reservation %.36s occurs twice",
				      r->id.p);
		m = mount_of(s, r);
		if (!m)
			return refuse(c, "S25", EINVAL,
				      "reservation %.36s holds nothing",
				      r->id.p);
		m->holders++;
	}
	for (i = 0; i < s->n_disks; i++)
		for (j = 0; j < s->disks[i].n_mounts; j++) {
			m = &s->disks[i].mounts[j];
			if (m->ref_count == 0 || m->ref_count != m->holders)
				return refuse(
					c, "S26", EINVAL,
					"disk %u: ref_count %u, held by %u",
					s->disks[i].slot, m->ref_count,
					m->holders);
		}
	return 0;
}

static int check_scsi(struct check *c)
{
	const struct saved_scsi *s = &c->s->vm.scsi;
	size_t i;

	if (!c->s->vm.has_scsi)
		return 0;
	if (s->n_controllers < 1 || s->n_controllers > CONTROLLERS_MAX)
		return refuse(c, "S20", EINVAL, "%u controllers",
			      s->n_controllers);
	for (i = 0; i < s->n_disks; i++)
		if (check_disk(c, &s->disks[i],
			       i > 0 ? &s->disks[i - 1] : NULL) < 0)
			return err_wrap(c->r->e, "disks[%u]", s->disks[i].slot);
	if (check_paths_differ(c) < 0)
		return err_code(c->r->e);
	return check_reservations(c);
}

/* --- pods --- */

static int by_guid(const void *a, const void *b)
{
	const struct saved_reservation *x = a, *y = b;

	return saved_compare_guid(x->id, y->id);
}

static int check_reference(struct check *c, struct saved_text id)
{
	const struct saved_scsi *s = &c->s->vm.scsi;
	const struct saved_reservation key = { .id = id };
	struct saved_reservation *r = NULL;

	if (!names_guid_ok(id.p, id.n))
		return refuse(c, "S11", EINVAL, "reference is no GUID");
	if (s->n_reservations > 0)
		r = bsearch(&key, s->reservations, s->n_reservations,
			    sizeof(key), by_guid);
	if (!r)
		return refuse(c, "S50", EINVAL, "no reservation %.36s", id.p);
	if (r->referenced)
		return refuse(c, "S52", EINVAL,
			      "reservation %.36s is used twice", id.p);
	r->referenced = true;
	return 0;
}

static int check_layer(struct check *c, const struct saved_layer *l)
{
	int ok = check_reference(c, l->reservation);

	return ok < 0 ? ok : check_path(c, "guest_path", l->guest_path);
}

static int check_layers(struct check *c, const struct saved_container *x)
{
	size_t i;
	int ok;

	if (!x->has_layers)
		return 0;
	if (!x->has_scratch)
		return refuse(c, "S51", EINVAL, "layers without scratch");
	ok = check_layer(c, &x->scratch);
	for (i = 0; i < x->n_ro_layers && ok == 0; i++)
		ok = check_layer(c, &x->ro_layers[i]);
	return ok < 0 ? ok : check_path(c, "rootfs_path", x->rootfs);
}

static int check_port(struct check *c, uint32_t port)
{
	if (port == 0)
		return 0;
	if (port < SAVED_PORT_FIRST || port > SAVED_PORT_LAST)
		return refuse(c, "S62", EINVAL, "port %u", port);
	if (port >= c->s->vm.next_port)
		return refuse(c, "S16", EINVAL,
			      "port %u is not below gcs_next_port", port);
	return 0;
}

static bool is_stopped(const struct saved_process *p)
{
	return p->stage == SAVED_STAGE_STOPPED;
}

static int check_process(struct check *c, const struct saved_process *p)
{
	size_t i;

	if (p->document.n > SAVED_BLOB_MAX)
		return refuse(c, "S1", EEXHAUSTED,
			      "oci_process_spec_json is too long");
	if (!saved_equal_text(p->key, p->exec_id))
		return refuse(c, "S54", EINVAL, "key and exec_id differ");
	if (p->pid <= 0)
		return refuse(c, "S60", EINVAL, "pid %d", p->pid);
	if (p->stage != SAVED_STAGE_DEFAULT &&
	    p->stage != SAVED_STAGE_RUNNING && !is_stopped(p))
		return refuse(c, "S3", EINVAL, "stage %d", (int)p->stage);
	if (is_stopped(p) && (p->key.n == 0 || p->wait_id != 0))
		return refuse(c, "S61", EINVAL, "it has stopped, or has not");
	if (p->wait_id <= 0 && !is_stopped(p))
		return refuse(c, "S61", EINVAL, "no wait_call_id");
	if (p->wait_id >= c->s->vm.next_id)
		return refuse(c, "S17", EINVAL,
			      "wait_call_id is not below bridge_next_id");
	if (check_duration(c, &p->io_retry) < 0)
		return err_code(c->r->e);
	for (i = 0; i < GUEST_STREAMS; i++)
		if (check_port(c, p->port[i]) < 0)
			return err_code(c->r->e);
	return saved_check_streams(c->r, p);
}

/* Those that only ferry knows: each has a name, and only one. */
static int check_others(struct check *c, const struct saved_process *p,
			size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (check_id(c, "exec_id", p[i].exec_id) < 0 ||
		    check_process(c, &p[i]) < 0)
			return err_wrap(c->r->e, "[%zu]", i);
		if (i > 0 && saved_equal_text(p[i].key, p[i - 1].key))
			return refuse(c, "S8", EINVAL,
				      "a process occurs twice");
	}
	return 0;
}

static int check_processes(struct check *c, const struct saved_container *x)
{
	size_t i;

	if (x->n_processes == 0 || x->processes[0].key.n != 0)
		return refuse(c, "S53", EINVAL, "no init process");
	for (i = 0; i < x->n_processes; i++) {
		if (i > 0 && saved_equal_text(x->processes[i].key,
					      x->processes[i - 1].key))
			return refuse(c, "S8", EINVAL,
				      "a process occurs twice");
		if (check_process(c, &x->processes[i]) < 0)
			return err_wrap(c->r->e, "processes[%zu]", i);
	}
	if (x->n_processes > 1)
		return refuse(c, "S55", EPRECONDITION,
			      "processes beside init cannot move");
	return check_others(c, x->execs, x->n_execs) < 0
		       ? err_wrap(c->r->e, "execs")
		       : 0;
}

static int check_container(struct check *c, const struct saved_container *x)
{
	size_t i;

	if (check_id(c, "container_id", x->id) < 0 ||
	    check_id(c, "gcs_container_id", x->gcs_id) < 0 ||
	    check_duration(c, &x->io_retry) < 0 || check_layers(c, x) < 0)
		return err_code(c->r->e);
	for (i = 0; i < x->n_reservations; i++)
		if (check_reference(c, x->reservations[i]) < 0)
			return err_code(c->r->e);
	return check_processes(c, x);
}

static int check_network(struct check *c, const struct saved_network *n)
{
	size_t i;

	for (i = 0; i < n->n_endpoints; i++) {
		const struct saved_endpoint *x = &n->endpoints[i];

		if (!names_guid_ok(x->nic_id.p, x->nic_id.n) ||
		    x->endpoint_id.n == 0)
			return refuse(c, "S40", EINVAL,
				      "endpoint without a GUID or an id");
		if (i > 0 && saved_compare_guid(x->nic_id, x[-1].nic_id) == 0)
			return refuse(c, "S8", EINVAL, "a NIC occurs twice");
	}
	if (n->n_endpoints > 0 && n->namespace_id.n == 0)
		return refuse(c, "S41", EINVAL,
			      "endpoints without a namespace");
	return 0;
}

static int check_pod(struct check *c, const struct saved_pod *p,
		     const struct saved_pod *before)
{
	bool sandbox = false;
	size_t i;

	if (check_id(c, "pod_id", p->id) < 0 ||
	    check_id(c, "gcs_pod_id", p->gcs_id) < 0)
		return err_code(c->r->e);
	if (before && saved_equal_text(before->id, p->id))
		return refuse(c, "S31", EINVAL, "the pod occurs twice");
	if (check_network(c, &p->network) < 0)
		return err_wrap(c->r->e, "network");
	for (i = 0; i < p->n_containers; i++) {
		if (check_container(c, &p->containers[i]) < 0)
			return err_wrap(c->r->e, "containers[%zu]", i);
		sandbox |= saved_equal_text(p->containers[i].id, p->id);
	}
	if (!sandbox)
		return refuse(c, "S33", EINVAL, "no sandbox container");
	return 0;
}

/* --- what is unique in the whole envelope --- */

static int by_text(const void *a, const void *b)
{
	return saved_compare(*(const struct saved_text *)a,
			     *(const struct saved_text *)b);
}

static int by_number(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static bool texts_twice(struct saved_text *t, size_t n)
{
	size_t i;

	qsort(t, n, sizeof(*t), by_text);
	for (i = 1; i < n; i++)
		if (saved_equal_text(t[i - 1], t[i]))
			return true;
	return false;
}

static bool numbers_twice(uint64_t *v, size_t n)
{
	size_t i;

	qsort(v, n, sizeof(*v), by_number);
	for (i = 1; i < n; i++)
		if (v[i - 1] == v[i])
			return true;
	return false;
}

struct gathered {
	struct saved_text *ids, *gcs_ids;
	size_t n;
	uint64_t *waits, *ports;
	size_t n_waits, n_ports;
};

static void gather_process(struct gathered *g, const struct saved_process *p)
{
	size_t i;

	if (p->wait_id > 0)
		g->waits[g->n_waits++] = (uint64_t)p->wait_id;
	for (i = 0; i < GUEST_STREAMS; i++)
		if (p->port[i] != 0)
			g->ports[g->n_ports++] = p->port[i];
}

static void gather(struct gathered *g, const struct saved_container *x)
{
	size_t i;

	g->ids[g->n] = x->id;
	g->gcs_ids[g->n++] = x->gcs_id;
	for (i = 0; i < x->n_processes; i++)
		gather_process(g, &x->processes[i]);
	for (i = 0; i < x->n_execs; i++)
		gather_process(g, &x->execs[i]);
}

static int check_unique(struct check *c)
{
	size_t i, j, containers = 0, processes = c->s->vm.n_processes;
	struct gathered g = { 0 };

	for (i = 0; i < c->s->n_pods; i++)
		for (j = 0; j < c->s->pods[i].n_containers; j++) {
			containers++;
			processes += c->s->pods[i].containers[j].n_processes +
				     c->s->pods[i].containers[j].n_execs;
		}
	g.ids = saved_many(c->r, containers, sizeof(*g.ids));
	g.gcs_ids = saved_many(c->r, containers, sizeof(*g.gcs_ids));
	g.waits = saved_many(c->r, processes, sizeof(*g.waits));
	g.ports = saved_many(c->r, processes, GUEST_STREAMS * sizeof(*g.ports));
	if (!g.ids || !g.gcs_ids || !g.waits || !g.ports)
		return -EEXHAUSTED;
	for (i = 0; i < c->s->n_pods; i++)
		for (j = 0; j < c->s->pods[i].n_containers; j++)
			gather(&g, &c->s->pods[i].containers[j]);
	for (i = 0; i < c->s->vm.n_processes; i++)
		gather_process(&g, &c->s->vm.processes[i]);
	if (texts_twice(g.ids, g.n) || texts_twice(g.gcs_ids, g.n))
		return refuse(c, "S32", EINVAL, "a container id occurs twice");
	if (numbers_twice(g.waits, g.n_waits))
		return refuse(c, "S61", EINVAL, "a wait_call_id occurs twice");
	if (numbers_twice(g.ports, g.n_ports))
		return refuse(c, "S62", EINVAL, "a port is used twice");
	return 0;
}

int saved_check(struct saved_reader *r, struct saved *s)
{
	struct check c = { r, s };
	size_t i;

	if (check_vm(&c) < 0 ||
	    check_others(&c, s->vm.processes, s->vm.n_processes) < 0)
		return err_wrap(r->e, "vm");
	if (check_scsi(&c) < 0)
		return err_wrap(r->e, "vm.scsi");
	for (i = 0; i < s->n_pods; i++)
		if (check_pod(&c, &s->pods[i], i > 0 ? &s->pods[i - 1] : NULL) <
		    0)
			return err_wrap(r->e, "pods[%zu]", i);
	if (saved_check_devices(r, s) < 0)
		return err_code(r->e);
	return check_unique(&c);
}
