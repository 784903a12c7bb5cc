/* The resources of ModifySettings, and which operations are in each other's
 * way. See modify.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/guest/disk.h"
#include "bridge/guest/dispatch.h"
#include "bridge/guest/layers.h"
#include "bridge/guest/keep.h"
#include "bridge/guest/modifyop.h"
#include "bridge/guest/plan9.h"
#include "bridge/guest/reply.h"
#include "bridge/guest/scsi.h"
#include "bridge/guest/vpci.h"
#include "bridge/guest/vpmem.h"
#include "bridge/hresult.h"
#include "config/util.h"

#define VERB(v) (1u << (v))
#define ADD_REMOVE (VERB(MODIFY_ADD) | VERB(MODIFY_REMOVE))

/* --- order ----------------------------------------------------------------- */

/* Is one path the other, or above it? */
static bool related(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (*a == '\0' && (*b == '\0' || *b == '/')) ||
	       (*b == '\0' && *a == '/');
}

bool modify_conflict(const struct modify_op *later,
		     const struct modify_op *earlier)
{
	if (later->disk != MODIFY_NO_DISK && later->disk == earlier->disk)
		return true;
	for (size_t i = 0; i < later->n_keys; i++) {
		const struct modify_key *k = &later->key[i];

		for (size_t j = 0; j < earlier->n_keys; j++) {
			if ((k->write || earlier->key[j].write) &&
			    related(k->path, earlier->key[j].path))
				return true;
		}
	}
	return false;
}

/* The path of the facts, written. */
static int key_of_path(struct modify_op *op, struct err *e)
{
	op->key = arena_array(&op->arena, 1, sizeof(*op->key));
	if (!op->key)
		return err_set(e, ENOMEM, "no memory for an operation");
	op->key[0] = (struct modify_key){ op->facts.path, true };
	op->n_keys = 1;
	return 0;
}

static int disk_key(uint8_t controller, uint8_t lun)
{
	return controller << 8 | lun;
}

/* --- disks ----------------------------------------------------------------- */

static int check_disk(struct modify_op *op, struct err *e)
{
	const struct msg_mapped_virtual_disk *m = &op->settings.disk;
	const bool add = op->verb == MODIFY_ADD;
	int r;

	if (m->mount_path[0] == '\0' && m->controller < SCSI_CONTROLLERS)
		return 1;
	r = disk_check(m, add, &op->facts, e);
	if (r < 0)
		return r;
	op->disk = disk_key(m->controller, m->lun);
	op->wait_ms = add ? op->all->env.wait_ms : 0;
	op->make_ms = add && (m->ensure_filesystem || m->encrypted)
			      ? op->all->make_ms
			      : 0;
	return key_of_path(op, e);
}

static int run_disk(const struct volume_env *env, struct modify_op *op,
		    struct err *e)
{
	return disk_add(env, &op->settings.disk, &op->facts, e);
}

static int check_scsi(struct modify_op *op, struct err *e)
{
	const struct msg_scsi_device *m = &op->settings.scsi;

	if (m->controller >= SCSI_CONTROLLERS)
		return err_set(e, EINVAL, "Controller: %u, there are %u",
			       m->controller, SCSI_CONTROLLERS);
	op->disk = disk_key(m->controller, m->lun);
	return 0;
}

static int run_scsi(const struct volume_env *env, struct modify_op *op,
		    struct err *e)
{
	return scsi_unplug(env, op->settings.scsi.controller,
			   op->settings.scsi.lun, e);
}

/* --- layers ---------------------------------------------------------------- */

static int check_layers(struct modify_op *op, struct err *e)
{
	const struct msg_combined_layers *m = &op->settings.layers;
	const bool add = op->verb == MODIFY_ADD;
	int r = layers_check(m, add, &op->facts, e);
	size_t n = 0;

	if (r < 0)
		return r;
	op->key = arena_array(&op->arena, m->n_layers + 2, sizeof(*op->key));
	if (!op->key)
		return err_set(e, ENOMEM, "no memory for an operation");
	op->key[n++] = (struct modify_key){ op->facts.path, true };
	if (op->facts.scratch[0])
		op->key[n++] = (struct modify_key){ op->facts.scratch, true };
	for (size_t i = 0; add && i < m->n_layers; i++)
		op->key[n++] = (struct modify_key){ m->layer[i].path, false };
	op->n_keys = n;
	return 0;
}

static int run_layers(const struct volume_env *env, struct modify_op *op,
		      struct err *e)
{
	return layers_add(env, &op->settings.layers, &op->facts, e);
}

/* --- 9p, pmem, PCI --------------------------------------------------------- */

static int check_plan9(struct modify_op *op, struct err *e)
{
	const int r = plan9_check(&op->settings.plan9, op->verb == MODIFY_ADD,
				  &op->facts, e);

	return r < 0 ? r : key_of_path(op, e);
}

static int run_plan9(const struct volume_env *env, struct modify_op *op,
		     struct err *e)
{
	return plan9_add(env, &op->settings.plan9, &op->facts, e);
}

static int check_vpmem(struct modify_op *op, struct err *e)
{
	const int r = vpmem_check(&op->settings.vpmem, &op->facts, e);

	op->wait_ms = op->verb == MODIFY_ADD ? op->all->env.wait_ms : 0;
	return r < 0 ? r : key_of_path(op, e);
}

