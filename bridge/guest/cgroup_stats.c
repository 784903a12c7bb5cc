/* The statistics of a cgroup, in the shape of cgroup 1 whatever there is. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/guest/cgroup_file.h"
#include "bridge/io/fd.h"
#include "config/num.h"
#include "config/util.h"

/* Huge page sizes that are told; a kernel has three or four. */
#define HUGETLB_MAX 8
#define CPUS_MAX 1024
#define NS_PER_USEC UINT64_C(1000)
#define NS_PER_S UINT64_C(1000000000)

/* Everything that msg_metrics points to, in one piece. */
struct stats {
	struct msg_pids pids;
	struct msg_cpu_usage cpu_usage;
	struct msg_throttling throttling;
	struct msg_cpu cpu;
	struct msg_memory memory;
	struct msg_memory_entry usage, swap, kernel, kernel_tcp;
	struct msg_oom_control oom;
	struct msg_hugetlb hugetlb[HUGETLB_MAX];
};

static void connect_parts(struct stats *s, struct msg_metrics *ret)
{
	s->cpu.usage = &s->cpu_usage;
	s->cpu.throttling = &s->throttling;
	s->memory.usage = &s->usage;
	s->memory.swap = &s->swap;
	s->memory.kernel = &s->kernel;
	s->memory.kernel_tcp = &s->kernel_tcp;
	ret->pids = &s->pids;
	ret->cpu = &s->cpu;
	ret->memory = &s->memory;
	ret->memory_oom_control = &s->oom;
	ret->hugetlb = s->hugetlb;
}

/**
 * struct huge_names - what the files of one page size are called
 * @usage:	"hugetlb.<size>" and this
 * @failcnt:	NULL: there is none
 * @told:	the size is told
 */
struct huge_names {
	const char *usage;
	const char *max;
	const char *failcnt;
	bool told;
};

static uint64_t huge_number(int dir, const char *size, size_t len,
			    const char *suffix)
{
	char name[64];

	if (snprintf(name, sizeof(name), "hugetlb.%.*s%s", (int)len, size,
		     suffix) >= (int)sizeof(name))
		return 0;
	return cgroup_number(dir, name);
}

/* Page sizes are known by the names of files only. */
static int read_hugetlb(int dir, const struct huge_names *names,
			struct arena *a, struct stats *s,
			struct msg_metrics *ret)
{
	const int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	int r = 0;

	if (!d) {
		if (copy >= 0)
			(void)close(copy);
		return -ENOMEM;
	}
	while (ret->n_hugetlb < HUGETLB_MAX && (entry = readdir(d))) {
		struct msg_hugetlb *h = &s->hugetlb[ret->n_hugetlb];
		const char *size = entry->d_name + strlen("hugetlb.");
		size_t len;

		if (strncmp(entry->d_name, "hugetlb.", 8) != 0)
			continue;
		len = strcspn(size, ".");
		if (strcmp(size + len, names->usage) != 0)
			continue;
		h->usage = huge_number(dir, size, len, names->usage);
		h->max = huge_number(dir, size, len, names->max);
		if (names->failcnt)
			h->failcnt =
				huge_number(dir, size, len, names->failcnt);
		h->pagesize = names->told ? arena_strn(a, size, len) : "";
		if (!h->pagesize) {
			r = -ENOMEM;
			break;
		}
		ret->n_hugetlb++;
	}
	(void)closedir(d);
	return r;
}

/* --- cgroup 2 -------------------------------------------------------------- */

#define AT(name, field)                                                        \
	{                                                                      \
		name, offsetof(struct stats, field)                            \
	}

static const struct cgroup_key v2_cpu[] = {
	AT("usage_usec", cpu_usage.total),
	AT("user_usec", cpu_usage.user),
	AT("system_usec", cpu_usage.kernel),
	AT("nr_periods", throttling.periods),
	AT("nr_throttled", throttling.throttled_periods),
	AT("throttled_usec", throttling.throttled_time),
};

static const struct cgroup_key v2_memory[] = {
	AT("anon", memory.own.rss),
	AT("file", memory.own.cache),
	AT("file_mapped", memory.own.mapped_file),
	AT("file_dirty", memory.own.dirty),
	AT("file_writeback", memory.own.writeback),
	AT("pgfault", memory.own.pg_fault),
	AT("pgmajfault", memory.own.pg_maj_fault),
	AT("inactive_anon", memory.own.inactive_anon),
	AT("active_anon", memory.own.active_anon),
	AT("inactive_file", memory.own.inactive_file),
	AT("active_file", memory.own.active_file),
	AT("unevictable", memory.own.unevictable),
	AT("kernel_stack", kernel.usage),
	AT("sock", kernel_tcp.usage),
};

