/*
 * config/annotation_lock.h - the annotations that a migratable UVM was built
 * from: fixed from then on, and taken along when it moves
 *
 * The lock is a map of the catalogue's locked keys and of what they meant,
 * each value in the one form of value_print(). A key that is not in it had its
 * default. Whoever later brings annotations for the sandbox (an update, a
 * container, the destination of a migration) is compared with it.
 *
 *	annotation_lock_take(&options, &lock, e);	when it is built
 *	annotation_lock_check(&lock, &later, e);	at each later one
 *	annotation_lock_put(&lock, &bytes);		into the saved state
 *	annotation_lock_get(p, n, &lock, e);		at the destination
 *
 * Saved form: version (16 bit), number of pairs (16 bit), then for each pair,
 * in byte order of the keys, length of key and of value (32 bit each) and both
 * texts without a NUL. Numbers are little-endian.
 */
#ifndef FERRY_CONFIG_ANNOTATION_LOCK_H
#define FERRY_CONFIG_ANNOTATION_LOCK_H

#include <stddef.h>

#include "config/annotation_map.h"
#include "config/err.h"
#include "config/options.h"
#include "config/text.h"

/* Written first; another one is refused by name. */
#define ANNOTATION_LOCK_VERSION 1u
/* What a destination takes; a policy is the only long text. */
#define ANNOTATION_LOCK_BYTES_MAX ((size_t)4 * 1024 * 1024)

/**
 * annotation_lock_take() - what @o was built from
 * @o:		options, complete
 * @lock:	initialised, receives the pairs
 *
 * A value that the annotations left open is there as it was decided: the
 * number of processors, the memory, the encryption of scratch disks.
 * Return: 0, or as annotation_map_set()
 */
int annotation_lock_take(const struct sandbox_options *o,
			 struct annotation_map *lock, struct err *e);

/**
 * annotation_lock_check() - do later annotations agree with the lock?
 * @lock:	as taken or got
 * @later:	any annotations; keys that are not locked are not looked at,
 *		absent ones are fine, and "1" is the same as "true"
 * @e:		migration-incompatible with key, old and new value;
 *		annotation-malformed
 *
 * Return: 0, -EINVAL, -ENOMEM
 */
int annotation_lock_check(const struct annotation_map *lock,
			  const struct annotation_map *later, struct err *e);

/** annotation_lock_put() - append the saved form to @out; check @out->full */
void annotation_lock_put(const struct annotation_map *lock, struct text *out);

/**
 * annotation_lock_get() - read a saved form; everything is checked
 * @data:	bytes of the source host
 * @size:	how many, at most ANNOTATION_LOCK_BYTES_MAX
 * @lock:	initialised and empty; on failure of no use
 * @e:		the reason; a key that this ferry does not lock is named
 *
 * Return: 0, -EINVAL (form, key, value), -EPROTO (another version), -E2BIG,
 *         -ENOMEM
 */
int annotation_lock_get(const void *data, size_t size,
			struct annotation_map *lock, struct err *e);

#endif
