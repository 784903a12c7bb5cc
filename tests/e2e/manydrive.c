/*
 * tests/e2e/manydrive.c - as many containers and processes as a UVM is said to
 * bear, at once
 *
 * usage: manydrive BASE CONTAINERS EXECS PROCESSES
 *
 * CONTAINERS containers run, with EXECS further processes in each, and so many
 * processes of the UVM itself that all together are PROCESSES. Each has three
 * streams. When all of them live, what one more costs is measured. Then each is
 * told to end, and its output and its exit code are looked at.
 *
 * BASE is as for containerdrive. What is measured is printed behind "# ".
 */
/* An emulated UVM with all of them on a busy machine takes its time. */
#define PEER_WAIT_MS 120000

#include "tests/e2e/container_uvm.h"

#include <sys/resource.h>
#include <time.h>

/* Requests that start something and are not answered yet. */
#define WINDOW 8u
/* After so many of them it is said what one took. */
#define STEP 1000u
#define CALLS 1000u
#define CALLS_IN_FLIGHT 64u
#define CALL_BATCHES 50u
#define ID_BYTES 16u
/* What the agent's memory may grow by: its heap once, and with each. */
#define HEAP_BYTES_MAX 65536u
#define PROCESS_BYTES_MAX 2048u
#define CONTAINER_BYTES_MAX 8192u

/* One root for all: a read-only view is enough, and a copy each were a GiB. */
#define ROOTS                                                                  \
	"r=/run/root; mkdir -p $r && mount -t tmpfs tmpfs $r && "              \
	"mkdir -p $r/bin $r/proc $r/dev $r/etc $r/tmp $r/sys && "              \
	"cp /bin/busybox $r/bin && ln -s busybox $r/bin/sh && "                \
	"i=0; while [ $i -lt %u ]; do b=/run/gcs/c/m$i/rootfs; "               \
	"mkdir -p $b && mount --bind $r $b || exit 1; i=$((i+1)); done"

struct one {
	char id[ID_BYTES]; /* of its container, "": of the UVM */
	struct run run;
};

static unsigned int n_containers;
static unsigned int n_execs;
static unsigned int n_processes;
static struct one *all;
static unsigned int *by_request; /* request id -> what it is about */

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* --- starting ------------------------------------------------------------------ */

/* Each number is its own: what it writes and how it ends tell it apart. */
static const char *line_of(unsigned int i)
{
	static char line[96];

	(void)snprintf(line, sizeof(line), "read x; echo out-%u; exit %u", i,
		       i % 256);
	return line;
}

static void send_create(unsigned int i)
{
	struct wish w = { .id = all[i].id, .line = line_of(i) };
	const uint64_t id =
		peer_send(&peer, WIRE_CREATE, container_create_body(&w));

	by_request[id] = i;
}

static void send_run(unsigned int i)
{
	struct one *o = &all[i];
	const char *body;

	o->run = (struct run){ .container = o->id,
			       .line = i < n_containers ? NULL : line_of(i),
			       .x.want = { true, true, true } };
	if (o->id[0]) {
		body = container_execute_body(&peer, &o->run);
	} else {
		o->run.x.line = o->run.line;
		body = peer_exec_body(&peer, &o->run.x);
	}
	by_request[peer_send(&peer, WIRE_EXECUTE_PROCESS, body)] = i;
}

static void take_answer(bool runs)
{
	static struct peer_frame f;
	unsigned int i;

	assert_true(peer_recv(&peer, &f));
	i = by_request[f.id];
	if (peer_result(&f) != HR_OK)
		fail_msg("number %u: %s", i, f.body);
	if (!runs)
		return;
	all[i].run.x.pid = (uint32_t)peer_number(&f, "ProcessId");
	peer_exec_streams(&peer, &all[i].run.x);
}

