/* tools/ops_own.h - what the parts of tools/ops.h share, and nobody else */
#ifndef FERRY_TOOLS_OPS_OWN_H
#define FERRY_TOOLS_OPS_OWN_H

#include "tools/ops.h"

/* A container that the bridge tracks. */
struct ops_container {
	struct ops_container *next;
	struct ops *ops;
	struct host_container *container;
	struct op *op;	/* its creation, until it has ended */
	uint64_t start; /* call that is under way while @op is */
	bool starting;
	char id[];
};

/* A process and its streams, from its start until it is closed. */
struct ops_process {
	struct ops_process *next;
	struct ops *ops;
	struct host_process *process; /* NULL: it has ended */
	void *streams;
	struct op *start;
	const char *exec_id; /* behind the other one */
	char container_id[];
};

/* A port for a card, and what is under way there. */
struct ops_nic {
	char id[40]; /* GUID, "": the port is free */
	struct op *op;
	bool removing;
};

struct ops {
	struct ops_config c;
	struct host_client *client; /* the sandbox's */
	struct host_observer observer;
	bool ended;
	struct op *stop;
	struct ops_nic nic[QEMU_NICS_MAX];
	struct ops_container *containers;
	struct ops_process *processes;
	unsigned char seed[16];
};

/** ops_fail() - the errno and the words of a call that failed */
int ops_fail(const struct ops *o, const struct host_failure *f, struct err *e);

/** ops_client() - the bridge, or NULL with @e */
struct host_client *ops_client(const struct ops *o, struct err *e);

/** ops_now_ns() - nanoseconds since 1970 */
uint64_t ops_now_ns(void *ctx);

/* Parts of ops_guest. */
int ops_container_create(void *ctx, const struct guest_container *c,
			 struct op *op, struct err *e);
int ops_container_delete(void *ctx, const char *id, struct op *op,
			 struct err *e);
int ops_container_open(void *ctx, const char *id, struct op *op, struct err *e);
int ops_process_start(void *ctx, const struct guest_process *p, struct op *op,
		      struct err *e);
int ops_process_signal(void *ctx, const char *container_id, const char *exec_id,
		       int32_t signal, struct op *op, struct err *e);
void ops_process_close(void *ctx, const char *container_id,
		       const char *exec_id);
int ops_process_state(void *ctx, const char *container_id, const char *exec_id,
		      uint32_t port[GUEST_STREAMS], uint64_t *ret_wait_id,
		      struct err *e);
int ops_process_attach(void *ctx, const struct guest_process *p, struct op *op,
		       struct err *e);
int ops_process_open(void *ctx, const struct guest_process *p, struct op *op,
		     struct err *e);

/* Lets go of all; what was being started or created ends with @why. */
void ops_containers_done(struct ops *o, const struct err *why);
void ops_processes_done(struct ops *o, const struct err *why);

#endif
