/*
 * bridge/guest/console.h - the terminal that an OCI runtime makes and sends
 *
 * The runtime connects to a unix socket and sends the master of the terminal
 * of a container's process, one message with one descriptor. The socket is in
 * a folder that only the agent and the runtime reach; still no more than one
 * connection and one descriptor are taken, and only a terminal is. Both wait in
 * the socket until they are wanted: an agent that is killed before has not taken
 * what the next one needs.
 */
#ifndef FERRY_BRIDGE_GUEST_CONSOLE_H
#define FERRY_BRIDGE_GUEST_CONSOLE_H

#include "bridge/io/loop.h"
#include "config/err.h"

/* @master: the receiver's, -1: @e says why there is none */
typedef void console_fn(void *ctx, int master, const struct err *e);

/**
 * struct console - one socket
 * @listener, @conn, @master: -1: not, or not yet; a listener of an earlier agent
 *		is put here
 */
struct console {
	struct loop *loop;
	int listener;
	int conn;
	int master;
	char path[108];
	struct err why;
	struct loop_id watch;
	console_fn *fn;
	void *ctx;
};

/** console_init() - nothing; console_done() is fine */
void console_init(struct console *c, struct loop *l);

/** console_listen() - at @path, 107 bytes at most; return: 0 or -errno */
int console_listen(struct console *c, const char *path, struct err *e);

/**
 * console_wanted() - the terminal is needed now
 *
 * @fn is called once, perhaps at once. There is no limit in time here.
 */
void console_wanted(struct console *c, console_fn *fn, void *ctx);

/** console_done() - close all of it, and remove the socket */
void console_done(struct console *c);

#endif
