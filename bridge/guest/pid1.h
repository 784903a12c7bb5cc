/*
 * bridge/guest/pid1.h - the agent's side of bridge/io/control.h
 *
 * Everything is sent without waiting for the answer, but for the first packet:
 * packets stay in order, and PID 1 serves all that an agent has sent before it
 * starts the next one, so a ticket that was sent before a fork counts. What the
 * socket does not take at once waits in a queue; the agent itself never waits.
 * Before a start it waits a little for room. An agent that is killed with packets
 * in its queue all the same leaves processes that PID 1 does not know: their
 * exits are told as unknown. Answers
 * are read when they come; a refusal is logged. Without PID 1 (a foreign init,
 * or one that does not read) every call here does nothing, and the agent makes
 * itself the reaper of its orphans.
 *
 * A process that a runtime left behind is PID 1's child: pid1_register() gets
 * its pidfd or its exit (struct pid1_told), later its exit alone. An exit is
 * acknowledged once it was told, and whoever is told keeps it (bridge/guest/
 * keep.h) before he returns.
 *
 * Deposits are numbered by the agent: pid1_number() is never given twice. The
 * state of the agent itself has PID1_STATE. What an earlier agent has left with
 * PID 1 is read by bridge/guest/left.h, and settled there; exits that PID 1
 * tells meanwhile wait until pid1_go_on().
 */
#ifndef FERRY_BRIDGE_GUEST_PID1_H
#define FERRY_BRIDGE_GUEST_PID1_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bridge/io/control.h"
#include "bridge/io/loop.h"
#include "config/err.h"
#include "config/text.h"

/* Longest wait for PID 1 to say hello. */
#define PID1_HELLO_MS 2000
/* Most packets that wait for room in the socket, more than the end of
 * CONTROL_PIDS_MAX processes at once makes; one more, and PID 1 does not read: it
 * is given up. Room for PID1_QUEUE_KEPT of them is kept. */
#define PID1_QUEUE_MAX 65536u
#define PID1_QUEUE_KEPT 64u
/* Longest wait for room in it before a process is started. */
#define PID1_FLUSH_MS 200

/* What the agent deposits of its own; pid1_number() is never below
 * PID1_NUMBERS. */
enum pid1_object { PID1_STATE = 1, PID1_OUTBOX = 2 };
#define PID1_NUMBERS (UINT64_C(1) << 32)

/**
 * struct pid1_told - what PID 1 tells about a registered process
 * @registered:	it answers pid1_register(); else it is an exit
 * @result:	of the registration, 0 or -errno
 * @pidfd:	of a process that lives, -1: none; to be taken
 * @exited:	@status is its wait status
 */
struct pid1_told {
	bool registered;
	int result;
	uint64_t ticket;
	pid_t pid;
	int pidfd;
	bool exited;
	int status;
};

/* Return: false: the ticket is not known here */
typedef bool pid1_told_fn(void *ctx, struct pid1_told *t);
/* PID 1 is gone: nothing will be told any more. */
typedef void pid1_lost_fn(void *ctx);

/* A packet that waits, with a descriptor of its own, -1: none. */
struct pid1_packet {
	struct control_msg msg;
	int fd;
};

/**
 * struct pid1 - the connection to PID 1
 * @fd:		-1: there is none
 * @incarnation: which agent of this UVM we are, from 1; 0: not told
 * @poisoned:	the last two did not get as far as pid1_stable()
 * @migratable:	the UVM was started to be migrated
 * @refused:	answers that were errors
 * @queue:	a ring of packets that are not sent yet, the oldest at @first, with
 *		room for @capacity, a power of two
 * @slow:	PID 1 was waited for once, in vain
 * @early:	exits that were told before pid1_go_on()
 */
struct pid1 {
	int fd;
	uint64_t incarnation;
	bool poisoned;
	bool migratable;
	uint64_t refused;

