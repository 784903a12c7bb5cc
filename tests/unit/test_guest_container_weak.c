/*
 * The weaknesses of the reference's containers, one test each: what ferry's
 * agent does instead. Ids: shared specification bridge.md 8.1.
 */
#include "tests/unit/container_peer.h"

#include "bridge/guest/runtime.h"

static struct peer peer;

static const struct wish sleeper = { .id = "one", .line = "sleep 1000" };

static int set_up(void **state UNUSED)
{
	container_start_agent(&peer);
	return 0;
}

static int tear_down(void **state UNUSED)
{
	peer_done(&peer);
	return 0;
}

static void remove_bundle_of(const char *id)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "/run/gcs/c/%s/rootfs", id);
	(void)rmdir(path);
	(void)snprintf(path, sizeof(path), "/run/gcs/c/%s", id);
	(void)rmdir(path);
}

/* The host goes away, and one that continues its ids comes. */
static void same_host(void)
{
	peer_drop(&peer, false);
	peer_accept(&peer);
	peer_negotiate(&peer);
}

/* The host goes away, and another one comes. */
static void new_host(void)
{
	peer_drop(&peer, true);
	peer_accept(&peer);
	peer_negotiate(&peer);
}

/* The process that waited_for() starts ends. */
static void let_end(const struct run *r)
{
	assert_int_equal(fd_write_full(r->x.fd[0], "\n", 1), 0);
}

static bool is_gone(uint32_t pid)
{
	for (int i = 0; i < 3000; i++) {
		if (kill((pid_t)pid, 0) < 0 && errno == ESRCH)
			return true;
		(void)usleep(10000);
	}
	return false;
}

static void test_w_g16_creating_has_its_code(void **state UNUSED)
{
	static const uint32_t types[] = {
		WIRE_SHUTDOWN_FORCED, WIRE_WAIT_FOR_PROCESS,
		WIRE_SIGNAL_PROCESS,  WIRE_RESIZE_CONSOLE,
		WIRE_GET_PROPERTIES,  WIRE_DELETE_CONTAINER_STATE
	};

	container_make_root("one");
	container_steer(&peer, "hang-create", "");
	(void)peer_send(&peer, WIRE_CREATE, container_create_body(&sleeper));
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		assert_int_equal(container_call(&peer, types[i], "one"),
				 HR_INVALID_STATE);
}

static void test_w_g17_words_of_runtimes(void **state UNUSED)
{
	static const struct {
		const char *text;
		uint32_t code;
	} cases[] = {
		{ "container \"x\" does not exist", HR_SYSTEM_NOT_FOUND },
		{ "container with id exists: x", HR_SYSTEM_ALREADY_EXISTS },
		{ "container with given ID already exists",
		  HR_SYSTEM_ALREADY_EXISTS },
		{ "invalid id format: a/b", HR_INVALID_ARGUMENT },
		{ "cannot delete container x that is not stopped: running",
		  HR_INVALID_STATE },
		{ "container not running", HR_SYSTEM_ALREADY_STOPPED },
		{ "container `x` already exists", HR_SYSTEM_ALREADY_EXISTS },
		{ "the container `x` is not in `created` or `stopped` state",
		  HR_INVALID_STATE },
		{ "container `x` is not running", HR_SYSTEM_ALREADY_STOPPED },
		{ "error opening file `/run/crun/x/status`: No such file or "
		  "directory",
		  HR_SYSTEM_NOT_FOUND },
		{ "cannot open directory '/run/crun/x': No such file or "
		  "directory",
		  HR_SYSTEM_NOT_FOUND },
		{ "cannot open `/run/crun/x/exec.fifo`: No such file or "
		  "directory",
		  HR_INVALID_STATE },
		{ "setns(pid=9, CLONE_NEWUSER): No such process",
		  HR_SYSTEM_ALREADY_STOPPED },
		{ "executable file `x` not found in $PATH: No such file or "
		  "directory",
		  HR_FAIL },
		{ "", HR_FAIL },
	};
	static const char log[] =
		"{\"msg\":\"first\",\"level\":\"error\"}\n"
		"no json\n"
		"{\"level\":\"fatal\",\"msg\":\"the `last` <one>\"}\n"
		"{\"level\":\"debug\",\"msg\":\"not this\"}\n"
		"{\"level\":\"error\",\"msg\":\"cut of";
	char out[16];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(runtime_code(cases[i].text), cases[i].code);
	assert_true(runtime_log_last(log, out, sizeof(out)));
	assert_string_equal(out, "the `last` <one");
	assert_false(runtime_log_last("", out, sizeof(out)));
	assert_string_equal(out, "");
	assert_false(runtime_log_last("{}\n[]\n1\n", out, sizeof(out)));
}

