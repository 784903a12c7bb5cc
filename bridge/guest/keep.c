#include "bridge/guest/keep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/guest/container.h"
#include "bridge/guest/network_object.h"
#include "bridge/guest/pack.h"
#include "bridge/guest/takeover.h"
#include "bridge/io/log.h"

/* Booleans of a container. */
#define KEEP_FLAGS 13

/* For bodies of any length: no memory that may be wanting, and of what was never
 * written none is used. */
static uint8_t body_room[SLOT_BODY_MAX];

static void put(struct agent *a, uint32_t *slot, enum slot_kind kind,
		const struct pack *p)
{
	const int r = p->bad ? -E2BIG
			     : slot_put(&a->slots, slot, kind, p->buf, p->at);

	if (r == 0 || a->unkept)
		return;
	a->unkept = true;
	log_err("no room for a record of kind=%u: what is too much would be "
		"lost with this agent",
		kind);
}

/* --- the agent itself --------------------------------------------------------- */

void keep_agent(struct agent *a)
{
	uint8_t body[KEEP_BODY_MAX];
	struct pack p = pack_write(body, sizeof(body));

	pack_put(&p, a->conn.number, 4);
	pack_put(&p, a->epoch, 4);
	pack_put(&p, a->containers.serial, 8);
	put(a, &a->slot, SLOT_AGENT, &p);
}

bool keep_agent_read(const struct slot_view *v, struct keep_agent *ret)
{
	struct pack p = pack_read(v->body, v->len);

	ret->number = unpack_u32(&p);
	ret->epoch = unpack_u32(&p);
	ret->serial = unpack(&p, 8);
	return !p.bad;
}

/* --- processes ---------------------------------------------------------------- */

void keep_process_put(struct agent *a, uint32_t *slot,
		      const struct keep_process *k)
{
	uint8_t body[KEEP_BODY_MAX];
	struct pack p = pack_write(body, sizeof(body));

	pack_put(&p, k->ticket, 8);
	pack_put(&p, k->number, 8);
	pack_put(&p, k->request, 8);
	pack_put(&p, k->serial, 8);
	pack_put(&p, k->pid, 4);
	pack_put(&p, k->exit_code, 4);
	pack_put(&p, k->told_on, 4);
	pack_put(&p, k->state, 1);
	pack_put(&p, k->init, 1);
	pack_put(&p, k->console, 1);
	pack_put(&p, k->carried, 1);
	for (int i = 0; i < MSG_STDIO; i++)
		pack_put(&p, k->port[i], 4);
	pack_put(&p, k->call, 8);
	put(a, slot, SLOT_PROCESS, &p);
}

bool keep_process_read(const struct slot_view *v, struct keep_process *ret)
{
	struct pack p = pack_read(v->body, v->len);

	ret->ticket = unpack(&p, 8);
	ret->number = unpack(&p, 8);
	ret->request = unpack(&p, 8);
	ret->serial = unpack(&p, 8);
	ret->pid = unpack_u32(&p);
	ret->exit_code = unpack_u32(&p);
	ret->told_on = unpack_u32(&p);
	ret->state = (enum process_state)unpack(&p, 1);
	ret->init = unpack_bool(&p);
	ret->console = unpack_bool(&p);
	ret->carried = v->version > 1 && unpack_bool(&p);
	for (int i = 0; i < MSG_STDIO; i++)
		ret->port[i] = v->version > 1 ? unpack_u32(&p) : 0;
	ret->call = v->version > 1 ? unpack(&p, 8) : 0;
	ret->runs = (uint32_t)v->word;
	if (ret->pid == 0 && ret->call == 0)
		ret->pid = ret->runs;
	return !p.bad && ret->state <= PROCESS_OVER;
}

/* Its copies of what the agent has closed keep a pipe or a terminal alive. */
static void withdraw(struct agent *a, struct process *p, bool forgotten)
{
	if (forgotten || (p->state == PROCESS_OVER && !p->init)) {
		/* Streams of the session see to their own. */
		pid1_withdraw(&a->pid1, p->number,
			      p->carried ? PROCESS_TERMINAL : CONTROL_ROLE_ALL);
		p->number = 0;
	} else if (p->console && p->terminal < 0 && p->number != 0) {
		pid1_withdraw(&a->pid1, p->number, PROCESS_TERMINAL);
	}
}

