/* tests/unit/test_qmp.c - the QMP client against a peer that the test plays */
#include "tests/unit/qmp_peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "tools/qemu/qmp.h"

#define LONG_MS 60000

/* One client, the peer's socket, and what the client told. */
struct fixture {
	struct loop *loop;
	struct qmp *q;
	int peer;
	int ready;
	int closed;
	int closed_code;
	int events;
	char event[64];
	char reason[64];
	int64_t number;
	int answers;
	int result;
	char words[ERR_TEXT_MAX];
	char status[64];
};

static void on_ready(void *ctx)
{
	((struct fixture *)ctx)->ready++;
}

static void on_event(void *ctx, const char *name, const struct qmp_data *data)
{
	struct fixture *f = ctx;
	const char *reason = qmp_data_text(data, "info.reason");

	f->events++;
	(void)snprintf(f->event, sizeof(f->event), "%s", name);
	(void)snprintf(f->reason, sizeof(f->reason), "%s",
		       reason ? reason : "(none)");
	(void)qmp_data_int(data, "number", &f->number);
}

static void on_closed(void *ctx, const struct err *e)
{
	struct fixture *f = ctx;

	f->closed++;
	f->closed_code = e->code;
}

static void on_answer(void *ctx, int result, const struct qmp_data *data,
		      const struct err *e)
{
	struct fixture *f = ctx;
	const char *status = qmp_data_text(data, "status");

	f->answers++;
	f->result = result;
	(void)snprintf(f->words, sizeof(f->words), "%s", e ? e->text : "");
	(void)snprintf(f->status, sizeof(f->status), "%s",
		       status ? status : "");
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct qmp_handler h = {
		.ready = on_ready,
		.event = on_event,
		.closed = on_closed,
		.ctx = f,
	};

	assert_non_null(f);
	qmp_peer_open(&f->loop, &f->q, &f->peer, &h);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	qmp_free(f->q);
	loop_free(f->loop);
	fd_close(&f->peer);
	free(f);
	return 0;
}

static void say(struct fixture *f, const char *text)
{
	qmp_peer_say(f->loop, f->peer, text);
}

