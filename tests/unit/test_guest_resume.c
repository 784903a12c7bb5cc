/*
 * tests/unit/test_guest_resume.c - connections that end at every moment, and
 * what the agent does with the answers that it still owes
 */
#include "tests/unit/guest_peer.h"

#include <dirent.h>

#include "bridge/guest/link.h"

/* A process that ends with @code when the file descriptor @in is closed. */
static uint32_t start_held(struct peer *p, int code, int *in)
{
	char line[64];
	struct peer_exec x = { .line = line, .want = { true, false, false } };

	(void)snprintf(line, sizeof(line), "read a; exit %d", code);
	peer_exec(p, &x);
	*in = x.fd[0];
	return x.pid;
}

static void negotiate_as(struct peer *p, uint64_t id)
{
	p->next_id = id;
	peer_negotiate(p);
}

static uint64_t send_wait(struct peer *p, uint32_t pid)
{
	return peer_send(p, WIRE_WAIT_FOR_PROCESS,
			 peer_wait_body(pid, UINT32_MAX));
}

static unsigned int agent_fds(const struct peer *p)
{
	unsigned int n = 0;
	char path[64];
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)p->agent);
	d = opendir(path);
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void test_delays_of_redialling(void **state)
{
	static const int64_t first[] = { 0, 1, 2, 4, 8, 10, 10 };

	(void)state;
	for (unsigned int i = 0; i < ARRAY_LEN(first); i++)
		assert_int_equal(link_delay_ms(i, 0), first[i]);
	assert_int_equal(link_delay_ms(3000, LINK_FAST_MS - 1), 10);
	assert_int_equal(link_delay_ms(3000, LINK_FAST_MS), 100);
	assert_int_equal(link_delay_ms(UINT32_MAX, INT64_MAX), 100);
	assert_int_equal(link_delay_ms(2, LINK_FAST_MS), 2);
}

/* W-G3: a wait that is answered while nobody is connected kills the reference.
 * A host that goes on counting its ids is the same host: it gets the answer. */
static void test_w_g3_an_answer_without_a_host_is_kept(void **state)
{
	struct peer *p = *state;
	struct peer_frame f;
	uint64_t wait;
	uint32_t pid;
	int in;

	pid = start_held(p, 7, &in);
	wait = send_wait(p, pid);
	fd_close(&p->listener);
	transport_unlink(&p->transport, WIRE_PORT_BRIDGE);
	peer_drop(p, false);
	fd_close(&in);
	(void)poll(NULL, 0, 300); /* it ends, and is owed */
	assert_true(peer_agent_lives(p));
	assert_int_equal(transport_listen(&p->transport, WIRE_PORT_BRIDGE, 64,
					  &p->listener, &(struct err){ 0 }),
			 0);
	peer_accept(p);
	/* Not before the version is agreed on. */
	assert_false(peer_ready(p->fd, POLLIN, 100));
	negotiate_as(p, 100);
	peer_answer(p, wait, &f);
	assert_int_equal(peer_number(&f, "ExitCode"), 7);
}

/* A dial that was answered just before the UVM moved has no other end. One that
 * speaks, however slowly, has. */
static void test_hazard_10_a_connection_without_a_host_is_given_up(void **state)
{
	struct peer *p = *state;
	struct peer_frame f;
	int mute;

	p->events = true;
	peer_drop(p, true);
	peer_accept(p);
	negotiate_as(p, 1);
	peer_drop(p, false);
	peer_accept(p);
	mute = p->fd;
	peer_accept(p); /* the agent dials by itself */
	negotiate_as(p, 2);
	assert_false(peer_ready(p->fd, POLLIN, 2 * AGENT_SILENCE_FERRY_MS));
	assert_int_equal(peer_call(p, WIRE_START, peer_base(WIRE_NULL_ID), &f),
			 HR_OK);
	fd_close(&mute);
}

/* A host that begins at id 0 is a new one: it would close its bridge on an
 * answer that it did not ask for. It asks again. */
static void test_a_new_host_gets_no_old_answer(void **state)
{
	struct peer *p = *state;
	struct peer_frame f;
	uint32_t pid;
	int in;

	pid = start_held(p, 7, &in);
	p->next_id = 40;
	send_wait(p, pid);
	peer_drop(p, true);
	fd_close(&in);
	peer_accept(p);
	peer_negotiate(p);
	assert_int_equal(peer_wait(p, pid), 7);
	assert_int_equal(peer_call(p, WIRE_START, peer_base(WIRE_NULL_ID), &f),
			 HR_OK);
}

