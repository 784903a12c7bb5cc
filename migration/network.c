#include "migration/network.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "migration/lists.h"
#include "migration/status.h"

/* clang-format off */
static const char *const states[] = {
	[NETWORK_NOT_CONFIGURED] = "not configured",
	[NETWORK_CONFIGURED] = "configured",
	[NETWORK_INVALID] = "invalid",
	[NETWORK_TORN_DOWN] = "torn down",
	[NETWORK_DESTINATION_MIGRATING] = "destination-migrating",
	[NETWORK_SOURCE_MIGRATING] = "source-migrating",
};

static const char *const events[] = {
	[NETWORK_EV_ENDPOINT] = "add endpoint",
	[NETWORK_EV_CONFIGURE] = "configure",
	[NETWORK_EV_TEARDOWN] = "teardown",
	[NETWORK_EV_SAVE] = "save",
	[NETWORK_EV_PATCH] = "patch",
	[NETWORK_EV_RESUME] = "resume",
	[NETWORK_EV_RESET] = "reset",
};

#define NOT_CONFIGURED MACHINE_BIT(NETWORK_NOT_CONFIGURED)
#define CONFIGURED MACHINE_BIT(NETWORK_CONFIGURED)
#define INVALID MACHINE_BIT(NETWORK_INVALID)
#define TORN_DOWN MACHINE_BIT(NETWORK_TORN_DOWN)
#define DESTINATION MACHINE_BIT(NETWORK_DESTINATION_MIGRATING)
#define SOURCE MACHINE_BIT(NETWORK_SOURCE_MIGRATING)

static const struct machine_row rows[] = {
	{ NOT_CONFIGURED | INVALID, NETWORK_EV_ENDPOINT, MACHINE_GO, MACHINE_SAME, MACHINE_SAME, 0, "" },
	{ NOT_CONFIGURED | INVALID, NETWORK_EV_CONFIGURE, MACHINE_GO, NETWORK_CONFIGURED, NETWORK_INVALID, 0, "NICs into VM and guest" },
	{ CONFIGURED, NETWORK_EV_CONFIGURE, MACHINE_NOOP, MACHINE_SAME, MACHINE_SAME, 0, "" },
	{ CONFIGURED | INVALID, NETWORK_EV_TEARDOWN, MACHINE_GO, NETWORK_TORN_DOWN, NETWORK_INVALID, 0, "NICs out of guest and VM" },
	{ NOT_CONFIGURED | DESTINATION | SOURCE, NETWORK_EV_TEARDOWN, MACHINE_GO, NETWORK_TORN_DOWN, MACHINE_SAME, 0, "forgets the bindings" },
	{ TORN_DOWN, NETWORK_EV_TEARDOWN, MACHINE_NOOP, MACHINE_SAME, MACHINE_SAME, 0, "" },
	{ CONFIGURED | SOURCE, NETWORK_EV_SAVE, MACHINE_GO, NETWORK_SOURCE_MIGRATING, MACHINE_SAME, 0, "" },
	{ DESTINATION, NETWORK_EV_PATCH, MACHINE_GO, MACHINE_SAME, MACHINE_SAME, 0, "remembers the namespace of this host" },
	{ DESTINATION | SOURCE, NETWORK_EV_RESUME, MACHINE_GO, NETWORK_CONFIGURED, MACHINE_SAME, 0, "binds VM and guest" },
	{ CONFIGURED, NETWORK_EV_RESUME, MACHINE_NOOP, MACHINE_SAME, MACHINE_SAME, 0, "" },
	{ CONFIGURED, NETWORK_EV_RESET, MACHINE_GO, MACHINE_SAME, MACHINE_SAME, 0, "old NICs out of the guest, those of this host in" },
};
/* clang-format on */

const struct machine network_machine = {
	.name = "network",
	.states = states,
	.n_states = ARRAY_LEN(states),
	.events = events,
	.n_events = ARRAY_LEN(events),
	.rows = rows,
	.n_rows = ARRAY_LEN(rows),
};

