/*
 * FerryResume with both real ends: the client here, the agent a process of its
 * own, and between them a proxy that cuts the connection behind any byte.
 */
#include "tests/unit/host_fixture.h"
#include "tests/unit/real_agent.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "bridge/host/session.h"
#include "tests/unit/pick.h"

/* Calls of the random test; FERRY_SOAK has ten times as many. */
#define CALLS 4000
#define AT_ONCE 16
/* A process is started by every such call. */
#define EXEC_EVERY 40
/* Most bytes that the proxy lets through before it cuts. */
#define CUT_BYTES 6000

/* @dir: where the agent dials, and the proxy listens */
struct both {
	struct fixture *x;
	char dir[AGENT_DIR_MAX];
	pid_t agent;
	pid_t proxy;
	int calls;
	int done;
	int lost;
	int execs;
};

/* --- the proxy: a process of its own --- */

/* Moves bytes until the end of one, or until @budget are through. */
static void forward(int a, int b, size_t budget)
{
	const int fd[2] = { a, b };

	while (budget > 0) {
		struct pollfd p[2] = { { .fd = a, .events = POLLIN },
				       { .fd = b, .events = POLLIN } };
		char buf[4096];

		if (poll(p, 2, -1) < 0)
			return;
		for (int i = 0; i < 2 && budget > 0; i++) {
			ssize_t n;

			if (p[i].revents == 0)
				continue;
			n = read(fd[i], buf,
				 budget < sizeof(buf) ? budget : sizeof(buf));
			if (n <= 0 || fd_write_full(fd[!i], buf, (size_t)n) < 0)
				return;
			budget -= (size_t)n;
		}
	}
}

static void run_proxy(const struct transport *from, const struct transport *to,
		      int listener)
{
	struct err e = { 0 };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, SIG_IGN);
	for (;;) {
		struct pollfd p = { .fd = listener, .events = POLLIN };
		int a = -1;
		int b = -1;

		(void)poll(&p, 1, -1);
		if (transport_accept(from, listener, &a, &e) < 0)
			continue;
		if (transport_dial(to, WIRE_PORT_BRIDGE, &b, &e) == 0) {
			(void)fd_nonblock(a, false);
			(void)fd_nonblock(b, false);
			forward(a, b, 600 + pick(CUT_BYTES));
		}
		fd_close(&a);
		fd_close(&b);
	}
}

static void start_proxy(struct both *t)
{
	struct transport from;
	char spelled[80];
	struct err e = { 0 };
	int listener = -1;

	(void)snprintf(spelled, sizeof(spelled), "unix:%s/v", t->dir);
	assert_int_equal(transport_parse(spelled, &from, &e), 0);
	assert_int_equal(
		transport_listen(&from, WIRE_PORT_BRIDGE, 16, &listener, &e),
		0);
	t->proxy = fork();
	assert_true(t->proxy >= 0);
	if (t->proxy == 0)
		run_proxy(&from, &t->x->fake.transport, listener);
	fd_close(&listener);
}

static int set_up(void **state)
{
	struct both *t;
	void *bare;

	if (setup_bare(&bare) < 0)
		return -1;
	t = calloc(1, sizeof(*t));
	assert_non_null(t);
	t->x = bare;
	agent_dir(t->dir);
	make_client(t->x, (struct host_client_config){ .session = true });
	*state = t;
	return 0;
}

static int tear_down(void **state)
{
	struct both *t = *state;
	void *bare = t->x;

	end_process(t->agent);
	end_process(t->proxy);
	(void)teardown(&bare);
	agent_dir_gone(t->dir);
	free(t);
	return 0;
}

/* --- calls --- */

static void on_refused(void *ctx, const void *result,
		       const struct host_failure *f)
{
	struct both *t = ctx;

	assert_null(result);
	t->done++;
	if (f->kind != HOST_FAIL_REFUSED)
		t->lost++;
}

static void on_started(void *ctx, const void *result,
		       const struct host_failure *f UNUSED)
{
	struct both *t = ctx;

	t->done++;
	if (!result)
		t->lost++;
}

static bool start_process(struct both *t)
{
	static const uint32_t no_port[MSG_STDIO];
	char line[128];
	const char *argv[] = { "/bin/sh", "-c", line };
	const struct msg_process_parameters what = {
		.command_args = { argv, 3 },
	};
	const struct host_done done = { .fn = on_started, .ctx = t };

	(void)snprintf(line, sizeof(line), "echo >> %s/ran", t->dir);
	return host_execute_process(t->x->client, NULL, &what, no_port, &done,
				    NULL, NULL) == 0;
}

