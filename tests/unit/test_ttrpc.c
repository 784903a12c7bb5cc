/* tests/unit/test_ttrpc.c - ttrpc frames, server and client */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "build/proto/task.pb-c.h"
#include "build/proto/ttrpc.pb-c.h"
#include "config/util.h"
#include "tools/qemu/listener.h"
#include "tools/ttrpc/client.h"
#include "tools/ttrpc/codec.h"
#include "tools/ttrpc/link.h"
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

static void echo(void *ctx UNUSED, struct ttrpc_call *call,
		 const ProtobufCMessage *m)
{
	const TaskProcessRequest *q = (const void *)m;
	TaskStateResponse a = TASK_STATE_RESPONSE__INIT;

	a.id = q->id;
	a.exec_id = q->exec_id;
	ttrpc_reply(call, &a.base);
}

static void nothing(void *ctx UNUSED, struct ttrpc_call *call,
		    const ProtobufCMessage *m UNUSED)
{
	ttrpc_reply(call, NULL);
}

static void refuse(void *ctx UNUSED, struct ttrpc_call *call,
		   const ProtobufCMessage *m UNUSED)
{
	ttrpc_fail(call, TTRPC_NOT_FOUND, "no %s", "such thing");
}

static void hold(void *ctx, struct ttrpc_call *call,
		 const ProtobufCMessage *m UNUSED)
{
	struct fixture *f = ctx;

	assert_true(f->n_held < HELD_MAX);
	f->held[f->n_held++] = call;
}

static void on_gone(void *ctx)
{
	((struct fixture *)ctx)->gone++;
}

static void watch(void *ctx, struct ttrpc_call *call,
		  const ProtobufCMessage *m UNUSED)
{
	ttrpc_call_watch(call, on_gone, ctx);
}

static void three(void *ctx UNUSED, struct ttrpc_call *call,
		  const ProtobufCMessage *m UNUSED)
{
	TaskCreateResponse a = TASK_CREATE_RESPONSE__INIT;

	for (a.pid = 1; a.pid <= 3; a.pid++)
		assert_int_equal(ttrpc_stream_send(call, &a.base), 0);
	ttrpc_stream_end(call);
}

static const struct ttrpc_method methods[] = {
	{ "Echo", &task_process_request__descriptor, echo },
	{ "Nothing", &task_process_request__descriptor, nothing },
	{ "Refuse", &task_process_request__descriptor, refuse },
	{ "Hold", &task_process_request__descriptor, hold },
	{ "Watch", &task_process_request__descriptor, watch },
	{ "Three", &task_process_request__descriptor, three },
};

static const struct ttrpc_service service = {
	.name = "test.v2",
	.alias = "test.v3",
	.method = methods,
	.n_methods = ARRAY_LEN(methods),
};

static int set_up(void **state)
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

static int tear_down(void **state)
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

static void turns(struct fixture *f, int n)
{
	struct err e;

	for (int i = 0; i < n; i++)
		(void)loop_turn(f->loop, 0, &e);
}

/* Sends all of it, while the server reads. */
static void push(struct fixture *f, const void *bytes, size_t n)
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

