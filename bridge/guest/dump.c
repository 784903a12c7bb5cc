#include "bridge/guest/dump.h"

#include <inttypes.h>
#include <unistd.h>

static void dump_bridge(const struct agent *a, struct text *out)
{
	const struct conn *c = &a->conn;

	text_addf(out,
		  "connection number=%u negotiated=%d queued_bytes=%zu "
		  "paused=%d\n",
		  c->number, c->negotiated, c->queued, c->paused);
	text_addf(out,
		  "bridge frames=%" PRIu64 " answers=%" PRIu64
		  " dropped=%" PRIu64 " epoch=%u held_bytes=%zu\n",
		  a->frames, a->answers, a->dropped, a->epoch, a->held_bytes);
	text_addf(out, "requests in_progress=%zu\n", a->requests.n);
	text_addf(out,
		  "pid1 attached=%d incarnation=%" PRIu64 " refused=%" PRIu64
		  "\n",
		  a->pid1.fd >= 0, a->pid1.incarnation, a->pid1.refused);
}

static void dump_stream(const struct process *p, int i, struct text *out)
{
	static const char *const names[] = { "in", "out", "err" };
	const struct stream *s = p->stream[i];

	if (s)
		text_addf(out, " %s=%s:%" PRIu64, names[i],
			  stream_state_name(s->state), s->offset);
}

static void dump_processes(const struct agent *a, struct text *out)
{
	const struct processes *all = &a->processes;
	unsigned int n = 0;

	text_addf(out,
		  "processes started=%" PRIu64
		  " live=%zu untold=%zu told=%zu\n",
		  all->started, all->n_live, all->n_untold, all->n_told);
	text_addf(out,
		  "streams open=%zu moved_bytes=%" PRIu64
		  " discarded_bytes=%" PRIu64 "\n",
		  a->streams.n, a->streams.moved, a->streams.discarded);
	for (const struct list *l = all->live.next; l != &all->live;
	     l = l->next) {
		const struct process *p =
			(const struct process
				 *)(const void *)((const char *)l -
						  offsetof(struct process,
							   node));

		if (n++ == DUMP_PROCESSES_MAX) {
			text_add(out, "process ...\n");
			return;
		}
		text_addf(out, "process pid=%d state=%s console=%d", p->pid,
			  process_state_name(p->state), p->console);
		for (int i = 0; i < MSG_STDIO; i++)
			dump_stream(p, i, out);
		text_addc(out, '\n');
	}
}

static void dump_containers(const struct agent *a, struct text *out)
{
	const struct containers *all = &a->containers;
	unsigned int n = 0;

	text_addf(out,
		  "containers now=%zu ever=%" PRIu64 " runtime_calls=%" PRIu64
		  " starts=%u\n",
		  all->n, all->serial, a->runtime.calls, a->runtime.starts);
	for (struct list *l = all->all.next; l != &all->all; l = l->next) {
		const struct container *c =
			LIST_ITEM(l, struct container, node);

		if (n++ == DUMP_PROCESSES_MAX) {
			text_add(out, "container ...\n");
			return;
		}
		text_addf(out,
			  "container id=%s state=%s init=%u requests=%zu "
			  "known=%d\n",
			  c->facts.id, container_state_name(c->facts.state),
			  c->facts.init_pid, c->n_ops, container_known(c));
	}
}

void dump_state(const struct agent *a, struct text *out)
{
	text_addf(out, "ferry agent pid=%d\n", (int)getpid());
	dump_bridge(a, out);
	slots_dump(&a->slots, out);
	jobs_dump(&a->jobs, out);
	modify_dump(&a->modify, out);
	dump_containers(a, out);
	networks_dump(&a->networks, out);
	text_addf(out, "clock source=%s steps=%" PRIu64 " slews=%" PRIu64 "\n",
		  hostclock_source_name(a->upkeep.clock.source),
		  a->upkeep.clock.steps, a->upkeep.clock.slews);
	dump_processes(a, out);
	if (a->pid1.ring) {
		text_add(out, "log of PID 1, its end:\n");
		pid1_log_tail(&a->pid1, DUMP_LOG_BYTES, out);
	}
}