static bool ask(struct both *t)
{
	const struct host_done done = { .fn = on_refused, .ctx = t };

	if (t->calls % EXEC_EVERY == 0) {
		if (!start_process(t))
			return false;
		t->execs++;
	} else if (host_signal_process(t->x->client, NULL, 1, 9, &done, NULL,
				       NULL) < 0) {
		return false;
	}
	t->calls++;
	return true;
}

/* Each request is executed once and answered once, whatever is cut. */
static void test_calls_survive_cuts(void **state)
{
	struct both *t = *state;
	const int calls = getenv("FERRY_SOAK") ? 10 * CALLS : CALLS;

	start_proxy(t);
	t->agent = agent_start(t->dir);
	FAKE_UNTIL(&t->x->fake, t->x->ready > 0);
	while (t->done < calls) {
		while (t->calls < calls && t->calls - t->done < AT_ONCE &&
		       ask(t))
			;
		assert_true(loop_turn(t->x->fake.loop, 50, NULL) >= 0);
		assert_int_equal(t->x->failed, 0);
	}
	assert_int_equal(t->calls, t->done);
	assert_int_equal(t->lost, 0);
	assert_true(t->x->lost > calls / 100);
	FAKE_UNTIL(&t->x->fake, agent_ran(t->dir) >= t->execs);
	(void)poll(NULL, 0, 50);
	assert_int_equal(agent_ran(t->dir), t->execs);
}

/* A request that is made while the agent is on its way back waits for it; not one
 * whose session may be another host's, and not one that is to end the guest. */
static void test_a_call_between_two_connections_waits(void **state)
{
	struct both *t = *state;
	struct host_client *c = t->x->client;
	const struct host_done done = { .fn = on_refused, .ctx = t };

	start_proxy(t);
	t->agent = agent_start(t->dir);
	FAKE_UNTIL(&t->x->fake, t->x->ready > 0);
	end_process(t->proxy);
	t->proxy = 0;
	FAKE_UNTIL(&t->x->fake, t->x->lost > 0);
	assert_int_equal(host_client_state(c), HOST_LISTENING);

	host_client_freeze(c, true);
	assert_false(ask(t));
	host_client_freeze(c, false);
	assert_int_equal(host_shutdown(c, NULL, false, &done, NULL, NULL),
			 -ENOTCONN);
	while (t->calls < 2 * EXEC_EVERY)
		assert_true(ask(t));
	assert_int_equal(t->done, 0);

	start_proxy(t);
	FAKE_UNTIL(&t->x->fake, t->done == t->calls);
	assert_int_equal(t->lost, 0);
	FAKE_UNTIL(&t->x->fake, agent_ran(t->dir) >= t->execs);
	assert_int_equal(agent_ran(t->dir), t->execs);
}

/* The connection stands and nobody is behind it: that is noticed, and what was
 * asked for is answered on the next one. */
static void test_a_silent_agent_is_hung_up_on(void **state)
{
	struct both *t = *state;

	t->agent = agent_start(t->x->fake.dir);
	FAKE_UNTIL(&t->x->fake, t->x->ready > 0);
	assert_int_equal(kill(t->agent, SIGSTOP), 0);
	assert_true(ask(t));
	FAKE_UNTIL(&t->x->fake, t->x->lost == 1);
	assert_int_equal(t->x->why.code, ETIMEDOUT);
	assert_int_equal(t->done, 0);
	assert_int_equal(kill(t->agent, SIGCONT), 0);
	FAKE_UNTIL(&t->x->fake, t->done == 1);
	assert_int_equal(t->lost, 0);
}

/* It would count frames that who goes on with the session knows nothing of. */
static void test_a_call_in_a_move_is_refused(void **state)
{
	struct both *t = *state;
	struct host_client *c = t->x->client;

	start_proxy(t);
	t->agent = agent_start(t->dir);
	FAKE_UNTIL(&t->x->fake, t->x->ready > 0);
	host_client_freeze(c, true);
	assert_false(ask(t));
	host_client_freeze(c, false);
	t->calls = t->done = 0;
	assert_true(ask(t));
	FAKE_UNTIL(&t->x->fake, t->done == t->calls);
	assert_int_equal(t->lost, 0);
}

/* --- somebody else in the guest dials the port --- */

static void be_hung_up(struct fake *f, uint64_t id, const char *more)
{
	char body[512];
	const struct fake_request r = { .type = WIRE_NEGOTIATE_PROTOCOL,
					.id = id };

	(void)snprintf(body, sizeof(body),
		       "{\"Result\":0,\"Version\":4,\"Capabilities\":{"
		       "\"GuestDefinedCapabilities\":{}}%s}",
		       more);
	fake_answer(f, &r, body);
	FAKE_UNTIL(f, fake_closed(f));
	fake_hang_up(f);
}

