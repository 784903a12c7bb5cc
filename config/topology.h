/*
 * config/topology.h - processors and memory of a sandbox; pure.
 * Source: shared specification cmdline.md 4.1, 4.2.
 */
#ifndef FERRY_CONFIG_TOPOLOGY_H
#define FERRY_CONFIG_TOPOLOGY_H

#include "config/err.h"
#include "config/options.h"

/**
 * topology_processors() - fill @o->processor_count, check group and partition
 * @o:		options whose annotations have been read
 * @r:		number of processors of the host
 * @e:		annotation-range (strict), resource-partition-invalid,
 *		cpu-group-partition-conflict
 *
 * Return: 0 or -EINVAL
 */
int topology_processors(struct sandbox_options *o,
			const struct runtime_options *r, struct err *e);

/**
 * topology_memory() - fill @o->memory_mib and @o->overcommit
 * @o:		options whose annotations have been read
 * @e:		annotation-range (strict), deferred-commit-physical
 *
 * Compat mode computes modulo 2^64, as the reference does.
 * Return: 0 or -EINVAL
 */
int topology_memory(struct sandbox_options *o, struct err *e);

#endif
