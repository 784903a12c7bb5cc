/*
 * The migration window of bridge/host/client: what the reference learned
 * (migration.md L*), and what is weak in it (bridge.md W-H*)
 */
#include "tests/unit/window_fixture.h"

#include <sys/socket.h>

#include "bridge/host/early.h"
#include "bridge/msg_container.h"

static void test_l1_waits_survive_the_swap(void **state)
{
	struct fixture *x = *state;
	struct outcome wait;
	struct outcome call;
	struct resumed r;
	struct fake_request w;

	wait_for(x, &wait, 42);
	w = fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	dump(x, &call, 0);
	blackout(x);
	/* Parked, not killed: nobody listens, nothing has ended but the call. */
	assert_int_equal(fake_ports(&x->fake), 0);
	assert_false(host_client_connected(x->client));
	assert_int_equal(x->failed, 0);
	assert_int_equal(x->lost, 1);
	assert_int_equal(wait.times, 0);
	assert_int_equal(call.failure.kind, HOST_FAIL_LOST);

	resume(x, &r, 10000);
	(void)fake_connect(&x->fake);
	FAKE_UNTIL(&x->fake, r.times);
	assert_true(r.ok);
	assert_true(host_client_connected(x->client));
	fake_send(&x->fake, wire_response_type(WIRE_WAIT_FOR_PROCESS), w.id,
		  "{\"Result\":0,\"ExitCode\":9}");
	FAKE_UNTIL(&x->fake, wait.times);
	assert_int_equal(wait.number, 9);
}

static void test_l1_without_the_window_it_listens_at_once(void **state)
{
	struct fixture *x = *state;

	fake_hang_up(&x->fake);
	FAKE_UNTIL(&x->fake, x->lost == 1);
	assert_int_equal(host_client_state(x->client), HOST_LISTENING);
	assert_int_equal(fake_ports(&x->fake), 1);
}

/*
 * A call in the blackout fails by itself, and none of its bytes show up on the
 * next connection: that one begins with a clean NegotiateProtocol.
 */
static void test_w_h1_l2_nothing_of_the_old_reaches_the_new(void **state)
{
	static char big[1 << 20];
	struct fixture *x = *state;
	const struct msg_container_config document = {
		.oci_bundle_path = big,
	};
	struct outcome o = { 0 };
	const struct host_done done = { on_plain, &o, 0 };
	struct resumed r;
	uint64_t id;

	memset(big, 'x', sizeof(big) - 1);
	/* It is cut off in its middle: the guest does not read. */
	assert_int_equal(
		host_create(x->client, "c1", &document, &done, NULL, NULL), 0);
	blackout(x);
	FAKE_UNTIL(&x->fake, o.times);
	assert_int_equal(o.failure.kind, HOST_FAIL_LOST);
	assert_true(o.failure.sent);
	o.times = 0;
	assert_int_equal(
		host_create(x->client, "c1", &document, &done, NULL, NULL),
		-ENOTCONN);
	resume(x, &r, 10000);
	id = fake_connect(&x->fake);
	assert_true(id > 0);
	FAKE_UNTIL(&x->fake, r.times);
	assert_alive(x);
	assert_int_equal(o.times, 0);
}

/* It neither stays pending until its limit nor is it made twice. */
static void test_w_h2_a_call_whose_answer_died_fails_at_the_loss(void **state)
{
	struct fixture *x = *state;
	struct outcome o;
	struct resumed r;
	struct fake_request old;

	dump(x, &o, 0);
	old = fake_expect(&x->fake, WIRE_DUMP_STACKS);
	blackout(x);
	FAKE_UNTIL(&x->fake, o.times);
	assert_int_equal(o.failure.kind, HOST_FAIL_LOST);
	resume(x, &r, 10000);
	(void)fake_connect(&x->fake);
	FAKE_UNTIL(&x->fake, r.times);
	fake_answer(&x->fake, &old, "{\"Result\":0,\"GuestStacks\":\"old\"}");
	assert_alive(x);
}

