/*
 * tests/unit/session_peer.h - a host of the agent that keeps what docs/resume.md
 * tells it to keep, and whose connection may be cut behind any byte
 */
#ifndef FERRY_TESTS_UNIT_SESSION_PEER_H
#define FERRY_TESTS_UNIT_SESSION_PEER_H

#include "tests/unit/guest_peer.h"

#include <limits.h>

#include "bridge/frame.h"
#include "bridge/json_decode.h"
#include "bridge/msg_ferry.h"
#include "bridge/outbox.h"
#include "bridge/session.h"
#include "config/arena.h"
#include "tests/unit/pick.h"

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

UNUSED static struct host host;
UNUSED static struct arena arena;

UNUSED static int set_up(void **state)
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

UNUSED static int tear_down(void **state)
{
	struct peer *p = *state;

	assert_true(peer_agent_lives(p));
	frame_done(&host.reader);
	arena_done(&arena);
	json_decode_done();
	peer_done(p);
	return 0;
}

UNUSED static void accept_bridge(void)
{
	frame_done(&host.reader);
	frame_init(&host.reader, WIRE_GUEST_FRAME_MAX);
	peer_accept(host.peer);
}

UNUSED static void cut(void)
{
	fd_close(&host.peer->fd);
}

/* The next frame, with a deadline; what it points to lives until the next. */
UNUSED static bool next_frame(struct frame *f)
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

UNUSED static void send_hello(uint64_t id, const struct claim *claim)
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
UNUSED static bool take_welcome(struct msg_negotiate_result *m)
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

UNUSED static void expect_proof(const struct msg_ferry_welcome *w)
{
	uint8_t want[DIGEST_BYTES];
	uint8_t got[DIGEST_BYTES];

	assert_true(session_unhex(w->proof, got, sizeof(got)));
	session_proof(&host.session, host.nonce, want);
	assert_memory_equal(got, want, sizeof(want));
}

/* A connection of the session; a new one the first time. */
UNUSED static void join(void)
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

UNUSED static uint64_t put(uint32_t type, const char *body)
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
UNUSED static void write_some(size_t budget, unsigned int frames)
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

UNUSED static void write_out(void)
{
	write_some(SIZE_MAX, UINT_MAX);
}

UNUSED static void take_frame(const struct frame *f)
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

UNUSED static void acknowledge(void)
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
UNUSED static void take_until(uint64_t answered)
{
	struct frame f;

	while (host.answered < answered) {
		assert_true(next_frame(&f));
		take_frame(&f);
		if (session_in_due(&host.in))
			acknowledge();
	}
}

UNUSED static void ask(void)
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

UNUSED static uint64_t lines_of(const char *name)
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

#endif