/* The same when the process ends only after the new host is there. */
static void test_an_old_wait_is_not_answered_to_a_new_host(void **state)
{
	struct peer *p = *state;
	struct peer_frame f;
	uint64_t wait;
	uint32_t pid;
	int in;

	pid = start_held(p, 9, &in);
	p->next_id = 50;
	send_wait(p, pid);
	peer_drop(p, true);
	peer_accept(p);
	peer_negotiate(p);
	wait = send_wait(p, pid);
	fd_close(&in);
	peer_answer(p, wait, &f);
	assert_int_equal(peer_number(&f, "ExitCode"), 9);
	assert_false(peer_ready(p->fd, POLLIN, 200));
}

/* A new host whose first version was refused is still a new host. */
static void test_a_new_host_is_known_by_its_first_frame(void **state)
{
	struct peer *p = *state;
	struct peer_frame f;
	uint32_t pid;
	int in;

	pid = start_held(p, 9, &in);
	p->next_id = 50;
	send_wait(p, pid);
	peer_drop(p, true);
	fd_close(&in);
	peer_accept(p);
	assert_int_equal(peer_call(p, WIRE_NEGOTIATE_PROTOCOL,
				   "{\"MinimumVersion\":9,"
				   "\"MaximumVersion\":9}",
				   &f),
			 HR_UNSUPPORTED_VERSION);
	peer_negotiate(p); /* id 1 */
	assert_false(peer_ready(p->fd, POLLIN, 200));
	assert_int_equal(peer_wait(p, pid), 9);
}

/* W-G33: an id that the host uses again is answered once. */
static void test_w_g33_an_id_used_again_is_answered_once(void **state)
{
	struct peer *p = *state;
	struct peer_frame f;
	uint64_t wait;
	uint32_t pid;
	int in;

	pid = start_held(p, 9, &in);
	wait = send_wait(p, pid);
	peer_drop(p, false);
	peer_accept(p);
	negotiate_as(p, wait + 1);
	peer_send_id(p, WIRE_START, wait, peer_base(WIRE_NULL_ID));
	peer_answer(p, wait, &f);
	assert_int_equal(f.type, wire_response_type(WIRE_START));
	fd_close(&in);
	assert_int_equal(peer_wait(p, pid), 9);
	assert_false(peer_ready(p->fd, POLLIN, 200));
}

/* The next answers are those to @id, about the version, and to a later Start:
 * no second one to @id is between them or behind. */
static void negotiate_over(struct peer *p, uint64_t id)
{
	struct peer_frame f;

	negotiate_as(p, id);
	assert_int_equal(peer_call(p, WIRE_START, peer_base(WIRE_NULL_ID), &f),
			 HR_OK);
	assert_false(peer_ready(p->fd, POLLIN, 200));
}

/* A second answer to the id of NegotiateProtocol itself: an answer was held. */
static void test_the_id_of_negotiation_has_no_held_answer(void **state)
{
	struct peer *p = *state;
	int in;

	p->next_id = 21;
	send_wait(p, start_held(p, 1, &in));
	p->next_id--; /* the wait's id, again */
	peer_drop(p, false);
	fd_close(&in);
	(void)poll(NULL, 0, 300); /* it ends, and is owed */
	peer_accept(p);
	negotiate_over(p, p->next_id);
}

/* The same with a request that is still waiting. */
static void test_the_id_of_negotiation_has_no_live_request(void **state)
{
	struct peer *p = *state;
	uint32_t pid;
	int in;

	pid = start_held(p, 1, &in);
	p->next_id = 31;
	send_wait(p, pid);
	peer_drop(p, false);
	peer_accept(p);
	negotiate_over(p, 31);
	fd_close(&in);
	assert_int_equal(peer_wait(p, pid), 1);
	assert_false(peer_ready(p->fd, POLLIN, 200));
}

/* The same with a request that is refused before there is a version. */
static void test_the_id_of_a_refused_request_has_no_held_answer(void **state)
{
	struct peer *p = *state;
	struct peer_frame f;
	uint64_t wait;
	int in;

	wait = send_wait(p, start_held(p, 1, &in));
	peer_drop(p, false);
	fd_close(&in);
	(void)poll(NULL, 0, 300);
	peer_accept(p);
	p->next_id = wait;
	assert_int_equal(peer_call(p, WIRE_START, peer_base(WIRE_NULL_ID), &f),
			 HR_NOT_IMPLEMENTED);
	negotiate_over(p, 400);
}

