/*
 * tools/ttrpc/server.h - ttrpc services on a listening unix socket
 *
 * Theory of operation. A method is called with a struct ttrpc_call and its
 * decoded request, and may answer at once or later, from any callback of the
 * loop. Each call is answered exactly once, by ttrpc_reply() or ttrpc_fail();
 * after that the pointer is dead. Many calls of one connection run at a time
 * and are answered in any order.
 *
 * A caller can leave (its connection ends) or lose patience (timeout_nano,
 * answered with DEADLINE_EXCEEDED). A method that wants to know says so with
 * ttrpc_call_watch(): gone() is called once and the call is dead. Otherwise
 * the call stays until the method answers, into nothing.
 *
 * Peers of another user are turned away, whatever the socket's mode. Bounded:
 * connections, calls of one connection, bytes of a frame, of what is decoded
 * from it, and of what is queued for a peer that does not read.
 * Behaviour in detail: shared specification migration.md 10.2.
 */
#ifndef FERRY_TOOLS_TTRPC_SERVER_H
#define FERRY_TOOLS_TTRPC_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

#include "bridge/io/loop.h"
#include "config/err.h"
#include "tools/ttrpc/wire.h"

/* Connections at a time; more wait in the backlog. */
#define TTRPC_CONNECTIONS_MAX 256u
/* Calls of one connection that are not answered yet. */
#define TTRPC_CALLS_MAX 4096u
/* Longest timeout that is kept, a week. */
#define TTRPC_TIMEOUT_MAX_MS ((int64_t)7 * 24 * 3600 * 1000)

struct ttrpc_call;
struct ttrpc_server;

/**
 * ttrpc_method_fn - serve one call
 * @ctx:	of the service
 * @call:	the method's until it is answered
 * @request:	decoded, valid until the method returns; texts are unchecked
 */
typedef void ttrpc_method_fn(void *ctx, struct ttrpc_call *call,
			     const ProtobufCMessage *request);

struct ttrpc_method {
	const char *name;
	const ProtobufCMessageDescriptor *request;
	ttrpc_method_fn *fn;
};

/**
 * struct ttrpc_service - a name and its methods; constant
 * @alias:	a second name that means the same, or NULL
 */
struct ttrpc_service {
	const char *name;
	const char *alias;
	const struct ttrpc_method *method;
	size_t n_methods;
};

/**
 * ttrpc_server_new() - serve a listening socket
 * @loop:	event loop, borrowed for the life of the server
 * @listen_fd:	non-blocking unix stream socket, taken on success
 * @ret:	receives the server
 *
 * Return: 0 or -errno
 */
int ttrpc_server_new(struct loop *loop, int listen_fd,
		     struct ttrpc_server **ret, struct err *e);

/** ttrpc_server_add() - serve @s too; return: 0 or -ENOSPC */
int ttrpc_server_add(struct ttrpc_server *s,
		     const struct ttrpc_service *service, void *ctx,
		     struct err *e);

/** ttrpc_server_connections() - how many are open */
size_t ttrpc_server_connections(const struct ttrpc_server *s);

/** ttrpc_server_idle() - have all answers left, and are no calls open? */
bool ttrpc_server_idle(const struct ttrpc_server *s);

/**
 * ttrpc_server_free() - close everything; gone() of watched calls is called,
 * other calls must have been answered. Not from within a method.
 */
void ttrpc_server_free(struct ttrpc_server *s);

/** ttrpc_reply() - success; a NULL message is an empty one */
void ttrpc_reply(struct ttrpc_call *call, const ProtobufCMessage *m);

/** ttrpc_fail() - an error, in words */
void ttrpc_fail(struct ttrpc_call *call, enum ttrpc_code code, const char *fmt,
		...) __attribute__((format(printf, 3, 4)));

/** ttrpc_fail_err() - the code for @e's errno, and its text */
void ttrpc_fail_err(struct ttrpc_call *call, const struct err *e);

/** ttrpc_call_watch() - hear when nobody waits for the answer any more */
void ttrpc_call_watch(struct ttrpc_call *call, void (*gone)(void *ctx),
		      void *ctx);

/**
 * ttrpc_stream_send() - one message of a server's stream
 *
 * Return: 0, -ENOBUFS (too much is queued: the message is lost), -ENOTCONN,
 *         -E2BIG, -ENOMEM
 */
int ttrpc_stream_send(struct ttrpc_call *call, const ProtobufCMessage *m);

/** ttrpc_stream_lags() - the peer has half of what may be queued still to read:
 * what it can do without is better not sent */
bool ttrpc_stream_lags(const struct ttrpc_call *call);

/** ttrpc_stream_end() - end it without an error; the call is dead */
void ttrpc_stream_end(struct ttrpc_call *call);

#endif