static const struct cgroup_key v2_events[] = {
	AT("oom_kill", oom.oom_kill),
};

static int read_v2(int dir, struct arena *a, struct stats *s,
		   struct msg_metrics *ret)
{
	static const struct huge_names huge = { ".current", ".max", NULL,
						false };

	cgroup_keys(dir, "cpu.stat", v2_cpu, ARRAY_LEN(v2_cpu), s);
	s->cpu_usage.total *= NS_PER_USEC;
	s->cpu_usage.user *= NS_PER_USEC;
	s->cpu_usage.kernel *= NS_PER_USEC;
	s->throttling.throttled_time *= NS_PER_USEC;

	cgroup_keys(dir, "memory.stat", v2_memory, ARRAY_LEN(v2_memory), s);
	s->usage.usage = cgroup_number(dir, "memory.current");
	s->usage.limit = cgroup_number(dir, "memory.max");
	s->usage.max = cgroup_number(dir, "memory.peak");
	s->swap.usage = cgroup_number(dir, "memory.swap.current");
	s->swap.limit = cgroup_number(dir, "memory.swap.max");
	s->swap.max = cgroup_number(dir, "memory.swap.peak");
	s->memory.hierarchical_memory_limit = s->usage.limit;
	s->memory.hierarchical_swap_limit = s->swap.limit;
	cgroup_keys(dir, "memory.events", v2_events, ARRAY_LEN(v2_events), s);

	s->pids.current = cgroup_number(dir, "pids.current");
	s->pids.limit = cgroup_number(dir, "pids.max");
	ret->blkio = "{}";
	if (faccessat(dir, "rdma.current", F_OK, 0) == 0)
		ret->rdma = "{}";
	return read_hugetlb(dir, &huge, a, s, ret);
}

/* --- cgroup 1 -------------------------------------------------------------- */

/* A counter, of the cgroup itself and with its children. */
#define BOTH(name, field)                                                      \
	AT(name, memory.own.field), AT("total_" name, memory.total.field)

static const struct cgroup_key v1_memory[] = {
	BOTH("cache", cache),
	BOTH("rss", rss),
	BOTH("rss_huge", rss_huge),
	BOTH("mapped_file", mapped_file),
	BOTH("dirty", dirty),
	BOTH("writeback", writeback),
	BOTH("pgpgin", pg_pg_in),
	BOTH("pgpgout", pg_pg_out),
	BOTH("pgfault", pg_fault),
	BOTH("pgmajfault", pg_maj_fault),
	BOTH("inactive_anon", inactive_anon),
	BOTH("active_anon", active_anon),
	BOTH("inactive_file", inactive_file),
	BOTH("active_file", active_file),
	BOTH("unevictable", unevictable),
	AT("hierarchical_memory_limit", memory.hierarchical_memory_limit),
	AT("hierarchical_memsw_limit", memory.hierarchical_swap_limit),
};

static const struct cgroup_key v1_oom[] = {
	AT("oom_kill_disable", oom.oom_kill_disable),
	AT("under_oom", oom.under_oom),
	AT("oom_kill", oom.oom_kill),
};

static const struct cgroup_key v1_throttling[] = {
	AT("nr_periods", throttling.periods),
	AT("nr_throttled", throttling.throttled_periods),
	AT("throttled_time", throttling.throttled_time),
};

static const struct cgroup_key v1_cpuacct[] = {
	AT("user", cpu_usage.user),
	AT("system", cpu_usage.kernel),
};

static void read_entry(int dir, const char *prefix, struct msg_memory_entry *m)
{
	char name[64];

#define NUMBER(file)                                                           \
	((void)snprintf(name, sizeof(name), "%s." file, prefix),               \
	 cgroup_number(dir, name))
	m->usage = NUMBER("usage_in_bytes");
	m->limit = NUMBER("limit_in_bytes");
	m->max = NUMBER("max_usage_in_bytes");
	m->failcnt = NUMBER("failcnt");
#undef NUMBER
}

