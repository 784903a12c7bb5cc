/*
 * tests/unit/guest_wire.h - a host of the agent, spoken by hand: its frames
 *
 * The agent runs as a child process over unix sockets in a directory of its
 * own; the test is the host. Every frame that the agent sends is checked for
 * what ends a reference host's bridge (shared specification bridge.md 2.6):
 * size, kind, an id that is waited for and answered once, numbers and texts in
 * the forms that a reference host decodes. Every wait has a deadline.
 */
#ifndef FERRY_TESTS_UNIT_GUEST_WIRE_H
#define FERRY_TESTS_UNIT_GUEST_WIRE_H

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/guest/agent.h"
#include "bridge/guest/flags.h"
#include "bridge/hresult.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "bridge/io/transport.h"
#include "bridge/wire.h"
#include "config/num.h"
#include "config/text.h"
#include "config/util.h"

#ifndef PEER_WAIT_MS
#define PEER_WAIT_MS 30000
#endif
#define PEER_IDS 65536u
#define PEER_ACTIVITY "11111111-2222-3333-4444-555555555555"
#define PEER_BASE "\"ContainerId\":\"%s\",\"ActivityId\":\"" PEER_ACTIVITY "\""

/* Notices that came, by container; static, a test has one host. */
#define PEER_NOTICES 1024u

struct peer_notice {
	char container[128];
	char type[32]; /* "OutOfMemory": ferry's own, with @count */
	int64_t count;
};

static struct peer_notice peer_notices[PEER_NOTICES];
static size_t peer_n_notices;

/* Ids that were sent and not answered; static, a test has one host. */
static bool peer_waiting[PEER_IDS];

struct peer {
	char dir[64];
	struct transport transport;
	struct flags flags;
	pid_t agent;
	int listener;
	int fd; /* the bridge, -1: none */
	uint64_t next_id;
	uint32_t next_port;
	bool events;
	bool older; /* see peer_answer() */ /* takes ferry's own notices */
	void (*tune)(struct agent *a);	    /* before it runs; NULL: as it is */
};

struct peer_frame {
	uint32_t type;
	uint64_t id;
	uint32_t len;
	char body[WIRE_GUEST_FRAME_MAX];
};

/* --- the agent ------------------------------------------------------------- */

UNUSED static void peer_run_agent(const struct peer *p)
{
	struct agent *a = NULL;
	struct err e = { 0 };
	const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int code = 3;

	if (!getenv("FERRY_TEST_LOG"))
		log_setup(null, LOG_FORM_TEXT, LOG_LEVEL_ERR);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGSEGV, SIG_DFL); /* not the test's own */
	fd_close(&(int){ p->listener });
	if (agent_new(&p->flags, &a, &e) == 0) {
		if (p->tune)
			p->tune(a);
		code = agent_run(a, &e) == 0 ? 0 : 3;
	}
	agent_free(a);
	_exit(code);
}

UNUSED static void peer_start_agent(struct peer *p)
{
	p->agent = fork();
	assert_true(p->agent >= 0);
	if (p->agent == 0)
		peer_run_agent(p);
}

UNUSED static void peer_init(struct peer *p)
{
	char spelled[96];
	struct err e = { 0 };

	memset(p, 0, sizeof(*p));
	memset(peer_waiting, 0, sizeof(peer_waiting));
	peer_n_notices = 0;
	signal(SIGPIPE, SIG_IGN);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1L);
	p->fd = -1;
	p->agent = -1;
	p->next_port = WIRE_PORT_STDIO_FIRST;
	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/ferry-guest-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	(void)snprintf(spelled, sizeof(spelled), "unix:%s/v", p->dir);
	assert_int_equal(transport_parse(spelled, &p->transport, &e), 0);
	p->flags = (struct flags){ .v4 = true,
				   .log_level = LOG_LEVEL_DEBUG,
				   .log_file = "",
				   .core_pattern = "",
				   .transport = p->transport };
	assert_int_equal(transport_listen(&p->transport, WIRE_PORT_BRIDGE, 64,
					  &p->listener, &e),
			 0);
}

