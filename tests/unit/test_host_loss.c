/* bridge/host/client when the connection is lost */
#include "tests/unit/host_fixture.h"

static void test_loss_fails_calls_and_spares_waits(void **state)
{
	struct fixture *x = *state;
	struct outcome sync;
	struct outcome wait;

	wait_for(x, &wait, 42);
	dump(x, &sync, 0);
	(void)fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	(void)fake_expect(&x->fake, WIRE_DUMP_STACKS);
	fake_hang_up(&x->fake);
	FAKE_UNTIL(&x->fake, x->lost == 1);
	assert_int_equal(sync.times, 1);
	assert_int_equal(sync.failure.kind, HOST_FAIL_LOST);
	assert_true(sync.failure.sent);
	assert_int_equal(wait.times, 0);
	assert_int_equal(host_dump_stacks(x->client, NULL, NULL, NULL),
			 -ENOTCONN);

	/* The counter of ids goes on; the old id is still known. */
	assert_int_equal(fake_connect(&x->fake), sync.id + 1);
	FAKE_UNTIL(&x->fake, x->ready == 2);
	fake_send(&x->fake, 0x20100601, wait.id, "{\"ExitCode\":3}");
	FAKE_UNTIL(&x->fake, wait.times);
	assert_true(wait.ok);
	assert_int_equal(wait.number, 3);
	assert_alive(x);
}

static void test_old_answer_before_negotiation_counts(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;
	struct outcome wait;

	wait_for(x, &wait, 42);
	fake_hang_up(&x->fake);
	FAKE_UNTIL(&x->fake, x->lost == 1);
	x->fake.fd = fake_dial(&x->fake, WIRE_PORT_BRIDGE);
	fake_send(&x->fake, 0x20100601, wait.id, "{\"ExitCode\":3}");
	r = fake_expect(&x->fake, WIRE_NEGOTIATE_PROTOCOL);
	FAKE_UNTIL(&x->fake, wait.times);
	assert_int_equal(wait.number, 3);
	fake_answer(&x->fake, &r, FAKE_NEGOTIATED);
	FAKE_UNTIL(&x->fake, x->ready == 2);
}

static void test_delivery_is_known_from_later_answers(void **state)
{
	struct fixture *x = *state;
	struct outcome early;
	struct outcome late;

	wait_for(x, &early, 1);
	assert_false(host_client_delivered(x->client, early.id));
	assert_alive(x);
	wait_for(x, &late, 2);
	assert_true(host_client_delivered(x->client, early.id));
	assert_false(host_client_delivered(x->client, late.id));
	fake_hang_up(&x->fake);
	FAKE_UNTIL(&x->fake, x->lost == 1);
	(void)fake_connect(&x->fake);
	FAKE_UNTIL(&x->fake, x->ready == 2);
	assert_alive(x);
	assert_true(host_client_delivered(x->client, early.id));
	assert_false(host_client_delivered(x->client, late.id));
	host_client_cancel(x->client, early.id);
	host_client_cancel(x->client, late.id);
}

static void test_bridge_that_stays_lost_ends_waits_with_an_error(void **state)
{
	struct fixture *x = *state;
	struct outcome wait;

	make_client(x,
		    (struct host_client_config){ .reconnect_timeout_ms = 50 });
	(void)fake_connect(&x->fake);
	FAKE_UNTIL(&x->fake, x->ready == 1);
	wait_for(x, &wait, 42);
	fake_hang_up(&x->fake);
	FAKE_UNTIL(&x->fake, x->failed == 1);
	assert_int_equal(wait.times, 1);
	assert_false(wait.ok);
	assert_int_equal(wait.failure.kind, HOST_FAIL_LOST);
}

static void test_free_ends_every_call(void **state)
{
	struct fixture *x = *state;
	struct outcome sync;
	struct outcome wait;

	wait_for(x, &wait, 42);
	dump(x, &sync, 0);
	host_client_free(mem_take(&x->client));
	assert_int_equal(sync.failure.kind, HOST_FAIL_CANCELLED);
	assert_int_equal(wait.failure.kind, HOST_FAIL_CANCELLED);
}

