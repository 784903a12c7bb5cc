/*
 * tests/unit/test_guest_crash_container.c - the agent is killed, and its
 * containers are there for the next one
 */
#include "tests/unit/container_peer.h"
#include "tests/unit/crash_fixture.h"

static struct peer peer;

static int set_up(void **state UNUSED)
{
	container_begin = crash_begin;
	container_start_agent(&peer);
	return 0;
}

static int tear_down(void **state UNUSED)
{
	crash_done(&peer);
	return 0;
}

static void kill_agent(void)
{
	crash_again(&peer);
}

static void test_a_container_that_runs_goes_on(void **state UNUSED)
{
	const struct wish w = { .id = "one", .line = "sleep 0.5; exit 7" };
	struct run r = { .container = "one" };

	container_create(&peer, &w);
	container_run(&peer, &r);
	kill_agent();
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 7);
	assert_string_equal(peer_notice(&peer, "one"), "UnexpectedExit");
	kill_agent();
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 7);
	container_delete(&peer, "one");
	assert_int_equal(peer_noticed("one"), 1);
}

static void test_one_that_was_created_is_started_by_another(void **state UNUSED)
{
	const struct wish w = { .id = "two", .line = "echo out; exit 6" };
	struct run r = { .container = "two", .x.want = { false, true, false } };

	container_create(&peer, &w);
	kill_agent();
	container_run(&peer, &r);
	assert_string_equal(peer_output(r.x.fd[1]), "out\n");
	assert_int_equal(container_wait(&peer, "two", r.x.pid), 6);
	peer_exec_done(&r.x);
	(void)peer_notice(&peer, "two");
	container_delete(&peer, "two");
}

static void test_an_exec_goes_on(void **state UNUSED)
{
	const struct wish w = { .id = "three", .line = "sleep 100" };
	struct run init = { .container = "three" };
	struct run r = { .container = "three", .line = "sleep 0.5; exit 9" };

	container_create(&peer, &w);
	container_run(&peer, &init);
	container_run(&peer, &r);
	kill_agent();
	assert_int_equal(container_wait(&peer, "three", r.x.pid), 9);
	assert_int_equal(container_signal(&peer, "three", init.x.pid, SIGKILL),
			 HR_OK);
	assert_string_equal(peer_notice(&peer, "three"), "ForcedExit");
}

static bool is_halfway(const void *unused UNUSED)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/fake/halfway", peer.dir);
	return access(path, F_OK) == 0;
}

/* The fifo's name is gone, its byte is not there yet: no other runtime could let
 * the container go. */
static void test_a_start_is_done_whole(void **state UNUSED)
{
	const struct wish w = { .id = "eight", .line = "exit 6" };
	struct run r = { .container = "eight" };
	uint32_t pid;

	container_create(&peer, &w);
	container_steer(&peer, "slow-start", "");
	peer.older = true;
	(void)peer_send(&peer, WIRE_EXECUTE_PROCESS,
			container_execute_body(&peer, &r));
	crash_until(is_halfway, NULL);
	kill_agent();
	pid = (uint32_t)strtoul(container_steered(&peer, "pids-eight"), NULL,
				10);
	assert_int_equal(container_wait(&peer, "eight", pid), 6);
	(void)peer_notice(&peer, "eight");
	container_delete(&peer, "eight");
}

/* The output of an init process waits in its pipe, and is dialled again. */
static void test_the_output_of_init_goes_on(void **state UNUSED)
{
	const struct wish w = { .id = "four",
				.line = "echo one; sleep 1; echo two" };
	struct run r = { .container = "four",
			 .x.want = { false, true, false } };
	struct err e = { 0 };
	char line[8] = { 0 };

	container_create(&peer, &w);
	container_run(&peer, &r);
	assert_int_equal(peer_read(r.x.fd[1], line, 4), 4);
	assert_string_equal(line, "one\n");
	assert_int_equal(transport_listen(&peer.transport, r.x.port[1], 1,
					  &r.x.listener[1], &e),
			 0);
	kill_agent();
	fd_close(&r.x.fd[1]);
	r.x.fd[1] = peer_take(&peer, r.x.listener[1]);
	assert_string_equal(peer_output(r.x.fd[1]), "two\n");
	peer_exec_done(&r.x);
	fd_close(&r.x.listener[1]);
	assert_int_equal(container_wait(&peer, "four", r.x.pid), 0);
}

