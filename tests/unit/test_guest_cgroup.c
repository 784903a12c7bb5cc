/*
 * tests/unit/test_guest_cgroup.c - statistics from trees of files that look
 * like cgroupfs, and limits, processes and kills in real cgroups where the
 * machine lets us make some
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/guest/cgroup.h"
#include "bridge/guest/cgroup_file.h"
#include "bridge/io/fd.h"
#include "config/util.h"

struct fixture {
	char root[64];
	struct loop *loop;
	struct cgroups c;
	struct arena a;
};

static void write_file(const char *root, const char *name, const char *text)
{
	char path[512];
	char *slash;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	for (slash = path + strlen(root) + 1; (slash = strchr(slash, '/'));
	     slash++) {
		*slash = '\0';
		(void)mkdir(path, 0755);
		*slash = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
	(void)close(fd);
}

static const char *read_back(const char *root, const char *name)
{
	static char text[4096];
	cleanup_fd dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(cgroup_read(dir, name, text, sizeof(text)) >= 0);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static int set_up(void **state)
{
	static struct fixture f;
	struct err e = { 0 };

	(void)snprintf(f.root, sizeof(f.root), "/tmp/ferry-cgroup-XXXXXX");
	assert_non_null(mkdtemp(f.root));
	assert_int_equal(loop_new(&f.loop, &e), 0);
	arena_init(&f.a, 1u << 20);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	cgroups_done(&f->c);
	loop_free(f->loop);
	arena_done(&f->a);
	(void)snprintf(command, sizeof(command), "rm -rf %s", f->root);
	return system(command);
}

/* --- statistics ------------------------------------------------------------ */

static void tree_v2(struct fixture *f)
{
	write_file(f->root, "cgroup.controllers", "cpu memory pids\n");
	write_file(f->root, "pods/p/c/cpu.stat",
		   "usage_usec 123456\nuser_usec 100000\nsystem_usec 23456\n"
		   "nr_periods 7\nnr_throttled 3\nthrottled_usec 11\n");
	write_file(f->root, "pods/p/c/memory.stat",
		   "anon 1048576\nfile 40960\nkernel_stack 16384\nsock 512\n"
		   "file_mapped 8192\nfile_dirty 1\nfile_writeback 2\n"
		   "inactive_anon 4096\nactive_anon 1044480\n"
		   "inactive_file 20480\nactive_file 20481\nunevictable 5\n"
		   "pgfault 1500\npgmajfault 3\nfuture_key 9\n");
	write_file(f->root, "pods/p/c/memory.current", "1200000\n");
	write_file(f->root, "pods/p/c/memory.max", "268435456\n");
	write_file(f->root, "pods/p/c/memory.peak", "2000000\n");
	write_file(f->root, "pods/p/c/memory.swap.max", "max\n");
	write_file(f->root, "pods/p/c/memory.events",
		   "low 0\nhigh 0\nmax 4\noom 2\noom_kill 1\n");
	write_file(f->root, "pods/p/c/pids.current", "2\n");
	write_file(f->root, "pods/p/c/pids.max", "max\n");
	write_file(f->root, "pods/p/c/hugetlb.2MB.current", "4194304\n");
	write_file(f->root, "pods/p/c/hugetlb.2MB.max", "max\n");
	write_file(f->root, "pods/p/c/hugetlb.2MB.rsvd.current", "1\n");
	cgroups_init(&f->c, f->loop, f->root);
	assert_int_equal(f->c.version, CGROUP_V2);
}

