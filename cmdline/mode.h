/*
 * cmdline/mode.h - which forwarder mode the arguments of init stand for
 *
 * The host says it with the command alone, so that the line of an unmodified
 * host works. Pure, nothing allocated.
 * Source: shared specification cmdline.md 6.3; design: modes.
 */
#ifndef FERRY_CMDLINE_MODE_H
#define FERRY_CMDLINE_MODE_H

#include <stdbool.h>

enum guest_mode {
	/* The agent itself is the command: PID 1 drains and keeps its log. */
	GUEST_MODE_MIGRATABLE,
	/* vsockexec without -r: it connects the agent to port 109, once. */
	GUEST_MODE_CLASSIC,
	/* vsockexec -r: relays and redials. */
	GUEST_MODE_RELAY,
	/* sh -c "...": a shell on the console runs the agent beside it. */
	GUEST_MODE_CONSOLE,
	/* Another program: run as it is, its output to the log. */
	GUEST_MODE_OTHER,
	GUEST_MODES, /* number of modes */
};

/**
 * struct mode - the choice and why
 * @mode:	as above
 * @agent:	index in the command of the program that is or should be the
 *		agent (behind the wrapper's options), -1: not told (console,
 *		other, wrapper without a program)
 * @log_port:	vsock port that the wrapper dials for the log, 0: none
 * @reason:	constant text, for the log
 */
struct mode {
	enum guest_mode mode;
	int agent;
	unsigned int log_port;
	const char *reason;
};

/**
 * mode_choose() - from init's command to the mode
 * @command:	NULL-terminated, as in struct init_args; may be empty
 *
 * Programs are known by the last part of their path: vsockexec, gcs, sh.
 */
struct mode mode_choose(char *const *command);

/** mode_name() - "migratable", "classic", "relay", "console", "other" */
const char *mode_name(enum guest_mode mode);

#endif