/* W-G7, W-G8: nothing is sent to a host that has not negotiated. */
static void test_w_g7_w_g8_held_answers_wait_for_negotiation(void **state)
{
	struct peer *p = *state;
	struct peer_frame f;
	uint64_t wait;
	int in;

	wait = send_wait(p, start_held(p, 1, &in));
	peer_drop(p, false);
	peer_accept(p);
	fd_close(&in);
	p->next_id = 200;
	assert_int_equal(peer_call(p, WIRE_START, peer_base(WIRE_NULL_ID), &f),
			 HR_NOT_IMPLEMENTED);
	assert_false(peer_ready(p->fd, POLLIN, 200));
	peer_negotiate(p);
	peer_answer(p, wait, &f);
	assert_int_equal(peer_number(&f, "ExitCode"), 1);
}

/* W-G6: what was not written whole is sent again, whole. */
static void test_w_g6_unsent_answers_are_kept(void **state)
{
	enum { N = 3000 };
	struct peer *p = *state;
	unsigned int n = 0;
	struct peer_frame f;

	/* More answers than the socket takes, none of them read. */
	for (unsigned int i = 0; i < N; i++)
		peer_send(p, WIRE_GET_PROPERTIES, peer_base("x"));
	peer_drop(p, false);
	peer_accept(p);
	/* The host cannot know which of them were lost on the way; those
	 * that come are among those that it waits for, each once. */
	negotiate_as(p, 60000);
	peer_send_id(p, WIRE_START, 60001, peer_base("x"));
	do {
		assert_true(peer_recv(p, &f));
		n++;
	} while (f.id != 60001);
	assert_true(n > 1);
}

/* W-G4: reader and writer that fail together. */
static void test_w_g4_connections_cut_with_answers_in_flight(void **state)
{
	struct peer *p = *state;

	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < 50; i++)
			peer_send(p, WIRE_START, peer_base("x"));
		peer_drop(p, true);
		peer_accept(p);
		peer_negotiate(p);
	}
}

/* W-G11: the reference leaks with every reconnect. FERRY_SOAK has ten times as
 * many. */
static void test_w_g11_a_thousand_reconnects_cost_nothing(void **state)
{
	struct peer *p = *state;
	const int rounds = getenv("FERRY_SOAK") ? 10100 : 1100;
	unsigned int fds = 0;
	long kib = 0;
	int in;
	uint32_t pid = start_held(p, 3, &in);

	for (int round = 0; round < rounds; round++) {
		if (round == 100) {
			fds = agent_fds(p);
			kib = peer_agent_kib(p);
		}
		send_wait(p, pid);
		peer_drop(p, round % 2 == 0);
		peer_accept(p);
		if (round % 2 == 0)
			peer_negotiate(p);
		else
			negotiate_as(p, 1000);
	}
	assert_int_equal(agent_fds(p), fds);
	assert_true(peer_agent_kib(p) < kib + 512);
	peer_drop(p, true);
	peer_accept(p);
	peer_negotiate(p);
	fd_close(&in);
	assert_int_equal(peer_wait(p, pid), 3);
}

/* --- a session cut at every byte ------------------------------------------- */

#define SESSION_IDS 5
#define SESSION_WAIT 1

/* negotiate, wait, start, broken JSON, unknown type; ids 0 to 4 */
static size_t session_record(uint8_t *out, size_t ends[SESSION_IDS],
			     uint32_t pid)
{
	const struct {
		uint32_t type;
		const char *body;
	} frames[SESSION_IDS] = {
		{ WIRE_NEGOTIATE_PROTOCOL,
		  "{\"MinimumVersion\":4,\"MaximumVersion\":4}\n" },
		{ WIRE_WAIT_FOR_PROCESS, peer_wait_body(pid, UINT32_MAX) },
		{ WIRE_START, peer_base("x") },
		{ WIRE_SIGNAL_PROCESS, "{" },
		{ WIRE_UPDATE_CONTAINER, "{}" },
	};
	size_t n = 0;

	for (unsigned int i = 0; i < SESSION_IDS; i++) {
		n += peer_frame_put(out + n, frames[i].type, i, frames[i].body);
		ends[i] = n;
	}
	return n;
}

/* The answers to what arrived whole; the wait's is none of them. */
static void read_answers(const struct peer *p, size_t whole)
{
	const size_t want = whole - (whole > SESSION_WAIT ? 1 : 0);
	struct peer_frame f;

	for (size_t i = 0; i < want; i++) {
		assert_true(peer_recv(p, &f));
		assert_int_not_equal(f.id, SESSION_WAIT);
		assert_in_range(f.id, 0, whole - 1);
	}
}

