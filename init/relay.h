/*
 * init/relay.h - vsockexec: a command's output to a host that comes and goes
 *
 * Theory of operation. The command writes into a pipe that is always read, so
 * it never waits for the host. The host is dialled again every RELAY_RETRY_MS
 * while there is no connection, and a dead connection is noticed by its hang-up
 * without a write. When the command itself ends, whoever else holds the pipe,
 * what is buffered is sent if that can be done within RELAY_LAST_MS, and the
 * relay ends.
 */
#ifndef FERRY_INIT_RELAY_H
#define FERRY_INIT_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/io/transport.h"
#include "config/err.h"

#define RELAY_RETRY_MS 100
#define RELAY_DIAL_MS 2000
#define RELAY_LAST_MS 500

/**
 * struct relay_job - what to run, and where its output goes
 * @t:		where the host is
 * @port:	host port
 * @out:	relay descriptor 1
 * @err:	relay descriptor 2
 * @fd:		a connection that stands already, non-blocking, -1: none; it
 *		is taken over
 * @cannot_run:	exit status for a command that cannot be executed
 * @command:	NULL-terminated, looked up in PATH
 */
struct relay_job {
	struct transport t;
	uint32_t port;
	bool out;
	bool err;
	int fd;
	int cannot_run;
	char *const *command;
};

/**
 * relay_run() - run the command until it ends
 *
 * SIGTERM and SIGINT go on to the command. There is one relay in a process;
 * its signal mask is changed.
 *
 * Return: the exit status to pass on (128 + number for a signal), or -errno:
 *         nothing was started
 */
int relay_run(const struct relay_job *job, struct err *e);

#endif
