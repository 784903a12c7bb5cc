/* init/wrapargs.h - the arguments of vsockexec (specification cmdline.md 9) */
#ifndef FERRY_INIT_WRAPARGS_H
#define FERRY_INIT_WRAPARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/err.h"

/**
 * struct wrapargs - what to connect, and what to run
 * @relay:	-r
 * @ports:	host ports of descriptors 0, 1, 2; 0: leave it alone
 * @command:	NULL-terminated, points into argv
 */
struct wrapargs {
	bool relay;
	uint32_t ports[3];
	char *const *command;
};

/**
 * wrapargs_parse() - read vsockexec's argument vector
 *
 * Ports are 1 to 4294967294, decimal and nothing else.
 * Return: 0 or -EINVAL (the caller prints the usage and exits with 1)
 */
int wrapargs_parse(int argc, char *const *argv, struct wrapargs *ret,
		   struct err *e);

/**
 * wrapargs_relay_port() - the one port of a relay: that of -e, else of -o
 *
 * Return: the port, 0: neither was given
 */
uint32_t wrapargs_relay_port(const struct wrapargs *a);

/** wrapargs_only_output() - does all go to one port, and nothing come in? */
bool wrapargs_only_output(const struct wrapargs *a);

#endif
