/*
 * tools/sandbox_stats.c - ferry stats: what the containers of a sandbox use
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/schema.h"
#include "build/proto/ferry.pb-c.h"
#include "build/proto/metrics.pb-c.h"
#include "build/proto/task.pb-c.h"
#include "config/util.h"
#include "tools/remote.h"
#include "tools/sandboxes.h"
#include "tools/shim/stats.h"
#include "tools/small.h"
#include "tools/tool.h"
#include "tools/ttrpc/codec.h"

#define MIB (1024.0 * 1024.0)
#define CONTAINERS_MAX 1024u

struct stats_row {
	const char *container;
	uint64_t cpu_ns;
	uint64_t memory_bytes;
	uint64_t memory_limit_bytes;
	uint64_t pids;
	uint64_t oom_kills;
};

#define T struct stats_row
static const struct schema_member stats_members[] = {
	SCHEMA_STRING(T, container, "container", SCHEMA_ALWAYS),
	SCHEMA_U64(T, cpu_ns, "cpu_ns", SCHEMA_ALWAYS),
	SCHEMA_U64(T, memory_bytes, "memory_bytes", SCHEMA_ALWAYS),
	SCHEMA_U64(T, memory_limit_bytes, "memory_limit_bytes", SCHEMA_ALWAYS),
	SCHEMA_U64(T, pids, "pids", SCHEMA_ALWAYS),
	SCHEMA_U64(T, oom_kills, "oom_kills", SCHEMA_ALWAYS),
};
static const struct schema stats_schema = SCHEMA(T, stats_members);
#undef T

/* Containers by name, and the row that is being filled. */
struct stats {
	struct remote remote;
	char *id[CONTAINERS_MAX];
	size_t n;
	bool json;
	const char *now;
};

static void print_row(const struct stats *s, const Metrics *m)
{
	const MetricsMemoryEntry *usage = m->memory ? m->memory->usage : NULL;
	const struct stats_row row = {
		.container = s->now,
		.cpu_ns = m->cpu && m->cpu->usage ? m->cpu->usage->total : 0,
		.memory_bytes = usage ? usage->usage : 0,
		.memory_limit_bytes = usage ? usage->limit : 0,
		.pids = m->pids ? m->pids->current : 0,
		.oom_kills = m->memory_oom_control
				     ? m->memory_oom_control->oom_kill
				     : 0,
	};

	if (s->json)
		small_json(&stats_schema, &row);
	else
		(void)printf("%-24s %10.2f s %10.1f MiB %6" PRIu64 " %9" PRIu64
			     "\n",
			     row.container, (double)row.cpu_ns / 1e9,
			     (double)row.memory_bytes / MIB, row.pids,
			     row.oom_kills);
}

static void on_stats(void *ctx, const ProtobufCMessage *message)
{
	const TaskStatsResponse *a = (const void *)message;
	struct arena arena;
	const ProtobufCMessage *m = NULL;

	arena_init(&arena, TTRPC_DECODE_MAX);
	if (a->stats && strcmp(a->stats->type_url, STATS_URL) == 0)
		m = ttrpc_unpack(&metrics__descriptor, a->stats->value.data,
				 a->stats->value.len, &arena);
	if (m)
		print_row(ctx, (const void *)m);
	arena_done(&arena);
}

/* Only what runs has any. */
static void on_processes(void *ctx, const ProtobufCMessage *message)
{
	const FerryProcessesResponse *a = (const void *)message;
	struct stats *s = ctx;

	for (size_t i = 0; i < a->n_processes && s->n < CONTAINERS_MAX; i++) {
		const FerryProcess *p = a->processes[i];

		if (*p->id == '\0' || *p->exec_id != '\0' ||
		    strcmp(p->state, "running") != 0)
			continue;
		s->id[s->n] = strdup(p->id);
		s->n += s->id[s->n] != NULL;
	}
}

static int ask_all(struct stats *s, struct err *e)
{
	FerryProcessesRequest all = FERRY_PROCESSES_REQUEST__INIT;
	int r;

	all.id = s->remote.container;
	r = remote_ask(&s->remote, "Processes", &all.base,
		       &ferry_processes_response__descriptor, on_processes, s,
		       REMOTE_CALL_MS, e);
	if (r == 0 && s->n == 0 && *s->remote.container)
		return err_set(e, ENOENT, "container %s does not run",
			       s->remote.container);
	if (r == 0 && !s->json)
		(void)printf("%-24s %12s %14s %6s %9s\n", "CONTAINER", "CPU",
			     "MEMORY", "PIDS", "OOM KILLS");
	for (size_t i = 0; r == 0 && i < s->n; i++) {
		TaskIdRequest one = TASK_ID_REQUEST__INIT;

		one.id = s->id[i];
		s->now = s->id[i];
		r = remote_ask(&s->remote, "Stats", &one.base,
			       &task_stats_response__descriptor, on_stats, s,
			       REMOTE_CALL_MS, e);
	}
	return r;
}

static int run_stats(const struct words *w)
{
	struct stats *s = calloc(1, sizeof(*s));
	struct err e;
	int r;

	if (!s) {
		(void)fputs("ferry: out of memory\n", stderr);
		return TOOL_FAILURE;
	}
	s->json = w->json;
	r = remote_open_in(w->word[0], &s->remote, &e);
	if (r == 0)
		r = ask_all(s, &e);
	for (size_t i = 0; i < s->n; i++)
		free(s->id[i]);
	remote_close(&s->remote);
	free(s);
	return r < 0 ? tool_fail(&e) : TOOL_OK;
}

int tool_stats(int argc, char **argv)
{
	static const struct small s = {
		.name = "stats",
		.help = "usage: ferry stats [--json] SANDBOX[/CONTAINER]\n"
			"\n"
			"Shows what the running containers of a sandbox use.\n"
			"\n"
			"  --json              one JSON object a line\n",
		.options = "j",
		.min = 1,
		.max = 1,
	};

	return small_run(&s, argc, argv, run_stats);
}
