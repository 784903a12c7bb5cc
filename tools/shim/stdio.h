/*
 * tools/shim/stdio.h - the streams of a process between the guest and whoever
 * is attached to it on the host
 *
 * Theory of operation. For each stream there is a pipe: the guest's side of it
 * goes to the bridge (bridge/host/process.h), the other side stays here. A
 * client gives paths, as the task service has them:
 *
 *	""		no such stream
 *	"-"		the stream is there, nobody is attached yet
 *	a FIFO		containerd's way; never seen to hang up, a reader that
 *			goes and comes back loses nothing
 *	a socket	ferry's way: we connect; when the client goes, it is
 *			detached and the process goes on
 *	file:///path	output only, appended
 *
 * Output that nobody is attached for is kept in a buffer of STDIO_KEEP bytes,
 * of which the oldest are dropped; who attaches gets it first. With a client
 * attached nothing is dropped: a slow one slows the process down.
 *
 * A move takes along what lies here: shim_stdio_freeze() stops all streams and
 * gathers what is in the pipes, shim_stdio_kept() gives it out, and where the
 * process goes on it comes first (shim_stdio_give()). So a reader that is the
 * same on both hosts (a FIFO, a file) gets each byte once. What nobody has read
 * of a FIFO, which goes with the last who has it open, is taken along as well. Of
 * a process that had exited before the move nothing is dropped there until
 * somebody has attached: there is an end to what comes, STDIO_LAST_MAX.
 *
 * Input ends when that was asked for (CloseIO) and the client has closed its
 * end; a client that only goes away leaves the process its input.
 */
#ifndef FERRY_TOOLS_SHIM_STDIO_H
#define FERRY_TOOLS_SHIM_STDIO_H

#include "bridge/io/loop.h"
#include "bridge/msg.h"
#include "config/err.h"

/* Output that is kept while nobody is attached. */
#define STDIO_KEEP 65536u
/* The same, of a process that exited before a move: what all on the way holds. */
#define STDIO_LAST_MAX ((size_t)2 * 1024 * 1024)
/* What is taken out of a FIFO, together with what is kept already. */
#define STDIO_FIFO_MAX ((size_t)512 * 1024)

struct shim_stdio;

/**
 * shim_stdio_new() - open what a client gave, and make the pipes
 * @loop:	event loop, borrowed
 * @path:	of stdin, stdout, stderr
 * @ret:	receives the streams
 * @guest_fd:	receives the guest's ends, -1: no such stream; the caller closes
 *		them
 * @e:		names the stream and the path
 *
 * Return: 0 or -errno
 */
int shim_stdio_new(struct loop *loop, const char *const path[MSG_STDIO],
		   struct shim_stdio **ret, int guest_fd[MSG_STDIO],
		   struct err *e);

/**
 * shim_stdio_attach() - a client takes over the streams that it gives
 *
 * Whoever was attached to them is detached; "" leaves a stream alone.
 * Return: 0, or -errno and nothing has changed
 */
int shim_stdio_attach(struct shim_stdio *s, const char *const path[MSG_STDIO],
		      struct err *e);

/**
 * shim_stdio_ended() - a client of streams that were over before a move: it is
 * told so by their end
 *
 * Return: 0 or -errno
 */
int shim_stdio_ended(const char *const path[MSG_STDIO], struct err *e);

/** shim_stdio_close_stdin() - input ends with what the client has sent */
void shim_stdio_close_stdin(struct shim_stdio *s);

/** shim_stdio_dropped() - bytes that nobody was attached for, of all processes */
uint64_t shim_stdio_dropped(void);

/**
 * shim_stdio_freeze() - stop, or go on
 *
 * The bridge has to be frozen already. Return: 0 or -ENOMEM, and nothing is
 * frozen; to go on cannot fail.
 */
int shim_stdio_freeze(struct shim_stdio *s, bool frozen, struct err *e);

/** shim_stdio_kept() - bytes of a frozen stream that are here; their number */
size_t shim_stdio_kept(const struct shim_stdio *s, enum msg_stdio which,
		       const uint8_t **ret);

/**
 * shim_stdio_give() - bytes that came with the process, before all others
 * @last:	the process has exited
 *
 * Return: 0, -ENOMEM; a stream that is not there takes nothing
 */
int shim_stdio_give(struct shim_stdio *s, enum msg_stdio which,
		    const void *bytes, size_t n, bool last, struct err *e);

/** shim_stdio_free() - close everything; NULL is fine */
void shim_stdio_free(struct shim_stdio *s);

#endif
