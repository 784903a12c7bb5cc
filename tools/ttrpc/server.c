/*
 * Theory of operation. A connection is freed outside of its own callbacks: it
 * is moved to the list of the dead when its link has closed, and released from
 * a timer. Its calls are either told (gone) and freed at that moment, or lose
 * their pointer to it and live until they are answered.
 */
#include "tools/ttrpc/server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "config/util.h"
#include "tools/ttrpc/codec.h"
#include "tools/ttrpc/link.h"

#define SERVICES_MAX 8u
/* Bytes of a peer's name that are shown. */
#define SHOWN_MAX 80

struct connection {
	struct ttrpc_server *server;
	struct connection *next;
	struct ttrpc_link link;
	struct ttrpc_call *calls;
	size_t n_calls;
	uint32_t last_stream;
};

struct ttrpc_call {
	struct connection *connection; /* NULL: nobody waits any more */
	struct ttrpc_call *next;
	struct ttrpc_call *prev;
	struct loop *loop;
	struct loop_id timer;
	uint32_t stream;
	void (*gone)(void *ctx);
	void *ctx;
};

struct ttrpc_server {
	struct loop *loop;
	int fd;
	struct loop_id watch;
	struct {
		const struct ttrpc_service *service;
		void *ctx;
	} service[SERVICES_MAX];
	size_t n_services;
	struct connection *live;
	struct connection *dead;
	size_t n_live;
	struct loop_id reaper;
};

/* --- calls ------------------------------------------------------------------ */

static void call_unlink(struct ttrpc_call *call)
{
	struct connection *c = call->connection;

	loop_cancel(call->loop, &call->timer);
	if (!c)
		return;
	if (call->next)
		call->next->prev = call->prev;
	if (call->prev)
		call->prev->next = call->next;
	else
		c->calls = call->next;
	c->n_calls--;
	call->connection = NULL;
}

/* The first call of a connection, which forgets it; NULL: there is none. */
static struct ttrpc_call *call_pop(struct connection *c)
{
	struct ttrpc_call *call = c->calls;

	if (!call)
		return NULL;
	c->calls = call->next;
	if (call->next)
		call->next->prev = NULL;
	c->n_calls--;
	call->connection = NULL;
	return call;
}

static void call_free(struct ttrpc_call *call)
{
	call_unlink(call);
	free(call);
}

/* Nobody waits for it any more. */
static void call_abandon(struct ttrpc_call *call)
{
	void (*gone)(void *ctx) = call->gone;
	void *ctx = call->ctx;

	call_unlink(call);
	if (!gone)
		return;
	free(call);
	gone(ctx);
}

static void send_status(struct connection *c, uint32_t stream,
			enum ttrpc_code code, const char *text)
{
	struct err e;
	size_t len = 0;
	uint8_t *bytes =
		ttrpc_response_frame(stream, code, text, NULL, &len, &e);

	/* Without memory the caller's own timeout has to do. */
	(void)ttrpc_link_send(&c->link, bytes, len);
}

static void on_deadline(void *ctx)
{
	struct ttrpc_call *call = ctx;

	send_status(call->connection, call->stream, TTRPC_DEADLINE_EXCEEDED,
		    "context deadline exceeded");
	call_abandon(call);
}

static struct ttrpc_call *call_new(struct connection *c, uint32_t stream,
				   int64_t timeout_ms)
{
	struct ttrpc_call *call = calloc(1, sizeof(*call));
	struct loop *loop = c->server->loop;

	if (!call)
		return NULL;
	call->loop = loop;
	call->stream = stream;
	call->connection = c;
	call->next = c->calls;
	if (call->next)
		call->next->prev = call;
	c->calls = call;
	c->n_calls++;
	if (timeout_ms > TTRPC_TIMEOUT_MAX_MS)
		timeout_ms = TTRPC_TIMEOUT_MAX_MS;
	if (timeout_ms > 0 &&
	    loop_at(loop, loop_now_ms(loop) + timeout_ms, on_deadline, call,
		    &call->timer, NULL) < 0) {
		call_free(call);
		return NULL;
	}
	return call;
}

void ttrpc_reply(struct ttrpc_call *call, const ProtobufCMessage *m)
{
	struct connection *c = call->connection;
	struct err e;
	size_t len = 0;
	uint8_t *bytes;

	if (c) {
		bytes = ttrpc_response_frame(call->stream, TTRPC_OK, "", m,
					     &len, &e);
		if (bytes)
			(void)ttrpc_link_send(&c->link, bytes, len);
		else
			send_status(c, call->stream, TTRPC_RESOURCE_EXHAUSTED,
				    e.text);
	}
	call_free(call);
}

