/*
 * tools/shim/uvm.h - processes of the UVM itself, which containerd's task
 * service has no place for
 *
 *	uvm_proc_new()   created: streams are not opened yet
 *	uvm_proc_start() running, with a process id of the guest
 *	...              stopped: the exit code is kept for who asks
 *	uvm_proc_delete()
 *
 * A process that comes with its VM is running from its import on; it is opened
 * when the guest has arrived, until then it cannot be reached.
 *
 * Operations are those of migration/op.h. One that nobody will delete (the
 * client that wanted it may be gone) goes by itself some time after its exit.
 */
#ifndef FERRY_TOOLS_SHIM_UVM_H
#define FERRY_TOOLS_SHIM_UVM_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/host/client.h"
#include "bridge/host/process.h"
#include "config/arena.h"
#include "config/err.h"
#include "migration/op.h"
#include "migration/saved.h"
#include "tools/shim/stdio.h"

/* Processes that are known at a time, stopped ones too. */
#define UVM_PROCS_MAX 8192u
/* Bytes of a process's id with its NUL. */
#define UVM_EXEC_ID_MAX 77u
/* A stopped process that nobody deleted goes after that. */
#define UVM_KEEP_MS 600000
/* Bytes that a process document may decode to. */
#define UVM_SPEC_MAX ((size_t)1024 * 1024)
/* Exit status of a process whose end nobody saw. */
#define UVM_EXIT_UNKNOWN 255u

enum uvm_state {
	UVM_CREATED,
	UVM_STARTING,
	UVM_RUNNING,
	UVM_STOPPED,
	UVM_STATES, /* number of states */
};

struct uvm_procs;

/**
 * struct uvm_proc - one process; owned by its table
 * @exec_id:	its name
 * @state:	see above
 * @parameters:	what to run, in @arena
 * @path:	streams, in @arena
 * @terminal:	stdin and stdout are one terminal
 * @pid:	process id in the guest, 0: never started
 * @exit_status: 0..255, UVM_EXIT_UNKNOWN
 * @started_ns, @exited_ns: wall clock since 1970, 0: not yet
 */
struct uvm_proc {
	struct uvm_procs *table;
	struct uvm_proc *next;
	char exec_id[UVM_EXEC_ID_MAX];
	enum uvm_state state;
	struct arena arena;
	struct msg_process_parameters parameters;
	const char *path[MSG_STDIO];
	bool terminal;
	uint32_t pid;
	uint32_t exit_status;
	uint64_t started_ns;
	uint64_t exited_ns;
	struct host_process *process;
	struct shim_stdio *io;
	struct saved_process *came; /* in @arena: not opened yet */
	struct op *start;
	struct op *waiters; /* chained by op->impl */
	struct loop_id timer;
};

/**
 * struct uvm_procs - all of them
 * @first:	the newest
 */
struct uvm_procs {
	struct loop *loop;
	struct uvm_proc *first;
	size_t n;
};

/* What runs, as OCI's process object has it. */
struct uvm_spec {
	const char *exec_id;
	const char *document; /* JSON text */
	size_t document_len;
	bool terminal;
	const char *path[MSG_STDIO];
};

/**
 * uvm_proc_new() - created, not started
 *
 * Return: 0, -EINVAL (document, id), -EEXIST, -ENOSPC, -ENOMEM
 */
int uvm_proc_new(struct uvm_procs *t, const struct uvm_spec *spec,
		 struct uvm_proc **ret, struct err *e);

/** uvm_proc_find() - by name, NULL: none */
struct uvm_proc *uvm_proc_find(const struct uvm_procs *t, const char *exec_id);

/**
 * uvm_proc_start() - op->value: process id
 *
 * Ends with -ENOENT when the program is not there, -EACCES when it cannot be
 * executed. Return: 0, -EBADFD (not created), -ENOTCONN, -errno
 */
int uvm_proc_start(struct uvm_proc *p, struct host_client *c, struct op *op,
		   struct err *e);

/**
 * uvm_proc_wait() - op->value: exit status; ends at once when it has stopped
 */
void uvm_proc_wait(struct uvm_proc *p, struct op *op);

/** uvm_proc_unwait() - forget a wait; its op does not end */
void uvm_proc_unwait(struct uvm_proc *p, struct op *op);

/** uvm_proc_kill() - a signal; ends with -ESRCH when it has stopped */
int uvm_proc_kill(struct uvm_proc *p, uint32_t signal, struct op *op,
		  struct err *e);

/** uvm_proc_resize() - its terminal, in cells */
int uvm_proc_resize(struct uvm_proc *p, uint32_t height, uint32_t width,
		    struct op *op, struct err *e);

/**
 * uvm_proc_delete() - forget it
 *
 * Return: 0, -EBADFD (it runs)
 */
int uvm_proc_delete(struct uvm_proc *p, struct err *e);

/*
 * Of tools/shim/uvm_move.c, see struct guest_ops: uvm_procs_save() freezes their
 * streams, uvm_procs_thaw() goes on with them here; uvm_procs_arrived() opens
 * those that uvm_procs_give() made.
 */
int uvm_procs_save(struct uvm_procs *t, struct arena *a, struct saved_vm *ret,
		   struct err *e);
void uvm_procs_thaw(struct uvm_procs *t);
int uvm_procs_give(struct uvm_procs *t, const struct saved_vm *saved,
		   struct err *e);
void uvm_procs_arrived(struct uvm_procs *t, struct host_client *c);

/** uvm_proc_keep() - it has stopped: forget it in a while */
void uvm_proc_keep(struct uvm_proc *p);

/** uvm_proc_ended() - for host_process_config.ended, with the process as ctx */
void uvm_proc_ended(void *ctx, const struct host_process_end *end);

/** uvm_procs_done() - let go of all; nothing is killed, waits end */
void uvm_procs_done(struct uvm_procs *t);

/** uvm_state_name() - "created", "running", "stopped" */
const char *uvm_state_name(enum uvm_state state);

/** clock_wall_ns() - nanoseconds since 1970 */
uint64_t clock_wall_ns(void);

#endif
