/* bridge/host/conn: frames in, frames out, and every way to lose it */
#include "tests/unit/fake_guest.h"

#include "bridge/host/conn.h"

struct fixture {
	struct fake fake;
	struct host_conn conn;
	int frames;
	int lost;
	uint64_t last_id;
	bool close_in_frame;
	struct err why;
};

static void on_frame(void *ctx, const struct frame *f)
{
	struct fixture *x = ctx;

	x->frames++;
	x->last_id = f->header.id;
	if (x->close_in_frame)
		host_conn_close(&x->conn);
}

static void on_lost(void *ctx, const struct err *why)
{
	struct fixture *x = ctx;

	x->lost++;
	x->why = *why;
	host_conn_close(&x->conn);
}

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	int fd[2];

	if (!x)
		return -1;
	fake_init(&x->fake);
	host_conn_init(&x->conn, x->fake.loop, on_frame, on_lost, x);
	assert_int_equal(socketpair(AF_UNIX,
				    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				    0, fd),
			 0);
	assert_int_equal(host_conn_open(&x->conn, fd[0], NULL), 0);
	x->fake.fd = fd[1];
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	host_conn_close(&x->conn);
	fake_done(&x->fake);
	free(x);
	return 0;
}

static void test_frames_arrive_and_leave(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;

	for (uint64_t id = 0; id < 1000; id++) {
		fake_send(&x->fake, 0x20100101, id, "{}");
		assert_int_equal(host_conn_send(&x->conn, 0x10100101, id, "[1]",
						3, NULL),
				 0);
		r = fake_read(&x->fake);
		assert_int_equal(r.id, id);
		assert_string_equal(r.body, "[1]");
	}
	FAKE_UNTIL(&x->fake, x->frames == 1000);
	assert_int_equal(x->last_id, 999);
	assert_int_equal(x->lost, 0);
}

static void test_what_came_before_the_end_is_handed_on(void **state)
{
	struct fixture *x = *state;

	fake_send(&x->fake, 0x20100101, 7, "{}");
	fake_hang_up(&x->fake);
	FAKE_UNTIL(&x->fake, x->lost == 1);
	assert_int_equal(x->frames, 1);
	assert_non_null(strstr(x->why.text, "closed the bridge"));
	assert_null(strstr(x->why.text, "inside"));
}

static void test_end_inside_a_frame_is_told(void **state)
{
	struct fixture *x = *state;

	fake_send_raw(&x->fake, "\x01\x01\x10\x20\x20\0\0\0", 8);
	fake_hang_up(&x->fake);
	FAKE_UNTIL(&x->fake, x->lost == 1);
	assert_non_null(strstr(x->why.text, "inside a frame"));
}

static void test_answers_are_read_after_a_failed_send(void **state)
{
	struct fixture *x = *state;

	fake_send(&x->fake, 0x20100101, 1, "{}");
	fake_send(&x->fake, 0x20100101, 2, "{}");
	fake_hang_up(&x->fake);
	/* The guest is gone: this finds it out, but reports nothing yet. */
	assert_int_equal(host_conn_send(&x->conn, 0x10100101, 3, "{}", 2, NULL),
			 0);
	assert_int_equal(x->lost, 0);
	FAKE_UNTIL(&x->fake, x->lost == 1);
	assert_int_equal(x->frames, 2);
}

static void test_callback_may_close(void **state)
{
	struct fixture *x = *state;

	x->close_in_frame = true;
	fake_send(&x->fake, 0x20100101, 1, "{}");
	fake_send(&x->fake, 0x20100101, 2, "{}");
	FAKE_UNTIL(&x->fake, x->frames == 1);
	assert_int_equal(loop_turn(x->fake.loop, 10, NULL), 0);
	assert_int_equal(x->frames, 1);
	assert_int_equal(x->lost, 0);
}

static void test_queue_for_a_guest_that_does_not_read_is_bounded(void **state)
{
	enum { BODY = 4 * 1024 * 1024 };
	struct fixture *x = *state;
	char *body = calloc(1, BODY);
	struct err e = { 0 };
	uint64_t id = 0;

	assert_non_null(body);
	while (host_conn_send(&x->conn, 0x10100101, id, body, BODY, &e) == 0)
		assert_true(++id < 20);
	assert_int_equal(e.code, ENOBUFS);
	assert_true(id >= 7);
	/* The first is half out, the others can still be called unsent. */
	assert_int_equal(host_conn_unsent(&x->conn), 1);
	free(body);
}

