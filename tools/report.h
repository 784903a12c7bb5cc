/*
 * tools/report.h - what `ferry run` tells on stderr while it works
 *
 * Quiet, for people (--verbose), or one JSON object a line (--json). Times are
 * milliseconds since the program began.
 */
#ifndef FERRY_TOOLS_REPORT_H
#define FERRY_TOOLS_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "config/err.h"

/**
 * struct report - how to tell
 * @verbose:	phases and the agent's log
 * @json:	as JSON lines, and everything
 * @start_us:	when it began
 * @last_us:	when the last phase ended
 */
struct report {
	bool verbose;
	bool json;
	int64_t start_us;
	int64_t last_us;
};

/** report_init() - the clock starts */
void report_init(struct report *r);

/** report_phase() - @name is over now */
void report_phase(struct report *r, const char *name);

/** report_log() - a line of the UVM's agent, printable already */
void report_log(const struct report *r, const char *level, const char *text);

/** report_error() - what ended the run, always told */
void report_error(const struct report *r, const struct err *e);

/** report_warning() - what did not end it, always told */
void report_warning(const struct report *r, const char *text);

/** report_exit() - the exit code, told with --json only */
void report_exit(const struct report *r, int code);

#endif
