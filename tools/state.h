/* tools/state.h - ferry state: look at saved states */
#ifndef FERRY_TOOLS_STATE_H
#define FERRY_TOOLS_STATE_H

#include "config/text.h"

/** tool_state() - see `ferry state --help` */
int tool_state(int argc, char **argv);

/**
 * state_lines() - a JSON text as sorted lines "path = value"
 *
 * Return: 0, -EINVAL, -ENOMEM
 */
int state_lines(const char *json, struct text *out);

/**
 * state_diff() - print the lines that only one of two has, "-" and "+" before
 * them, in order
 *
 * Return: how many
 */
size_t state_diff(const char *a, const char *b, struct text *out);

/** state_diff_json() - what state_diff() printed, as {"removed", "added"} */
void state_diff_json(const char *diff, struct text *out);

#endif
