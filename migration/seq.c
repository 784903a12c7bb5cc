#include "migration/seq.h"

#include <assert.h>

static void seq_finish(struct seq *s, int result, const struct err *e)
{
	struct err copy = { 0 };

	if (result < 0 && e)
		copy = *e;
	if (result < 0 && copy.code == 0)
		(void)err_set(&copy, -result, "%s", strerror(-result));
	s->busy = false;
	s->ended(s->obj, result, result < 0 ? &copy : NULL);
}

/* A step failed: true when the chain goes on all the same. */
static bool seq_failed(struct seq *s, int r)
{
	if (s->err.code == 0)
		(void)err_set(&s->err, -r, "%s", strerror(-r));
	err_prepend(&s->err, "%s", s->steps[s->at].name);
	if (s->first == 0) {
		s->first = r;
		s->first_err = s->err;
	}
	return s->thorough;
}

/* The operation of the step is over; false: the chain is. */
static bool seq_land(struct seq *s, int r)
{
	const struct seq_step *step = &s->steps[s->at];
	int answer;

	if (step->landed)
		answer = step->landed(s->obj, r, &s->op);
	else
		answer = r < 0 ? r : SEQ_NEXT;
	if (answer == SEQ_NEXT) {
		s->at++;
		return true;
	}
	if (answer == SEQ_AGAIN)
		return true;
	if (!seq_failed(s, answer))
		return false;
	if (!step->loop)
		s->at++;
	return true;
}

static void seq_run(struct seq *s)
{
	while (s->at < s->n_steps) {
		int r;

		if (s->cancelled && !s->thorough) {
			(void)err_set(&s->first_err, ECANCELED, "cancelled");
			seq_finish(s, -ECANCELED, &s->first_err);
			return;
		}
		s->err.code = 0;
		s->err.text[0] = '\0';
		s->op.value = 0;
		s->op.cancel = NULL;
		s->is_down = false;
		s->in_go = true;
		r = s->steps[s->at].go(s->obj, &s->op, &s->err);
		s->in_go = false;
		if (r == SEQ_NEXT) {
			s->at++;
			continue;
		}
		if (r == SEQ_WAIT) {
			if (!s->is_down)
				return; /* seq_done() goes on */
			r = s->result;
		}
		if (!seq_land(s, r))
			break;
	}
	seq_finish(s, s->first, &s->first_err);
}

static void seq_done(struct op *op, int result, const struct err *e)
{
	struct seq *s = op->ctx;

	assert(s->busy && !s->is_down);
	s->is_down = true;
	s->result = result;
	if (result < 0 && e)
		s->err = *e;
	if (s->in_go)
		return; /* seq_run() is on the stack and looks */
	if (seq_land(s, result))
		seq_run(s);
	else
		seq_finish(s, s->first, &s->first_err);
}

void seq_start(struct seq *s, const struct seq_step *steps, size_t n_steps,
	       bool thorough, void *obj,
	       void (*ended)(void *obj, int result, const struct err *e))
{
	assert(!s->busy);
	*s = (struct seq){
		.busy = true,
		.thorough = thorough,
		.is_down = true,
		.steps = steps,
		.n_steps = n_steps,
		.obj = obj,
		.ended = ended,
	};
	s->op.done = seq_done;
	s->op.ctx = s;
	seq_run(s);
}

void seq_cancel(struct seq *s)
{
	if (!s->busy || s->thorough || s->cancelled)
		return;
	s->cancelled = true;
	if (!s->is_down)
		op_cancel(&s->op);
}

const char *seq_at(const struct seq *s)
{
	return s->busy && s->at < s->n_steps ? s->steps[s->at].name : "";
}
