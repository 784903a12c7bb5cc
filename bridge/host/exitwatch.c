#include "bridge/host/exitwatch.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "bridge/host/calls.h"
#include "bridge/hresult.h"

static const char *container_of(const struct exitwatch *w)
{
	return w->container_id[0] ? w->container_id : NULL;
}

/* Ends the watch; nothing of it is touched after the callback. */
static void finish(struct exitwatch *w, uint32_t code,
		   const struct host_failure *f)
{
	exitwatch_stop(w);
	w->done(w->ctx, code, f);
}

static void on_grace_over(void *ctx)
{
	struct exitwatch *w = ctx;
	const struct host_failure f = w->last;

	finish(w, 0, &f);
}

/* "I do not know this process" may be said because it told us before. */
static bool is_unknown(const struct host_failure *f)
{
	return f->kind == HOST_FAIL_REFUSED &&
	       (f->hresult == HR_ELEMENT_NOT_FOUND ||
		f->hresult == HR_SYSTEM_NOT_FOUND);
}

static void on_answer(void *ctx, const void *result,
		      const struct host_failure *f);

static int ask(struct exitwatch *w, enum exitwatch_call which,
	       uint32_t timeout_ms, struct err *e)
{
	struct exitwatch_slot *slot = &w->call[which];
	const struct host_done done = {
		.fn = on_answer,
		.ctx = slot,
		.timeout_ms =
			which == EXITWATCH_PROBE ? EXITWATCH_PROBE_LIMIT_MS : 0,
	};
	const int r = host_wait_for_process(w->client, container_of(w), w->pid,
					    timeout_ms, &done, &slot->id, e);

	slot->watch = w;
	slot->active = r == 0;
	return r;
}

static bool waits(const struct exitwatch *w)
{
	return w->call[EXITWATCH_WAIT].active ||
	       w->call[EXITWATCH_AGAIN].active;
}

/*
 * A call of the watch ended without an exit code. While a wait is outstanding
 * the exit may still come, unless the guest says that it knows no such process.
 */
static void after_failure(struct exitwatch *w, bool was_question)
{
	const struct host_failure f = w->last;
	struct loop *loop = host_client_loop(w->client);

	if (waits(w) && !(was_question && is_unknown(&f)))
		return;
	if (w->in_grace || w->call[EXITWATCH_PROBE].active)
		return;
	if (waits(w) && loop_at(loop, loop_now_ms(loop) + EXITWATCH_GRACE_MS,
				on_grace_over, w, &w->grace, NULL) == 0)
		w->in_grace = true;
	else
		finish(w, 0, &f);
}

/* The probe ended without a verdict on the process: it runs, or was lost. */
static void after_probe(struct exitwatch *w, const struct host_failure *f)
{
	struct host_failure no = { .kind = HOST_FAIL_LOCAL };

	/* The adopted wait is as good as the other host's word. */
	if (w->adopted && f->kind != HOST_FAIL_LOST &&
	    !w->call[EXITWATCH_AGAIN].active)
		(void)ask(w, EXITWATCH_AGAIN, MSG_WAIT_FOREVER, NULL);
	if (waits(w))
		return;
	if (host_client_state(w->client) == HOST_FAILED)
		finish(w, 0, f);
	else if (f->kind != HOST_FAIL_LOST &&
		 ask(w, EXITWATCH_AGAIN, MSG_WAIT_FOREVER, &no.err) < 0)
		finish(w, 0, &no);
}

static void on_answer(void *ctx, const void *result,
		      const struct host_failure *f)
{
	struct exitwatch_slot *slot = ctx;
	struct exitwatch *w = slot->watch;
	const struct msg_wait_for_process_result *r = result;
	const bool is_probe = slot == &w->call[EXITWATCH_PROBE];

	slot->active = false;
	if (!f) {
		finish(w, r->exit_code, NULL);
	} else if (is_probe && !is_unknown(f)) {
		after_probe(w, f);
	} else {
		w->last = *f;
		after_failure(w, slot != &w->call[EXITWATCH_WAIT]);
	}
}

static void forget(struct exitwatch *w, enum exitwatch_call which)
{
	if (w->call[which].active)
		host_client_cancel(w->client, w->call[which].id);
	w->call[which].active = false;
}

