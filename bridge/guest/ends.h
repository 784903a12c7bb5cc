/*
 * bridge/guest/ends.h - what lies between a process and its streams: pipes, or
 * a terminal
 *
 * The process never has a socket of the host: see bridge/guest/stream.h.
 */
#ifndef FERRY_BRIDGE_GUEST_ENDS_H
#define FERRY_BRIDGE_GUEST_ENDS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/guest/carry.h"
#include "bridge/guest/pid1.h"
#include "bridge/guest/process.h"
#include "bridge/guest/stream.h"
#include "bridge/msg.h"
#include "config/err.h"

/**
 * struct ends - both sides of up to three streams
 * @child:	becomes 0, 1, 2; -1: /dev/null
 * @ours:	the other ends, non-blocking
 * @terminal:	a master for the size of the terminal, -1: none
 * @slave:	to be closed after the start, -1: none
 */
struct ends {
	int child[MSG_STDIO];
	int ours[MSG_STDIO];
	int terminal;
	int slave;
};

/** ends_init() - none; ends_close() is fine */
void ends_init(struct ends *d);

/** ends_pipes() - a pipe for each stream that is @wanted */
int ends_pipes(struct ends *d, const bool wanted[MSG_STDIO], struct err *e);

/**
 * ends_terminal() - a terminal of our own, with ours[] for the @wanted ones of
 * stdin and stdout
 */
int ends_terminal(struct ends *d, const bool wanted[MSG_STDIO], uint16_t height,
		  uint16_t width, struct err *e);

/**
 * ends_master() - a terminal that somebody else made: ours[] for the @wanted
 * ones of stdin and stdout
 * @master:	the master, taken, also on failure
 */
int ends_master(struct ends *d, const bool wanted[MSG_STDIO], int master,
		struct err *e);

/**
 * ends_deposit() - give PID 1 copies of what is ours
 *
 * Return: the number of the deposits, 0: there is nothing, or no PID 1
 */
uint64_t ends_deposit(const struct ends *d, struct pid1 *pid1);

/** ends_deposit_master() - of the terminal, which has come: instead of the socket
 * that it came from; see PROCESS_CONSOLE */
void ends_deposit_master(const struct ends *d, struct pid1 *pid1,
			 uint64_t number);

/** ends_close_child() - close what the process has now */
void ends_close_child(struct ends *d);

/** ends_close() - close all that was not taken */
void ends_close(struct ends *d);

/**
 * ends_connect() - streams between what is ours and the host's sockets
 * @p:		gets the streams, and the terminal
 * @sock:	connected ones are taken, also on failure; -1: none, and our end
 *		of the stream is closed
 * @port:	the streams are of the session, and these are their ports, 0:
 *		none; @sock is not looked at. NULL: they are not
 *
 * Return: 0 or -errno; the streams made so far stay with @p
 */
int ends_connect(struct ends *d, struct streams *all, struct process *p,
		 int sock[MSG_STDIO], const uint32_t *port, struct err *e);

/**
 * ends_restore() - streams of a process that an earlier agent had started, on
 * what is ours; the host's sockets went with that agent
 * @port:	to be dialled again, 0: none
 *
 * Return: 0 or -errno
 */
int ends_restore(struct ends *d, struct streams *all, struct process *p,
		 const uint32_t port[MSG_STDIO], struct err *e);

/**
 * ends_carry_on() - a stream of the session that an earlier agent has left
 * @p:		its process, NULL: that is over, and the stream goes on alone
 * @n:		with its descriptors, which are taken
 *
 * Return: 0 or -errno
 */
int ends_carry_on(struct streams *all, struct process *p,
		  const struct carry_new *n, struct err *e);

#endif
