/*
 * tests/unit/test_guest_session.c - the agent's end of FerryResume
 *
 * The test is a host that keeps what docs/resume.md tells it to keep, and whose
 * connection is cut behind any byte in either direction.
 */
#include "tests/unit/guest_peer.h"

#include <limits.h>
#include <sys/ioctl.h>
#include <time.h>

#include "bridge/frame.h"
#include "bridge/guest/fixup.h"
#include "bridge/json_decode.h"
#include "bridge/msg_ferry.h"
#include "bridge/outbox.h"
#include "bridge/session.h"
#include "config/arena.h"

#define BOX_BYTES (OUTBOX_HEAD_BYTES + ((size_t)1 << 18))
/* Connections of the random test; FERRY_SOAK has ten times as many. */
#define CUTS 1000
/* A process is started by every such request. */
#define EXEC_EVERY 16

/* What the host keeps of a session, whatever happens to its connections. */
struct host {
	struct peer *peer;
	struct session_id session;
	bool known;
	struct session_in in;
	struct outbox out;
	uint64_t memory[BOX_BYTES / 8];
	struct frame_reader reader;
	uint8_t nonce[SESSION_NONCE_BYTES];
	char error[256]; /* of the last negotiation */
	uint64_t answered;
	uint64_t execs;
	uint64_t wait_id;
	int64_t wait_code;
};

static struct host host;
static struct arena arena;

static int set_up(void **state)
{
	static struct peer p;

	peer_init(&p);
	peer_start_agent(&p);
	memset(&host, 0, sizeof(host));
	host.peer = &p;
	host.wait_id = UINT64_MAX;
	host.wait_code = -1;
	assert_int_equal(outbox_init(&host.out, host.memory, BOX_BYTES, NULL),
			 0);
	frame_init(&host.reader, WIRE_GUEST_FRAME_MAX);
	arena_init(&arena, 1 << 20);
	*state = &p;
	return 0;
}

static int tear_down(void **state)
{
	struct peer *p = *state;

	assert_true(peer_agent_lives(p));
	frame_done(&host.reader);
	arena_done(&arena);
	json_decode_done();
	peer_done(p);
	return 0;
}

/* xorshift64: the same numbers in each run. */
static uint32_t pick(uint32_t below)
{
	static uint64_t state = 88172645463325252ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 33) % below;
}

static void accept_bridge(void)
{
	frame_done(&host.reader);
	frame_init(&host.reader, WIRE_GUEST_FRAME_MAX);
	peer_accept(host.peer);
}

static void cut(void)
{
	fd_close(&host.peer->fd);
}

/* The next frame, with a deadline; what it points to lives until the next. */
static bool next_frame(struct frame *f)
{
	for (;;) {
		struct err e = { 0 };
		void *place;
		size_t room;
		ssize_t n;
		const int got = frame_next(&host.reader, f, &e);

		assert_true(got >= 0);
		if (got > 0)
			return true;
		assert_int_equal(frame_room(&host.reader, &place, &room, &e),
				 0);
		if (!peer_ready(host.peer->fd, POLLIN, PEER_WAIT_MS))
			fail_msg("nothing from the agent");
		n = read(host.peer->fd, place, room);
		if (n <= 0)
			return false;
		frame_commit(&host.reader, (size_t)n);
	}
}

/* --- negotiation --- */

struct claim {
	uint64_t received;
	uint64_t sent;
	const char *more; /* members of Ferry */
};

