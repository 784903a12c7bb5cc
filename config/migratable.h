/*
 * config/migratable.h - what a sandbox must not have if it is to migrate
 *
 * Checked when the sandbox is built, not when it is saved.
 * Source: shared specification cmdline.md 11.
 */
#ifndef FERRY_CONFIG_MIGRATABLE_H
#define FERRY_CONFIG_MIGRATABLE_H

#include "config/annotation_map.h"
#include "config/err.h"
#include "config/options.h"

/**
 * migratable_choose() - fill @o->migratable and @o->forwarder
 * @o:		options whose annotations have been read
 * @a:		the annotations, to see which of the two keys are there
 * @r:		forwarder that was asked for
 * @e:		annotation-conflict (both keys, different meaning; strict),
 *		migration-incompatible (migratable and classic)
 *
 * Compat mode does what the reference does: only the newer key counts, and
 * migration means relay.
 * Return: 0 or -EINVAL
 */
int migratable_choose(struct sandbox_options *o, const struct annotation_map *a,
		      const struct runtime_options *r, struct err *e);

/**
 * migratable_check() - strict mode: does a migratable sandbox set anything
 * that cannot follow it?
 * @o:		options, complete
 * @a:		the annotations
 * @r:		assigned devices
 * @e:		migration-incompatible, names the key
 *
 * Return: 0 or -EINVAL
 */
int migratable_check(const struct sandbox_options *o,
		     const struct annotation_map *a,
		     const struct runtime_options *r, struct err *e);

#endif
