/*
 * tools/debug.h - `ferry debug collect SANDBOX`
 *
 * A tar file with a folder of texts: what the shim answers to Collect, else the
 * end of its log; and what the sandbox left before (tools/qemu/remains.h). The
 * archive is written by tar(1).
 */
#ifndef FERRY_TOOLS_DEBUG_H
#define FERRY_TOOLS_DEBUG_H

int tool_debug(int argc, char **argv);

#endif
