/*
 * tools/small.h - what the small commands about sandboxes have in common
 *
 * Their options are letters of one table, their output is for people or, with
 * --json, one JSON object a line.
 */
#ifndef FERRY_TOOLS_SMALL_H
#define FERRY_TOOLS_SMALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/schema.h"
#include "build/proto/well_known.pb-c.h"

/* What a command line of one of these may have. */
struct words {
	bool json;
	bool force;
	bool follow;
	uint32_t signal;
	const char **word;
	size_t n;
};

/* One of these commands. */
struct small {
	const char *name;
	const char *help;
	const char *options; /* letters that it takes: j f s F */
	size_t min;
	size_t max;
};

/** small_run() - read the command line and run; return: the exit code */
int small_run(const struct small *s, int argc, char **argv,
	      int (*run)(const struct words *w));

/** small_json() - one line */
void small_json(const struct schema *schema, const void *m);

/** small_safe() - whatever a guest or a client put into it, printable; at most
 * 128 bytes */
void small_safe(const char *s, size_t max);

/** small_age() - "2h", for a table */
void small_age(const PbTimestamp *since, char *out, size_t size);

#endif
