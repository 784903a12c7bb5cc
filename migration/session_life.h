/*
 * migration/session_life.h - what the parts of the session tell each other:
 * session.c (tables, ids, messages), session_source.c, session_destination.c,
 * session_transfer.c, session_end.c
 */
#ifndef FERRY_MIGRATION_SESSION_LIFE_H
#define FERRY_MIGRATION_SESSION_LIFE_H

#include "migration/session.h"

/**
 * session_begin() - is @event of session @id possible now?
 *
 * Return: 0 go, 1 it was a no-op and @op (may be NULL) has ended, -errno
 */
int session_begin(struct session_ctl *s, const char *id,
		  enum session_event event, struct op *op, struct err *e);

/** session_run() - a chain of steps for a call */
void session_run(struct session_ctl *s, enum session_event event,
		 const struct seq_step *steps, size_t n, bool thorough,
		 struct op *op,
		 void (*ended)(void *obj, int result, const struct err *e));

/** session_ended() - tell the caller, and the cancel that waits for it */
void session_ended(struct session_ctl *s, int result, const struct err *e);

/** session_open() - idle becomes @state; the names of both sides are fixed */
void session_open(struct session_ctl *s, const char *id,
		  enum session_origin origin, enum session_state state);

/** session_close() - back to idle; everything of the session is forgotten */
void session_close(struct session_ctl *s);

/** session_fail() - to Failed, unless a cancel has been there first (W11) */
void session_fail(struct session_ctl *s);

/** session_tell_failure() - FAILED, by whose doing it is */
void session_tell_failure(struct session_ctl *s);

/** session_machine() - the table of this side */
const struct machine *session_machine(const struct session_ctl *s);

/** session_transfer_start() - the socket is there and Transfer was called */
void session_transfer_start(struct session_ctl *s);

/** session_waits() - the cancel chain waits for a call or for the transfer */
void session_wake(struct session_ctl *s);

#endif
