/* The life of containers in the agent, with a runtime of the test's own. */
#include "tests/unit/container_peer.h"

static struct peer peer;

static int set_up(void **state UNUSED)
{
	container_start_agent(&peer);
	return 0;
}

/* A limit of the runtime that is reached. */
#define SHORT_MS 300

static void tune_short(struct agent *a UNUSED)
{
	runtime_limits = (struct runtime_limits){ SHORT_MS, SHORT_MS };
}

static int set_up_short(void **state)
{
	int r;

	container_tune = tune_short;
	r = set_up(state);
	container_tune = NULL;
	return r;
}

/* No runtime but the test's own. */
static int set_up_alone(void **state)
{
	char path[4096];
	int r;

	(void)snprintf(path, sizeof(path), "%s", getenv("PATH"));
	assert_int_equal(setenv("PATH", "/nowhere", 1), 0);
	r = set_up(state);
	assert_int_equal(setenv("PATH", path, 1), 0);
	return r;
}

static int tear_down(void **state UNUSED)
{
	peer_done(&peer);
	return 0;
}

static void test_life_of_a_container(void **state UNUSED)
{
	const struct wish w = { .id = "one",
				.line = "read x; echo got $x; echo no >&2; "
					"exit 7" };
	struct run r = { .container = "one", .x.want = { true, true, true } };

	container_create(&peer, &w);
	assert_int_equal(container_call(&peer, WIRE_START, "one"), HR_OK);
	container_run(&peer, &r);
	assert_int_equal(fd_write_full(r.x.fd[0], "this\n", 5), 0);
	assert_string_equal(peer_output(r.x.fd[1]), "got this\n");
	assert_string_equal(peer_output(r.x.fd[2]), "no\n");
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 7);
	assert_string_equal(peer_notice(&peer, "one"), "UnexpectedExit");
	/* The exit code of init is there as long as the container. */
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 7);
	container_delete(&peer, "one");
	assert_int_equal(access("/run/gcs/c/one/config.json", F_OK), -1);
	assert_int_equal(
		container_call(&peer, WIRE_DELETE_CONTAINER_STATE, "one"),
		HR_SYSTEM_NOT_FOUND);
	assert_int_equal(peer_noticed("one"), 1);
	peer_exec_done(&r.x);
}

/* What a container's processes see of the filter that the runtime is under. */
static void vsock_is(const char *annotations, const char *want)
{
	static const char line[] =
		"grep ^Seccomp: /proc/self/status; exec sleep 1000";
	const struct wish w = { .id = "one",
				.line = line,
				.annotations = annotations };
	struct run init = { .container = "one",
			    .x.want = { false, true, false } };
	struct run r = { .container = "one",
			 .line = "grep ^Seccomp: /proc/self/status",
			 .x.want = { false, true, false } };
	char got[32] = "";

	container_create(&peer, &w);
	container_run(&peer, &init);
	container_run(&peer, &r);
	assert_string_equal(peer_output(r.x.fd[1]), want);
	assert_int_equal(fd_read_full(init.x.fd[1], got, strlen(want)),
			 strlen(want));
	assert_string_equal(got, want);
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 0);
	assert_int_equal(container_signal(&peer, "one", init.x.pid, 9), HR_OK);
	fd_close(&init.x.fd[1]);
	assert_int_equal(container_wait(&peer, "one", init.x.pid), 137);
	(void)peer_notice(&peer, "one");
	container_delete(&peer, "one");
	peer_exec_done(&r.x);
	peer_exec_done(&init.x);
}

static void test_containers_have_no_vsock(void **state UNUSED)
{
	vsock_is(NULL, "Seccomp:\t2\n");
	vsock_is("\"io.ferry.vsock\":\"true\"", "Seccomp:\t0\n");
	vsock_is("\"io.microsoft.virtualmachine.lcow.privileged\":\"1\"",
		 "Seccomp:\t0\n");
}

static void test_exec_in_a_container(void **state UNUSED)
{
	const struct wish w = { .id = "one", .line = "sleep 1000" };
	struct run init = { .container = "one" };
	struct run r = { .container = "one",
			 .line = "cat; exit 9",
			 .x.want = { true, true, false } };
	struct peer_frame f;

	container_create(&peer, &w);
	/* Not before the init process. */
	assert_int_equal(container_try_run(&peer, &r, &f), HR_INVALID_STATE);
	peer_exec_done(&r.x);
	for (int i = 0; i < 3; i++)
		fd_close(&r.x.listener[i]);
	container_run(&peer, &init);
	container_run(&peer, &r);
	assert_int_not_equal(r.x.pid, init.x.pid);
	assert_int_equal(fd_write_full(r.x.fd[0], "through\n", 8), 0);
	fd_close(&r.x.fd[0]);
	assert_string_equal(peer_output(r.x.fd[1]), "through\n");
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 9);
	/* Told once; then it is not known any more on this connection. */
	assert_int_equal(
		peer_call(&peer, WIRE_WAIT_FOR_PROCESS,
			  container_process_body("one", r.x.pid,
						 ",\"TimeoutInMs\":4294967295"),
			  &f),
		HR_ELEMENT_NOT_FOUND);
	assert_int_equal(container_signal(&peer, "one", r.x.pid, 9),
			 HR_ELEMENT_NOT_FOUND);
	assert_int_equal(container_signal(&peer, "one", init.x.pid, 9), HR_OK);
	assert_string_equal(peer_notice(&peer, "one"), "ForcedExit");
	assert_int_equal(container_wait(&peer, "one", init.x.pid), 137);
	assert_int_equal(container_try_run(&peer, &r, &f),
			 HR_SYSTEM_ALREADY_STOPPED);
	container_delete(&peer, "one");
	peer_exec_done(&r.x);
	peer_exec_done(&init.x);
}

