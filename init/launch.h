/*
 * init/launch.h - start one of PID 1's own children
 *
 * The child gets a session of its own, no blocked signal, the reference's
 * limits, the environment PATH=... alone (and CONTROL_ENV where it applies)
 * and, besides 0 to 2, no descriptor but CONTROL_FD where it applies.
 */
#ifndef FERRY_INIT_LAUNCH_H
#define FERRY_INIT_LAUNCH_H

#include <sys/resource.h>
#include <sys/types.h>

#include "config/err.h"

/* Limit of open files that every child starts with (cmdline.md 8.2). */
#define LAUNCH_NOFILE_SOFT 1024u
#define LAUNCH_NOFILE_HARD 1048576u

/**
 * struct launch - what to start
 * @argv:	command; argv[0] is searched in PROGRAM_PATH without a slash
 * @out:	becomes descriptor 1, -1: as PID 1's
 * @err:	becomes descriptor 2, -1: as PID 1's
 * @control:	becomes CONTROL_FD and is named in the environment, -1: none
 *
 * Descriptors are borrowed.
 */
struct launch {
	char *const *argv;
	int out;
	int err;
	int control;
};

/**
 * launch_start() - find it and run it
 * @l:		what to start
 * @ret_pid:	receives its process id
 * @e:		reason: not found, no process to be had, or why exec failed
 *
 * Return: 0 or -errno; a child that could not exec is reaped already
 */
int launch_start(const struct launch *l, pid_t *ret_pid, struct err *e);

#endif
