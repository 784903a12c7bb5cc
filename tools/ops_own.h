/* tools/ops_own.h - what the parts of tools/ops.h share, and nobody else */
#ifndef FERRY_TOOLS_OPS_OWN_H
#define FERRY_TOOLS_OPS_OWN_H

#include "tools/lease.h"
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
	char mac[20];
	char expected[40]; /* the card that a move brings, "": none */
	struct op *op;
	bool removing;
};

/**
 * struct ops_move - a migration, either side
 * @destination: the sandbox was made for it
 * @socket:	transport, -1: none, or it is QEMU's
 * @handoff:	of the socket
 * @op:		the operation that runs, but for @transfer and @reach
 * @step:	of a creation, while it is @making
 * @transfer, @reach: the memory; the guest's connection
 * @resume:	the guest goes on here
 * @lease:	who may let it go on
 * @disk, @nic:	what the destination plugs before the guest comes
 * @options:	of the destination
 * @frozen:	the bridge's session is, and the streams
 */
struct ops_move {
	bool destination;
	bool transferred;
	int socket;
	struct handoff *handoff;
	struct op *op;
	struct op step;
	bool making;
	struct op *transfer;
	struct op *reach;
	struct op *resume;
	struct lease lease;
	struct vmm_disk *disk;
	size_t n_disks;
	struct vmm_nic *nic;
	size_t n_nics;
	size_t at;
	struct vmm_options options;
	bool frozen;
};

struct ops {
	struct ops_config c;
	struct ops_move move;
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

/* Parts of ops_vmm. */
int ops_disk_add(void *ctx, const struct vmm_disk *d, struct op *op,
		 struct err *e);
int ops_nic_add(void *ctx, const struct vmm_nic *n, struct op *op,
		struct err *e);
int ops_move_create(struct ops *o, const struct vmm_config *c, struct op *op,
		    struct err *e);
int ops_move_adopt(void *ctx, const void *info, size_t len, struct op *op,
		   struct err *e);
void ops_move_close(void *ctx);
int ops_move_transfer(void *ctx, struct op *op, struct err *e);
int ops_move_cancel(void *ctx, struct op *op, struct err *e);
int ops_move_finalize(void *ctx, enum vmm_outcome outcome,
		      const struct lease_claim *claim, struct op *op,
		      struct err *e);
int ops_move_hold(void *ctx, const char *path, const char *machine,
		  uint64_t epoch, const char **ret, struct err *e);
int ops_move_open(void *ctx, const char *path, const struct lease_claim *claim,
		  struct err *e);
int ops_move_init(void *ctx, const struct vmm_options *options, struct op *op,
		  struct err *e);
int ops_move_compat(void *ctx, const void **ret, size_t *ret_len, struct op *op,
		    struct err *e);
int ops_move_start(void *ctx, uint32_t number, struct op *op, struct err *e);
int ops_move_grant(void *ctx, const struct vmm_disk *d, struct op *op,
		   struct err *e);
/* The guest's connection, on either side. */
int ops_move_reach(struct ops *o, struct op *op, struct err *e);
/* Ends what runs with @why. */
void ops_move_ended(struct ops *o, const struct err *why);
void ops_move_done(struct ops *o);

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

/* The session, tools/ops_session.c. */
int ops_session_save(void *ctx, struct arena *a, struct saved_text *ret,
		     struct err *e);
void ops_session_thaw(void *ctx);
int ops_process_streams(void *ctx, const char *container_id,
			const char *exec_id, struct arena *a,
			struct saved_process *ret, struct err *e);
int ops_others_save(void *ctx, struct arena *a, struct saved_vm *ret,
		    struct err *e);
int ops_others_give(void *ctx, const struct saved_vm *saved, struct err *e);

/* Lets go of all; what was being started or created ends with @why. */
void ops_containers_done(struct ops *o, const struct err *why);
void ops_processes_done(struct ops *o, const struct err *why);

#endif