UNUSED static bool peer_agent_lives(const struct peer *p)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)p->agent, &info,
		      WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == 0;
}

/* The processes of an agent that was killed are the test's now. */
UNUSED static void peer_end_orphans(void)
{
	char path[64];
	int pid;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children",
		       (int)getpid());
	for (;;) {
		FILE *f = fopen(path, "re");
		const bool some = f && fscanf(f, "%d", &pid) == 1; /* NOLINT */

		if (f)
			fclose(f);
		if (!some)
			return;
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
}

UNUSED static void peer_done(struct peer *p)
{
	char command[128];

	if (p->agent > 0) {
		(void)kill(p->agent, SIGKILL);
		(void)waitpid(p->agent, NULL, 0);
	}
	peer_end_orphans();
	fd_close(&p->fd);
	fd_close(&p->listener);
	(void)snprintf(command, sizeof(command), "rm -rf %s", p->dir);
	assert_int_equal(system(command), 0); /* NOLINT: our own directory */
}

/* Memory of the agent in KiB; 0 where an instrumented heap tells nothing. Not
 * VmRSS, which the kernel brings up to date only now and then. */
UNUSED static long peer_agent_kib(const struct peer *p)
{
	char path[64], line[256];
	long kib = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup",
		       (int)p->agent);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "Rss:", 4) == 0)
			kib = strtol(line + 4, NULL, 10);
	}
	fclose(f);
	assert_true(kib > 0);
#ifdef __SANITIZE_ADDRESS__
	kib = 0;
#endif
	return kib;
}

/* --- bytes ----------------------------------------------------------------- */

UNUSED static bool peer_ready(int fd, short events, int ms)
{
	struct pollfd f = { .fd = fd, .events = events };
	int r;

	do {
		r = poll(&f, 1, ms);
	} while (r < 0 && errno == EINTR);
	return r == 1;
}

UNUSED static int peer_take(const struct peer *p, int listener)
{
	struct err e = { 0 };
	int fd = -1;

	assert_true(peer_ready(listener, POLLIN, PEER_WAIT_MS));
	assert_int_equal(transport_accept(&p->transport, listener, &fd, &e), 0);
	assert_int_equal(fd_nonblock(fd, false), 0);
	return fd;
}

UNUSED static void peer_accept(struct peer *p)
{
	p->fd = peer_take(p, p->listener);
}

/* Ends the connection; what was asked is waited for no more. */
UNUSED static void peer_drop(struct peer *p, bool fresh)
{
	fd_close(&p->fd);
	if (fresh) {
		memset(peer_waiting, 0, sizeof(peer_waiting));
		p->next_id = 0;
	}
}

UNUSED static void peer_write(const struct peer *p, const void *buf, size_t n)
{
	assert_int_equal(fd_write_full(p->fd, buf, n), 0);
}

/* Return: bytes read, fewer than @n only at the end of the stream */
UNUSED static size_t peer_read(int fd, void *buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got;

		if (!peer_ready(fd, POLLIN, PEER_WAIT_MS))
			fail_msg("nothing to read after %d ms", PEER_WAIT_MS);
		got = read(fd, (char *)buf + done, n - done);
		if (got <= 0)
			break;
		done += (size_t)got;
	}
	return done;
}

/* --- frames ---------------------------------------------------------------- */

UNUSED static size_t peer_frame_put(uint8_t *out, uint32_t type, uint64_t id,
				    const char *body)
{
	const struct wire_header h = {
		.type = type,
		.size = (uint32_t)(WIRE_HEADER_SIZE + strlen(body)),
		.id = id,
	};

	wire_header_put(out, &h);
	memcpy(out + WIRE_HEADER_SIZE, body, strlen(body));
	return h.size;
}

