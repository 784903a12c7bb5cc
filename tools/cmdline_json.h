/* tools/cmdline_json.h - a finished sandbox as JSON, for programs */
#ifndef FERRY_TOOLS_CMDLINE_JSON_H
#define FERRY_TOOLS_CMDLINE_JSON_H

#include <stdio.h>

#include "config/err.h"
#include "config/options.h"
#include "tools/cmdline_explain.h"

struct json_object;

/**
 * cmdline_json() - line and options as an object
 *
 * The members of the shared vectors (sandbox.jsonl: args, boot, cpu, memory,
 * numa, storage_qos, ...), 64-bit numbers as decimal strings.
 * Return: the caller's object, NULL: no memory
 */
struct json_object *cmdline_json(const struct sandbox_options *o,
				 const char *line);

/**
 * cmdline_json_print() - cmdline_json() and what a vector does not have
 * (forwarder, migratable, profile, notes, explain), as one line of text
 * @x:		becomes the member "explain", NULL: there is none. After a
 *		failure there is nothing else but "error"
 *
 * Return: 0, -ENOMEM, or -errno of writing
 */
int cmdline_json_print(const struct sandbox_options *o, const char *line,
		       const struct explain *x, FILE *to, struct err *e);

#endif
