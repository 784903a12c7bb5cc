/*
 * tools/ops.h - the controllers of migration/ over one running sandbox: disks
 * and cards by tools/qemu/plug.h, everything in the guest by bridge/host/
 *
 *	sandbox is ready -> ops_new(), ops_seams() -> sandbox_ctl_init()
 *	vm_ctl_boot() finds the VM running and connected
 *	...
 *	sandbox has ended -> ops_ended() -> sandbox_free() -> ops_free()
 *
 * Every operation that is under way when the sandbox ends ends with -ESHUTDOWN,
 * or with -ENOTCONN when the bridge was lost first.
 *
 * Endpoints of network cards are words: "tap:NAME" (a tap device of this
 * network namespace), "user" (QEMU's own network), "dgram:LOCAL:REMOTE".
 */
#ifndef FERRY_TOOLS_OPS_H
#define FERRY_TOOLS_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/host/client.h"
#include "bridge/host/container.h"
#include "bridge/host/process.h"
#include "bridge/io/loop.h"
#include "migration/seams.h"
#include "tools/qemu/argv.h"
#include "tools/sandbox.h"

/**
 * struct ops_streams - how the upstream ends of a process are opened
 * @open:	by the paths of struct guest_process; gives the guest's ends, -1
 *		for no stream, which are closed by the caller. @ret is passed to
 *		the others
 * @attach:	other upstream ends in place of those; may be NULL
 * @close:	may be NULL
 * @freeze:	around a move, see tools/shim/stdio.h; this and the next two may be
 *		NULL
 * @kept:	bytes of a frozen stream that are on their way on this host
 * @give:	the same, where the process goes on; @last: it has exited
 * @ctx:	for @open
 */
struct ops_streams {
	int (*open)(void *ctx, const char *const path[GUEST_STREAMS],
		    void **ret, int guest_fd[GUEST_STREAMS], struct err *e);
	int (*attach)(void *streams, const char *const path[GUEST_STREAMS],
		      struct err *e);
	void (*close)(void *streams);
	int (*freeze)(void *streams, bool frozen, struct err *e);
	size_t (*kept)(const void *streams, enum msg_stdio which,
		       const uint8_t **ret);
	int (*give)(void *streams, enum msg_stdio which, const void *bytes,
		    size_t n, bool last, struct err *e);
	void *ctx;
};

/**
 * struct ops_config - what they stand on
 * @loop:	event loop, borrowed
 * @name:	of the sandbox, for its lease
 * @sandbox:	ready; borrowed until ops_free(). NULL: the destination of a
 *		move, which @make makes
 * @make:	a sandbox that waits for the guest that the config describes; it
 *		tells ops_waiting(). -EPRECONDITION names what differs here
 * @compat:	the compatibility statement of @sandbox, owned by who gives it
 * @streams:	copied
 * @others_save, @others_give, @others_thaw: of processes of the VM itself, which
 *		the owner knows; see struct guest_ops. They may be NULL
 * @process_exited: for sandbox_ctl_process_exited(); @end has more, and is for
 *		the call
 * @out_of_memory: for sandbox_ctl_oom(); may be NULL
 * @vm_exited:	for sandbox_ctl_vm_exited()
 * @ctx:	for all of them
 */
struct ops_config {
	struct loop *loop;
	const char *name;
	struct sandbox *sandbox;
	int (*make)(void *ctx, const struct vmm_config *c, struct sandbox **ret,
		    struct err *e);
	int (*compat)(void *ctx, const void **ret, size_t *ret_len,
		      struct err *e);
	struct ops_streams streams;
	int (*others_save)(void *ctx, struct arena *a, struct saved_vm *ret,
			   struct err *e);
	int (*others_give)(void *ctx, const struct saved_vm *saved,
			   struct err *e);
	void (*others_thaw)(void *ctx);
	void (*process_exited)(void *ctx, const char *container_id,
			       const char *exec_id, uint32_t status,
			       uint64_t at_ns,
			       const struct host_process_end *end);
	void (*out_of_memory)(void *ctx, const char *container_id);
	void (*vm_exited)(void *ctx);
	void *ctx;
};

struct ops;
struct lease;

/** ops_new() - return: 0 or -ENOMEM */
int ops_new(const struct ops_config *c, struct ops **ret, struct err *e);

/**
 * ops_ended() - the sandbox has ended, or never will run again: lets go of
 * containers and processes, tells vm_exited() and who stopped it
 *
 * From the sandbox's ended(), before sandbox_free().
 */
void ops_ended(struct ops *o);

/** ops_waiting() - the sandbox that was made can be spoken to; or, with @why, is
 * not what it has to be */
void ops_waiting(struct ops *o, const struct err *why);

/** ops_free() - after sandbox_free(), whose calls end here; NULL is fine */
void ops_free(struct ops *o);

/** ops_seams() - fill in VMM, guest, clock and chance; the rest is the owner's */
void ops_seams(struct ops *o, struct seams *s);

/** ops_card() - id of the card in @port, "": none there; NULL: no such port */
const char *ops_card(const struct ops *o, uint32_t port);

/** ops_card_expect() - a move brings card @id along, in @port */
void ops_card_expect(struct ops *o, uint32_t port, const char *id);

/** ops_process() - the running process, for what the controllers leave to the
 * shim (resize, end of input); NULL: none */
struct host_process *ops_process(const struct ops *o, const char *container_id,
				 const char *exec_id);

/** ops_streams_of() - what struct ops_streams.open gave for a process, until
 * the controllers close it; NULL: none, or never started */
void *ops_streams_of(const struct ops *o, const char *container_id,
		     const char *exec_id);

/** ops_lease() - who may run the guest, see tools/lease.h */
const struct lease *ops_lease(const struct ops *o);

extern const struct vmm_ops ops_vmm;
extern const struct guest_ops ops_guest;

#endif
