/*
 * tools/upgrade_script.h - what ferry upgrade-agent does in the UVM
 *
 * Scripts for /bin/sh that run as a child of the agent, which is how the agent
 * and its file are found. $1 is the SHA-256 of the new agent, in hex. PATH is
 * the agent's; PID 1 looks for PATH.new when it starts an agent (init/upgrade.h).
 */
#ifndef FERRY_TOOLS_UPGRADE_SCRIPT_H
#define FERRY_TOOLS_UPGRADE_SCRIPT_H

/**
 * upgrade_copy - the program comes in over standard input, to PATH.part
 *
 * Says the sum of the agent that runs. Fails when what came has not the sum $1;
 * then PATH.part may be there.
 */
extern const char upgrade_copy[];

/**
 * upgrade_swap - PATH.part becomes PATH.new by a rename, and the agent is
 * killed. Without a PATH.part it is left alone
 */
extern const char upgrade_swap[];

/** upgrade_drop - a copy is not wanted */
extern const char upgrade_drop[];

/**
 * upgrade_ask - says the sum of the agent that runs, and fails while it is on
 * trial or the new one was not started: both of one moment
 */
extern const char upgrade_ask[];

#endif
