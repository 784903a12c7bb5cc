/* tools/exec_args.h - the command lines of ferry exec and ferry attach, and
 * what the two have of a process */
#ifndef FERRY_TOOLS_EXEC_ARGS_H
#define FERRY_TOOLS_EXEC_ARGS_H

#include <stdbool.h>

#include "bridge/io/loop.h"
#include "bridge/msg.h"
#include "tools/exec_io.h"
#include "tools/remote.h"
#include "tools/run_args.h"

/**
 * struct exec - one run of either
 * @target:	SANDBOX or SANDBOX/CONTAINER
 * @exec_id:	of the process, NULL: one is made, in @made_id
 * @env, @command: room for as many as there are words
 */
struct exec {
	const char *target;
	const char *exec_id;
	char made_id[24];
	bool tty;
	bool interactive;
	bool detach;
	bool no_stdin;
	const char *workdir;
	struct msg_pairs env;
	struct msg_strings command;
	struct remote remote;
	struct exec_io io;
	int signal_fd;
	struct loop_id signal_watch;
	struct loop_id linger;
	int interrupts;
	bool exited;
	bool decided;
	int code;
};

/**
 * exec_parse(), attach_parse() - read the command line
 *
 * Return: -1: go on; else the exit code, and everything was told
 */
int exec_parse(struct exec *x, int argc, char **argv);
int attach_parse(struct exec *x, int argc, char **argv);

#endif