/* The name of the session is no secret: the host has just said it. */
static void know_the_name(struct both *t)
{
	struct fake *f = &t->x->fake;
	struct fake_request r;
	const char *name;
	char lie[256];

	f->fd = fake_dial(f, WIRE_PORT_BRIDGE);
	r = fake_expect(f, WIRE_NEGOTIATE_PROTOCOL);
	name = strstr(r.body, "\"Session\":\"");
	assert_non_null(name);
	(void)snprintf(lie, sizeof(lie),
		       ",\"Ferry\":{\"Version\":1,%.44s,\"Received\":0,"
		       "\"Proof\":\"%064d\"}",
		       name, 0);
	be_hung_up(f, r.id, lie);
}

static void test_p1_who_is_not_the_agent_is_hung_up_on(void **state)
{
	static const char *const lies[] = {
		"",
		",\"Ferry\":{}",
		",\"Ferry\":{\"Version\":1,"
		"\"Session\":\"00112233445566778899aabbccddeeff\","
		"\"Key\":\"00112233445566778899aabbccddeeff"
		"00112233445566778899aabbccddeeff\","
		"\"Proof\":\"00112233445566778899aabbccddeeff"
		"00112233445566778899aabbccddeeff\"}",
	};
	struct both *t = *state;
	struct fake *f = &t->x->fake;

	/* The session is made with the agent; then the agent is stopped. */
	t->agent = agent_start(f->dir);
	FAKE_UNTIL(f, t->x->ready == 1);
	assert_int_equal(kill(t->agent, SIGKILL), 0);
	FAKE_UNTIL(f, t->x->lost == 1);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct fake_request r;

		f->fd = fake_dial(f, WIRE_PORT_BRIDGE);
		r = fake_expect(f, WIRE_NEGOTIATE_PROTOCOL);
		be_hung_up(f, r.id, lies[i]);
	}
	know_the_name(t);
	assert_int_equal(t->x->ready, 1);
	assert_int_equal(t->x->failed, 0);
}

static void on_forgotten(void *ctx, const void *result,
			 const struct host_failure *f)
{
	struct both *t = ctx;

	assert_null(result);
	assert_int_equal(f->kind, HOST_FAIL_LOST);
	assert_non_null(strstr(f->err.text, "forgotten the session"));
	t->done++;
}

/*
 * An agent whose state is gone cannot go on with the session, and its host does
 * not wait for that for ever: another one begins, and who waits is told.
 */
static void test_an_agent_that_forgot_gets_another_session(void **state)
{
	const struct host_done done = { .fn = on_forgotten, .ctx = *state };
	struct both *t = *state;
	struct fake *f = &t->x->fake;

	t->agent = agent_start(f->dir);
	FAKE_UNTIL(f, t->x->ready == 1);
	assert_int_equal(kill(t->agent, SIGSTOP), 0);
	assert_int_equal(host_signal_process(t->x->client, NULL, 1, 9, &done,
					     NULL, NULL),
			 0);
	end_process(t->agent);
	t->agent = agent_start(f->dir);
	FAKE_UNTIL(f, t->x->ready == 2);
	assert_int_equal(t->done, 1);
	assert_true(ask(t));
	FAKE_UNTIL(f, t->done == 2);
	assert_int_equal(t->lost, 0);
	/* And that one is a session as well. */
	assert_int_equal(kill(t->agent, SIGSTOP), 0);
	assert_true(ask(t));
	assert_int_equal(kill(t->agent, SIGCONT), 0);
	FAKE_UNTIL(f, t->done == 3);
	assert_int_equal(t->lost, 0);
}

/* An agent without the capability is served as ever. */
static void test_a_plain_guest_is_served_plainly(void **state)
{
	struct both *t = *state;
	struct fake *f = &t->x->fake;

	assert_int_equal(fake_connect(f), 0);
	FAKE_UNTIL(f, t->x->ready == 1);
	assert_true(ask(t)); /* a process: what a cut ends */
	(void)fake_expect(f, WIRE_EXECUTE_PROCESS);
	fake_hang_up(f);
	FAKE_UNTIL(f, t->done == 1);
	assert_int_equal(t->lost, 1);
}

/* --- the barrier --- */

/* A client of a VM that was moved, and what it says first. */
static struct fake_request moved(struct both *t, bool session)
{
	struct fake *f = &t->x->fake;

	host_client_free(mem_take(&t->x->client));
	make_client(t->x, (struct host_client_config){ .session = session,
						       .moved = true });
	f->fd = fake_dial(f, WIRE_PORT_BRIDGE);
	return fake_expect(f, WIRE_NEGOTIATE_PROTOCOL);
}