/* What the client wrote since the last call. */
static const char *heard(struct fixture *f)
{
	static char buf[4096];
	ssize_t n;

	qmp_peer_turn(f->loop);
	n = read(f->peer, buf, sizeof(buf) - 1);
	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

static void get_ready(struct fixture *f)
{
	say(f, GREETING);
	assert_string_equal(heard(f),
			    "{\"execute\":\"qmp_capabilities\",\"id\":1}\n");
	assert_int_equal(f->ready, 0);
	say(f, "{\"return\": {}, \"id\": 1}\r\n");
	assert_int_equal(f->ready, 1);
}

static void ask(struct fixture *f, int timeout_ms)
{
	struct err e;

	assert_int_equal(qmp_send(f->q, "query-status", NULL, timeout_ms,
				  on_answer, f, &e),
			 0);
}

static void qmp_agrees_and_asks(void **state)
{
	struct fixture *f = *state;
	struct err e;

	assert_int_equal(qmp_send(f->q, "x", NULL, 1, NULL, NULL, &e),
			 -ENOTCONN);
	get_ready(f);
	ask(f, LONG_MS);
	assert_string_equal(heard(f),
			    "{\"execute\":\"query-status\",\"id\":2}\n");
	say(f, "{\"return\": {\"status\": \"running\"}, \"id\": 2}\r\n");
	assert_int_equal(f->answers, 1);
	assert_int_equal(f->result, 0);
	assert_string_equal(f->status, "running");
}

static void qmp_event_between_command_and_answer(void **state)
{
	struct fixture *f = *state;

	get_ready(f);
	ask(f, LONG_MS);
	say(f, "{\"event\": \"STOP\", \"data\": {\"info\": {\"reason\": \"x\"},"
	       " \"number\": 18}}\r\n{\"retu");
	assert_int_equal(f->events, 1);
	assert_string_equal(f->event, "STOP");
	assert_string_equal(f->reason, "x");
	assert_int_equal(f->number, 18);
	assert_int_equal(f->answers, 0);
	say(f, "rn\": {}, \"id\": 2}\r\n");
	assert_int_equal(f->answers, 1);
}

static void qmp_event_without_data(void **state)
{
	struct fixture *f = *state;

	get_ready(f);
	say(f, "{\"event\": \"RESUME\"}\r\n");
	assert_string_equal(f->event, "RESUME");
	assert_string_equal(f->reason, "(none)");
}

static void qmp_refusal_has_the_words_of_qemu(void **state)
{
	struct fixture *f = *state;

	get_ready(f);
	ask(f, LONG_MS);
	say(f, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"},"
	       " \"id\": 2}\r\n");
	assert_int_equal(f->result, -EREMOTEIO);
	assert_string_equal(f->words, "QEMU: no");
}

static void qmp_arguments_are_one_object(void **state)
{
	struct fixture *f = *state;
	struct err e;

	get_ready(f);
	assert_int_equal(qmp_send(f->q, "x", "{\"a\": \"b\\nc\"}", LONG_MS,
				  NULL, NULL, &e),
			 0);
	assert_string_equal(
		heard(f),
		"{\"execute\":\"x\",\"arguments\":{\"a\":\"b\\nc\"},\"id\":2}\n");
	assert_int_equal(qmp_send(f->q, "x", "[1]", 1, NULL, NULL, &e),
			 -EINVAL);
	assert_int_equal(qmp_send(f->q, "x", "{", 1, NULL, NULL, &e), -EINVAL);
	assert_string_equal(heard(f), "");
}

static void qmp_command_past_its_deadline_fails_alone(void **state)
{
	struct fixture *f = *state;

	get_ready(f);
	ask(f, 0);
	for (int i = 0; i < 1000 && !f->answers; i++) {
		struct err e;

		assert_true(loop_turn(f->loop, 10, &e) >= 0);
	}
	assert_int_equal(f->result, -ETIMEDOUT);
	/* The late answer has no owner, not even the next command. */
	ask(f, LONG_MS);
	say(f, "{\"return\": {\"status\": \"late\"}, \"id\": 2}\r\n");
	assert_int_equal(f->answers, 1);
	say(f, "{\"return\": {\"status\": \"good\"}, \"id\": 3}\r\n");
	assert_int_equal(f->answers, 2);
	assert_string_equal(f->status, "good");
	assert_int_equal(f->closed, 0);
}

static void qmp_end_of_file_answers_every_command(void **state)
{
	struct fixture *f = *state;

	get_ready(f);
	ask(f, LONG_MS);
	ask(f, LONG_MS);
	fd_close(&f->peer);
	qmp_peer_turn(f->loop);
	assert_int_equal(f->answers, 2);
	assert_int_equal(f->result, -ECONNRESET);
	assert_int_equal(f->closed, 1);
	qmp_drain(f->q);
	assert_int_equal(f->closed, 1);
}

static void qmp_commands_have_a_limit(void **state)
{
	struct fixture *f = *state;
	struct err e;

	get_ready(f);
	for (unsigned int i = 0; i < QMP_COMMANDS_MAX; i++)
		ask(f, LONG_MS);
	assert_int_equal(qmp_send(f->q, "x", NULL, 1, NULL, NULL, &e), -EBUSY);
}

/* Nothing that a monitor says may do more than end the connection. */
static void qmp_nonsense_ends_the_connection(void **state)
{
	struct fixture *f = *state;

	get_ready(f);
	ask(f, LONG_MS);
	say(f, "[1, 2]\n");
	assert_int_equal(f->closed, 1);
	assert_int_equal(f->closed_code, EPROTO);
	assert_int_equal(f->result, -EPROTO);
}

static void qmp_other_greeting_ends_the_connection(void **state)
{
	struct fixture *f = *state;

	say(f, "{\"hello\": 1}\n");
	assert_int_equal(f->closed_code, EPROTO);
	assert_int_equal(f->ready, 0);
}

static void qmp_line_has_a_limit(void **state)
{
	struct fixture *f = *state;
	static char chunk[32768];

	get_ready(f);
	memset(chunk, ' ', sizeof(chunk));
	for (size_t sent = 0; sent <= QMP_LINE_MAX && !f->closed;) {
		const ssize_t n = write(f->peer, chunk, sizeof(chunk));

		sent += n > 0 ? (size_t)n : 0;
		qmp_peer_turn(f->loop);
	}
	assert_int_equal(f->closed, 1);
	assert_int_equal(f->closed_code, EPROTO);
}

static void qmp_strange_ids_answer_nobody(void **state)
{
	struct fixture *f = *state;

	get_ready(f);
	ask(f, LONG_MS);
	say(f, "{\"return\": {}, \"id\": 0}\n{\"return\": {}, \"id\": -2}\n"
	       "{\"return\": {}, \"id\": \"2\"}\n{\"return\": {}}\n{}\n");
	assert_int_equal(f->answers, 0);
	assert_int_equal(f->closed, 0);
}

/* A descriptor that came with what was written, -1: none. */
static int heard_fd(struct fixture *f, char *buf, size_t size)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = { .iov_base = buf, .iov_len = size - 1 };
	struct msghdr m = { .msg_iov = &part,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	ssize_t n;
	int fd = -1;

	qmp_peer_turn(f->loop);
	n = recvmsg(f->peer, &m, MSG_CMSG_CLOEXEC);
	buf[n > 0 ? n : 0] = '\0';
	c = CMSG_FIRSTHDR(&m);
	if (c)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static void qmp_a_descriptor_goes_with_its_command(void **state)
{
	struct fixture *f = *state;
	char buf[512];
	struct err e;
	int fd;

	get_ready(f);
	ask(f, LONG_MS);
	assert_int_equal(qmp_send_fd(f->q, "getfd", "{\"fdname\":\"a\"}",
				     f->peer, LONG_MS, on_answer, f, &e),
			 0);
	ask(f, LONG_MS);
	assert_int_equal(qmp_send_fd(f->q, "getfd", NULL, f->peer, LONG_MS,
				     NULL, NULL, &e),
			 -EBUSY);
	/* The kernel may hand on what came before in the same read. */
	fd = heard_fd(f, buf, sizeof(buf));
	if (fd < 0)
		fd = heard_fd(f, buf, sizeof(buf));
	assert_true(fd >= 0);
	fd_close(&fd);
	assert_non_null(strstr(buf, "{\"execute\":\"getfd\""));
	say(f, "{\"return\": {}, \"id\": 3}\n");
	assert_int_equal(qmp_send_fd(f->q, "getfd", NULL, f->peer, LONG_MS,
				     NULL, NULL, &e),
			 0);
}

#define QMP_TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		QMP_TEST(qmp_agrees_and_asks),
		QMP_TEST(qmp_event_between_command_and_answer),
		QMP_TEST(qmp_event_without_data),
		QMP_TEST(qmp_refusal_has_the_words_of_qemu),
		QMP_TEST(qmp_arguments_are_one_object),
		QMP_TEST(qmp_command_past_its_deadline_fails_alone),
		QMP_TEST(qmp_end_of_file_answers_every_command),
		QMP_TEST(qmp_commands_have_a_limit),
		QMP_TEST(qmp_nonsense_ends_the_connection),
		QMP_TEST(qmp_other_greeting_ends_the_connection),
		QMP_TEST(qmp_line_has_a_limit),
		QMP_TEST(qmp_strange_ids_answer_nobody),
		QMP_TEST(qmp_a_descriptor_goes_with_its_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
