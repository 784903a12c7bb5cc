#include "tools/shim/stats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/host/settings.h"
#include "bridge/json_check.h"
#include "build/proto/metrics.pb-c.h"
#include "build/proto/task.pb-c.h"
#include "config/util.h"

#define DOCUMENT_MAX ((size_t)256 * 1024)

static MetricsMemoryEntry *entry(MetricsMemoryEntry *out,
				 const struct msg_memory_entry *m)
{
	metrics_memory_entry__init(out);
	if (!m)
		return NULL;
	out->limit = m->limit;
	out->usage = m->usage;
	out->max = m->max;
	out->failcnt = m->failcnt;
	return out;
}

static void fill_memory(MetricsMemory *out, const struct msg_memory *m)
{
	out->cache = m->own.cache;
	out->rss = m->own.rss;
	out->rss_huge = m->own.rss_huge;
	out->mapped_file = m->own.mapped_file;
	out->dirty = m->own.dirty;
	out->writeback = m->own.writeback;
	out->pg_pg_in = m->own.pg_pg_in;
	out->pg_pg_out = m->own.pg_pg_out;
	out->pg_fault = m->own.pg_fault;
	out->pg_maj_fault = m->own.pg_maj_fault;
	out->inactive_anon = m->own.inactive_anon;
	out->active_anon = m->own.active_anon;
	out->inactive_file = m->own.inactive_file;
	out->active_file = m->own.active_file;
	out->unevictable = m->own.unevictable;
	out->hierarchical_memory_limit = m->hierarchical_memory_limit;
	out->hierarchical_swap_limit = m->hierarchical_swap_limit;
	out->total_cache = m->total.cache;
	out->total_rss = m->total.rss;
	out->total_inactive_file = m->total.inactive_file;
}

static MetricsCpuUsage *fill_usage(MetricsCpuUsage *out,
				   const struct msg_cpu_usage *u)
{
	metrics_cpu_usage__init(out);
	if (!u)
		return NULL;
	out->total = u->total;
	out->kernel = u->kernel;
	out->user = u->user;
	out->n_per_cpu = u->per_cpu.n;
	out->per_cpu = u->per_cpu.item;
	return out;
}

static MetricsThrottle *fill_throttle(MetricsThrottle *out,
				      const struct msg_throttling *t)
{
	metrics_throttle__init(out);
	if (!t)
		return NULL;
	out->periods = t->periods;
	out->throttled_periods = t->throttled_periods;
	out->throttled_time = t->throttled_time;
	return out;
}

static void reply(struct ttrpc_call *call, const Metrics *m)
{
	TaskStatsResponse a = TASK_STATS_RESPONSE__INIT;
	PbAny any = PB_ANY__INIT;
	cleanup_free uint8_t *bytes = malloc(metrics__get_packed_size(m) + 1);

	if (!bytes) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "no memory");
		return;
	}
	any.type_url = (char[]){ STATS_URL };
	any.value.data = bytes;
	any.value.len = metrics__pack(m, bytes);
	a.stats = &any;
	ttrpc_reply(call, &a.base);
}

void stats_reply(struct ttrpc_call *call, const struct msg_metrics *m)
{
	Metrics out = METRICS__INIT;
	MetricsPids pids = METRICS_PIDS__INIT;
	MetricsCpu cpu = METRICS_CPU__INIT;
	MetricsCpuUsage usage;
	MetricsThrottle throttle;
	MetricsMemory memory = METRICS_MEMORY__INIT;
	MetricsMemoryEntry entries[4];
	MetricsOomControl oom = METRICS_OOM_CONTROL__INIT;

	if (m->pids) {
		pids.current = m->pids->current;
		pids.limit = m->pids->limit;
		out.pids = &pids;
	}
	if (m->cpu) {
		cpu.usage = fill_usage(&usage, m->cpu->usage);
		cpu.throttling = fill_throttle(&throttle, m->cpu->throttling);
		out.cpu = &cpu;
	}
	if (m->memory) {
		fill_memory(&memory, m->memory);
		memory.usage = entry(&entries[0], m->memory->usage);
		memory.swap = entry(&entries[1], m->memory->swap);
		memory.kernel = entry(&entries[2], m->memory->kernel);
		memory.kernel_tcp = entry(&entries[3], m->memory->kernel_tcp);
		out.memory = &memory;
	}
	if (m->memory_oom_control) {
		oom.oom_kill_disable = m->memory_oom_control->oom_kill_disable;
		oom.under_oom = m->memory_oom_control->under_oom;
		oom.oom_kill = m->memory_oom_control->oom_kill;
		out.memory_oom_control = &oom;
	}
	reply(call, &out);
}

int stats_update(struct host_client *c, const char *container_id,
		 const void *document, size_t len, const struct host_done *done,
		 struct err *e)
{
	struct msg_container_constraints m = { 0 };
	cleanup_free char *text = NULL;
	int r;

	if (len == 0 || len > DOCUMENT_MAX)
		return err_set(e, EINVAL, "resources of %zu bytes", len);
	r = json_check(document, len, e);
	if (r < 0)
		return err_wrap(e, "resources");
	text = strndup(document, len);
	if (!text)
		return err_set(e, ENOMEM, "no memory for resources");
	m.linux_resources = text;
	return host_modify_constraints(c, container_id, &m, done, NULL, e);
}