static bool is_safe(const struct exitwatch *w, enum exitwatch_call which)
{
	return w->call[which].active &&
	       host_client_delivered(w->client, w->call[which].id);
}

static void on_bridge_ready(void *ctx, const struct host_guest *guest)
{
	struct exitwatch *w = ctx;
	struct host_failure f = { .kind = HOST_FAIL_LOCAL };
	int r;

	(void)guest;
	/* Another host may ask; that we cannot is no end of the process. */
	w->behind = host_client_frozen(w->client);
	if (w->behind)
		return;
	if (is_safe(w, EXITWATCH_WAIT) || is_safe(w, EXITWATCH_AGAIN)) {
		forget(w, EXITWATCH_PROBE);
		r = ask(w, EXITWATCH_PROBE, 0, &f.err);
	} else {
		forget(w, EXITWATCH_AGAIN);
		r = ask(w, EXITWATCH_AGAIN, MSG_WAIT_FOREVER, &f.err);
	}
	if (r < 0)
		finish(w, 0, &f);
}

static void on_bridge_thawed(void *ctx)
{
	const struct exitwatch *w = ctx;

	if (w->behind)
		on_bridge_ready(ctx, NULL);
}

/* Ends a watch that had no call outstanding to end with the bridge. */
static void on_bridge_failed(void *ctx, const struct err *why)
{
	const struct host_failure f = {
		.kind = HOST_FAIL_LOST,
		.sent = true,
		.err = *why,
	};

	finish(ctx, 0, &f);
}

static int watch_init(struct exitwatch *w, struct host_client *c,
		      const char *container_id, uint32_t pid,
		      exitwatch_fn *done, void *ctx, struct err *e)
{
	*w = (struct exitwatch){
		.client = c,
		.pid = pid,
		.done = done,
		.ctx = ctx,
	};
	if (!container_id)
		return 0;
	if (strlen(container_id) >= sizeof(w->container_id))
		return err_set(e, ENAMETOOLONG, "a container id is too long");
	memcpy(w->container_id, container_id, strlen(container_id));
	return 0;
}

static void observe(struct exitwatch *w)
{
	w->observer = (struct host_observer){
		.ready = on_bridge_ready,
		.thawed = on_bridge_thawed,
		.failed = on_bridge_failed,
		.ctx = w,
	};
	host_client_observe(w->client, &w->observer);
}

int exitwatch_start(struct exitwatch *w, struct host_client *c,
		    const char *container_id, uint32_t pid, exitwatch_fn *done,
		    void *ctx, struct err *e)
{
	int r = watch_init(w, c, container_id, pid, done, ctx, e);

	if (r == 0)
		r = ask(w, EXITWATCH_WAIT, MSG_WAIT_FOREVER, e);
	if (r == 0)
		observe(w);
	return r;
}

int exitwatch_adopt(struct exitwatch *w, struct host_client *c,
		    const char *container_id, uint32_t pid, uint64_t wait_id,
		    bool probe, exitwatch_fn *done, void *ctx, struct err *e)
{
	struct exitwatch_slot *slot = &w->call[EXITWATCH_WAIT];
	int r = watch_init(w, c, container_id, pid, done, ctx, e);

	if (r < 0)
		return r;
	w->adopted = true;
	slot->watch = w;
	slot->id = wait_id;
	r = host_preregister_wait(c, wait_id, on_answer, slot, e);
	slot->active = r == 0;
	if (r == 0 && probe)
		r = ask(w, EXITWATCH_PROBE, EXITWATCH_PROBE_MS, e);
	if (r < 0) {
		exitwatch_stop(w);
		return r;
	}
	observe(w);
	return 0;
}

uint64_t exitwatch_wait_id(const struct exitwatch *w)
{
	if (w->call[EXITWATCH_AGAIN].active && !is_safe(w, EXITWATCH_WAIT))
		return w->call[EXITWATCH_AGAIN].id;
	return w->call[EXITWATCH_WAIT].id;
}

void exitwatch_stop(struct exitwatch *w)
{
	if (!w->client)
		return;
	for (int i = 0; i < EXITWATCH_CALLS; i++)
		forget(w, (enum exitwatch_call)i);
	loop_cancel(host_client_loop(w->client), &w->grace);
	w->in_grace = false;
	host_client_unobserve(&w->observer);
	w->client = NULL;
}
