/*
 * tests/e2e/containerdrive.c - a host that runs containers in a UVM, by hand
 *
 * usage: containerdrive BASE TEST [ARG...]
 *
 * BASE is the base path of the UVM's unix sockets, on which nobody else
 * listens. The agent is the real one, with the runtime of its image; every
 * frame is checked as in the unit tests (tests/unit/guest_peer.h).
 */
#include "tests/e2e/container_uvm.h"

#include "bridge/guest/process.h"

static unsigned int number = 20; /* argument of a test */

/* Pods before the first look, and what the agent may grow by afterwards. */
#define PODS_WARM 2
#define PODS_GROWTH_KIB 32
/* Looks at what is left behind, and the time between two. */
#define SETTLE_TRIES 100
#define SETTLE_US 200000

static uint32_t run_line(const char *id, const char *line, const char **out)
{
	struct run r = { .container = id,
			 .line = line,
			 .x.want = { false, true, false } };
	uint32_t code;

	container_run(&peer, &r);
	*out = peer_output(r.x.fd[1]);
	code = container_wait(&peer, id, r.x.pid);
	peer_exec_done(&r.x);
	return code;
}

/* --- tests ----------------------------------------------------------------- */

static void test_life(void **state UNUSED)
{
	const struct wish w = { .id = "life",
				.line = "read x; echo got $x; echo no >&2; "
					"exit 7" };
	struct run r = { .container = "life", .x.want = { true, true, true } };

	create(&w);
	assert_int_equal(container_call(&peer, WIRE_START, "life"), HR_OK);
	container_run(&peer, &r);
	assert_int_equal(fd_write_full(r.x.fd[0], "this\n", 5), 0);
	assert_string_equal(peer_output(r.x.fd[1]), "got this\n");
	assert_string_equal(peer_output(r.x.fd[2]), "no\n");
	assert_int_equal(container_wait(&peer, "life", r.x.pid), 7);
	assert_string_equal(peer_notice(&peer, "life"), "UnexpectedExit");
	assert_int_equal(container_wait(&peer, "life", r.x.pid), 7);
	delete ("life");
	peer_exec_done(&r.x);
	assert_string_equal(uvm("ls /run/gcs/c; ls /run/crun"), "");
}

/* An exec that dies of a signal. Return: its exit code */
static uint32_t signalled(unsigned int signal_number)
{
	struct run r = { .container = "codes", .line = "exec sleep 1000" };

	container_run(&peer, &r);
	assert_int_equal(
		container_signal(&peer, "codes", r.x.pid, (int)signal_number),
		HR_OK);
	return container_wait(&peer, "codes", r.x.pid);
}

static void test_exit_codes(void **state UNUSED)
{
	static const unsigned int signals[] = { 1, 2, 6, 9, 10, 11, 15, 31 };
	static const struct wish w = { .id = "codes", .line = "sleep 1000" };
	struct run init = { .container = "codes" };
	const char *out;
	char line[64];

	create(&w);
	container_run(&peer, &init);
	for (unsigned int code = 0; code < 256; code += 51) {
		(void)snprintf(line, sizeof(line), "exit %u", code);
		assert_int_equal(run_line("codes", line, &out), code);
	}
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		assert_int_equal(signalled(signals[i]), 128 + signals[i]);
	assert_int_equal(run_line("codes", "exec cat /proc/self/status", &out),
			 0);
	/* Nothing of the agent's is inherited. */
	assert_non_null(strstr(out, "SigBlk:\t0000000000000000\n"
				    "SigIgn:\t0000000000000000\n"));
	end("codes");
}

static void test_users(void **state UNUSED)
{
	static const struct wish w = { .id = "users", .line = "sleep 1000" };
	struct run init = { .container = "users" };
	struct run r = { .container = "users",
			 .line = "id -u; id -g",
			 .user = "\"username\":\"web\"",
			 .x.want = { false, true, false } };

	create(&w);
	container_run(&peer, &init);
	container_run(&peer, &r);
	assert_string_equal(peer_output(r.x.fd[1]), "33\n44\n");
	assert_int_equal(container_wait(&peer, "users", r.x.pid), 0);
	peer_exec_done(&r.x);
	end("users");
}

