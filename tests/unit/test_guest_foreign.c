/*
 * tests/unit/test_guest_foreign.c - the agent as it is shipped, below a PID 1 that
 * is none of ferry's: a shell in a pid namespace of its own, without control socket
 *
 * Nothing is kept then, and the agent is the reaper of what it starts: so are the
 * exits of processes and containers told, and no zombie is left to a PID 1 that may
 * not look after them.
 */
#include "tests/unit/container_peer.h"
#include "tests/unit/real_agent.h"

static struct peer peer;

/* PID 1: the agent is a child of its, and it waits for nothing else. */
static void begin_below_a_shell(struct peer *p)
{
	static const char line[] = "mount -t proc proc /proc || exit 9; "
				   "\"$0\" -v4 -transport \"$1\" 2>\"$2\" & "
				   "wait $!; exit 8";
	char transport[80], log[80];

	(void)snprintf(transport, sizeof(transport), "unix:%s/v", p->dir);
	(void)snprintf(log, sizeof(log), "%s/log", p->dir);
	p->agent = fork();
	assert_true(p->agent >= 0);
	if (p->agent > 0)
		return;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWPID) < 0)
		_exit(7);
	const pid_t init = fork(); /* the namespace ends with it */

	if (init == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNS) == 0)
			(void)execl("/bin/sh", "sh", "-c", line, AGENT,
				    transport, log, (char *)NULL);
		_exit(6);
	}
	(void)waitpid(init, NULL, 0);
	_exit(5);
}

static int set_up(void **state UNUSED)
{
	container_begin = begin_below_a_shell;
	container_start_agent(&peer);
	return 0;
}

static int tear_down(void **state UNUSED)
{
	peer_done(&peer);
	return 0;
}

/* A line of the UVM that tells by its exit code. */
static uint32_t told(const char *line)
{
	return peer_wait(&peer, peer_run(&peer, line));
}

static void
test_the_agent_is_no_pid_1_and_has_no_control_socket(void **state UNUSED)
{
	struct peer_frame f;

	assert_int_equal(told("test \"$(cat /proc/1/comm)\" = sh && "
			      "test $PPID != 1 && "
			      "grep -q '^PPid:.1$' /proc/$PPID/status && "
			      "test \"$(cat /proc/$PPID/comm)\" = gcs"),
			 0);
	assert_int_equal(peer_call(&peer, WIRE_DUMP_STACKS, "{}", &f), HR_OK);
	assert_non_null(strstr(f.body, "pid1 attached=0"));
}

static void test_exits_are_told(void **state UNUSED)
{
	struct peer_exec x = { .line = "echo out; exit 5",
			       .want = { false, true, false } };

	peer_exec(&peer, &x);
	assert_string_equal(peer_output(x.fd[1]), "out\n");
	assert_int_equal(peer_wait(&peer, x.pid), 5);
	peer_exec_done(&x);
	assert_int_equal(told("kill -9 $$"), 137);
}

/* Orphans are the agent's, and not those of the shell, which cares for nobody. */
static void test_orphans_are_reaped(void **state UNUSED)
{
	static const char none_is_left[] =
		"n=0; while [ $n -lt 300 ]; do n=$((n + 1)); "
		"cat /proc/[0-9]*/status 2>/dev/null | grep -q '^State:.Z' || "
		"exit 4; sleep 0.1; done";

	assert_int_equal(told("p=$(sleep 30 >/dev/null & echo $!); "
			      "grep -q \"^PPid:.$PPID$\" /proc/$p/status && "
			      "kill $p && exit 2"),
			 2);
	for (int i = 0; i < 10; i++)
		assert_int_equal(told("(sh -c 'exit 3' &); (sleep 0.1 &); "
				      "exit 0"),
				 0);
	assert_int_equal(told(none_is_left), 4);
}

static void test_a_container_runs(void **state UNUSED)
{
	const struct wish w = { .id = "one", .line = "sleep 0.2; exit 7" };
	struct run r = { .container = "one" };
	const struct wish long_one = { .id = "two", .line = "sleep 100" };
	struct run init = { .container = "two" };
	struct run exec = { .container = "two", .line = "exit 9" };

	container_create(&peer, &w);
	container_run(&peer, &r);
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 7);
	assert_string_equal(peer_notice(&peer, "one"), "UnexpectedExit");
	container_delete(&peer, "one");
	container_create(&peer, &long_one);
	container_run(&peer, &init);
	container_run(&peer, &exec);
	assert_int_equal(container_wait(&peer, "two", exec.x.pid), 9);
	assert_int_equal(container_signal(&peer, "two", init.x.pid, SIGKILL),
			 HR_OK);
	assert_string_equal(peer_notice(&peer, "two"), "ForcedExit");
	container_delete(&peer, "two");
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_the_agent_is_no_pid_1_and_has_no_control_socket),
		TEST(test_exits_are_told),
		TEST(test_orphans_are_reaped),
		TEST(test_a_container_runs),
	};

	return container_main(argc, argv, tests, ARRAY_LEN(tests), NULL);
}