static void test_ten_reconnects_under_load(void **state)
{
	enum { WAITS = 50, CALLS = 20 };
	static struct outcome wait[WAITS];
	static struct outcome call[CALLS];
	struct fixture *x = *state;

	for (uint32_t i = 0; i < WAITS; i++)
		wait_for(x, &wait[i], 100 + i);
	for (int round = 1; round <= 10; round++) {
		for (int i = 0; i < CALLS; i++)
			dump(x, &call[i], 0);
		/* Half of the rounds the guest has read some of it. */
		for (int i = 0; i < round % 2 * 15; i++)
			(void)fake_read(&x->fake);
		fake_hang_up(&x->fake);
		FAKE_UNTIL(&x->fake, x->lost == round);
		for (int i = 0; i < CALLS; i++)
			assert_int_equal(call[i].failure.kind, HOST_FAIL_LOST);
		(void)fake_connect(&x->fake);
		FAKE_UNTIL(&x->fake, x->ready == round + 1);
	}
	for (int i = 0; i < WAITS; i++) {
		char body[64];

		assert_int_equal(wait[i].times, 0);
		(void)snprintf(body, sizeof(body), "{\"ExitCode\":%d}", i);
		fake_send(&x->fake, 0x20100601, wait[i].id, body);
	}
	for (uint32_t i = 0; i < WAITS; i++) {
		FAKE_UNTIL(&x->fake, wait[i].times);
		assert_int_equal(wait[i].number, i);
	}
	assert_alive(x);
}

/* One connection of the recorded session: cut after @cut bytes of it. */
static size_t session(struct fixture *x, size_t cut)
{
	uint8_t bytes[4096];
	struct outcome dumped;
	struct outcome waited;
	const int lost = x->lost;
	size_t dump_end;
	size_t wait_end;
	size_t n;

	wait_for(x, &waited, 42);
	dump(x, &dumped, 0);
	(void)fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	(void)fake_expect(&x->fake, WIRE_DUMP_STACKS);
	n = fake_frame(bytes, 0x20100c01, dumped.id,
		       "{\"Result\":0,\"GuestStacks\":\"stack\"}");
	dump_end = n;
	n += fake_frame(bytes + n, WIRE_CONTAINER_NOTIFICATION, 0,
			"{\"ContainerId\":\"c1\",\"Type\":\"ForcedExit\"}");
	n += fake_frame(bytes + n, 0x20100601, waited.id,
			"{\"Result\":0,\"ExitCode\":5}");
	wait_end = n;
	if (cut > n)
		return 0;
	fake_send_raw(&x->fake, bytes, cut);
	fake_hang_up(&x->fake);
	FAKE_UNTIL(&x->fake, x->lost == lost + 1);

	assert_int_equal(dumped.times, 1);
	assert_int_equal(dumped.ok, cut >= dump_end);
	if (!dumped.ok)
		assert_int_equal(dumped.failure.kind, HOST_FAIL_LOST);
	assert_int_equal(waited.times, cut >= wait_end);
	(void)fake_connect(&x->fake);
	if (waited.times == 0)
		fake_send(&x->fake, 0x20100601, waited.id, "{\"ExitCode\":5}");
	FAKE_UNTIL(&x->fake, waited.times);
	assert_int_equal(waited.number, 5);
	FAKE_UNTIL(&x->fake, host_client_state(x->client) == HOST_READY);
	return cut + 1;
}

static void test_cut_at_every_byte_of_what_a_guest_sends(void **state)
{
	struct fixture *x = *state;
	size_t cut = 0;
	size_t last = 0;

	x->knows_container = true;
	while ((cut = session(x, cut)) != 0)
		last = cut;
	assert_true(last > 140);
	assert_int_equal(x->failed, 0);
	assert_true(x->notices > 0);
}

static void test_cut_at_every_byte_of_the_negotiation(void **state)
{
	struct fixture *x = *state;
	uint8_t bytes[1024];
	struct fake_request r;
	size_t n;

	make_client(x, (struct host_client_config){ 0 });
	n = fake_frame(bytes, 0x20100b01, 0, FAKE_NEGOTIATED);
	/* Every seventh, because each costs the pause of a useless visit. */
	for (size_t cut = 0; cut < n; cut += cut < 14 ? 1 : 67) {
		x->fake.fd = fake_dial(&x->fake, WIRE_PORT_BRIDGE);
		r = fake_expect(&x->fake, WIRE_NEGOTIATE_PROTOCOL);
		n = fake_frame(bytes, 0x20100b01, r.id, FAKE_NEGOTIATED);
		fake_send_raw(&x->fake, bytes, cut);
		fake_hang_up(&x->fake);
		FAKE_UNTIL(&x->fake,
			   host_client_state(x->client) == HOST_LISTENING);
		assert_int_equal(x->ready, 0);
	}
	(void)fake_connect(&x->fake);
	FAKE_UNTIL(&x->fake, x->ready == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_loss_fails_calls_and_spares_waits),
		T(test_old_answer_before_negotiation_counts),
		T(test_delivery_is_known_from_later_answers),
		BARE(test_bridge_that_stays_lost_ends_waits_with_an_error),
		T(test_free_ends_every_call),
		T(test_ten_reconnects_under_load),
		T(test_cut_at_every_byte_of_what_a_guest_sends),
		BARE(test_cut_at_every_byte_of_the_negotiation),
	};

	return cmocka_run_group_tests_name("host loss", tests, NULL, NULL);
}