/* All of @first to @end, WINDOW of them at a time. */
static void each(unsigned int first, unsigned int end,
		 void (*send)(unsigned int i), bool runs, const char *what)
{
	const double start = now_ms();
	double step = start;
	unsigned int open = 0;

	for (unsigned int i = first; i < end; i++) {
		if (i > first && (i - first) % STEP == 0) {
			print_message("# %u %s: %.0f ms each\n", i - first,
				      what, (now_ms() - step) / STEP);
			step = now_ms();
		}
		if (open == WINDOW) {
			take_answer(runs);
			open--;
		}
		send(i);
		open++;
	}
	for (; open > 0; open--)
		take_answer(runs);
	if (end > first)
		print_message("# %u %s: %.0f s, %.0f ms each\n", end - first,
			      what, (now_ms() - start) / 1e3,
			      (now_ms() - start) / (end - first));
}

static void name_them(void)
{
	const unsigned int in_containers = n_containers * (1 + n_execs);

	for (unsigned int i = 0; i < n_processes; i++) {
		if (i < in_containers)
			(void)snprintf(all[i].id, ID_BYTES, "m%u",
				       i % n_containers);
	}
}

/* --- measuring ----------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static const char *question(const struct run *r)
{
	return container_process_body(r->container[0] ? r->container
						      : WIRE_NULL_ID,
				      r->x.pid, ",\"TimeoutInMs\":0");
}

/* The agent's time on a processor. */
static double agent_ms(void)
{
	return strtod(uvm("cut -d ' ' -f 1 /proc/$PPID/schedstat"), NULL) / 1e6;
}

/* The cheapest request about a process, one after the other and many at once. */
static void requests(const struct run *r, const char *when)
{
	static double ms[CALLS];
	static struct peer_frame f;
	double start, took, cpu;

	for (size_t i = 0; i < CALLS; i++) {
		start = now_ms();
		assert_int_equal(peer_call(&peer, WIRE_WAIT_FOR_PROCESS,
					   question(r), &f),
				 HR_TIMEOUT);
		ms[i] = now_ms() - start;
	}
	qsort(ms, CALLS, sizeof(*ms), compare);
	cpu = agent_ms();
	start = now_ms();
	for (unsigned int i = 0; i < CALL_BATCHES; i++) {
		for (unsigned int k = 0; k < CALLS_IN_FLIGHT; k++)
			(void)peer_send(&peer, WIRE_WAIT_FOR_PROCESS,
					question(r));
		for (unsigned int k = 0; k < CALLS_IN_FLIGHT; k++)
			assert_true(peer_recv(&peer, &f));
	}
	took = now_ms() - start;
	cpu = agent_ms() - cpu;
	print_message("# requests %s: p50 %.2f ms, p99 %.2f ms, %.0f a second "
		      "with %u in flight, %.0f us of the agent each\n",
		      when, ms[CALLS / 2], ms[CALLS * 99 / 100],
		      CALL_BATCHES * CALLS_IN_FLIGHT / took * 1e3,
		      CALLS_IN_FLIGHT,
		      cpu * 1e3 / (CALL_BATCHES * CALLS_IN_FLIGHT));
}

/* From the request to create one more container until it runs; it is ended. */
static void one_container(const char *when)
{
	static const struct wish w = { .id = "more", .line = "exec sleep 100" };
	struct run r = { .container = "more" };
	double start;

	make_root("more");
	start = now_ms();
	container_create(&peer, &w);
	container_run(&peer, &r);
	print_message("# a container %s: %.0f ms until it runs\n", when,
		      now_ms() - start);
	end("more");
}

static void memory(const char *when)
{
	const long agent = agent_kib();

	print_message("# memory %s: agent %ld KiB, PID 1 %s", when, agent,
		      uvm("sed -n 's/^Rss: *//p' /proc/1/smaps_rollup"));
	print_message("# %s",
		      uvm("grep -E '^Mem(Total|Available)' /proc/meminfo | "
			  "tr -s '\\n ' '  '; echo"));
}

