/* tests/unit/window_fixture.h - a client in the migration window */
#ifndef FERRY_TESTS_UNIT_WINDOW_FIXTURE_H
#define FERRY_TESTS_UNIT_WINDOW_FIXTURE_H

#include "tests/unit/host_fixture.h"

#include "bridge/host/early.h"
#include "bridge/msg_container.h"

/* What became of a resume. */
struct resumed {
	int times;
	bool ok;
	struct err why;
};

UNUSED static void on_resumed(void *ctx, const struct err *why)
{
	struct resumed *r = ctx;

	r->times++;
	r->ok = why == NULL;
	if (why)
		r->why = *why;
}

UNUSED static void resume(struct fixture *x, struct resumed *r, int timeout_ms)
{
	struct err e = { 0 };

	*r = (struct resumed){ 0 };
	if (host_client_resume(x->client, timeout_ms, on_resumed, r, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(r->times, 0); /* from the loop, never from the call */
}

UNUSED static void blackout(struct fixture *x)
{
	host_client_set_migrating(x->client, true);
	fake_hang_up(&x->fake);
	FAKE_UNTIL(&x->fake, host_client_state(x->client) == HOST_PARKED);
}

/* Turns until nothing more moves. */
UNUSED static void settle(struct fixture *x)
{
	for (int i = 0; i < 20; i++)
		assert_true(loop_turn(x->fake.loop, 1, NULL) >= 0);
}

/* Answers NegotiateProtocol of a connection that was just made. */
UNUSED static uint64_t negotiate(struct fixture *x)
{
	const struct fake_request r =
		fake_expect(&x->fake, WIRE_NEGOTIATE_PROTOCOL);

	fake_answer(&x->fake, &r, FAKE_NEGOTIATED);
	return r.id;
}

/* Answers the question whether the bridge lives. */
UNUSED static void answer_ping(struct fixture *x)
{
	const struct fake_request r =
		fake_expect(&x->fake, WIRE_WAIT_FOR_PROCESS);

	assert_non_null(strstr(r.body, "\"ProcessId\":4294967295"));
	fake_answer(&x->fake, &r, "{\"Result\":-2147023728}");
}

#endif
