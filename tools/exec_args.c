#include "tools/exec_args.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "tools/shim/shim.h"
#include "tools/tool.h"

static const char exec_help[] =
	"usage: ferry exec [OPTION...] SANDBOX[/CONTAINER] [--] COMMAND [ARG...]\n"
	"\n"
	"Runs COMMAND in a running sandbox and ends with its exit code.\n"
	"\n"
	"  -t, --tty           COMMAND gets a terminal; implies -i\n"
	"  -i, --interactive   COMMAND gets stdin even from a terminal\n"
	"  -d, --detach        print the id of the process and end\n"
	"  --env KEY=VALUE     a variable for COMMAND; repeatable\n"
	"  --workdir DIR       working directory of COMMAND\n"
	"  --id ID             id of the process, for attach, kill and ps\n"
	"\n"
	"Exit code: that of COMMAND; 125 ferry failed, 126 COMMAND is not\n"
	"executable, 127 it was not found, 2 bad usage.\n";

static const char attach_help[] =
	"usage: ferry attach [OPTION...] SANDBOX[/CONTAINER] [ID]\n"
	"\n"
	"Takes over the streams of a process of a running sandbox and ends with\n"
	"its exit code. Without ID: the command of 'ferry run --detach',\n"
	"or the container's first process.\n"
	"\n"
	"  --no-stdin          leave its input alone\n"
	"\n"
	"Exit code: that of the process; 125 ferry failed, 2 bad usage.\n";

enum option_id { OPT_ENV = 256, OPT_WORKDIR, OPT_ID, OPT_NO_STDIN };

static const struct option exec_options[] = {
	{ "tty", no_argument, NULL, 't' },
	{ "interactive", no_argument, NULL, 'i' },
	{ "detach", no_argument, NULL, 'd' },
	{ "env", required_argument, NULL, OPT_ENV },
	{ "workdir", required_argument, NULL, OPT_WORKDIR },
	{ "id", required_argument, NULL, OPT_ID },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static const struct option attach_options[] = {
	{ "no-stdin", no_argument, NULL, OPT_NO_STDIN },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

int exec_parse(struct exec *x, int argc, char **argv)
{
	struct err e;
	int id;

	optind = 0;
	while ((id = getopt_long(argc, argv, "+tidh", exec_options, NULL)) !=
	       -1) {
		switch (id) {
		case 't':
			x->tty = x->interactive = true;
			break;
		case 'i':
			x->interactive = true;
			break;
		case 'd':
			x->detach = true;
			break;
		case OPT_ENV:
			if (run_args_env(optarg, &x->env, &e) < 0)
				return tool_usage("exec", "--env: %s", e.text);
			break;
		case OPT_WORKDIR:
			x->workdir = optarg;
			break;
		case OPT_ID:
			x->exec_id = optarg;
			break;
		case 'h':
			(void)fputs(exec_help, stdout);
			return TOOL_OK;
		default:
			(void)tool_try("exec");
			return TOOL_USAGE;
		}
	}
	if (optind < argc)
		x->target = argv[optind++];
	if (optind < argc && strcmp(argv[optind], "--") == 0)
		optind++;
	while (optind < argc)
		x->command.item[x->command.n++] = argv[optind++];
	if (!x->target)
		return tool_usage("exec", "no sandbox");
	if (x->command.n == 0)
		return tool_usage("exec", "no command");
	run_args_env_defaults(&x->env, x->tty);
	if (run_args_check(&x->command, &x->env, x->workdir, &e) < 0)
		return tool_usage("exec", "%s", e.text);
	return -1;
}

int attach_parse(struct exec *x, int argc, char **argv)
{
	int id;

	optind = 0;
	while ((id = getopt_long(argc, argv, "+h", attach_options, NULL)) !=
	       -1) {
		if (id == 'h') {
			(void)fputs(attach_help, stdout);
			return TOOL_OK;
		}
		if (id != OPT_NO_STDIN) {
			(void)tool_try("attach");
			return TOOL_USAGE;
		}
		x->no_stdin = true;
	}
	if (optind < argc)
		x->target = argv[optind++];
	if (!x->target)
		return tool_usage("attach", "no sandbox");
	/* Without one, of a container its first process. */
	x->exec_id = optind < argc	      ? argv[optind++]
		     : strchr(x->target, '/') ? ""
					      : SHIM_MAIN;
	if (optind < argc)
		return tool_usage("attach", "too many words: %s", argv[optind]);
	return -1;
}
