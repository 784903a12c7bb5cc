#include "bridge/msg_metrics.h"

/* clang-format off */

/* The names on the wire are those of the struct members. */
#define NUMBER(type, field) SCHEMA_U64(type, field, #field, SCHEMA_OPTIONAL)
#define POINTER(ctype, type, field, sub) \
	SCHEMA_POINTER(const ctype, type, field, #field, SCHEMA_OPTIONAL, sub)

static const struct schema_member hugetlb_members[] = {
#define T struct msg_hugetlb
	NUMBER(T, usage), NUMBER(T, max), NUMBER(T, failcnt),
	SCHEMA_STRING(T, pagesize, "pagesize", SCHEMA_OPTIONAL),
#undef T
};
static const struct schema hugetlb_schema =
	SCHEMA(struct msg_hugetlb, hugetlb_members);

static const struct schema_member pids_members[] = {
#define T struct msg_pids
	NUMBER(T, current), NUMBER(T, limit),
#undef T
};
static const struct schema pids_schema = SCHEMA(struct msg_pids, pids_members);

static const struct schema_member cpu_usage_members[] = {
#define T struct msg_cpu_usage
	NUMBER(T, total), NUMBER(T, kernel), NUMBER(T, user),
	SCHEMA_NUMBERS(T, per_cpu, "per_cpu", SCHEMA_OPTIONAL),
#undef T
};
static const struct schema cpu_usage_schema =
	SCHEMA(struct msg_cpu_usage, cpu_usage_members);

static const struct schema_member throttling_members[] = {
#define T struct msg_throttling
	NUMBER(T, periods), NUMBER(T, throttled_periods),
	NUMBER(T, throttled_time),
#undef T
};
static const struct schema throttling_schema =
	SCHEMA(struct msg_throttling, throttling_members);

static const struct schema_member cpu_members[] = {
#define T struct msg_cpu
	POINTER(struct msg_cpu_usage, T, usage, cpu_usage_schema),
	POINTER(struct msg_throttling, T, throttling, throttling_schema),
#undef T
};
static const struct schema cpu_schema = SCHEMA(struct msg_cpu, cpu_members);

static const struct schema_member entry_members[] = {
#define T struct msg_memory_entry
	NUMBER(T, limit), NUMBER(T, usage), NUMBER(T, max), NUMBER(T, failcnt),
#undef T
};
static const struct schema entry_schema =
	SCHEMA(struct msg_memory_entry, entry_members);

#define OWN(name) \
	SCHEMA_U64(struct msg_memory, own.name, #name, SCHEMA_OPTIONAL)
#define TOTAL(name) \
	SCHEMA_U64(struct msg_memory, total.name, "total_" #name, \
		   SCHEMA_OPTIONAL)
#define STATS(ROW) \
	ROW(cache), ROW(rss), ROW(rss_huge), ROW(mapped_file), ROW(dirty), \
	ROW(writeback), ROW(pg_pg_in), ROW(pg_pg_out), ROW(pg_fault), \
	ROW(pg_maj_fault), ROW(inactive_anon), ROW(active_anon), \
	ROW(inactive_file), ROW(active_file), ROW(unevictable)

static const struct schema_member memory_members[] = {
#define T struct msg_memory
	STATS(OWN),
	NUMBER(T, hierarchical_memory_limit),
	NUMBER(T, hierarchical_swap_limit),
	STATS(TOTAL),
	POINTER(struct msg_memory_entry, T, usage, entry_schema),
	POINTER(struct msg_memory_entry, T, swap, entry_schema),
	POINTER(struct msg_memory_entry, T, kernel, entry_schema),
	POINTER(struct msg_memory_entry, T, kernel_tcp, entry_schema),
#undef T
};
static const struct schema memory_schema =
	SCHEMA(struct msg_memory, memory_members);

static const struct schema_member cgroup_stats_members[] = {
#define T struct msg_cgroup_stats
	NUMBER(T, nr_sleeping), NUMBER(T, nr_running), NUMBER(T, nr_stopped),
	NUMBER(T, nr_uninterruptible), NUMBER(T, nr_io_wait),
#undef T
};
static const struct schema cgroup_stats_schema =
	SCHEMA(struct msg_cgroup_stats, cgroup_stats_members);

static const struct schema_member oom_control_members[] = {
#define T struct msg_oom_control
	NUMBER(T, oom_kill_disable), NUMBER(T, under_oom), NUMBER(T, oom_kill),
#undef T
};
static const struct schema oom_control_schema =
	SCHEMA(struct msg_oom_control, oom_control_members);

static const struct schema_member metrics_members[] = {
#define T struct msg_metrics
	SCHEMA_ARRAY(struct msg_hugetlb, T, hugetlb, n_hugetlb, "hugetlb",
		     SCHEMA_OPTIONAL, hugetlb_schema),
	POINTER(struct msg_pids, T, pids, pids_schema),
	POINTER(struct msg_cpu, T, cpu, cpu_schema),
	POINTER(struct msg_memory, T, memory, memory_schema),
	SCHEMA_RAW(T, blkio, "blkio", SCHEMA_OPTIONAL),
	SCHEMA_RAW(T, rdma, "rdma", SCHEMA_OPTIONAL),
	POINTER(struct msg_cgroup_stats, T, cgroup_stats, cgroup_stats_schema),
	POINTER(struct msg_oom_control, T, memory_oom_control,
		oom_control_schema),
#undef T
};
const struct schema msg_metrics_schema =
	SCHEMA(struct msg_metrics, metrics_members);

/* clang-format on */
