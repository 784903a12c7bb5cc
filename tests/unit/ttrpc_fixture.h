/*
 * tests/unit/ttrpc_fixture.h - a server with a few methods, and one connection to
 * it that a test drives
 */
#ifndef FERRY_TESTS_UNIT_TTRPC_FIXTURE_H
#define FERRY_TESTS_UNIT_TTRPC_FIXTURE_H

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "build/proto/task.pb-c.h"
#include "config/util.h"
#include "tools/qemu/listener.h"
#include "tools/ttrpc/client.h"
#include "tools/ttrpc/codec.h"
#include "tools/ttrpc/reader.h"
#include "tools/ttrpc/server.h"

#define LIMIT_MS 10000
#define HELD_MAX 8

/* A server with a few methods, and one connection that a test drives. */
struct fixture {
	struct loop *loop;
	struct ttrpc_server *server;
	char dir[32];
	char path[64];
	int fd;
	struct ttrpc_reader in;
	struct ttrpc_call *held[HELD_MAX];
	size_t n_held;
	int gone;
};

/* --- methods ------------------------------------------------------------------ */

UNUSED static void echo(void *ctx UNUSED, struct ttrpc_call *call,
			const ProtobufCMessage *m)
{
	const TaskProcessRequest *q = (const void *)m;
	TaskStateResponse a = TASK_STATE_RESPONSE__INIT;

	a.id = q->id;
	a.exec_id = q->exec_id;
	ttrpc_reply(call, &a.base);
}

UNUSED static void nothing(void *ctx UNUSED, struct ttrpc_call *call,
			   const ProtobufCMessage *m UNUSED)
{
	ttrpc_reply(call, NULL);
}

UNUSED static void refuse(void *ctx UNUSED, struct ttrpc_call *call,
			  const ProtobufCMessage *m UNUSED)
{
	ttrpc_fail(call, TTRPC_NOT_FOUND, "no %s", "such thing");
}

UNUSED static void hold(void *ctx, struct ttrpc_call *call,
			const ProtobufCMessage *m UNUSED)
{
	struct fixture *f = ctx;

	assert_true(f->n_held < HELD_MAX);
	f->held[f->n_held++] = call;
}

UNUSED static void on_gone(void *ctx)
{
	((struct fixture *)ctx)->gone++;
}

UNUSED static void watch(void *ctx, struct ttrpc_call *call,
			 const ProtobufCMessage *m UNUSED)
{
	ttrpc_call_watch(call, on_gone, ctx);
}

UNUSED static void three(void *ctx UNUSED, struct ttrpc_call *call,
			 const ProtobufCMessage *m UNUSED)
{
	TaskCreateResponse a = TASK_CREATE_RESPONSE__INIT;

	for (a.pid = 1; a.pid <= 3; a.pid++)
		assert_int_equal(ttrpc_stream_send(call, &a.base), 0);
	ttrpc_stream_end(call);
}

UNUSED static const struct ttrpc_method methods[] = {
	{ "Echo", &task_process_request__descriptor, echo },
	{ "Nothing", &task_process_request__descriptor, nothing },
	{ "Refuse", &task_process_request__descriptor, refuse },
	{ "Hold", &task_process_request__descriptor, hold },
	{ "Watch", &task_process_request__descriptor, watch },
	{ "Three", &task_process_request__descriptor, three },
};

UNUSED static const struct ttrpc_service service = {
	.name = "test.v2",
	.alias = "test.v3",
	.method = methods,
	.n_methods = ARRAY_LEN(methods),
};

UNUSED static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e;
	int fd = -1;

	assert_non_null(f);
	memcpy(f->dir, "/tmp/ferry-ttrpc-XXXXXX", 24);
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->path, sizeof(f->path), "%s/s", f->dir);
	assert_int_equal(loop_new(&f->loop, &e), 0);
	assert_int_equal(listener_open(f->path, &fd, &e), 0);
	assert_int_equal(ttrpc_server_new(f->loop, fd, &f->server, &e), 0);
	assert_int_equal(ttrpc_server_add(f->server, &service, f, &e), 0);
	assert_int_equal(ttrpc_dial(f->path, &f->fd, &e), 0);
	*state = f;
	return 0;
}

UNUSED static int tear_down(void **state)
{
	struct fixture *f = *state;

	fd_close(&f->fd);
	ttrpc_reader_done(&f->in);
	ttrpc_server_free(f->server);
	loop_free(f->loop);
	(void)unlink(f->path);
	(void)rmdir(f->dir);
	free(f);
	return 0;
}

/* --- the test's side of the connection ------------------------------------------ */

UNUSED static void turns(struct fixture *f, int n)
{
	struct err e;

	for (int i = 0; i < n; i++)
		(void)loop_turn(f->loop, 0, &e);
}

/* Sends all of it, while the server reads. */
UNUSED static void push(struct fixture *f, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	while (n > 0) {
		const ssize_t k = send(f->fd, p, n, MSG_NOSIGNAL);

		if (k < 0) {
			assert_int_equal(errno, EAGAIN);
			turns(f, 1);
			continue;
		}
		p += k;
		n -= (size_t)k;
	}
}

UNUSED static void ask_as(struct fixture *f, uint32_t stream, const char *name,
			  const char *method, int64_t timeout_ms)
{
	TaskProcessRequest m = TASK_PROCESS_REQUEST__INIT;
	const struct ttrpc_request q = {
		.service = name,
		.method = method,
		.timeout_ms = timeout_ms,
	};
	char id[] = "a";
	cleanup_free uint8_t *bytes = NULL;
	size_t len = 0;
	struct err e;

	m.id = id;
	bytes = ttrpc_request_frame(stream, &q, &m.base, &len, &e);
	assert_non_null(bytes);
	push(f, bytes, len);
}

UNUSED static void ask(struct fixture *f, uint32_t stream, const char *method)
{
	ask_as(f, stream, "test.v2", method, 0);
}

/* The next frame from the server; its data live until the next call. */
UNUSED static struct ttrpc_frame next(struct fixture *f)
{
	struct ttrpc_frame got;
	uint8_t buf[4096];
	struct err e;
	ssize_t n;

	for (int i = 0; i < LIMIT_MS; i++) {
		if (ttrpc_reader_next(&f->in, &got))
			return got;
		(void)loop_turn(f->loop, 1, &e);
		n = recv(f->fd, buf, sizeof(buf), 0);
		if (n > 0)
			assert_int_equal(
				ttrpc_reader_add(&f->in, buf, (size_t)n, &e),
				0);
		else
			assert_true(n < 0 && errno == EAGAIN);
	}
	fail_msg("no frame came");
	return got;
}

/* The next answer is for @stream and has @code. */
UNUSED static void expect(struct fixture *f, uint32_t stream,
			  enum ttrpc_code code)
{
	const struct ttrpc_frame got = next(f);
	struct ttrpc_response a;
	struct arena arena;
	struct err e;

	assert_int_equal(got.header.type, TTRPC_RESPONSE);
	assert_int_equal(got.header.stream, stream);
	assert_int_equal(got.header.flags, 0);
	arena_init(&arena, TTRPC_DECODE_MAX);
	assert_int_equal(
		ttrpc_response_get(got.data, got.header.len, &arena, &a, &e),
		0);
	assert_int_equal(a.code, code);
	arena_done(&arena);
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
