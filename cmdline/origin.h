/* cmdline/origin.h - why each word of a line is there; for the builder */
#ifndef FERRY_CMDLINE_ORIGIN_H
#define FERRY_CMDLINE_ORIGIN_H

#include "cmdline/build.h"

/* The two annotations that are raw text, for messages too. */
#define BOOT_OPTIONS_KEY "io.microsoft.virtualmachine.lcow.kernelbootoptions"
#define AGENT_ARGS_KEY                                                         \
	"io.microsoft.virtualmachine.lcow.extra-exec-command-args"

enum from {
	FROM_ROOT,
	FROM_TABLE,
	FROM_PLATFORM,
	FROM_CONSOLE,
	FROM_PANIC,
	FROM_QUIET,
	FROM_BOOT_OPTIONS,
	FROM_LEAK,
	FROM_PCI,
	FROM_PROCESSORS,
	FROM_KERNEL,
	FROM_SEPARATOR,
	FROM_ENTROPY,
	FROM_OVERLAY,
	FROM_FORWARDER,
	FROM_AGENT,
	FROM_LOG_LEVEL,
	FROM_TIME_SYNC,
	FROM_SCRUB,
	FROM_DUMP,
	FROM_AGENT_ARGS,
};

/* By enum from. */
extern const struct cmdline_origin cmdline_origins[];

#endif
