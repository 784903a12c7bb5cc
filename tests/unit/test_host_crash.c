/*
 * The agent is killed under a session, with both real ends: whatever the host
 * had asked for is done once and answered once, and no byte of a stream is lost
 * or comes twice; while connections are cut as well.
 */
#include "tests/unit/stream_jobs.h"

#include "tests/unit/crash_pid1.h"

/* FERRY_SOAK has ten times as many. */
#define KILLS 100
#define KILL_EVERY_MS 40
/* What lies with PID 1 when nothing runs: the state and the outbox. */
#define STORED_IDLE 2

/* Returns to a parent that does not know what to do with it. */
static void run_agent(const void *ctx)
{
	const struct all *t = ctx;
	char transport[80];
	char name[] = AGENT, v4[] = "-v4", flag[] = "-transport";
	char level[] = "-loglevel", error[] = "error";
	char *argv[] = { name, v4, flag, transport, level, error, NULL };

	(void)snprintf(transport, sizeof(transport), "unix:%s/v", t->dir);
	(void)fd_cloexec(atoi(getenv(CONTROL_ENV)), false); /* NOLINT: ours */
	(void)execv(AGENT, argv);
}

static void start_pid1(struct all *t)
{
	crash = mmap(NULL, sizeof(*crash), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(crash, MAP_FAILED);
	crash->stubborn = true;
	t->agent = fork();
	assert_true(t->agent >= 0);
	if (t->agent == 0)
		crash_pid1(run_agent, t);
}

static int tear_down_pid1(void **state)
{
	const pid_t agent = crash->agent;
	const int r = tear_down(state);

	if (agent > 1)
		(void)kill(agent, SIGKILL);
	(void)munmap(crash, sizeof(*crash));
	return r;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Return: was there one to kill? */
static bool kill_agent(void)
{
	const pid_t agent = __atomic_load_n(&crash->agent, __ATOMIC_ACQUIRE);

	return agent > 1 && kill(agent, SIGKILL) == 0;
}

static int kills_wanted(void)
{
	return getenv("FERRY_SOAK") ? 10 * KILLS : KILLS;
}

static int run(struct all *t)
{
	int64_t next = now_ms() + KILL_EVERY_MS;
	bool early = false;
	int kills = 0;

	start_pid1(t);
	FAKE_UNTIL(&t->x->fake, t->x->ready > 0);
	for (;;) {
		const bool more = kills < kills_wanted();

		look_after(t, more);
		if (!more && !any_runs(t))
			break;
		assert_true(loop_turn(t->x->fake.loop, 10, NULL) >= 0);
		assert_int_equal(t->x->failed, 0);
		if (!more || now_ms() < next)
			continue;
		next = now_ms() + 1 + pick(2 * KILL_EVERY_MS);
		/* Two that die at once while they take over are another test:
		 * then a record is set aside. */
		if (host_client_state(t->x->client) != HOST_READY && early)
			continue;
		early = host_client_state(t->x->client) != HOST_READY;
		kills += kill_agent();
	}
	look_after(t, false);
	t->losses += t->x->lost;
	FAKE_UNTIL(&t->x->fake, agent_ran(t->dir) >= t->runs - t->refused);
	return kills;
}

static void check(struct all *t, const char *name, int kills)
{
	report(t, name);
	print_message("%s: kills=%d agents=%u refused=%d\n", name, kills,
		      crash->started, t->refused);
	assert_int_equal(agent_ran(t->dir), t->runs - t->refused);
	assert_true(t->refused < t->runs / 2 + AT_ONCE);
	assert_true(t->runs > AT_ONCE);
	FAKE_UNTIL(&t->x->fake, crash->stored == STORED_IDLE);
}

static void test_streams_survive_their_agent(void **state)
{
	struct all *t = *state;

	make_client(t->x, (struct host_client_config){ .session = true });
	proxy_start_whole(&t->proxy, t->dir, &t->x->fake.transport);
	check(t, "kills", run(t));
}

static void test_streams_survive_kills_and_cuts(void **state)
{
	struct all *t = *state;

	make_client(t->x, (struct host_client_config){ .session = true });
	proxy_start(&t->proxy, t->dir, &t->x->fake.transport);
	check(t, "kills and cuts", run(t));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define R(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down_pid1)
		R(test_streams_survive_their_agent),
		R(test_streams_survive_kills_and_cuts),
#undef R
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