void ttrpc_fail(struct ttrpc_call *call, enum ttrpc_code code, const char *fmt,
		...)
{
	char text[TTRPC_STATUS_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (call->connection)
		send_status(call->connection, call->stream, code, text);
	call_free(call);
}

void ttrpc_fail_err(struct ttrpc_call *call, const struct err *e)
{
	ttrpc_fail(call, ttrpc_code_of(e->code), "%s", e->text);
}

void ttrpc_call_watch(struct ttrpc_call *call, void (*gone)(void *ctx),
		      void *ctx)
{
	call->gone = gone;
	call->ctx = ctx;
}

int ttrpc_stream_send(struct ttrpc_call *call, const ProtobufCMessage *m)
{
	struct connection *c = call->connection;
	struct err e = { 0 };
	size_t len = 0;
	uint8_t *bytes;

	if (!c)
		return -ENOTCONN;
	if (c->link.queued > TTRPC_QUEUE_MAX)
		return -ENOBUFS;
	bytes = ttrpc_data_frame(call->stream, m, &len, &e);
	return bytes ? ttrpc_link_send(&c->link, bytes, len) : -e.code;
}

bool ttrpc_stream_lags(const struct ttrpc_call *call)
{
	return call->connection &&
	       call->connection->link.queued > TTRPC_QUEUE_MAX / 2;
}

void ttrpc_stream_end(struct ttrpc_call *call)
{
	struct connection *c = call->connection;
	struct err e;
	size_t len = 0;
	uint8_t *bytes;

	if (c) {
		bytes = ttrpc_data_frame(call->stream, NULL, &len, &e);
		(void)ttrpc_link_send(&c->link, bytes, len);
	}
	call_free(call);
}

/* --- requests ---------------------------------------------------------------- */

static const struct ttrpc_method *find(const struct ttrpc_server *s,
				       const struct ttrpc_request *q,
				       void **ret_ctx)
{
	for (size_t i = 0; i < s->n_services; i++) {
		const struct ttrpc_service *service = s->service[i].service;

		if (strcmp(q->service, service->name) != 0 &&
		    (!service->alias ||
		     strcmp(q->service, service->alias) != 0))
			continue;
		for (size_t k = 0; k < service->n_methods; k++) {
			if (strcmp(q->method, service->method[k].name) != 0)
				continue;
			*ret_ctx = s->service[i].ctx;
			return &service->method[k];
		}
	}
	return NULL;
}

static void serve(struct connection *c, uint32_t stream,
		  const struct ttrpc_request *q, struct arena *arena)
{
	const struct ttrpc_method *method;
	const ProtobufCMessage *message;
	struct ttrpc_call *call;
	char text[3 * SHOWN_MAX];
	void *ctx = NULL;

	method = find(c->server, q, &ctx);
	if (!method) {
		(void)snprintf(text, sizeof(text), "no service %.*s with %.*s",
			       SHOWN_MAX, q->service, SHOWN_MAX, q->method);
		send_status(c, stream, TTRPC_UNIMPLEMENTED, text);
		return;
	}
	message = ttrpc_unpack(method->request, q->payload, q->len, arena);
	if (!message) {
		send_status(c, stream, TTRPC_INTERNAL,
			    "the request's message cannot be decoded");
		return;
	}
	call = call_new(c, stream, q->timeout_ms);
	if (call)
		method->fn(ctx, call, message);
	else
		send_status(c, stream, TTRPC_RESOURCE_EXHAUSTED, "no memory");
}

/* What is wrong with a request before its data are looked at, or NULL. */
static const char *refusal(struct connection *c, const struct ttrpc_frame *f,
			   enum ttrpc_code *code)
{
	*code = TTRPC_INVALID_ARGUMENT;
	if (f->header.stream % 2 != 1)
		return "a client's stream id is odd";
	if (f->header.stream <= c->last_stream)
		return "a stream id is used once, and they rise";
	c->last_stream = f->header.stream;
	*code = TTRPC_RESOURCE_EXHAUSTED;
	if (f->too_long)
		return "the message is longer than 4194304 bytes";
	if (c->n_calls >= TTRPC_CALLS_MAX)
		return "too many calls are in progress";
	return NULL;
}

static void on_frame(void *ctx, const struct ttrpc_frame *f)
{
	struct connection *c = ctx;
	struct ttrpc_request q;
	struct arena arena;
	enum ttrpc_code code;
	const char *why;
	struct err e;

	if (f->header.type != TTRPC_REQUEST)
		return; /* data of a client that none of the methods takes */
	why = refusal(c, f, &code);
	if (why) {
		send_status(c, f->header.stream, code, why);
		return;
	}
	arena_init(&arena, TTRPC_DECODE_MAX);
	if (ttrpc_request_get(f->data, f->header.len, &arena, &q, &e) < 0)
		send_status(c, f->header.stream, TTRPC_INVALID_ARGUMENT,
			    e.text);
	else
		serve(c, f->header.stream, &q, &arena);
	arena_done(&arena);
}

/* --- connections -------------------------------------------------------------- */

static void watch_listener(struct ttrpc_server *s)
{
	loop_rewatch(s->loop, s->watch,
		     s->n_live < TTRPC_CONNECTIONS_MAX ? (uint32_t)EPOLLIN : 0);
}

static void on_reap(void *ctx)
{
	struct ttrpc_server *s = ctx;

	while (s->dead) {
		struct connection *c = s->dead;

		s->dead = c->next;
		free(c);
	}
	loop_cancel(s->loop, &s->reaper);
}

/* Its link is closed: take it off the list, end its calls. */
static void bury(struct connection *c)
{
	struct ttrpc_server *s = c->server;
	struct ttrpc_call *call;

	for (struct connection **at = &s->live; *at; at = &(*at)->next) {
		if (*at != c)
			continue;
		*at = c->next;
		s->n_live--;
		break;
	}
	c->next = s->dead;
	s->dead = c;
	/* gone() may answer other calls of it: always the first. */
	while ((call = call_pop(c)))
		call_abandon(call);
}

static void on_closed(void *ctx, const struct err *why UNUSED)
{
	struct connection *c = ctx;
	struct ttrpc_server *s = c->server;

	bury(c);
	watch_listener(s);
	/* Without memory for a timer it is released with the server. */
	(void)loop_at(s->loop, loop_now_ms(s->loop), on_reap, s, &s->reaper,
		      NULL);
}

static bool is_friend(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0);
}

