/*
 * migration/names.h - what ids, paths and GUIDs look like, and copies of them
 *
 * Rules S9, S10 and S11 of the saved state hold for what is created here as
 * well: what could not be imported is not accepted in the first place.
 */
#ifndef FERRY_MIGRATION_NAMES_H
#define FERRY_MIGRATION_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/err.h"

#define NAMES_ID_MAX 256u
#define NAMES_PATH_MAX 4095u
#define NAMES_GUID_SIZE 37u /* with its NUL */

/** names_id_ok() - 1 to 256 bytes, no control character, no '/', no dots only */
bool names_id_ok(const void *s, size_t len);

/** names_path_ok() - absolute, no NUL, no "." or ".." component */
bool names_path_ok(const void *s, size_t len);

/** names_guid_ok() - 8-4-4-4-12 hexadecimal digits, either case */
bool names_guid_ok(const void *s, size_t len);

/** names_guid_lower() - copy a good GUID in lower case */
void names_guid_lower(const char *guid, char ret[NAMES_GUID_SIZE]);

/** names_guid_make() - a random (version 4) GUID from a seed and a number */
void names_guid_make(const unsigned char seed[16], uint64_t number,
		     char ret[NAMES_GUID_SIZE]);

/**
 * names_check_id() - names_id_ok() with an error
 * @what:	"container id", ...
 *
 * Return: 0 or -EINVAL
 */
int names_check_id(const char *what, const char *id, struct err *e);

/** names_check_path() - names_path_ok() with an error; 0 or -EINVAL */
int names_check_path(const char *what, const char *path, struct err *e);

/**
 * names_copy() - a heap copy; NULL counts as ""
 *
 * Return: 0 or -ENOMEM
 */
int names_copy(const char *s, char **ret, struct err *e);

/** names_join() - printf into a heap string, or NULL */
char *names_join(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
