/* tools/cmdline_args.h - the words behind `ferry cmdline build` */
#ifndef FERRY_TOOLS_CMDLINE_ARGS_H
#define FERRY_TOOLS_CMDLINE_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/annotation_map.h"
#include "config/conf.h"
#include "config/err.h"
#include "config/options.h"

/**
 * struct cmdline_args - what the user asked for
 * @annotations: in the order of the command line, later ones replace
 * @runtime:	options; strings point into argv
 * @conf:	--config FILE, which is weaker than the other options; without
 *		it no file is read, so that the same words give the same line
 * @given:	bits of the options that were given, cmdline_args_given()
 * @count:	--processors, -1: not given. Compat mode takes any 32-bit
 *		number for the final count, as the golden vectors do
 * @json:	the whole result as JSON
 * @explain:	where each word comes from
 * @help:	--help: nothing else counts
 */
struct cmdline_args {
	struct annotation_map annotations;
	struct runtime_options runtime;
	struct conf conf;
	unsigned int given;
	int64_t count;
	bool json;
	bool explain;
	bool help;
};

/**
 * cmdline_args_parse() - read them
 * @argc:	entries of @argv, argv[0] being "build"
 * @argv:	words
 * @ret:	always to be released with cmdline_args_done()
 * @e:		what is wrong with which word, file or annotation
 *
 * Return: 0, -EINVAL (usage or input), or -errno of reading a file
 */
int cmdline_args_parse(int argc, char **argv, struct cmdline_args *ret,
		       struct err *e);

/** cmdline_args_done() - release what @a owns */
void cmdline_args_done(struct cmdline_args *a);

/**
 * cmdline_args_given() - was an option given on the command line itself?
 * @option:	"--log-level", ...
 */
bool cmdline_args_given(const struct cmdline_args *a, const char *option);

/** cmdline_args_help() - the text of --help */
const char *cmdline_args_help(void);

#endif