static void send_hello(uint64_t id, const struct claim *claim)
{
	char nonce[2 * SESSION_NONCE_BYTES + 1];
	char session[2 * SESSION_ID_BYTES + 1];
	char body[4096];
	uint8_t frame[4200];
	int n;

	for (size_t i = 0; i < sizeof(host.nonce); i++)
		host.nonce[i] = (uint8_t)pick(256);
	session_hex(host.nonce, sizeof(host.nonce), nonce);
	session_hex(host.session.id, sizeof(host.session.id), session);
	n = snprintf(body, sizeof(body),
		     "{\"ContainerId\":\"\",\"MinimumVersion\":4,"
		     "\"MaximumVersion\":4,\"Ferry\":{\"Version\":1,"
		     "\"Nonce\":\"%s\"%s",
		     nonce, claim->more ? claim->more : "");
	if (host.known)
		n += snprintf(body + n, sizeof(body) - (size_t)n,
			      ",\"Session\":\"%s\",\"Received\":%" PRIu64
			      ",\"Sent\":%" PRIu64,
			      session, claim->received, claim->sent);
	(void)snprintf(body + n, sizeof(body) - (size_t)n, "}}");
	peer_write(host.peer, frame,
		   peer_frame_put(frame, WIRE_NEGOTIATE_PROTOCOL, id, body));
}

/* Return: true: a session is on */
static bool take_welcome(struct msg_negotiate_result *m)
{
	struct frame f;

	assert_true(next_frame(&f));
	assert_int_equal(f.header.type,
			 wire_response_type(WIRE_NEGOTIATE_PROTOCOL));
	arena_reset(&arena);
	assert_int_equal(msg_decode(&msg_negotiate_result_schema, f.body, f.len,
				    &arena, m, NULL),
			 0);
	(void)snprintf(host.error, sizeof(host.error), "%s",
		       m->base.error_message);
	return m->base.result == 0 && m->ferry;
}

static void expect_proof(const struct msg_ferry_welcome *w)
{
	uint8_t want[DIGEST_BYTES];
	uint8_t got[DIGEST_BYTES];

	assert_true(session_unhex(w->proof, got, sizeof(got)));
	session_proof(&host.session, host.nonce, want);
	assert_memory_equal(got, want, sizeof(want));
}

/* A connection of the session; a new one the first time. */
static void join(void)
{
	const struct claim claim = { .received = host.in.taken,
				     .sent = host.out.put };
	struct msg_negotiate_result m;
	uint8_t id[SESSION_ID_BYTES];

	accept_bridge();
	send_hello(0, &claim);
	assert_true(take_welcome(&m));
	assert_true(m.capabilities.ferry_resume);
	assert_true(session_unhex(m.ferry->session, id, sizeof(id)));
	if (host.known) {
		assert_memory_equal(id, host.session.id, sizeof(id));
		assert_string_equal(m.ferry->key, "");
	} else {
		memcpy(host.session.id, id, sizeof(id));
		assert_true(session_unhex(m.ferry->key, host.session.key,
					  sizeof(host.session.key)));
		host.known = true;
	}
	expect_proof(m.ferry);
	assert_int_equal(outbox_resume(&host.out, m.ferry->received, NULL), 0);
}

/* --- requests --- */

static uint64_t put(uint32_t type, const char *body)
{
	const uint64_t id = host.peer->next_id++;
	uint8_t frame[8192];

	assert_true(strlen(body) < sizeof(frame) - WIRE_HEADER_SIZE);
	assert_int_equal(outbox_put(&host.out, frame,
				    peer_frame_put(frame, type, id, body),
				    NULL),
			 0);
	return id;
}

/* Writes at most @budget bytes, the last of them anywhere in a frame, and at
 * most @frames frames. */
static void write_some(size_t budget, unsigned int frames)
{
	while (frames-- > 0 && budget > 0 && outbox_unsent(&host.out) > 0) {
		uint64_t at = host.out.next;
		struct iovec part[2];
		const int n = outbox_read(&host.out, &at, part);

		for (int i = 0; i < n; i++) {
			const size_t len = part[i].iov_len < budget
						   ? part[i].iov_len
						   : budget;

			if (fd_write_full(host.peer->fd, part[i].iov_base,
					  len) < 0)
				return; /* the agent has hung up */
			budget -= len;
			if (len < part[i].iov_len)
				return;
		}
		outbox_sent(&host.out);
	}
}

static void write_out(void)
{
	write_some(SIZE_MAX, UINT_MAX);
}