static void test_cgroup_2_is_told_as_cgroup_1(void **state)
{
	struct fixture *f = *state;
	struct msg_metrics m;
	struct err e = { 0 };

	tree_v2(f);
	assert_int_equal(cgroup_stats(&f->c, "/pods/p/c", &f->a, &m, &e), 0);
	assert_int_equal(m.cpu->usage->total, 123456000);
	assert_int_equal(m.cpu->usage->user, 100000000);
	assert_int_equal(m.cpu->usage->kernel, 23456000);
	assert_int_equal(m.cpu->throttling->periods, 7);
	assert_int_equal(m.cpu->throttling->throttled_periods, 3);
	assert_int_equal(m.cpu->throttling->throttled_time, 11000);
	assert_int_equal(m.memory->own.rss, 1048576);
	assert_int_equal(m.memory->own.cache, 40960);
	assert_int_equal(m.memory->own.mapped_file, 8192);
	assert_int_equal(m.memory->own.dirty, 1);
	assert_int_equal(m.memory->own.writeback, 2);
	assert_int_equal(m.memory->own.pg_fault, 1500);
	assert_int_equal(m.memory->own.pg_maj_fault, 3);
	assert_int_equal(m.memory->own.inactive_anon, 4096);
	assert_int_equal(m.memory->own.active_anon, 1044480);
	assert_int_equal(m.memory->own.inactive_file, 20480);
	assert_int_equal(m.memory->own.active_file, 20481);
	assert_int_equal(m.memory->own.unevictable, 5);
	assert_int_equal(m.memory->usage->usage, 1200000);
	assert_int_equal(m.memory->usage->limit, 268435456);
	assert_int_equal(m.memory->usage->max, 2000000);
	assert_true(m.memory->swap->limit == UINT64_MAX);
	assert_int_equal(m.memory->swap->usage, 0);
	assert_int_equal(m.memory->kernel->usage, 16384);
	assert_int_equal(m.memory->kernel_tcp->usage, 512);
	assert_int_equal(m.memory->hierarchical_memory_limit, 268435456);
	assert_true(m.memory->hierarchical_swap_limit == UINT64_MAX);
	assert_int_equal(m.memory_oom_control->oom_kill, 1);
	assert_int_equal(m.pids->current, 2);
	assert_true(m.pids->limit == UINT64_MAX);
	assert_int_equal(m.n_hugetlb, 1);
	assert_int_equal(m.hugetlb[0].usage, 4194304);
	assert_true(m.hugetlb[0].max == UINT64_MAX);
	assert_string_equal(m.hugetlb[0].pagesize, "");
	assert_string_equal(m.blkio, "{}");
	assert_null(m.rdma);
}

static void
test_a_missing_file_is_zero_and_a_missing_cgroup_is_not(void **state)
{
	struct fixture *f = *state;
	struct msg_metrics m = { .n_hugetlb = 99 };
	struct err e = { 0 };

	tree_v2(f);
	assert_int_equal(cgroup_stats(&f->c, "/pods/p", &f->a, &m, &e), 0);
	assert_int_equal(m.memory->usage->usage, 0);
	assert_int_equal(m.n_hugetlb, 0);
	m.n_hugetlb = 99;
	assert_int_equal(cgroup_stats(&f->c, "/pods/x", &f->a, &m, &e),
			 -ENOENT);
	assert_int_equal(m.n_hugetlb, 99);
}

static void test_paths_stay_in_the_tree(void **state)
{
	static const char *const bad[] = {
		"",	      "pods",	 "/",	     "/pods/",	  "/pods/..",
		"/pods/../x", "/./pods", "/pods//c", "/pods/./c", "/..",
	};
	struct fixture *f = *state;
	struct msg_metrics m;

	tree_v2(f);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { 0 };

		assert_int_equal(cgroup_stats(&f->c, bad[i], &f->a, &m, &e),
				 -EINVAL);
		assert_int_equal(cgroup_remove(&f->c, bad[i], &e), -EINVAL);
		assert_int_equal(
			cgroup_pod_create(&f->c, bad[i], NULL, &f->a, &e),
			-EINVAL);
	}
}

