#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bridge/schema.h"
#include "tools/migrate.h"
#include "tools/small.h"

#define MIB ((uint64_t)1024 * 1024)
#define NS_PER_MS 1000000

/* One line of --json. */
struct report_line {
	const char *event;
	const char *phase;
	const char *source;
	const char *destination;
	uint64_t bytes;
	uint64_t remaining;
	uint64_t rate;
	uint64_t dirty;
	uint64_t total_ms;
	uint64_t blackout_ms;
	uint64_t reconnect_ms;
	const char *reason;
	const char *runs;
};

#define T struct report_line
static const struct schema_member members[] = {
	SCHEMA_STRING(T, event, "event", SCHEMA_ALWAYS),
	SCHEMA_STRING(T, phase, "phase", SCHEMA_OPTIONAL),
	SCHEMA_STRING(T, source, "source", SCHEMA_OPTIONAL),
	SCHEMA_STRING(T, destination, "destination", SCHEMA_OPTIONAL),
	SCHEMA_U64(T, bytes, "bytes", SCHEMA_OPTIONAL),
	SCHEMA_U64(T, remaining, "remaining", SCHEMA_OPTIONAL),
	SCHEMA_U64(T, rate, "rate", SCHEMA_OPTIONAL),
	SCHEMA_U64(T, dirty, "dirty_rate", SCHEMA_OPTIONAL),
	SCHEMA_U64(T, total_ms, "total_ms", SCHEMA_ALWAYS),
	SCHEMA_U64(T, blackout_ms, "blackout_ms", SCHEMA_OPTIONAL),
	SCHEMA_U64(T, reconnect_ms, "reconnect_ms", SCHEMA_OPTIONAL),
	SCHEMA_STRING(T, reason, "reason", SCHEMA_OPTIONAL),
	SCHEMA_STRING(T, runs, "runs", SCHEMA_OPTIONAL),
};
static const struct schema line_schema = SCHEMA(T, members);
#undef T

static uint64_t since(const struct migrate *m)
{
	return (uint64_t)(loop_now_ms(m->remote.loop) - m->begun_ms);
}

static bool for_people(const struct migrate *m)
{
	return !m->args.json && isatty(STDERR_FILENO) == 1;
}

void migrate_report(struct migrate *m, const char *phase)
{
	const struct migrate_side *s = &m->source;
	struct report_line line = {
		.event = "progress",
		.phase = phase,
		.source = s->state,
		.destination = m->destination.state,
		.remaining = s->remaining,
		.rate = s->rate,
		.dirty = s->dirty,
		.total_ms = since(m),
	};

	m->phase = phase;
	if (s->transferred > m->most)
		m->most = s->transferred; /* it only grows */
	line.bytes = m->most;
	if (m->args.json) {
		small_json(&line_schema, &line);
		(void)fflush(stdout);
	} else if (for_people(m)) {
		(void)fprintf(stderr,
			      "\r%-10s %6" PRIu64 " MiB sent, %6" PRIu64
			      " MiB left, %5" PRIu64 " MiB/s, %5" PRIu64
			      " MiB/s dirtied ",
			      phase, m->most / MIB, s->remaining / MIB,
			      s->rate / MIB, s->dirty / MIB);
	}
}

/* Between two clocks, of which each was read once. The other host may say any
 * number: nothing may overflow. */
static uint64_t blackout_ms(const struct migrate *m)
{
	const uint64_t ns =
		(m->destination.running_ns -
		 (uint64_t)m->destination.clock_ns) -
		(m->source.stopped_ns - (uint64_t)m->source.clock_ns);

	return ns <= INT64_MAX ? ns / NS_PER_MS : 0;
}

void migrate_report_done(const struct migrate *m)
{
	const struct report_line line = {
		.event = "done",
		.bytes = m->most,
		.total_ms = since(m),
		.blackout_ms = blackout_ms(m),
		.reconnect_ms = m->destination.reconnect_ms,
		.runs = "destination",
	};

	if (m->args.json) {
		small_json(&line_schema, &line);
		return;
	}
	if (for_people(m))
		(void)fputs("\r\033[K", stderr);
	(void)printf("%s runs at %s: total %" PRIu64 " ms, blackout %" PRIu64
		     " ms, reconnect %" PRIu64 " ms, %" PRIu64 " MiB\n",
		     m->remote.name, m->args.to, line.total_ms,
		     line.blackout_ms, line.reconnect_ms, m->most / MIB);
}

void migrate_report_saved(const struct migrate *m, const char *file)
{
	const struct report_line line = {
		.event = "done",
		.bytes = m->most,
		.total_ms = since(m),
		.runs = "file",
	};

	if (m->args.json) {
		small_json(&line_schema, &line);
		return;
	}
	if (for_people(m))
		(void)fputs("\r\033[K", stderr);
	(void)printf("%s is in %s: total %" PRIu64 " ms, %" PRIu64 " MiB\n",
		     m->remote.name, file, line.total_ms, m->most / MIB);
}

void migrate_report_failed(const struct migrate *m, const struct err *why,
			   const char *where)
{
	const struct report_line line = {
		.event = "failed",
		.phase = m->phase,
		.bytes = m->most,
		.total_ms = since(m),
		.reason = why->text,
		.runs = where,
	};

	if (m->args.json)
		small_json(&line_schema, &line);
	if (for_people(m))
		(void)fputs("\r\033[K", stderr);
	(void)fprintf(stderr, "ferry: %s: %s; %s%s\n",
		      m->phase ? m->phase : "start", why->text,
		      strncmp(where, "nobody", 6) == 0 ? "it is run by "
						       : "it runs at the ",
		      where);
}
