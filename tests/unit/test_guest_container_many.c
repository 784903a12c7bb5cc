/*
 * Many containers and processes at once; FERRY_SOAK=1 makes them as many as one
 * UVM has to take. Times are printed, not judged.
 */
#include "tests/unit/container_peer.h"

#include <sys/resource.h>
#include <time.h>

static struct peer peer;

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int set_up(void **state UNUSED)
{
	struct rlimit files = { 65536, 65536 };

	(void)setrlimit(RLIMIT_NOFILE, &files);
	container_start_agent(&peer);
	return 0;
}

static int tear_down(void **state UNUSED)
{
	peer_done(&peer);
	return 0;
}

/* What a question costs while there are so many of them. */
static void print_cost(const char *when, const char *id, uint32_t pid)
{
	const double start = now_ms();
	struct peer_frame f;

	for (unsigned int i = 0; i < 2000; i++)
		assert_int_equal(
			peer_call(&peer, WIRE_WAIT_FOR_PROCESS,
				  container_process_body(id, pid,
							 ",\"TimeoutInMs\":0"),
				  &f),
			HR_TIMEOUT);
	print_message("# %s: a request takes %.1f us\n", when,
		      (now_ms() - start) / 2);
}

static void test_many_containers_and_processes(void **state UNUSED)
{
	const bool soak = getenv("FERRY_SOAK") != NULL;
	const unsigned int n = soak ? 500 : 30;
	const unsigned int each = soak ? 9 : 4;
	struct run *r = calloc((size_t)n * (each + 1), sizeof(*r));
	static char ids[500][8];
	long before, kib;
	double start;

	assert_non_null(r);
	before = peer_agent_kib(&peer);
	start = now_ms();
	for (unsigned int i = 0; i < n; i++) {
		struct wish w = { .line = "exec sleep 1000" };

		(void)snprintf(ids[i], sizeof(ids[i]), "c%u", i);
		w.id = ids[i];
		container_create(&peer, &w);
		r[i] = (struct run){ .container = ids[i],
				     .x.want = { true, true, true } };
		container_run(&peer, &r[i]);
		if (i == 0)
			print_cost("one container", ids[0], r[0].x.pid);
	}
	print_message("# %u containers: %.1f ms each\n", n,
		      (now_ms() - start) / n);
	start = now_ms();
	for (unsigned int i = n; i < n * (each + 1); i++) {
		r[i] = (struct run){ .container = ids[i % n],
				     .line = "exec sleep 1000",
				     /* as many as 20,000 descriptors allow */
				     .x.want = { false, true, !soak } };
		container_run(&peer, &r[i]);
	}
	print_message("# %u execs: %.1f ms each\n", n * each,
		      (now_ms() - start) / (n * each));
	print_cost("all of them", ids[n / 2], r[n / 2].x.pid);
	kib = peer_agent_kib(&peer);
	print_message("# agent: %ld KiB, with all %ld KiB, %ld bytes each\n",
		      before, kib,
		      (kib - before) * 1024 / (long)((size_t)n * (each + 1)));
	/* All ends and all is told. */
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(
			container_call(&peer, WIRE_SHUTDOWN_FORCED, ids[i]),
			HR_OK);
		assert_string_equal(peer_notice(&peer, ids[i]), "ForcedExit");
		peer_n_notices = 0;
	}
	/* The kernel ends what is in a container with its init; here not. */
	for (unsigned int i = n; i < n * (each + 1); i++)
		assert_int_equal(container_signal(&peer, r[i].container,
						  r[i].x.pid, SIGKILL),
				 HR_OK);
	for (unsigned int i = n; i < n * (each + 1); i++)
		assert_int_equal(
			container_wait(&peer, r[i].container, r[i].x.pid), 137);
	for (unsigned int i = 0; i < n * (each + 1); i++)
		peer_exec_done(&r[i].x);
	for (unsigned int i = 0; i < n; i++)
		container_delete(&peer, ids[i]);
	free(r);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_many_containers_and_processes, set_up, tear_down),
	};

	if (container_is_runtime(argv[0]))
		return fake_runtime_main(argc, argv);
	if (!container_private_run()) {
		print_message("skipped: no mount namespace to be had\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
