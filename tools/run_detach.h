/*
 * tools/run_detach.h - ferry run --detach: a sandbox that goes on by itself,
 * with the container of a bundle in it if one is asked for
 */
#ifndef FERRY_TOOLS_RUN_DETACH_H
#define FERRY_TOOLS_RUN_DETACH_H

#include "config/err.h"
#include "tools/launch.h"
#include "tools/report.h"

/* The container of --bundle, and of ferry exec NAME/container. */
#define RUN_CONTAINER "container"

/**
 * run_detach() - start it, and print its name
 * @l:		with line and files
 *
 * A container that cannot be started, or that is interrupted before, ends the
 * sandbox.
 * Return: the exit code of ferry
 */
int run_detach(struct launch *l, struct report *report);

#endif
