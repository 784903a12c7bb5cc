/*
 * init/reap.h - every process of the UVM ends here
 *
 * While a ticket is open an unknown orphan goes to the journal, and stays a
 * zombie when that is full; a registered process goes to its row; the awaited
 * one is told to the caller; any other is forgotten.
 */
#ifndef FERRY_INIT_REAP_H
#define FERRY_INIT_REAP_H

#include <stdbool.h>
#include <sys/types.h>

/* Processes reaped in one turn, so that other peers get theirs. */
#define REAP_TURN_MAX 256u

/**
 * struct reap - whom PID 1 waits for
 * @awaited:	process id, 0: nobody
 * @ended:	it has ended, with @status
 * @before:	called when somebody has ended, before he is reaped: an orphan of a
 *		dead agent is known only from what that agent had sent. NULL: none
 */
struct reap {
	pid_t awaited;
	bool ended;
	int status;
	void (*before)(void);
};

/**
 * reap_turn() - reap what there is, up to REAP_TURN_MAX, without blocking
 *
 * Return: is there possibly more to reap right now?
 */
bool reap_turn(struct reap *r);

#endif
