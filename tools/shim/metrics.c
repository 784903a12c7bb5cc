#include "tools/shim/metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bridge/io/log.h"
#include "build/proto/ferry.pb-c.h"
#include "config/arena.h"
#include "config/util.h"
#include "migration/machine.h"
#include "tools/shim/shim.h"
#include "tools/tool.h"
#include "tools/ttrpc/pb.h"

#define NS_PER_S 1e9
#define MS_PER_S 1e3
/* All that one answer takes. */
#define ANSWER_BYTES ((size_t)1024 * 1024)
#define METRICS_ROOM 64u
#define SAMPLES_ROOM 64u

/* One answer in the making; what finds no memory is left out. */
struct answer {
	FerryMetricsResponse m;
	FerryMetric *now;
	struct arena arena;
};

static void metric(struct answer *a, const char *name, const char *type,
		   const char *help)
{
	FerryMetric *m = arena_array(&a->arena, 1, sizeof(*m));

	a->now = NULL;
	if (!m || a->m.n_metrics == METRICS_ROOM)
		return;
	ferry_metric__init(m);
	m->name = pb_text(name);
	m->type = pb_text(type);
	m->help = pb_text(help);
	m->samples =
		arena_array(&a->arena, SAMPLES_ROOM, sizeof(FerrySample *));
	if (!m->samples)
		return;
	a->m.metrics[a->m.n_metrics++] = m;
	a->now = m;
}

static FerryLabel *label(struct answer *a, const char *name, const char *value)
{
	FerryLabel *l = arena_array(&a->arena, 1, sizeof(*l));

	if (!l)
		return NULL;
	ferry_label__init(l);
	l->name = pb_text(name);
	l->value = pb_text(value);
	return l;
}

/* @name may be NULL, @other too: fewer labels. */
static void sample2(struct answer *a, const char *suffix, const char *name,
		    const char *value, const char *other, const char *is,
		    double number)
{
	FerrySample *s = arena_array(&a->arena, 1, sizeof(*s));
	FerryLabel **labels = arena_array(&a->arena, 2, sizeof(FerryLabel *));

	if (!s || !labels || !a->now || a->now->n_samples == SAMPLES_ROOM)
		return;
	ferry_sample__init(s);
	s->suffix = pb_text(suffix);
	s->value = number;
	s->labels = labels;
	if (name && (labels[s->n_labels] = label(a, name, value)))
		s->n_labels++;
	if (other && (labels[s->n_labels] = label(a, other, is)))
		s->n_labels++;
	a->now->samples[a->now->n_samples++] = s;
}

static void sample(struct answer *a, const char *name, const char *value,
		   double number)
{
	sample2(a, "", name, value, NULL, NULL, number);
}

static void counter(struct answer *a, const char *name, uint64_t n,
		    const char *help)
{
	metric(a, name, "counter", help);
	sample(a, NULL, NULL, (double)n);
}

static void gauge(struct answer *a, const char *name, double n,
		  const char *help)
{
	metric(a, name, "gauge", help);
	sample(a, NULL, NULL, n);
}

/* --- the sandbox ---------------------------------------------------------------- */

static double resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;

	if (f && fscanf(f, "%*u %llu", &pages) != 1)
		pages = 0;
	if (f)
		(void)fclose(f); /* only read */
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void of_sandbox(struct answer *a, const struct shim *s)
{
	const struct sandbox_options *o = &s->launch->options;

	metric(a, "ferry_sandbox_info", "gauge", "The sandbox; always 1.");
	sample2(a, "", "version", TOOL_VERSION, "migratable",
		o->migratable ? "true" : "false", 1);
	metric(a, "ferry_sandbox_state", "gauge",
	       "1 for the state that the sandbox is in.");
	for (int i = 0; i < SHIM_STATES; i++)
		sample(a, "state", shim_state_name((enum shim_state)i),
		       shim_state_told(s) == (enum shim_state)i);
	gauge(a, "ferry_sandbox_start_time_seconds",
	      (double)s->started_ns / NS_PER_S,
	      "When the shim started, since 1970.");
	gauge(a, "ferry_sandbox_memory_bytes",
	      (double)o->memory_mib * 1024 * 1024, "Memory of the UVM.");
	gauge(a, "ferry_sandbox_processors", o->processor_count,
	      "Processors of the UVM.");
	gauge(a, "ferry_shim_resident_memory_bytes", resident_bytes(),
	      "Resident memory of the shim, without QEMU.");
	counter(a, "ferry_log_limited_lines_total", log_limited(),
		"Lines of the shim's log that were left out because they "
		"repeat themselves.");
	counter(a, "ferry_log_muted_lines_total", s->log.muted,
		"Lines of the agent's log that were left out because there "
		"were too many in a second.");
	counter(a, "ferry_diagnostics_total", s->n_left,
		"Diagnostics bundles that the shim has left.");
}

