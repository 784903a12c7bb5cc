/*
 * tools/tool.h - what the subcommands of ferry share
 *
 * A subcommand is int tool_NAME(int argc, char **argv) in tools/NAME.c, argv[0]
 * being "ferry NAME" for getopt's words, and a row of the table in tools/main.c.
 */
#ifndef FERRY_TOOLS_TOOL_H
#define FERRY_TOOLS_TOOL_H

#include "config/err.h"

/* Exit codes; a command that ferry ran gives its own. */
enum tool_exit {
	TOOL_OK = 0,
	TOOL_FAILURE = 1,
	TOOL_USAGE = 2,	       /* usage, or input that the user can mend */
	TOOL_CANNOT_RUN = 125, /* ferry failed before the command ran */
	TOOL_NOT_EXECUTABLE = 126,
	TOOL_NOT_FOUND = 127,
};

#define TOOL_VERSION "0.1.0"

/**
 * tool_fail() - print "error: <class>: <text>" (or "ferry: <text>" for an
 * error without a class) to stderr
 *
 * Return: TOOL_USAGE when @e has a class or is about bad input (EINVAL, ERANGE,
 *         E2BIG, ENAMETOOLONG), else TOOL_FAILURE
 */
int tool_fail(const struct err *e);

/**
 * tool_usage() - "ferry NAME: <text>" and a hint at --help to stderr
 *
 * Return: TOOL_USAGE
 */
int tool_usage(const char *name, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** tool_try() - the hint alone, for getopt has told the rest; TOOL_USAGE */
int tool_try(const char *name);

#endif
