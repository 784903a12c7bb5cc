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

/* What is over sooner needs no progress. */
#define REPORT_SLOW_MS 800

/**
 * struct report - how to tell
 * @verbose:	phases and the agent's log
 * @json:	as JSON lines, and everything
 * @start_us:	when it began
 * @last_us:	when the last phase ended
 * @line:	a line of progress stands on the terminal
 */
struct report {
	bool verbose;
	bool json;
	int64_t start_us;
	int64_t last_us;
	bool line;
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

/**
 * report_progress() - how far a long work is
 * @what:	for people, printable
 *
 * A line of a terminal that is written again and again, from REPORT_SLOW_MS on;
 * nothing where stderr is none. With --json an event each time.
 */
void report_progress(struct report *r, const char *what, uint64_t done,
		     uint64_t total);

/** report_progress_end() - the line goes */
void report_progress_end(struct report *r);

/** report_exit() - the exit code, told with --json only */
void report_exit(const struct report *r, int code);

#endif