static void test_terminals(void **state UNUSED)
{
	const struct wish w = { .id = "one",
				.line = "read x; stty size; echo $x",
				.terminal = true };
	struct run init = { .container = "one",
			    .x.want = { true, true, false } };
	struct run r = { .container = "one",
			 .line = "tty; exit 3",
			 .terminal = true,
			 .x.want = { false, true, false } };
	struct peer_frame f;

	container_create(&peer, &w);
	container_run(&peer, &init);
	assert_int_equal(
		peer_call(&peer, WIRE_RESIZE_CONSOLE,
			  container_process_body("one", init.x.pid,
						 ",\"Height\":33,\"Width\":77"),
			  &f),
		HR_OK);
	container_run(&peer, &r);
	assert_non_null(strstr(peer_output(r.x.fd[1]), "/dev/pts/"));
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 3);
	/* Last of all, for its echo is between what init writes. */
	assert_int_equal(fd_write_full(init.x.fd[0], "typed\n", 6), 0);
	assert_int_equal(container_wait(&peer, "one", init.x.pid), 0);
	assert_non_null(strstr(peer_output(init.x.fd[1]), "33 77\r\ntyped"));
	peer_exec_done(&init.x);
	peer_exec_done(&r.x);
}

static void test_shutdown_names_the_exit(void **state UNUSED)
{
	const struct wish w = { .id = "one",
				.line = "trap 'exit 4' TERM; echo up; "
					"while :; do sleep 0.01; done" };
	struct run r = { .container = "one", .x.want = { false, true, false } };
	char up[3];

	container_create(&peer, &w);
	container_run(&peer, &r);
	assert_int_equal(peer_read(r.x.fd[1], up, 3), 3);
	assert_int_equal(container_call(&peer, WIRE_SHUTDOWN_GRACEFUL, "one"),
			 HR_OK);
	assert_string_equal(peer_notice(&peer, "one"), "GracefulExit");
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 4);
	assert_int_equal(container_call(&peer, WIRE_SHUTDOWN_FORCED, "one"),
			 HR_SYSTEM_ALREADY_STOPPED);
	assert_int_equal(container_call(&peer, WIRE_SHUTDOWN_FORCED, "two"),
			 HR_SYSTEM_NOT_FOUND);
	peer_exec_done(&r.x);
}

static void test_pods(void **state UNUSED)
{
	const struct wish pod = {
		.id = "pod",
		.line = "sleep 1000",
		.annotations =
			"\"io.kubernetes.cri.container-type\":\"sandbox\","
			"\"io.kubernetes.cri.sandbox-id\":\"pod\"",
	};
	const struct wish w = {
		.id = "work",
		.line = "exit 5",
		.annotations =
			"\"io.kubernetes.cri.container-type\":\"container\","
			"\"io.kubernetes.cri.sandbox-id\":\"pod\"",
	};
	struct run r = { .container = "work" };
	struct run init = { .container = "pod" };
	struct peer_frame f;

	assert_int_equal(container_try_create(&peer, &w, &f), HR_FAIL);
	container_create(&peer, &pod);
	container_run(&peer, &init);
	container_create(&peer, &w);
	container_run(&peer, &r);
	assert_int_equal(container_wait(&peer, "work", r.x.pid), 5);
	container_delete(&peer, "work");
	assert_int_equal(container_call(&peer, WIRE_SHUTDOWN_FORCED, "pod"),
			 HR_OK);
	assert_string_equal(peer_notice(&peer, "pod"), "ForcedExit");
	container_delete(&peer, "pod");
}

static void test_an_id_is_taken_once(void **state UNUSED)
{
	const struct wish w = { .id = "one", .line = "exit 6" };
	const struct wish bad = { .id = "a..b%2f", .line = "" };
	struct run r = { .container = "one" };
	struct peer_frame f;

	container_create(&peer, &w);
	assert_int_equal(container_try_create(&peer, &w, &f),
			 HR_SYSTEM_ALREADY_EXISTS);
	assert_int_equal(container_try_create(&peer, &bad, &f),
			 HR_INVALID_ARGUMENT);
	container_run(&peer, &r);
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 6);
	container_delete(&peer, "one");
	container_create(&peer, &w);
}

