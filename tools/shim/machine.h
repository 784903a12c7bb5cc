/*
 * tools/shim/machine.h - the description of a VM that travels with it
 *
 * The document is what the destination makes the same machine from: memory,
 * processors, kernel line, annotations. The compatibility statement has of it
 * what must be equal on both hosts; it is compared before a VM is made, because
 * QEMU finds only a part of what differs.
 */
#ifndef FERRY_TOOLS_SHIM_MACHINE_H
#define FERRY_TOOLS_SHIM_MACHINE_H

#include "config/text.h"
#include "migration/vmm_ops.h"

struct shim;

/* Both are JSON; the kernel line is the largest part. */
#define MACHINE_BYTES_MAX ((size_t)200 * 1024)

/**
 * machine_document(), machine_compat() - of the running sandbox
 * @out:	initialised; receives the text
 *
 * Return: 0, -E2BIG, -ENOMEM
 */
int machine_document(const struct shim *s, struct text *out, struct err *e);
int machine_compat(const struct shim *s, struct text *out, struct err *e);

/**
 * machine_take() - s->launch is the machine that a document describes
 *
 * Return: 0; -EPRECONDITION names the first thing that this host has otherwise;
 *         -EINVAL: not such a document
 */
int machine_take(struct shim *s, const struct vmm_config *c, struct err *e);

#endif
