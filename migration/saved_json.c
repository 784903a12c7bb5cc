#include "migration/saved_json.h"

#include <inttypes.h>
#include <string.h>

/* Writes members with their commas; one that is empty is taken back. */
struct json {
	struct text *out;
	bool first;
};

static void sep(struct json *j)
{
	if (!j->first)
		text_addc(j->out, ',');
	j->first = false;
}

static void string(struct json *j, struct saved_text t)
{
	size_t i;

	text_addc(j->out, '"');
	for (i = 0; i < t.n; i++) {
		const char c = t.p[i];

		if (c == '"' || c == '\\')
			text_addf(j->out, "\\%c", c);
		else if ((unsigned char)c < 0x20)
			text_addf(j->out, "\\u%04x", (unsigned)c);
		else
			text_addc(j->out, c);
	}
	text_addc(j->out, '"');
}

static void name(struct json *j, const char *n)
{
	sep(j);
	string(j, saved_text_of(n));
	text_addc(j->out, ':');
}

static void open(struct json *j, char c)
{
	text_addc(j->out, c);
	j->first = true;
}

static void close(struct json *j, char c)
{
	text_addc(j->out, c);
	j->first = false;
}

static void text(struct json *j, const char *n, struct saved_text t)
{
	if (t.n == 0)
		return;
	name(j, n);
	string(j, t);
}

static void flag(struct json *j, const char *n, bool v)
{
	if (!v)
		return;
	name(j, n);
	text_add(j->out, "true");
}

static void number(struct json *j, const char *n, int64_t v)
{
	if (v == 0)
		return;
	name(j, n);
	text_addf(j->out, "%" PRId64, v);
}

static void big(struct json *j, const char *n, int64_t v)
{
	if (v == 0)
		return;
	name(j, n);
	text_addf(j->out, "\"%" PRId64 "\"", v);
}

static void ubig(struct json *j, const char *n, uint64_t v)
{
	if (v == 0)
		return;
	name(j, n);
	text_addf(j->out, "\"%" PRIu64 "\"", v);
}

static void bytes(struct json *j, const char *n, struct saved_text t)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "abcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t i;

	if (t.n == 0)
		return;
	name(j, n);
	text_addc(j->out, '"');
	for (i = 0; i < t.n; i += 3) {
		const size_t left = t.n - i;
		const unsigned char *p = (const unsigned char *)t.p + i;
		const unsigned v = (unsigned)p[0] << 16 |
				   (left > 1 ? (unsigned)p[1] << 8 : 0) |
				   (left > 2 ? p[2] : 0u);

		text_addc(j->out, set[v >> 18]);
		text_addc(j->out, set[v >> 12 & 63]);
		text_addc(j->out, left > 1 ? set[v >> 6 & 63] : '=');
		text_addc(j->out, left > 2 ? set[v & 63] : '=');
	}
	text_addc(j->out, '"');
}

static void texts(struct json *j, const char *n, const struct saved_text *t,
		  size_t count)
{
	size_t i;

	if (count == 0)
		return;
	name(j, n);
	open(j, '[');
	for (i = 0; i < count; i++) {
		sep(j);
		string(j, t[i]);
	}
	close(j, ']');
}

static void duration(struct json *j, const struct saved_duration *d)
{
	if (!d->present)
		return;
	name(j, "ioRetryTimeout");
	if (d->nanos == 0)
		text_addf(j->out, "\"%" PRId64 "s\"", d->seconds);
	else if (d->nanos % 1000000 == 0)
		text_addf(j->out, "\"%" PRId64 ".%03ds\"", d->seconds,
			  d->nanos / 1000000);
	else if (d->nanos % 1000 == 0)
		text_addf(j->out, "\"%" PRId64 ".%06ds\"", d->seconds,
			  d->nanos / 1000);
	else
		text_addf(j->out, "\"%" PRId64 ".%09ds\"", d->seconds,
			  d->nanos);
}

static void type(struct json *j, const char *controller)
{
	open(j, '{');
	name(j, "@type");
	text_addf(
		j->out,
		"\"type.microsoft.com/hcsshim.controller.%s.save.v1.Payload\"",
		controller);
}

