/*
 * bridge/guest/network.h - network namespaces and their adapters
 *
 * The host names a namespace by a GUID of its own and adds adapters to it
 * before and after a sandbox lives in it. A record here holds that name, the
 * adapters, and, once a sandbox was created, the network namespace of its
 * init process.
 *
 *	adapter:  WAITS --seen--> FOUND --assigned--> MOVES --> UP
 *	            |  30 s         ^                   |
 *	            v               +--- undone --------+
 *	          refused
 *
 * An adapter is looked for when it is added: on Hyper-V by its VMBus id, else
 * by its MAC address, for NETWORK_WAIT_MS at most and without holding the loop
 * up (links are announced by rtnetlink; a slow timer looks again, in case an
 * announcement was lost). It is moved into the namespace and configured once.
 * Moving and configuring happens in a child process that enters the namespace;
 * the agent itself stays in its own. A child that fails puts the link back.
 *
 * Records are named by lower-case GUID and are forgotten by it. What describes
 * an adapter is a plain struct of fixed size without pointers or descriptors
 * (struct network_facts), and PID 1 has a copy of the namespace: another
 * incarnation of the agent goes on with an adapter where the last one died, or,
 * where there is no pod any more, brings its adapters back.
 * Source: shared specification bridge.md 3.11.7, 4.2 step 10, 4.4.
 */
#ifndef FERRY_BRIDGE_GUEST_NETWORK_H
#define FERRY_BRIDGE_GUEST_NETWORK_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bridge/guest/list.h"
#include "bridge/guest/rtnl.h"
#include "bridge/io/loop.h"
#include "bridge/msg_settings.h"
#include "config/err.h"
#include "config/text.h"

/* Longest wait for the interface of an adapter to appear, as for a disk: a busy
 * machine was seen to take more than 5 s. */
#define NETWORK_WAIT_MS 30000
#define NETWORK_LOOK_MS 100
/* Moving and configuring the adapters of a namespace; DHCP on top of it. */
#define NETWORK_CONFIGURE_MS 30000
#define NETWORK_DHCP_MS 30000
#define NETWORK_DHCP_CLIENT "udhcpc"
#define NETWORK_DHCP_SCRIPT "/sbin/udhcpc_config.script"

#define NETWORK_ID_MAX 64 /* bytes of a namespace or adapter id, with NUL */
#define NETWORK_RECORDS_MAX 1024u
#define NETWORK_ADAPTERS_MAX 64u  /* of one namespace */
#define NETWORK_ADDRESSES_MAX 32u /* of one adapter */
#define NETWORK_ROUTES_MAX 32u
#define NETWORK_DNS_MAX 1024 /* bytes of a search or server list, with NUL */
/* More is an error of the container's create, as in the reference. */
#define NETWORK_SEARCH_MAX 6u

struct jobs;
struct answer_to;
struct network_record;

struct network_address {
	struct rtnl_address address;
	uint8_t prefix;
};

/* @destination.family 0: the default route of the family of @gateway */
struct network_route {
	struct network_address destination;
	struct rtnl_address gateway;
	uint16_t metric;
};

/**
 * struct network_facts - one adapter
 * @id:		lower case
 * @name:	of the link, where it is; "": not found yet
 * @mac:	all zero: the host gave none
 * @mtu:	of the link when it was found, 0: not known
 * @encap:	bytes taken off the MTU
 * @low_metric:	not the first adapter, and policy based routing was asked for:
 *		its routes go to a table of their own
 * @search, @servers: as they came, separated by commas
 */
struct network_facts {
	char id[NETWORK_ID_MAX];
	char name[IF_NAMESIZE];
	uint8_t mac[RTNL_MAC_SIZE];
	uint16_t encap;
	uint32_t mtu;
	bool vpci;
	bool low_metric;
	uint8_t n_addresses;
	uint8_t n_routes;
	struct network_address address[NETWORK_ADDRESSES_MAX];
	struct network_route route[NETWORK_ROUTES_MAX];
	char search[NETWORK_DNS_MAX];
	char servers[NETWORK_DNS_MAX];
};

enum network_adapter_state {
	NETWORK_WAITS, /* its interface is not there yet */
	NETWORK_FOUND, /* in the agent's namespace */
	NETWORK_MOVES, /* a child works on it */
	NETWORK_UP,    /* where it belongs, configured */
	NETWORK_ADAPTER_STATES,
};

/**
 * struct networks - all records
 * @sys:	where sysfs is, "/sys"; tests say otherwise
 * @dhcp_client, @dhcp_script, @dhcp_ms: the DHCP client; for tests
 * @wait_ms:	NETWORK_WAIT_MS; for tests
 * @ended:	operations whose end is told in the next turn
 * @on_kept:	what a later agent has to know of one has changed; @forgotten: it
 *		is about to be released. NULL: nobody wants to know
 */
