/* bridge/guest/pty.h - a pseudo terminal for one process */
#ifndef FERRY_BRIDGE_GUEST_PTY_H
#define FERRY_BRIDGE_GUEST_PTY_H

#include <stdint.h>

#include "config/err.h"

/**
 * pty_open() - both ends of a new terminal
 * @height:	rows, 0: not known
 * @width:	columns, 0: not known
 * @ret_master:	receives the agent's end, non-blocking, close-on-exec
 * @ret_slave:	receives the process's end, mode 0600, close-on-exec, not the
 *		agent's controlling terminal
 * @e:		which step failed
 *
 * Return: 0 or -errno
 */
int pty_open(uint16_t height, uint16_t width, int *ret_master, int *ret_slave,
	     struct err *e);

/**
 * pty_resize() - tell the terminal its size; its foreground group gets
 * SIGWINCH when it changed
 *
 * Return: 0 or -errno
 */
int pty_resize(int master, uint16_t height, uint16_t width, struct err *e);

#endif