UNUSED static void peer_send_id(struct peer *p, uint32_t type, uint64_t id,
				const char *body)
{
	uint8_t *frame = malloc(WIRE_HEADER_SIZE + strlen(body));
	size_t n;

	assert_non_null(frame);
	n = peer_frame_put(frame, type, id, body);
	assert_true(id < PEER_IDS);
	peer_waiting[id] = true;
	peer_write(p, frame, n);
	free(frame);
}

UNUSED static uint64_t peer_send(struct peer *p, uint32_t type,
				 const char *body)
{
	const uint64_t id = p->next_id++;

	peer_send_id(p, type, id, body);
	return id;
}

/* An integer member of the outermost object, found by its text. */
UNUSED static int64_t peer_number(const struct peer_frame *f, const char *name)
{
	char quoted[64];
	const char *at;

	(void)snprintf(quoted, sizeof(quoted), "\"%s\":", name);
	at = strstr(f->body, quoted);
	if (!at) {
		fail_msg("no %s in %s", name, f->body);
		return INT64_MIN; /* not reached */
	}
	return strtoll(at + strlen(quoted), NULL, 10);
}

UNUSED static uint32_t peer_result(const struct peer_frame *f)
{
	return hresult_from_wire((int32_t)peer_number(f, "Result"));
}

UNUSED static void peer_check_guid(const char *at)
{
	for (int i = 0; i < 36; i++) {
		const bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? at[i] != '-' : !strchr("0123456789abcdef", at[i]))
			fail_msg("no lower-case GUID: %.40s", at);
	}
	assert_int_equal(at[36], '"');
}

/* Every row of bridge.md 2.6, on one frame. */
UNUSED static void peer_check_frame(const struct peer_frame *f)
{
	const char *at;
	int64_t n;

	if (f->type >> 28 != WIRE_RESPONSE)
		fail_msg("a frame of type 0x%08x", f->type);
	if (f->id >= PEER_IDS || !peer_waiting[f->id])
		fail_msg("an answer to id %" PRIu64 ", which nobody asked: %s",
			 f->id, f->body);
	peer_waiting[f->id] = false;
	if (f->body[0] != '{' || f->body[f->len - 1] != '}')
		fail_msg("no object: %s", f->body);
	n = peer_number(f, "Result");
	assert_true(n >= INT32_MIN && n <= INT32_MAX);
	at = strstr(f->body, "\"ActivityId\":\"");
	if (at)
		peer_check_guid(at + strlen("\"ActivityId\":\""));
	at = strstr(f->body, "\"Line\":");
	assert_true(!at || at[7] != '-');
	if (f->type != wire_response_type(WIRE_GET_PROPERTIES) || n != 0)
		assert_null(strstr(f->body, "\"Properties\""));
	assert_null(strstr(f->body, "\"ResultInfo\""));
	if (f->type == wire_response_type(WIRE_NEGOTIATE_PROTOCOL) && n == 0)
		assert_non_null(
			strstr(f->body, "\"GuestDefinedCapabilities\""));
}

/* Return: false at the end of the stream */
UNUSED static bool peer_recv_any(const struct peer *p, struct peer_frame *f)
{
	uint8_t head[WIRE_HEADER_SIZE];
	struct wire_header h;

	f->type = 0;
	f->id = UINT64_MAX;
	f->len = 0;
	if (peer_read(p->fd, head, sizeof(head)) < sizeof(head))
		return false;
	h = wire_header_get(head);
	assert_in_range(h.size, WIRE_HEADER_SIZE, WIRE_GUEST_FRAME_MAX);
	f->type = h.type;
	f->id = h.id;
	f->len = h.size - WIRE_HEADER_SIZE;
	if (peer_read(p->fd, f->body, f->len) < f->len)
		return false;
	f->body[f->len] = '\0';
	return true;
}

/* A member that is a text, found as peer_number() does. */
UNUSED static void peer_text(const struct peer_frame *f, const char *name,
			     char *out, size_t size)
{
	char quoted[64];
	const char *at;
	size_t n = 0;

	(void)snprintf(quoted, sizeof(quoted), "\"%s\":\"", name);
	at = strstr(f->body, quoted);
	if (!at) {
		fail_msg("no %s in %s", name, f->body);
		return; /* not reached */
	}
	for (at += strlen(quoted); *at != '"' && n + 1 < size; at++)
		out[n++] = *at;
	out[n] = '\0';
}