static void answer_negotiation(struct fake *f, const struct fake_request *r,
			       const char *capable, const char *fixup)
{
	char body[512];

	(void)snprintf(body, sizeof(body),
		       "{\"Result\":0,\"Version\":4,\"Capabilities\":{"
		       "\"GuestDefinedCapabilities\":{%s}},"
		       "\"Ferry\":{\"Version\":1%s}}",
		       capable, fixup);
	fake_answer(f, r, body);
}

static void test_the_barrier_is_asked_for_once(void **state)
{
	struct both *t = *state;
	struct fake *f = &t->x->fake;
	struct fake_request r = moved(t, false);

	assert_non_null(strstr(r.body, "\"Entropy\":\""));
	assert_non_null(strstr(r.body, "\"TimeNs\":"));
	assert_non_null(strstr(r.body, "\"Announce\":true"));
	assert_non_null(strstr(r.body, "\"Plain\":true"));
	answer_negotiation(f, &r, "\"FerryResume\":true",
			   ",\"Fixup\":{\"Credited\":true}");
	FAKE_UNTIL(f, t->x->ready == 1);
	fake_hang_up(f);
	FAKE_UNTIL(f, t->x->lost == 1);
	f->fd = fake_dial(f, WIRE_PORT_BRIDGE);
	r = fake_expect(f, WIRE_NEGOTIATE_PROTOCOL);
	assert_null(strstr(r.body, "Fixup"));
}

/* A guest to which the time took long has it again, and not without end. */
static void test_the_time_is_told_again(void **state)
{
	static const char again[] =
		",\"Fixup\":{\"Credited\":true,\"Again\":true}";
	struct both *t = *state;
	struct fake *f = &t->x->fake;
	struct fake_request r = moved(t, false);

	for (int i = 0; i < 3; i++) {
		answer_negotiation(f, &r, "\"FerryResume\":true", again);
		r = fake_expect(f, WIRE_NEGOTIATE_PROTOCOL);
		assert_non_null(strstr(r.body, "\"TimeNs\":"));
		assert_int_equal(t->x->ready, 0);
	}
	answer_negotiation(f, &r, "\"FerryResume\":true",
			   ",\"Fixup\":{\"Credited\":true}");
	FAKE_UNTIL(f, t->x->ready == 1);
	fake_hang_up(f);
	FAKE_UNTIL(f, t->x->lost == 1);

	r = moved(t, true);
	for (uint32_t i = 0; i < HOST_FIXUP_AGAIN_MAX; i++) {
		answer_negotiation(f, &r, "\"FerryResume\":true", again);
		r = fake_expect(f, WIRE_NEGOTIATE_PROTOCOL);
	}
	answer_negotiation(f, &r, "\"FerryResume\":true", again);
	FAKE_UNTIL(f, fake_closed(f));
	assert_int_equal(t->x->ready, 1);
}

/* Not reseeded: nothing is asked of it. */
static void test_the_barrier_is_closed(void **state)
{
	static const char *const lies[] = {
		"",
		",\"Fixup\":{\"Credited\":false}",
	};
	struct both *t = *state;
	struct fake *f = &t->x->fake;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		const struct fake_request r = moved(t, true);

		answer_negotiation(f, &r, "\"FerryResume\":true", lies[i]);
		FAKE_UNTIL(f, fake_closed(f));
		fake_hang_up(f);
		assert_int_equal(t->x->ready, 0);
		assert_int_equal(t->x->failed, i + 1);
		assert_non_null(strstr(t->x->why.text, "reseed"));
	}
}

/* A guest of another kind does what it can by itself. */
static void test_the_barrier_of_a_plain_guest(void **state)
{
	struct both *t = *state;
	struct fake *f = &t->x->fake;
	struct fake_request r = moved(t, false);

	fake_answer(f, &r, FAKE_NEGOTIATED);
	FAKE_UNTIL(f, t->x->ready == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define R(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
		R(test_calls_survive_cuts),
		R(test_a_call_between_two_connections_waits),
		R(test_a_call_in_a_move_is_refused),
		R(test_a_silent_agent_is_hung_up_on),
		R(test_p1_who_is_not_the_agent_is_hung_up_on),
		R(test_an_agent_that_forgot_gets_another_session),
		R(test_a_plain_guest_is_served_plainly),
		R(test_the_barrier_is_asked_for_once),
		R(test_the_time_is_told_again),
		R(test_the_barrier_is_closed),
		R(test_the_barrier_of_a_plain_guest),
#undef R
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