static void test_half_a_frame_that_does_not_go_on_is_a_loss(void **state)
{
	struct fixture *x = *state;

	x->conn.stall_ms = 50;
	fake_send(&x->fake, 0x20100101, 1, "{}");
	FAKE_UNTIL(&x->fake, x->frames == 1);
	fake_send_raw(&x->fake, "\x01\x01\x10", 3);
	FAKE_UNTIL(&x->fake, x->lost == 1);
	assert_int_equal(x->why.code, ETIMEDOUT);
}

static void test_a_guest_that_does_not_read_is_a_loss(void **state)
{
	enum { BODY = 4 * 1024 * 1024 };
	struct fixture *x = *state;
	char *body = calloc(1, BODY);

	x->conn.stall_ms = 50;
	assert_int_equal(
		host_conn_send(&x->conn, 0x10100101, 0, body, BODY, NULL), 0);
	free(body);
	FAKE_UNTIL(&x->fake, x->lost == 1);
	assert_int_equal(x->why.code, ETIMEDOUT);
}

static void test_an_idle_connection_is_no_loss(void **state)
{
	struct fixture *x = *state;
	const int64_t end = loop_now_ms(x->fake.loop) + 300;

	x->conn.stall_ms = 50;
	fake_send_raw(&x->fake, "\x01\x01\x10", 3);
	assert_true(loop_turn(x->fake.loop, 10, NULL) >= 0);
	fake_send_raw(&x->fake, "\x20\x10\0\0\0\0\0\0\0\0\0\0\0", 13);
	assert_int_equal(host_conn_send(&x->conn, 0x10100101, 0, "{}", 2, NULL),
			 0);
	FAKE_UNTIL(&x->fake, loop_now_ms(x->fake.loop) > end);
	assert_int_equal(x->frames, 1);
	assert_int_equal(x->lost, 0);
}

static void send_header(struct fake *f, uint32_t size)
{
	uint8_t h[WIRE_HEADER_SIZE];

	wire_header_put(
		h, &(struct wire_header){ .type = 0x20100101, .size = size });
	fake_send_raw(f, h, sizeof(h));
}

static void test_largest_frame_is_65536_bytes(void **state)
{
	struct fixture *x = *state;
	static char body[WIRE_GUEST_FRAME_MAX];

	memset(body, ' ', sizeof(body));
	send_header(&x->fake, WIRE_GUEST_FRAME_MAX);
	fake_send_raw(&x->fake, body, WIRE_GUEST_FRAME_MAX - WIRE_HEADER_SIZE);
	FAKE_UNTIL(&x->fake, x->frames == 1);
	assert_int_equal(x->lost, 0);

	send_header(&x->fake, WIRE_GUEST_FRAME_MAX + 1);
	FAKE_UNTIL(&x->fake, x->lost == 1);
	assert_int_equal(x->why.code, EPROTO);
}

static void test_frame_shorter_than_its_header_is_a_loss(void **state)
{
	struct fixture *x = *state;

	send_header(&x->fake, WIRE_HEADER_SIZE - 1);
	FAKE_UNTIL(&x->fake, x->lost == 1);
	assert_int_equal(x->why.code, EPROTO);
	assert_int_equal(x->frames, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_frames_arrive_and_leave),
		T(test_what_came_before_the_end_is_handed_on),
		T(test_end_inside_a_frame_is_told),
		T(test_answers_are_read_after_a_failed_send),
		T(test_callback_may_close),
		T(test_queue_for_a_guest_that_does_not_read_is_bounded),
		T(test_half_a_frame_that_does_not_go_on_is_a_loss),
		T(test_a_guest_that_does_not_read_is_a_loss),
		T(test_an_idle_connection_is_no_loss),
		T(test_largest_frame_is_65536_bytes),
		T(test_frame_shorter_than_its_header_is_a_loss),
	};

	return cmocka_run_group_tests_name("host conn", tests, NULL, NULL);
}
