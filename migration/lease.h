/*
 * migration/lease.h - who may run the guest: one record, and one rule
 *
 * A machine is born with a name of its own and epoch 0. Each state that is
 * handed out has the next epoch, and a source that goes on after all has the
 * one behind that, so that no epoch is given twice:
 *
 *	source runs in e -- state of e+1 --> destination runs in e+1
 *	                \-- rolled back: source runs in e+2
 *
 * The record of the machine, a small file, names the epoch of whoever let the
 * guest run last. Who lets it run holds a lock on that file for as long as the
 * guest may run there, and may do so only when the record has the epoch that he
 * comes from: then nobody has run it since. He writes his own before the guest
 * runs. So of a source, a destination and any number of copies of a state one
 * runs; all others are refused, also when that one has died meanwhile, for its
 * disks have gone on.
 *
 * The lock is what tells a guest that runs from one that ran. Files and locks
 * are tools/lease.h; here is what can be said without them.
 */
#ifndef FERRY_MIGRATION_LEASE_H
#define FERRY_MIGRATION_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/err.h"

/* Name of a machine: hexadecimal digits and a NUL. */
#define LEASE_MACHINE_SIZE 33u
#define LEASE_OWNER_SIZE 128u
#define LEASE_PATH_MAX 255u
/* In place of a path: who moves it knows another way to have it run once. */
#define LEASE_NONE "none"
/* The record in its file, filled up with newlines: one sector, one write. */
#define LEASE_BYTES 512u

/**
 * struct lease_record - what the file says
 * @machine:	whose it is
 * @epoch:	of the last who let the guest run
 * @owner:	who that was, for people
 */
struct lease_record {
	char machine[LEASE_MACHINE_SIZE];
	uint64_t epoch;
	char owner[LEASE_OWNER_SIZE];
};

/**
 * struct lease_claim - who wants to let the guest run
 * @machine:	which
 * @from:	the epoch that he comes from
 * @epoch:	the one that he will run in
 */
struct lease_claim {
	const char *machine;
	uint64_t from;
	uint64_t epoch;
};

/** lease_machine_ok() - 32 hexadecimal digits in lower case? */
bool lease_machine_ok(const void *s, size_t len);

/** lease_machine_make() - the name that comes of 16 bytes of chance */
void lease_machine_make(const unsigned char seed[16],
			char ret[LEASE_MACHINE_SIZE]);

/** lease_put() - the record as it stands in the file */
void lease_put(const struct lease_record *r, char out[LEASE_BYTES]);

/**
 * lease_get() - and back
 * @n:		bytes that were read, at most LEASE_BYTES
 *
 * Return: 0, -EINVAL: not such a record, or one that is not whole
 */
int lease_get(const char *in, size_t n, struct lease_record *ret,
	      struct err *e);

/**
 * lease_may() - may it run, by the record?
 *
 * Return: 0; -EPRECONDITION: the record of another machine; -ESTALE: it was let
 *         go on since, @e says where
 */
int lease_may(const struct lease_record *r, const struct lease_claim *c,
	      struct err *e);

#endif
