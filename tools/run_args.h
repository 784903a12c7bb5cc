/* tools/run_args.h - the command line of `ferry run` */
#ifndef FERRY_TOOLS_RUN_ARGS_H
#define FERRY_TOOLS_RUN_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/msg.h"
#include "config/annotation_map.h"
#include "config/err.h"
#include "config/options.h"
#include "tools/qemu/accel.h"
#include "tools/qemu/vhost.h"

/* Longest time limit that may be given, a week. */
#define RUN_SECONDS_MAX (7u * 24 * 3600)

/* What a command in the UVM has when --env does not say otherwise. */
#define RUN_PATH "/sbin:/usr/sbin:/bin:/usr/bin"
#define RUN_HOME "/root"

/**
 * struct run_args - what the user wrote
 * @annotations: of the sandbox, from all sources in their order
 * @config:	configuration file, NULL: those of the system
 * @kernel:	path, NULL: ferry's own
 * @image:	path, NULL: ferry's own
 * @qemu:	program, NULL: the usual name
 * @memory_mib:	0: annotation or default
 * @processors:	0: annotation or default
 * @forwarder:	FORWARDERS: the migration annotation decides
 * @console:	the UVM gets a serial console, shown on stderr
 * @tty:	the command gets a terminal
 * @interactive: the command gets stdin
 * @env:	environment of the command; PATH, HOME and, with @tty, TERM are
 *		there always
 * @workdir:	its working directory, "": the agent's
 * @accel:	accelerator
 * @vsock:	who serves vsock
 * @timeout_s:	for all of it, 0: none
 * @boot_timeout_s: until the agent has called, 0: default
 * @verbose:	phases with their times on stderr
 * @json:	events as JSON lines on stderr
 * @command:	at least one word; strings of argv
 */
struct run_args {
	struct annotation_map annotations;
	const char *config;
	const char *kernel;
	const char *image;
	const char *qemu;
	int32_t memory_mib;
	int32_t processors;
	enum log_forwarder forwarder;
	bool console;
	bool tty;
	bool interactive;
	struct msg_pairs env;
	const char *workdir;
	enum accel accel;
	enum vhost_backend vsock;
	uint32_t timeout_s;
	uint32_t boot_timeout_s;
	bool verbose;
	bool json;
	struct msg_strings command;
};

enum run_args_result {
	RUN_ARGS_GO,	/* run it */
	RUN_ARGS_HELP,	/* the help was printed */
	RUN_ARGS_WRONG, /* a message was printed */
};

/**
 * run_args_parse() - read the command line
 * @argc, @argv: argv[0] is "run"; strings are borrowed, KEY=VALUE words are
 *		cut in two in place
 * @ret:	filled in every case; run_args_done() releases it
 *
 * Prints help and usage errors itself.
 */
enum run_args_result run_args_parse(int argc, char **argv,
				    struct run_args *ret);

/** run_args_done() - release */
void run_args_done(struct run_args *a);

#endif
