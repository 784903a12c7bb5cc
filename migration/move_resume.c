/*
 * A pod comes back: on the destination after the move, on the source after a
 * rollback. Each container is left out once it is back, so a repeated resume
 * goes on where the last one failed (O8 to O11).
 */
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

static struct container_ctl *first_frozen(const struct pod_ctl *p)
{
	struct container_ctl *c;

	for (c = p->containers; c; c = c->next)
		if (c->state == CONTAINER_DESTINATION_MIGRATING ||
		    c->state == CONTAINER_SOURCE_MIGRATING)
			return c;
	return NULL;
}

static int go_open(void *obj, struct op *op, struct err *e)
{
	struct pod_ctl *p = obj;
	const struct seams *s = &p->sandbox->seams;
	struct container_ctl *c = first_frozen(p);
	struct guest_process words;
	int r;

	if (!c)
		return SEQ_NEXT;
	p->resuming = c;
	if (c->state == CONTAINER_DESTINATION_MIGRATING && !c->opened) {
		r = s->guest->container_open(s->guest_ctx, c->gcs_id, op, e);
	} else {
		process_ctl_words(c->init, &words);
		words.probe = c->state == CONTAINER_DESTINATION_MIGRATING;
		r = s->guest->process_open(s->guest_ctx, &words, op, e);
	}
	return r < 0 ? r : SEQ_WAIT;
}

static void is_back(struct container_ctl *c)
{
	const struct seams *s = container_ctl_seams(c);
	const bool is_new = c->state == CONTAINER_DESTINATION_MIGRATING;
	struct task_event event;

	c->state = CONTAINER_RUNNING;
	c->init->state = PROCESS_RUNNING;
	if (!is_new)
		return; /* the task is known, and so is who reports its exit */
	process_ctl_event(c->init, &event);
	s->events->created(s->events_ctx, &event);
	s->events->started(s->events_ctx, &event);
}

static int landed_open(void *obj, int result, const struct op *op UNUSED)
{
	struct pod_ctl *p = obj;
	struct container_ctl *c = p->resuming;

	p->resuming = NULL;
	if (!c || (c->state != CONTAINER_DESTINATION_MIGRATING &&
		   c->state != CONTAINER_SOURCE_MIGRATING))
		return SEQ_AGAIN; /* W3: it exited meanwhile, and stays so */
	if (result < 0)
		return result;
	if (c->state == CONTAINER_DESTINATION_MIGRATING && !c->opened)
		c->opened = true;
	else
		is_back(c);
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
