/* bridge/host/client and calls, with a guest that behaves */
#include "tests/unit/host_fixture.h"

#include "bridge/msg_ferry.h"

#define MANY 1000

static void test_negotiation(void **state)
{
	struct fixture *x = *state;
	const struct host_guest *g;
	struct fake_request r;

	make_client(x, (struct host_client_config){ 0 });
	assert_int_equal(host_client_state(x->client), HOST_LISTENING);
	assert_null(host_client_guest(x->client));
	x->fake.fd = fake_dial(&x->fake, WIRE_PORT_BRIDGE);
	r = fake_expect(&x->fake, WIRE_NEGOTIATE_PROTOCOL);
	assert_int_equal(r.id, 0);
	assert_non_null(strstr(r.body, "\"ContainerId\":\"\""));
	assert_non_null(strstr(r.body, "\"MinimumVersion\":4"));
	assert_non_null(strstr(r.body, "\"MaximumVersion\":4"));
	assert_non_null(strstr(r.body, "\"FerryEvents\":true"));
	assert_int_equal(host_client_state(x->client), HOST_NEGOTIATING);
	fake_answer(&x->fake, &r, FAKE_NEGOTIATED);
	FAKE_UNTIL(&x->fake, x->ready == 1);
	g = host_client_guest(x->client);
	assert_int_equal(g->version, 4);
	assert_true(g->signal_process_supported);
	assert_true(g->dump_stacks_supported);
	assert_true(g->namespace_add_supported);
	assert_true(g->delete_container_state_supported);
	assert_string_equal(g->os, "linux");
}

static void test_no_call_before_negotiation(void **state)
{
	struct fixture *x = *state;
	struct err e = { 0 };

	make_client(x, (struct host_client_config){ 0 });
	assert_int_equal(host_dump_stacks(x->client, NULL, NULL, &e),
			 -ENOTCONN);
	x->fake.fd = fake_dial(&x->fake, WIRE_PORT_BRIDGE);
	(void)fake_expect(&x->fake, WIRE_NEGOTIATE_PROTOCOL);
	assert_int_equal(host_dump_stacks(x->client, NULL, NULL, &e),
			 -ENOTCONN);
}

static void test_execute_and_wait(void **state)
{
	static const char *argv[] = { "/bin/echo", "a b" };
	const struct msg_process_parameters parameters = {
		.command_args = { argv, 2 },
		.create_stdout_pipe = true,
	};
	const uint32_t port[MSG_STDIO] = { 0, 0x40000007, 0 };
	struct fixture *x = *state;
	struct outcome o = { 0 };
	const struct host_done done = { on_executed, &o, 0 };
	struct fake_request r;

	assert_int_equal(host_execute_process(x->client, NULL, &parameters,
					      port, &done, &o.id, NULL),
			 0);
	assert_int_equal(o.times, 0);
	r = fake_expect(&x->fake, WIRE_EXECUTE_PROCESS);
	assert_int_equal(r.id, o.id);
	assert_non_null(strstr(r.body, "\"StdOut\":1073741831"));
	assert_non_null(strstr(r.body, WIRE_NULL_ID));
	assert_non_null(strstr(r.body, "/bin/echo"));
	fake_answer(&x->fake, &r, "{\"Result\":0,\"ProcessId\":42}");
	FAKE_UNTIL(&x->fake, o.times);
	assert_true(o.ok);
	assert_int_equal(o.number, 42);

	wait_for(x, &o, 42);
	r = fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	assert_int_equal(r.id, o.id);
	assert_non_null(strstr(r.body, "\"TimeoutInMs\":4294967295"));
	fake_answer(&x->fake, &r, " {\"Result\":0,\"ExitCode\":7}\n");
	FAKE_UNTIL(&x->fake, o.times);
	assert_int_equal(o.number, 7);
}

static void test_signal_resize_shutdown(void **state)
{
	struct fixture *x = *state;
	struct outcome o[3] = { { 0 } };
	struct host_done done[3];
	struct fake_request r;

	for (int i = 0; i < 3; i++)
		done[i] = (struct host_done){ on_plain, &o[i], 0 };
	assert_int_equal(host_signal_process(x->client, "c1", 5, 15, &done[0],
					     NULL, NULL),
			 0);
	assert_int_equal(host_resize_console(x->client, NULL, 5, 24, 80,
					     &done[1], NULL, NULL),
			 0);
	assert_int_equal(
		host_shutdown(x->client, "c1", true, &done[2], NULL, NULL), 0);
	r = fake_expect(&x->fake, WIRE_SIGNAL_PROCESS);
	assert_non_null(strstr(r.body, "\"ContainerId\":\"c1\""));
	assert_non_null(strstr(r.body, "\"Signal\":15"));
	fake_answer(&x->fake, &r, "{\"Result\":0}");
	r = fake_expect(&x->fake, WIRE_RESIZE_CONSOLE);
	assert_non_null(strstr(r.body, "\"Height\":24"));
	assert_non_null(strstr(r.body, "\"Width\":80"));
	fake_answer(&x->fake, &r, "{}");
	r = fake_expect(&x->fake, WIRE_SHUTDOWN_FORCED);
	fake_answer(&x->fake, &r, "{\"Result\":-1070137074}");
	FAKE_UNTIL(&x->fake, o[0].times && o[1].times && o[2].times);
	assert_true(o[0].ok);
	assert_true(o[1].ok);
	assert_int_equal(o[2].failure.hresult, HR_SYSTEM_NOT_FOUND);
}

