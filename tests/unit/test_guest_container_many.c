/*
 * Many containers and processes at once; FERRY_SOAK=1 makes them as many as one
 * UVM has to take. Times are printed, not judged.
 */
#include "tests/unit/container_peer.h"
#include "tests/unit/crash_fixture.h"

#include <sys/resource.h>
#include <time.h>

/* Exits that were told and are kept, in the test of that; and how many pods the
 * agent's memory is looked at over, behind those that fill the table. */
#define TOLD_MAX 16u
#define PODS_WARM 50u
#define PODS 100u
#define PODS_SOAK 1000u
/* Questions that are measured, and those of them that are asked at once. */
#define ASKED 10000u
#define ASKED_AT_ONCE 64u
/* Execs that end before the others, more than are remembered. */
#define ENDED (TOLD_MAX + 8u)
#define ID_BYTES 65u
/* What a heap moves by; 200 bytes of each pod would be more. */
#define GROWTH_KIB 16

static struct peer peer;

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void few_told(struct agent *a)
{
	a->processes.max_told = TOLD_MAX;
}

/* Under a PID 1, as in a UVM: what there is has records. */
static int set_up_recorded(void **state UNUSED)
{
	struct rlimit files = { 65536, 65536 };

	(void)setrlimit(RLIMIT_NOFILE, &files);
	container_begin = crash_begin;
	container_tune = few_told;
	container_start_agent(&peer);
	container_begin = peer_start_agent;
	container_tune = NULL;
	return 0;
}

static int tear_down_recorded(void **state UNUSED)
{
	crash_done(&peer);
	return 0;
}

static long agent_kib(void)
{
	const struct peer agent = { .agent = crash->agent };

	return peer_agent_kib(&agent);
}

static int set_up_few_told(void **state UNUSED)
{
	container_tune = few_told;
	container_start_agent(&peer);
	container_tune = NULL;
	return 0;
}

static int tear_down(void **state UNUSED)
{
	peer_done(&peer);
	return 0;
}

