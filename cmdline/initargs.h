/*
 * cmdline/initargs.h - the arguments that the kernel hands to init
 *
 * Used by PID 1: nothing is allocated, @argv is borrowed and never changed.
 * The grammar is getopt's "+:e:wd:" (stops at the first argument that is no
 * option; "-we1" is three in one; "--" ends the options). What the reference
 * does in doubt is a crash of PID 1; here it is a word about it and a default.
 * Source: shared specification cmdline.md 8.1 and the end of 8.2.
 */
#ifndef FERRY_CMDLINE_INITARGS_H
#define FERRY_CMDLINE_INITARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/err.h"

/* The largest vsock port that a peer can listen on; -1 means any. */
#define INITARGS_PORT_MAX 4294967294u

/**
 * struct init_args - what init is asked to do
 * @entropy_port: host port that gives entropy, 0: none asked for
 * @overlay:	-w: writable overlays on /etc and /var
 * @shell:	-d: program to run beside the command and to wait for, NULL
 * @command:	argument vector of the command, NULL-terminated; points into
 *		the argv given, or to the built-in default
 * @defaulted:	no command was given: @command is the default agent
 */
struct init_args {
	uint32_t entropy_port;
	bool overlay;
	const char *shell;
	char *const *command;
	bool defaulted;
};

/**
 * initargs_parse() - read init's argument vector
 * @argc:	entries of @argv
 * @argv:	as main() got it, argv[0] is init itself; borrowed
 * @ret:	always filled with something that can be run: on an error with
 *		what was read so far and the default command
 * @e:		the reason, for the log
 *
 * No arguments at all, or options without a command, give the default agent
 * and no debug shell (an own choice; the reference starts a root shell, or
 * crashes).
 *
 * Return: 0, or -EINVAL (unknown option, missing value, bad port): the
 *         reference exits there with status 1; PID 1 logs it and powers off
 */
int initargs_parse(int argc, char *const *argv, struct init_args *ret,
		   struct err *e);

#endif
