/* What a move asks of a pod's network. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "migration/lists.h"
#include "migration/network.h"
#include "migration/status.h"

static void list_free(struct network_endpoint *x)
{
	while (x) {
		struct network_endpoint *next = x->next;

		network_endpoint_free(x);
		x = next;
	}
}

int network_ctl_plan(const struct network_ctl *n, const char *namespace_id,
		     const struct network_endpoint *x, size_t count,
		     struct network_plan *ret, struct err *e)
{
	size_t i;
	int r = machine_check(&network_machine, n->state, NETWORK_EV_PATCH, e);

	if (r < 0)
		return r;
	*ret = (struct network_plan){ 0 };
	if (count > NETWORK_ENDPOINTS_MAX)
		return err_set(e, EEXHAUSTED, "more than %u endpoints",
			       NETWORK_ENDPOINTS_MAX);
	r = names_copy(namespace_id, &ret->namespace_id, e);
	for (i = 0; i < count && r == 0; i++) {
		struct network_endpoint *copy = NULL;

		r = network_endpoint_check(&x[i], e);
		if (r == 0)
			copy = network_endpoint_copy(&x[i], "", e);
		if (r == 0 && !copy)
			r = -ENOMEM;
		if (copy)
			network_endpoints_insert(&ret->endpoints, copy);
	}
	if (r < 0)
		network_plan_done(ret);
	return r;
}

void network_plan_done(struct network_plan *p)
{
	list_free(p->endpoints);
	free(p->namespace_id);
	*p = (struct network_plan){ 0 };
}

void network_ctl_patch(struct network_ctl *n, struct network_plan *p)
{
	list_free(n->new_endpoints);
	free(n->new_namespace_id);
	n->new_namespace_id = p->namespace_id;
	n->new_endpoints = p->endpoints;
	*p = (struct network_plan){ 0 };
}

int network_ctl_resume(struct network_ctl *n, struct err *e)
{
	int r;

	if (n->state == NETWORK_NOT_CONFIGURED && !n->namespace_id[0])
		return 0;
	r = machine_check(&network_machine, n->state, NETWORK_EV_RESUME, e);
	if (r < 0)
		return r;
	n->state = (enum network_state)machine_next(&network_machine, n->state,
						    NETWORK_EV_RESUME);
	return 0;
}

/*
 * The NIC of an endpoint of this host is the one that the source's endpoint in
 * the same place had: the VM brought it along, with its MAC. Endpoints beyond
 * those are new NICs, NICs beyond those go.
 */
static struct network_endpoint *old_of(const struct network_ctl *n,
				       const struct network_endpoint *new)
{
	struct network_endpoint *old = n->endpoints;
	const struct network_endpoint *i;

	for (i = n->new_endpoints; i && i != new &&old; i = i->next)
		old = old->next;
	return old;
}

size_t network_ctl_nics(const struct network_ctl *n, struct vmm_nic *ret)
{
	const struct network_endpoint *old, *new = n->new_endpoints;
	size_t count = 0;

	for (old = n->endpoints; old; old = old->next) {
		ret[count++] = (struct vmm_nic){
			.id = old->nic_id,
			.endpoint = new ? new->endpoint_id : old->endpoint_id,
			.mac = old->mac,
		};
		new = new ? new->next : NULL;
	}
	return count;
}

/* --- reset: old NICs out of the guest, those of this host in --- */

static struct network_endpoint *first_told(struct network_endpoint *x)
{
	while (x && !x->in_guest)
		x = x->next;
	return x;
}

