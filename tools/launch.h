/*
 * tools/launch.h - what every start of a sandbox has in common: from options,
 * annotations and configuration to a checked struct sandbox_config
 *
 *	launch_init(&l);
 *	run_args_parse(argc, argv, &l.args);
 *	launch_line(&l, e);		bad input ends here: usage
 *	launch_notes(&l, report);
 *	launch_files(&l, e);		what is missing on this machine
 *	config = launch_sandbox(&l, loop);
 */
#ifndef FERRY_TOOLS_LAUNCH_H
#define FERRY_TOOLS_LAUNCH_H

#include "cmdline/build.h"
#include "config/conf.h"
#include "config/err.h"
#include "config/options.h"
#include "tools/report.h"
#include "tools/run_args.h"
#include "tools/sandbox.h"

#define LAUNCH_PATH_MAX 4096

/**
 * struct launch - one sandbox to be
 * @args:	what the user wrote
 * @conf:	what the configuration files say
 * @options:	validated options of the sandbox
 * @line:	its kernel command line
 * @kernel, @image, @vhost_lib: files that are there and can be read
 */
struct launch {
	struct run_args args;
	struct conf conf;
	struct sandbox_options options;
	char line[CMDLINE_SIZE];
	char kernel[LAUNCH_PATH_MAX];
	char image[LAUNCH_PATH_MAX];
	char vhost_lib[LAUNCH_PATH_MAX];
};

/** launch_init() - empty; launch_done() releases it, the arguments too */
void launch_init(struct launch *l);
void launch_done(struct launch *l);

/**
 * launch_line() - read the configuration, check everything, build the line
 *
 * Return: 0, or -errno: the user can mend it
 */
int launch_line(struct launch *l, struct err *e);

/** launch_notes() - tell what was clamped, and warnings */
void launch_notes(const struct launch *l, const struct report *report);

/**
 * launch_files() - find kernel, image and library
 *
 * Return: 0 or -errno
 */
int launch_files(struct launch *l, struct err *e);

/**
 * launch_sandbox() - the configuration of the sandbox, without callbacks and
 * without a console; it borrows from @l
 */
struct sandbox_config launch_sandbox(const struct launch *l, struct loop *loop);

#endif
