/*
 * Streams of a session with both real ends: processes of the agent read and
 * write while a proxy cuts their connections, and the bridge's, behind any byte
 * in either direction; and while the host is replaced by another one, which
 * knows the numbers of docs/resume.md and nothing else.
 */
#include "tests/unit/stream_jobs.h"

#define REPLACE_EVERY 4
#define HOSTS_MIN 6

/* --- another host --- */

/* Nothing is just starting or ending. */
static bool all_run(struct all *t)
{
	bool any = false;

	for (int i = 0; i < AT_ONCE; i++) {
		struct job *j = &t->job[i];

		if (!j->process)
			continue;
		any = true;
		if (host_process_state(j->process, &j->state) < 0)
			return false;
	}
	return any;
}

static void open_again(struct job *j)
{
	struct host_process_config config = config_of(j);
	struct err e = { 0 };

	j->state.stream = j->stream;
	/* The input goes on behind what was read of it, the outputs behind what
	 * was written: the files know, as their owners would. */
	if (host_process_open(j->all->x->client, &config, &j->state, false,
			      &j->process, &e) < 0)
		fail_msg("%s", e.text);
	host_process_streams_done(j->stream);
}

/* All that the first host knew but the numbers is gone. */
static void replace_host(struct all *t)
{
	const uint64_t next_id = host_client_next_id(t->x->client);
	const uint32_t next_port = host_client_ports(t->x->client)->next;
	uint8_t *saved = NULL;
	size_t len = 0;
	struct err e = { 0 };

	host_client_freeze(t->x->client, true);
	if (!all_run(t)) {
		host_client_freeze(t->x->client, false);
		return;
	}
	for (int i = 0; i < AT_ONCE; i++) {
		struct job *j = &t->job[i];

		j->moves = j->process != NULL;
		if (j->moves)
			assert_int_equal(
				host_process_streams(j->process, j->stream, &e),
				0);
	}
	assert_int_equal(host_client_save(t->x->client, &saved, &len, &e), 0);
	t->losses += t->x->lost;
	for (int i = 0; i < AT_ONCE; i++)
		host_process_free(mem_take(&t->job[i].process));
	host_client_free(mem_take(&t->x->client));
	t->x->ready = 0;
	t->x->lost = 0;
	make_client(t->x, (struct host_client_config){ .session = true,
						       .saved = saved,
						       .saved_len = len });
	free(saved);
	host_client_raise_id(t->x->client, next_id);
	host_ports_raise(host_client_ports(t->x->client), next_port);
	FAKE_UNTIL(&t->x->fake, t->x->ready > 0);
	for (int i = 0; i < AT_ONCE; i++)
		if (t->job[i].moves)
			open_again(&t->job[i]);
	t->hosts++;
}

/* --- the tests --- */

static void run(struct all *t, uint32_t cuts, bool replace)
{
	uint32_t turns = 0;

	t->agent = agent_start(t->dir);
	FAKE_UNTIL(&t->x->fake, t->x->ready > 0);
	for (;;) {
		const bool more = proxy_cuts(&t->proxy) < cuts ||
				  (replace && t->hosts < HOSTS_MIN);

		look_after(t, more);
		if (!more && !any_runs(t))
			break;
		assert_true(loop_turn(t->x->fake.loop, 50, NULL) >= 0);
		assert_int_equal(t->x->failed, 0);
		if (replace && ++turns % REPLACE_EVERY == 0)
			replace_host(t);
	}
	look_after(t, false);
	t->losses += t->x->lost;
	if (!t->plain)
		FAKE_UNTIL(&t->x->fake, agent_ran(t->dir) >= t->runs);
}

static uint32_t cuts_wanted(void)
{
	return getenv("FERRY_SOAK") ? 10 * CUTS : CUTS;
}