static int go_forget(void *obj, struct op *op, struct err *e)
{
	struct network_ctl *n = obj;
	struct network_endpoint *x = first_told(n->endpoints);
	int r;

	if (!x)
		return SEQ_NEXT;
	r = n->seams->guest->nic_remove(
		n->seams->guest_ctx,
		&(struct guest_nic){ n->namespace_id, x->nic_id, x->mac, "" },
		op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_forget(void *obj, int result, const struct op *op UNUSED)
{
	struct network_ctl *n = obj;
	struct network_endpoint *x = first_told(n->endpoints);

	assert(x);
	if (result < 0)
		return result;
	x->in_guest = false;
	return SEQ_AGAIN;
}

/* NICs that no endpoint of this host stands for. */
static struct network_endpoint *first_spare(const struct network_ctl *n)
{
	const struct network_endpoint *new = n->new_endpoints;
	struct network_endpoint *old = n->endpoints;

	for (; old && new; old = old->next)
		new = new->next;
	while (old && !old->tried)
		old = old->next;
	return old;
}

static int go_unplug(void *obj, struct op *op, struct err *e)
{
	struct network_ctl *n = obj;
	struct network_endpoint *x = first_spare(n);
	int r;

	if (!x)
		return SEQ_NEXT;
	r = n->seams->vmm->nic_remove(n->seams->vmm_ctx, x->nic_id, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_unplug(void *obj, int result, const struct op *op UNUSED)
{
	struct network_endpoint *x = first_spare(obj);

	assert(x);
	if (result < 0)
		return result;
	x->tried = x->in_vm = false;
	return SEQ_AGAIN;
}

static struct network_endpoint *first_unplugged(struct network_endpoint *x)
{
	while (x && x->in_vm)
		x = x->next;
	return x;
}

/* Takes the old NIC over, or gets a new one. */
static int go_plug(void *obj, struct op *op, struct err *e)
{
	struct network_ctl *n = obj;
	struct network_endpoint *x = first_unplugged(n->new_endpoints), *old;
	char nic_id[NAMES_GUID_SIZE];
	int r;

	if (!x)
		return SEQ_NEXT;
	old = old_of(n, x);
	if (!x->nic_id[0]) {
		network_nic_make(n, nic_id);
		free(x->nic_id);
		x->nic_id = strdup(nic_id);
		if (!x->nic_id)
			return err_set(e, ENOMEM, "endpoint: no memory");
	}
	if (old) {
		char *mac = NULL;

		r = names_copy(old->mac, &mac, e);
		if (r < 0)
			return r;
		free(x->mac);
		x->mac = mac;
	}
	x->tried = true;
	r = n->seams->vmm->nic_add(
		n->seams->vmm_ctx,
		&(struct vmm_nic){ x->nic_id, x->endpoint_id, x->mac }, op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_plug(void *obj, int result, const struct op *op UNUSED)
{
	struct network_ctl *n = obj;
	struct network_endpoint *x = first_unplugged(n->new_endpoints);

	assert(x);
	if (result < 0)
		return result;
	x->in_vm = true;
	return SEQ_AGAIN;
}

static struct network_endpoint *first_untold(struct network_endpoint *x)
{
	while (x && x->in_guest)
		x = x->next;
	return x;
}

static int go_tell(void *obj, struct op *op, struct err *e)
{
	struct network_ctl *n = obj;
	struct network_endpoint *x = first_untold(n->new_endpoints);
	int r;

	if (!x)
		return SEQ_NEXT;
	r = n->seams->guest->nic_add(n->seams->guest_ctx,
				     &(struct guest_nic){ n->namespace_id,
							  x->nic_id, x->mac,
							  x->settings },
				     op, e);
	return r < 0 ? r : SEQ_WAIT;
}

static int landed_tell(void *obj, int result, const struct op *op UNUSED)
{
	struct network_ctl *n = obj;
	struct network_endpoint *x = first_untold(n->new_endpoints);

	assert(x);
	if (result < 0)
		return result;
	x->in_guest = true;
	return SEQ_AGAIN;
}

static const struct seq_step reset_steps[] = {
	{ "take the old NIC from the guest", go_forget, landed_forget, false },
	{ "remove a NIC that is left over", go_unplug, landed_unplug, false },
	{ "bind the NIC to this host", go_plug, landed_plug, false },
	{ "tell the guest of the NIC", go_tell, landed_tell, false },
};

static void was_reset(void *obj, int result, const struct err *e)
{
	struct network_ctl *n = obj;

	if (result == 0) {
		list_free(n->endpoints);
		n->endpoints = n->new_endpoints;
		n->new_endpoints = NULL;
		free(n->new_namespace_id);
		n->new_namespace_id = NULL; /* last: from here it is a no-op */
	}
	network_ctl_ended(n, NETWORK_EV_RESET, result, e);
}

/*
 * An endpoint of which the guest is told the same here goes on as it is: its
 * addresses were announced behind the barrier, and no connection notices.
 */
static void keep_same(struct network_ctl *n)
{
	struct network_endpoint *old = n->endpoints, *new = n->new_endpoints;

	for (; old && new; old = old->next, new = new->next) {
		char *unnamed = new->nic_id, *mac = new->mac;

		if (unnamed[0] || !old->in_vm || !old->in_guest ||
		    !old->settings[0] ||
		    strcmp(old->settings, new->settings) != 0)
			continue;
		new->nic_id = old->nic_id;
		new->mac = old->mac;
		old->nic_id = unnamed;
		old->mac = mac;
		new->tried = new->in_vm = new->in_guest = true;
		old->tried = old->in_vm = old->in_guest = false;
	}
}

int network_ctl_reset(struct network_ctl *n, struct op *op, struct err *e)
{
	int r;

	if (!n->new_namespace_id || !n->new_namespace_id[0]) {
		op_end(op, 0, NULL);
		return 0;
	}
	r = network_ctl_begin(n, NETWORK_EV_RESET, op, e);
	if (r != 0)
		return r < 0 ? r : 0;
	keep_same(n);
	seq_start(&n->seq, reset_steps, ARRAY_LEN(reset_steps), false, n,
		  was_reset);
	return 0;
}
