/* tools/run_args.h - the command line of `ferry run` */
#ifndef FERRY_TOOLS_RUN_ARGS_H
#define FERRY_TOOLS_RUN_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/msg.h"
#include "config/annotation_map.h"
#include "config/err.h"
#include "config/options.h"
#include "tools/disk/disk.h"
#include "tools/pod_plan.h"
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
 * @detach:	the sandbox runs by itself; there may be no command then
 * @name:	its name, NULL: one is made
 * @verbose:	phases with their times on stderr
 * @json:	events as JSON lines on stderr
 * @command:	at least one word unless @detach; strings of argv
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
	bool detach;
	const char *name;
	bool verbose;
	bool json;
	const char *bundle;
	const char *pod;
	enum disk_fs fs;
	uint32_t scratch_mib;
	enum pod_network network;
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

/* Variables that a command has when the user gives none of that name. */
#define RUN_ARGS_ENV_DEFAULTS 3

/**
 * run_args_env() - one KEY=VALUE of the user's
 * @word:	cut in two at its first '='
 * @env:	has room for one more; a variable that comes again replaces
 *
 * Return: 0 or -EINVAL
 */
int run_args_env(char *word, struct msg_pairs *env, struct err *e);

/**
 * run_args_env_defaults() - what every program may count on, unless the user
 * has it; there is room for RUN_ARGS_ENV_DEFAULTS more
 * @tty:	TERM is that of the terminal here
 */
void run_args_env_defaults(struct msg_pairs *env, bool tty);

/**
 * run_args_check() - are all texts UTF-8?
 *
 * The bridge speaks JSON, which has no other bytes: they would arrive as
 * something else.
 * Return: 0 or -EILSEQ
 */
int run_args_check(const struct msg_strings *command,
		   const struct msg_pairs *env, const char *workdir,
		   struct err *e);

/** run_args_done() - release */
void run_args_done(struct run_args *a);

#endif
