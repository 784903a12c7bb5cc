/*
 * tests/unit/test_guest_barrier.c - what the agent sets right before it serves
 * anybody behind a move; bridge/guest/fixup.h
 */
#include "tests/unit/session_peer.h"

#include <limits.h>
#include <time.h>

#include "bridge/frame.h"
#include "bridge/guest/fixup.h"
#include "bridge/msg_ferry.h"

static bool hello_with_fixup(const char *entropy, uint64_t time_ns, bool plain,
			     struct msg_negotiate_result *m)
{
	char more[2048];
	struct claim claim = { .received = host.in.taken,
			       .sent = host.out.put,
			       .more = more };

	(void)snprintf(more, sizeof(more),
		       ",\"Fixup\":{\"Entropy\":\"%s\",\"TimeNs\":%" PRIu64
		       ",\"Announce\":true}%s",
		       entropy, time_ns, plain ? ",\"Plain\":true" : "");
	send_hello(host.peer->next_id++, &claim);
	return take_welcome(m);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void test_the_barrier_refuses_what_makes_no_sense(void **state UNUSED)
{
	char entropy[2 * (FIXUP_ENTROPY_MAX + 1) + 1];
	struct msg_negotiate_result m;

	memset(entropy, 'a', sizeof(entropy) - 1);
	entropy[sizeof(entropy) - 1] = '\0';
	accept_bridge();
	assert_false(hello_with_fixup("", now_ns(), false, &m));
	assert_non_null(strstr(host.error, "Ferry.Fixup.Entropy"));
	assert_false(hello_with_fixup(entropy, now_ns(), false, &m));
	assert_non_null(strstr(host.error, "Ferry.Fixup.Entropy"));
	entropy[(size_t)2 * FIXUP_ENTROPY_MIN] = '\0';
	entropy[3] = 'g';
	assert_false(hello_with_fixup(entropy, now_ns(), false, &m));
	assert_non_null(strstr(host.error, "Ferry.Fixup.Entropy"));
	entropy[3] = 'a';
	assert_false(hello_with_fixup(entropy, 0, false, &m));
	assert_non_null(strstr(host.error, "Ferry.Fixup.TimeNs"));
	assert_false(hello_with_fixup(entropy, UINT64_MAX, false, &m));
	assert_non_null(strstr(host.error, "Ferry.Fixup.TimeNs"));
}

/* Credited, or nobody is served: who may not reseed fails closed. */
static void test_the_barrier_is_closed_or_passed(void **state UNUSED)
{
	char entropy[2 * FIXUP_ENTROPY_MAX + 1];
	struct msg_negotiate_result m;
	struct frame f;

	memset(entropy, '5', sizeof(entropy) - 1);
	entropy[sizeof(entropy) - 1] = '\0';
	accept_bridge();
	if (hello_with_fixup(entropy, now_ns(), false, &m)) {
		assert_non_null(m.ferry->fixed);
		assert_true(m.ferry->fixed->credited);
		assert_int_equal(m.ferry->fixed->clock_step_ms, 0);
		assert_int_equal(m.ferry->fixed->announced, 0);
		/* The barrier alone: of a session not a word. */
		cut();
		accept_bridge();
		assert_true(hello_with_fixup(entropy, now_ns(), true, &m));
		assert_true(m.ferry->fixed->credited);
		assert_string_equal(m.ferry->session, "");
		assert_string_equal(m.ferry->key, "");
		assert_false(peer_ready(host.peer->fd, POLLIN, 1500));
		return;
	}
	assert_non_null(strstr(host.error, "RND"));
	(void)put(WIRE_SIGNAL_PROCESS, peer_signal_body(1, 9));
	write_out();
	assert_true(next_frame(&f));
	assert_non_null(memmem(f.body, f.len, "no version negotiated", 21));
}

static void test_when_the_clock_is_set(void **state UNUSED)
{
	assert_false(fixup_is_step(0));
	assert_false(fixup_is_step(10000000)); /* behind: no harm in a step */
	assert_true(fixup_is_step(10000001));
	assert_false(fixup_is_step(-100000000));
	assert_true(fixup_is_step(-100000001));
	assert_true(fixup_is_step(1700000000000000000));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_the_barrier_refuses_what_makes_no_sense),
		T(test_the_barrier_is_closed_or_passed),
		T(test_when_the_clock_is_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
