#include "tools/ttrpc/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "bridge/io/fd.h"
#include "tools/ttrpc/codec.h"
#include "tools/ttrpc/link.h"

struct pending {
	struct ttrpc_client *client;
	struct pending *next;
	uint32_t stream;
	const ProtobufCMessageDescriptor *response;
	ttrpc_answer_fn *done;
	void *ctx;
	struct loop_id timer;
};

struct ttrpc_client {
	struct loop *loop;
	struct ttrpc_link link;
	struct pending *calls;
	uint32_t next_stream;
	void (*lost)(void *ctx, const struct err *why);
	void *ctx;
};

int ttrpc_dial(const char *path, int *ret_fd, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	cleanup_fd fd = -1;

	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(e, ENAMETOOLONG, "%s is too long for a socket",
			       path);
	memcpy(a.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(e, "unix socket");
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		return err_sys(e, "connect to %s", path);
	*ret_fd = fd_take(&fd);
	return 0;
}

/* Takes a call off the list; NULL: there is none. */
static struct pending *take(struct ttrpc_client *c, uint32_t stream)
{
	for (struct pending **at = &c->calls; *at; at = &(*at)->next) {
		struct pending *p = *at;

		if (p->stream != stream)
			continue;
		*at = p->next;
		loop_cancel(c->loop, &p->timer);
		return p;
	}
	return NULL;
}

static void finish(struct pending *p, enum ttrpc_code code, const char *text,
		   const ProtobufCMessage *m)
{
	if (p->done)
		p->done(p->ctx, code, text, m);
	free(p);
}

static void on_timeout(void *ctx)
{
	struct pending *p = take(((struct pending *)ctx)->client,
				 ((struct pending *)ctx)->stream);

	if (p)
		finish(p, TTRPC_DEADLINE_EXCEEDED, "no answer in time", NULL);
}

static void answer(struct pending *p, const struct ttrpc_frame *f)
{
	struct ttrpc_response a;
	struct arena arena;
	const ProtobufCMessage *m = NULL;
	struct err e;

	arena_init(&arena, TTRPC_DECODE_MAX);
	if (f->too_long)
		finish(p, TTRPC_RESOURCE_EXHAUSTED, "the answer is too long",
		       NULL);
	else if (ttrpc_response_get(f->data, f->header.len, &arena, &a, &e) < 0)
		finish(p, TTRPC_INTERNAL, e.text, NULL);
	else if (a.code != TTRPC_OK)
		finish(p, a.code, a.text, NULL);
	else if (p->response &&
		 !(m = ttrpc_unpack(p->response, a.payload, a.len, &arena)))
		finish(p, TTRPC_INTERNAL, "the answer cannot be decoded", NULL);
	else
		finish(p, TTRPC_OK, "", m);
	arena_done(&arena);
}

static void on_frame(void *ctx, const struct ttrpc_frame *f)
{
	struct pending *p;

	if (f->header.type != TTRPC_RESPONSE)
		return; /* streams are nothing that this client asks for */
	p = take(ctx, f->header.stream);
	if (p)
		answer(p, f);
}

static void on_closed(void *ctx, const struct err *why)
{
	struct ttrpc_client *c = ctx;

	while (c->calls)
		finish(take(c, c->calls->stream), TTRPC_UNAVAILABLE, why->text,
		       NULL);
	if (c->lost)
		c->lost(c->ctx, why);
}

int ttrpc_client_new(struct loop *loop, int fd,
		     void (*lost)(void *ctx, const struct err *why), void *ctx,
		     struct ttrpc_client **ret, struct err *e)
{
	struct ttrpc_client *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_set(e, ENOMEM, "no memory for a ttrpc client");
	c->loop = loop;
	c->lost = lost;
	c->ctx = ctx;
	c->next_stream = 1;
	r = ttrpc_link_start(&c->link, loop, fd, on_frame, on_closed, c, e);
	if (r < 0) {
		free(c);
		return r;
	}
	*ret = c;
	return 0;
}

static int send_call(struct ttrpc_client *c, struct pending *p,
		     const struct ttrpc_ask *ask, struct err *e)
{
	const struct ttrpc_request q = {
		.service = ask->service,
		.method = ask->method,
		.timeout_ms = ask->timeout_ms,
	};
	size_t len = 0;
	uint8_t *bytes;
	int r = 0;

	if (c->link.fd < 0)
		return err_set(e, ENOTCONN, "the ttrpc connection has ended");
	bytes = ttrpc_request_frame(p->stream, &q, ask->request, &len, e);
	if (!bytes)
		return e->code == E2BIG ? -E2BIG : -ENOMEM;
	if (ask->timeout_ms > 0)
		r = loop_at(c->loop, loop_now_ms(c->loop) + ask->timeout_ms,
			    on_timeout, p, &p->timer, e);
	if (r < 0) {
		free(bytes);
		return r;
	}
	p->next = c->calls;
	c->calls = p;
	/* A socket that died ends the call like all others, from the loop. */
	(void)ttrpc_link_send(&c->link, bytes, len);
	return 0;
}

int ttrpc_client_call(struct ttrpc_client *c, const struct ttrpc_ask *ask,
		      struct err *e)
{
	struct pending *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_set(e, ENOMEM, "no memory for a call");
	*p = (struct pending){
		.client = c,
		.stream = c->next_stream,
		.response = ask->response,
		.done = ask->done,
		.ctx = ask->ctx,
	};
	r = send_call(c, p, ask, e);
	if (r < 0) {
		free(p);
		return r;
	}
	c->next_stream += 2;
	return 0;
}

void ttrpc_client_free(struct ttrpc_client *c)
{
	if (!c)
		return;
	ttrpc_link_close(&c->link);
	while (c->calls)
		free(take(c, c->calls->stream));
	free(c);
}
