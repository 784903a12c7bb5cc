/*
 * tests/unit/test_guest_earlier.c - the agent is killed, and a runtime that it
 * had started goes on: does the next agent wait for that one, and no longer than
 * it should?
 */
#include "tests/unit/container_peer.h"
#include "tests/unit/crash_fixture.h"

/* Limits of the runtime: one that is reached, and one that no test waits for. */
#define SHORT_MS 300
#define LONG_MS 600000

static struct peer peer;
static int64_t own_ms; /* limit of what the second agent starts itself */

static void limit(int64_t ms)
{
	runtime_limits = (struct runtime_limits){ ms, ms };
}

/* Behind the takeover, which has its limit from the test. */
static void tune(struct agent *a)
{
	limit(a->pid1.incarnation <= 1 ? LONG_MS : own_ms);
}

static int set_up(int64_t earlier, int64_t own)
{
	limit(earlier);
	own_ms = own;
	container_tune = tune;
	container_begin = crash_begin;
	container_start_agent(&peer);
	peer.older = true;
	return 0;
}

static int set_up_once(void **state UNUSED)
{
	return set_up(SHORT_MS, LONG_MS);
}

static int set_up_twice(void **state UNUSED)
{
	return set_up(SHORT_MS, SHORT_MS);
}

static int set_up_never(void **state UNUSED)
{
	return set_up(LONG_MS, LONG_MS);
}

static int tear_down(void **state UNUSED)
{
	crash_done(&peer);
	return 0;
}

/* Lines of the runtime's calls that are @line. */
static unsigned int calls(const char *line)
{
	const char *at = container_steered(&peer, "calls");
	unsigned int n = 0;

	while (at && (at = strstr(at, line)) != NULL) {
		n++;
		at++;
	}
	return n;
}

static bool is_called(const void *line)
{
	return calls(line) > 0;
}

static bool is_alone(const void *unused UNUSED)
{
	char line[128];

	(void)snprintf(line, sizeof(line), "! pgrep -f '^%s/bin/crun' >&2",
		       peer.dir);
	return system(line) == 0; /* NOLINT: our own */
}

/* @r is asked for, and its runtime hangs. Return: the request */
static uint64_t ask_and_hang(struct run *r, const char *verb)
{
	char file[32], line[64];
	uint64_t id;

	(void)snprintf(file, sizeof(file), "hang-%s", verb);
	(void)snprintf(line, sizeof(line), "%s %s\n", verb, r->container);
	container_steer(&peer, file, "");
	id = peer_send(&peer, WIRE_EXECUTE_PROCESS,
		       container_execute_body(&peer, r));
	crash_until(is_called, line);
	return id;
}

static uint32_t init_of(const char *container)
{
	char file[32];

	(void)snprintf(file, sizeof(file), "pids-%s", container);
	return (uint32_t)strtoul(container_steered(&peer, file), NULL, 10);
}

static void test_a_start_that_hangs_is_begun_again(void **state UNUSED)
{
	const struct wish w = { .id = "one", .line = "exit 6" };
	struct run r = { .container = "one" };

	container_create(&peer, &w);
	(void)ask_and_hang(&r, "start");
	container_steer(&peer, "hang-start", NULL);
	crash_again(&peer);
	assert_int_equal(container_wait(&peer, "one", init_of("one")), 6);
	assert_int_equal(calls("start one\n"), 2);
	crash_until(is_alone, NULL);
	(void)peer_notice(&peer, "one");
	container_delete(&peer, "one");
}

/* Nobody knows what one that was killed has done: the container is ended. */
static void test_one_that_hangs_twice_ends_the_container(void **state UNUSED)
{
	const struct wish w = { .id = "two", .line = "exit 6" };
	struct run r = { .container = "two" };

	container_create(&peer, &w);
	(void)ask_and_hang(&r, "start");
	crash_again(&peer);
	assert_int_equal(container_wait(&peer, "two", init_of("two")),
			 128 + SIGKILL);
	assert_int_equal(calls("start two\n"), 2);
	crash_until(is_alone, NULL);
	assert_string_equal(peer_notice(&peer, "two"), "UnexpectedExit");
	container_delete(&peer, "two");
}

