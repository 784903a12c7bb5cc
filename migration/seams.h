/*
 * migration/seams.h - everything outside of migration/ that a controller may
 * touch: VMM, guest, clock, chance, and who wants to hear of tasks
 */
#ifndef FERRY_MIGRATION_SEAMS_H
#define FERRY_MIGRATION_SEAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "migration/guest_ops.h"
#include "migration/vmm_ops.h"

/* Exit status of a process whose end nobody saw. */
#define TASK_EXIT_UNKNOWN 255u
/* Exit status of an imported container that never ran here. */
#define TASK_EXIT_ABORTED 137u

/**
 * struct task_event - something that happened to a task
 * @container_id: the id that containerd knows
 * @exec_id:	"" for init
 * @bundle:	created only
 * @stdio:	created only
 * @terminal:	created only
 * @pid:	process id in the guest
 * @exit_status: exit, deleted
 * @exited_at_ns: exit, deleted: nanoseconds since 1970
 *
 * Borrowed for the call.
 */
struct task_event {
	const char *container_id;
	const char *exec_id;
	const char *bundle;
	const char *stdio[GUEST_STREAMS];
	bool terminal;
	uint32_t pid;
	uint32_t exit_status;
	uint64_t exited_at_ns;
};

/*
 * For the shim to publish; each is called in the order in which containerd has
 * to hear of them. None may be NULL, none may call back into a controller.
 */
struct task_events {
	void (*created)(void *ctx, const struct task_event *t);
	void (*started)(void *ctx, const struct task_event *t);
	void (*exec_added)(void *ctx, const struct task_event *t);
	void (*exec_started)(void *ctx, const struct task_event *t);
	void (*exit)(void *ctx, const struct task_event *t);
	void (*deleted)(void *ctx, const struct task_event *t);
	void (*oom)(void *ctx, const struct task_event *t);
};

/**
 * struct seams - lent to all controllers of a sandbox for its life
 * @vmm, @vmm_ctx: the VM
 * @guest, @guest_ctx: its agent
 * @events, @events_ctx: listener
 * @now_ns:	wall clock, nanoseconds since 1970
 * @now_ctx:	for @now_ns
 * @log:	one line about something that nobody asked for and that somebody
 *		may want to know; may be NULL
 * @log_ctx:	for @log
 * @seed:	16 bytes of chance, of which reservation GUIDs are made
 */
struct seams {
	const struct vmm_ops *vmm;
	void *vmm_ctx;
	const struct guest_ops *guest;
	void *guest_ctx;
	const struct task_events *events;
	void *events_ctx;
	uint64_t (*now_ns)(void *ctx);
	void *now_ctx;
	void (*log)(void *ctx, const char *line);
	void *log_ctx;
	unsigned char seed[16];
};

#endif
