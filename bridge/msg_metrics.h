/*
 * bridge/msg_metrics.h - statistics of a container, the member LCOWMetrics of
 * its properties; pure.
 *
 * The message of cgroup v1 in the spelling of the containerd cgroups package.
 * Every number that is zero is left out; a NULL pointer is an absent object,
 * others appear as {} when all in them is zero.
 * Source: shared specification bridge.md 3.10.
 */
#ifndef FERRY_BRIDGE_MSG_METRICS_H
#define FERRY_BRIDGE_MSG_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "bridge/schema.h"

struct msg_hugetlb {
	uint64_t usage;
	uint64_t max;
	uint64_t failcnt;
	const char *pagesize;
};

struct msg_pids {
	uint64_t current;
	uint64_t limit;
};

/* Times in nanoseconds. */
struct msg_cpu_usage {
	uint64_t total;
	uint64_t kernel;
	uint64_t user;
	struct msg_numbers per_cpu;
};

struct msg_throttling {
	uint64_t periods;
	uint64_t throttled_periods;
	uint64_t throttled_time; /* nanoseconds */
};

struct msg_cpu {
	const struct msg_cpu_usage *usage;
	const struct msg_throttling *throttling;
};

struct msg_memory_entry {
	uint64_t limit;
	uint64_t usage;
	uint64_t max;
	uint64_t failcnt;
};

/* One half of memory.stat: of the cgroup itself, or with its children. */
struct msg_memory_stat {
	uint64_t cache;
	uint64_t rss;
	uint64_t rss_huge;
	uint64_t mapped_file;
	uint64_t dirty;
	uint64_t writeback;
	uint64_t pg_pg_in;
	uint64_t pg_pg_out;
	uint64_t pg_fault;
	uint64_t pg_maj_fault;
	uint64_t inactive_anon;
	uint64_t active_anon;
	uint64_t inactive_file;
	uint64_t active_file;
	uint64_t unevictable;
};

struct msg_memory {
	struct msg_memory_stat own;
	uint64_t hierarchical_memory_limit;
	uint64_t hierarchical_swap_limit;
	struct msg_memory_stat total;
	const struct msg_memory_entry *usage;
	const struct msg_memory_entry *swap;
	const struct msg_memory_entry *kernel;
	const struct msg_memory_entry *kernel_tcp;
};

struct msg_cgroup_stats {
	uint64_t nr_sleeping;
	uint64_t nr_running;
	uint64_t nr_stopped;
	uint64_t nr_uninterruptible;
	uint64_t nr_io_wait;
};

struct msg_oom_control {
	uint64_t oom_kill_disable;
	uint64_t under_oom;
	uint64_t oom_kill;
};

struct msg_metrics {
	struct msg_hugetlb *hugetlb;
	size_t n_hugetlb;
	const struct msg_pids *pids;
	const struct msg_cpu *cpu;
	const struct msg_memory *memory;
	const char *blkio; /* JSON text, "{}" where there is one */
	const char *rdma;  /* the same */
	const struct msg_cgroup_stats *cgroup_stats;
	const struct msg_oom_control *memory_oom_control;
};

extern const struct schema msg_metrics_schema;

#endif
