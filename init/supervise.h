/*
 * init/supervise.h - the command runs; PID 1 watches, for ever
 *
 * One poll over a fixed table: SIGCHLD, the control socket, the two log pipes.
 */
#ifndef FERRY_INIT_SUPERVISE_H
#define FERRY_INIT_SUPERVISE_H

#include "cmdline/initargs.h"
#include "cmdline/mode.h"
#include "init/ring.h"

/**
 * supervise() - launch the command (and the debug shell), reap, serve, and
 * switch the machine off when the awaited one has ended
 * @a:		what to run
 * @m:		the mode of that command
 * @ring:	log ring
 */
_Noreturn void supervise(const struct init_args *a, const struct mode *m,
			 struct ring *ring);

#endif
