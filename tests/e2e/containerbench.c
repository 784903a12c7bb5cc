/*
 * tests/e2e/containerbench.c - what containers cost in a UVM
 *
 * usage: containerbench BASE
 *
 * BASE is as for containerdrive. Prints one line of JSON for each figure; times
 * are the host's, but for the bare runtime, which is timed where it runs.
 */
#include "tests/e2e/container_uvm.h"

#include <time.h>

#define CALLS 2000u
#define IN_FLIGHT 64u
#define BATCHES 40u
#define CREATES 6u
#define PROCESSES 50u
#define CONTAINERS 10u
#define STREAM_MIB 64u

static double now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* The cheapest request about a container that has to look at a process. */
static const char *question(const struct run *r)
{
	return container_process_body(r->container, r->x.pid,
				      ",\"TimeoutInMs\":0");
}

static void latency(const struct run *r)
{
	static double us[CALLS];
	struct peer_frame f;

	for (size_t i = 0; i < CALLS; i++) {
		const double start = now_us();

		assert_int_equal(peer_call(&peer, WIRE_WAIT_FOR_PROCESS,
					   question(r), &f),
				 HR_TIMEOUT);
		us[i] = now_us() - start;
	}
	qsort(us, CALLS, sizeof(*us), compare);
	printf("{\"metric\":\"rpc\",\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
	       us[CALLS / 2], us[CALLS * 99 / 100]);
}

static void rate(const struct run *r)
{
	const double start = now_us();
	struct peer_frame f;
	double s;

	for (unsigned int i = 0; i < BATCHES; i++) {
		for (unsigned int k = 0; k < IN_FLIGHT; k++)
			(void)peer_send(&peer, WIRE_WAIT_FOR_PROCESS,
					question(r));
		for (unsigned int k = 0; k < IN_FLIGHT; k++)
			assert_true(peer_recv(&peer, &f));
	}
	s = (now_us() - start) / 1e6;
	printf("{\"metric\":\"rate\",\"inflight\":%u,\"per_s\":%.0f}\n",
	       IN_FLIGHT, BATCHES * IN_FLIGHT / s);
}

/* From the request to create it until its process runs; its root is there. */
static void creates(void)
{
	static const struct wish w = { .id = "made", .line = "sleep 1000" };
	double us[CREATES], sum = 0;

	for (size_t i = 0; i < CREATES; i++) {
		struct run r = { .container = "made" };
		double start;

		make_root("made");
		start = now_us();
		container_create(&peer, &w);
		container_run(&peer, &r);
		us[i] = now_us() - start;
		sum += us[i];
		end("made");
	}
	qsort(us, CREATES, sizeof(*us), compare);
	printf("{\"metric\":\"create\",\"mean_ms\":%.0f,\"p50_ms\":%.0f}\n",
	       sum / CREATES / 1e3, us[CREATES / 2] / 1e3);
}

/* The same document with the runtime alone, by the clock of the UVM, which shows
 * hundredths of a second. */
static void bare_creates(const char *bundle_of)
{
	char line[1024];
	long sum = 0;

	(void)snprintf(
		line, sizeof(line),
		"b=/run/bare; mkdir -p $b; cp /run/gcs/c/%s/config.json $b; "
		"t() { read a x </proc/uptime; echo ${a%%.*}${a#*.}; }; "
		"r='crun --root /run/bareroot'; f=$(t); "
		"$r create --no-pivot -b $b bare </dev/null >/dev/null 2>&1 && "
		"$r start bare || exit 1; l=$(t); $r delete -f bare; "
		"rm -rf $b; echo $((l-f))",
		bundle_of);
	for (unsigned int i = 0; i < CREATES; i++)
		sum += strtol(uvm(line), NULL, 10);
	printf("{\"metric\":\"bare\",\"mean_ms\":%ld}\n",
	       sum * 10 / (long)CREATES);
}

static void throughput(void)
{
	char line[128];
	const struct wish w = { .id = "out", .line = line };
	struct run r = { .container = "out", .x.want = { true, true, false } };
	static char buf[1u << 16];
	size_t n, sum = 0;
	double start;

	(void)snprintf(
		line, sizeof(line),
		"read x; busybox dd if=/dev/zero bs=64k count=%u 2>/dev/null",
		STREAM_MIB * 16);
	create(&w);
	container_run(&peer, &r);
	start = now_us();
	assert_int_equal(fd_write_full(r.x.fd[0], "\n", 1), 0);
	while ((n = peer_read(r.x.fd[1], buf, sizeof(buf))) > 0)
		sum += n;
	assert_int_equal(sum, STREAM_MIB << 20);
	printf("{\"metric\":\"stdout\",\"MBps\":%.0f}\n",
	       (double)sum / (now_us() - start));
	assert_int_equal(container_wait(&peer, "out", r.x.pid), 0);
	end("out");
	peer_exec_done(&r.x);
}

static void memory_of_processes(const struct run *init)
{
	static struct run r[PROCESSES];
	const long before = agent_kib();

	for (size_t i = 0; i < PROCESSES; i++) {
		r[i] = (struct run){ .container = init->container,
				     .line = "exec sleep 1000",
				     .x.want = { true, true, true } };
		container_run(&peer, &r[i]);
	}
	printf("{\"metric\":\"process\",\"bytes\":%ld}\n",
	       (agent_kib() - before) * 1024 / (long)PROCESSES);
	for (size_t i = 0; i < PROCESSES; i++)
		peer_exec_done(&r[i].x);
}

static void memory_of_containers(void)
{
	static char id[CONTAINERS][8];
	static struct run r[CONTAINERS];
	const long before = agent_kib();

	for (size_t i = 0; i < CONTAINERS; i++) {
		struct wish w = { .line = "sleep 1000" };

		(void)snprintf(id[i], sizeof(id[i]), "m%zu", i);
		w.id = id[i];
		create(&w);
		r[i] = (struct run){ .container = id[i],
				     .x.want = { true, true, true } };
		container_run(&peer, &r[i]);
	}
	printf("{\"metric\":\"container\",\"bytes\":%ld}\n",
	       (agent_kib() - before) * 1024 / (long)CONTAINERS);
	for (size_t i = 0; i < CONTAINERS; i++) {
		end(id[i]);
		peer_exec_done(&r[i].x);
	}
}

static void test_bench(void **state UNUSED)
{
	static const struct wish w = { .id = "one", .line = "sleep 1000" };
	struct run init = { .container = "one" };

	printf("{\"metric\":\"idle\",\"rss_kb\":%ld}\n", agent_kib());
	creates();
	create(&w);
	container_run(&peer, &init);
	latency(&init);
	rate(&init);
	memory_of_processes(&init);
	throughput();
	memory_of_containers();
	bare_creates("one"); /* ends it too: they have one cgroup */
	end("one");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_bench) };

	if (argc != 2)
		return 2;
	uvm_base = argv[1];
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