static void key_u64(struct json *j, uint64_t v)
{
	sep(j);
	text_addf(j->out, "\"%" PRIu64 "\":", v);
}

/* --- processes and containers --- */

static void stream(struct json *j, const struct saved_stream *s)
{
	sep(j);
	open(j, '{');
	number(j, "kept", (int64_t)s->kept.n);
	if (s->ended)
		ubig(j, "length", s->length);
	if (s->marked)
		ubig(j, "mark", s->mark);
	number(j, "port", s->port);
	ubig(j, "offset", s->offset);
	number(j, "unacknowledged", (int64_t)s->unacknowledged.n);
	close(j, '}');
}

static void process_extra(struct json *j, const struct saved_process *p)
{
	size_t unread = 0;
	size_t i;

	name(j, "ferry");
	open(j, '{');
	if (p->stage == SAVED_STAGE_STOPPED || p->exited_at_ns) {
		number(j, "exitStatus", p->exit_status);
		ubig(j, "exitedAtNs", p->exited_at_ns);
	}
	number(j, "stage", (int64_t)p->stage);
	ubig(j, "startedAtNs", p->started_at_ns);
	texts(j, "stdio", p->stdio,
	      p->stdio[0].n || p->stdio[1].n || p->stdio[2].n ? GUEST_STREAMS
							      : 0);
	flag(j, "terminal", p->terminal);
	if (p->n_streams) {
		name(j, "streams");
		open(j, '[');
		for (i = 0; i < p->n_streams; i++)
			stream(j, &p->streams[i]);
		close(j, ']');
	}
	for (i = 0; i < GUEST_STREAMS; i++)
		unread += p->unread[i].n;
	if (unread > 0)
		number(j, "unread", (int64_t)unread);
	close(j, '}');
}

static void process(struct json *j, const struct saved_process *p)
{
	type(j, "process");
	text(j, "bundle", p->bundle);
	text(j, "execId", p->exec_id);
	if (p->terminal || p->n_streams || p->stage || p->started_at_ns)
		process_extra(j, p);
	duration(j, &p->io_retry);
	bytes(j, "ociProcessSpecJson", p->document);
	number(j, "pid", p->pid);
	number(j, "schemaVersion", p->version);
	number(j, "stderrPort", p->port[GUEST_STDERR]);
	number(j, "stdinPort", p->port[GUEST_STDIN]);
	number(j, "stdoutPort", p->port[GUEST_STDOUT]);
	big(j, "waitCallId", p->wait_id);
	close(j, '}');
}

static void processes(struct json *j, const char *what,
		      const struct saved_process *p, size_t n)
{
	size_t i;

	if (n == 0)
		return;
	name(j, what);
	open(j, '[');
	for (i = 0; i < n; i++) {
		sep(j);
		process(j, &p[i]);
	}
	close(j, ']');
}

static void layer(struct json *j, const struct saved_layer *l)
{
	open(j, '{');
	text(j, "guestPath", l->guest_path);
	text(j, "reservationId", l->reservation);
	close(j, '}');
}

static void layers(struct json *j, const struct saved_container *c)
{
	size_t i;

	if (!c->has_layers)
		return;
	name(j, "layers");
	open(j, '{');
	flag(j, "layersCombined", c->layers_combined);
	if (c->n_ro_layers) {
		name(j, "roLayers");
		open(j, '[');
		for (i = 0; i < c->n_ro_layers; i++) {
			sep(j);
			layer(j, &c->ro_layers[i]);
		}
		close(j, ']');
	}
	text(j, "rootfsPath", c->rootfs);
	if (c->has_scratch) {
		name(j, "scratch");
		layer(j, &c->scratch);
	}
	close(j, '}');
}

static void container_extra(struct json *j, const struct saved_container *c)
{
	if (!c->stage && !c->exit_status && !c->exited_at_ns &&
	    !c->n_vpci_guids && !c->n_share_reservations && !c->n_execs)
		return;
	name(j, "ferry");
	open(j, '{');
	number(j, "stage", (int64_t)c->stage);
	number(j, "exitStatus", c->exit_status);
	ubig(j, "exitedAtNs", c->exited_at_ns);
	texts(j, "vpciGuids", c->vpci_guids, c->n_vpci_guids);
	texts(j, "shareReservationIds", c->share_reservations,
	      c->n_share_reservations);
	processes(j, "execs", c->execs, c->n_execs);
	close(j, '}');
}