static int admit(struct ttrpc_server *s, int fd, struct err *e)
{
	struct connection *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_set(e, ENOMEM, "no memory for a connection");
	c->server = s;
	r = ttrpc_link_start(&c->link, s->loop, fd, on_frame, on_closed, c, e);
	if (r < 0) {
		free(c);
		return r;
	}
	c->next = s->live;
	s->live = c;
	s->n_live++;
	watch_listener(s);
	return 0;
}

static void on_connect(void *ctx, uint32_t events UNUSED)
{
	struct ttrpc_server *s = ctx;
	cleanup_fd fd =
		accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct err e;

	if (fd < 0)
		return; /* it has gone already, or the next turn tries again */
	if (!is_friend(fd)) {
		log_warn("a connection of another user is refused");
		return;
	}
	if (admit(s, fd, &e) < 0)
		log_warn("a connection is refused: %s", e.text);
	else
		(void)fd_take(&fd);
}

int ttrpc_server_new(struct loop *loop, int listen_fd,
		     struct ttrpc_server **ret, struct err *e)
{
	struct ttrpc_server *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(e, ENOMEM, "no memory for a server");
	s->loop = loop;
	r = loop_watch(loop, listen_fd, EPOLLIN, on_connect, s, &s->watch, e);
	if (r < 0) {
		free(s);
		return r;
	}
	s->fd = listen_fd;
	*ret = s;
	return 0;
}

int ttrpc_server_add(struct ttrpc_server *s,
		     const struct ttrpc_service *service, void *ctx,
		     struct err *e)
{
	if (s->n_services == SERVICES_MAX)
		return err_set(e, ENOSPC, "no room for service %s",
			       service->name);
	s->service[s->n_services].service = service;
	s->service[s->n_services++].ctx = ctx;
	return 0;
}

size_t ttrpc_server_connections(const struct ttrpc_server *s)
{
	return s->n_live;
}

bool ttrpc_server_idle(const struct ttrpc_server *s)
{
	for (const struct connection *c = s->live; c; c = c->next)
		if (c->link.queued > 0 || c->n_calls > 0)
			return false;
	return true;
}

void ttrpc_server_free(struct ttrpc_server *s)
{
	if (!s)
		return;
	loop_unwatch(s->loop, &s->watch);
	fd_close(&s->fd);
	while (s->live) {
		struct connection *c = s->live;

		ttrpc_link_close(&c->link);
		bury(c);
	}
	on_reap(s);
	free(s);
}