/* The words of delete, which the reference does not read, have their code. */
static void test_w_g17_delete_of_what_is_gone(void **state UNUSED)
{
	const struct wish w = { .id = "one", .line = "exit 0" };
	struct run r = { .container = "one" };

	container_create(&peer, &w);
	container_run(&peer, &r);
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 0);
	container_steer(&peer, "fail-delete",
			"cannot open directory '/run/crun/one': No such file "
			"or directory");
	container_delete(&peer, "one");
}

static void test_w_g18_no_signal_to_a_reused_pid(void **state UNUSED)
{
	struct run init = { .container = "one" };
	struct run r = { .container = "one", .line = "exit 0" };

	container_create(&peer, &sleeper);
	container_run(&peer, &init);
	container_run(&peer, &r);
	assert_true(is_gone(r.x.pid));
	/* Known, since nobody has asked for its exit, and not signalled. */
	assert_int_equal(container_signal(&peer, "one", r.x.pid, SIGTERM),
			 HR_ELEMENT_NOT_FOUND);
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 0);
}

static void failing_create(const char *file, const char *text, bool terminal)
{
	const struct wish w = { .id = "one",
				.line = "sleep 1000",
				.terminal = terminal };
	struct peer_frame f;

	container_steer(&peer, file, text);
	assert_int_equal(container_try_create(&peer, &w, &f), HR_FAIL);
	container_steer(&peer, file, NULL);
	assert_int_equal(access("/run/gcs/c/one/config.json", F_OK), -1);
	assert_int_equal(container_call(&peer, WIRE_GET_PROPERTIES, "one"),
			 HR_SYSTEM_NOT_FOUND);
	/* The runtime was told to forget it. */
	assert_null(container_steered(&peer, "pids-one"));
}

static void test_w_g21_a_failed_create_leaves_nothing(void **state UNUSED)
{
	const struct wish again = { .id = "one", .line = "exit 2" };
	struct run r = { .container = "one" };

	failing_create("fail-create", "no such thing", false);
	/* It was made, and has no terminal: that is found out afterwards. */
	failing_create("silent-create", "", true);
	assert_non_null(strstr(container_steered(&peer, "calls"),
			       "delete one\ncreate one\ndelete one\n"));
	assert_int_equal(peer_noticed("one"), 0);
	container_create(&peer, &again);
	container_run(&peer, &r);
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 2);
}

static void test_w_g22_a_running_container_is_not_deleted(void **state UNUSED)
{
	struct run r = { .container = "one" };

	container_create(&peer, &sleeper);
	container_run(&peer, &r);
	assert_int_equal(
		container_call(&peer, WIRE_DELETE_CONTAINER_STATE, "one"),
		HR_INVALID_STATE);
	assert_int_equal(access("/run/gcs/c/one/config.json", F_OK), 0);
	assert_null(strstr(container_steered(&peer, "calls"), "delete"));
	assert_int_equal(kill((pid_t)r.x.pid, 0), 0);
	assert_int_equal(container_call(&peer, WIRE_SHUTDOWN_FORCED, "one"),
			 HR_OK);
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 137);
	container_delete(&peer, "one");
}

static void test_w_g23_init_starts_once(void **state UNUSED)
{
	const struct wish w = { .id = "one", .line = "cat; exit 3" };
	struct run r = { .container = "one", .x.want = { true, true, false } };
	struct run again = { .container = "one",
			     .x.want = { true, true, false } };
	struct peer_frame f;

	container_create(&peer, &w);
	container_run(&peer, &r);
	assert_int_equal(container_try_run(&peer, &again, &f),
			 HR_INVALID_STATE);
	for (int i = 0; i < 3; i++)
		fd_close(&again.x.listener[i]);
	/* The first one's streams are as they were. */
	assert_int_equal(fd_write_full(r.x.fd[0], "still here\n", 11), 0);
	fd_close(&r.x.fd[0]);
	assert_string_equal(peer_output(r.x.fd[1]), "still here\n");
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 3);
	assert_int_equal(container_try_run(&peer, &again, &f),
			 HR_SYSTEM_ALREADY_STOPPED);
	peer_exec_done(&r.x);
}

