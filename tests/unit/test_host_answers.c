/*
 * tests/unit/test_host_answers.c - answers and their calls: early, late, unknown or
 * another's (bridge.md W-H*, migration.md L*, W7)
 */
#include "tests/unit/window_fixture.h"

#include "bridge/host/early.h"
#include "bridge/msg_container.h"

/* An answer that nobody asked for is the problem of nobody. */
static void test_w_h4_an_unknown_answer_is_harmless(void **state)
{
	struct fixture *x = *state;

	fake_send(&x->fake, wire_response_type(WIRE_WAIT_FOR_PROCESS), 12345,
		  "{\"Result\":0,\"ExitCode\":1}");
	fake_send(&x->fake, wire_response_type(WIRE_START), 12346,
		  "{\"Result\":0}");
	assert_alive(x);
	assert_int_equal(x->lost, 0);
}

static void test_w_h5_an_answer_of_another_type_completes_nothing(void **state)
{
	struct fixture *x = *state;
	struct fake_request r;
	struct outcome o;

	dump(x, &o, 0);
	r = fake_expect(&x->fake, WIRE_DUMP_STACKS);
	r.type = WIRE_WAIT_FOR_PROCESS;
	fake_answer(&x->fake, &r, "{\"Result\":0,\"ExitCode\":0}");
	FAKE_UNTIL(&x->fake, o.times);
	assert_false(o.ok);
	assert_int_equal(o.failure.kind, HOST_FAIL_GARBLED);
	assert_alive(x);
}

static int preregister(struct fixture *x, uint64_t id, struct outcome *o)
{
	*o = (struct outcome){ 0 };
	return host_preregister_wait(x->client, id, on_waited, o, NULL);
}

static void wait_answer(struct fixture *x, uint64_t id, int code)
{
	char body[64];

	(void)snprintf(body, sizeof(body), "{\"Result\":0,\"ExitCode\":%d}",
		       code);
	fake_send(&x->fake, wire_response_type(WIRE_WAIT_FOR_PROCESS), id,
		  body);
}

/* migration.md W7, for answers: here before anybody registered the call. */
static void test_w7_an_early_answer_is_handed_on(void **state)
{
	struct fixture *x = *state;
	struct outcome o;
	struct outcome p;

	wait_answer(x, 77, 5);
	wait_answer(x, 78, 6);
	assert_alive(x);
	host_client_raise_id(x->client, 500);
	assert_int_equal(preregister(x, 77, &o), 0);
	assert_int_equal(o.times, 0); /* from the loop */
	FAKE_UNTIL(&x->fake, o.times);
	assert_int_equal(o.number, 5);
	/* Below the floor and behind it in time: the same. */
	wait_answer(x, 79, 7);
	assert_alive(x);
	assert_int_equal(preregister(x, 79, &o), 0);
	assert_int_equal(preregister(x, 78, &p), 0);
	FAKE_UNTIL(&x->fake, o.times && p.times);
	assert_int_equal(o.number, 7);
	assert_int_equal(p.number, 6);
}

static void test_w7_what_is_kept_has_a_limit(void **state)
{
	struct fixture *x = *state;
	struct outcome none;
	struct outcome o;

	for (unsigned int i = 0; i < EARLY_ANSWERS_MAX + 10; i++)
		wait_answer(x, 1000 + i, 1);
	assert_alive(x);
	assert_int_equal(preregister(x, 1000 + EARLY_ANSWERS_MAX, &none), 0);
	assert_alive(x);
	assert_int_equal(none.times, 0); /* that one was not kept */
	assert_int_equal(preregister(x, 1000, &o), 0);
	FAKE_UNTIL(&x->fake, o.times);
	host_client_free(mem_take(&x->client));
}

/* An id that this host uses itself never gets another host's answer. */
static void test_w7_an_own_id_drops_what_was_kept(void **state)
{
	struct fixture *x = *state;
	const uint64_t next = host_client_next_id(x->client);
	struct fake_request r;
	struct outcome wait;

	wait_answer(x, next + 1, 200);
	assert_alive(x); /* uses @next */
	wait_for(x, &wait, 42);
	assert_int_equal(wait.id, next + 1);
	r = fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	settle(x);
	assert_int_equal(wait.times, 0);
	fake_answer(&x->fake, &r, "{\"Result\":0,\"ExitCode\":3}");
	FAKE_UNTIL(&x->fake, wait.times);
	assert_int_equal(wait.number, 3);
}

/* A rollback finds its own wait: it stays who it was, and is told once. */
static void test_l22_an_outstanding_id_keeps_its_owner(void **state)
{
	struct fixture *x = *state;
	struct outcome wait;
	struct outcome second;

	wait_for(x, &wait, 42);
	(void)fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);
	assert_int_equal(preregister(x, wait.id, &second), -EEXIST);
	wait_answer(x, wait.id, 4);
	FAKE_UNTIL(&x->fake, wait.times);
	assert_int_equal(wait.number, 4);
	assert_int_equal(second.times, 0);
	assert_int_equal(preregister(x, 0, &second), -EINVAL);
}

/*
 * Without a floor another host's id may lie among our own: it is passed over,
 * and its answer is no proof that the guest has read what we sent before.
 */
static void test_a_foreign_answer_proves_nothing(void **state)
{
	struct fixture *x = *state;
	const uint64_t next = host_client_next_id(x->client);
	struct outcome wait;
	struct outcome other;
	struct outcome o;

	assert_int_equal(preregister(x, next + 1, &o), 0);
	wait_for(x, &wait, 42);
	wait_for(x, &other, 43);
	assert_int_equal(wait.id, next);
	assert_int_equal(other.id, next + 2);
	wait_answer(x, next + 1, 1);
	FAKE_UNTIL(&x->fake, o.times);
	assert_false(host_client_delivered(x->client, wait.id));
	assert_alive(x);
	assert_true(host_client_delivered(x->client, wait.id));
	host_client_free(mem_take(&x->client)); /* before its outcomes */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_w_h4_an_unknown_answer_is_harmless),
		T(test_w_h5_an_answer_of_another_type_completes_nothing),
		T(test_w7_an_early_answer_is_handed_on),
		T(test_w7_what_is_kept_has_a_limit),
		T(test_w7_an_own_id_drops_what_was_kept),
		T(test_l22_an_outstanding_id_keeps_its_owner),
		T(test_a_foreign_answer_proves_nothing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
