#include "tools/shim/watch.h"

#include "bridge/host/calls.h"
#include "bridge/io/log.h"
#include "tools/qemu/vcpus.h"
#include "tools/shim/debug.h"
#include "tools/shim/shim.h"

/* No process has this number, in no system. */
#define NOBODY UINT32_MAX

static void look(void *ctx);

static void look_later(struct watch *w)
{
	/* Without memory for a timer nobody looks any more. */
	(void)loop_at(w->shim->loop,
		      loop_now_ms(w->shim->loop) + WATCH_EVERY_MS, look, w,
		      &w->timer, NULL);
}

/* Does it spin, or sleep? QEMU knows. */
static void look_at_processors(const struct shim *s)
{
	struct qmp *q = vm_qmp(sandbox_vm(s->sandbox));

	if (q)
		vcpus_log(q);
}

static void note(struct watch *w, bool answered)
{
	if (!answered)
		look_at_processors(w->shim);
	if (answered && w->silent)
		log_warn("the agent answers again");
	if (!answered)
		w->unanswered++;
	if (!answered && !w->silent)
		shim_debug_leave(w->shim, REMAINS_AGENT,
				 "the agent does not answer");
	w->silent = !answered;
}

/* "Not found" is the answer; a loss of the bridge is none, and has its own
 * consequences. */
static void on_answer(void *ctx, const void *result,
		      const struct host_failure *f)
{
	struct watch *w = ctx;

	w->asking = false;
	if (result || f->kind == HOST_FAIL_REFUSED ||
	    f->kind == HOST_FAIL_GARBLED)
		note(w, true);
	else if (f->kind == HOST_FAIL_TIMEOUT)
		note(w, false);
}

static bool may_ask(const struct shim *s)
{
	return s->state == SHIM_READY && !s->ended &&
	       (!s->migration.there ||
		s->migration.session.state == SESSION_IDLE);
}

static void look(void *ctx)
{
	struct watch *w = ctx;
	const struct host_done done = {
		.fn = on_answer,
		.ctx = w,
		.timeout_ms = WATCH_ANSWER_MS,
	};
	struct host_client *c =
		may_ask(w->shim) ? sandbox_client(w->shim->sandbox) : NULL;
	struct err e;

	look_later(w);
	shim_log_bound(&w->shim->log);
	if (!c || w->asking)
		return;
	if (!host_client_connected(c)) {
		look_at_processors(w->shim);
		return;
	}
	if (host_wait_for_process(c, NULL, NOBODY, 0, &done, NULL, &e) == 0) {
		w->asking = true;
		w->asked++;
	}
}

void watch_begin(struct watch *w, struct shim *s)
{
	w->shim = s;
	look_later(w);
}

void watch_end(struct watch *w)
{
	if (w->shim)
		loop_cancel(w->shim->loop, &w->timer);
	w->shim = NULL;
}
