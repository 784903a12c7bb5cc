/* tests/unit/test_guest_session.c - the agent's end of FerryResume */
#include "tests/unit/session_peer.h"

#include <limits.h>
#include <sys/ioctl.h>

#include "bridge/frame.h"
#include "bridge/msg_ferry.h"
#include "bridge/outbox.h"
#include "bridge/session.h"
#include "config/arena.h"

static void test_a_session_goes_on(void **state UNUSED)
{
	join();
	(void)put(WIRE_SIGNAL_PROCESS, peer_signal_body(1, 9));
	write_out();
	take_until(1);
	cut();
	join();
	assert_int_equal(host.out.acked, 1);
	(void)put(WIRE_SIGNAL_PROCESS, peer_signal_body(1, 9));
	write_out();
	take_until(2);
}

/* The answer left the agent and was never read: it comes again, once. */
static void test_w_g6_an_unread_answer_comes_again(void **state UNUSED)
{
	int unread = 0;

	join();
	(void)put(WIRE_SIGNAL_PROCESS, peer_signal_body(1, 9));
	write_out();
	for (int i = 0; unread < 100 && i < PEER_WAIT_MS; i++) {
		(void)poll(NULL, 0, 1);
		assert_int_equal(ioctl(host.peer->fd, FIONREAD, &unread), 0);
	}
	cut();
	join();
	take_until(1);
	cut();
	join();
	assert_false(peer_ready(host.peer->fd, POLLIN, 100));
}

static uint32_t execute(struct peer_exec *x)
{
	struct frame f;
	struct msg_execute_process_result m;

	(void)put(WIRE_EXECUTE_PROCESS, peer_exec_body(host.peer, x));
	write_out();
	assert_true(next_frame(&f));
	arena_reset(&arena);
	assert_int_equal(msg_decode(&msg_execute_process_result_schema, f.body,
				    f.len, &arena, &m, NULL),
			 0);
	assert_int_equal(m.base.result, 0);
	take_frame(&f);
	return m.process_id;
}

/* A question that the host has given up is answered all the same, behind a cut: it
 * does not take the exit from the next one. */
static void test_every_wait_has_the_exit(void **state UNUSED)
{
	struct peer_exec x = { .line = "exit 7" };
	struct frame f;
	uint32_t pid;

	join();
	pid = execute(&x);
	for (int i = 0; i < 3; i++) {
		host.wait_code = -1;
		host.wait_id = put(WIRE_WAIT_FOR_PROCESS,
				   peer_wait_body(pid, UINT32_MAX));
		write_out();
		while (host.wait_code < 0) {
			assert_true(next_frame(&f));
			take_frame(&f);
		}
		assert_int_equal(host.wait_code, 7);
	}
}

/* The exit happens while nobody is there; two more connections fail. */
static void test_a_wait_is_answered_behind_a_gap(void **state UNUSED)
{
	struct peer_exec x = { .line = "sleep 0.3; exit 7" };
	struct frame f;
	uint32_t pid;

	join();
	pid = execute(&x);
	host.wait_id =
		put(WIRE_WAIT_FOR_PROCESS, peer_wait_body(pid, UINT32_MAX));
	(void)put(WIRE_SIGNAL_PROCESS, peer_signal_body(1, 9));
	write_out();
	host.answered = host.wait_id;
	take_until(host.wait_id + 2);
	cut();
	for (int i = 0; i < 2; i++) {
		accept_bridge();
		cut();
	}
	join();
	while (host.wait_code < 0) {
		assert_true(next_frame(&f));
		take_frame(&f);
	}
	assert_int_equal(host.wait_code, 7);
}

static void test_random_cuts(void **state UNUSED)
{
	const int cuts = getenv("FERRY_SOAK") ? 10 * CUTS : CUTS;
	struct frame f;

	for (int i = 0; i < cuts; i++) {
		join();
		for (uint32_t n = pick(12);
		     n > 0 && outbox_room(&host.out) > 8192; n--)
			ask();
		write_some(pick(4) == 0 ? 30000 : pick(2000), UINT_MAX);
		for (uint32_t n = pick(8);
		     n > 0 && outbox_unsent(&host.out) == 0 &&
		     host.answered < host.out.put;
		     n--) {
			if (!next_frame(&f))
				break;
			take_frame(&f);
			if (session_in_due(&host.in))
				acknowledge();
		}
		cut();
	}
	join();
	while (host.answered < host.out.put) {
		/* Who only writes stops himself: read in between. */
		write_some(SIZE_MAX, 100);
		take_until(host.out.wired);
	}
	for (int i = 0; lines_of("ran") < host.execs && i < PEER_WAIT_MS / 10;
	     i++)
		(void)poll(NULL, 0, 10);
	(void)poll(NULL, 0, 50);
	assert_int_equal(lines_of("ran"), host.execs);
	assert_true(host.execs > 100);
}

