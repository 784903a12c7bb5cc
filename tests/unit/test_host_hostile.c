/* bridge/host/client with a guest that does whatever it likes */
#include "tests/unit/host_fixture.h"

static void test_answer_to_an_unknown_call_is_ignored(void **state)
{
	struct fixture *x = *state;

	fake_send(&x->fake, 0x20100c01, 12345, "{\"Result\":0}");
	fake_send(&x->fake, 0x20100c01, UINT64_MAX, "junk");
	fake_send(&x->fake, 0x20100b01, 0, FAKE_NEGOTIATED); /* once more */
	assert_alive(x);
	assert_int_equal(x->lost, 0);
}

static void test_answer_of_another_type_fails_its_call(void **state)
{
	struct fixture *x = *state;
	struct outcome o = { 0 };

	dump(x, &o, 0);
	(void)fake_expect(&x->fake, WIRE_DUMP_STACKS);
	fake_send(&x->fake, 0x20100601, o.id, "{\"Result\":0,\"ExitCode\":0}");
	FAKE_UNTIL(&x->fake, o.times);
	assert_false(o.ok);
	assert_int_equal(o.failure.kind, HOST_FAIL_GARBLED);
	assert_alive(x);
}

static void test_undecodable_answer_fails_its_call_only(void **state)
{
	static const char *const bodies[] = {
		"{\"Result\":2147500037}",
		"{\"Result\":\"0\"}",
		"{",
		"",
		"[]",
		"{\"Result\":0,\"GuestStacks\":{}}",
		"{} x",
		"\"\xff\"",
		"{\"Result\":0,\"ErrorRecords\":[{\"Line\":-1}]}",
	};
	struct fixture *x = *state;
	struct fake_request r;
	struct outcome o = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		dump(x, &o, 0);
		r = fake_expect(&x->fake, WIRE_DUMP_STACKS);
		fake_answer(&x->fake, &r, bodies[i]);
		FAKE_UNTIL(&x->fake, o.times);
		assert_false(o.ok);
		assert_int_equal(o.failure.kind, HOST_FAIL_GARBLED);
		assert_alive(x);
	}
	assert_int_equal(x->lost, 0);
}

static void test_notice_for_an_unknown_container_is_ignored(void **state)
{
	struct fixture *x = *state;

	fake_send(
		&x->fake, WIRE_CONTAINER_NOTIFICATION, 0,
		"{\"ContainerId\":\"nobody\\u001b\",\"Type\":\"ForcedExit\"}");
	fake_send(&x->fake, WIRE_CONTAINER_NOTIFICATION, 0, "not JSON");
	fake_send(&x->fake, 0x30100201, 0, "{}"); /* no such notice */
	assert_alive(x);
	assert_int_equal(x->notices, 1);
	x->knows_container = true;
	fake_send(&x->fake, WIRE_CONTAINER_NOTIFICATION, 0,
		  "{\"ContainerId\":\"c1\",\"Type\":\"ForcedExit\"}");
	assert_alive(x);
	assert_int_equal(x->notices, 2);
}

static void lose_by_header(struct fixture *x, uint32_t type, uint32_t size)
{
	uint8_t h[WIRE_HEADER_SIZE];

	wire_header_put(h, &(struct wire_header){ .type = type, .size = size });
	fake_send_raw(&x->fake, h, sizeof(h));
	FAKE_UNTIL(&x->fake, x->lost == 1);
	assert_true(fake_closed(&x->fake));
	fake_hang_up(&x->fake);
	assert_int_equal(fake_connect(&x->fake), 1);
	FAKE_UNTIL(&x->fake, x->ready == 2);
	assert_alive(x);
}

static void test_frame_over_the_limit_costs_the_connection(void **state)
{
	lose_by_header(*state, 0x20100c01, WIRE_GUEST_FRAME_MAX + 1);
}

static void test_frame_of_a_request_costs_the_connection(void **state)
{
	lose_by_header(*state, WIRE_DUMP_STACKS, WIRE_HEADER_SIZE);
}

