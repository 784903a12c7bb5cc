/*
 * migration/network.h - the network of one pod
 *
 * Theory of operation. The shim names the endpoints that it found in the pod's
 * network namespace; configuring plugs a NIC for each into the VM and then
 * tells the guest, eth0 first; teardown undoes both. Each endpoint remembers
 * how far it got, so both can be repeated.
 *
 * The guest keeps the namespace id of the first host for ever. After a move
 * the NICs stay the same devices (QEMU finds them by address): resume only
 * binds, and the reset behind it takes each old NIC out of the guest and gives
 * it back with a new id and the endpoint of this host, under the old namespace.
 * A NIC whose settings are the same here keeps its id, and the guest is not
 * bothered.
 * Source: shared specification migration.md 3.5 and 9.1.
 */
#ifndef FERRY_MIGRATION_NETWORK_H
#define FERRY_MIGRATION_NETWORK_H

#include <stdbool.h>
#include <stddef.h>

#include "migration/machine.h"
#include "migration/names.h"
#include "migration/op.h"
#include "migration/seams.h"
#include "migration/seq.h"

#define NETWORK_ENDPOINTS_MAX 16u

enum network_state {
	NETWORK_NOT_CONFIGURED = 0,
	NETWORK_CONFIGURED = 1,
	NETWORK_INVALID = 2,
	NETWORK_TORN_DOWN = 3,
	NETWORK_DESTINATION_MIGRATING = 4,
	NETWORK_SOURCE_MIGRATING = 5,
	NETWORK_STATES, /* number of states */
};

enum network_event {
	NETWORK_EV_ENDPOINT,
	NETWORK_EV_CONFIGURE,
	NETWORK_EV_TEARDOWN,
	NETWORK_EV_SAVE,
	NETWORK_EV_PATCH,
	NETWORK_EV_RESUME,
	NETWORK_EV_RESET,
	NETWORK_EVENTS, /* number of events */
};

extern const struct machine network_machine;

/**
 * struct network_endpoint - one endpoint, and how far it got
 * @nic_id:	GUID of the NIC inside the VM
 * @endpoint_id: what it is on this host
 * @mac:	00-15-5D-... form
 * @name:	host's name of it; one that ends in eth0 comes first
 * @settings:	for the guest, see struct guest_nic
 * @tried:	a NIC was asked for: unplug it, whatever was said
 * @in_vm:	the NIC is there
 * @in_guest:	the guest was told
 * @stuck:	teardown could not unplug it this time
 * @deaf:	the guest did not let go of it this time
 *
 * In calls the strings are borrowed and @nic_id may be NULL: one is made.
 */
struct network_endpoint {
	struct network_endpoint *next;
	char *nic_id;
	char *endpoint_id;
	char *mac;
	char *name;
	char *settings;
	bool tried;
	bool in_vm;
	bool in_guest;
	bool stuck;
	bool deaf;
};

struct network_ctl {
	const struct seams *seams;
	enum network_state state;
	char *namespace_id; /* the guest's */
	bool policy_based_routing;
	bool guest_support; /* the guest takes NIC requests */
	bool vm_gone;
	struct network_endpoint *endpoints;
	/* Destination: what the old ones become; "" or NULL: not patched. */
	char *new_namespace_id;
	struct network_endpoint *new_endpoints;
	uint64_t next_number; /* of the next GUID */
	struct seq seq;
	struct op *op; /* the caller's */
};

/**
 * network_ctl_init() - no endpoints
 * @namespace_id:	"": a pod without network
 *
 * Return: 0, -EINVAL, -ENOMEM
 */
int network_ctl_init(struct network_ctl *n, const char *namespace_id,
		     const struct seams *seams, struct err *e);

/** network_ctl_done() - forget all; nothing may be on its way */
void network_ctl_done(struct network_ctl *n);

/**
 * network_ctl_add() - one more endpoint, before it is configured
 *
 * Return: 0, -EPRECONDITION, -EINVAL, -EEXIST, -EEXHAUSTED, -ENOMEM
 */
int network_ctl_add(struct network_ctl *n, const struct network_endpoint *x,
		    struct err *e);

/** network_ctl_configure() - NICs into VM and guest; a failure can be repeated */
int network_ctl_configure(struct network_ctl *n, struct op *op, struct err *e);

/** network_ctl_teardown() - and out again; repeatable; goes on after failures */
int network_ctl_teardown(struct network_ctl *n, struct op *op, struct err *e);

/* --- migration --- */

/* What a patch brings: made first, put in place when all else is well. */
struct network_plan {
	char *namespace_id;
	struct network_endpoint *endpoints;
};

/**
 * network_ctl_plan() - namespace and endpoints of this host, copied
 *
 * Return: 0, -EPRECONDITION, -EINVAL, -EEXHAUSTED, -ENOMEM
 */
int network_ctl_plan(const struct network_ctl *n, const char *namespace_id,
		     const struct network_endpoint *x, size_t count,
		     struct network_plan *ret, struct err *e);
void network_plan_done(struct network_plan *p);

/** network_ctl_patch() - take the plan over; cannot fail */
void network_ctl_patch(struct network_ctl *n, struct network_plan *p);

/** network_ctl_nics() - for the VMM of a destination; gives how many */
size_t network_ctl_nics(const struct network_ctl *n, struct vmm_nic *ret);

/** network_ctl_resume() - bound again; 0 or -EPRECONDITION */
int network_ctl_resume(struct network_ctl *n, struct err *e);

/**
 * network_ctl_reset() - destination: the guest gets the endpoints of this host
 *
 * vmm_ops.nic_add() is called for a NIC that the VM brought along, too: with
 * its MAC, and the id and endpoint that it has from now on.
 * A failure can be repeated. Return: 0 (see op.h), -EBUSY, -EPRECONDITION
 */
int network_ctl_reset(struct network_ctl *n, struct op *op, struct err *e);

/* --- parts that migration/network_move.c and the saved state share --- */

struct network_endpoint *network_endpoint_copy(const struct network_endpoint *x,
					       const char *nic_id,
					       struct err *e);
void network_endpoint_free(struct network_endpoint *x);
int network_endpoint_check(const struct network_endpoint *x, struct err *e);
void network_endpoints_insert(struct network_endpoint **list,
			      struct network_endpoint *x);
void network_nic_make(struct network_ctl *n, char ret[NAMES_GUID_SIZE]);
int network_ctl_begin(struct network_ctl *n, enum network_event event,
		      struct op *op, struct err *e);
void network_ctl_ended(struct network_ctl *n, enum network_event event,
		       int result, const struct err *e);

/** network_ctl_vm_gone() - the VM ended: nothing is left to undo */
void network_ctl_vm_gone(struct network_ctl *n);

#endif