void keep_process(void *agent, struct process *p, bool forgotten)
{
	struct agent *a = agent;
	const struct keep_process k = {
		.ticket = p->ticket,
		.number = p->number,
		.request = p->request,
		.serial = p->container ? p->container->facts.serial : 0,
		.pid = (uint32_t)p->pid,
		.exit_code = p->exit_code,
		.told_on = p->told_on,
		.state = p->state,
		.init = p->init,
		.console = p->console,
		.carried = p->carried,
		.port = { p->port[0], p->port[1], p->port[2] },
	};

	if (forgotten)
		slot_drop(&a->slots, &p->slot);
	else
		keep_process_put(a, &p->slot, &k);
	withdraw(a, p, forgotten);
}

/* --- requests ----------------------------------------------------------------- */

void keep_request(struct agent *a, uint32_t *slot, const struct keep_request *k)
{
	uint8_t body[KEEP_BODY_MAX];
	struct pack w = pack_write(body, sizeof(body));

	pack_put(&w, k->to.id, 8);
	pack_put(&w, k->to.type, 4);
	pack_put(&w, k->to.conn, 4);
	pack_put(&w, k->to.keep, 8);
	pack_text(&w, k->to.activity);
	pack_put(&w, k->serial, 8);
	pack_put(&w, k->pid, 4);
	pack_put(&w, k->frame, 8);
	pack_put(&w, (uint64_t)k->until_ms, 8);
	pack_text(&w, k->container);
	put(a, slot, SLOT_REQUEST, &w);
}

void keep_wait(struct agent *a, struct request *r, const struct process *p,
	       int64_t until_ms)
{
	const struct keep_request k = {
		.to = r->to,
		.pid = (uint32_t)p->pid,
		.serial = p->container ? p->container->facts.serial : 0,
		.until_ms = until_ms,
	};

	keep_request(a, &r->slot, &k);
}

bool keep_request_read(const struct slot_view *v, struct keep_request *ret)
{
	struct pack p = pack_read(v->body, v->len);

	*ret = (struct keep_request){ 0 };
	ret->to.id = unpack(&p, 8);
	ret->to.type = unpack_u32(&p);
	ret->to.conn = unpack_u32(&p);
	ret->to.keep = unpack(&p, 8);
	unpack_name(&p, ret->to.activity, sizeof(ret->to.activity));
	ret->serial = unpack(&p, 8);
	ret->pid = unpack_u32(&p);
	if (v->version == 1)
		return !p.bad;
	ret->frame = unpack(&p, 8);
	ret->until_ms = (int64_t)unpack(&p, 8);
	unpack_name(&p, ret->container, sizeof(ret->container));
	return !p.bad;
}

/* --- the session -------------------------------------------------------------- */

void keep_session(struct agent *a)
{
	const struct session_id *id = &a->resume.session;
	uint8_t body[sizeof(*id)];
	struct pack w = pack_write(body, sizeof(body));

	pack_bytes(&w, id->id, sizeof(id->id));
	pack_bytes(&w, id->key, sizeof(id->key));
	put(a, &a->resume.slot, SLOT_SESSION, &w);
}

bool keep_session_read(const struct slot_view *v, struct session_id *ret)
{
	struct pack p = pack_read(v->body, v->len);

	unpack_bytes(&p, ret->id, sizeof(ret->id));
	unpack_bytes(&p, ret->key, sizeof(ret->key));
	return !p.bad;
}

