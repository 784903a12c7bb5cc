/*
 * tools/ttrpc/client.h - calls to a ttrpc server on a unix socket
 *
 * A call's callback runs exactly once, from the loop: with the answer, or with
 * an error of the server, of time, or of the connection. When the connection
 * is lost all calls end so and the client is of no more use.
 */
#ifndef FERRY_TOOLS_TTRPC_CLIENT_H
#define FERRY_TOOLS_TTRPC_CLIENT_H

#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "bridge/io/loop.h"
#include "config/err.h"
#include "tools/ttrpc/wire.h"

struct ttrpc_client;

/**
 * ttrpc_answer_fn - a call is over
 * @ctx:	of the call
 * @code:	TTRPC_OK, or why there is no answer
 * @text:	words for @code, printable as far as the server is trusted
 * @m:		the response, for the time of the callback; NULL unless TTRPC_OK
 */
typedef void ttrpc_answer_fn(void *ctx, enum ttrpc_code code, const char *text,
			     const ProtobufCMessage *m);

/**
 * struct ttrpc_ask - one call
 * @service, @method: names
 * @request:	message, NULL: empty; borrowed for the call
 * @response:	descriptor of the answer, NULL: none is wanted
 * @timeout_ms:	0: none. It is told to the server, and kept here too
 * @done:	callback
 * @ctx:	passed to it
 */
struct ttrpc_ask {
	const char *service;
	const char *method;
	const ProtobufCMessage *request;
	const ProtobufCMessageDescriptor *response;
	int64_t timeout_ms;
	ttrpc_answer_fn *done;
	void *ctx;
};

/**
 * ttrpc_dial() - connect to a unix socket
 * @path:	of the socket
 * @ret_fd:	non-blocking, close-on-exec, the caller's
 *
 * Return: 0, -ENAMETOOLONG, -ENOENT and -ECONNREFUSED (nobody there), -errno
 */
int ttrpc_dial(const char *path, int *ret_fd, struct err *e);

/**
 * ttrpc_client_new() - calls over a connected socket
 * @fd:		taken on success
 * @lost:	the connection has ended, after all calls were ended; may be
 *		NULL. The client may not be freed from within
 */
int ttrpc_client_new(struct loop *loop, int fd,
		     void (*lost)(void *ctx, const struct err *why), void *ctx,
		     struct ttrpc_client **ret, struct err *e);

/**
 * ttrpc_client_call() - ask
 *
 * Return: 0: the callback will run, later; -ENOTCONN, -E2BIG, -ENOMEM: never
 */
int ttrpc_client_call(struct ttrpc_client *c, const struct ttrpc_ask *ask,
		      struct err *e);

/** ttrpc_client_free() - no callbacks any more; not from within one */
void ttrpc_client_free(struct ttrpc_client *c);

#endif