static void test_terminals(void **state UNUSED)
{
	const struct wish w = { .id = "tty",
				.line = "read x; stty size; exec sleep 1000",
				.terminal = true };
	struct run init = { .container = "tty",
			    .x.want = { true, true, false } };
	struct run r = { .container = "tty",
			 .line = "tty; read x; stty size; exit 3",
			 .terminal = true,
			 .x.want = { true, true, false } };
	struct peer_frame f;
	char buf[64] = "";

	create(&w);
	container_run(&peer, &init);
	assert_int_equal(
		peer_call(&peer, WIRE_RESIZE_CONSOLE,
			  container_process_body("tty", init.x.pid,
						 ",\"Height\":33,\"Width\":77"),
			  &f),
		HR_OK);
	assert_int_equal(fd_write_full(init.x.fd[0], "a\n", 2), 0);
	assert_int_equal(peer_read(init.x.fd[1], buf, 10), 10);
	assert_string_equal(buf, "a\r\n33 77\r\n");
	container_run(&peer, &r);
	assert_int_equal(
		peer_call(&peer, WIRE_RESIZE_CONSOLE,
			  container_process_body("tty", r.x.pid,
						 ",\"Height\":5,\"Width\":6"),
			  &f),
		HR_OK);
	assert_int_equal(fd_write_full(r.x.fd[0], "b\n", 2), 0);
	assert_int_equal(container_wait(&peer, "tty", r.x.pid), 3);
	assert_non_null(strstr(peer_output(r.x.fd[1]), "5 6\r\n"));
	assert_int_equal(container_signal(&peer, "tty", init.x.pid, 9), HR_OK);
	assert_string_equal(peer_notice(&peer, "tty"), "ForcedExit");
	assert_int_equal(container_wait(&peer, "tty", init.x.pid), 137);
	end("tty");
	peer_exec_done(&init.x);
	peer_exec_done(&r.x);
}

/* What @script of sed prints of a file of the container's cgroup; 0: there is no
 * such file in any of its hierarchies. */
static uint64_t cgroup_number(const char *id, const char *file,
			      const char *script)
{
	char line[256];

	(void)snprintf(line, sizeof(line),
		       "for d in $(find /sys/fs/cgroup -type d -name %s); do "
		       "if [ -e $d/%s ]; then sed -n '%s' $d/%s; fi; done",
		       id, file, script, file);
	return strtoull(uvm(line), NULL, 10);
}

static uint64_t cgroup_pids(const char *id)
{
	return cgroup_number(id, "pids.current", "p");
}

/* Of version 2, in microseconds there, or of version 1. */
static uint64_t cgroup_cpu_ns(const char *id)
{
	return cgroup_number(id, "cpu.stat",
			     "s/^usage_usec \\(.*\\)/\\1000/p") +
	       cgroup_number(id, "cpuacct.usage", "p");
}

/* A number of the statistics in @body, behind @name and then behind @member. */
static uint64_t told_number(const char *body, const char *name,
			    const char *member)
{
	char word[64];
	const char *at;

	(void)snprintf(word, sizeof(word), "\\\"%s\\\":{", name);
	at = strstr(body, word);
	assert_non_null(at);
	(void)snprintf(word, sizeof(word), "\\\"%s\\\":", member);
	at = strstr(at, word);
	assert_non_null(at);
	return strtoull(at + strlen(word), NULL, 10);
}

/* What only grows is between what the files say before and after. */
static void properties_are_the_files(const char *id, const char *body)
{
	const uint64_t pids = cgroup_pids(id);
	const uint64_t ns = cgroup_cpu_ns(id);
	struct peer_frame f;

	assert_int_equal(peer_call(&peer, WIRE_GET_PROPERTIES, body, &f),
			 HR_OK);
	assert_true(pids >= 1 && ns > 0);
	assert_in_range(told_number(f.body, "pids", "current"), pids,
			cgroup_pids(id));
	assert_in_range(told_number(f.body, "usage", "total"), ns,
			cgroup_cpu_ns(id));
}