static void test_loss_is_the_answer_to_a_uvm_shutdown(void **state)
{
	struct fixture *x = *state;
	struct outcome o = { 0 };
	const struct host_done done = { on_plain, &o, 0 };

	assert_int_equal(
		host_shutdown(x->client, NULL, false, &done, NULL, NULL), 0);
	(void)fake_expect(&x->fake, WIRE_SHUTDOWN_GRACEFUL);
	fake_hang_up(&x->fake);
	FAKE_UNTIL(&x->fake, o.times);
	assert_true(o.ok);
}

static void test_thousand_calls_in_any_order(void **state)
{
	static struct outcome o[MANY];
	static uint64_t id[MANY];
	struct fixture *x = *state;
	char body[64];

	for (int i = 0; i < MANY; i++)
		dump(x, &o[i], 0);
	for (int i = 0; i < MANY; i++) {
		id[i] = fake_expect(&x->fake, WIRE_DUMP_STACKS).id;
		assert_int_equal(id[i], o[i].id);
	}
	for (int i = MANY; i-- > 0;) {
		const int at = (i * 7919) % MANY; /* a permutation */

		(void)snprintf(body, sizeof(body), "{\"GuestStacks\":\"%d\"}",
			       at);
		fake_send(&x->fake, 0x20100c01, id[at], body);
	}
	for (int i = 0; i < MANY; i++) {
		FAKE_UNTIL(&x->fake, o[i].times);
		assert_true(o[i].ok);
		assert_int_equal(atoi(o[i].text), i);
	}
}

static void test_number_of_calls_is_bounded(void **state)
{
	struct fixture *x = *state;
	struct err e = { 0 };
	int n = 0;

	while (host_wait_for_process(x->client, NULL, 1, MSG_WAIT_FOREVER, NULL,
				     NULL, &e) == 0)
		assert_true(++n <= (int)HOST_CALLS_MAX);
	assert_int_equal(n, HOST_CALLS_MAX);
	assert_int_equal(e.code, ENOBUFS);
}

static void test_request_that_fits_no_frame_is_refused(void **state)
{
	static char line[WIRE_HOST_FRAME_MAX + 1];
	const struct msg_process_parameters parameters = {
		.command_line = line,
	};
	const uint32_t port[MSG_STDIO] = { 0 };
	struct fixture *x = *state;
	struct err e = { 0 };

	memset(line, 'x', sizeof(line) - 1);
	assert_int_equal(host_execute_process(x->client, NULL, &parameters,
					      port, NULL, NULL, &e),
			 -E2BIG);
	assert_alive(x);
}

static void test_ids_can_be_raised(void **state)
{
	struct fixture *x = *state;

	host_client_raise_id(x->client, 1000);
	host_client_raise_id(x->client, 10);
	assert_int_equal(host_client_next_id(x->client), 1000);
	assert_alive(x);
	assert_int_equal(host_client_next_id(x->client), 1001);
}

/* --- notices of ferry's own ------------------------------------------------ */

static void test_out_of_memory_is_told(void **state)
{
	static const char *const harmless[] = {
		"{}", "{\"ContainerId\":\"c1\",\"Count\":0}",
		"{\"ContainerId\":\"c1\",\"Count\":-1}", "no JSON"
	};
	struct fixture *x = *state;

	for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
		fake_send(&x->fake, WIRE_FERRY_OUT_OF_MEMORY, 0, harmless[i]);
	fake_send(&x->fake, WIRE_FERRY_OUT_OF_MEMORY, 0,
		  "{\"ContainerId\":\"c1\",\"ActivityId\":"
		  "\"00000000-0000-0000-0000-000000000000\",\"Count\":3}");
	FAKE_UNTIL(&x->fake, x->ooms > 0);
	assert_int_equal(x->ooms, 1);
	assert_string_equal(x->oom_of, "c1");
	assert_int_equal(x->oom_kills, 3);
	assert_int_equal(x->notices, 0);
	assert_int_equal(host_client_state(x->client), HOST_READY);
}

/* --- observers ------------------------------------------------------------- */

struct leaver {
	struct host_observer self;
	struct host_observer *other;
	int heard;
};

static void leave(void *ctx, const struct err *why)
{
	struct leaver *l = ctx;

	(void)why;
	l->heard++;
	host_client_unobserve(&l->self);
	host_client_unobserve(l->other);
}

static void test_observers_may_leave_in_a_callback(void **state)
{
	struct fixture *x = *state;
	struct leaver a = { .self = { .lost = leave } };
	struct leaver b = { .self = { .lost = leave } };

	a.self.ctx = &a;
	a.other = &b.self;
	b.self.ctx = &b;
	b.other = &a.self;
	host_client_observe(x->client, &a.self);
	host_client_observe(x->client, &b.self);
	fake_hang_up(&x->fake);
	FAKE_UNTIL(&x->fake, x->lost == 1);
	assert_int_equal(a.heard + b.heard, 1);
	(void)fake_connect(&x->fake);
	FAKE_UNTIL(&x->fake, x->ready == 2);
	fake_hang_up(&x->fake);
	FAKE_UNTIL(&x->fake, x->lost == 2);
	assert_int_equal(a.heard + b.heard, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE(test_negotiation),
		BARE(test_no_call_before_negotiation),
		T(test_execute_and_wait),
		T(test_signal_resize_shutdown),
		T(test_loss_is_the_answer_to_a_uvm_shutdown),
		T(test_thousand_calls_in_any_order),
		T(test_number_of_calls_is_bounded),
		T(test_request_that_fits_no_frame_is_refused),
		T(test_ids_can_be_raised),
		T(test_out_of_memory_is_told),
		T(test_observers_may_leave_in_a_callback),
	};

	return cmocka_run_group_tests_name("host client", tests, NULL, NULL);
}
