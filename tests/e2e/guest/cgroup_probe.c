/*
 * tests/e2e/guest/cgroup_probe.c - the agent's own code on the cgroups of a
 * real UVM: makes a pod's cgroup, fills it, and prints what it says about it
 *
 * A script compares that with the files. The process in the cgroup sleeps, so
 * nothing changes meanwhile.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/guest/cgroup.h"
#include "bridge/guest/cgroup_file.h"

#define POD "/pods/probe"
#define LEAF POD "/leaf"
#define EATS ((size_t)8 << 20)
#define WORK_LOOPS 20000000

static struct cgroups c;

static void die(const char *what, const struct err *e)
{
	(void)printf("error=%s: %s\n", what, e->text);
	exit(1);
}

/* Enters the cgroup, works a little, takes memory, and sleeps. */
static void child(int ready)
{
	struct err e = { 0 };
	const int dir = cgroup_dir(&c, "memory", LEAF, &e);
	char *memory;

	if (dir < 0 || cgroup_write(dir, "cgroup.procs", "0", &e) < 0)
		die("enter", &e);
	memory = mmap(NULL, EATS, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		_exit(1);
	memset(memory, 1, EATS);
	for (volatile uint32_t work = 0; work < WORK_LOOPS; work++)
		;
	(void)!write(ready, "x", 1);
	for (;;)
		(void)pause();
}

/* Its state is behind its name. */
static bool sleeps(pid_t pid)
{
	char path[64], text[256] = "";
	const char *end;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f || !fgets(text, sizeof(text), f))
		exit(1);
	(void)fclose(f);
	end = strrchr(text, ')');
	return end && strncmp(end, ") S", 3) == 0;
}

static void show_files(const char *when)
{
	char line[256];

	(void)fflush(stdout);
	(void)snprintf(line, sizeof(line),
		       "cd /sys/fs/cgroup" LEAF " && for f in *.current *.max "
		       "*.peak *.stat; do sed \"s/^/%s $f /\" $f; done",
		       when);
	(void)system(line);
}

static void print(const struct msg_metrics *m)
{
#define SAY(name, value) (void)printf("%s=%" PRIu64 "\n", name, value)
	SAY("cpu", m->cpu->usage->total);
	SAY("current", m->memory->usage->usage);
	SAY("max", m->memory->usage->limit);
	SAY("peak", m->memory->usage->max);
	SAY("anon", m->memory->own.rss);
	SAY("faults", m->memory->own.pg_fault);
	SAY("pids", m->pids->current);
	SAY("pids_max", m->pids->limit);
}

int main(void)
{
	struct msg_metrics m;
	struct err e = { 0 };
	struct arena a;
	pid_t listed[4];
	int ready[2];
	char byte;
	pid_t pid;

	arena_init(&a, (size_t)1 << 20);
	cgroups_init(&c, NULL, CGROUP_ROOT_DIR);
	if (cgroup_pod_create(&c, POD,
			      "{\"memory\":{\"limit\":67108864},"
			      "\"cpu\":{\"shares\":1024,\"quota\":50000,"
			      "\"period\":100000},\"pids\":{\"limit\":33}}",
			      &a, &e) < 0 ||
	    cgroup_make(&c, LEAF, false, &e) < 0)
		die("make", &e);
	if (pipe(ready) < 0 || (pid = fork()) < 0)
		return 1;
	if (pid == 0)
		child(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		return 1;
	while (!sleeps(pid))
		(void)usleep(10000);
	show_files("before");
	if (cgroup_stats(&c, LEAF, &a, &m, &e) < 0)
		die("statistics", &e);
	print(&m);
	(void)printf("procs=%zd\n", cgroup_procs(&c, POD, listed, 4, &e));
	(void)printf("busy=%d\n", -cgroup_remove(&c, POD, &e));
	show_files("file");
	(void)system("cd /sys/fs/cgroup" POD
		     " && for f in memory.max cpu.weight cpu.max pids.max; do "
		     "sed \"s/^/pod $f /\" $f; done");
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	(void)printf("removed=%d\n", -cgroup_remove(&c, POD, &e));
	return 0;
}