static void container(struct json *j, const struct saved_container *c)
{
	size_t i;

	type(j, "linuxcontainer");
	text(j, "containerId", c->id);
	container_extra(j, c);
	text(j, "gcsContainerId", c->gcs_id);
	duration(j, &c->io_retry);
	layers(j, c);
	if (c->n_processes) {
		name(j, "processes");
		open(j, '{');
		for (i = 0; i < c->n_processes; i++) {
			sep(j);
			string(j, c->processes[i].key);
			text_addc(j->out, ':');
			process(j, &c->processes[i]);
		}
		close(j, '}');
	}
	number(j, "schemaVersion", c->version);
	texts(j, "scsiReservationIds", c->reservations, c->n_reservations);
	close(j, '}');
}

/* --- pods --- */

static void network(struct json *j, const struct saved_network *n)
{
	size_t i;

	type(j, "network");
	flag(j, "isNamespaceSupportedByGuest", n->guest_support);
	text(j, "namespaceId", n->namespace_id);
	flag(j, "policyBasedRouting", n->policy_based_routing);
	number(j, "schemaVersion", n->version);
	if (n->n_endpoints) {
		name(j, "vmEndpoints");
		open(j, '{');
		for (i = 0; i < n->n_endpoints; i++) {
			const struct saved_endpoint *x = &n->endpoints[i];

			sep(j);
			string(j, x->nic_id);
			text_addc(j->out, ':');
			open(j, '{');
			text(j, "endpointId", x->endpoint_id);
			text(j, "endpointName", x->name);
			text(j, "ferry", x->settings);
			text(j, "macAddress", x->mac);
			close(j, '}');
		}
		close(j, '}');
	}
	close(j, '}');
}

static void pod(struct json *j, const struct saved_pod *p)
{
	size_t i;

	type(j, "pod");
	if (p->n_containers) {
		name(j, "containers");
		open(j, '[');
		for (i = 0; i < p->n_containers; i++) {
			sep(j);
			container(j, &p->containers[i]);
		}
		close(j, ']');
	}
	text(j, "gcsPodId", p->gcs_id);
	name(j, "network");
	network(j, &p->network);
	text(j, "podId", p->id);
	number(j, "schemaVersion", p->version);
	close(j, '}');
}

/* --- disks --- */

static void mount(struct json *j, const struct saved_mount *m)
{
	open(j, '{');
	if (m->has_config) {
		name(j, "config");
		open(j, '{');
		flag(j, "blockDev", m->block_dev);
		flag(j, "encrypted", m->encrypted);
		flag(j, "ensureFilesystem", m->ensure_filesystem);
		text(j, "filesystem", m->filesystem);
		texts(j, "options", m->options, m->n_options);
		flag(j, "readOnly", m->read_only);
		close(j, '}');
	}
	if (m->stage) {
		name(j, "ferry");
		open(j, '{');
		number(j, "stage", (int64_t)m->stage);
		close(j, '}');
	}
	text(j, "guestPath", m->guest_path);
	number(j, "refCount", m->ref_count);
	close(j, '}');
}

static void disk(struct json *j, const struct saved_disk *d)
{
	size_t i;

	open(j, '{');
	if (d->has_config) {
		name(j, "config");
		open(j, '{');
		text(j, "evdType", d->evd_type);
		text(j, "hostPath", d->host_path);
		flag(j, "readOnly", d->read_only);
		text(j, "type", d->type);
		close(j, '}');
	}
	if (d->stage || d->boot) {
		name(j, "ferry");
		open(j, '{');
		flag(j, "boot", d->boot);
		number(j, "stage", (int64_t)d->stage);
		close(j, '}');
	}
	if (d->n_mounts) {
		name(j, "mounts");
		open(j, '{');
		for (i = 0; i < d->n_mounts; i++) {
			key_u64(j, d->mounts[i].partition);
			mount(j, &d->mounts[i]);
		}
		close(j, '}');
	}
	close(j, '}');
}