static void of_processes(struct answer *a, const struct shim *s)
{
	uint64_t n[UVM_STATES] = { 0 };
	uint64_t of_state[CONTAINER_STATES] = { 0 };

	for (const struct uvm_proc *p = s->procs.first; p; p = p->next)
		n[p->state]++;
	metric(a, "ferry_uvm_processes", "gauge",
	       "Processes of the UVM itself that the shim knows.");
	sample(a, "state", "created",
	       (double)(n[UVM_CREATED] + n[UVM_STARTING]));
	sample(a, "state", "running", (double)n[UVM_RUNNING]);
	sample(a, "state", "stopped", (double)n[UVM_STOPPED]);
	for (const struct shim_task *t = s->tasks.first; t; t = t->next)
		of_state[t->ctl ? t->ctl->state : CONTAINER_NOT_CREATED]++;
	metric(a, "ferry_containers", "gauge", "Containers by their state.");
	for (unsigned int i = 0; i < CONTAINER_STATES; i++)
		sample(a, "state", machine_state_name(&container_machine, i),
		       (double)of_state[i]);
}

/* --- the bridge ------------------------------------------------------------------ */

static void of_calls(struct answer *a, const struct host_counts *c)
{
	static const char *const reasons[] = {
		[HOST_FAIL_REFUSED] = "refused",
		[HOST_FAIL_LOST] = "lost",
		[HOST_FAIL_TIMEOUT] = "timeout",
		[HOST_FAIL_GARBLED] = "garbled",
		[HOST_FAIL_CANCELLED] = "cancelled",
		[HOST_FAIL_LOCAL] = "local",
	};

	static_assert(ARRAY_LEN(reasons) == HOST_FAILS, "a reason is missing");
	counter(a, "ferry_bridge_requests_total", c->calls,
		"Requests sent to the guest.");
	metric(a, "ferry_bridge_requests_failed_total", "counter",
	       "Requests that ended without a result.");
	for (size_t i = 0; i < HOST_FAILS; i++)
		sample(a, "reason", reasons[i], (double)c->failed[i]);
	counter(a, "ferry_bridge_late_answers_total", c->late,
		"Answers to requests that were over.");
	counter(a, "ferry_bridge_notices_total", c->notices,
		"Notices of the guest.");
}

static void of_streams(struct answer *a, const struct host_counts *c)
{
	static const char *const names[] = { "stdin", "stdout", "stderr" };

	metric(a, "ferry_stdio_bytes_total", "counter",
	       "Bytes of streams of processes.");
	for (size_t i = 0; i < MSG_STDIO; i++)
		sample(a, "stream", names[i], (double)c->bytes[i]);
	counter(a, "ferry_stdio_redials_total", c->redials,
		"Streams that the guest dialled again after a loss.");
	counter(a, "ferry_stdio_replayed_bytes_total", c->replayed,
		"Bytes of streams of the session that crossed the bridge once "
		"more after a loss.");
}

