/*
 * tools/qemu/vm.h - one QEMU process from its start to its end
 *
 *	vm_start() --> RUNNING --(guest or QEMU ends)--------------> ENDED
 *			  \--vm_stop()--> waiting for the guest
 *				--budget--> QMP quit --budget--> SIGKILL --> ENDED
 *
 * The handler's ended() is called exactly once, when the process is gone. The
 * process also goes when this one dies, whatever way (parent-death signal).
 */
#ifndef FERRY_TOOLS_QEMU_VM_H
#define FERRY_TOOLS_QEMU_VM_H

#include <stdbool.h>

#include "bridge/io/loop.h"
#include "config/err.h"
#include "tools/qemu/argv.h"
#include "tools/qemu/history.h"
#include "tools/qemu/qmp.h"

/* How a UVM ended. */
enum vm_end {
	VM_END_NONE,	/* it runs */
	VM_END_ORDERLY, /* the guest powered itself off */
	VM_END_FAILED, /* so it did, after PID 1 had said that all is not well */
	VM_END_PANIC,  /* its kernel reset the machine: it panicked */
	VM_END_QEMU,   /* QEMU failed or was killed by somebody else */
	VM_END_STOPPED, /* vm_stop() ended it by force */
};

/**
 * struct vm_options - what to start; borrowed for the call
 * @qemu:	the machine; @qemu.qmp is a path that does not exist yet
 * @preload:	library to load into QEMU, NULL: none
 * @vsock_base:	where that library puts the sockets of the ports
 */
struct vm_options {
	struct qemu_options qemu;
	const char *preload;
	const char *vsock_base;
};

/**
 * struct vm_handler - what the owner is told; any may be NULL
 * @ready:	QMP is there, the guest runs
 * @event:	a QMP event (hot-plug, migration) that this pair does not use
 *		up; seen before it is acted on
 * @ended:	the process is gone, see vm_end() and vm_end_err()
 * @ctx:	passed to all
 *
 * Callbacks may call any function of this pair except vm_free().
 */
struct vm_handler {
	void (*ready)(void *ctx);
	void (*event)(void *ctx, const char *name, const struct qmp_data *data);
	void (*ended)(void *ctx);
	void *ctx;
};

/**
 * struct vm_budget - how long to wait before the next, harder step
 * @guest_ms:	for the guest to power off, which it was asked to before
 * @quit_ms:	for QEMU to follow "quit"
 * @kill_ms:	for the kernel to end a killed process
 */
struct vm_budget {
	int guest_ms;
	int quit_ms;
	int kill_ms;
};

struct vm;

/**
 * vm_start() - start QEMU and watch it
 * @ret:	receives the VM, the caller's
 * @l:		loop, borrowed for the life of the VM
 * @o:		options
 * @h:		handler, copied; not called before vm_start() has returned
 * @e:		reason; a program that is missing is -ENOENT
 *
 * Return: 0 or -errno
 */
int vm_start(struct vm **ret, struct loop *l, const struct vm_options *o,
	     const struct vm_handler *h, struct err *e);

/** vm_stop() - end it within the budgets; again: with the new budgets */
void vm_stop(struct vm *vm, const struct vm_budget *b);

/**
 * vm_free() - kill what still runs, wait for it, release; NULL is fine
 *
 * Bounded: a process that a SIGKILL does not end within seconds is left to
 * the kernel. ended() is not called.
 */
void vm_free(struct vm *vm);

/** vm_qmp() - the monitor, NULL before it is connected and after its end */
struct qmp *vm_qmp(const struct vm *vm);

/** vm_end() - how it ended */
enum vm_end vm_end(const struct vm *vm);

/** vm_end_name() - a few words for a way to end */
const char *vm_end_name(enum vm_end end);

/**
 * vm_end_err() - put the end into words, with QEMU's own last ones
 *
 * Return: -ECANCELED, -EIO, ... (0 for VM_END_ORDERLY and VM_END_NONE, @e
 *         untouched)
 */
int vm_end_err(const struct vm *vm, struct err *e);

/** vm_stderr() - the last lines that QEMU printed, "" when none */
const char *vm_stderr(const struct vm *vm);

/** vm_history() - its last QMP events */
const struct history *vm_history(const struct vm *vm);

/** vm_pid() - process id of QEMU, for messages and tests */
int vm_pid(const struct vm *vm);

#endif