int network_ctl_init(struct network_ctl *n, const char *namespace_id,
		     const struct seams *seams, struct err *e)
{
	*n = (struct network_ctl){ .seams = seams, .guest_support = true };
	return names_copy(namespace_id, &n->namespace_id, e);
}

void network_endpoint_free(struct network_endpoint *x)
{
	if (!x)
		return;
	free(x->nic_id);
	free(x->endpoint_id);
	free(x->mac);
	free(x->name);
	free(x->settings);
	free(x);
}

static void endpoints_free(struct network_endpoint **list)
{
	struct network_endpoint *x;

	while ((x = *list)) {
		*list = x->next;
		network_endpoint_free(x);
	}
}

void network_ctl_done(struct network_ctl *n)
{
	endpoints_free(&n->endpoints);
	endpoints_free(&n->new_endpoints);
	free(n->namespace_id);
	free(n->new_namespace_id);
	n->namespace_id = NULL;
	n->new_namespace_id = NULL;
}

/* eth0 is wired first: its default route has to be the first. */
static bool is_first(const struct network_endpoint *x)
{
	const size_t len = strlen(x->name);

	return len >= 4 && strcmp(x->name + len - 4, "eth0") == 0;
}

/* The others by their names: a saved state has another order, and endpoints of
 * two hosts are compared by their places. */
static bool is_before(const struct network_endpoint *x,
		      const struct network_endpoint *y)
{
	return is_first(x) != is_first(y) ? is_first(x)
					  : strcmp(x->name, y->name) < 0;
}

void network_endpoints_insert(struct network_endpoint **list,
			      struct network_endpoint *x)
{
	while (*list && !is_before(x, *list))
		list = &(*list)->next;
	x->next = *list;
	*list = x;
}

struct network_endpoint *network_endpoint_copy(const struct network_endpoint *x,
					       const char *nic_id,
					       struct err *e)
{
	struct network_endpoint *copy = calloc(1, sizeof(*copy));

	if (!copy || names_copy(nic_id, &copy->nic_id, e) < 0 ||
	    names_copy(x->endpoint_id, &copy->endpoint_id, e) < 0 ||
	    names_copy(x->mac, &copy->mac, e) < 0 ||
	    names_copy(x->name, &copy->name, e) < 0 ||
	    names_copy(x->settings, &copy->settings, e) < 0) {
		network_endpoint_free(copy);
		(void)err_set(e, ENOMEM, "endpoint: no memory");
		return NULL;
	}
	return copy;
}

static bool has_nic(const struct network_endpoint *x, const char *nic_id)
{
	for (; x; x = x->next)
		if (strcasecmp(x->nic_id, nic_id) == 0)
			return true;
	return false;
}

void network_nic_make(struct network_ctl *n, char ret[NAMES_GUID_SIZE])
{
	unsigned char seed[16];
	size_t i, len = strlen(n->namespace_id);

	/* Another stream than that of the disks, and for each pod its own. */
	for (i = 0; i < sizeof(seed); i++)
		seed[i] = (unsigned char)(n->seams->seed[i] ^ 0x5a ^
					  (len ? n->namespace_id[i % len] : 0));
	do
		names_guid_make(seed, n->next_number++, ret);
	while (has_nic(n->endpoints, ret) || has_nic(n->new_endpoints, ret));
}

int network_endpoint_check(const struct network_endpoint *x, struct err *e)
{
	if (!x->endpoint_id || !x->endpoint_id[0])
		return err_set(e, EINVAL, "endpoint without an id");
	if (x->nic_id && !names_guid_ok(x->nic_id, strlen(x->nic_id)))
		return err_set(e, EINVAL, "endpoint %s: the NIC id is no GUID",
			       x->endpoint_id);
	return 0;
}

int network_ctl_add(struct network_ctl *n, const struct network_endpoint *x,
		    struct err *e)
{
	char nic_id[NAMES_GUID_SIZE];
	struct network_endpoint *copy, *i;
	size_t count = 0;
	int r;

