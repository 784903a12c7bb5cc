/*
 * init/upgrade.h - another program in the agent's place, on trial
 *
 * Whoever may write the agent's folder puts a whole program at PATH.new (by a
 * rename, PATH being the agent's) and ends the agent. The next start finds it:
 *
 *	PATH.new is no agent of ferry's		removed; the agent starts again
 *	PATH.new is one				PATH -> PATH.old, PATH.new -> PATH;
 *						it is on trial
 *	it says STABLE				PATH.old is removed
 *	it ends before that, whatever its	PATH.old -> PATH; the agent that
 *	status, cannot be executed, or is	was there before starts again
 *	silent for UPGRADE_TRIAL_MS
 *
 * The kernel's log and the ring are told of each. An agent that ended for want
 * of STABLE without being on trial is life.h's affair.
 */
#ifndef FERRY_INIT_UPGRADE_H
#define FERRY_INIT_UPGRADE_H

#include <stdbool.h>
#include <stdint.h>

#include "init/program.h"

#define UPGRADE_NEW ".new"
#define UPGRADE_OLD ".old"
/* An agent that takes over a full UVM is stable in a tenth of this. */
#define UPGRADE_TRIAL_MS 15000

/**
 * struct upgrade - one agent's place
 * @path:	of the agent, "": nothing is looked for
 * @trial_ms:	when the trial ends, -1: there is none
 */
struct upgrade {
	char path[PROGRAM_PATH_MAX];
	int64_t trial_ms;
};

/**
 * upgrade_init() - find the agent
 * @name:	as in its command, NULL: it cannot be replaced
 * @search:	as for program_find()
 */
void upgrade_init(struct upgrade *u, const char *name, const char *search);

/** upgrade_begin() - the agent is about to be started; @now_ms: the time */
void upgrade_begin(struct upgrade *u, int64_t now_ms);

/** upgrade_stable() - it has said STABLE; as often as one likes */
void upgrade_stable(struct upgrade *u);

/**
 * upgrade_ended() - it has ended, or was never executed
 *
 * Return: was it on trial? Then the one before is in its place
 */
bool upgrade_ended(struct upgrade *u);

/** upgrade_late() - is its time over? */
bool upgrade_late(const struct upgrade *u, int64_t now_ms);

#endif