static void scsi(struct json *j, const struct saved_scsi *s)
{
	size_t i;

	type(j, "scsi");
	if (s->n_disks) {
		name(j, "disks");
		open(j, '{');
		for (i = 0; i < s->n_disks; i++) {
			key_u64(j, s->disks[i].slot);
			disk(j, &s->disks[i]);
		}
		close(j, '}');
	}
	number(j, "numControllers", s->n_controllers);
	if (s->n_reservations) {
		name(j, "reservations");
		open(j, '{');
		for (i = 0; i < s->n_reservations; i++) {
			sep(j);
			string(j, s->reservations[i].id);
			text_addc(j->out, ':');
			open(j, '{');
			ubig(j, "partition", s->reservations[i].partition);
			number(j, "slot", s->reservations[i].slot);
			close(j, '}');
		}
		close(j, '}');
	}
	number(j, "schemaVersion", s->version);
	close(j, '}');
}

/* --- VM --- */

static void vm_extra(struct json *j, const struct saved_vm *v)
{
	size_t i;

	if (!v->annotation_lock.n && !v->epoch && !v->producer.n &&
	    !v->n_vpci && !v->n_shares && !v->machine.n && !v->lease.n &&
	    !v->session.n && !v->n_processes)
		return;
	name(j, "ferry");
	open(j, '{');
	bytes(j, "annotationLock", v->annotation_lock);
	ubig(j, "epoch", v->epoch);
	text(j, "lease", v->lease);
	text(j, "machine", v->machine);
	processes(j, "processes", v->processes, v->n_processes);
	text(j, "producer", v->producer);
	/* Whoever has it can pose as this host: only that it is there. */
	number(j, "sessionBytes", (int64_t)v->session.n);
	if (v->n_shares) {
		name(j, "shares");
		open(j, '[');
		for (i = 0; i < v->n_shares; i++) {
			sep(j);
			open(j, '{');
			text(j, "guestPath", v->shares[i].guest_path);
			text(j, "hostPath", v->shares[i].host_path);
			text(j, "name", v->shares[i].name);
			flag(j, "readOnly", v->shares[i].read_only);
			number(j, "refCount", v->shares[i].ref_count);
			text(j, "reservationId", v->shares[i].reservation);
			number(j, "stage", (int64_t)v->shares[i].stage);
			close(j, '}');
		}
		close(j, ']');
	}
	if (v->n_vpci) {
		name(j, "vpci");
		open(j, '[');
		for (i = 0; i < v->n_vpci; i++) {
			sep(j);
			open(j, '{');
			text(j, "hostDevice", v->vpci[i].host_device);
			number(j, "stage", (int64_t)v->vpci[i].stage);
			text(j, "vmbusGuid", v->vpci[i].vmbus_guid);
			close(j, '}');
		}
		close(j, ']');
	}
	close(j, '}');
}

static void vm(struct json *j, const struct saved_vm *v)
{
	type(j, "vm");
	big(j, "bridgeNextId", v->next_id);
	bytes(j, "compatInfo", v->compat);
	vm_extra(j, v);
	number(j, "gcsNextPort", v->next_port);
	bytes(j, "hcsDocument", v->document);
	if (v->has_options) {
		name(j, "sandboxOptions");
		open(j, '{');
		text(j, "architecture", v->architecture);
		flag(j, "enableScratchEncryption",
		     v->enable_scratch_encryption);
		flag(j, "fullyPhysicallyBacked", v->fully_physically_backed);
		flag(j, "noWritableFileShares", v->no_writable_file_shares);
		flag(j, "policyBasedRouting", v->policy_based_routing);
		close(j, '}');
	}
	number(j, "schemaVersion", v->version);
	if (v->has_scsi) {
		name(j, "scsi");
		scsi(j, &v->scsi);
	}
	text(j, "vmId", v->id);
	close(j, '}');
}

void saved_json(const struct saved *s, struct text *out)
{
	struct json j = { out, true };
	size_t i;

	type(&j, "migration");
	if (s->n_pods) {
		name(&j, "pods");
		open(&j, '[');
		for (i = 0; i < s->n_pods; i++) {
			sep(&j);
			pod(&j, &s->pods[i]);
		}
		close(&j, ']');
	}
	number(&j, "schemaVersion", s->version);
	name(&j, "vm");
	vm(&j, &s->vm);
	close(&j, '}');
}