	r = machine_check(&network_machine, n->state, NETWORK_EV_ENDPOINT, e);
	if (r < 0)
		return r;
	r = network_endpoint_check(x, e);
	if (r < 0)
		return r;
	if (!n->namespace_id[0])
		return err_set(e, EINVAL, "the pod has no network namespace");
	for (i = n->endpoints; i; i = i->next)
		count++;
	if (count >= NETWORK_ENDPOINTS_MAX)
		return err_set(e, EEXHAUSTED, "more than %u endpoints",
			       NETWORK_ENDPOINTS_MAX);
	if (!x->nic_id)
		network_nic_make(n, nic_id);
	else
		names_guid_lower(x->nic_id, nic_id);
	if (has_nic(n->endpoints, nic_id))
		return err_set(e, EEXIST, "NIC %s is there already", nic_id);
	copy = network_endpoint_copy(x, nic_id, e);
	if (!copy)
		return -ENOMEM;
	network_endpoints_insert(&n->endpoints, copy);
	return 0;
}

/* --- configure --- */

/* What is missing, or there, on the way in and on the way out. */
enum due { DUE_PLUG, DUE_TELL, DUE_UNTELL, DUE_UNPLUG };

static bool is_due(const struct network_endpoint *x, enum due due)
{
	switch (due) {
	case DUE_PLUG:
		return !x->in_vm;
	case DUE_TELL:
		return !x->in_guest;
	case DUE_UNTELL:
		return x->in_guest && !x->deaf;
	case DUE_UNPLUG:
		return x->tried && !x->stuck;
	}
	return false;
}

static struct network_endpoint *first_due(struct network_endpoint *x,
					  enum due due)
{
	while (x && !is_due(x, due))
		x = x->next;
	return x;
}

