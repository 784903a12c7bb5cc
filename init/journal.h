/*
 * init/journal.h - open tickets, and the exits of unknown orphans meanwhile
 *
 * Exits are kept in the order of their coming. A ticket can claim only exits
 * that came after it was opened; what is older than every open ticket is
 * forgotten. There is one journal, as there is one PID 1.
 */
#ifndef FERRY_INIT_JOURNAL_H
#define FERRY_INIT_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * journal_open() - open a ticket
 *
 * Return: 0, -EINVAL (number 0), -EEXIST, -ENOSPC
 */
int journal_open(uint64_t ticket);

/**
 * journal_close() - close a ticket, forget what no other ticket can claim
 *
 * Return: 0 or -ENOENT
 */
int journal_close(uint64_t ticket);

/** journal_is_open() - is this ticket open? */
bool journal_is_open(uint64_t ticket);

/** journal_idle() - is no ticket open, so that nothing is recorded? */
bool journal_idle(void);

/** journal_full() - is there no room for one more exit? Then do not reap. */
bool journal_full(void);

/** journal_record() - an unknown orphan ended; no-op while idle or full */
void journal_record(pid_t pid, int status);

/**
 * journal_claim() - take the newest exit of a process out
 * @ticket:	an open ticket; older exits than it are somebody else's
 * @pid:	process
 * @ret_status:	wait status
 *
 * Return: 0, -ENOENT (none seen, or no such ticket)
 */
int journal_claim(uint64_t ticket, pid_t pid, int *ret_status);

/**
 * journal_list() - the first open ticket at or behind a cursor
 *
 * Return: 0 (the cursor moves behind it) or -ENOENT
 */
int journal_list(uint64_t *cursor, uint64_t *ret_ticket);

#endif
