/* tools/exec.h - ferry exec, ferry attach */
#ifndef FERRY_TOOLS_EXEC_H
#define FERRY_TOOLS_EXEC_H

int tool_exec(int argc, char **argv);
int tool_attach(int argc, char **argv);

#endif
