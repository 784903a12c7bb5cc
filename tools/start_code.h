/* tools/start_code.h - the exit code for a command that did not start */
#ifndef FERRY_TOOLS_START_CODE_H
#define FERRY_TOOLS_START_CODE_H

#include "bridge/host/client.h"

/**
 * start_code() - whose fault it was
 * @f:	why the command was not started
 *
 * Return: TOOL_NOT_FOUND or TOOL_NOT_EXECUTABLE when the guest says that it
 *         could not execute the program itself, in the words of
 *         bridge/io/spawn; TOOL_CANNOT_RUN for everything else, such as a
 *         working directory that is missing
 */
int start_code(const struct host_failure *f);

/**
 * runtime_code() - the same for a container, by the words of its runtime
 * @why:	why it was not created or started
 */
int runtime_code(const struct err *why);

#endif