static void test_properties(void **state UNUSED)
{
	static const struct wish w = {
		.id = "stats",
		.line = "sleep 1000 & sleep 1000",
		.resources = "{\"memory\":{\"limit\":33554432}}",
	};
	static const char query[] =
		"{" PEER_BASE ",\"Query\":\"{\\\"PropertyTypes\\\":"
		"[\\\"Statistics\\\",\\\"ProcessList\\\"]}\"}";
	static const char update[] =
		"{" PEER_BASE ",\"Request\":{\"RequestType\":\"Update\","
		"\"ResourceType\":\"ContainerConstraints\",\"Settings\":"
		"{\"Windows\":{},\"Linux\":{\"pids\":{\"limit\":37}}}}}";
	struct run init = { .container = "stats" };
	struct peer_frame f;
	char body[512];
	const char *at;
	unsigned int n = 0;

	create(&w);
	container_run(&peer, &init);
	(void)snprintf(body, sizeof(body), query, "stats");
	assert_int_equal(peer_call(&peer, WIRE_GET_PROPERTIES, body, &f),
			 HR_OK);
	assert_non_null(strstr(f.body, "\\\"limit\\\":33554432"));
	for (at = f.body; (at = strstr(at, "ProcessId")) != NULL; at++)
		n++;
	assert_in_range(n, 1, 3);
	properties_are_the_files("stats", body);
	(void)snprintf(body, sizeof(body), update, "stats");
	if (peer_call(&peer, WIRE_MODIFY_SETTINGS, body, &f) != HR_OK)
		fail_msg("update: %s", f.body);
	(void)snprintf(body, sizeof(body), query, "stats");
	assert_int_equal(peer_call(&peer, WIRE_GET_PROPERTIES, body, &f),
			 HR_OK);
	assert_non_null(strstr(f.body, "\\\"limit\\\":37"));
	end("stats");
}

static void test_errors_of_the_runtime(void **state UNUSED)
{
	static const struct wish bad = { .id = "bad",
					 .program = "/no/such/program" };
	static const struct wish w = { .id = "good", .line = "sleep 1000" };
	struct run init = { .container = "bad" };
	struct run good = { .container = "good" };
	struct peer_frame f;
	const uint32_t code =
		(make_root("bad"), container_try_create(&peer, &bad, &f));

	if (code == HR_OK) {
		assert_int_not_equal(container_try_run(&peer, &init, &f),
				     HR_OK);
		(void)peer_notice(&peer, "bad");
		delete ("bad");
	} else {
		assert_non_null(strstr(f.body, "/no/such/program"));
		(void)uvm(
			"umount /run/gcs/c/bad/rootfs; rm -rf /run/gcs/c/bad");
	}
	peer_n_notices = 0;
	create(&w);
	container_run(&peer, &good);
	assert_int_equal(container_try_run(&peer, &good, &f), HR_INVALID_STATE);
	assert_int_equal(
		container_call(&peer, WIRE_DELETE_CONTAINER_STATE, "good"),
		HR_INVALID_STATE);
	good.line = "x";
	good.user = "\"username\":\"nobody-there\"";
	assert_int_equal(container_try_run(&peer, &good, &f), HR_FAIL);
	end("good");
	assert_string_equal(uvm("ls /run/gcs/c; ls /run/crun; "
				"ls /run/gcsrunc"),
			    "");
}

static void test_out_of_memory(void **state UNUSED)
{
	static const struct wish w = {
		.id = "oom",
		.line = "x=x; while :; do x=$x$x; done",
		.resources = "{\"memory\":{\"limit\":16777216,"
			     "\"swap\":16777216}}",
	};
	struct run init = { .container = "oom" };

	create(&w);
	container_run(&peer, &init);
	assert_int_equal(container_wait(&peer, "oom", init.x.pid), 137);
	assert_string_equal(peer_notice(&peer, "oom"), "UnexpectedExit");
	assert_int_equal(peer_n_notices, 2);
	assert_string_equal(peer_notices[0].type, "OutOfMemory");
	assert_string_equal(peer_notices[0].container, "oom");
	assert_true(peer_notices[0].count >= 1);
	end("oom");
	assert_int_equal(peer_call(&peer, WIRE_DUMP_STACKS, peer_base("x"),
				   &(struct peer_frame){ 0 }),
			 HR_OK);
}

