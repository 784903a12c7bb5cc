/*
 * migration/state_file.h - a saved state in a file: whole, and whose; pure
 *
 * A state that travels from shim to shim has no envelope of its own; one that
 * lies in a file has this one. The sum is always there and finds damage; with a
 * key it is an HMAC and finds forgery, too. Numbers are big-endian.
 *
 *	 0  "FERRYST\n"			8 bytes
 *	 8  version, 1			16 bit
 *	10  flags: 1 = keyed		16 bit
 *	12  length of the state		32 bit
 *	16  the state			google.protobuf.Any
 *	..  sum				32 bytes: SHA-256, or with a key
 *					HMAC-SHA256, of everything before it
 *
 * A file of another version is refused by name. A keyed file cannot be read
 * without its key, and a file without one not with a key: who expects a seal
 * does not take less.
 */
#ifndef FERRY_MIGRATION_STATE_FILE_H
#define FERRY_MIGRATION_STATE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/err.h"
#include "config/text.h"
#include "migration/saved.h"

#define STATE_FILE_VERSION 1u
#define STATE_FILE_HEAD 16u
#define STATE_FILE_SUM 32u
#define STATE_FILE_MAX (STATE_FILE_HEAD + SAVED_BYTES_MAX + STATE_FILE_SUM)
/* Of a key; the shorter it is the less it says. */
#define STATE_FILE_KEY_MIN 16u
#define STATE_FILE_KEY_MAX 4096u

/**
 * struct state_key - a secret of both sides
 * @p:		bytes, NULL: none
 * @n:		how many
 */
struct state_key {
	const void *p;
	size_t n;
};

/**
 * state_file_seal() - append the whole file
 * @state:	serialised state
 * @size:	bytes, at most SAVED_BYTES_MAX
 * @key:	NULL: only a sum
 *
 * Return: 0, -EINVAL (key), -EEXHAUSTED, -ENOMEM
 */
int state_file_seal(const void *state, size_t size, const struct state_key *key,
		    struct text *out, struct err *e);

/** state_file_is() - does it begin as such a file does? */
bool state_file_is(const void *data, size_t size);

/**
 * state_file_open() - check the seal
 * @ret, @ret_size: the state inside of @data
 *
 * Return: 0, -EINVAL (not such a file, cut, damaged, key missing or wrong),
 *         -EPROTO (another version), -EEXHAUSTED
 */
int state_file_open(const void *data, size_t size, const struct state_key *key,
		    const void **ret, size_t *ret_size, struct err *e);

#endif