	struct loop *loop;
	struct loop_id watch;
	pid1_told_fn *on_told;
	pid1_lost_fn *on_lost;
	void *ctx;
	uint32_t numbers;
	bool stable;
	struct pid1_packet *queue;
	unsigned int capacity;
	unsigned int first;
	unsigned int n_queued;
	bool slow;
	struct control_msg *early;
	size_t n_early;
	const struct control_ring *ring;
	uint64_t ring_bytes; /* of the mapping */
};

/** pid1_init() - no PID 1 yet; pid1_done() is fine */
void pid1_init(struct pid1 *p);

/**
 * pid1_attach() - say hello if the environment names the control socket
 *
 * Return: 0 (also when there is none), or -errno: there is one, and it does
 *         not speak the protocol; the agent works without it
 */
int pid1_attach(struct pid1 *p, struct loop *l, struct err *e);

/**
 * pid1_ask() - send a question and wait for its answer; only before
 * pid1_go_on()
 * @m:		the question, receives the answer
 * @fds:	the answer's, the caller's to close
 *
 * Return: 0 (see its @result), or -errno
 */
int pid1_ask(struct pid1 *p, struct control_msg *m, int fds[CONTROL_FDS_MAX],
	     struct err *e);

/** pid1_go_on() - what was left is settled: from here on all is told at once */
int pid1_go_on(struct pid1 *p, struct err *e);

/** pid1_listen() - who wants to know about registered processes */
void pid1_listen(struct pid1 *p, pid1_told_fn *told, pid1_lost_fn *lost,
		 void *ctx);

/** pid1_done() - hang up */
void pid1_done(struct pid1 *p);

/** pid1_stable() - this agent works: a connection was negotiated */
void pid1_stable(struct pid1 *p);

/**
 * pid1_ticket() - open a ticket, to be called right before a spawn
 *
 * Return: its number, 0: there is no PID 1
 */
uint64_t pid1_ticket(struct pid1 *p);

/** pid1_ticket_close() - nothing was spawned; 0 is fine, here and below */
void pid1_ticket_close(struct pid1 *p, uint64_t ticket);

/** pid1_register() - what was spawned */
void pid1_register(struct pid1 *p, uint64_t ticket, pid_t pid);

/** pid1_number() - a number for deposits, never given before; 0: no PID 1 */
uint64_t pid1_number(struct pid1 *p);

/** pid1_deposit() - give PID 1 a copy of @fd, which is borrowed */
void pid1_deposit(struct pid1 *p, uint64_t object, uint32_t role, int fd);

/** pid1_withdraw() - PID 1 closes its copy; @role may be CONTROL_ROLE_ALL */
void pid1_withdraw(struct pid1 *p, uint64_t object, uint32_t role);

/** pid1_flush() - before a spawn: what was sent counts; waits PID1_FLUSH_MS at
 * most for a PID 1 that is slow, and not again before it has caught up */
void pid1_flush(struct pid1 *p);

/** pid1_reaped() - the agent has its exit code */
void pid1_reaped(struct pid1 *p, uint64_t ticket);

/**
 * pid1_poweroff() - ask for the end of the UVM
 *
 * Return: true when PID 1 was asked
 */
bool pid1_poweroff(struct pid1 *p);

/**
 * struct pid1_log - a piece of PID 1's log
 * @from:	number of its first byte: more than was asked for when that is gone
 * @head:	behind the last byte there is
 * @dropped:	bytes that nobody can read any more
 */
struct pid1_log {
	uint64_t from;
	uint64_t head;
	uint64_t dropped;
};

/**
 * pid1_log_read() - append bytes of the ring from @from on, @max at most
 *
 * A byte that is not ASCII becomes '?', so that numbers of bytes and of
 * characters agree. Return: false: there is no log
 */
bool pid1_log_read(const struct pid1 *p, uint64_t from, size_t max,
		   struct pid1_log *ret, struct text *out);

/** pid1_log_tail() - append the last @max bytes of PID 1's log ring */
void pid1_log_tail(const struct pid1 *p, size_t max, struct text *out);

#endif
