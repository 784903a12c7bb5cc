/* tests/unit/test_ttrpc.c - the server of ttrpc */
#include "tests/unit/ttrpc_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bridge/io/fd.h"
#include "build/proto/task.pb-c.h"
#include "build/proto/ttrpc.pb-c.h"
#include "config/util.h"
#include "tools/ttrpc/codec.h"
#include "tools/ttrpc/link.h"
#include "tools/ttrpc/server.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
