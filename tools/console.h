/*
 * tools/console.h - what a UVM's serial console says, to a descriptor of ours
 *
 * Theory of operation. QEMU connects to a socket that is there before it is
 * started. The first that connects is QEMU, and then nobody else can: what it
 * writes is carried by bridge/host/relay.h until one of both sides ends. A
 * console that cannot be carried is no reason to end a UVM, and not told.
 */
#ifndef FERRY_TOOLS_CONSOLE_H
#define FERRY_TOOLS_CONSOLE_H

#include "bridge/host/relay.h"
#include "bridge/io/loop.h"
#include "config/err.h"

/**
 * struct console - the socket, then the connection
 * @loop:	borrowed
 * @out:	where it goes, borrowed
 * @listen:	-1: nobody is waited for
 * @relay:	NULL: nobody is connected
 */
struct console {
	struct loop *loop;
	int out;
	int listen;
	struct loop_id watch;
	struct host_relay *relay;
};

/** Before console_open(), and after console_close() */
#define CONSOLE_NONE ((struct console){ .out = -1, .listen = -1 })

/**
 * console_open() - wait for QEMU
 * @path:	of the socket
 * @out:	any kind of descriptor; it must outlive @c
 *
 * Return: 0 or -errno
 */
int console_open(struct console *c, struct loop *loop, const char *path,
		 int out, struct err *e);

/** console_close() - hang up; harmless on CONSOLE_NONE */
void console_close(struct console *c);

#endif
