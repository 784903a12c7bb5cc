/*
 * migration/process.h - one process of a container: init or an exec
 *
 * Owned by its container (migration/container.h). The exit is told by the guest
 * (sandbox_ctl_process_exited()), once; whoever waits then is answered, and who
 * asks later is answered at once, until the process is deleted.
 * Source: shared specification migration.md 3.4.
 */
#ifndef FERRY_MIGRATION_PROCESS_H
#define FERRY_MIGRATION_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "migration/machine.h"
#include "migration/op.h"
#include "migration/saved.h"
#include "migration/seams.h"

/* Waits that may be outstanding on one process. */
#define PROCESS_WAITS_MAX 1024u

enum process_state {
	PROCESS_NOT_CREATED = 0,
	PROCESS_CREATED = 1,
	PROCESS_RUNNING = 2,
	PROCESS_TERMINATED = 3,
	PROCESS_DESTINATION_MIGRATING = 4,
	PROCESS_SOURCE_MIGRATING = 5,
	PROCESS_STATES, /* number of states */
};

enum process_event {
	PROCESS_EV_START,
	PROCESS_EV_KILL,
	PROCESS_EV_IO, /* resize, close stdin: the shim does it, if allowed */
	PROCESS_EV_EXIT,
	PROCESS_EV_DELETE,
	PROCESS_EV_SAVE,
	PROCESS_EV_PATCH,
	PROCESS_EV_RESUME,
	PROCESS_EV_ABORT,
	PROCESS_EVENTS, /* number of events */
};

extern const struct machine process_machine;

struct container_ctl;

/**
 * struct process_spec - what to run; borrowed for the call
 * @exec_id:	"" for init
 * @document:	OCI process, JSON text; NULL for init
 * @stdio:	upstream ends, NULL or "": no such stream
 * @terminal:	one terminal for stdin and stdout; then no stderr
 */
struct process_spec {
	const char *exec_id;
	const char *document;
	const char *stdio[GUEST_STREAMS];
	bool terminal;
};

/**
 * struct process_ctl - facts first, what is on its way behind them
 * @exit_status: 0..255, TASK_EXIT_UNKNOWN
 * @exited_at_ns: nanoseconds since 1970; of an imported one that is not opened
 *		yet: it has exited, and nobody was told
 * @port, @wait_id: as saved or imported
 * @streams:	of the bridge's session, as imported, until it is opened; owned, with
 *		their bytes and those of @unread behind them
 * @unread:	see struct guest_process
 * @starting:	a start is on its way
 * @early_exit:	the exit was told while @starting: it counts behind it
 * @gone:	deleted while @starting: freed behind it
 * @waiters:	chained by op->impl
 */
struct process_ctl {
	struct process_ctl *next; /* ascending exec id */
	struct container_ctl *container;
	char *exec_id;
	char *document;
	char *stdio[GUEST_STREAMS];
	bool terminal;
	enum process_state state;
	uint32_t pid;
	uint32_t exit_status;
	uint64_t exited_at_ns;
	uint32_t port[GUEST_STREAMS];
	uint64_t wait_id;
	struct saved_stream *streams;
	size_t n_streams;
	struct saved_text unread[GUEST_STREAMS];

	bool starting;
	bool early_exit;
	uint32_t early_status;
	uint64_t early_at_ns;
	struct op start_op;
	struct op *caller;
	struct op *waiters;
	uint32_t n_waiters;
};

/**
 * process_ctl_new() - created, not started; in its container's list
 *
 * Return: 0, -EINVAL (terminal with stderr, id), -EEXIST, -ENOMEM
 */
int process_ctl_new(struct container_ctl *c, const struct process_spec *spec,
		    struct process_ctl **ret, struct err *e);

/** process_ctl_free() - out of the list; waiters get -ENOENT */
void process_ctl_free(struct process_ctl *p);

/**
 * process_ctl_start() - op->value: the process id
 *
 * Init: the container runs from then on.
 * Return: 0 (see op.h), -EPRECONDITION
 */
int process_ctl_start(struct process_ctl *p, struct op *op, struct err *e);

/**
 * process_ctl_kill() - a signal for this one process
 *
 * Of one that has terminated: -ENOENT, as containerd wants it; init of a
 * stopped container: success.
 */
int process_ctl_kill(struct process_ctl *p, uint32_t signal, struct op *op,
		     struct err *e);

/** process_ctl_wait() - op->value: the exit status */
int process_ctl_wait(struct process_ctl *p, struct op *op, struct err *e);

/** process_ctl_unwait() - forget a wait; its op ends with -ECANCELED */
void process_ctl_unwait(struct process_ctl *p, struct op *op);

/**
 * process_ctl_delete() - of an exec that has terminated, or never started
 *
 * Return: 0, -EPRECONDITION, -EINVAL (init: delete the container)
 */
int process_ctl_delete(struct process_ctl *p, struct err *e);

/**
 * process_ctl_exited() - the guest, or the end of the VM, says it is over
 *
 * A second time is ignored.
 */
void process_ctl_exited(struct process_ctl *p, uint32_t status,
			uint64_t exited_at_ns);

/**
 * process_ctl_check() - may this happen now?
 *
 * For what the shim does without the controller: ask with PROCESS_EV_IO before.
 */
int process_ctl_check(const struct process_ctl *p, enum process_event event,
		      struct err *e);

#endif
