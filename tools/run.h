/* tools/run.h - the subcommand `ferry run` */
#ifndef FERRY_TOOLS_RUN_H
#define FERRY_TOOLS_RUN_H

/**
 * tool_run() - boot a UVM, run a command in it
 *
 * Return: the command's exit code, or one of enum tool_exit
 */
int tool_run(int argc, char **argv);

#endif