struct networks {
	struct loop *loop;
	struct jobs *jobs;
	const char *sys;
	const char *dhcp_client;
	const char *dhcp_script;
	int dhcp_ms;
	int wait_ms;
	struct list all;
	size_t n;
	struct list waiting; /* adapters in NETWORK_WAITS, oldest first */
	int monitor;	     /* rtnetlink announcements; -1: nobody waits */
	struct loop_id monitor_watch;
	struct loop_id timer;
	struct list ended;
	struct loop_id ended_timer;
	void (*on_kept)(void *ctx, struct network_record *r, bool forgotten);
	void *kept_ctx;
};

/**
 * network_done_fn - the end of an operation, called once, from the loop, and
 * never before the function that started it has returned
 * @result:	0 or -errno
 * @why:	what went wrong
 */
typedef void network_done_fn(void *ctx, int result, const struct err *why);

/** networks_init() - no records; @jobs runs the children */
void networks_init(struct networks *all, struct loop *l, struct jobs *jobs);

/** networks_done() - forget all; operations in progress are not told */
void networks_done(struct networks *all);

/**
 * network_modify() - ModifySettings Network
 * @request_type: "" or "Add", or "Remove"
 * @m:		the settings; copied
 * @to:		whose request it is, see network_asked(); NULL: nobody's
 * @done:	called when it is over, only if 0 was returned
 *
 * Add makes the record where there is none. Remove of what is not known is
 * a success; a link that is in a pod is brought back to where it was found, and
 * left to the host.
 * Return: 0 (@done will be called), -EINVAL (names the member), -EEXIST (the
 *         adapter id is in use), -ENOSPC, -ENOMEM, -EOPNOTSUPP (request type)
 */
int network_modify(struct networks *all, const char *request_type,
		   const struct msg_network *m, const struct answer_to *to,
		   network_done_fn *done, void *ctx, struct err *e);

/**
 * network_asked() - an earlier agent was asked for an Add by @to
 * @done:	called when it is over, only if true was returned
 *
 * Return: false: there is no such adapter
 */
bool network_asked(struct networks *all, const struct answer_to *to,
		   network_done_fn *done, void *ctx);

/** network_exists() - is there a record of that GUID, in any case? */
bool network_exists(const struct networks *all, const char *guid);

/**
 * network_create() - make an empty record unless there is one
 *
 * Return: 0, -EINVAL, -ENOSPC, -ENOMEM
 */
int network_create(struct networks *all, const char *guid, struct err *e);

/**
 * network_assign() - the namespace of @init_pid is the one that the record
 * means: all its adapters are moved there and configured
 * @init_pid:	alive (a created container); its namespace is opened at once
 *
 * When it fails nothing is assigned, and the adapters are where they were.
 * Return: 0 (@done will be called), -ENOENT (no record), -EBUSY (assigned
 *         before), or -errno
 */
int network_assign(struct networks *all, const char *guid, pid_t init_pid,
		   network_done_fn *done, void *ctx, struct err *e);

/**
 * network_host() - the sandbox uses the UVM's own namespace: the adapters are
 * configured where they are; as network_assign() otherwise
 */
int network_host(struct networks *all, const char *guid, network_done_fn *done,
		 void *ctx, struct err *e);

/**
 * network_forget() - the sandbox is gone: the record goes with its adapters
 *
 * Operations in progress end with -ECANCELED. Unknown: nothing to do.
 */
void network_forget(struct networks *all, const char *guid);

/**
 * network_go_on() - of an earlier agent: its pod is there, and what is not where
 * it belongs is brought there
 */
void network_go_on(struct network_record *r);

/**
 * network_take_back() - the same, and there is no pod any more: its adapters come
 * back to where they were found, and wait for the next one
 */
void network_take_back(struct network_record *r);

/**
 * network_announce() - tell the neighbours of every namespace its addresses
 * @done:	its result is the number of addresses that were announced; those
 *		of adapters that have theirs by DHCP are not known here
 *
 * Return: 0 (@done will be called), -ENOMEM
 */
int network_announce(struct networks *all, network_done_fn *done, void *ctx,
		     struct err *e);

/** networks_dump() - a line for each adapter, for the agent's own report */
void networks_dump(const struct networks *all, struct text *out);

/**
 * network_resolv_conf() - what the adapters known now say about DNS
 * @out:	"search ..." and "nameserver ..." lines are added; nothing for
 *		an unknown record
 *
 * Split at commas, trimmed, lower case, no name twice, in order.
 * Return: 0, -E2BIG (more than NETWORK_SEARCH_MAX search domains), -ENOSPC
 */
int network_resolv_conf(const struct networks *all, const char *guid,
			struct text *out, struct err *e);

#endif