void keep_stream(void *agent, struct stream *s, const struct carry_new *n)
{
	struct agent *a = agent;
	struct carry *c = s->carry;
	uint8_t body[KEEP_BODY_MAX];
	struct pack w = pack_write(body, sizeof(body));

	if (!n) {
		pid1_withdraw(&a->pid1, s->number, PROCESS_FILE + s->role);
		if (c->mid >= 0)
			pid1_withdraw(&a->pid1, s->number,
				      PROCESS_MID + s->role);
		slot_drop(&a->slots, &c->slot);
		return;
	}
	if (n->number != 0 && c->slot == 0) {
		pid1_deposit(&a->pid1, n->number, PROCESS_FILE + n->role,
			     c->file);
		if (n->tty)
			pid1_deposit(&a->pid1, n->number, n->role, s->end);
		if (c->mid >= 0)
			pid1_deposit(&a->pid1, n->number, PROCESS_MID + n->role,
				     c->mid);
		pack_put(&w, n->kind, 1);
		pack_put(&w, n->tty, 1);
		pack_put(&w, n->port, 4);
		pack_put(&w, n->number, 8);
		pack_put(&w, n->role, 4);
		pack_put(&w, n->serial, 8);
		pack_put(&w, n->pid, 4);
		put(a, &c->slot, SLOT_STREAM, &w);
	}
	c->word = slot_word(&a->slots, c->slot);
}

bool keep_stream_read(const struct slot_view *v, struct carry_new *ret)
{
	struct pack p = pack_read(v->body, v->len);

	*ret = (struct carry_new){
		.end = -1, .file = -1, .mid = -1, .slot = v->handle
	};
	ret->kind = (enum stream_kind)unpack(&p, 1);
	ret->tty = unpack_bool(&p);
	ret->port = unpack_u32(&p);
	ret->number = unpack(&p, 8);
	ret->role = unpack_u32(&p);
	ret->serial = unpack(&p, 8);
	ret->pid = unpack_u32(&p);
	return !p.bad && ret->kind <= STREAM_OUT && ret->role < MSG_STDIO;
}

/* --- volumes, policy ----------------------------------------------------------- */

void keep_volume(void *agent, struct volume *v, bool forgotten)
{
	struct agent *a = agent;
	uint8_t body[1 + sizeof(v->facts)];
	struct pack w = pack_write(body, sizeof(body));

	if (forgotten) {
		slot_drop(&a->slots, &v->slot);
		return;
	}
	pack_put(&w, v->there, 1);
	pack_bytes(&w, &v->facts, sizeof(v->facts));
	put(a, &v->slot, SLOT_VOLUME, &w);
}

bool keep_volume_read(const struct slot_view *v, struct volume_facts *ret,
		      bool *ret_there)
{
	struct pack p = pack_read(v->body, v->len);

	*ret_there = unpack_bool(&p);
	unpack_bytes(&p, ret, sizeof(*ret));
	/* All of it is our own, and of one layout. */
	ret->path[sizeof(ret->path) - 1] = '\0';
	return !p.bad && p.at == v->len && ret->kind < VOLUME_KINDS;
}

void keep_policy(struct agent *a)
{
	const size_t size = 2 * (size_t)POLICY_TEXT_MAX + 64;
	uint8_t *body = malloc(size);
	struct pack w = pack_write(body, body ? size : 0);
	uint32_t slot = 0; /* it is set once */

	pack_text(&w, a->policy.reference);
	pack_text(&w, a->policy.hash_envelope);
	put(a, &slot, SLOT_POLICY, &w);
	free(body);
}

void keep_policy_read(struct agent *a, const struct slot_view *v)
{
	struct pack p = pack_read(v->body, v->len);
	const char *reference = unpack_text(&p);
	const char *envelope = unpack_text(&p);

	a->policy.set = true;
	a->policy.deny = false;
	a->policy.reference = reference ? strdup(reference) : NULL;
	a->policy.hash_envelope = envelope ? strdup(envelope) : NULL;
	if (!a->policy.reference != !reference ||
	    !a->policy.hash_envelope != !envelope)
		takeover_again(a, "the policy", NULL);
}

/* --- networks ------------------------------------------------------------------ */

static void pack_adapter(struct pack *w, const struct network_adapter *a)
{
	const struct network_facts *f = &a->facts;

	pack_put(w, a->state, 1);
	pack_put(w, a->request, 8);
	pack_put(w, a->conn, 4);
	/* Of one layout, as a volume. */
	pack_bytes(w, f, offsetof(struct network_facts, address));
	pack_bytes(w, f->address, f->n_addresses * sizeof(f->address[0]));
	pack_bytes(w, f->route, f->n_routes * sizeof(f->route[0]));
	pack_text(w, f->search);
	pack_text(w, f->servers);
}

