/* bridge/guest/network_object.h - insides of bridge/guest/network.h */
#ifndef FERRY_BRIDGE_GUEST_NETWORK_OBJECT_H
#define FERRY_BRIDGE_GUEST_NETWORK_OBJECT_H

#include "bridge/guest/job.h"
#include "bridge/guest/network.h"

/* A caller who waits; in @ended of struct networks once it is over. */
struct network_op {
	struct list node;
	network_done_fn *done;
	void *ctx;
	int result;
	struct err why;
};

/**
 * struct network_adapter - one adapter
 * @node:	in its record, in the order in which they were added
 * @waiting:	in networks.waiting while it WAITS
 * @deadline_ms: when the wait is given up
 * @op:		the Add that is not answered yet, or NULL
 * @request, @conn: which that is, see struct answer_to
 * @again:	a child of an earlier agent may have moved it
 */
struct network_adapter {
	struct list node;
	struct list waiting;
	struct network_record *record;
	enum network_adapter_state state;
	int64_t deadline_ms;
	struct network_op *op;
	uint64_t request;
	uint32_t conn;
	bool again;
	struct network_facts facts;
};

/**
 * struct network_record - one namespace
 * @guid:	lower case
 * @assigned:	a sandbox has it, or had it and the adapters are not back
 * @back:	they are being brought back
 * @netns:	its namespace; -1: that of the agent
 * @op:		the assignment that is not answered yet, or NULL
 * @work:	the child that configures it, or NULL
 * @number:	PID 1's copy of @netns, 0: none
 * @slot:	its record, see bridge/guest/keep.h
 */
struct network_record {
	struct list node;
	struct networks *all;
	char guid[NETWORK_ID_MAX];
	struct list adapters;
	size_t n_adapters;
	bool assigned;
	bool back;
	int netns;
	struct network_op *op;
	struct network_work *work;
	uint64_t number;
	uint32_t slot;
};

/* One adapter that a child moves and configures; the child's copy changes. */
struct network_task {
	struct network_facts facts;
	char want[IF_NAMESIZE];		 /* its name in the pod */
	struct network_adapter *adapter; /* NULL: removed meanwhile */
	uint32_t mtu;			 /* the child's: before it changed it */
	int index;			 /* the child's: in its namespace */
	bool again;
	bool moved;	       /* the child's */
	char was[IF_NAMESIZE]; /* the child's: its name before */
};

/**
 * struct network_work - what a child does
 * @record:	NULL: forgotten meanwhile
 * @netns:	-1: configure where they are
 * @back:	undo that, as far as it was done
 */
struct network_work {
	struct network_record *record;
	struct job *job;
	int netns;
	bool back;
	const char *dhcp_client;
	const char *dhcp_script;
	int dhcp_ms;
	size_t n;
	struct network_task task[];
};

/* --- network_facts.c: pure ------------------------------------------------- */

/**
 * network_facts_read() - what the host says about an adapter, checked
 *
 * Return: 0, -EINVAL, -E2BIG; @e names the member
 */
int network_facts_read(const struct msg_network *m, struct network_facts *ret,
		       struct err *e);

/** network_id_read() - a lower-case copy; -EINVAL: empty, long, odd bytes */
int network_id_read(const char *text, char ret[NETWORK_ID_MAX], struct err *e);

/* --- network.c -------------------------------------------------------------- */

#define NETWORK_ADAPTER(n) LIST_ITEM(n, struct network_adapter, node)

/** network_op_new() - NULL: no memory */
struct network_op *network_op_new(network_done_fn *done, void *ctx,
				  struct err *e);

/** network_op_end() - tell the end in the next turn; *@op becomes NULL */
void network_op_end(struct networks *all, struct network_op **op, int result,
		    const struct err *why);

/** network_adapter_new() - the last one of its record; NULL: no memory */
struct network_adapter *network_adapter_new(struct network_record *r,
					    const struct network_facts *f,
					    struct err *e);

/** network_adapter_waits() - its interface is looked for from now on */
void network_adapter_waits(struct network_adapter *a);

/** network_adapter_free() - a child that works on it goes on without it */
void network_adapter_free(struct network_adapter *a);

/** network_record_get() - the one that is there, or a new one; NULL: @e */
struct network_record *network_record_get(struct networks *all,
					  const char *guid, struct err *e);

/** network_kept() - it has changed */
void network_kept(struct network_record *r);

/** network_record_find() - by GUID in any case, or NULL */
struct network_record *network_record_find(const struct networks *all,
					   const char *guid);

/* --- network_find.c -------------------------------------------------------- */

/**
 * network_find() - the name of the link that an adapter means
 * @sys:	sysfs; with a VMBus in it the id decides, else the MAC address
 * @n:		socket in the agent's namespace
 *
 * Return: 0, -ENODEV (not there yet), other errors do not go away by waiting
 */
int network_find(const char *sys, struct rtnl *n, const struct network_facts *f,
		 char name[IF_NAMESIZE], struct err *e);

/* --- network_look.c -------------------------------------------------------- */

/** network_look() - look for what is waited for, now and again later */
void network_look(struct networks *all);
void network_look_end(struct networks *all);

/* --- network_sync.c -------------------------------------------------------- */

/**
 * network_sync() - do what is to be done next, if anything is
 *
 * Each adapter is moved once. An assignment without adapters enters the
 * namespace all the same, for its loopback.
 */
void network_sync(struct network_record *r);

/* --- network_back.c --------------------------------------------------------- */

/**
 * network_give_back() - the link of an adapter that is in its pod comes back
 * @op:		ended when it is there; taken
 *
 * Return: 0, or -errno and nothing has happened
 */
int network_give_back(const struct network_adapter *a, struct network_op **op,
		      struct err *e);

/* --- network_work.c: in the child ------------------------------------------ */

/* A job_fn; @arg is a struct network_work. @out: a line for each adapter, its
 * link's name. On failure all is as it was. */
int network_work_run(void *arg, struct text *out, struct err *e);

#endif