static void test_w_g24_the_end_is_always_told(void **state UNUSED)
{
	const struct wish w = { .id = "two", .line = "exit 0" };
	struct run r = { .container = "two" };

	/* Nobody waits. */
	container_create(&peer, &w);
	container_run(&peer, &r);
	assert_string_equal(peer_notice(&peer, "two"), "UnexpectedExit");
	/* Never started. */
	container_create(&peer, &sleeper);
	assert_int_equal(container_call(&peer, WIRE_SHUTDOWN_FORCED, "one"),
			 HR_OK);
	assert_string_equal(peer_notice(&peer, "one"), "ForcedExit");
	container_delete(&peer, "one");
	/* Deleted before it was started. */
	container_create(&peer, &sleeper);
	peer_n_notices = 0;
	container_delete(&peer, "one");
	assert_int_equal(peer_noticed("one"), 1);
}

static void test_w_g9_one_notice_for_each_container(void **state UNUSED)
{
	const struct wish w = { .id = "one", .line = "sleep 0.1" };
	struct run r = { .container = "one" };

	container_create(&peer, &w);
	container_run(&peer, &r);
	peer_drop(&peer, false);
	assert_true(is_gone(r.x.pid));
	for (int i = 0; i < 5; i++) {
		peer_accept(&peer);
		peer_drop(&peer, false);
	}
	peer_accept(&peer);
	assert_int_equal(peer_n_notices, 0);
	peer_negotiate(&peer);
	assert_string_equal(peer_notice(&peer, "one"), "UnexpectedExit");
	same_host();
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 0);
	assert_int_equal(peer_noticed("one"), 1);
}

/* An exec that ended while nobody was there is known to the host that comes
 * back, also when an answer about it was lost. */
static void test_w_g15_exits_of_execs_are_kept(void **state UNUSED)
{
	struct run init = { .container = "one" };
	struct run r = { .container = "one", .line = "exit 8" };

	container_create(&peer, &sleeper);
	container_run(&peer, &init);
	container_run(&peer, &r);
	assert_true(is_gone(r.x.pid));
	same_host();
	/* This answer is not read. */
	(void)container_send_wait(&peer, "one", r.x.pid, UINT32_MAX);
	assert_true(peer_ready(peer.fd, POLLIN, PEER_WAIT_MS));
	same_host();
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 8);
}

/* --- a host that has other containers: bridge.md 6.5 ------------------------ */

/* A container that runs, and the wait that a host has for it. */
static uint64_t waited_for(struct run *r)
{
	const struct wish w = { .id = "one", .line = "read x; exit 5" };

	r->container = "one";
	r->x.want[0] = true;
	container_create(&peer, &w);
	container_run(&peer, r);
	return container_send_wait(&peer, "one", r->x.pid, UINT32_MAX);
}

static void test_w_g3_a_kept_answer_reaches_the_same_host(void **state UNUSED)
{
	struct run r = { 0 };
	const uint64_t id = waited_for(&r);
	struct peer_frame f;

	peer_drop(&peer, false);
	let_end(&r);
	assert_true(is_gone(r.x.pid));
	peer_accept(&peer);
	peer_negotiate(&peer);
	peer_answer(&peer, id, &f);
	assert_int_equal(peer_number(&f, "ExitCode"), 5);
	assert_string_equal(peer_notice(&peer, "one"), "UnexpectedExit");
}

static void test_w_g8_a_destination_is_told_when_it_knows(void **state UNUSED)
{
	struct run r = { 0 };
	const uint64_t kept = waited_for(&r);
	uint64_t second, probe;
	struct peer_frame f;

	second = container_send_wait(&peer, "one", r.x.pid, UINT32_MAX);
	assert_int_equal(second, kept + 1);
	peer_drop(&peer, true);
	let_end(&r);
	assert_true(is_gone(r.x.pid));
	peer.next_id = 0;
	peer_accept(&peer);
	peer_negotiate(&peer);
	peer.next_id = kept + 10;
	/* Frames about other things release nothing. */
	assert_int_equal(container_call(&peer, WIRE_GET_PROPERTIES, "two"),
			 HR_SYSTEM_NOT_FOUND);
	(void)peer_run(&peer, "true");
	assert_int_equal(peer_n_notices, 0);
	/* The probe of its exit: answered first, at once. */
	peer_waiting[kept] = true; /* the source's wait, which it has saved */
	probe = container_send_wait(&peer, "one", r.x.pid, 50);
	peer_answer(&peer, probe, &f);
	assert_int_equal(peer_number(&f, "ExitCode"), 5);
	assert_int_equal(peer_n_notices, 0);
	peer_answer(&peer, kept, &f);
	assert_int_equal(peer_number(&f, "ExitCode"), 5);
	assert_string_equal(peer_notice(&peer, "one"), "UnexpectedExit");
	/* And no more of it. */
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 5);
	assert_int_equal(peer_noticed("one"), 1);
}

