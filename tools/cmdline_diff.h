/* tools/cmdline_diff.h - two kernel lines, word by word */
#ifndef FERRY_TOOLS_CMDLINE_DIFF_H
#define FERRY_TOOLS_CMDLINE_DIFF_H

/**
 * cmdline_diff() - ferry cmdline diff A B
 *
 * Words are compared as the kernel reads them, so blanks and needless quotes
 * make no difference. Prints "- word" and "+ word" for what only one line has.
 * Return: exit code, 0: the lines say the same, 1: they differ
 */
int cmdline_diff(int argc, char **argv);

#endif