void keep_network(void *agent, struct network_record *r, bool forgotten)
{
	struct agent *a = agent;
	const uint64_t number = r->number;
	struct pack w = pack_write(body_room, sizeof(body_room));

	if (!a->slots.head)
		return;
	if (forgotten || r->netns < 0) {
		r->number = 0;
	} else if (number == 0) {
		r->number = pid1_number(&a->pid1);
		pid1_deposit(&a->pid1, r->number, 0, r->netns);
	}
	pack_text(&w, r->guid);
	pack_put(&w, r->assigned, 1);
	pack_put(&w, r->number, 8);
	for (struct list *p = r->adapters.next; p != &r->adapters; p = p->next)
		pack_adapter(&w, NETWORK_ADAPTER(p));
	if (forgotten)
		slot_drop(&a->slots, &r->slot);
	else
		put(a, &r->slot, SLOT_NETWORK, &w);
	if (number != 0 && r->number == 0)
		pid1_withdraw(&a->pid1, number, 0);
}

static bool unpack_adapter(struct pack *p, struct network_record *r)
{
	struct network_facts f;
	struct network_adapter *a;
	const uint64_t state = unpack(p, 1);
	const uint64_t request = unpack(p, 8);
	const uint32_t conn = unpack_u32(p);

	memset(&f, 0, sizeof(f));
	unpack_bytes(p, &f, offsetof(struct network_facts, address));
	f.id[sizeof(f.id) - 1] = '\0';
	f.name[sizeof(f.name) - 1] = '\0';
	if (f.n_addresses > NETWORK_ADDRESSES_MAX ||
	    f.n_routes > NETWORK_ROUTES_MAX || state >= NETWORK_ADAPTER_STATES)
		return false;
	unpack_bytes(p, f.address, f.n_addresses * sizeof(f.address[0]));
	unpack_bytes(p, f.route, f.n_routes * sizeof(f.route[0]));
	unpack_name(p, f.search, sizeof(f.search));
	unpack_name(p, f.servers, sizeof(f.servers));
	a = p->bad ? NULL : network_adapter_new(r, &f, NULL);
	if (!a)
		return false;
	a->state = (enum network_adapter_state)state;
	a->request = request;
	a->conn = conn;
	if (state == NETWORK_WAITS)
		network_adapter_waits(a);
	return true;
}

struct network_record *keep_network_read(struct agent *a,
					 const struct slot_view *v)
{
	struct pack p = pack_read(v->body, v->len);
	const char *guid = unpack_text(&p);
	const bool assigned = unpack_bool(&p);
	const uint64_t number = unpack(&p, 8);
	struct network_record *r =
		p.bad || !guid ? NULL
			       : network_record_get(&a->networks, guid, NULL);

	if (!r)
		return NULL;
	r->assigned = assigned;
	r->number = number;
	r->slot = v->handle;
	while (p.at < v->len)
		if (!unpack_adapter(&p, r)) {
			network_forget(&a->networks, r->guid);
			return NULL;
		}
	return r;
}

/* --- containers --------------------------------------------------------------- */

/* All texts of the facts, in the order of the body; some may be NULL. */
#define CONTAINER_TEXTS 11

static void texts_of(struct container_facts *f,
		     const char **ret[CONTAINER_TEXTS])
{
	const char **const all[CONTAINER_TEXTS] = {
		&f->bundle,	    &f->scratch,	  &f->sandbox_root,
		&f->oci.sandbox_id, &f->oci.sandbox_root, &f->oci.rootfs,
		&f->oci.cgroup,	    &f->oci.pod_cgroup,	  &f->oci.namespace,
		&f->oci.tee_log,    &f->oci.rlimits,
	};

	memcpy(ret, all, sizeof(all));
}

static void flags_of(struct container_facts *f, bool *ret[KEEP_FLAGS])
{
	bool *const all[KEEP_FLAGS] = {
		&f->host_network,     &f->has_user,
		&f->deleting,	      &f->told,
		&f->starting,	      &f->oci.virtual_pod,
		&f->oci.terminal,     &f->oci.owns_pid_namespace,
		&f->oci.host_network, &f->oci.skip_networking,
		&f->oci.privileged,   &f->oci.vsock,
		&f->oci.by_name,
	};

	memcpy(ret, all, sizeof(all));
}

