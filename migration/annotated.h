/*
 * migration/annotated.h - the annotations that a moved sandbox was built from
 *
 * They are fixed when a migratable sandbox is built (config/annotation_lock.h)
 * and travel in ferry's part of the VM's payload. A destination compares them
 * with what it was told for the sandbox itself, before anything of the state is
 * taken, and with what each container brings when it is patched. A state of
 * another implementation has none: there is nothing to compare then.
 */
#ifndef FERRY_MIGRATION_ANNOTATED_H
#define FERRY_MIGRATION_ANNOTATED_H

#include <stddef.h>

#include "config/annotation_map.h"
#include "config/err.h"

/**
 * annotated_check() - does this host agree with what the sandbox was built of?
 * @lock:	saved form, of the source
 * @size:	bytes; 0: the state has none
 * @own:	what was asked for here; NULL: nothing was, only the form of
 *		@lock is checked
 * @e:		names the key, with both values
 *
 * Return: 0, -EPRECONDITION (a value differs), -EINVAL, -EPROTO, -E2BIG (the
 *         saved form is bad), -ENOMEM
 */
int annotated_check(const void *lock, size_t size,
		    const struct annotation_map *own, struct err *e);

#endif