/* The source's wait ends on the destination, when the process does. */
static void test_the_source_s_wait_goes_on(void **state UNUSED)
{
	struct run r = { 0 };
	const uint64_t kept = waited_for(&r);
	struct peer_frame f;

	new_host();
	peer.next_id = kept + 10;
	peer_waiting[kept] = true;
	assert_int_equal(
		peer_call(&peer, WIRE_WAIT_FOR_PROCESS,
			  container_process_body("one", r.x.pid,
						 ",\"TimeoutInMs\":50"),
			  &f),
		HR_TIMEOUT);
	(void)kill((pid_t)r.x.pid, SIGKILL);
	peer_answer(&peer, kept, &f);
	assert_int_equal(peer_number(&f, "ExitCode"), 137);
	assert_string_equal(peer_notice(&peer, "one"), "UnexpectedExit");
}

static void test_w_g33_an_id_that_is_used_again(void **state UNUSED)
{
	struct run r = { 0 };
	const uint64_t kept = waited_for(&r);
	struct peer_frame f;

	new_host();
	assert_true(kept < 100);
	while (peer.next_id <= kept)
		assert_int_equal(container_call(&peer, WIRE_START, "x"), HR_OK);
	/* Named now, and the old wait is nobody's. */
	(void)kill((pid_t)r.x.pid, SIGKILL);
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 137);
	assert_string_equal(peer_notice(&peer, "one"), "UnexpectedExit");
	assert_int_equal(peer_call(&peer, WIRE_START, peer_base("x"), &f),
			 HR_OK);
}

/* What the source was told, it may not have kept: a destination that asks for
 * the exit is told again. */
static void test_w_g6_a_notice_is_repeated(void **state UNUSED)
{
	struct run r = { 0 };
	const uint64_t kept = waited_for(&r);
	struct peer_frame f;

	let_end(&r);
	peer_answer(&peer, kept, &f);
	assert_string_equal(peer_notice(&peer, "one"), "UnexpectedExit");
	new_host();
	peer_n_notices = 0;
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 5);
	assert_string_equal(peer_notice(&peer, "one"), "UnexpectedExit");
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 5);
	assert_int_equal(peer_noticed("one"), 1);
}

static void test_requests_for_one_container_stay_in_order(void **state UNUSED)
{
	struct run r = { .container = "one" };
	const struct wish two = { .id = "two", .line = "true" };
	struct peer_frame f;
	uint64_t start, stop;

	container_create(&peer, &sleeper);
	container_steer(&peer, "hang-start", "");
	start = peer_send(&peer, WIRE_EXECUTE_PROCESS,
			  container_execute_body(&peer, &r));
	stop = peer_send(&peer, WIRE_SHUTDOWN_FORCED, peer_base("one"));
	/* Another one goes on meanwhile. */
	container_create(&peer, &two);
	assert_true(start < stop);
	assert_false(peer_ready(peer.fd, POLLIN, 50));
	(void)f;
}

static int clear(void **state UNUSED)
{
	remove_bundle_of("one");
	return 0;
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_w_g16_creating_has_its_code),
		T(test_w_g17_words_of_runtimes),
		T(test_w_g17_delete_of_what_is_gone),
		T(test_w_g18_no_signal_to_a_reused_pid),
		T(test_w_g21_a_failed_create_leaves_nothing),
		T(test_w_g22_a_running_container_is_not_deleted),
		T(test_w_g23_init_starts_once),
		T(test_w_g24_the_end_is_always_told),
		T(test_w_g9_one_notice_for_each_container),
		T(test_w_g15_exits_of_execs_are_kept),
		T(test_w_g3_a_kept_answer_reaches_the_same_host),
		T(test_w_g8_a_destination_is_told_when_it_knows),
		T(test_the_source_s_wait_goes_on),
		T(test_w_g33_an_id_that_is_used_again),
		T(test_w_g6_a_notice_is_repeated),
		T(test_requests_for_one_container_stay_in_order),
	};
#undef T

	return container_main(argc, argv, tests, ARRAY_LEN(tests), clear);
}
