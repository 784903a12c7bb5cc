/* bridge/guest/dump.h - the agent's state as text, for DumpStacks */
#ifndef FERRY_BRIDGE_GUEST_DUMP_H
#define FERRY_BRIDGE_GUEST_DUMP_H

#include "bridge/guest/agent.h"
#include "config/text.h"

/* Bytes of the text with its NUL; escaped it must fit into a frame. */
#define DUMP_MAX 49152u
/* Processes that are listed one by one. */
#define DUMP_PROCESSES_MAX 256u
/* Bytes of PID 1's log at the end. */
#define DUMP_LOG_BYTES 16384u

/* Bytes of one ReadLog: escaped as \\u00NN, which none of them is, they fit too. */
#define READ_LOG_MAX 8192u

/** dump_state() - append it; no command line, environment or output byte */
void dump_state(const struct agent *a, struct text *out);

#endif
