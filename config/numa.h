/*
 * config/numa.h - the virtual NUMA topology of a sandbox; pure.
 * Source: shared specification cmdline.md 4.3.
 */
#ifndef FERRY_CONFIG_NUMA_H
#define FERRY_CONFIG_NUMA_H

#include "config/err.h"
#include "config/options.h"

/* Explicit mapping: stands for any node of the host. */
#define NUMA_ANY_NODE 255u

/**
 * numa_check() - fill @o->numa and check what it says
 * @o:		options whose processors and memory are known
 * @e:		one of the numa- classes, in the order of the specification
 *
 * Half-filled settings give no NUMA and a note. Strict mode also refuses a
 * 65th virtual node and sums that do not fit, which the reference takes.
 * Return: 0 or -EINVAL
 */
int numa_check(struct sandbox_options *o, struct err *e);

#endif
