/*
 * tools/tty.h - the user's terminal: raw while a command owns it, and back
 *
 * A process has one such terminal. It is given back on every way out: by
 * tty_restore(), at exit(), and when a fatal signal ends the program. Only
 * SIGKILL cannot be helped.
 */
#ifndef FERRY_TOOLS_TTY_H
#define FERRY_TOOLS_TTY_H

#include <stdbool.h>
#include <stdint.h>

#include "config/err.h"

/**
 * tty_raw() - let keys through as they are: no echo, no lines, no signals
 * @fd:		a terminal, borrowed until tty_restore()
 * @e:		reason
 *
 * Return: 0 (also when it is raw already) or -errno
 */
int tty_raw(int fd, struct err *e);

/** tty_restore() - the terminal as it was; safe in signal handlers; repeatable*/
void tty_restore(void);

/**
 * tty_size() - cells of a terminal
 *
 * Return: true, or false without touching the sizes (no terminal, or it does
 *         not know)
 */
bool tty_size(int fd, uint16_t *height, uint16_t *width);

#endif