static void test_streams_survive_cuts(void **state)
{
	struct all *t = *state;

	make_client(t->x, (struct host_client_config){ .session = true });
	proxy_start(&t->proxy, t->dir, &t->x->fake.transport);
	run(t, cuts_wanted(), false);
	report(t, "session");
	assert_int_equal(agent_ran(t->dir), t->runs);
	assert_true(t->losses > 20);
}

static void test_streams_survive_their_host(void **state)
{
	struct all *t = *state;

	make_client(t->x, (struct host_client_config){ .session = true });
	proxy_start(&t->proxy, t->dir, &t->x->fake.transport);
	run(t, cuts_wanted(), true);
	report(t, "hosts");
	assert_int_equal(agent_ran(t->dir), t->runs);
	assert_true(t->hosts >= HOSTS_MIN);
}

/*
 * Somebody in the guest dials the port of a stream, with what he can know; the
 * stream is not his, and goes on with the agent.
 */
static void test_p1_a_stream_of_somebody_else(void **state)
{
	struct all *t = *state;
	struct fake *f = &t->x->fake;
	struct job *j = &t->job[0];
	uint8_t lie[STREAM_HELLO_BYTES] = "FERRYST1";
	int fd;

	make_client(t->x, (struct host_client_config){ .session = true });
	/* The agent dials the host itself, the liar too. */
	t->agent = agent_start(f->dir);
	FAKE_UNTIL(f, t->x->ready > 0);
	/* Not before the liar. */
	assert_int_equal(kill(t->agent, SIGSTOP), 0);
	start(j);
	fd = fake_dial(f, WIRE_PORT_STDIO_FIRST);
	assert_int_equal(write(fd, lie, sizeof(lie)), sizeof(lie));
	FAKE_UNTIL(f, recv(fd, lie, sizeof(lie), MSG_DONTWAIT) == 0);
	(void)close(fd);
	assert_int_equal(kill(t->agent, SIGCONT), 0);
	FAKE_UNTIL(f, j->ended > 0);
	assert_true(j->good);
}

/* Refused before anything was moved, in words that name who is too old. */
static void test_hazard_24_another_version_is_refused(void **state)
{
	struct all *t = *state;
	struct host_client_config config = { .session = true };
	struct host_client *other = NULL;
	struct err e;
	uint8_t *saved;
	size_t len;

	make_client(t->x, config);
	t->agent = agent_start(t->x->fake.dir);
	FAKE_UNTIL(&t->x->fake, t->x->ready > 0);
	assert_int_equal(host_client_save(t->x->client, &saved, &len, &e), 0);
	host_client_free(mem_take(&t->x->client));
	config.loop = t->x->fake.loop;
	config.transport = t->x->fake.transport;
	config.saved = saved;
	config.saved_len = len;
	saved[7]++; /* behind the magic */
	assert_int_equal(host_client_new(&config, &other, &e), -EPROTO);
	assert_string_equal(e.text, "the agent in the saved guest has another "
				    "version of FerryResume, '2', and this "
				    "host has 1");
	saved[0]++;
	assert_int_equal(host_client_new(&config, &other, &e), -EINVAL);
	saved[0]--;
	saved[7]--;
	assert_int_equal(host_client_new(&config, &other, &e), 0);
	host_client_free(other);
	free(saved);
}

/*
 * What the plain protocol makes of the same: a figure for docs/resume.md, not
 * a promise. Fewer cuts, for each of them may cost seconds.
 */
static void test_the_plain_protocol_loses(void **state)
{
	struct all *t = *state;

	t->plain = true;
	make_client(t->x, (struct host_client_config){ .session = false });
	proxy_start(&t->proxy, t->dir, &t->x->fake.transport);
	run(t, cuts_wanted() / 10, false);
	report(t, "plain");
	assert_true(t->missing > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define R(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
		R(test_streams_survive_cuts),
		R(test_streams_survive_their_host),
		R(test_p1_a_stream_of_somebody_else),
		R(test_hazard_24_another_version_is_refused),
		R(test_the_plain_protocol_loses),
#undef R
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
