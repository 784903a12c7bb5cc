/*
 * migration/status.h - the codes that callers of the shim get
 *
 * Inside, a failure is a negative errno and a struct err, as everywhere. The
 * few kinds of failure that a caller tells apart have an errno of their own
 * here, and one function turns any errno into the code of a status.
 * Source: shared specification migration.md 2.
 */
#ifndef FERRY_MIGRATION_STATUS_H
#define FERRY_MIGRATION_STATUS_H

#include <errno.h>

/* Not in this state: the request is fine, the object is not ready for it. */
#define EPRECONDITION EBADFD
/* The answer to what was asked does not fit its limit. */
#define EEXHAUSTED ENOBUFS

enum status_code {
	STATUS_OK = 0,
	STATUS_CANCELLED = 1,
	STATUS_UNKNOWN = 2,
	STATUS_INVALID_ARGUMENT = 3,
	STATUS_DEADLINE_EXCEEDED = 4,
	STATUS_NOT_FOUND = 5,
	STATUS_ALREADY_EXISTS = 6,
	STATUS_RESOURCE_EXHAUSTED = 8,
	STATUS_FAILED_PRECONDITION = 9,
	STATUS_UNIMPLEMENTED = 12,
	STATUS_INTERNAL = 13,
	STATUS_UNAVAILABLE = 14,
};

/**
 * status_of() - the code for a return value of this house
 * @r:	0 or a negative errno
 *
 * Return: the code; STATUS_UNKNOWN for an errno that means nothing to callers
 */
enum status_code status_of(int r);

/** status_name() - "INVALID_ARGUMENT", ...; "UNKNOWN" for others */
const char *status_name(enum status_code code);

#endif