static struct run given_up;

static bool is_ended(const void *ctx UNUSED)
{
	return kill((pid_t)given_up.x.pid, 0) < 0;
}

/* Agents die of its record: it is ended, which is told once, and its id is free. */
static void test_one_that_is_given_up_is_ended(void **state UNUSED)
{
	const struct wish w = { .id = "six", .line = "sleep 100" };
	struct peer_frame f;

	container_create(&peer, &w);
	given_up = (struct run){ .container = "six" };
	container_run(&peer, &given_up);
	assert_false(is_ended(NULL));
	crash_poison(SLOT_CONTAINER);
	kill_agent();
	assert_string_equal(peer_notice(&peer, "six"), "UnexpectedExit");
	crash_until(is_ended, NULL);
	kill_agent();
	assert_int_equal(peer_call(&peer, WIRE_DUMP_STACKS, "{}", &f), HR_OK);
	assert_non_null(strstr(f.body, "kind=3 deaths=3 given up"));
	assert_int_equal(peer_noticed("six"), 1);
	container_create(&peer, &w);
	container_delete(&peer, "six");
}

/* A create that an agent died in is undone: the id is free. */
static void test_a_create_is_killed_at_every_system_call(void **state UNUSED)
{
	const unsigned int step = getenv("FERRY_SOAK") ? 1 : 23;
	const struct wish w = { .id = "five", .line = "sleep 100" };
	unsigned int kills = 0;
	bool more = true;

	for (unsigned int n = 1; more; n += step, kills++) {
		struct peer_frame f;
		uint32_t code;

		container_make_root("five");
		crash_trace();
		peer.older = true;
		(void)peer_send(&peer, WIRE_CREATE, container_create_body(&w));
		more = crash_after(n);
		crash_until(crash_is_started, &(unsigned int){ kills + 2 });
		fd_close(&peer.fd);
		peer_accept(&peer);
		peer_negotiate(&peer);
		/* It is there, or it can be made again; not at once, perhaps. */
		for (int i = 0; i < 500; i++) {
			container_make_root("five");
			code = peer_call(&peer, WIRE_CREATE,
					 container_create_body(&w), &f);
			if (code == HR_OK ||
			    (i > 300 && code == HR_SYSTEM_ALREADY_EXISTS))
				break;
			if (code == HR_SYSTEM_ALREADY_EXISTS &&
			    peer_call(&peer, WIRE_DELETE_CONTAINER_STATE,
				      peer_base("five"), &f) == HR_OK)
				continue;
			(void)usleep(10000);
		}
		if (code != HR_OK)
			fail_msg("after %u calls: %s", n, f.body);
		container_delete(&peer, "five");
	}
	print_message("# %u kills\n", kills);
}

/* Waits until the agent has nothing in progress for the only container. Return:
 * has it answered @id, by now or before? */
static bool is_answered(uint64_t id, struct peer_frame *f)
{
	static struct peer_frame g;
	bool yes = f->id == id &&
		   f->type == wire_response_type(WIRE_EXECUTE_PROCESS);
	bool busy = true;

	for (int i = 0; busy && i < 3000; i++) {
		const uint64_t last = peer_send(&peer, WIRE_DUMP_STACKS, "{}");

		do {
			assert_true(peer_recv(&peer, &g));
			if (g.id == id) {
				*f = g;
				yes = true;
			}
		} while (g.id != last);
		busy = !strstr(g.body, "requests in_progress=0") ||
		       !strstr(g.body, "requests=0 known");
		(void)usleep(10000);
	}
	assert_false(busy);
	return yes;
}

/* Links of @pid's descriptors with @what in them. */
static unsigned int fds_of(pid_t pid, const char *what)
{
	char line[128];
	FILE *f;
	unsigned int n = 0;

	(void)snprintf(line, sizeof(line), "ls -l /proc/%d/fd | grep -c %s",
		       (int)pid, what);
	f = popen(line, "re"); /* NOLINT: our own */
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%u", &n), 1); /* NOLINT: our own */
	(void)pclose(f);
	return n;
}

/* Whoever was to have a terminal is over: nobody has one, and no runtime is at
 * work. */