UNUSED static void peer_take_notice(const struct peer *p,
				    const struct peer_frame *f)
{
	struct peer_notice *n = &peer_notices[peer_n_notices];

	assert_true(peer_n_notices < PEER_NOTICES);
	peer_text(f, "ContainerId", n->container, sizeof(n->container));
	if (p->events && f->type == WIRE_FERRY_OUT_OF_MEMORY) {
		(void)snprintf(n->type, sizeof(n->type), "OutOfMemory");
		n->count = peer_number(f, "Count");
		peer_n_notices++;
		return;
	}
	assert_int_equal(f->type, WIRE_CONTAINER_NOTIFICATION);
	assert_null(strstr(f->body, "\"ResultInfo\""));
	assert_non_null(strstr(f->body, "\"Operation\":\"None\""));
	assert_non_null(strstr(f->body, "\"Result\":0"));
	peer_text(f, "Type", n->type, sizeof(n->type));
	peer_n_notices++;
}

/* The next answer; notices that come before it are kept.
 * Return: false at the end of the stream */
UNUSED static bool peer_recv(const struct peer *p, struct peer_frame *f)
{
	while (peer_recv_any(p, f)) {
		if (f->type >> 28 == WIRE_NOTIFICATION) {
			peer_take_notice(p, f);
			continue;
		}
		peer_check_frame(f);
		return true;
	}
	return false;
}

/* How often a container's end was told. */
UNUSED static unsigned int peer_noticed(const char *container)
{
	unsigned int n = 0;

	for (size_t i = 0; i < peer_n_notices; i++)
		n += strcmp(peer_notices[i].container, container) == 0 &&
		     strcmp(peer_notices[i].type, "OutOfMemory") != 0;
	return n;
}

/* Waits for the notice of a container's end; an answer meanwhile fails the
 * test. Return: the last one's type */
UNUSED static const char *peer_notice(const struct peer *p,
				      const char *container)
{
	static struct peer_frame f;
	size_t i = peer_n_notices;

	while (peer_noticed(container) == 0) {
		assert_true(peer_recv_any(p, &f));
		peer_take_notice(p, &f);
	}
	for (i = peer_n_notices; i > 0; i--) {
		if (strcmp(peer_notices[i - 1].container, container) == 0)
			break;
	}
	return peer_notices[i - 1].type;
}

/* The answer to @id; others that come before it fail the test, but for those to
 * earlier requests where an agent was killed in these. */
UNUSED static void peer_answer(const struct peer *p, uint64_t id,
			       struct peer_frame *f)
{
	do
		assert_true(peer_recv(p, f));
	while (p->older && f->id < id);
	assert_int_equal(f->id, id);
}

UNUSED static uint32_t peer_call(struct peer *p, uint32_t type,
				 const char *body, struct peer_frame *f)
{
	const uint64_t id = peer_send(p, type, body);

	peer_answer(p, id, f);
	assert_int_equal(f->type, wire_response_type(type));
	return peer_result(f);
}

UNUSED static void peer_negotiate(struct peer *p)
{
	struct peer_frame f;
	char body[256];

	(void)snprintf(body, sizeof(body),
		       "{" PEER_BASE
		       ",\"MinimumVersion\":4,\"MaximumVersion\":4%s}\n",
		       "", p->events ? ",\"FerryEvents\":true" : "");
	assert_int_equal(peer_call(p, WIRE_NEGOTIATE_PROTOCOL, body, &f),
			 HR_OK);
	assert_int_equal(peer_number(&f, "Version"), 4);
}

/* An agent, a connection, a version. */
UNUSED static void peer_start(struct peer *p)
{
	peer_init(p);
	peer_start_agent(p);
	peer_accept(p);
	peer_negotiate(p);
}

#endif