static int run_vpmem(const struct volume_env *env, struct modify_op *op,
		     struct err *e)
{
	return vpmem_add(env, &op->facts, e);
}

static int check_vpci(struct modify_op *op, struct err *e)
{
	op->wait_ms = op->all->env.wait_ms;
	return vpci_check(&op->settings.vpci, e);
}

static int run_vpci(const struct volume_env *env, struct modify_op *op,
		    struct err *e)
{
	return vpci_wait(env, &op->settings.vpci, e);
}

/* --- others ---------------------------------------------------------------- */

static void answer(struct call *c, int result, const struct err *e)
{
	if (result < 0)
		(void)reply_error(c->agent, &c->to, HR_FAIL, "%s", e->text);
	else
		(void)reply_ok(c->agent, &c->to);
}

/* A change of the network in progress. */
struct change {
	struct agent *agent;
	struct request *request; /* NULL: nobody waits for the answer */
};

static void on_change_drop(struct request *r)
{
	struct change *x = r->ctx;

	x->request = NULL;
}

static void on_change(void *ctx, int result, const struct err *why)
{
	struct change *x = ctx;
	struct call c = { .agent = x->agent };

	if (x->request) {
		c.to = x->request->to;
		answer(&c, result, why);
		request_free(&x->agent->requests, x->request);
	}
	free(x);
}

/* @r: NULL: there was no room for it */
static struct change *change_new(struct agent *a, struct request *r)
{
	struct change *x = r ? calloc(1, sizeof(*x)) : NULL;

	if (!x)
		return NULL;
	*x = (struct change){ .agent = a, .request = r };
	r->ctx = x;
	r->on_drop = on_change_drop;
	return x;
}

bool modify_network_asked(struct modify *all, struct request *r)
{
	struct agent *a = all->agent;
	struct change *x = change_new(a, r);

	if (x && network_asked(&a->networks, &r->to, on_change, x))
		return true;
	r->on_drop = NULL;
	free(x);
	return false;
}

static void network(struct call *c, enum modify_verb verb,
		    const union modify_settings *s)
{
	struct agent *a = c->agent;
	struct request *request = request_new(&a->requests, &c->to);
	struct change *x = change_new(a, request);
	struct err e = { 0 };
	int r;

	if (!x) {
		if (request)
			request_free(&a->requests, request);
		(void)reply_error(a, &c->to, HR_FAIL,
				  "Network: no memory, or too many requests");
		return;
	}
	r = network_modify(&a->networks, verb == MODIFY_ADD ? "Add" : "Remove",
			   &s->network, &c->to, on_change, x, &e);
	if (r < 0)
		on_change(x, err_wrap(&e, "Network"), &e);
}

static void pod_limit(struct call *c, enum modify_verb verb,
		      const union modify_settings *s)
{
	struct err e = { 0 };

	(void)verb;
	(void)s;
	answer(c, cgroup_pods_limit(&c->agent->cgroups, &e), &e);
}

static void policy(struct call *c, enum modify_verb verb,
		   const union modify_settings *s)
{
	struct err e = { 0 };
	const int r = policy_set(&c->agent->policy, &s->policy, &e);

	(void)verb;
	if (r == 0)
		keep_policy(c->agent);
	answer(c, r, &e);
}

static void fragment(struct call *c, enum modify_verb verb,
		     const union modify_settings *s)
{
	struct err e = { 0 };

	(void)verb;
	answer(c, policy_fragment(&c->agent->policy, &s->fragment, &e), &e);
}

/* As the reference, which looks for a container of that name. */
static void constraints(struct call *c, enum modify_verb verb,
			const union modify_settings *s)
{
	(void)verb;
	(void)s;
	(void)reply_code(c->agent, &c->to, HR_SYSTEM_NOT_FOUND);
}

static const struct modify_resource resources[] = {
	{ .name = "MappedVirtualDisk",
	  .verbs = ADD_REMOVE,
	  .volume = true,
	  .check = check_disk,
	  .run = run_disk },
	{ .name = "SCSIDevice",
	  .verbs = VERB(MODIFY_REMOVE),
	  .check = check_scsi,
	  .run = run_scsi },
	{ .name = "CombinedLayers",
	  .verbs = ADD_REMOVE,
	  .volume = true,
	  .check = check_layers,
	  .run = run_layers },
	{ .name = "MappedDirectory",
	  .verbs = ADD_REMOVE,
	  .volume = true,
	  .check = check_plan9,
	  .run = run_plan9 },
	{ .name = "VPMemDevice",
	  .verbs = ADD_REMOVE,
	  .volume = true,
	  .check = check_vpmem,
	  .run = run_vpmem },
	{ .name = "VPCIDevice",
	  .verbs = VERB(MODIFY_ADD),
	  .check = check_vpci,
	  .run = run_vpci },
	{ .name = "Network", .verbs = ADD_REMOVE, .direct = network },
	{ .name = "ContainerConstraints", .direct = constraints },
	{ .name = "PodCgroupMemoryLimit",
	  .verbs = VERB(MODIFY_UPDATE),
	  .bare = true,
	  .direct = pod_limit },
	{ .name = "SecurityPolicy", .direct = policy },
	{ .name = "SecurityPolicyFragment", .direct = fragment },
};

const struct modify_resource *modify_resource(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(resources); i++) {
		if (strcmp(resources[i].name, name) == 0)
			return &resources[i];
	}
	return NULL;
}