static void test_frame_of_the_largest_size_is_taken(void **state)
{
	enum { PREFIX = sizeof("{\"GuestStacks\":\"\"}") - 1 };
	static char body[WIRE_GUEST_FRAME_MAX - WIRE_HEADER_SIZE + 1];
	struct fixture *x = *state;
	struct fake_request r;
	struct outcome o = { 0 };

	(void)snprintf(body, sizeof(body), "{\"GuestStacks\":\"%*s\"}",
		       (int)(sizeof(body) - 1 - PREFIX), "");
	assert_int_equal(strlen(body), sizeof(body) - 1);
	dump(x, &o, 0);
	r = fake_expect(&x->fake, WIRE_DUMP_STACKS);
	fake_answer(&x->fake, &r, body);
	FAKE_UNTIL(&x->fake, o.times);
	assert_true(o.ok);
	assert_int_equal(x->lost, 0);
}

static void test_guest_text_is_escaped(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;
	struct outcome o = { 0 };

	dump(x, &o, 0);
	r = fake_expect(&x->fake, WIRE_DUMP_STACKS);
	fake_answer(
		&x->fake, &r,
		"{\"Result\":-2147467259,\"ErrorMessage\":\"a\\u001b[2J\\nb\"}");
	FAKE_UNTIL(&x->fake, o.times);
	assert_int_equal(o.failure.kind, HOST_FAIL_REFUSED);
	assert_int_equal(o.failure.hresult, HR_FAIL);
	assert_non_null(strstr(o.failure.err.text, "a\\x1b[2J\\x0ab"));
	assert_null(strchr(o.failure.err.text, '\n'));
	assert_null(strchr(o.failure.err.text, 0x1b));
}

static void test_process_not_found_is_never_exit_code_0(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;
	struct outcome o = { 0 };

	wait_for(x, &o, 9);
	r = fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	fake_answer(&x->fake, &r, "{\"Result\":-2147023728}");
	FAKE_UNTIL(&x->fake, o.times);
	assert_false(o.ok);
	assert_int_equal(o.failure.hresult, HR_ELEMENT_NOT_FOUND);
}

static void test_late_answer_is_dropped_and_fails_nothing_else(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;
	struct outcome slow;
	struct outcome other;

	dump(x, &slow, 30);
	dump(x, &other, 0);
	r = fake_expect(&x->fake, WIRE_DUMP_STACKS);
	FAKE_UNTIL(&x->fake, slow.times);
	assert_int_equal(slow.failure.kind, HOST_FAIL_TIMEOUT);
	assert_true(slow.failure.sent);
	assert_int_equal(other.times, 0);
	fake_answer(&x->fake, &r, "{\"Result\":0}");
	assert_alive(x);
	assert_int_equal(slow.times, 1);
	assert_int_equal(x->lost, 0);
	host_client_cancel(x->client, other.id);
}

static void test_cancelled_call_is_never_heard_of(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;
	struct outcome o = { 0 };

	dump(x, &o, 0);
	host_client_cancel(x->client, o.id);
	host_client_cancel(x->client, o.id);
	r = fake_expect(&x->fake, WIRE_DUMP_STACKS);
	fake_answer(&x->fake, &r, "{\"Result\":0}");
	assert_alive(x);
	assert_int_equal(o.times, 0);
}

static void test_guest_that_says_no_is_a_failure_at_once(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;

	make_client(x, (struct host_client_config){ 0 });
	x->fake.fd = fake_dial(&x->fake, WIRE_PORT_BRIDGE);
	r = fake_expect(&x->fake, WIRE_NEGOTIATE_PROTOCOL);
	fake_answer(&x->fake, &r, "{\"Result\":-1070137076}");
	FAKE_UNTIL(&x->fake, x->failed == 1);
	assert_int_equal(host_client_state(x->client), HOST_FAILED);
	assert_int_equal(fake_ports(&x->fake), 0);
}