static void test_constraints_go_to_the_runtime(void **state UNUSED)
{
	const struct wish w = { .id = "one", .line = "sleep 1000" };
	static const char body[] =
		"{" PEER_BASE ",\"Request\":{\"RequestType\":\"Update\","
		"\"ResourceType\":\"ContainerConstraints\",\"Settings\":"
		"{\"Windows\":{},\"Linux\":{\"pids\":{\"limit\":9}}}}}";
	struct run r = { .container = "one" };
	struct peer_frame f;
	char text[512];

	container_create(&peer, &w);
	container_run(&peer, &r);
	(void)snprintf(text, sizeof(text), body, "one");
	assert_int_equal(peer_call(&peer, WIRE_MODIFY_SETTINGS, text, &f),
			 HR_OK);
	assert_string_equal(container_steered(&peer, "update"),
			    "{\"pids\":{\"limit\":9}}");
	(void)snprintf(text, sizeof(text), body, "two");
	assert_int_equal(peer_call(&peer, WIRE_MODIFY_SETTINGS, text, &f),
			 HR_SYSTEM_NOT_FOUND);
	container_steer(&peer, "fail-update", "container `x` is not running");
	(void)snprintf(text, sizeof(text), body, "one");
	assert_int_equal(peer_call(&peer, WIRE_MODIFY_SETTINGS, text, &f),
			 HR_SYSTEM_ALREADY_STOPPED);
}

/* Without its own pid namespace what init leaves behind has to be ended. */
static void test_the_rest_ends_with_init(void **state UNUSED)
{
	const struct wish w = { .id = "one",
				.line = "exit 0",
				.shared_pids = true };
	struct run r = { .container = "one" };

	container_create(&peer, &w);
	container_run(&peer, &r);
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 0);
	container_delete(&peer, "one");
	assert_non_null(strstr(container_steered(&peer, "calls"),
			       "kill one\ndelete one\n"));
}

static void test_a_runtime_that_hangs_has_an_end(void **state UNUSED)
{
	const struct wish w = { .id = "one", .line = "sleep 1000" };
	struct peer_frame f;

	container_steer(&peer, "hang-create", "");
	for (int i = 0; i < 2; i++) { /* the id is free again */
		assert_int_equal(container_try_create(&peer, &w, &f), HR_FAIL);
		assert_non_null(strstr(f.body, "crun: "));
	}
	assert_int_equal(container_call(&peer, WIRE_GET_PROPERTIES, "one"),
			 HR_SYSTEM_NOT_FOUND);
}

static void test_the_runtime_is_what_the_image_has(void **state UNUSED)
{
	const struct wish w = { .id = "one", .line = "exit 4" };
	struct run r = { .container = "one" };
	struct peer_frame f;
	char crun[256], runc[256];

	(void)snprintf(crun, sizeof(crun), "%s/bin/crun", peer.dir);
	(void)snprintf(runc, sizeof(runc), "%s/bin/runc", peer.dir);
	assert_int_equal(rename(crun, runc), 0);
	container_steer(&peer, "fail-create", "not today");
	assert_int_equal(container_try_create(&peer, &w, &f), HR_FAIL);
	assert_non_null(strstr(f.body, "runc: not today"));
	container_steer(&peer, "fail-create", NULL);
	container_create(&peer, &w);
	container_run(&peer, &r);
	assert_int_equal(container_wait(&peer, "one", r.x.pid), 4);
}

static void test_an_image_without_a_runtime(void **state UNUSED)
{
	const struct wish w = { .id = "one" };
	struct peer_frame f;
	char crun[256], away[256];

	(void)snprintf(crun, sizeof(crun), "%s/bin/crun", peer.dir);
	(void)snprintf(away, sizeof(away), "%s/bin/away", peer.dir);
	assert_int_equal(rename(crun, away), 0);
	assert_int_equal(container_try_create(&peer, &w, &f), HR_FAIL);
	assert_non_null(strstr(f.body, "no OCI runtime in the image"));
	/* It may come later, by a disk. */
	assert_int_equal(rename(away, crun), 0);
	container_create(&peer, &w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life_of_a_container,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_exec_in_a_container,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_terminals, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_shutdown_names_the_exit,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pods, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_an_id_is_taken_once,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_containers_have_no_vsock,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_constraints_go_to_the_runtime, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_rest_ends_with_init,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_runtime_that_hangs_has_an_end, set_up_short,
			tear_down),
		cmocka_unit_test_setup_teardown(
			test_the_runtime_is_what_the_image_has, set_up_alone,
			tear_down),
		cmocka_unit_test_setup_teardown(test_an_image_without_a_runtime,
						set_up_alone, tear_down),
	};

	return container_main(argc, argv, tests, ARRAY_LEN(tests), NULL);
}
