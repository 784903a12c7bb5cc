/* tools/qemu/vm_progress.h - how far a migration is */
#ifndef FERRY_TOOLS_QEMU_VM_PROGRESS_H
#define FERRY_TOOLS_QEMU_VM_PROGRESS_H

#include <stdint.h>

#include "config/err.h"
#include "tools/qemu/qmp.h"

/* Of the transfer; 0: not known. */
struct vm_progress {
	uint64_t transferred; /* bytes */
	uint64_t remaining;
	uint64_t total;
	uint64_t dirty; /* bytes a second */
	uint64_t rate;	/* bytes a second */
};

typedef void vm_progress_fn(void *ctx, const struct vm_progress *p);

/**
 * vm_progress_ask() - ask QEMU
 * @q:		monitor, NULL: it is gone
 * @done:	called once, also when QEMU ends, but not when the owner of the
 *		monitor is freed before
 *
 * Return: 0 or -errno
 */
int vm_progress_ask(struct qmp *q, vm_progress_fn *done, void *ctx,
		    struct err *e);

#endif
