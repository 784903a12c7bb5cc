/* tools/cmdline.h - ferry cmdline: build, parse and compare kernel lines */
#ifndef FERRY_TOOLS_CMDLINE_H
#define FERRY_TOOLS_CMDLINE_H

/** tool_cmdline() - the subcommand; return: exit code */
int tool_cmdline(int argc, char **argv);

#endif