static void cut_at(struct peer *p, size_t cut, bool same_host)
{
	uint8_t session[2048];
	size_t ends[SESSION_IDS], total, whole = 0;
	struct peer_frame f;
	uint32_t pid;
	int in;

	pid = start_held(p, 21, &in);
	total = session_record(session, ends, pid);
	assert_true(cut <= total);
	peer_drop(p, true);
	peer_accept(p);
	while (whole < SESSION_IDS && ends[whole] <= cut)
		peer_waiting[whole++] = true;
	peer_write(p, session, cut);
	assert_int_equal(shutdown(p->fd, SHUT_WR), 0);
	read_answers(p, whole);
	assert_false(peer_recv(p, &f)); /* and then the end */
	peer_drop(p, !same_host);

	peer_accept(p);
	negotiate_as(p, same_host ? 1000 : 0);
	if (same_host && whole > SESSION_WAIT) {
		fd_close(&in);
		peer_answer(p, SESSION_WAIT, &f);
		assert_int_equal(peer_number(&f, "ExitCode"), 21);
	} else {
		fd_close(&in);
		assert_int_equal(peer_wait(p, pid), 21);
	}
	assert_int_equal(peer_call(p, WIRE_START, peer_base("x"), &f), HR_OK);
}

static size_t session_size(void)
{
	uint8_t session[2048];
	size_t ends[SESSION_IDS];

	return session_record(session, ends, 1234567);
}

static void test_cut_at_every_byte_then_the_same_host(void **state)
{
	for (size_t cut = 0; cut + 16 < session_size(); cut++)
		cut_at(*state, cut, true);
}

static void test_cut_at_every_byte_then_a_new_host(void **state)
{
	for (size_t cut = 0; cut + 16 < session_size(); cut++)
		cut_at(*state, cut, false);
}

/* The other direction: the host reads @cut bytes of the answers and is gone. */
static void cut_answers_at(struct peer *p, size_t cut)
{
	uint8_t session[2048], read_away[4096];
	size_t ends[SESSION_IDS], total;
	struct peer_frame f;
	uint32_t pid;
	int in;

	pid = start_held(p, 22, &in);
	total = session_record(session, ends, pid);
	peer_drop(p, true);
	peer_accept(p);
	peer_write(p, session, total);
	assert_int_equal(peer_read(p->fd, read_away, cut), cut);
	peer_drop(p, true);
	/* The wait is outstanding; of the others only those come that the
	 * agent could not send any more, and not the one about the version. */
	peer_accept(p);
	negotiate_as(p, 1000);
	for (unsigned int i = SESSION_WAIT; i < SESSION_IDS; i++)
		peer_waiting[i] = true;
	fd_close(&in);
	do {
		assert_true(peer_recv(p, &f));
	} while (f.id != SESSION_WAIT);
	assert_int_equal(peer_number(&f, "ExitCode"), 22);
}

static void test_answers_cut_at_every_byte(void **state)
{
	struct peer *p = *state;

	/* The four answers have more than 800 bytes. */
	for (size_t cut = 0; cut < 800; cut += 3)
		cut_answers_at(p, cut);
}

static void test_the_agent_waits_for_its_first_host(void **state)
{
	struct peer p;

	(void)state;
	peer_init(&p);
	fd_close(&p.listener);
	transport_unlink(&p.transport, WIRE_PORT_BRIDGE);
	peer_start_agent(&p);
	(void)poll(NULL, 0, 200);
	assert_true(peer_agent_lives(&p));
	assert_int_equal(transport_listen(&p.transport, WIRE_PORT_BRIDGE, 64,
					  &p.listener, &(struct err){ 0 }),
			 0);
	peer_accept(&p);
	peer_negotiate(&p);
	peer_done(&p);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, peer_set_up, peer_tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delays_of_redialling),
		TEST(test_w_g3_an_answer_without_a_host_is_kept),
		TEST(test_hazard_10_a_connection_without_a_host_is_given_up),
		TEST(test_a_new_host_gets_no_old_answer),
		TEST(test_an_old_wait_is_not_answered_to_a_new_host),
		TEST(test_a_new_host_is_known_by_its_first_frame),
		TEST(test_w_g33_an_id_used_again_is_answered_once),
		TEST(test_the_id_of_negotiation_has_no_held_answer),
		TEST(test_the_id_of_negotiation_has_no_live_request),
		TEST(test_the_id_of_a_refused_request_has_no_held_answer),
		TEST(test_w_g7_w_g8_held_answers_wait_for_negotiation),
		TEST(test_w_g6_unsent_answers_are_kept),
		TEST(test_w_g4_connections_cut_with_answers_in_flight),
		TEST(test_w_g11_a_thousand_reconnects_cost_nothing),
		TEST(test_cut_at_every_byte_then_the_same_host),
		TEST(test_cut_at_every_byte_then_a_new_host),
		TEST(test_answers_cut_at_every_byte),
		cmocka_unit_test(test_the_agent_waits_for_its_first_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
