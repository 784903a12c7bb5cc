/*
 * tools/receive.h - `ferry migrate receive`: the door of a host for sandboxes
 * that move here
 *
 * One move at a time. For each a shim is started that waits for its VM; the
 * source's orchestrator speaks to it through us, byte for byte, and the guest's
 * memory comes on a second connection that we hand on. When the orchestrator
 * goes the shim is told: unless the guest was let go on, it ends.
 */
#ifndef FERRY_TOOLS_RECEIVE_H
#define FERRY_TOOLS_RECEIVE_H

int tool_receive(int argc, char **argv);

#endif