static bool is_tidy(const void *stored)
{
	char line[128];

	(void)snprintf(line, sizeof(line), "! pgrep -f '^%s/bin/crun' >&2",
		       peer.dir);
	return crash->stored == *(const unsigned int *)stored &&
	       fds_of(peer.agent, "ptmx") == 0 &&
	       fds_of(crash->agent, "ptmx") == 0 &&
	       system(line) == 0; /* NOLINT: our own */
}

/* Killed at any system call of an exec: what runs is told to the host, once, and
 * its exit code is had. The plain protocol loses an answer that did not leave. */
static void kill_execs(bool terminal)
{
	const unsigned int step = getenv("FERRY_SOAK") ? 1 : 19;
	const struct wish w = { .id = "six", .line = "sleep 1000" };
	struct run init = { .container = "six" };
	unsigned int kills = 0, ran = 0, lost = 0, hung_up = 0, stored;
	bool more = true;

	container_create(&peer, &w);
	container_run(&peer, &init);
	crash_again(&peer);
	stored = crash->stored;
	for (unsigned int n = 1; more; n += step, kills++) {
		char line[192], path[128];
		struct run r = { .container = "six",
				 .line = line,
				 .terminal = terminal,
				 .x.want = { terminal, terminal, false } };
		uint32_t code;
		static struct peer_frame f;
		uint64_t id;
		FILE *mark = NULL;
		bool answered;

		(void)snprintf(path, sizeof(path), "%s/mark.%u", peer.dir, n);
		(void)snprintf(line, sizeof(line), "echo >>%s; exit 5", path);
		peer.older = true;
		crash_trace();
		id = peer_send(&peer, WIRE_EXECUTE_PROCESS,
			       container_execute_body(&peer, &r));
		more = crash_after(n);
		crash_until(crash_is_started, &(unsigned int){ kills + 3 });
		/* It may have been answered before. */
		while (peer_waiting[id] && peer_recv(&peer, &f))
			;
		fd_close(&peer.fd);
		peer_accept(&peer);
		peer_negotiate(&peer);
		answered = is_answered(id, &f);
		/* What no kill came before runs in any case. */
		for (int i = 0; !mark && i < (more ? 40 : 4000); i++) {
			(void)usleep(5000);
			mark = fopen(path, "re");
		}
		if (!mark)
			continue;
		ran++;
		(void)usleep(20000);
		assert_int_equal(fgetc(mark), '\n');
		assert_int_equal(fgetc(mark), EOF);
		fclose(mark);
		if (!answered) {
			lost++;
			continue;
		}
		assert_int_equal(peer_result(&f), HR_OK);
		code = container_wait(&peer, "six",
				      (uint32_t)peer_number(&f, "ProcessId"));
		hung_up += code == 128 + SIGHUP;
		if (code != 5 && code != 128 + SIGHUP)
			fail_msg("after %u calls: exit code %u", n, code);
	}
	print_message("# %u kills, %u ran, %u answers lost, %u hung up\n",
		      kills, ran, lost, hung_up);
	assert_in_range(hung_up, 0, terminal ? kills / 8 + 1 : 0);
	crash_until(is_tidy, &stored);
	assert_in_range(ran, 1, kills);
	assert_in_range(lost, 0, kills / 8 + 1);
	assert_int_equal(container_signal(&peer, "six", init.x.pid, SIGKILL),
			 HR_OK);
}

static void test_an_exec_is_killed_at_every_system_call(void **state UNUSED)
{
	kill_execs(false);
}

/* Its terminal is sent to an agent that is not there any more. */
static void test_an_exec_with_a_terminal_likewise(void **state UNUSED)
{
	kill_execs(true);
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_container_that_runs_goes_on),
		TEST(test_one_that_was_created_is_started_by_another),
		TEST(test_a_start_is_done_whole),
		TEST(test_an_exec_goes_on),
		TEST(test_the_output_of_init_goes_on),
		TEST(test_one_that_is_given_up_is_ended),
		TEST(test_a_create_is_killed_at_every_system_call),
		TEST(test_an_exec_is_killed_at_every_system_call),
		TEST(test_an_exec_with_a_terminal_likewise),
	};

	return container_main(argc, argv, tests, ARRAY_LEN(tests), NULL);
}
