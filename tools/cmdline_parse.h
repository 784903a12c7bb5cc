/* tools/cmdline_parse.h - what becomes of a kernel line, told to people */
#ifndef FERRY_TOOLS_CMDLINE_PARSE_H
#define FERRY_TOOLS_CMDLINE_PARSE_H

/** cmdline_parse() - ferry cmdline parse [--json] LINE|-; return: exit code */
int cmdline_parse(int argc, char **argv);

#endif