/* Guests that ask for it get no cold start on any connection. */
static void test_l3_the_cold_start_is_never_repeated(void **state)
{
	static const char *const eager =
		"{\"Result\":0,\"Version\":4,\"Capabilities\":{"
		"\"SendHostCreateMessage\":true,"
		"\"SendHostStartMessage\":true,"
		"\"GuestDefinedCapabilities\":{}}}";
	struct fixture *x = *state;
	struct fake_request n;
	struct resumed r;

	blackout(x);
	resume(x, &r, 10000);
	x->fake.fd = fake_dial(&x->fake, WIRE_PORT_BRIDGE);
	n = fake_expect(&x->fake, WIRE_NEGOTIATE_PROTOCOL);
	fake_answer(&x->fake, &n, eager);
	FAKE_UNTIL(&x->fake, r.times);
	settle(x);
	assert_alive(x); /* the next frame is this call's, not a Create */
}

static void test_l5_every_swap_is_negotiated(void **state)
{
	struct fixture *x = *state;
	uint64_t last = 0;

	for (int i = 0; i < 5; i++) {
		struct resumed r;
		uint64_t id;

		blackout(x);
		resume(x, &r, 10000);
		x->fake.fd = fake_dial(&x->fake, WIRE_PORT_BRIDGE);
		settle(x);
		assert_int_equal(r.times, 0); /* not before the answer */
		assert_false(host_client_connected(x->client));
		id = negotiate(x);
		assert_true(id > last);
		last = id;
		FAKE_UNTIL(&x->fake, r.times);
		assert_true(r.ok);
		host_client_set_migrating(x->client, false);
		assert_alive(x);
	}
}

/* A resume may be asked for in every state, and one at a time. */
static void test_l6_listening_may_be_asked_for_again(void **state)
{
	struct fixture *x = *state;
	struct resumed r;
	struct resumed s;

	blackout(x);
	resume(x, &r, 10000);
	assert_int_equal(
		host_client_resume(x->client, 10, on_resumed, &s, NULL),
		-EALREADY);
	(void)fake_connect(&x->fake);
	FAKE_UNTIL(&x->fake, r.times);
	resume(x, &s, 10000);
	answer_ping(x);
	FAKE_UNTIL(&x->fake, s.times);
	assert_true(s.ok);
	assert_alive(x);
}

static void test_l8_ids_go_on_behind_the_floor(void **state)
{
	struct fixture *x = *state;
	struct outcome o;
	struct fake_request r;

	assert_int_equal(host_client_next_id(x->client), 1);
	host_client_raise_id(x->client, 1000);
	host_client_raise_id(x->client, 10); /* never lowers */
	host_client_raise_id(x->client, 0);
	dump(x, &o, 0);
	r = fake_expect(&x->fake, WIRE_DUMP_STACKS);
	assert_int_equal(r.id, 1000);
	fake_answer(&x->fake, &r, "{\"Result\":0,\"GuestStacks\":\"\"}");
	FAKE_UNTIL(&x->fake, o.times);
	assert_int_equal(host_ports_take(host_client_ports(x->client),
					 &(uint32_t){ 0 }, NULL),
			 0);
}

/* The move was called off before the blackout: no redial will ever come. */
static void test_l18_a_live_bridge_is_used_as_it_is(void **state)
{
	struct fixture *x = *state;
	struct resumed r;

	host_client_set_migrating(x->client, true);
	resume(x, &r, 10000);
	answer_ping(x);
	FAKE_UNTIL(&x->fake, r.times);
	assert_true(r.ok);
	assert_int_equal(x->ready, 1);
	assert_int_equal(x->lost, 0);
	host_client_set_migrating(x->client, false);
	assert_alive(x);
}