/* What cannot be true ends the session; the next hello gets a new one. */
static void expect_refused(const struct claim *claim)
{
	struct msg_negotiate_result m;
	uint8_t id[SESSION_ID_BYTES];

	join();
	(void)put(WIRE_SIGNAL_PROCESS, peer_signal_body(1, 9));
	write_out();
	take_until(1);
	acknowledge();
	(void)put(WIRE_SIGNAL_PROCESS, peer_signal_body(1, 9));
	write_out();
	take_until(2);
	cut();
	accept_bridge();
	send_hello(0, claim);
	assert_false(take_welcome(&m));
	assert_true(strstr(host.error, "Ferry.Received") != NULL ||
		    strstr(host.error, "Ferry.Sent") != NULL);
	send_hello(1, claim);
	assert_true(take_welcome(&m));
	assert_true(session_unhex(m.ferry->session, id, sizeof(id)));
	assert_memory_not_equal(id, host.session.id, sizeof(id));
	assert_int_equal(m.ferry->received, 0);
}

static void test_more_received_than_sent(void **state UNUSED)
{
	expect_refused(&(struct claim){ .received = 3, .sent = 2 });
}

static void test_less_received_than_acknowledged(void **state UNUSED)
{
	expect_refused(&(struct claim){ .received = 0, .sent = 2 });
}

static void test_less_sent_than_came(void **state UNUSED)
{
	expect_refused(&(struct claim){ .received = 2, .sent = 1 });
}

static void
test_an_impossible_acknowledgement_ends_the_connection(void **state UNUSED)
{
	struct frame f;

	join();
	host.in.taken = 9;
	acknowledge();
	assert_false(next_frame(&f));
	host.in.taken = 0;
	cut();
	join(); /* the session is whole */
}

static void test_another_session_is_a_new_one(void **state UNUSED)
{
	struct msg_negotiate_result m;
	const struct claim none = { 0 };

	join();
	(void)put(WIRE_SIGNAL_PROCESS, peer_signal_body(1, 9));
	write_out();
	take_until(1);
	cut();
	host.session.id[0] ^= 1;
	accept_bridge();
	send_hello(0, &none);
	assert_true(take_welcome(&m));
	assert_int_equal(m.ferry->received, 0);
	assert_string_not_equal(m.ferry->key, "");
	/* Nothing of the old one is sent. */
	assert_false(peer_ready(host.peer->fd, POLLIN, 100));
}

/* Not one byte more for a host that does not know the capability. */
static void test_a_plain_host_sees_nothing_of_it(void **state UNUSED)
{
	struct peer_frame f;

	join();
	cut();
	accept_bridge();
	host.peer->next_id = 0;
	assert_int_equal(peer_call(host.peer, WIRE_NEGOTIATE_PROTOCOL,
				   "{\"ContainerId\":\"\",\"MinimumVersion\":4,"
				   "\"MaximumVersion\":4}",
				   &f),
			 HR_OK);
	assert_null(strstr(f.body, "Ferry"));
	(void)peer_call(host.peer, WIRE_SIGNAL_PROCESS, peer_signal_body(1, 9),
			&f);
	assert_false(peer_ready(host.peer->fd, POLLIN, 1500));
}

static void test_heartbeat_and_silence(void **state UNUSED)
{
	const struct claim fast = { .more = ",\"HeartbeatMs\":250" };
	struct msg_negotiate_result m;
	struct frame f;
	int beats = 0;

	accept_bridge();
	send_hello(0, &fast);
	assert_true(take_welcome(&m));
	/* We say nothing: it beats, then gives the connection up. */
	while (next_frame(&f)) {
		assert_int_equal(f.header.type, WIRE_FERRY_RECEIVED);
		beats++;
	}
	assert_in_range(beats, 2, SESSION_HEARTBEATS_LOST);
	cut();
	accept_bridge(); /* and dials again */
}

/* Requests in one go, and more than 16 MiB of their answers. */
#define UNACKNOWLEDGED 32
#define UNACKNOWLEDGED_MAX 200000

/* What it holds has a bound. The next negotiation acknowledges, and nothing is
 * lost. */
static void
test_a_host_that_acknowledges_nothing_is_hung_up_on(void **state UNUSED)
{
	bool on = true;
	struct frame f;

	join();
	while (on) {
		assert_true(host.answered < UNACKNOWLEDGED_MAX);
		for (int i = 0; i < UNACKNOWLEDGED; i++)
			(void)put(WIRE_DUMP_STACKS, "{}");
		write_out();
		while (on && host.answered < host.out.put) {
			on = next_frame(&f);
			if (on)
				take_frame(&f);
		}
	}
	cut();
	join();
	session_in_told(&host.in);
	write_out();
	take_until(host.out.put);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_a_session_goes_on),
		T(test_w_g6_an_unread_answer_comes_again),
		T(test_every_wait_has_the_exit),
		T(test_a_wait_is_answered_behind_a_gap),
		T(test_random_cuts),
		T(test_more_received_than_sent),
		T(test_less_received_than_acknowledged),
		T(test_less_sent_than_came),
		T(test_an_impossible_acknowledgement_ends_the_connection),
		T(test_another_session_is_a_new_one),
		T(test_a_plain_host_sees_nothing_of_it),
		T(test_heartbeat_and_silence),
		T(test_a_host_that_acknowledges_nothing_is_hung_up_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
