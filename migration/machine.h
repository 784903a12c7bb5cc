/*
 * migration/machine.h - state machines as tables
 *
 * A controller has states, events, and rows: from any of these states, on this
 * event, this happens. What has no row is refused. The rows are also what the
 * picture in docs/migration.md is drawn from, so the words in them are for
 * people.
 */
#ifndef FERRY_MIGRATION_MACHINE_H
#define FERRY_MIGRATION_MACHINE_H

#include <stddef.h>
#include <stdint.h>

#include "config/err.h"

#define MACHINE_BIT(state) (UINT32_C(1) << (state))
/* As @to or @fail: the state stays. */
#define MACHINE_SAME ((int8_t)-1)
#define MACHINE_STATES_MAX 32

enum machine_kind {
	MACHINE_GO,	/* work to do, then @to; after a failure @fail */
	MACHINE_NOOP,	/* a success without work */
	MACHINE_REFUSE, /* refused with @code instead of the default */
};

/**
 * struct machine_row - one rule
 * @from:	set of MACHINE_BIT()s
 * @event:	what happens
 * @kind:	what becomes of it
 * @to:		state after success, MACHINE_SAME
 * @fail:	state after a failure, MACHINE_SAME
 * @code:	MACHINE_REFUSE: positive errno
 * @words:	effects, for the picture; "" or NULL: none
 */
struct machine_row {
	uint32_t from;
	uint8_t event;
	enum machine_kind kind;
	int8_t to;
	int8_t fail;
	int code;
	const char *words;
};

/**
 * struct machine - one kind of controller
 * @name:	"container", ...
 * @states:	their names
 * @events:	their names
 * @rows:	the first that matches counts
 */
struct machine {
	const char *name;
	const char *const *states;
	size_t n_states;
	const char *const *events;
	size_t n_events;
	const struct machine_row *rows;
	size_t n_rows;
};

/** machine_row() - the row for this state and event, NULL: refused */
const struct machine_row *machine_row(const struct machine *m, unsigned state,
				      unsigned event);

/**
 * machine_check() - may it happen now?
 * @m:		the tables
 * @state:	where the object is
 * @event:	what is asked for
 * @e:		"container is source-migrating: kill has to wait"
 *
 * Return: MACHINE_GO, MACHINE_NOOP; -EPRECONDITION or the row's code
 */
int machine_check(const struct machine *m, unsigned state, unsigned event,
		  struct err *e);

/** machine_next() - the state after success; @state where no row says other */
unsigned machine_next(const struct machine *m, unsigned state, unsigned event);

/** machine_fail() - the state after a failure; @state where no row says other */
unsigned machine_fail(const struct machine *m, unsigned state, unsigned event);

/** machine_state_name() - "?" out of range */
const char *machine_state_name(const struct machine *m, unsigned state);

#endif