static void test_cgroup_1(void **state)
{
	struct fixture *f = *state;
	struct msg_metrics m;
	struct err e = { 0 };

	write_file(f->root, "memory/c/memory.stat",
		   "cache 10\nrss 20\npgpgin 30\npgfault 40\n"
		   "hierarchical_memory_limit 50\nhierarchical_memsw_limit 60\n"
		   "total_cache 70\ntotal_pgmajfault 80\n");
	write_file(f->root, "memory/c/memory.usage_in_bytes", "1\n");
	write_file(f->root, "memory/c/memory.limit_in_bytes", "2\n");
	write_file(f->root, "memory/c/memory.max_usage_in_bytes", "3\n");
	write_file(f->root, "memory/c/memory.failcnt", "4\n");
	write_file(f->root, "memory/c/memory.memsw.limit_in_bytes", "5\n");
	write_file(f->root, "memory/c/memory.kmem.usage_in_bytes", "6\n");
	write_file(f->root, "memory/c/memory.kmem.tcp.failcnt", "7\n");
	write_file(f->root, "memory/c/memory.oom_control",
		   "oom_kill_disable 1\nunder_oom 0\noom_kill 8\n");
	write_file(f->root, "cpuacct/c/cpuacct.usage", "12345\n");
	write_file(f->root, "cpuacct/c/cpuacct.usage_percpu", "12000 345 \n");
	write_file(f->root, "cpuacct/c/cpuacct.stat", "user 2\nsystem 1\n");
	write_file(f->root, "cpu/c/cpu.stat",
		   "nr_periods 1\nnr_throttled 2\nthrottled_time 3\n");
	write_file(f->root, "pids/c/pids.current", "4\n");
	write_file(f->root, "pids/c/pids.max", "max\n");
	write_file(f->root, "hugetlb/c/hugetlb.1GB.usage_in_bytes", "9\n");
	write_file(f->root, "hugetlb/c/hugetlb.1GB.max_usage_in_bytes", "10\n");
	write_file(f->root, "hugetlb/c/hugetlb.1GB.failcnt", "11\n");
	write_file(f->root, "blkio/c/x", "");
	cgroups_init(&f->c, f->loop, f->root);
	assert_int_equal(f->c.version, CGROUP_V1);
	assert_int_equal(cgroup_stats(&f->c, "/c", &f->a, &m, &e), 0);
	assert_int_equal(m.memory->own.cache, 10);
	assert_int_equal(m.memory->own.rss, 20);
	assert_int_equal(m.memory->own.pg_pg_in, 30);
	assert_int_equal(m.memory->own.pg_fault, 40);
	assert_int_equal(m.memory->hierarchical_memory_limit, 50);
	assert_int_equal(m.memory->hierarchical_swap_limit, 60);
	assert_int_equal(m.memory->total.cache, 70);
	assert_int_equal(m.memory->total.pg_maj_fault, 80);
	assert_int_equal(m.memory->usage->usage, 1);
	assert_int_equal(m.memory->usage->limit, 2);
	assert_int_equal(m.memory->usage->max, 3);
	assert_int_equal(m.memory->usage->failcnt, 4);
	assert_int_equal(m.memory->swap->limit, 5);
	assert_int_equal(m.memory->kernel->usage, 6);
	assert_int_equal(m.memory->kernel_tcp->failcnt, 7);
	assert_int_equal(m.memory_oom_control->oom_kill_disable, 1);
	assert_int_equal(m.memory_oom_control->oom_kill, 8);
	assert_int_equal(m.cpu->usage->total, 12345);
	assert_int_equal(m.cpu->usage->per_cpu.n, 2);
	assert_int_equal(m.cpu->usage->per_cpu.item[1], 345);
	assert_int_equal(m.cpu->usage->user,
			 2 * (1000000000 / sysconf(_SC_CLK_TCK)));
	assert_int_equal(m.cpu->throttling->throttled_time, 3);
	assert_int_equal(m.pids->current, 4);
	assert_int_equal(m.pids->limit, 0);
	assert_int_equal(m.hugetlb[0].failcnt, 11);
	assert_string_equal(m.hugetlb[0].pagesize, "1GB");
	assert_string_equal(m.blkio, "{}");
}

/* --- limits ---------------------------------------------------------------- */

/* Files exist as a kernel would have made them. */
static void pod_v2(struct fixture *f)
{
	static const char *const files[] = { "memory.max",	"memory.low",
					     "memory.swap.max", "cpu.weight",
					     "cpu.max",		"pids.max",
					     "io.bfq.weight" };
	char name[64];

	tree_v2(f);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		(void)snprintf(name, sizeof(name), "pods/p/%s", files[i]);
		write_file(f->root, name, "");
	}
}

static void test_resources_become_files(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };

	pod_v2(f);
	assert_int_equal(
		cgroup_pod_create(
			&f->c, "/pods/p",
			"{\"devices\":[{\"allow\":false}],"
			"\"memory\":{\"limit\":1000000,\"reservation\":5000,"
			"\"swap\":1500000,\"kernel\":null},"
			"\"cpu\":{\"shares\":1024,\"quota\":50000,"
			"\"period\":100000,\"cpus\":\"0\"},"
			"\"pids\":{\"limit\":77},\"blockIO\":{\"weight\":500}}",
			&f->a, &e),
		0);
	assert_string_equal(read_back(f->root, "pods/p/memory.max"), "1000000");
	assert_string_equal(read_back(f->root, "pods/p/memory.low"), "5000");
	assert_string_equal(read_back(f->root, "pods/p/memory.swap.max"),
			    "500000");
	assert_string_equal(read_back(f->root, "pods/p/cpu.weight"), "39");
	assert_string_equal(read_back(f->root, "pods/p/cpu.max"),
			    "50000 100000");
	assert_string_equal(read_back(f->root, "pods/p/pids.max"), "77");
	assert_string_equal(read_back(f->root, "pods/p/io.bfq.weight"), "500");
}