/* --- ending -------------------------------------------------------------------- */

static void end_one(unsigned int i)
{
	struct one *o = &all[i];
	char want[32];

	(void)snprintf(want, sizeof(want), "out-%u\n", i);
	assert_int_equal(fd_write_full(o->run.x.fd[0], "\n", 1), 0);
	assert_string_equal(peer_output(o->run.x.fd[1]), want);
	assert_int_equal(o->id[0] ? container_wait(&peer, o->id, o->run.x.pid)
				  : peer_wait(&peer, o->run.x.pid),
			 i % 256);
	peer_exec_done(&o->run.x);
}

/* Those of the UVM, execs, and at last the containers. */
static void end_all(void)
{
	const double start = now_ms();

	for (unsigned int i = n_processes; i-- > 0;)
		end_one(i);
	print_message("# their ends: %.0f s\n", (now_ms() - start) / 1e3);
	(void)uvm("i=0; while [ -e /run/gcs/c/m$i ]; do "
		  "umount /run/gcs/c/m$i/rootfs || exit 1; i=$((i+1)); done; "
		  "umount /run/root && rmdir /run/root");
	for (unsigned int i = 0; i < n_containers; i++) {
		(void)peer_notice(&peer, all[i].id);
		container_delete(&peer, all[i].id);
	}
	assert_int_equal(peer_n_notices, n_containers);
	assert_string_equal(uvm("ls /run/gcs/c /run/crun /run/gcsrunc | "
				"grep '^m[0-9]'; "
				"grep /run/gcs/c/m[0-9] /proc/mounts; true"),
			    "");
}

/* --- all of it ----------------------------------------------------------------- */

static void test_all_at_once(void **state UNUSED)
{
	static const struct wish w = { .id = "first", .line = "read x" };
	struct run first = { .container = "first",
			     .x.want = { true, false, false } };
	char line[1024];
	long kib, grown;

	create(&w);
	container_run(&peer, &first);
	one_container("beside one");
	requests(&first, "beside one");
	(void)snprintf(line, sizeof(line), ROOTS, n_containers);
	(void)uvm(line);
	kib = agent_kib();
	memory("beside one");
	each(0, n_containers, send_create, false, "containers created");
	each(0, n_containers, send_run, true, "containers started");
	each(n_containers, n_containers * (1 + n_execs), send_run, true,
	     "further processes in them");
	each(n_containers * (1 + n_execs), n_processes, send_run, true,
	     "processes of the UVM");
	grown = agent_kib() - kib;
	memory("beside all");
	print_message("# the agent: %.0f bytes for each of %u processes, "
		      "containers included\n",
		      (double)grown * 1024 / n_processes, n_processes);
	one_container("beside all");
	requests(&first, "beside all");
	requests(&all[n_processes / 2].run, "about one of them");
	assert_true((double)grown * 1024 <=
		    HEAP_BYTES_MAX + (double)n_processes * PROCESS_BYTES_MAX +
			    (double)n_containers * CONTAINER_BYTES_MAX);
	end_all();
	memory("afterwards");
	assert_int_equal(fd_write_full(first.x.fd[0], "\n", 1), 0);
	assert_int_equal(container_wait(&peer, "first", first.x.pid), 0);
	end("first");
	peer_exec_done(&first.x);
}

static unsigned int number(const char *text)
{
	return (unsigned int)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(
		test_all_at_once) };
	struct rlimit files;

	if (argc != 5)
		return 2;
	uvm_base = argv[1];
	n_containers = number(argv[2]);
	n_execs = number(argv[3]);
	n_processes = number(argv[4]);
	if (n_containers == 0 || n_processes < n_containers * (1 + n_execs))
		return 2;
	all = calloc(n_processes, sizeof(*all));
	by_request = calloc(PEER_IDS, sizeof(*by_request));
	if (!all || !by_request)
		return 1;
	name_them();
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	signal(SIGPIPE, SIG_IGN);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
