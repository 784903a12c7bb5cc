/*
 * migration/seq.h - a chain of asynchronous steps
 *
 * Theory of operation. A step looks at its object, starts the next operation
 * that is missing and says SEQ_WAIT, or finds nothing missing and says
 * SEQ_NEXT. When the operation ends, landed() notes the fact in the object, and
 * says whether the step is to look again. So a step is a rule ("all layers are
 * mapped"), not a script: run again after a failure it goes on where it
 * stopped, and run on an object that is complete it does nothing.
 *
 *	seq_start(&s, ...) -> go -> (operation) -> landed -> go ... -> ended
 *
 * A forward chain ends at the first failure. A chain that clears up
 * (@thorough) notes the first failure and goes on with the next step; a step
 * that is a loop goes on with itself, so its landed() has to make progress even
 * then, or it would repeat for ever.
 */
#ifndef FERRY_MIGRATION_SEQ_H
#define FERRY_MIGRATION_SEQ_H

#include <stdbool.h>
#include <stddef.h>

#include "migration/op.h"

/* What go() and landed() answer, beside a negative errno. */
enum seq_answer {
	SEQ_NEXT = 0,  /* this step is complete */
	SEQ_WAIT = 1,  /* go(): an operation was started */
	SEQ_AGAIN = 1, /* landed(): look again */
};

/**
 * struct seq_step - one rule
 * @name:	for errors: "attach disk"
 * @go:		start the next operation with @op; SEQ_NEXT, SEQ_WAIT, or
 *		-errno: it could not be started
 * @landed:	the operation ended with @result (or could not be started);
 *		SEQ_NEXT, SEQ_AGAIN, or a negative errno to fail. NULL: a
 *		failure fails, a success completes the step
 * @loop:	after a failure in a thorough chain look again
 */
struct seq_step {
	const char *name;
	int (*go)(void *obj, struct op *op, struct err *e);
	int (*landed)(void *obj, int result, const struct op *op);
	bool loop;
};

/**
 * struct seq - a chain on its way, embedded in its object
 * @busy:	between seq_start() and ended(); all other members are private
 */
struct seq {
	bool busy;
	bool thorough;
	bool cancelled;
	bool in_go;
	bool is_down;
	const struct seq_step *steps;
	size_t n_steps;
	size_t at;
	void *obj;
	void (*ended)(void *obj, int result, const struct err *e);
	struct op op;
	int result;
	struct err err;
	int first;
	struct err first_err;
};

/**
 * seq_start() - begin
 * @s:		not busy
 * @thorough:	go on after failures
 * @obj:	for the steps
 * @ended:	once, with 0 or the first failure; may come before this returns,
 *		and may free @s
 */
void seq_start(struct seq *s, const struct seq_step *steps, size_t n_steps,
	       bool thorough, void *obj,
	       void (*ended)(void *obj, int result, const struct err *e));

/**
 * seq_cancel() - end a forward chain after the running operation, which is
 * asked to end early; ended() gets -ECANCELED unless it fails otherwise. One
 * that is thorough goes on to its end.
 */
void seq_cancel(struct seq *s);

/** seq_at() - name of the step, "" when not busy */
const char *seq_at(const struct seq *s);

#endif
