/*
 * tools/shim/machine.h - the description of a VM that travels with it
 *
 * The document is what the destination makes the same machine from: memory,
 * processors, kernel line, annotations. The compatibility statement has of it
 * what must be equal on both hosts; it is compared before a VM is made, because
 * QEMU finds only a part of what differs:
 *
 *	accelerator, vsock, memory, processors, line, slots	equal
 *	kernel, image		equal in content, by SHA-256
 *	machine			by its versioned name, of which QEMU has to know
 *	QEMU			not older than the source's
 *	processors		what the guest sees of them, as far as both QEMUs say
 */
#ifndef FERRY_TOOLS_SHIM_MACHINE_H
#define FERRY_TOOLS_SHIM_MACHINE_H

#include "config/text.h"
#include "migration/vmm_ops.h"
#include "tools/file_sum.h"
#include "tools/qemu/vm_identity.h"

struct shim;

enum { MACHINE_KERNEL, MACHINE_IMAGE, MACHINE_FILES };

/**
 * struct machine_facts - what is known of this host's side
 * @id:		of the QEMU that runs
 * @wanted:	name of the machine of the one that comes, "": the usual
 * @oldest:	version of QEMU that it was started with there
 * @cpu:	its processors, "": not known
 * @file:	what it is, or will be, booted from
 */
struct machine_facts {
	struct vm_identity id;
	char wanted[VM_MACHINE_SIZE];
	uint32_t oldest[3];
	char cpu[VM_CPU_SIZE];
	struct file_sum file[MACHINE_FILES];
};

/* Both are JSON; the kernel line is the largest part. */
#define MACHINE_BYTES_MAX ((size_t)200 * 1024)

/**
 * machine_document(), machine_compat() - of the running sandbox
 * @out:	initialised; receives the text
 *
 * Return: 0, -E2BIG, -ENOMEM
 */
int machine_document(const struct shim *s, struct text *out, struct err *e);
int machine_compat(struct shim *s, struct text *out, struct err *e);

/** machine_is_right() - is the QEMU that was started one that it can go on in?
 * 0 or -EPRECONDITION */
int machine_is_right(const struct shim *s, struct err *e);

/**
 * machine_take() - s->launch is the machine that a document describes
 *
 * Return: 0; -EPRECONDITION names the first thing that this host has otherwise;
 *         -EINVAL: not such a document
 */
int machine_take(struct shim *s, const struct vmm_config *c, struct err *e);

#endif