static void test_an_exec_that_hangs_is_refused(void **state UNUSED)
{
	const struct wish w = { .id = "three", .line = "sleep 100" };
	struct run init = { .container = "three" };
	struct run r = { .container = "three", .line = "exit 5" };
	static struct peer_frame f;
	uint64_t id;

	container_create(&peer, &w);
	container_run(&peer, &init);
	id = ask_and_hang(&r, "exec");
	crash_again(&peer);
	while (peer_waiting[id])
		assert_true(peer_recv(&peer, &f));
	assert_int_equal(f.id, id);
	assert_int_not_equal(peer_result(&f), HR_OK);
	assert_non_null(strstr(f.body, "the agent was restarted"));
	assert_int_equal(calls("exec three\n"), 1);
	crash_until(is_alone, NULL);
	/* And another one is served. */
	container_steer(&peer, "hang-exec", NULL);
	container_run(&peer, &r);
	assert_int_equal(container_wait(&peer, "three", r.x.pid), 5);
	assert_int_equal(container_signal(&peer, "three", init.x.pid, SIGKILL),
			 HR_OK);
	assert_string_equal(peer_notice(&peer, "three"), "ForcedExit");
}

static void take_word(struct slot *slot, void *ctx)
{
	const uint64_t *words = ctx; /* the runtime's, somebody else's */

	if (slot->word == words[0])
		slot->word = words[1];
}

static uint64_t runtime_pid(void)
{
	char line[128];
	unsigned long pid = 0;
	FILE *f;

	(void)snprintf(line, sizeof(line), "pgrep -f '^%s/bin/crun.* start '",
		       peer.dir);
	f = popen(line, "re"); /* NOLINT: our own */
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu", &pid), 1); /* NOLINT: our own */
	(void)pclose(f);
	return pid;
}

static bool is_stopped(const void *unused UNUSED)
{
	char path[64], stat[256] = { 0 };
	cleanup_fd fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)crash->agent);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, stat, sizeof(stat) - 1) > 0 &&
	       strstr(stat, ") T ") != NULL;
}

/* The runtime has ended, and its number was given to a program that stays. */
static void test_its_number_may_be_anothers(void **state UNUSED)
{
	const struct wish w = { .id = "four", .line = "exit 6" };
	struct run r = { .container = "four" };
	uint64_t words[2];
	pid_t other;

	container_create(&peer, &w);
	(void)ask_and_hang(&r, "start");
	container_steer(&peer, "hang-start", NULL);
	other = fork();
	if (other == 0) {
		(void)execl("/bin/sleep", "sleep", "1000", (char *)NULL);
		_exit(127);
	}
	words[0] = runtime_pid();
	words[1] = (uint64_t)other;
	assert_int_equal(kill(crash->agent, SIGSTOP), 0);
	crash_until(is_stopped, NULL);
	assert_int_equal(kill((pid_t)words[0], SIGKILL), 0);
	crash_records(SLOT_CONTAINER, take_word, words);
	crash_again(&peer);
	assert_int_equal(container_wait(&peer, "four", init_of("four")), 6);
	assert_int_equal(waitpid(other, NULL, WNOHANG), 0);
	(void)kill(other, SIGKILL);
	assert_int_equal(waitpid(other, NULL, 0), other);
	(void)peer_notice(&peer, "four");
	container_delete(&peer, "four");
}

int main(int argc, char **argv)
{
#define TEST(f, how) cmocka_unit_test_setup_teardown(f, set_up_##how, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_start_that_hangs_is_begun_again, once),
		TEST(test_one_that_hangs_twice_ends_the_container, twice),
		TEST(test_an_exec_that_hangs_is_refused, once),
		TEST(test_its_number_may_be_anothers, never),
	};

	return container_main(argc, argv, tests, ARRAY_LEN(tests), NULL);
}