static void of_bridge(struct answer *a, const struct shim *s)
{
	const struct host_client *client =
		s->sandbox && !s->ended ? sandbox_client(s->sandbox) : NULL;
	const struct host_counts none = { 0 };
	const struct host_counts *c =
		client ? host_client_counts(client) : &none;

	gauge(a, "ferry_bridge_up",
	      client && host_client_connected(client) ? 1 : 0,
	      "Is there a negotiated connection to the agent?");
	counter(a, "ferry_bridge_connections_total", c->connections,
		"Connections that were negotiated; all but the first are "
		"reconnects.");
	counter(a, "ferry_bridge_cuts_total", c->losses,
		"Negotiated connections that were lost.");
	counter(a, "ferry_bridge_fruitless_connections_total", c->fruitless,
		"Connections that were lost before they were negotiated.");
	gauge(a, "ferry_bridge_requests_outstanding",
	      client ? (double)host_client_outstanding(client) : 0,
	      "Requests that wait for their answer, waits for exits too.");
	of_calls(a, c);
	of_streams(a, c);
	counter(a, "ferry_stdio_dropped_bytes_total", shim_stdio_dropped(),
		"Bytes of output that were dropped while nobody was attached.");
	counter(a, "ferry_agent_checks_total", s->watch.asked,
		"How often the shim asked whether the agent answers.");
	counter(a, "ferry_agent_silences_total", s->watch.unanswered,
		"How often it did not answer in time.");
}

/* --- moves ------------------------------------------------------------------------ */

static void histogram(struct answer *a, const char *side,
		      const struct move_times *t)
{
	const char *name = side ? "side" : NULL;
	uint64_t n = 0;

	for (size_t i = 0; i <= MOVE_BUCKETS; i++) {
		char *le = arena_array(&a->arena, 1, 16);

		if (!le)
			return;
		n += t->bucket[i];
		if (i < MOVE_BUCKETS)
			(void)snprintf(le, 16, "%g",
				       move_bucket_ms[i] / MS_PER_S);
		else
			memcpy(le, "+Inf", sizeof("+Inf"));
		sample2(a, "_bucket", name, side, "le", le, (double)n);
	}
	sample2(a, "_sum", name, side, NULL, NULL,
		(double)t->sum_ms / MS_PER_S);
	sample2(a, "_count", name, side, NULL, NULL, (double)n);
}

static void of_moves(struct answer *a, const struct shim *s)
{
	static const struct {
		enum session_origin origin;
		const char *name;
	} sides[] = { { SESSION_SOURCE, "source" },
		      { SESSION_DESTINATION, "destination" } };
	const struct move_counts *c = &s->migration.counts;

	metric(a, "ferry_moves_total", "counter",
	       "Transfers of the sandbox, by side and result.");
	for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
		const uint64_t *n = c->ended[sides[i].origin];

		sample2(a, "", "side", sides[i].name, "result", "completed",
			(double)n[SESSION_SUCCESS]);
		sample2(a, "", "side", sides[i].name, "result", "cancelled",
			(double)n[SESSION_RESULT_CANCELLED]);
		sample2(a, "", "side", sides[i].name, "result", "failed",
			(double)(n[SESSION_SOURCE_FAILED] +
				 n[SESSION_DESTINATION_FAILED] +
				 n[SESSION_RECOVERY_FAILED] +
				 n[SESSION_GUEST_CANCELLED]));
	}
	metric(a, "ferry_move_blackout_seconds", "histogram",
	       "How long the guest stood still, as this side saw it.");
	for (size_t i = 0; i < ARRAY_LEN(sides); i++)
		histogram(a, sides[i].name, &c->blackout[sides[i].origin]);
	metric(a, "ferry_move_reconnect_seconds", "histogram",
	       "Destination: from the guest running to its agent answering.");
	histogram(a, NULL, &c->reconnect);
}

void metrics_on_ask(void *ctx, struct ttrpc_call *call,
		    const ProtobufCMessage *m UNUSED)
{
	const struct shim *s = ctx;
	struct answer a = { .m = FERRY_METRICS_RESPONSE__INIT };

	arena_init(&a.arena, ANSWER_BYTES);
	a.m.metrics =
		arena_array(&a.arena, METRICS_ROOM, sizeof(FerryMetric *));
	if (!a.m.metrics) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "no memory");
		arena_done(&a.arena);
		return;
	}
	of_sandbox(&a, s);
	of_processes(&a, s);
	of_bridge(&a, s);
	of_moves(&a, s);
	ttrpc_reply(call, &a.m.base);
	arena_done(&a.arena);
}
