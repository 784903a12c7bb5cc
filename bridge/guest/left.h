/*
 * bridge/guest/left.h - what an earlier agent has left with PID 1
 *
 * Descriptors, processes that are registered, and open tickets: read once, at
 * the start (bridge/guest/takeover.h), taken by whoever knows what they are,
 * and what nobody took is given back.
 */
#ifndef FERRY_BRIDGE_GUEST_LEFT_H
#define FERRY_BRIDGE_GUEST_LEFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bridge/guest/pid1.h"
#include "config/err.h"

/* @fd: -1: taken */
struct left_fd {
	uint64_t object;
	uint32_t role;
	int fd;
};

/**
 * struct left_process - one that is registered
 * @gone:	somebody has reaped it: most likely that agent
 * @pidfd:	-1: it has ended, or none could be had
 * @taken:	somebody knows it
 */
struct left_process {
	uint64_t ticket;
	pid_t pid;
	int pidfd;
	bool gone;
	bool taken;
};

/**
 * struct left - all of it
 * @ticket:	open ones; 0: taken
 */
struct left {
	struct left_fd *fd;
	size_t n_fds;
	struct left_process *process;
	size_t n_processes;
	uint64_t ticket[CONTROL_TICKETS_MAX];
	size_t n_tickets;
};

/** left_read() - ask PID 1; return: 0 or -errno. left_done() is due in any case */
int left_read(struct left *l, struct pid1 *p, struct err *e);

/** left_take_fd() - the descriptor of that key, the caller's, or -1 */
int left_take_fd(struct left *l, uint64_t object, uint32_t role);

/** left_take_process() - what is registered by that ticket, or NULL */
struct left_process *left_take_process(struct left *l, uint64_t ticket);

/** left_take_ticket() - is it open? Then the caller has to end it */
bool left_take_ticket(struct left *l, uint64_t ticket);

/**
 * left_give_back() - withdraw, close and forget what was not taken
 * @end:	the records could be read: a process that nobody took runs for nobody
 *		any more, and is killed
 */
void left_give_back(struct left *l, struct pid1 *p, bool end);

/** left_done() - close what was not taken */
void left_done(struct left *l);

#endif
