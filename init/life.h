/*
 * init/life.h - what the end of the awaited command means; pure
 *
 *	ended how		restartable and		otherwise
 *				once STABLE
 *	status 0		orderly end		orderly end
 *	status or signal	start it again		end that is not orderly
 *
 * CONTROL_TRIES_MAX incarnations in a row that end before STABLE end the UVM.
 */
#ifndef FERRY_INIT_LIFE_H
#define FERRY_INIT_LIFE_H

#include <stdbool.h>
#include <stddef.h>

#include "bridge/io/control.h"

/* Pause before another try, times the number of failures in a row. */
#define LIFE_PAUSE_MS 100

/**
 * struct life - the incarnations so far
 * @restartable: ferry's agent, and nothing else is awaited
 * @proven:	some incarnation has said STABLE
 * @failures:	incarnations in a row that ended before STABLE, once @proven
 */
struct life {
	bool restartable;
	bool proven;
	unsigned int failures;
};

/**
 * struct life_next - what follows
 * @restart:	start it again, after @pause_ms
 * @end:	otherwise: the end of the UVM
 */
struct life_next {
	bool restart;
	int pause_ms;
	enum control_end end;
};

/**
 * life_ended() - the awaited command has ended
 * @l:		updated
 * @stable:	this incarnation has said STABLE
 * @status:	wait status
 * @ret:	receives what follows
 */
void life_ended(struct life *l, bool stable, int status, struct life_next *ret);

/** life_poisoned() - is the state suspected, so that it is set aside? */
bool life_poisoned(const struct life *l);

/** life_words() - "ended with status 3", "was killed by signal 9" */
void life_words(int status, char *buf, size_t size);

#endif