/* The agent's time on a processor. */
static double agent_ms(void)
{
	struct timespec t;
	clockid_t clock;

	assert_int_equal(clock_getcpuclockid(crash->agent, &clock), 0);
	assert_int_equal(clock_gettime(clock, &t), 0);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/*
 * What a question costs while there are so many of them, when many are asked at
 * once. How long one takes alone says little: most of it is two processes that
 * wake each other, 9 or 50 us as the scheduler places them.
 */
static void print_cost(const char *when, const char *id, uint32_t pid)
{
	const double start = now_ms(), cpu = agent_ms();
	struct peer_frame f;

	for (unsigned int i = 0; i < ASKED + ASKED_AT_ONCE; i++) {
		if (i < ASKED)
			(void)peer_send(&peer, WIRE_WAIT_FOR_PROCESS,
					container_process_body(
						id, pid, ",\"TimeoutInMs\":0"));
		if (i < ASKED_AT_ONCE)
			continue;
		assert_true(peer_recv(&peer, &f));
		assert_int_equal(peer_result(&f), HR_TIMEOUT);
	}
	print_message("# %s: a request takes %.2f us of the agent, %.2f us in "
		      "all\n",
		      when, (agent_ms() - cpu) * 1e3 / ASKED,
		      (now_ms() - start) * 1e3 / ASKED);
}

/*
 * Some that were: in the gaps of their records, between those of others, the
 * record of a request that names a long id has no room.
 */
static void end_some(struct run *r)
{
	for (unsigned int i = 0; i < ENDED; i++) {
		struct run *one = &r[2 * (size_t)i];

		assert_int_equal(container_signal(&peer, one->container,
						  one->x.pid, SIGKILL),
				 HR_OK);
		assert_int_equal(
			container_wait(&peer, one->container, one->x.pid), 137);
		peer_exec_done(&one->x);
		one->container = NULL;
	}
}

static void test_many_containers_and_processes(void **state UNUSED)
{
	const bool soak = getenv("FERRY_SOAK") != NULL;
	const unsigned int n = soak ? 500 : 30;
	const unsigned int each = soak ? 9 : 4;
	struct run *r = calloc((size_t)n * (each + 1), sizeof(*r));
	static char ids[500][ID_BYTES]; /* as containerd has them */
	long before, kib;
	double start;

	assert_non_null(r);
	before = agent_kib();
	start = now_ms();
	for (unsigned int i = 0; i < n; i++) {
		struct wish w = { .line = "exec sleep 1000" };

		(void)snprintf(ids[i], sizeof(ids[i]), "%064u", i);
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
	end_some(&r[n]);
	print_cost("all of them", ids[n / 2], r[n / 2].x.pid);
	kib = agent_kib();
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
	for (unsigned int i = n; i < n * (each + 1); i++) {
		if (r[i].container)
			assert_int_equal(container_signal(&peer, r[i].container,
							  r[i].x.pid, SIGKILL),
					 HR_OK);
	}
	for (unsigned int i = n; i < n * (each + 1); i++) {
		if (r[i].container)
			assert_int_equal(container_wait(&peer, r[i].container,
							r[i].x.pid),
					 137);
	}
	for (unsigned int i = 0; i < n * (each + 1); i++) {
		if (r[i].container)
			peer_exec_done(&r[i].x);
	}
	for (unsigned int i = 0; i < n; i++)
		container_delete(&peer, ids[i]);
	free(r);
}

/* A sandbox container and one beside it with an exec; each pod has its own ids,
 * as pods have. */
static void one_pod(unsigned int number)
{
	char pod[16], work[16], sandbox[256], notes[256];
	const struct wish p = { .id = pod,
				.line = "exec sleep 1000",
				.annotations = sandbox };
	const struct wish w = { .id = work,
				.line = "exec sleep 1000",
				.annotations = notes };
	struct run r[3] = { { .container = pod },
			    { .container = work,
			      .x.want = { false, true, true } },
			    { .container = work, .line = "exit 3" } };

	(void)snprintf(pod, sizeof(pod), "pod%u", number);
	(void)snprintf(work, sizeof(work), "work%u", number);
	(void)snprintf(sandbox, sizeof(sandbox),
		       "\"io.kubernetes.cri.container-type\":\"sandbox\","
		       "\"io.microsoft.cri.skip-pod-networking\":\"true\","
		       "\"io.kubernetes.cri.sandbox-id\":\"%s\"",
		       pod);
	(void)snprintf(notes, sizeof(notes),
		       "\"io.kubernetes.cri.container-type\":\"container\","
		       "\"io.kubernetes.cri.sandbox-id\":\"%s\"",
		       pod);
	container_create(&peer, &p);
	container_run(&peer, &r[0]);
	container_create(&peer, &w);
	container_run(&peer, &r[1]);
	container_run(&peer, &r[2]);
	assert_int_equal(container_wait(&peer, work, r[2].x.pid), 3);
	assert_int_equal(peer_wait(&peer, peer_run(&peer, "exit 4")), 4);
	for (size_t i = 2; i-- > 0;) {
		assert_int_equal(container_call(&peer, WIRE_SHUTDOWN_FORCED,
						r[i].container),
				 HR_OK);
		(void)peer_notice(&peer, r[i].container);
		container_delete(&peer, r[i].container);
		peer_n_notices = 0;
		peer_exec_done(&r[i].x);
	}
}

/* What remains of a pod are the exit codes that were told, which are so many at
 * most (PROCESS_TOLD_MAX); when that table is full nothing remains. */
static void test_memory_of_pods_that_were_is_bounded(void **state UNUSED)
{
	const unsigned int n = getenv("FERRY_SOAK") ? PODS_SOAK : PODS;
	const long before = peer_agent_kib(&peer);
	unsigned int i = 0;
	long warm, now;

	for (; i < PODS_WARM; i++)
		one_pod(i);
	warm = peer_agent_kib(&peer);
	for (; i < PODS_WARM + n; i++)
		one_pod(i);
	now = peer_agent_kib(&peer);
	print_message("# agent: %ld KiB, %ld KiB after %u pods, %ld KiB after "
		      "%u more\n",
		      before, warm, PODS_WARM, now, n);
	assert_true(now <= warm + GROWTH_KIB);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_memory_of_pods_that_were_is_bounded,
			set_up_few_told, tear_down),
		cmocka_unit_test_setup_teardown(
			test_many_containers_and_processes, set_up_recorded,
			tear_down_recorded),
	};

	return container_main(argc, argv, tests, ARRAY_LEN(tests), NULL);
}
