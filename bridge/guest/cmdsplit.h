/*
 * bridge/guest/cmdsplit.h - a command line in one string, cut into arguments
 * as the reference's shell-like splitter does; pure.
 *
 * Blanks, tabs and line ends separate. Single quotes keep everything; double
 * quotes and bare text know the backslash, behind which t and n are a tab and
 * a line end and any other byte is itself. Nothing is expanded. The reference
 * silently ends the line at a bare ; & | < or >: here that is an error.
 * Source: shared specification bridge.md 3.5, weakness W-G30.
 */
#ifndef FERRY_BRIDGE_GUEST_CMDSPLIT_H
#define FERRY_BRIDGE_GUEST_CMDSPLIT_H

#include <stddef.h>

#include "config/arena.h"
#include "config/err.h"

/* Most arguments of one command line. */
#define CMDSPLIT_ARGS_MAX 4096u

/**
 * cmdsplit() - cut @line
 * @line:	NUL-terminated
 * @a:		receives the arguments; they live as long
 * @ret_argv:	receives the arguments, with a NULL behind the last
 * @ret_n:	receives their number, which may be 0
 * @e:		says what is wrong and at which byte
 *
 * Return: 0, -EINVAL (quotes, a bare operator), -E2BIG, -ENOMEM
 */
int cmdsplit(const char *line, struct arena *a, char ***ret_argv, size_t *ret_n,
	     struct err *e);

#endif
