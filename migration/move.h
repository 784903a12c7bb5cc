/*
 * migration/move.h - between controllers and the saved state
 *
 * Save is in two halves, so that a failed one leaves nothing behind (W1):
 * move_take() looks at everything and changes nothing, move_freeze() changes
 * everything and cannot fail. Import is the other way about: move_give() builds
 * all objects aside and then puts them in place.
 */
#ifndef FERRY_MIGRATION_MOVE_H
#define FERRY_MIGRATION_MOVE_H

#include "config/arena.h"
#include "config/err.h"
#include "migration/sandbox.h"
#include "migration/saved.h"

/**
 * move_take() - the state of a sandbox that is ready to be saved
 * @s:		VM in source-migration-initialized, or running for a save to a
 *		file
 * @a:		gives the memory; the result also borrows from @s
 * @ret:	the state
 * @e:		names the object that cannot be saved and its state
 *
 * Return: 0, -EPRECONDITION, -EEXHAUSTED, -ENOMEM
 */
int move_take(struct sandbox_ctl *s, struct arena *a, struct saved *ret,
	      struct err *e);

/** move_freeze() - refuse changes everywhere; after a good move_take() */
void move_freeze(struct sandbox_ctl *s);

/**
 * move_give() - inert objects from a decoded state; all or nothing
 * @s:		VM not created, no pods
 * @saved:	from saved_decode(); may be released afterwards
 *
 * Return: 0, -EPRECONDITION, -EINVAL (a NUL in a text), -ENOMEM
 */
int move_give(struct sandbox_ctl *s, const struct saved *saved, struct err *e);

/**
 * move_pod_resume() - bind the network, then every container; the flag last
 * @op:		done when the pod is as it was before the move
 *
 * Repeatable after a failure. An exited container stays exited (W3).
 * Return: 0 (see op.h), -EBUSY
 */
int move_pod_resume(struct pod_ctl *p, struct op *op, struct err *e);

/** move_abort() - end what was imported and never ran: exit status 137 */
void move_abort(struct sandbox_ctl *s);

#endif
