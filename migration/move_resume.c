/*
 * A pod comes back: on the destination after the move, on the source after a
 * rollback. Each container is left out once it is back, so a repeated resume
 * goes on where the last one failed (O8 to O11).
 */
#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "migration/container_life.h"
#include "migration/move.h"
#include "migration/status.h"

static int go_bind(void *obj, struct op *op UNUSED, struct err *e)
{
	struct pod_ctl *p = obj;
	int r = network_ctl_resume(&p->network, e);

	return r < 0 ? r : SEQ_NEXT;
}

static bool is_frozen(const struct process_ctl *p)
{
	return p->state == PROCESS_DESTINATION_MIGRATING ||
	       p->state == PROCESS_SOURCE_MIGRATING;
}

/* One that had ended before it came may have written what nobody has read. */
static bool is_to_open(const struct process_ctl *p)
{
	return is_frozen(p) || (p->state == PROCESS_TERMINATED && p->streams &&
				p->wait_id == 0);
}

/* Init first: it is the container. */
static struct process_ctl *next_process(const struct container_ctl *c)
{
	struct process_ctl *p = c->processes;

	if (c->init && is_frozen(c->init))
		return c->init;
	while (p && !is_to_open(p))
		p = p->next;
	return p;
}

static bool is_opened(const struct container_ctl *c)
{
	return c->state != CONTAINER_DESTINATION_MIGRATING || c->opened;
}

static struct container_ctl *first_frozen(const struct pod_ctl *p)
{
	struct container_ctl *c;

	for (c = p->containers; c; c = c->next)
		if (!is_opened(c) || next_process(c))
			return c;
	return NULL;
}

static int go_open(void *obj, struct op *op, struct err *e)
{
	struct pod_ctl *p = obj;
	const struct seams *s = &p->sandbox->seams;
	struct container_ctl *c = first_frozen(p);
	struct guest_process words;
	struct process_ctl *i;
	int r;

	if (!c)
		return SEQ_NEXT;
	p->resuming = c;
	i = next_process(c);
	if (!is_opened(c)) {
		r = s->guest->container_open(s->guest_ctx, c->gcs_id, op, e);
	} else {
		process_ctl_words(i, &words);
		words.probe = i->state == PROCESS_DESTINATION_MIGRATING;
		p->resuming_process = i;
		r = s->guest->process_open(s->guest_ctx, &words, op, e);
	}
	return r < 0 ? r : SEQ_WAIT;
}

static void is_back(struct process_ctl *p)
{
	struct container_ctl *c = p->container;
	const struct seams *s = container_ctl_seams(c);
	const bool is_new = p->state == PROCESS_DESTINATION_MIGRATING;
	struct task_event event;

	free(p->streams);
	p->streams = NULL;
	p->n_streams = 0;
	memset(p->unread, 0, sizeof(p->unread));
	if (p->state == PROCESS_TERMINATED)
		return;
	p->state = PROCESS_RUNNING;
	p->exit_status = 0; /* who opened it tells an exit */
	p->exited_at_ns = 0;
	if (p == c->init)
		c->state = CONTAINER_RUNNING;
	if (!is_new)
		return; /* the task is known, and so is who reports its exit */
	process_ctl_event(p, &event);
	if (p != c->init) {
		s->events->exec_started(s->events_ctx, &event);
		return;
	}
	s->events->created(s->events_ctx, &event);
	s->events->started(s->events_ctx, &event);
}

/* Is it still there? It may have exited, or gone, while it was opened. */
static bool has(const struct container_ctl *c, const struct process_ctl *p)
{
	const struct process_ctl *i = c->processes;

	while (i && i != p)
		i = i->next;
	return i;
}

static int landed_open(void *obj, int result, const struct op *op UNUSED)
{
	struct pod_ctl *p = obj;
	struct container_ctl *c = p->resuming;
	struct process_ctl *i = p->resuming_process;

	p->resuming = NULL;
	p->resuming_process = NULL;
	if (!c || (i ? !has(c, i) || !is_to_open(i) : is_opened(c)))
		return SEQ_AGAIN; /* W3: it exited meanwhile, and stays so */
	if (result < 0)
		return result;
	if (i)
		is_back(i);
	else
		c->opened = true;
	return SEQ_AGAIN;
}

static int go_reset(void *obj, struct op *op, struct err *e)
{
	struct pod_ctl *p = obj;
	int r = network_ctl_reset(&p->network, op, e);

	return r < 0 ? r : SEQ_WAIT;
}

static const struct seq_step steps[] = {
	{ "network", go_bind, NULL, false },
	{ "open container", go_open, landed_open, false },
	{ "network reset", go_reset, NULL, false },
};

static void resumed(void *obj, int result, const struct err *e)
{
	struct pod_ctl *p = obj;
	struct op *op = p->op;

	if (result == 0)
		p->migrating = false; /* last, so that all can be repeated */
	p->op = NULL;
	op_end(op, result, e);
}

int move_pod_resume(struct pod_ctl *p, struct op *op, struct err *e)
{
	if (!p->migrating) {
		op_end(op, 0, NULL);
		return 0;
	}
	if (p->seq.busy)
		return err_set(e, EBUSY, "pod %s is being resumed", p->id);
	p->op = op;
	seq_start(&p->seq, steps, ARRAY_LEN(steps), false, p, resumed);
	return 0;
}