static void ask_as(struct fixture *f, uint32_t stream, const char *name,
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

static void ask(struct fixture *f, uint32_t stream, const char *method)
{
	ask_as(f, stream, "test.v2", method, 0);
}

/* The next frame from the server; its data live until the next call. */
static struct ttrpc_frame next(struct fixture *f)
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
static void expect(struct fixture *f, uint32_t stream, enum ttrpc_code code)
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

/* --- frames -------------------------------------------------------------------------- */

static const uint8_t finalize[] = {
	0x00, 0x00, 0x00, 0x24, 0x00, 0x00, 0x00, 0x01, 0x01, 0x00, 0x0a, 0x09,
	0x4d, 0x69, 0x67, 0x72, 0x61, 0x74, 0x69, 0x6f, 0x6e, 0x12, 0x0f, 0x46,
	0x69, 0x6e, 0x61, 0x6c, 0x69, 0x7a, 0x65, 0x53, 0x61, 0x6e, 0x64, 0x62,
	0x6f, 0x78, 0x1a, 0x06, 0x0a, 0x02, 0x73, 0x31, 0x10, 0x02,
};

/* Shared specification migration.md 7.3, the complete frame. */
static void test_known_frame(void **state UNUSED)
{
	const uint8_t payload[] = { 0x0a, 0x02, 0x73, 0x31, 0x10, 0x02 };
	struct ttrpc_reader r = { 0 };
	struct ttrpc_frame f;
	struct ttrpc_request q;
	struct arena arena;
	struct err e;

	arena_init(&arena, TTRPC_DECODE_MAX);
	for (size_t i = 0; i < sizeof(finalize); i++) {
		assert_false(ttrpc_reader_next(&r, &f));
		assert_int_equal(ttrpc_reader_add(&r, &finalize[i], 1, &e), 0);
	}
	assert_true(ttrpc_reader_next(&r, &f));
	assert_int_equal(f.header.stream, 1);
	assert_int_equal(f.header.type, TTRPC_REQUEST);
	assert_int_equal(
		ttrpc_request_get(f.data, f.header.len, &arena, &q, &e), 0);
	assert_string_equal(q.service, "Migration");
	assert_string_equal(q.method, "FinalizeSandbox");
	assert_int_equal(q.len, sizeof(payload));
	assert_memory_equal(q.payload, payload, sizeof(payload));
	assert_int_equal(ttrpc_reader_pending(&r), 0);
	ttrpc_reader_done(&r);
	arena_done(&arena);
}

/* The other way: what we send is those bytes. A TaskKillRequest's first field
 * is a text and its third a number; FinalizeSandbox has its number second. */
static void test_known_frame_made(void **state UNUSED)
{
	const struct ttrpc_request q = {
		.service = "Migration",
		.method = "FinalizeSandbox",
	};
	TtrpcStatus m = TTRPC_STATUS__INIT;
	cleanup_free uint8_t *bytes = NULL;
	const uint8_t tail[] = { 0x08, 0x02, 0x12, 0x02, 's', '1' };
	uint8_t want[sizeof(finalize)];
	size_t len = 0;
	struct err e;

	/* A message of the same length: 08 02 12 02 73 31. */
	m.code = 2;
	m.message = (char[]){ "s1" };
	bytes = ttrpc_request_frame(1, &q, &m.base, &len, &e);
	assert_int_equal(len, sizeof(want));
	memcpy(want, finalize, sizeof(want));
	memcpy(want + sizeof(want) - sizeof(tail), tail, sizeof(tail));
	assert_memory_equal(bytes, want, sizeof(want));
}

/* Go's protobuf refuses all of a message for one string that is no UTF-8. */
static void test_a_status_is_utf8_whatever_it_tells_of(void **state UNUSED)
{
	char text[TTRPC_STATUS_TEXT_MAX + 8] = "caf\xe9, caf\xc3\xa9: \xf0\x9f";
	struct ttrpc_response a;
	struct arena arena;
	struct err e;

	arena_init(&arena, TTRPC_DECODE_MAX);
	for (int i = 0; i < 2; i++) {
		size_t len = 0;
		cleanup_free uint8_t *bytes = ttrpc_response_frame(
			1, TTRPC_NOT_FOUND, text, NULL, &len, &e);

		assert_non_null(bytes);
		assert_int_equal(ttrpc_response_get(bytes + TTRPC_HEADER_SIZE,
						    len - TTRPC_HEADER_SIZE,
						    &arena, &a, &e),
				 0);
		assert_int_equal(a.code, TTRPC_NOT_FOUND);
		if (i == 0)
			assert_string_equal(a.text, "caf?, caf\xc3\xa9: ??");
		else
			assert_int_equal(strlen(a.text),
					 TTRPC_STATUS_TEXT_MAX - 2);
		/* The second time it is cut, not within a letter. */
		memset(text, 'x', sizeof(text) - 1);
		text[TTRPC_STATUS_TEXT_MAX - 2] = '\xc3';
		text[TTRPC_STATUS_TEXT_MAX - 1] = '\xa9';
	}
	arena_done(&arena);
}

/* An overlong frame is told at once and skipped in whatever pieces it comes. */
static void test_overlong_frame_is_skipped(void **state UNUSED)
{
	const struct ttrpc_header h = { .len = TTRPC_DATA_MAX + 1,
					.stream = 7,
					.type = TTRPC_REQUEST };
	uint8_t head[TTRPC_HEADER_SIZE];
	struct ttrpc_reader r = { 0 };
	uint8_t junk[65536] = { 1 };
	struct ttrpc_frame f;
	struct err e;
	size_t left = h.len;

	ttrpc_header_put(head, &h);
	assert_int_equal(ttrpc_reader_add(&r, head, sizeof(head), &e), 0);
	assert_true(ttrpc_reader_next(&r, &f));
	assert_true(f.too_long);
	assert_int_equal(f.header.stream, 7);
	while (left > 0) {
		const size_t n = left < sizeof(junk) ? left : sizeof(junk);

		assert_int_equal(ttrpc_reader_add(&r, junk, n, &e), 0);
		assert_false(ttrpc_reader_next(&r, &f));
		assert_int_equal(ttrpc_reader_pending(&r), 0);
		left -= n;
	}
	assert_int_equal(ttrpc_reader_add(&r, finalize, sizeof(finalize), &e),
			 0);
	assert_true(ttrpc_reader_next(&r, &f));
	assert_false(f.too_long);
	ttrpc_reader_done(&r);
}

/* --- the server ------------------------------------------------------------------------ */

static void test_answers(void **state)
{
	struct fixture *f = *state;

	ask(f, 1, "Echo");
	expect(f, 1, TTRPC_OK);
	ask_as(f, 3, "test.v3", "Echo", 0);
	expect(f, 3, TTRPC_OK);
	ask(f, 5, "Refuse");
	expect(f, 5, TTRPC_NOT_FOUND);
}

/* Measured: success with an empty message is a response of no bytes at all. */
static void test_empty_answer_has_no_bytes(void **state)
{
	struct fixture *f = *state;
	struct ttrpc_frame got;

	ask(f, 1, "Nothing");
	got = next(f);
	assert_int_equal(got.header.type, TTRPC_RESPONSE);
	assert_int_equal(got.header.len, 0);
}

static void test_unknown_names_are_12(void **state)
{
	struct fixture *f = *state;

	ask(f, 1, "Nonsense");
	expect(f, 1, TTRPC_UNIMPLEMENTED);
	ask_as(f, 3, "test.v4", "Echo", 0);
	expect(f, 3, TTRPC_UNIMPLEMENTED);
}

static void test_even_stream_is_3(void **state)
{
	struct fixture *f = *state;

	ask(f, 2, "Echo");
	expect(f, 2, TTRPC_INVALID_ARGUMENT);
	ask(f, 1, "Echo");
	expect(f, 1, TTRPC_OK);
}

static void test_stream_used_twice_is_3(void **state)
{
	struct fixture *f = *state;

	ask(f, 5, "Echo");
	expect(f, 5, TTRPC_OK);
	ask(f, 5, "Echo");
	expect(f, 5, TTRPC_INVALID_ARGUMENT);
	ask(f, 3, "Echo");
	expect(f, 3, TTRPC_INVALID_ARGUMENT);
}

static void test_request_of_garbage_is_3(void **state)
{
	struct fixture *f = *state;
	const uint8_t bytes[] = { 0, 0, 0, 3, 0, 0, 0, 1, 1, 0, 0xff, 0xff, 1 };

	push(f, bytes, sizeof(bytes));
	expect(f, 1, TTRPC_INVALID_ARGUMENT);
}

static void test_payload_of_garbage_is_13(void **state)
{
	struct fixture *f = *state;
	TtrpcRequest q = TTRPC_REQUEST__INIT;
	uint8_t bytes[64] = { 0 };
	uint8_t garbage[] = { 0x0a, 0x7f };
	size_t len;

	q.service = (char[]){ "test.v2" };
	q.method = (char[]){ "Echo" };
	q.payload.data = garbage;
	q.payload.len = sizeof(garbage);
	len = ttrpc_request__pack(&q, bytes + TTRPC_HEADER_SIZE);
	ttrpc_header_put(bytes, &(struct ttrpc_header){ .len = (uint32_t)len,
							.stream = 1,
							.type = 1 });
	push(f, bytes, TTRPC_HEADER_SIZE + len);
	expect(f, 1, TTRPC_INTERNAL);
}

static void test_frame_over_the_limit_is_8(void **state)
{
	struct fixture *f = *state;
	const struct ttrpc_header h = { .len = TTRPC_DATA_MAX + 1,
					.stream = 1,
					.type = TTRPC_REQUEST };
	uint8_t head[TTRPC_HEADER_SIZE];
	cleanup_free uint8_t *junk = calloc(1, h.len);

	assert_non_null(junk);
	ttrpc_header_put(head, &h);
	push(f, head, sizeof(head));
	push(f, junk, h.len);
	expect(f, 1, TTRPC_RESOURCE_EXHAUSTED);
	ask(f, 3, "Echo");
	expect(f, 3, TTRPC_OK);
}

/* A frame full of empty submessages costs no more than the arena's limit. */
static void test_message_bomb_is_refused(void **state)
{
	struct fixture *f = *state;
	const struct ttrpc_header h = { .len = TTRPC_DATA_MAX,
					.stream = 1,
					.type = TTRPC_REQUEST };
	uint8_t head[TTRPC_HEADER_SIZE];
	cleanup_free uint8_t *bomb = calloc(1, h.len);

	assert_non_null(bomb);
	for (size_t i = 0; i < h.len; i += 2)
		bomb[i] = 0x2a; /* field 5, metadata, of length 0 */
	ttrpc_header_put(head, &h);
	push(f, head, sizeof(head));
	push(f, bomb, h.len);
	expect(f, 1, TTRPC_INVALID_ARGUMENT);
	ask(f, 3, "Echo");
	expect(f, 3, TTRPC_OK);
}

static void test_data_frames_are_ignored(void **state)
{
	struct fixture *f = *state;
	const uint8_t bytes[] = { 0, 0, 0, 1, 0, 0, 0, 9, 3, 0, 1 };

	push(f, bytes, sizeof(bytes));
	ask(f, 1, "Echo");
	expect(f, 1, TTRPC_OK);
}

static void test_answers_in_any_order(void **state)
{
	struct fixture *f = *state;

	for (uint32_t i = 0; i < 3; i++)
		ask(f, 2 * i + 1, "Hold");
	ask(f, 7, "Echo");
	expect(f, 7, TTRPC_OK);
	assert_int_equal(f->n_held, 3);
	ttrpc_reply(f->held[2], NULL);
	expect(f, 5, TTRPC_OK);
	ttrpc_fail(f->held[0], TTRPC_ABORTED, "no");
	expect(f, 1, TTRPC_ABORTED);
	ttrpc_reply(f->held[1], NULL);
	expect(f, 3, TTRPC_OK);
	assert_true(ttrpc_server_idle(f->server));
}

static void test_timeout_is_4(void **state)
{
	struct fixture *f = *state;

	ask_as(f, 1, "test.v2", "Hold", 20);
	expect(f, 1, TTRPC_DEADLINE_EXCEEDED);
	ttrpc_reply(f->held[0], NULL); /* into nothing */
	ask(f, 3, "Echo");
	expect(f, 3, TTRPC_OK);
}

static void test_caller_leaves(void **state)
{
	struct fixture *f = *state;

	ask(f, 1, "Hold");
	ask(f, 3, "Watch");
	ask(f, 5, "Watch");
	ask(f, 7, "Echo");
	expect(f, 7, TTRPC_OK);
	assert_int_equal(ttrpc_server_connections(f->server), 1);
	fd_close(&f->fd);
	for (int i = 0; i < LIMIT_MS && f->gone < 2; i++)
		turns(f, 1);
	assert_int_equal(f->gone, 2);
	turns(f, 3);
	assert_int_equal(ttrpc_server_connections(f->server), 0);
	ttrpc_reply(f->held[0], NULL);
}

static void test_server_stream(void **state)
{
	struct fixture *f = *state;
	struct ttrpc_frame got;

	ask(f, 1, "Three");
	for (uint8_t i = 1; i <= 3; i++) {
		got = next(f);
		assert_int_equal(got.header.type, TTRPC_DATA);
		assert_int_equal(got.header.flags, 0);
		assert_int_equal(got.header.len, 2);
		assert_int_equal(got.data[1], i);
	}
	got = next(f);
	assert_int_equal(got.header.type, TTRPC_DATA);
	assert_int_equal(got.header.flags, TTRPC_LAST | TTRPC_NO_DATA);
	assert_int_equal(got.header.len, 0);
}

/* Who reads slowly is known before messages are lost. */
static void test_a_stream_that_lags_has_room_left(void **state)
{
	struct fixture *f = *state;
	TaskStateResponse a = TASK_STATE_RESPONSE__INIT;
	cleanup_free char *id = malloc(1 << 20);
	struct ttrpc_call *call;
	int n = 0;

	assert_non_null(id);
	memset(id, 'a', (1 << 20) - 1);
	id[(1 << 20) - 1] = '\0';
	a.id = id;
	ask(f, 1, "Hold");
	while (f->n_held == 0)
		turns(f, 1);
	call = f->held[0];
	while (!ttrpc_stream_lags(call)) {
		assert_true(n++ < 64);
		assert_int_equal(ttrpc_stream_send(call, &a.base), 0);
	}
	assert_int_equal(ttrpc_stream_send(call, &a.base), 0);
	while (ttrpc_stream_send(call, &a.base) == 0)
		assert_true(n++ < 64);
	assert_int_equal(ttrpc_stream_send(call, &a.base), -ENOBUFS);
	ttrpc_stream_end(call);
}

static void test_too_many_calls(void **state)
{
	struct fixture *f = *state;
	uint32_t stream = 1;

	for (uint32_t i = 0; i < TTRPC_CALLS_MAX; i++, stream += 2)
		ask(f, stream, "Watch");
	ask(f, stream, "Echo");
	expect(f, stream, TTRPC_RESOURCE_EXHAUSTED);
}

/* Someone who asks and never reads costs a bounded queue. */
static void test_peer_that_never_reads(void **state)
{
	struct fixture *f = *state;
	TaskProcessRequest m = TASK_PROCESS_REQUEST__INIT;
	const struct ttrpc_request q = { .service = "test.v2",
					 .method = "Echo" };
	cleanup_free char *id = malloc(1 << 20);
	size_t sent = 0;
	int stuck = 0;

	assert_non_null(id);
	memset(id, 'a', (1 << 20) - 1);
	id[(1 << 20) - 1] = '\0';
	m.id = id;
	for (uint32_t stream = 1; stuck < 50 && sent < (size_t)256 << 20;
	     stream += 2) {
		size_t len = 0;
		size_t at = 0;
		struct err e;
		cleanup_free uint8_t *bytes =
			ttrpc_request_frame(stream, &q, &m.base, &len, &e);

		for (stuck = 0; at < len && stuck < 50;) {
			const ssize_t n =
				send(f->fd, bytes + at, len - at, MSG_NOSIGNAL);

			stuck = n < 0 ? stuck + 1 : 0;
			at += n > 0 ? (size_t)n : 0;
			turns(f, 1);
		}
		sent += at;
	}
	assert_true(sent < TTRPC_QUEUE_MAX + ((size_t)16 << 20));
}

/* --- the client --------------------------------------------------------------------------- */

struct heard {
	int n;
	enum ttrpc_code code;
	char text[64];
	char id[16];
};

static void on_answer(void *ctx, enum ttrpc_code code, const char *text,
		      const ProtobufCMessage *m)
{
	struct heard *h = ctx;

	h->n++;
	h->code = code;
	(void)snprintf(h->text, sizeof(h->text), "%s", text);
	if (m)
		(void)snprintf(
			h->id, sizeof(h->id), "%s",
			((const TaskStateResponse *)(const void *)m)->id);
}

static void call(struct fixture *f, struct ttrpc_client *c, const char *method,
		 int64_t timeout_ms, struct heard *h)
{
	TaskProcessRequest m = TASK_PROCESS_REQUEST__INIT;
	const struct ttrpc_ask a = {
		.service = "test.v2",
		.method = method,
		.request = &m.base,
		.response = &task_state_response__descriptor,
		.timeout_ms = timeout_ms,
		.done = on_answer,
		.ctx = h,
	};
	struct err e;

	m.id = (char[]){ "me" };
	*h = (struct heard){ 0 };
	assert_int_equal(ttrpc_client_call(c, &a, &e), 0);
	assert_int_equal(h->n, 0);
	for (int i = 0; i < LIMIT_MS && h->n == 0; i++)
		(void)loop_turn(f->loop, 1, &e);
	assert_int_equal(h->n, 1);
}

static void test_client(void **state)
{
	struct fixture *f = *state;
	struct ttrpc_client *c = NULL;
	struct heard h;
	struct err e;

	assert_int_equal(
		ttrpc_client_new(f->loop, fd_take(&f->fd), NULL, NULL, &c, &e),
		0);
	call(f, c, "Echo", 0, &h);
	assert_int_equal(h.code, TTRPC_OK);
	assert_string_equal(h.id, "me");
	call(f, c, "Refuse", 0, &h);
	assert_int_equal(h.code, TTRPC_NOT_FOUND);
	assert_string_equal(h.text, "no such thing");
	call(f, c, "Hold", 30, &h);
	assert_int_equal(h.code, TTRPC_DEADLINE_EXCEEDED);
	ttrpc_reply(f->held[0], NULL);
	ttrpc_client_free(c);
}

static void test_client_loses_its_server(void **state)
{
	struct fixture *f = *state;
	struct ttrpc_client *c = NULL;
	struct ttrpc_ask a = {
		.service = "test.v2",
		.method = "Watch",
		.done = on_answer,
	};
	struct heard h[2] = { 0 };
	struct err e;

	assert_int_equal(
		ttrpc_client_new(f->loop, fd_take(&f->fd), NULL, NULL, &c, &e),
		0);
	for (int i = 0; i < 2; i++) {
		a.ctx = &h[i];
		assert_int_equal(ttrpc_client_call(c, &a, &e), 0);
	}
	turns(f, 3);
	ttrpc_server_free(f->server);
	f->server = NULL;
	for (int i = 0; i < LIMIT_MS && h[1].n == 0; i++)
		turns(f, 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(h[i].n, 1);
		assert_int_equal(h[i].code, TTRPC_UNAVAILABLE);
	}
	assert_int_equal(ttrpc_client_call(c, &a, &e), -ENOTCONN);
	ttrpc_client_free(c);
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_frame),
		cmocka_unit_test(test_known_frame_made),
		cmocka_unit_test(test_a_status_is_utf8_whatever_it_tells_of),
		cmocka_unit_test(test_overlong_frame_is_skipped),
		SERVED(test_answers),
		SERVED(test_empty_answer_has_no_bytes),
		SERVED(test_unknown_names_are_12),
		SERVED(test_even_stream_is_3),
		SERVED(test_stream_used_twice_is_3),
		SERVED(test_request_of_garbage_is_3),
		SERVED(test_payload_of_garbage_is_13),
		SERVED(test_frame_over_the_limit_is_8),
		SERVED(test_message_bomb_is_refused),
		SERVED(test_data_frames_are_ignored),
		SERVED(test_answers_in_any_order),
		SERVED(test_timeout_is_4),
		SERVED(test_caller_leaves),
		SERVED(test_server_stream),
		SERVED(test_a_stream_that_lags_has_room_left),
		SERVED(test_too_many_calls),
		SERVED(test_peer_that_never_reads),
		SERVED(test_client),
		SERVED(test_client_loses_its_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