static void take_frame(const struct frame *f)
{
	struct msg_ferry_received m;

	arena_reset(&arena);
	if (f->header.type == WIRE_FERRY_RECEIVED) {
		assert_int_equal(msg_decode(&msg_ferry_received_schema, f->body,
					    f->len, &arena, &m, NULL),
				 0);
		assert_int_equal(outbox_ack(&host.out, m.received, NULL), 0);
		return;
	}
	session_in_took(&host.in, f->header.size);
	if (f->header.id == host.wait_id) {
		struct msg_wait_for_process_result w;

		assert_int_equal(host.wait_code, -1);
		assert_int_equal(msg_decode(&msg_wait_for_process_result_schema,
					    f->body, f->len, &arena, &w, NULL),
				 0);
		assert_int_equal(w.base.result, 0);
		host.wait_code = w.exit_code;
		return;
	}
	/* All others are answered at once, and so in their order. */
	assert_int_equal(wire_kind(f->header.type), WIRE_RESPONSE);
	if (host.wait_id == host.answered)
		host.answered++;
	assert_int_equal(f->header.id, host.answered);
	host.answered++;
}

static void acknowledge(void)
{
	char body[64];
	uint8_t frame[128];

	(void)snprintf(body, sizeof(body), "{\"Received\":%" PRIu64 "}",
		       host.in.taken);
	(void)fd_write_full(
		host.peer->fd, frame,
		peer_frame_put(frame, WIRE_FERRY_RECEIVED, 0, body));
	session_in_told(&host.in);
}

/* Takes what comes until @n requests are answered. */
static void take_until(uint64_t answered)
{
	struct frame f;

	while (host.answered < answered) {
		assert_true(next_frame(&f));
		take_frame(&f);
		if (session_in_due(&host.in))
			acknowledge();
	}
}

static void ask(void)
{
	if (pick(EXEC_EVERY) == 0) {
		char line[160];
		struct peer_exec x = { .line = line };

		(void)snprintf(line, sizeof(line), "echo >> %s/ran",
			       host.peer->dir);
		host.execs++;
		(void)put(WIRE_EXECUTE_PROCESS, peer_exec_body(host.peer, &x));
	} else {
		(void)put(WIRE_SIGNAL_PROCESS, peer_signal_body(1, 9));
	}
}

static uint64_t lines_of(const char *name)
{
	char path[128];
	uint64_t n = 0;
	FILE *f;
	int c;

	(void)snprintf(path, sizeof(path), "%s/%s", host.peer->dir, name);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while ((c = fgetc(f)) != EOF)
		n += c == '\n';
	(void)fclose(f);
	return n;
}

/* --- tests --- */

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

/* The exit happens while nobody is there; two more connections fail. */
static void test_a_wait_is_answered_behind_a_gap(void **state UNUSED)
{
	struct peer_exec x = { .line = "sleep 0.3; exit 7" };
	struct frame f;
	struct msg_execute_process_result m;

	join();
	(void)put(WIRE_EXECUTE_PROCESS, peer_exec_body(host.peer, &x));
	write_out();
	assert_true(next_frame(&f));
	arena_reset(&arena);
	assert_int_equal(msg_decode(&msg_execute_process_result_schema, f.body,
				    f.len, &arena, &m, NULL),
			 0);
	assert_int_equal(m.base.result, 0);
	take_frame(&f);
	host.wait_id = put(WIRE_WAIT_FOR_PROCESS,
			   peer_wait_body(m.process_id, UINT32_MAX));
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

/* --- the barrier --- */

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
	const struct CMUnitTest tests[] = {
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
		T(test_a_session_goes_on),
		T(test_w_g6_an_unread_answer_comes_again),
		T(test_a_wait_is_answered_behind_a_gap),
		T(test_random_cuts),
		T(test_more_received_than_sent),
		T(test_less_received_than_acknowledged),
		T(test_less_sent_than_came),
		T(test_an_impossible_acknowledgement_ends_the_connection),
		T(test_another_session_is_a_new_one),
		T(test_a_plain_host_sees_nothing_of_it),
		T(test_heartbeat_and_silence),
		T(test_the_barrier_refuses_what_makes_no_sense),
		T(test_the_barrier_is_closed_or_passed),
		T(test_when_the_clock_is_set),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
