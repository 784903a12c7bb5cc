/* tools/config.h - ferry config: check and show the configuration files */
#ifndef FERRY_TOOLS_CONFIG_H
#define FERRY_TOOLS_CONFIG_H

/** tool_config() - the subcommand; argv[0] is "config". Return: exit code */
int tool_config(int argc, char **argv);

#endif