/* Without a pid namespace of its own what init leaves behind has to be ended. */
static void test_the_rest_ends_with_init(void **state UNUSED)
{
	const struct wish w = { .id = "rest",
				.line = "sleep 4242 & exit 0",
				.shared_pids = true };
	struct run r = { .container = "rest" };

	create(&w);
	container_run(&peer, &r);
	assert_int_equal(container_wait(&peer, "rest", r.x.pid), 0);
	/* Before a delete, which ends everything there is. */
	assert_string_equal(uvm("for i in $(seq 600); do "
				"cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | "
				"grep -q 'sleep 424[2]' || exit 0; "
				"sleep 0.1; done; echo it lives"),
			    "");
	end("rest");
}

/* The host goes away with everything, and comes back. */
static void test_streams_are_dialled_again(void **state UNUSED)
{
	const struct wish w = { .id = "again",
				.line = "read a; echo one; read a; echo two; "
					"read a; exit 3" };
	struct run r = { .container = "again",
			 .x.want = { true, true, false } };
	struct err e = { 0 };
	char buf[8] = "";

	create(&w);
	container_run(&peer, &r);
	assert_int_equal(fd_write_full(r.x.fd[0], "\n", 1), 0);
	assert_int_equal(peer_read(r.x.fd[1], buf, 4), 4);
	peer_drop(&peer, false);
	peer_exec_done(&r.x);
	for (int i = 0; i < 2; i++)
		assert_int_equal(transport_listen(&peer.transport, r.x.port[i],
						  1, &r.x.listener[i], &e),
				 0);
	peer_accept(&peer);
	peer_negotiate(&peer);
	peer_exec_streams(&peer, &r.x);
	assert_int_equal(fd_write_full(r.x.fd[0], "\n\n", 2), 0);
	assert_string_equal(peer_output(r.x.fd[1]), "two\n");
	assert_int_equal(container_wait(&peer, "again", r.x.pid), 3);
	peer_exec_done(&r.x);
	end("again");
}

/* The UVM is to be migrated: what cannot follow is refused by name. */
static void test_what_cannot_move_is_refused(void **state UNUSED)
{
	const struct wish w = { .id = "gpu",
				.devices = "{\"id\":\"f00d\","
					   "\"idType\":\"gpu\"}" };
	struct peer_frame f;

	assert_int_equal(container_try_create(&peer, &w, &f), HR_FAIL);
	assert_non_null(strstr(f.body, "f00d"));
	assert_non_null(strstr(f.body, "migrat"));
}

/* A virtual pod: its network namespace is known without a card, of which the UVM
 * has none (disks.sh has one). */
static const char pod_notes[] =
	"\"io.kubernetes.cri.container-type\":\"sandbox\","
	"\"io.microsoft.cri.virtual-pod-id\":\"pod\","
	"\"io.kubernetes.cri.sandbox-id\":\"pod\"";
static const char work_notes[] =
	"\"io.kubernetes.cri.container-type\":\"container\","
	"\"io.microsoft.cri.virtual-pod-id\":\"pod\","
	"\"io.kubernetes.cri.sandbox-id\":\"pod\"";
static const char pod_network[] = "0bad0bad-0000-0000-0000-000000000001";

static bool network_known(void)
{
	static struct peer_frame f;
	char line[96];

	(void)snprintf(line, sizeof(line), "network %s assigned=1",
		       pod_network);
	assert_int_equal(peer_call(&peer, WIRE_DUMP_STACKS, peer_base("x"), &f),
			 HR_OK);
	return strstr(f.body, line) != NULL;
}

static void one_pod(void)
{
	static const struct wish pod = { .id = "pod",
					 .line = "sleep 1000",
					 .annotations = pod_notes,
					 .network = pod_network };
	static const struct wish w = { .id = "work",
				       .line = "cat /etc/hosts; exit 5",
				       .annotations = work_notes };
	struct run init = { .container = "pod" };
	struct run r = { .container = "work",
			 .x.want = { false, true, false } };

	create(&pod);
	container_run(&peer, &init);
	create(&w);
	container_run(&peer, &r);
	assert_non_null(strstr(peer_output(r.x.fd[1]), "localhost"));
	assert_true(network_known());
	assert_int_equal(container_wait(&peer, "work", r.x.pid), 5);
	end("work");
	end("pod");
	peer_exec_done(&r.x);
	assert_false(network_known());
}

