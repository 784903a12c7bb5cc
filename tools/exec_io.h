/*
 * tools/exec_io.h - our standard streams as the streams of a process in a
 * sandbox
 *
 * Theory of operation. For each stream a socket listens in the folder of the
 * sandbox; the shim is given the paths and connects. From then on each is a
 * relay between the connection and our own descriptor. The sockets' names go as
 * soon as they are connected.
 */
#ifndef FERRY_TOOLS_EXEC_IO_H
#define FERRY_TOOLS_EXEC_IO_H

#include <stdbool.h>

#include "bridge/host/relay.h"
#include "bridge/io/loop.h"
#include "bridge/msg.h"
#include "config/err.h"
#include "tools/qemu/rundir.h"

struct exec_io;

/* One stream; internal. */
struct exec_stream {
	struct exec_io *io;
	int own; /* our descriptor */
	int listen;
	struct loop_id watch;
	struct host_relay *relay;
	bool open;
};

/**
 * struct exec_io - the streams
 * @path:	for the request, "": no such stream
 * @input_ended: our input has ended, and all of it was sent
 * @output_ended: both outputs have ended
 * @output_cut:	an output could not be written
 */
struct exec_io {
	struct loop *loop;
	struct exec_stream stream[MSG_STDIO];
	char path[MSG_STDIO][RUNDIR_MAX + 32];
	void (*input_ended)(void *ctx);
	void (*output_ended)(void *ctx);
	void *ctx;
	bool output_cut;
};

/**
 * exec_io_init() - listen
 * @io:		zeroed, with loop and callbacks
 * @dir:	folder of the sandbox
 * @wanted:	which streams
 *
 * Return: 0 or -errno; exec_io_done() in every case
 */
int exec_io_init(struct exec_io *io, const char *dir,
		 const bool wanted[MSG_STDIO], struct err *e);

/** exec_io_output_open() - may more output come? */
bool exec_io_output_open(const struct exec_io *io);

/** exec_io_done() - close all, remove the sockets */
void exec_io_done(struct exec_io *io);

#endif
