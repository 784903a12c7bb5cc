/*
 * tools/lease.h - the record of migration/lease.h as a file, and its lock
 *
 * The lock is one of the open file description (fcntl OFD), over the whole
 * file: it goes when its holder dies, however he dies, and NFS has it too.
 *
 *	NONE --hold--> HELD --yield--> OPEN --take--> HELD --undo--> OPEN
 *	NONE --open--> OPEN
 *
 * A file without a name lives in memory; others of the same user on this machine
 * reach it through /proc, as they do disks without names. The holder of one
 * with a name never removes it: it is what refuses a state that comes back.
 */
#ifndef FERRY_TOOLS_LEASE_H
#define FERRY_TOOLS_LEASE_H

#include <stdbool.h>

#include "config/err.h"
#include "migration/lease.h"

/* What is known of who runs the guest. */
enum lease_word {
	LEASE_WORD_NONE, /* there is no lease */
	LEASE_WORD_HERE, /* we hold it */
	LEASE_WORD_FREE, /* nobody holds it, and nobody ran it since we did */
	LEASE_WORD_ELSEWHERE, /* another one holds it */
	LEASE_WORD_ENDED,     /* another one ran it, and does not any more */
	LEASE_WORDS,	      /* number of words */
};

/**
 * struct lease - one side's hold on it
 * @fd:		-1: none
 * @held:	the lock is ours
 * @path:	for others
 * @owner:	what is written as the owner, set by who made it
 * @before:	what undo writes
 */
struct lease {
	int fd;
	bool held;
	bool named;
	char path[LEASE_PATH_MAX + 1];
	char owner[LEASE_OWNER_SIZE];
	struct lease_record before;
};

/** lease_init() - none; the owner will be HOST:@name */
void lease_init(struct lease *l, const char *name);

/** lease_close() - let go of it; what it says stays. Fine on none */
void lease_close(struct lease *l);

/**
 * lease_hold() - the record says @epoch, and the lock is ours
 * @path:	a file that is made, or taken over from a machine that does not
 *		run any more; "": as before, or one without a name
 *
 * Return: 0; -EBUSY: another one has the lock; -errno
 */
int lease_hold(struct lease *l, const char *path, const char *machine,
	       uint64_t epoch, struct err *e);

/**
 * lease_open() - one that somebody else holds, or held; compared
 *
 * Return: 0; -ESTALE; -EPRECONDITION: not to be reached here, or of another
 *         machine
 */
int lease_open(struct lease *l, const char *path, const struct lease_claim *c,
	       struct err *e);

/**
 * lease_take() - lock, compare, write: the guest may run here now
 *
 * Done already is done. Return: 0; -ESTALE: another one runs it, or did;
 * -EPRECONDITION; -errno of the file
 */
int lease_take(struct lease *l, const struct lease_claim *c, struct err *e);

/** lease_undo() - after lease_take(), if the lock was not ours before it: the
 * guest did not run after all */
void lease_undo(struct lease *l);

/** lease_yield() - the guest does not run here any more, for now */
void lease_yield(struct lease *l);

/**
 * lease_word() - who has it, as far as can be seen from here
 * @from:	the epoch that we ran in
 * @owner:	LEASE_OWNER_SIZE, receives who that is, or ""
 */
enum lease_word lease_word(const struct lease *l, uint64_t from, char *owner);

/** lease_word_name() - "none", "here", "free", "elsewhere", "ended" */
const char *lease_word_name(enum lease_word w);

#endif
