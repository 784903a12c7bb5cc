/*
 * init/procs.h - processes that the agent registered, and their exits
 *
 * A row lives from REGISTER to EXIT_ACK or REAPED. Its pidfd says beyond doubt
 * which process is meant, even when the number was given to another one since.
 * There is one table, as there is one PID 1.
 */
#ifndef FERRY_INIT_PROCS_H
#define FERRY_INIT_PROCS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What is known of a registered process. */
enum proc_state {
	PROC_FREE = 0, /* the row is not in use */
	PROC_ALIVE,    /* runs, or was not reaped yet */
	PROC_ENDED,    /* PID 1 reaped it; kept until the agent knows */
	PROC_GONE,     /* somebody else reaped it */
};

/**
 * struct proc - one row
 * @told:	the exit was sent to this incarnation of the agent
 * @pidfd:	owned, -1 when the process has ended
 */
struct proc {
	uint64_t ticket;
	uint64_t object;
	pid_t pid;
	int status;
	int pidfd;
	enum proc_state state;
	bool told;
};

/**
 * procs_add() - a process that lives, or (with @pidfd -1) one that has ended
 * @status:	wait status of one that has ended
 * @pidfd:	taken over on success only
 *
 * Return: 0, -EEXIST (the ticket is taken), -ENOSPC
 */
int procs_add(uint64_t ticket, uint64_t object, pid_t pid, int pidfd,
	      int status);

/** procs_find() - the row of a ticket, or NULL */
struct proc *procs_find(uint64_t ticket);

/** procs_drop() - forget a row */
void procs_drop(struct proc *p);

/** procs_any() - is any process registered whose exit PID 1 may see? */
bool procs_any(void);

/**
 * procs_ended() - PID 1 is about to reap @pid; call it before
 *
 * A row whose process was reaped by somebody else, so that its number is
 * another's now, becomes PROC_GONE.
 * Return: was it a registered process?
 */
bool procs_ended(pid_t pid, int status);

/** procs_untold() - a row whose exit the agent was not sent yet, or NULL */
struct proc *procs_untold(void);

/** procs_tell_again() - a new incarnation knows of no exit */
void procs_tell_again(void);

/** procs_told() - the exit of @p was sent */
void procs_told(struct proc *p);

/**
 * procs_list() - the first row at or behind a cursor; looks whether a process
 * that should live is PROC_GONE
 *
 * Return: the row (the cursor moves behind it) or NULL
 */
struct proc *procs_list(uint64_t *cursor);

#endif