/* What a leak would show in: descriptors of the agent and of PID 1, mounts,
 * cgroups, network namespaces, zombies, files. */
static const char *inventory(void)
{
	return uvm(
		"for p in 1 $PPID; do ls /proc/$p/fd | wc -l; done; "
		"wc -l </proc/mounts; find /sys/fs/cgroup -type d | wc -l; "
		"stat -L -c %i /proc/[0-9]*/ns/net 2>/dev/null | sort -u | "
		"wc -l; "
		"grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l;"
		"find /run | wc -l");
}

/* What ended is reaped, and goes, a moment after it was told. */
static void inventory_becomes(const char *want)
{
	for (int i = 0; i < SETTLE_TRIES && strcmp(inventory(), want) != 0; i++)
		(void)usleep(SETTLE_US);
	assert_string_equal(inventory(), want);
}

/* Exit codes that were told are all that is kept of what is over; there are so
 * many of them now that a further one pushes one out. */
static void fill_told(void)
{
	for (unsigned int i = 0; i < PROCESS_TOLD_MAX; i++)
		assert_int_equal(peer_wait(&peer, peer_run(&peer, "exit 9")),
				 9);
}

/* Without PID 1's log, which is as large as it is: DumpStacks reads it, and
 * more of its pages are there the more was logged. */
static long agent_own_kib(void)
{
	return strtol(uvm("awk '/^[0-9a-f]+-/ { own = !/memfd:ferry-log/ } "
			  "/^Rss:/ && own { n += $2 } END { print n }' "
			  "/proc/$PPID/smaps"),
		      NULL, 10);
}

/* musl's allocator gives a group of pages back as often as it is empty, up to a
 * hundred times, then it keeps it: a size that each pod wants for a moment is a
 * step of some 30 KiB by the 150th. A leak goes on in the second half. */
static void test_pods_leave_nothing(void **state UNUSED)
{
	char before[4096];
	long kib, half = 0, after;

	fill_told();
	for (unsigned int i = 0; i < PODS_WARM; i++)
		one_pod();
	(void)snprintf(before, sizeof(before), "%s", inventory());
	kib = agent_own_kib();
	for (unsigned int i = 0; i < number; i++) {
		if (i == number / 2)
			half = agent_own_kib();
		one_pod();
	}
	after = agent_own_kib();
	inventory_becomes(before);
	print_message("# agent: %ld KiB before, %ld KiB after half of %u pods, "
		      "%ld KiB after all\n",
		      kib, half, number, after);
	assert_true(after <= half + PODS_GROWTH_KIB);
}

/* Memory of the agent for each exec with three streams. */
static void test_memory_of_processes(void **state UNUSED)
{
	static const struct wish w = { .id = "many", .line = "sleep 1000" };
	struct run init = { .container = "many" };
	const unsigned int n = number;
	struct run *r = calloc(n, sizeof(*r));
	long before;
	double each;

	assert_non_null(r);
	create(&w);
	container_run(&peer, &init);
	before = agent_kib();
	for (unsigned int i = 0; i < n; i++) {
		r[i] = (struct run){ .container = "many",
				     .line = "exec sleep 1000",
				     .x.want = { true, true, true } };
		container_run(&peer, &r[i]);
	}
	each = (double)(agent_kib() - before) * 1024 / n;
	print_message("# agent: %ld KiB idle, %.0f bytes for each of %u "
		      "processes\n",
		      before, each, n);
	assert_true(each <= 2048);
	for (unsigned int i = 0; i < n; i++)
		peer_exec_done(&r[i].x);
	end("many");
	free(r);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_terminals),
		cmocka_unit_test(test_properties),
		cmocka_unit_test(test_errors_of_the_runtime),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_the_rest_ends_with_init),
		cmocka_unit_test(test_streams_are_dialled_again),
		cmocka_unit_test(test_what_cannot_move_is_refused),
		cmocka_unit_test(test_pods_leave_nothing),
		cmocka_unit_test(test_memory_of_processes),
	};

	if (argc < 3)
		return 2;
	uvm_base = argv[1];
	if (argc > 3)
		number = (unsigned int)strtoul(argv[3], NULL, 10);
	signal(SIGPIPE, SIG_IGN);
	cmocka_set_test_filter(argv[2]);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
