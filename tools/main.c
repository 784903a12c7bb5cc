/* tools/main.c - the program ferry: finds the subcommand and runs it */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "bridge/host/acceptor.h"
#include "bridge/io/fd.h"
#include "config/util.h"
#include "tools/config.h"
#include "tools/cmdline.h"
#include "tools/debug.h"
#include "tools/exec.h"
#include "tools/image.h"
#include "tools/migrate.h"
#include "tools/run.h"
#include "tools/saved_files.h"
#include "tools/sandboxes.h"
#include "tools/shim/containerd.h"
#include "tools/small.h"
#include "tools/state.h"
#include "tools/tool.h"

static int print_version(const struct words *w UNUSED)
{
	(void)printf("ferry %s\n", TOOL_VERSION);
	return TOOL_OK;
}

static int tool_version(int argc, char **argv)
{
	static const struct small s = {
		.name = "version",
		.help = "usage: ferry version\n\nPrints the version.\n",
		.options = "",
	};

	return small_run(&s, argc, argv, print_version);
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} tools[] = {
	{ "config", tool_config, "check and show the configuration files" },
	{ "cmdline", tool_cmdline, "build, parse and compare kernel lines" },
	{ "image", tool_image, "build, list and check initramfs images" },
	{ "run", tool_run, "boot a UVM and run a command in it" },
	{ "exec", tool_exec, "run a command in a running sandbox" },
	{ "attach", tool_attach, "take over the streams of a process" },
	{ "list", tool_list, "list running sandboxes" },
	{ "ps", tool_ps, "list the processes of a sandbox" },
	{ "kill", tool_kill, "signal a process of a sandbox" },
	{ "stats", tool_stats, "show what containers of a sandbox use" },
	{ "metrics", tool_metrics, "show the counters of sandboxes" },
	{ "logs", tool_logs, "show the logs of a sandbox" },
	{ "stop", tool_stop, "power sandboxes off" },
	{ "state", tool_state, "show, check and compare saved states" },
	{ "migrate", tool_migrate, "move a sandbox to another host" },
	{ "save", tool_save, "save a sandbox to a file" },
	{ "restore", tool_restore, "let a saved sandbox go on" },
	{ "debug", tool_debug, "collect what helps to find a fault" },
	{ "upgrade-agent", tool_upgrade_agent,
	  "replace the agent of a running sandbox" },
	{ "gc", tool_gc, "remove what dead sandboxes left" },
	{ "version", tool_version, "print the version" },
};

static int help(FILE *to)
{
	(void)fputs("usage: ferry COMMAND [ARG...]\n\ncommands:\n", to);
	for (size_t i = 0; i < ARRAY_LEN(tools); i++)
		(void)fprintf(to, "  %-13s %s\n", tools[i].name,
			      tools[i].summary);
	(void)fputs("\n'ferry COMMAND --help' tells more.\n", to);
	return to == stdout ? TOOL_OK : TOOL_USAGE;
}

static int dispatch(int argc, char **argv)
{
	static char name[32]; /* getopt begins its words with it */

	if (argc < 2)
		return help(stderr);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return help(stdout);
	if (strcmp(argv[1], "--version") == 0)
		return print_version(NULL);
	/* Not for people: a sandbox starts it. */
	if (strcmp(argv[1], ACCEPTOR_COMMAND) == 0)
		return acceptor_main(argc - 1, argv + 1, &acceptor_vsock);

	for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
		if (strcmp(argv[1], tools[i].name) != 0)
			continue;
		(void)snprintf(name, sizeof(name), "ferry %s", tools[i].name);
		argv[1] = name;
		return tools[i].run(argc - 1, argv + 1);
	}

	(void)fprintf(stderr, "ferry: no command '%s'\n", argv[1]);
	return help(stderr);
}

int main(int argc, char **argv)
{
	int status;

	/* Else a socket of ours would become somebody's standard output. */
	if (fd_std_open() < 0)
		return TOOL_CANNOT_RUN;
	/* A closed pipe is an error of write(), not a death. */
	(void)signal(SIGPIPE, SIG_IGN);

	status = argc > 0 && shim_containerd_is(argv[0])
			 ? shim_containerd(argc, argv)
			 : dispatch(argc, argv);
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == TOOL_OK) {
		(void)fputs("ferry: cannot write to standard output\n", stderr);
		status = TOOL_FAILURE;
	}
	return status;
}