static void pack_container(struct pack *p, struct container *c)
{
	struct container_facts *f = &c->facts;
	const char **text[CONTAINER_TEXTS];
	bool *flag[KEEP_FLAGS];

	texts_of(f, text);
	flags_of(f, flag);
	pack_text(p, f->id);
	pack_put(p, f->serial, 8);
	pack_put(p, f->number, 8);
	pack_put(p, f->state, 1);
	pack_put(p, f->exit, 1);
	pack_put(p, f->oci.kind, 1);
	pack_text(p, f->activity);
	pack_put(p, f->uid, 4);
	pack_put(p, f->gid, 4);
	pack_put(p, f->told_epoch, 4);
	pack_put(p, c->named_on, 4);
	pack_put(p, f->init_pid, 4);
	for (int i = 0; i < MSG_STDIO; i++)
		pack_put(p, f->port[i], 4);
	for (unsigned int i = 0; i < KEEP_FLAGS; i++)
		pack_put(p, *flag[i], 1);
	for (unsigned int i = 0; i < CONTAINER_TEXTS; i++)
		pack_text(p, *text[i]);
	pack_put(p, f->told_frame, 8);
}

void keep_container(struct container *c)
{
	struct pack p = pack_write(body_room, sizeof(body_room));

	if (!c->agent->slots.head)
		return;
	pack_container(&p, c);
	put(c->agent, &c->slot, SLOT_CONTAINER, &p);
}

static void unpack_container(struct pack *p, uint16_t version,
			     struct container *c)
{
	struct container_facts *f = &c->facts;
	const char **text[CONTAINER_TEXTS];
	bool *flag[KEEP_FLAGS];

	texts_of(f, text);
	flags_of(f, flag);
	f->serial = unpack(p, 8);
	f->number = unpack(p, 8);
	f->state = (enum container_state)unpack(p, 1);
	f->exit = (enum container_exit)unpack(p, 1);
	f->oci.kind = (enum oci_kind)unpack(p, 1);
	unpack_name(p, f->activity, sizeof(f->activity));
	f->uid = unpack_u32(p);
	f->gid = unpack_u32(p);
	f->told_epoch = unpack_u32(p);
	c->named_on = unpack_u32(p);
	f->init_pid = unpack_u32(p);
	for (int i = 0; i < MSG_STDIO; i++)
		f->port[i] = unpack_u32(p);
	for (unsigned int i = 0; i < KEEP_FLAGS; i++)
		*flag[i] = unpack_bool(p);
	for (unsigned int i = 0; i < CONTAINER_TEXTS; i++) {
		const char *t = unpack_text(p);

		*text[i] = container_string(c, t ? t : "");
		if (!*text[i])
			p->bad = true;
	}
	f->told_frame = version > 1 ? unpack(p, 8) : 0;
	if (f->state >= CONTAINER_STATES || f->exit > CONTAINER_FORCED ||
	    f->oci.kind > OCI_WORKLOAD)
		p->bad = true;
}

bool keep_name_read(const struct slot_view *v, struct keep_name *ret)
{
	struct pack p = pack_read(v->body, v->len);

	ret->id = unpack_text(&p);
	ret->serial = unpack(&p, 8);
	(void)unpack(&p, 8);
	ret->state = (enum container_state)unpack(&p, 1);
	return !p.bad && ret->id;
}

struct container *keep_container_read(struct agent *a,
				      const struct slot_view *v)
{
	struct pack p = pack_read(v->body, v->len);
	const char *id = unpack_text(&p);
	const uint64_t serial = a->containers.serial;
	struct container *c =
		!p.bad && id ? container_new(&a->containers, id) : NULL;

	if (!c)
		return NULL;
	unpack_container(&p, v->version, c);
	a->containers.serial =
		c->facts.serial > serial ? c->facts.serial : serial;
	if (!p.bad) {
		c->slot = v->handle;
		return c;
	}
	container_free(c);
	return NULL;
}