/* It looks alive, but nobody answers: it is given up, and the guest dials. */
static void test_l18_a_half_dead_bridge_is_replaced(void **state)
{
	struct fixture *x = *state;
	struct resumed r;
	int64_t began;

	host_client_set_migrating(x->client, true);
	began = loop_now_ms(x->fake.loop);
	resume(x, &r, 20000);
	FAKE_UNTIL(&x->fake, x->lost == 1);
	assert_true(loop_now_ms(x->fake.loop) - began <
		    5L * HOST_PING_TIMEOUT_MS);
	assert_int_equal(r.times, 0);
	fake_hang_up(&x->fake);
	(void)fake_connect(&x->fake);
	FAKE_UNTIL(&x->fake, r.times);
	assert_true(r.ok);
	assert_alive(x);
}

/* migration.md W4: a resume that timed out can be asked for again. */
static void test_w4_a_timeout_consumes_nothing(void **state)
{
	struct fixture *x = *state;
	struct resumed r;

	blackout(x);
	for (int i = 0; i < 3; i++) {
		resume(x, &r, 20);
		FAKE_UNTIL(&x->fake, r.times);
		assert_false(r.ok);
		assert_int_equal(r.why.code, ETIMEDOUT);
		assert_int_equal(host_client_state(x->client), HOST_PARKED);
		assert_int_equal(fake_ports(&x->fake), 0);
	}
	resume(x, &r, 20000);
	(void)fake_connect(&x->fake);
	FAKE_UNTIL(&x->fake, r.times);
	assert_true(r.ok);
	assert_alive(x);
}

/* The same in the middle of a negotiation. */
static void test_w4_a_timeout_in_the_negotiation(void **state)
{
	struct fixture *x = *state;
	struct resumed r;

	blackout(x);
	resume(x, &r, 50);
	x->fake.fd = fake_dial(&x->fake, WIRE_PORT_BRIDGE);
	(void)fake_expect(&x->fake, WIRE_NEGOTIATE_PROTOCOL);
	FAKE_UNTIL(&x->fake, r.times);
	assert_false(r.ok);
	assert_int_equal(host_client_state(x->client), HOST_PARKED);
	fake_hang_up(&x->fake);
	resume(x, &r, 20000);
	(void)fake_connect(&x->fake);
	FAKE_UNTIL(&x->fake, r.times);
	assert_true(r.ok);
	assert_alive(x);
}

/* The destination listens before the VM runs; resume waits for it. */
static void test_the_destination_waits_for_its_first_connection(void **state)
{
	struct fixture *x = *state;
	struct resumed r;

	make_client(x, (struct host_client_config){ .connect_timeout_ms =
							    HOST_NO_TIMEOUT });
	resume(x, &r, 20);
	FAKE_UNTIL(&x->fake, r.times);
	assert_false(r.ok);
	resume(x, &r, 20000);
	assert_int_equal(fake_connect(&x->fake), 0); /* a new host: id 0 */
	FAKE_UNTIL(&x->fake, r.times);
	assert_true(r.ok);
	assert_int_equal(x->ready, 1);
}

static void test_closing_the_window_ends_the_parking(void **state)
{
	struct fixture *x = *state;

	blackout(x);
	host_client_set_migrating(x->client, false);
	assert_int_equal(host_client_state(x->client), HOST_LISTENING);
	(void)fake_connect(&x->fake);
	FAKE_UNTIL(&x->fake, x->ready == 2);
	assert_alive(x);
}

static void test_no_limit_but_the_controllers_own_in_the_window(void **state)
{
	struct fixture *x = *state;
	struct resumed r;
	int64_t later;

	make_client(x,
		    (struct host_client_config){ .reconnect_timeout_ms = 10 });
	(void)fake_connect(&x->fake);
	FAKE_UNTIL(&x->fake, x->ready == 1);
	blackout(x);
	later = loop_now_ms(x->fake.loop) + 50;
	FAKE_UNTIL(&x->fake, loop_now_ms(x->fake.loop) > later);
	assert_int_equal(x->failed, 0);
	resume(x, &r, 20000);
	(void)fake_connect(&x->fake);
	FAKE_UNTIL(&x->fake, r.times);
	assert_true(r.ok);
}

