/*
 * tests/unit/guest_peer.h - a host of the agent, spoken by hand: its requests
 *
 * Processes of the UVM with their streams; guest_wire.h has the rest.
 */
#ifndef FERRY_TESTS_UNIT_GUEST_PEER_H
#define FERRY_TESTS_UNIT_GUEST_PEER_H

#include "tests/unit/guest_wire.h"

UNUSED static const char *peer_base(const char *container)
{
	static char body[256];

	(void)snprintf(body, sizeof(body), "{" PEER_BASE "}", container);
	return body;
}

UNUSED static const char *peer_wait_body(uint32_t pid, uint32_t timeout_ms)
{
	static char body[256];

	(void)snprintf(body, sizeof(body),
		       "{" PEER_BASE ",\"ProcessId\":%u,\"TimeoutInMs\":%u}",
		       WIRE_NULL_ID, pid, timeout_ms);
	return body;
}

UNUSED static const char *peer_signal_body(uint32_t pid, int number)
{
	static char body[256];

	(void)snprintf(body, sizeof(body),
		       number == 0 ? "{" PEER_BASE ",\"ProcessId\":%u}"
				   : "{" PEER_BASE ",\"ProcessId\":%u,"
				     "\"Options\":{\"Signal\":%d}}",
		       WIRE_NULL_ID, pid, number);
	return body;
}

UNUSED static void peer_quote(struct text *t, const char *s)
{
	text_addc(t, '"');
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			text_addc(t, '\\');
		if (*s == '\n')
			text_add(t, "\\n");
		else
			text_addc(t, *s);
	}
	text_addc(t, '"');
}

/**
 * struct peer_exec - a process to run
 * @line:	of /bin/sh, or NULL: @parameters says it all
 * @parameters:	members behind what is made from the rest, with a comma
 * @want:	streams wanted
 * @port, @listener, @fd: of the streams
 */
struct peer_exec {
	const char *line;
	const char *parameters;
	bool want[3];
	uint32_t port[3];
	int listener[3];
	int fd[3];
	uint32_t pid;
};

/* Which streams it has, and somebody listens for each of them. */
UNUSED static void peer_exec_wants(struct peer *p, struct peer_exec *x,
				   struct text *in)
{
	static const char *const flags[] = { "CreateStdInPipe",
					     "CreateStdOutPipe",
					     "CreateStdErrPipe" };
	struct err e = { 0 };

	for (int i = 0; i < 3; i++) {
		x->fd[i] = -1;
		x->listener[i] = -1;
		x->port[i] = 0;
		text_addf(in, "\"%s\":%s%s", flags[i],
			  x->want[i] ? "true" : "false", i < 2 ? "," : "");
		if (!x->want[i])
			continue;
		x->port[i] = p->next_port++;
		assert_int_equal(transport_listen(&p->transport, x->port[i], 1,
						  &x->listener[i], &e),
				 0);
	}
}

/* Behind the parameters: where its streams are dialled. */
UNUSED static void peer_exec_relay(const struct peer_exec *x, struct text *out)
{
	text_addf(out,
		  ",\"VsockStdioRelaySettings\":{\"StdIn\":%u,\"StdOut\":%u,"
		  "\"StdErr\":%u}}}",
		  x->port[0], x->port[1], x->port[2]);
}

UNUSED static const char *peer_exec_body(struct peer *p, struct peer_exec *x)
{
	static char body[131072], inner[65536];
	struct text in, out;

	text_fixed(&in, inner, sizeof(inner));
	text_fixed(&out, body, sizeof(body));
	text_add(&in, "{");
	if (x->line) {
		text_add(&in, "\"CommandArgs\":[\"/bin/sh\",\"-c\",");
		peer_quote(&in, x->line);
		text_add(&in, "],");
	}
	peer_exec_wants(p, x, &in);
	text_addf(&in, "%s}", x->parameters ? x->parameters : "");
	text_addf(&out, "{" PEER_BASE ",\"Settings\":{\"ProcessParameters\":",
		  WIRE_NULL_ID);
	peer_quote(&out, inner);
	peer_exec_relay(x, &out);
	assert_false(in.full || out.full);
	return body;
}

UNUSED static void peer_exec_streams(struct peer *p, struct peer_exec *x)
{
	for (int i = 0; i < 3; i++) {
		if (!x->want[i])
			continue;
		x->fd[i] = peer_take(p, x->listener[i]);
		fd_close(&x->listener[i]);
		transport_unlink(&p->transport, x->port[i]);
	}
}

UNUSED static void peer_exec(struct peer *p, struct peer_exec *x)
{
	struct peer_frame f;

	if (peer_call(p, WIRE_EXECUTE_PROCESS, peer_exec_body(p, x), &f) !=
	    HR_OK)
		fail_msg("not started: %s", f.body);
	x->pid = (uint32_t)peer_number(&f, "ProcessId");
	peer_exec_streams(p, x);
}

UNUSED static void peer_exec_done(struct peer_exec *x)
{
	for (int i = 0; i < 3; i++)
		fd_close(&x->fd[i]);
}

/* Starts a line without streams. */
UNUSED static uint32_t peer_run(struct peer *p, const char *line)
{
	struct peer_exec x = { .line = line };

	peer_exec(p, &x);
	return x.pid;
}

UNUSED static uint32_t peer_wait(struct peer *p, uint32_t pid)
{
	struct peer_frame f;

	assert_int_equal(peer_call(p, WIRE_WAIT_FOR_PROCESS,
				   peer_wait_body(pid, UINT32_MAX), &f),
			 HR_OK);
	return (uint32_t)peer_number(&f, "ExitCode");
}

/* All output of a stream as text. */
UNUSED static const char *peer_output(int fd)
{
	static char out[65536];
	const size_t n = peer_read(fd, out, sizeof(out) - 1);

	out[n] = '\0';
	return out;
}

UNUSED static void peer_read_until(int fd, char *seen, size_t size,
				   const char *what)
{
	size_t n = 0;

	seen[0] = '\0';
	while (!strstr(seen, what)) {
		ssize_t got;

		assert_true(peer_ready(fd, POLLIN, PEER_WAIT_MS));
		assert_true(n < size - 1);
		got = read(fd, seen + n, size - 1 - n);
		if (got <= 0)
			fail_msg("ended before '%s': %s", what, seen);
		n += (size_t)got;
		seen[n] = '\0';
	}
}

/* --- set-up of tests whose state is a peer ------------------------------------ */

UNUSED static int peer_set_up(void **state)
{
	static struct peer p;

	peer_start(&p);
	*state = &p;
	return 0;
}

UNUSED static int peer_tear_down(void **state)
{
	struct peer *p = *state;

	assert_true(peer_agent_lives(p));
	peer_done(p);
	return 0;
}

#endif