static int v1_memory_read(int dir, struct stats *s)
{
	cgroup_keys(dir, "memory.stat", v1_memory, ARRAY_LEN(v1_memory), s);
	cgroup_keys(dir, "memory.oom_control", v1_oom, ARRAY_LEN(v1_oom), s);
	read_entry(dir, "memory", &s->usage);
	read_entry(dir, "memory.memsw", &s->swap);
	read_entry(dir, "memory.kmem", &s->kernel);
	read_entry(dir, "memory.kmem.tcp", &s->kernel_tcp);
	return 0;
}

/* "1 2 3 \n", one number for each CPU. */
static int v1_per_cpu(int dir, struct arena *a, struct msg_numbers *ret)
{
	char text[CGROUP_FILE_MAX];
	char *save = NULL;

	if (cgroup_read(dir, "cpuacct.usage_percpu", text, sizeof(text)) <= 0)
		return 0;
	ret->item = arena_array(a, CPUS_MAX, sizeof(*ret->item));
	if (!ret->item)
		return -ENOMEM;
	for (char *word = strtok_r(text, " \n", &save);
	     word && ret->n < CPUS_MAX; word = strtok_r(NULL, " \n", &save)) {
		if (num_u64(word, 0, UINT64_MAX, &ret->item[ret->n], NULL) < 0)
			break;
		ret->n++;
	}
	return 0;
}

static int v1_cpuacct_read(int dir, struct arena *a, struct stats *s)
{
	const long hz = sysconf(_SC_CLK_TCK);

	cgroup_keys(dir, "cpuacct.stat", v1_cpuacct, ARRAY_LEN(v1_cpuacct), s);
	if (hz > 0) {
		s->cpu_usage.user *= NS_PER_S / (uint64_t)hz;
		s->cpu_usage.kernel *= NS_PER_S / (uint64_t)hz;
	}
	s->cpu_usage.total = cgroup_number(dir, "cpuacct.usage");
	return v1_per_cpu(dir, a, &s->cpu_usage.per_cpu);
}

static int v1_pids_read(int dir, struct stats *s)
{
	s->pids.current = cgroup_number(dir, "pids.current");
	s->pids.limit = cgroup_number(dir, "pids.max");
	if (s->pids.limit == UINT64_MAX)
		s->pids.limit = 0; /* none, in the words of cgroup 1 */
	return 0;
}

static int read_controller(const char *name, int dir, struct arena *a,
			   struct stats *s, struct msg_metrics *ret)
{
	static const struct huge_names huge = { ".usage_in_bytes",
						".max_usage_in_bytes",
						".failcnt", true };

	if (strcmp(name, "memory") == 0)
		return v1_memory_read(dir, s);
	if (strcmp(name, "cpuacct") == 0)
		return v1_cpuacct_read(dir, a, s);
	if (strcmp(name, "pids") == 0)
		return v1_pids_read(dir, s);
	if (strcmp(name, "hugetlb") == 0)
		return read_hugetlb(dir, &huge, a, s, ret);
	if (strcmp(name, "cpu") == 0)
		cgroup_keys(dir, "cpu.stat", v1_throttling,
			    ARRAY_LEN(v1_throttling), s);
	else if (strcmp(name, "blkio") == 0)
		ret->blkio = "{}";
	else if (strcmp(name, "rdma") == 0)
		ret->rdma = "{}";
	return 0;
}

/* --- both ------------------------------------------------------------------ */

int cgroup_stats(const struct cgroups *c, const char *path, struct arena *a,
		 struct msg_metrics *ret, struct err *e)
{
	struct stats *s = arena_alloc(a, sizeof(*s));
	struct msg_metrics m = { 0 };
	const char *name;
	unsigned int found = 0;
	int r = 0;

	if (!s)
		return err_set(e, ENOMEM, "no memory for statistics");
	connect_parts(s, &m);
	for (unsigned int i = 0; r == 0 && (name = cgroup_controller(c, i));
	     i++) {
		cleanup_fd dir = cgroup_dir(c, name, path, e);

		if (dir < 0)
			continue; /* not mounted, or not for this one */
		found++;
		r = c->version == CGROUP_V2
			    ? read_v2(dir, a, s, &m)
			    : read_controller(name, dir, a, s, &m);
	}
	if (r < 0)
		return err_set(e, -r, "statistics of cgroup %.128s", path);
	if (found == 0)
		return err_code(e);
	*ret = m;
	return 0;
}
