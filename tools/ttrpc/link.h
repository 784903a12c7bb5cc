/*
 * tools/ttrpc/link.h - one connected socket that carries ttrpc frames
 *
 * Frames come by callback, in their order. What is sent is queued when the
 * socket does not take it; while more than TTRPC_QUEUE_MAX bytes are queued
 * nothing is read, so a peer that asks and never reads is bounded by what is in
 * progress already. closed() is called once, from the loop, when the peer has
 * gone or the connection is of no use any more; the socket is closed then.
 */
#ifndef FERRY_TOOLS_TTRPC_LINK_H
#define FERRY_TOOLS_TTRPC_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/io/loop.h"
#include "config/err.h"
#include "tools/ttrpc/reader.h"

#define TTRPC_QUEUE_MAX ((size_t)8 * 1024 * 1024)

struct ttrpc_out;

/**
 * struct ttrpc_link - embedded by its owner
 * @fd:		the socket, -1: closed
 * @queued:	bytes in the queue
 */
struct ttrpc_link {
	struct loop *loop;
	int fd;
	struct loop_id watch;
	struct ttrpc_reader in;
	struct ttrpc_out *head;
	struct ttrpc_out **tail;
	size_t queued;
	void (*frame)(void *ctx, const struct ttrpc_frame *f);
	void (*closed)(void *ctx, const struct err *why);
	void *ctx;
};

/**
 * ttrpc_link_start() - take a connected, non-blocking socket
 * @fd:		taken on success
 * @frame:	a frame has come; may close the link
 * @closed:	the peer has gone; the link is closed already
 *
 * Return: 0 or -errno
 */
int ttrpc_link_start(struct ttrpc_link *l, struct loop *loop, int fd,
		     void (*frame)(void *ctx, const struct ttrpc_frame *f),
		     void (*closed)(void *ctx, const struct err *why),
		     void *ctx, struct err *e);

/**
 * ttrpc_link_send() - send or queue a whole frame
 * @bytes:	heap memory, taken in every case; NULL is fine
 *
 * Return: 0, -ENOTCONN, -ENOMEM, or -errno of a dead socket (closed() follows
 * from the loop)
 */
int ttrpc_link_send(struct ttrpc_link *l, uint8_t *bytes, size_t len);

/** ttrpc_link_close() - close, forget the queue; no callback; repeatable */
void ttrpc_link_close(struct ttrpc_link *l);

#endif