/* What the guest does wrong is no blackout, and is not waited out. */
static void test_w_h11_a_breach_of_the_protocol_does_not_park(void **state)
{
	static const uint8_t short_frame[WIRE_HEADER_SIZE] = { 1, 1, 0x10, 0x20,
							       3 };
	struct fixture *x = *state;

	host_client_set_migrating(x->client, true);
	fake_send_raw(&x->fake, short_frame, sizeof(short_frame));
	FAKE_UNTIL(&x->fake, x->lost == 1);
	assert_int_equal(host_client_state(x->client), HOST_LISTENING);
	fake_hang_up(&x->fake);
	(void)fake_connect(&x->fake);
	FAKE_UNTIL(&x->fake, x->ready == 2);
	/* The same for a frame of no kind. */
	fake_send(&x->fake, 0x40100101, 1, "{}");
	FAKE_UNTIL(&x->fake, x->lost == 2);
	assert_int_equal(host_client_state(x->client), HOST_LISTENING);
}

/* Any stream socket will do; only in the window; the old one is closed. */
static void test_w_h16_a_connection_of_another_kind(void **state)
{
	struct fixture *x = *state;
	struct outcome o;
	int pair[2];
	int old;

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(host_client_resume_on(x->client, pair[0], NULL),
			 -EINVAL);
	assert_int_equal(recv(pair[1], &(char){ 0 }, 1, 0), 0); /* closed */
	fd_close(&pair[1]);

	host_client_set_migrating(x->client, true);
	dump(x, &o, 0);
	(void)fake_expect(&x->fake, WIRE_DUMP_STACKS);
	old = x->fake.fd;
	frame_done(&x->fake.in);
	assert_int_equal(socketpair(AF_UNIX,
				    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				    0, pair),
			 0);
	assert_int_equal(host_client_resume_on(x->client, pair[0], NULL), 0);
	assert_int_equal(o.failure.kind, HOST_FAIL_LOST);
	assert_int_equal(recv(old, &(char){ 0 }, 1, MSG_DONTWAIT), 0);
	fd_close(&old);
	x->fake.fd = pair[1];
	assert_true(negotiate(x) > 0);
	FAKE_UNTIL(&x->fake, x->ready == 2);
	assert_alive(x);
}

static void test_a_parked_client_can_be_freed(void **state)
{
	struct fixture *x = *state;
	struct outcome wait;
	struct resumed r;

	wait_for(x, &wait, 42);
	blackout(x);
	resume(x, &r, 10000);
	host_client_free(x->client); /* in the middle of a resume, too */
	x->client = NULL;
	assert_int_equal(wait.failure.kind, HOST_FAIL_CANCELLED);
	assert_int_equal(r.times, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_l1_waits_survive_the_swap),
		T(test_l1_without_the_window_it_listens_at_once),
		T(test_w_h1_l2_nothing_of_the_old_reaches_the_new),
		T(test_w_h2_a_call_whose_answer_died_fails_at_the_loss),
		T(test_l3_the_cold_start_is_never_repeated),
		T(test_l5_every_swap_is_negotiated),
		T(test_l6_listening_may_be_asked_for_again),
		T(test_l8_ids_go_on_behind_the_floor),
		T(test_l18_a_live_bridge_is_used_as_it_is),
		T(test_l18_a_half_dead_bridge_is_replaced),
		T(test_w4_a_timeout_consumes_nothing),
		T(test_w4_a_timeout_in_the_negotiation),
		BARE(test_the_destination_waits_for_its_first_connection),
		T(test_closing_the_window_ends_the_parking),
		BARE(test_no_limit_but_the_controllers_own_in_the_window),
		T(test_w_h11_a_breach_of_the_protocol_does_not_park),
		T(test_w_h16_a_connection_of_another_kind),
		T(test_a_parked_client_can_be_freed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