static int go_nic_plug(void *obj, struct op *op, struct err *e)
{
	struct network_ctl *n = obj;
	struct network_endpoint *x = first_due(n->endpoints, DUE_PLUG);
	int r;

	if (!x)
		return SEQ_NEXT;
	x->tried = true;
	r = n->seams->vmm->nic_add(
		n->seams->vmm_ctx,
		&(struct vmm_nic){ x->nic_id, x->endpoint_id, x->mac }, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_nic_plug(void *obj, int result, const struct op *op UNUSED)
{
	struct network_ctl *n = obj;
	struct network_endpoint *x = first_due(n->endpoints, DUE_PLUG);

	assert(x);
	if (result < 0)
		return result;
	x->in_vm = true;
	return SEQ_AGAIN;
}

static int go_nic_tell(void *obj, struct op *op, struct err *e)
{
	struct network_ctl *n = obj;
	struct network_endpoint *x = first_due(n->endpoints, DUE_TELL);
	int r;

	if (!x || !n->guest_support)
		return SEQ_NEXT;
	r = n->seams->guest->nic_add(n->seams->guest_ctx,
				     &(struct guest_nic){ n->namespace_id,
							  x->nic_id, x->mac,
							  x->settings },
				     op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_nic_tell(void *obj, int result, const struct op *op UNUSED)
{
	struct network_ctl *n = obj;
	struct network_endpoint *x = first_due(n->endpoints, DUE_TELL);

	assert(x);
	if (result < 0)
		return result;
	x->in_guest = true;
	return SEQ_AGAIN;
}

static const struct seq_step configure_steps[] = {
	{ "add NIC", go_nic_plug, landed_nic_plug, false },
	{ "tell the guest of the NIC", go_nic_tell, landed_nic_tell, false },
};

void network_ctl_ended(struct network_ctl *n, enum network_event event,
		       int result, const struct err *e)
{
	struct op *op = n->op;

	n->op = NULL;
	n->state = (enum network_state)(
		result < 0 ? machine_fail(&network_machine, n->state, event)
			   : machine_next(&network_machine, n->state, event));
	op_end(op, result, e);
}

static void configured(void *obj, int result, const struct err *e)
{
	network_ctl_ended(obj, NETWORK_EV_CONFIGURE, result, e);
}

/* 1: a no-op that has ended @op already. */
int network_ctl_begin(struct network_ctl *n, enum network_event event,
		      struct op *op, struct err *e)
{
	int r = machine_check(&network_machine, n->state, event, e);

	if (r < 0)
		return r;
	if (n->seq.busy)
		return err_set(e, EBUSY, "network is busy: %s",
			       seq_at(&n->seq));
	if (r == MACHINE_NOOP) {
		op_end(op, 0, NULL);
		return 1;
	}
	n->op = op;
	return 0;
}

int network_ctl_configure(struct network_ctl *n, struct op *op, struct err *e)
{
	int r = network_ctl_begin(n, NETWORK_EV_CONFIGURE, op, e);

	if (r != 0)
		return r < 0 ? r : 0;
	seq_start(&n->seq, configure_steps, ARRAY_LEN(configure_steps), false,
		  n, configured);
	return 0;
}

/* --- teardown --- */

static int go_nic_untell(void *obj, struct op *op, struct err *e)
{
	struct network_ctl *n = obj;
	struct network_endpoint *x = first_due(n->endpoints, DUE_UNTELL);
	int r;

	if (!x)
		return SEQ_NEXT;
	if (n->vm_gone)
		return -ESHUTDOWN;
	r = n->seams->guest->nic_remove(
		n->seams->guest_ctx,
		&(struct guest_nic){ n->namespace_id, x->nic_id, x->mac, "" },
		op, e);
	return r < 0 ? r : SEQ_WAIT;
}

/* Thorough: an endpoint that the guest keeps is still unplugged. */
static int landed_nic_untell(void *obj, int result, const struct op *op UNUSED)
{
	struct network_ctl *n = obj;
	struct network_endpoint *x = first_due(n->endpoints, DUE_UNTELL);

	assert(x);
	if (result < 0 && result != -ESHUTDOWN && !n->vm_gone) {
		x->deaf = true;
		return result;
	}
	x->in_guest = false;
	return SEQ_AGAIN;
}

static int go_nic_unplug(void *obj, struct op *op, struct err *e)
{
	struct network_ctl *n = obj;
	struct network_endpoint *x = first_due(n->endpoints, DUE_UNPLUG);
	int r;

	if (!x)
		return SEQ_NEXT;
	if (n->vm_gone)
		return -ESHUTDOWN;
	r = n->seams->vmm->nic_remove(n->seams->vmm_ctx, x->nic_id, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

/* One that cannot be unplugged does not keep the others from it. */
static int landed_nic_unplug(void *obj, int result, const struct op *op UNUSED)
{
	struct network_ctl *n = obj;
	struct network_endpoint *x = first_due(n->endpoints, DUE_UNPLUG);

	assert(x);
	if (result == 0 || result == -ESHUTDOWN || n->vm_gone) {
		x->tried = false;
		x->in_vm = false;
		return SEQ_AGAIN;
	}
	x->stuck = true;
	return result;
}

static const struct seq_step teardown_steps[] = {
	{ "take the NIC from the guest", go_nic_untell, landed_nic_untell,
	  true },
	{ "remove NIC", go_nic_unplug, landed_nic_unplug, true },
};

static void torn_down(void *obj, int result, const struct err *e)
{
	struct network_ctl *n = obj;
	struct network_endpoint *x;

	for (x = n->endpoints; x; x = x->next)
		x->stuck = x->deaf = false; /* to be tried again */
	network_ctl_ended(n, NETWORK_EV_TEARDOWN, result, e);
}

int network_ctl_teardown(struct network_ctl *n, struct op *op, struct err *e)
{
	struct network_endpoint *x;
	int r = network_ctl_begin(n, NETWORK_EV_TEARDOWN, op, e);

	if (r != 0)
		return r < 0 ? r : 0;
	if (n->state == NETWORK_DESTINATION_MIGRATING ||
	    n->state == NETWORK_SOURCE_MIGRATING)
		for (x = n->endpoints; x; x = x->next) {
			x->tried = false; /* no call for what is frozen */
			x->in_vm = false;
			x->in_guest = false;
		}
	seq_start(&n->seq, teardown_steps, ARRAY_LEN(teardown_steps), true, n,
		  torn_down);
	return 0;
}

void network_ctl_vm_gone(struct network_ctl *n)
{
	n->vm_gone = true;
}
