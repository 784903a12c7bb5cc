/* tests/unit/test_ttrpc_client.c - the client of ttrpc, before a server and alone */
#include "tests/unit/ttrpc_fixture.h"

#include <errno.h>
#include <stdio.h>

#include "bridge/io/fd.h"
#include "build/proto/task.pb-c.h"
#include "tools/ttrpc/client.h"
#include "tools/ttrpc/codec.h"
#include "tools/ttrpc/server.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED(test_client),
		SERVED(test_client_loses_its_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