static void test_no_limit_and_extremes(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };

	pod_v2(f);
	assert_int_equal(
		cgroup_pod_create(&f->c, "/pods/p",
				  "{\"memory\":{\"limit\":-1,\"swap\":-1},"
				  "\"cpu\":{\"shares\":1,\"quota\":-1},"
				  "\"pids\":{\"limit\":-1}}",
				  &f->a, &e),
		0);
	assert_string_equal(read_back(f->root, "pods/p/memory.max"), "max");
	assert_string_equal(read_back(f->root, "pods/p/memory.swap.max"),
			    "max");
	assert_string_equal(read_back(f->root, "pods/p/cpu.weight"), "1");
	assert_string_equal(read_back(f->root, "pods/p/cpu.max"), "max 100000");
	assert_string_equal(read_back(f->root, "pods/p/pids.max"), "max");
	assert_int_equal(cgroup_pod_create(&f->c, "/pods/p",
					   "{\"cpu\":{\"shares\":262144}}",
					   &f->a, &e),
			 0);
	assert_string_equal(read_back(f->root, "pods/p/cpu.weight"), "10000");
	assert_int_equal(cgroup_pod_create(&f->c, "/pods/p", NULL, &f->a, &e),
			 0);
}

static void test_resources_that_are_refused(void **state)
{
	static const char *const bad[] = {
		"{\"memory\":{\"limit\":1.5}}",
		"{\"memory\":{\"limit\":\"1\"}}",
		"{\"memory\":{\"limit\":9223372036854775808}}",
		"{\"memory\":{\"limit\":1000,\"swap\":999}}",
		"{\"cpu\":{\"shares\":-1}}",
		"{\"cpu\":{\"quota\":[]}}",
		"[]",
		"{",
	};
	struct fixture *f = *state;

	pod_v2(f);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { 0 };

		assert_int_equal(
			cgroup_pod_create(&f->c, "/pods/p", bad[i], &f->a, &e),
			-EINVAL);
		assert_string_not_equal(e.text, "");
	}
	assert_string_equal(read_back(f->root, "pods/p/memory.max"), "");
}

static void test_the_pods_get_what_is_not_reserved(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };

	tree_v2(f);
	write_file(f->root, "pods/memory.max", "max");
	f->c.total = 1000;
	f->c.reserve = 1000;
	assert_int_equal(cgroup_pods_limit(&f->c, &e), -ERANGE);
	assert_string_equal(read_back(f->root, "pods/memory.max"), "max");
	f->c.reserve = 75;
	assert_int_equal(cgroup_pods_limit(&f->c, &e), 0);
	assert_string_equal(read_back(f->root, "pods/memory.max"), "925");
	write_file(f->root, "pods/memory.max", "untouched");
	assert_int_equal(cgroup_pods_limit(&f->c, &e), 0);
	assert_string_equal(read_back(f->root, "pods/memory.max"), "untouched");
	write_file(f->root, "pods/memory.max", "");
	f->c.total = 2000; /* memory was plugged */
	assert_int_equal(cgroup_pods_limit(&f->c, &e), 0);
	assert_string_equal(read_back(f->root, "pods/memory.max"), "1925");
}

static void test_processes_are_listed_with_those_below(void **state)
{
	struct fixture *f = *state;
	pid_t pid[3] = { 0 };
	struct err e = { 0 };

	tree_v2(f);
	write_file(f->root, "pods/p/cgroup.procs", "");
	write_file(f->root, "pods/p/c/cgroup.procs", "10\n11\n");
	write_file(f->root, "pods/p/c/d/cgroup.procs", "0\n12\n13\n");
	assert_int_equal(cgroup_procs(&f->c, "/pods/p", pid, 3, &e), 4);
	assert_int_equal(pid[0], 10);
	assert_int_equal(pid[1], 11);
	assert_int_equal(pid[2], 12);
	assert_int_equal(cgroup_procs(&f->c, "/pods/x", pid, 3, &e), -ENOENT);
}

/* --- real cgroups ---------------------------------------------------------- */

#define REAL "/ferry-test"

static bool real(struct fixture *f)
{
	struct err e = { 0 };

	cgroups_init(&f->c, f->loop, CGROUP_ROOT_DIR);
	(void)cgroup_remove(&f->c, REAL, &e);
	if (geteuid() != 0 || cgroup_make(&f->c, REAL "/c", false, &e) < 0) {
		print_message("no cgroups to make here (%s): skipped\n",
			      e.text);
		return false;
	}
	return true;
}

