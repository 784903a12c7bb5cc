/* tools/qemu/vm_identity.h - which QEMU this is, and which machine it made */
#ifndef FERRY_TOOLS_QEMU_VM_IDENTITY_H
#define FERRY_TOOLS_QEMU_VM_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "config/err.h"
#include "tools/qemu/qmp.h"

#define VM_MACHINE_SIZE 64u

/**
 * struct vm_identity - what a migration has to agree on
 * @version:	major, minor, micro
 * @machine:	the versioned name, "pc-q35-7.2", for which "q35" is an alias
 *		that means something else in each version; "": not known
 */
struct vm_identity {
	uint32_t version[3];
	char machine[VM_MACHINE_SIZE];
};

typedef void vm_identity_fn(void *ctx, const struct vm_identity *id);

/**
 * vm_identity_ask() - ask QEMU
 * @q:		monitor, NULL: it is gone
 * @done:	called once, with what is known; not when the owner of the
 *		monitor is freed before
 *
 * Return: 0 or -errno
 */
int vm_identity_ask(struct qmp *q, vm_identity_fn *done, void *ctx,
		    struct err *e);

/** vm_identity_newer() - is @a a later version than @b? */
bool vm_identity_newer(const uint32_t a[3], const uint32_t b[3]);

#endif
