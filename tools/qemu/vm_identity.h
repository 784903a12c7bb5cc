/* tools/qemu/vm_identity.h - which QEMU this is, and which machine it made */
#ifndef FERRY_TOOLS_QEMU_VM_IDENTITY_H
#define FERRY_TOOLS_QEMU_VM_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "config/err.h"
#include "tools/qemu/qmp.h"

#define VM_MACHINE_SIZE 64u
/* Some 40 words of features at 20 bytes each. */
#define VM_CPU_SIZE 2048u

/**
 * struct vm_identity - what a migration has to agree on
 * @version:	major, minor, micro
 * @machine:	the versioned name, "pc-q35-7.2", for which "q35" is an alias
 *		that means something else in each version; "": not known
 * @cpu:	what the guest sees of its processors, as "KEY=VALUE" with blanks
 *		between: vendor, family, model, and each register of CPUID that
 *		tells features and is not 0, "7.0.ebx=219c95a9"; "": not known
 */
struct vm_identity {
	uint32_t version[3];
	char machine[VM_MACHINE_SIZE];
	char cpu[VM_CPU_SIZE];
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

/**
 * vm_identity_same_cpu() - does a guest see the same processors?
 * @there, @here: as in struct vm_identity; what is not known is the same
 * @e:		names the first thing that differs
 *
 * With KVM a guest has its host's processor, and has read long ago what that can
 * do. Return: 0 or -EPRECONDITION
 */
int vm_identity_same_cpu(const char *there, const char *here, struct err *e);

/** vm_identity_newer() - is @a a later version than @b? */
bool vm_identity_newer(const uint32_t a[3], const uint32_t b[3]);

#endif