/* A child in a cgroup that takes memory when it is told to. */
static pid_t eater(struct fixture *f, int *ret_go)
{
	int go[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		const size_t size = (size_t)256 << 20;
		const char *name;
		char *memory;

		for (unsigned int i = 0; (name = cgroup_controller(&f->c, i));
		     i++) {
			const int dir =
				cgroup_dir(&f->c, name, REAL "/c", NULL);

			if (dir >= 0)
				(void)cgroup_write(dir, "cgroup.procs", "0",
						   NULL);
		}
		(void)close(go[1]);
		(void)!read(go[0], &c, 1);
		memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		for (size_t i = 0; i < size; i += 4096)
			memory[i] = 1;
		_exit(0);
	}
	(void)close(go[0]);
	*ret_go = go[1];
	return pid;
}

static void on_oom(void *ctx, uint64_t kills)
{
	*(uint64_t *)ctx = kills;
}

/* The kill is known before the exit can be told, and by itself too. */
static void kill_one(struct fixture *f, bool by_event)
{
	struct oom_watch *w = NULL;
	struct msg_metrics m;
	struct err e = { 0 };
	uint64_t seen = 0;
	pid_t listed[4];
	int status;
	int go = -1;
	pid_t pid;

	assert_int_equal(cgroup_pod_create(&f->c, REAL,
					   "{\"memory\":{\"limit\":16777216,"
					   "\"swap\":16777216},"
					   "\"cpu\":{\"shares\":512,"
					   "\"quota\":50000,"
					   "\"period\":100000},"
					   "\"pids\":{\"limit\":9}}",
					   &f->a, &e),
			 0);
	if (oom_watch(&f->c, REAL "/c", 0, on_oom, &seen, &w, &e) < 0)
		fail_msg("%s", e.text);
	pid = eater(f, &go);
	while (cgroup_procs(&f->c, REAL, listed, 4, &e) != 1)
		(void)usleep(1000);
	assert_int_equal(listed[0], pid);
	assert_int_equal(cgroup_remove(&f->c, REAL, &e), -EBUSY);
	assert_int_equal(seen, 0);
	assert_int_equal(oom_check(w), 0);

	(void)close(go);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	if (by_event) {
		for (int i = 0; seen == 0 && i < 100; i++)
			assert_true(loop_turn(f->loop, 100, &e) >= 0);
	} else {
		assert_int_equal(oom_check(w), 1);
	}
	assert_int_equal(seen, 1);
	assert_int_equal(cgroup_stats(&f->c, REAL "/c", &f->a, &m, &e), 0);
	assert_int_equal(m.memory_oom_control->oom_kill, 1);
	assert_true(m.memory->usage->max > (1u << 20) ||
		    f->c.version == CGROUP_V2);

	/* A cgroup that goes away does not keep the loop busy. */
	assert_int_equal(cgroup_remove(&f->c, REAL, &e), 0);
	for (int i = 0; i < 3; i++)
		(void)loop_turn(f->loop, 0, &e);
	assert_int_equal(loop_turn(f->loop, 0, &e), 0);
	assert_int_equal(oom_check(w), 1);
	assert_int_equal(seen, 1);
	oom_unwatch(w);
}

static void test_hazard_25_a_kill_is_seen_when_asked(void **state)
{
	struct fixture *f = *state;

	if (!real(f))
		skip();
	kill_one(f, false);
}

static void test_hazard_25_a_kill_is_told_by_an_event(void **state)
{
	struct fixture *f = *state;

	if (!real(f))
		skip();
	kill_one(f, true);
}

static void test_a_watch_of_nothing_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct oom_watch *w = NULL;
	struct err e = { 0 };

	tree_v2(f);
	assert_int_equal(oom_watch(&f->c, "/pods/x", 0, on_oom, NULL, &w, &e),
			 -ENOENT);
	assert_null(w);
	oom_unwatch(w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_cgroup_2_is_told_as_cgroup_1),
		TEST(test_a_missing_file_is_zero_and_a_missing_cgroup_is_not),
		TEST(test_paths_stay_in_the_tree),
		TEST(test_cgroup_1),
		TEST(test_resources_become_files),
		TEST(test_no_limit_and_extremes),
		TEST(test_resources_that_are_refused),
		TEST(test_the_pods_get_what_is_not_reserved),
		TEST(test_processes_are_listed_with_those_below),
		TEST(test_hazard_25_a_kill_is_seen_when_asked),
		TEST(test_hazard_25_a_kill_is_told_by_an_event),
		TEST(test_a_watch_of_nothing_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
