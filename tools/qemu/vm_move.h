/*
 * tools/qemu/vm_move.h - the migration of one QEMU process, either side of it
 *
 * Theory of operation. Both sides are armed with the same capabilities, given a
 * connected socket, and transfer. The source stops the guest by itself (before
 * its memory is copied, where QEMU could not watch it: vm_move.c), waits
 * in "pre-switchover", is told to go on at once, and ends "completed"; the
 * destination loads and ends "completed" too, its guest still paused.
 *
 *	source		IDLE -> ARMED -> GIVEN -> SENDING -> OVER
 *	destination	IDLE -> ARMED -> GIVEN -> LOADING -> OVER
 *
 * What QEMU 7.2 does not do right is seen to here (shared specification
 * migration.md 9.4): a successful answer to a cancel means nothing, the status
 * is asked until it is final; a guest is never continued before its own status
 * is known; the reason of a failure is asked for.
 *
 * One operation at a time, but for the cancel. Everything ends with -ESHUTDOWN
 * when QEMU is gone.
 */
#ifndef FERRY_TOOLS_QEMU_VM_MOVE_H
#define FERRY_TOOLS_QEMU_VM_MOVE_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/io/loop.h"
#include "config/err.h"
#include "migration/vmm_ops.h"
#include "tools/qemu/qmp.h"

/* QEMU answers at once, but for a cancel and a load that end. */
#define VM_MOVE_STEP_MS 30000
#define VM_MOVE_CANCEL_MS 30000
#define VM_MOVE_POLL_MS 20
/*
 * From pre-switchover to the end: the guest stands still, and QEMU waits for
 * ever for a destination that is there and does nothing. Not while it may stand
 * still for as long as it takes, nor for a file.
 */
#define VM_MOVE_SWITCHOVER_MS 30000
/* How often a source tells that memory flows, beside once for each pass. */
#define VM_MOVE_PROGRESS_MS 1000
/* Bytes a second; QEMU's own limit would hold a fast network back. */
#define VM_MOVE_BANDWIDTH ((int64_t)100 * 1024 * 1024 * 1024)
/* What "as long as it takes" is for QEMU's downtime-limit. */
#define VM_MOVE_DOWNTIME_MAX_MS 2000000u

enum vm_move_side { VM_MOVE_SOURCE, VM_MOVE_DESTINATION };

/* What the owner may tell others of; migration.md 9.5. */
enum vm_move_note {
	VM_MOVE_SETUP,		/* the memory begins to flow */
	VM_MOVE_PASS,		/* once more over memory */
	VM_MOVE_STOPPED,	/* the guest stands still */
	VM_MOVE_PRE_SWITCHOVER, /* only the devices are left */
	VM_MOVE_RUNNING,	/* the guest runs again, here */
	VM_MOVE_COMPLETED,
	VM_MOVE_CANCELLED,
	VM_MOVE_FAILED,
	VM_MOVE_PROGRESS,    /* QEMU says that memory flows */
	VM_MOVE_GUEST_ENDED, /* it shut down or reset itself in the transfer */
	VM_MOVE_NOTES,
};

/* May run before the function that began the operation returns. */
typedef void vm_move_done_fn(void *ctx, int result, const struct err *e);
/* @number: of the pass, or of milliseconds since the stop, else 0 */
typedef void vm_move_note_fn(void *ctx, enum vm_move_note note,
			     uint64_t number);

struct vm_move;

/** vm_move_new() - @note may be NULL; return: 0 or -ENOMEM */
int vm_move_new(struct vm_move **ret, struct loop *l, vm_move_note_fn *note,
		void *ctx, struct err *e);

/** vm_move_free() - no callbacks; not before the owner of the monitor is freed */
void vm_move_free(struct vm_move *m);

/** vm_move_up(), vm_move_event(), vm_move_down() - as of tools/qemu/plug.h */
void vm_move_up(struct vm_move *m, struct qmp *q);
void vm_move_event(struct vm_move *m, const char *name,
		   const struct qmp_data *data);
void vm_move_down(struct vm_move *m);

/**
 * vm_move_arm() - capabilities and parameters
 * @o:		wishes, checked; NULL: defaults
 *
 * Ends with -EPRECONDITION when something of the machine blocks migration.
 * Return: 0, -EBUSY, -ENOTCONN, -ESHUTDOWN
 */
int vm_move_arm(struct vm_move *m, enum vm_move_side side,
		const struct vmm_options *o, vm_move_done_fn *done, void *ctx,
		struct err *e);

/** vm_move_give() - hand a connected socket to QEMU; @fd is borrowed */
int vm_move_give(struct vm_move *m, int fd, vm_move_done_fn *done, void *ctx,
		 struct err *e);

/**
 * vm_move_transfer() - memory and devices, to the end
 *
 * Ends with 0: the source stands still for good unless it is resumed, the
 * destination is complete and paused; -ECANCELED; -EIO with QEMU's reason.
 */
int vm_move_transfer(struct vm_move *m, vm_move_done_fn *done, void *ctx,
		     struct err *e);

/**
 * vm_move_cancel() - a source stops sending; its guest runs on, if it can
 *
 * Ends when QEMU's status is final, whatever it is, and when the transfer has
 * ended before. Nothing to cancel is a success.
 */
int vm_move_cancel(struct vm_move *m, vm_move_done_fn *done, void *ctx,
		   struct err *e);

/**
 * vm_move_resume() - this side runs the guest
 *
 * Ends with -EPRECONDITION while the guest's state is not known to be here and
 * whole; with 0 when it runs, also when it ran already.
 */
int vm_move_resume(struct vm_move *m, vm_move_done_fn *done, void *ctx,
		   struct err *e);

/** vm_move_was_told() - QEMU was told to run the guest, and did not refuse */
bool vm_move_was_told(const struct vm_move *m);

/** vm_move_force() - the guest may stand still as long as it takes */
void vm_move_force(struct vm_move *m);

/** vm_move_note_name() - "setup", "pass", ... */
const char *vm_move_note_name(enum vm_move_note note);

#endif