static void test_guest_of_another_version_is_a_failure(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;

	make_client(x, (struct host_client_config){ 0 });
	x->fake.fd = fake_dial(&x->fake, WIRE_PORT_BRIDGE);
	r = fake_expect(&x->fake, WIRE_NEGOTIATE_PROTOCOL);
	fake_answer(&x->fake, &r,
		    "{\"Result\":0,\"Version\":5,\"Capabilities\":"
		    "{\"GuestDefinedCapabilities\":{}}}");
	FAKE_UNTIL(&x->fake, x->failed == 1);
	assert_non_null(strstr(x->why.text, "version 5"));
}

static void test_guest_that_never_dials_is_a_failure(void **state)
{
	struct fixture *x = *state;

	make_client(x, (struct host_client_config){ .connect_timeout_ms = 50 });
	FAKE_UNTIL(&x->fake, x->failed == 1);
	assert_int_equal(x->why.code, ETIMEDOUT);
	assert_int_equal(x->ready + x->lost, 0);
	assert_int_equal(fake_ports(&x->fake), 0);
}

static void test_dialler_that_does_not_negotiate_makes_room(void **state)
{
	struct fixture *x = *state;

	make_client(x,
		    (struct host_client_config){ .negotiate_timeout_ms = 50 });
	x->fake.fd = fake_dial(&x->fake, WIRE_PORT_BRIDGE);
	FAKE_UNTIL(&x->fake, host_client_state(x->client) == HOST_NEGOTIATING);
	FAKE_UNTIL(&x->fake, host_client_state(x->client) == HOST_LISTENING);
	fake_hang_up(&x->fake);
	(void)fake_connect(&x->fake);
	FAKE_UNTIL(&x->fake, x->ready == 1);
	assert_int_equal(x->failed, 0);
}

static void test_knocking_is_slowed_down(void **state)
{
	struct fixture *x = *state;
	const int64_t start = loop_now_ms(x->fake.loop);

	make_client(x, (struct host_client_config){ 0 });
	for (int i = 0; i < 6; i++) {
		x->fake.fd = fake_dial(&x->fake, WIRE_PORT_BRIDGE);
		(void)fake_expect(&x->fake, WIRE_NEGOTIATE_PROTOCOL);
		fake_send(&x->fake, 0, 0, "no frame of a guest");
		FAKE_UNTIL(&x->fake, fake_closed(&x->fake));
		fake_hang_up(&x->fake);
	}
	/* 10 + 20 + 40 + 80 ms at least lie between six visits. */
	assert_true(loop_now_ms(x->fake.loop) - start >= 140);
	(void)fake_connect(&x->fake);
	FAKE_UNTIL(&x->fake, x->ready == 1);
}

static void test_second_dialler_is_refused(void **state)
{
	struct fixture *x = *state;

	assert_int_equal(fake_try_dial(&x->fake, WIRE_PORT_BRIDGE), -1);
	assert_alive(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_answer_to_an_unknown_call_is_ignored),
		T(test_answer_of_another_type_fails_its_call),
		T(test_undecodable_answer_fails_its_call_only),
		T(test_notice_for_an_unknown_container_is_ignored),
		T(test_frame_over_the_limit_costs_the_connection),
		T(test_frame_of_a_request_costs_the_connection),
		T(test_frame_of_the_largest_size_is_taken),
		T(test_guest_text_is_escaped),
		T(test_process_not_found_is_never_exit_code_0),
		T(test_late_answer_is_dropped_and_fails_nothing_else),
		T(test_cancelled_call_is_never_heard_of),
		BARE(test_guest_that_says_no_is_a_failure_at_once),
		BARE(test_guest_of_another_version_is_a_failure),
		BARE(test_guest_that_never_dials_is_a_failure),
		BARE(test_dialler_that_does_not_negotiate_makes_room),
		BARE(test_knocking_is_slowed_down),
		T(test_second_dialler_is_refused),
	};

	return cmocka_run_group_tests_name("host hostile", tests, NULL, NULL);
}
