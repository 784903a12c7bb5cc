/*
 * Theory of operation, beside that of the header. Three things may be under
 * way at a time, each with who hears of its end: an operation (arm, give,
 * resume), the transfer, and a cancel. The transfer follows QEMU's events; the
 * cancel asks for the status again and again, because QEMU's answer to it says
 * nothing, and sees to it that the transfer has ended before it ends itself.
 *
 * QEMU before 9.0 loses stores of a guest that runs while it is copied by TCG:
 * the aligned path of cpu_physical_memory_sync_dirty_bitmap() clears dirty bits
 * and leaves the translated writes to these pages unwatched. Such a source is
 * stopped before the first byte is copied, and continued when that fails.
 */
#include "tools/qemu/vm_move_own.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/text.h"
#include "config/util.h"
#include "migration/status.h"

#define FD_NAME "move"
#define FD_URI "{\"uri\":\"fd:" FD_NAME "\"}"

enum status { STATUS_NONE, STATUS_BUSY, STATUS_DONE, STATUS_GONE, STATUS_BAD };

/* --- ends ------------------------------------------------------------------------ */

void vm_move_end(struct waiter *w, int result, const struct err *e)
{
	const struct waiter was = *w;

	w->active = false;
	if (was.active && was.done)
		was.done(was.ctx, result, e);
}

static void tell(struct vm_move *m, enum vm_move_note note, uint64_t number)
{
	if (m->note)
		m->note(m->note_ctx, note, number);
}

bool vm_move_lost(struct vm_move *m, int result)
{
	if (m->down)
		return true;
	if (result == 0 || result == -EREMOTEIO || result == -ETIMEDOUT)
		return false;
	vm_move_down(m);
	return true;
}

int vm_move_begin(struct vm_move *m, struct waiter *w, vm_move_done_fn *done,
		  void *ctx, struct err *e)
{
	if (m->down)
		return err_set(e, ESHUTDOWN, "the UVM has ended");
	if (!m->qmp)
		return err_set(e, ENOTCONN, "QEMU's monitor is not there yet");
	if (w->active)
		return err_set(e, EBUSY, "a migration step is under way");
	*w = (struct waiter){ .done = done, .ctx = ctx, .active = true };
	return 0;
}

void vm_move_ask(struct vm_move *m, struct waiter *w, const char *command,
		 const char *arguments, qmp_answer_fn *fn)
{
	struct err e;
	const int r = qmp_send(m->qmp, command, arguments, VM_MOVE_STEP_MS, fn,
			       m, &e);

	if (r < 0)
		vm_move_end(w, r, &e);
}

void vm_move_on_op(void *ctx, int result, const struct qmp_data *data UNUSED,
		   const struct err *e)
{
	struct vm_move *m = ctx;

	if (!vm_move_lost(m, result))
		vm_move_end(&m->op, result, e);
}

static enum status status_of_text(const char *text)
{
	if (!text || strcmp(text, "none") == 0)
		return STATUS_NONE;
	if (strcmp(text, "completed") == 0)
		return STATUS_DONE;
	if (strcmp(text, "cancelled") == 0)
		return STATUS_GONE;
	if (strcmp(text, "failed") == 0)
		return STATUS_BAD;
	return STATUS_BUSY;
}

int vm_move_give(struct vm_move *m, int fd, vm_move_done_fn *done, void *ctx,
		 struct err *e)
{
	int r = vm_move_begin(m, &m->op, done, ctx, e);

	if (r < 0)
		return r;
	r = qmp_send_fd(m->qmp, "getfd", "{\"fdname\":\"" FD_NAME "\"}", fd,
			VM_MOVE_STEP_MS, vm_move_on_op, m, e);
	if (r < 0)
		m->op.active = false;
	return r;
}

/* --- transfer ------------------------------------------------------------------------- */

/* What we stopped runs on, on this side; QEMU itself does that for others. */
static void go_on(struct vm_move *m)
{
	struct err e;

	if (m->stopped && m->qmp)
		(void)qmp_send(m->qmp, "cont", NULL, VM_MOVE_STEP_MS, NULL,
			       NULL, &e);
	m->stopped = false;
}

static void on_reason(void *ctx, int result, const struct qmp_data *data,
		      const struct err *e UNUSED)
{
	struct vm_move *m = ctx;
	const char *reason = qmp_data_text(data, "error-desc");
	struct err why;

	if (vm_move_lost(m, result))
		return;
	(void)err_set(&why, EIO, "the migration failed: %.160s",
		      reason ? reason : "QEMU does not say why");
	vm_move_end(&m->transfer, -EIO, &why);
}

/* QEMU's status is final. */
static void over(struct vm_move *m, enum status status)
{
	struct err e;

	if (!m->transfer.active)
		return;
	if (status == STATUS_DONE)
		m->stopped = false; /* for good */
	else
		go_on(m);
	if (status == STATUS_DONE) {
		vm_move_end(&m->transfer, 0, NULL);
	} else if (status == STATUS_BAD) {
		vm_move_ask(m, &m->transfer, "query-migrate", NULL, on_reason);
	} else {
		(void)err_set(&e, ECANCELED, "the migration was cancelled");
		vm_move_end(&m->transfer, -ECANCELED, &e);
	}
}

static void on_begun(void *ctx, int result, const struct qmp_data *data UNUSED,
		     const struct err *e)
{
	struct vm_move *m = ctx;

	if (vm_move_lost(m, result) || result == 0)
		return;
	go_on(m);
	vm_move_end(&m->transfer, result, e);
}

static void on_stands(void *ctx, int result, const struct qmp_data *data UNUSED,
		      const struct err *e)
{
	struct vm_move *m = ctx;

	if (vm_move_lost(m, result))
		return;
	m->stopped = result == 0;
	if (result < 0)
		vm_move_end(&m->transfer, result, e);
	else if (m->cancel.active || !m->transfer.active)
		over(m, STATUS_GONE);
	else
		vm_move_ask(m, &m->transfer, "migrate", FD_URI, on_begun);
	if (!m->transfer.active)
		go_on(m);
}

int vm_move_transfer(struct vm_move *m, vm_move_done_fn *done, void *ctx,
		     struct err *e)
{
	const int r = vm_move_begin(m, &m->transfer, done, ctx, e);

	if (r < 0)
		return r;
	if (m->side == VM_MOVE_DESTINATION)
		vm_move_ask(m, &m->transfer, "migrate-incoming", FD_URI,
			    on_begun);
	else if (m->stands)
		vm_move_ask(m, &m->transfer, "stop", NULL, on_stands);
	else
		vm_move_ask(m, &m->transfer, "migrate", FD_URI, on_begun);
	return 0;
}

/* Behind pre-switchover a cancel breaks the socket, and the guest runs again. */
static void on_stuck(void *ctx)
{
	struct vm_move *m = ctx;
	struct err e;

	loop_cancel(m->loop, &m->limit);
	if (m->transfer.active && !m->patient)
		(void)qmp_send(m->qmp, "migrate_cancel", NULL, VM_MOVE_STEP_MS,
			       NULL, NULL, &e);
}

static void watch_switchover(struct vm_move *m)
{
	const int64_t ms = (m->o.switchover_ms ? m->o.switchover_ms
					       : VM_MOVE_SWITCHOVER_MS) +
			   (int64_t)m->o.downtime_ms;
	struct err e;

	loop_cancel(m->loop, &m->limit);
	/* Without memory for it who orchestrates it has a limit, too. */
	if (m->side == VM_MOVE_SOURCE && !m->o.to_file)
		(void)loop_at(m->loop, loop_now_ms(m->loop) + ms, on_stuck, m,
			      &m->limit, &e);
}

static void on_limit(void *ctx)
{
	struct vm_move *m = ctx;
	struct err e;

	if (m->transfer.active && !m->continued)
		(void)qmp_send(m->qmp, "migrate_cancel", NULL, VM_MOVE_STEP_MS,
			       NULL, NULL, &e);
}

static void on_stopped(struct vm_move *m)
{
	const int64_t now = loop_now_ms(m->loop);
	struct err e;

	m->stopped_ms = now;
	tell(m, VM_MOVE_STOPPED, 0);
	if (m->o.cancel_over_limit && m->o.blackout_limit_ms)
		(void)loop_at(m->loop, now + m->o.blackout_limit_ms, on_limit,
			      m, &m->limit, &e);
}

static void set_downtime(struct vm_move *m, uint32_t ms)
{
	char args[64];
	struct err e;

	(void)snprintf(args, sizeof(args), "{\"downtime-limit\":%" PRIu32 "}",
		       ms);
	(void)qmp_send(m->qmp, "migrate-set-parameters", args, VM_MOVE_STEP_MS,
		       NULL, NULL, &e);
}

static void on_pass(struct vm_move *m, const struct qmp_data *data)
{
	int64_t pass = 0;

	(void)qmp_data_int(data, "pass", &pass);
	tell(m, VM_MOVE_PASS, pass > 0 ? (uint64_t)pass : 0);
	if (m->side != VM_MOVE_SOURCE || m->continued)
		return;
	if (m->o.passes_max && pass == (int64_t)m->o.passes_max + 1)
		vm_move_force(m);
	else if (m->o.passes_target && m->o.blackout_limit_ms &&
		 pass == (int64_t)m->o.passes_target + 1)
		set_downtime(m, m->o.blackout_limit_ms);
}

static void on_continued(void *ctx, int result,
			 const struct qmp_data *data UNUSED,
			 const struct err *e)
{
	struct vm_move *m = ctx;

	if (!vm_move_lost(m, result) && result < 0)
		vm_move_end(&m->transfer, result, e);
}

static void watch_progress(struct vm_move *m);

static void on_progress(void *ctx, int result, const struct qmp_data *data,
			const struct err *e UNUSED)
{
	struct vm_move *m = ctx;
	const char *status = qmp_data_text(data, "status");

	if (vm_move_lost(m, result) || !m->transfer.active)
		return;
	if (status && strcmp(status, "active") == 0)
		tell(m, VM_MOVE_PROGRESS, 0);
	watch_progress(m);
}

static void on_second(void *ctx)
{
	struct vm_move *m = ctx;
	struct err e;

	loop_cancel(m->loop, &m->progress);
	if (m->transfer.active) /* its end is told by events */
		(void)qmp_send(m->qmp, "query-migrate", NULL, VM_MOVE_STEP_MS,
			       on_progress, m, &e);
}

static void watch_progress(struct vm_move *m)
{
	const uint32_t ms =
		m->o.progress_ms ? m->o.progress_ms : VM_MOVE_PROGRESS_MS;

	/* Without memory for it nobody hears of each second. */
	if (m->side == VM_MOVE_SOURCE)
		(void)loop_at(m->loop, loop_now_ms(m->loop) + ms, on_second, m,
			      &m->progress, NULL);
}

static void on_status(struct vm_move *m, const char *text)
{
	const enum status s = status_of_text(text);
	struct err e;

	if (strcmp(text, "active") == 0) {
		tell(m, VM_MOVE_SETUP, 0);
		watch_progress(m);
	}
	if (strcmp(text, "pre-switchover") == 0) {
		tell(m, VM_MOVE_PRE_SWITCHOVER, 0);
		if (m->cancel.active)
			return;
		m->continued = true;
		watch_switchover(m);
		if (qmp_send(m->qmp, "migrate-continue",
			     "{\"state\":\"pre-switchover\"}", VM_MOVE_STEP_MS,
			     on_continued, m, &e) < 0)
			vm_move_end(&m->transfer, -e.code, &e);
		return;
	}
	if (s == STATUS_BUSY || s == STATUS_NONE)
		return;
	loop_cancel(m->loop, &m->limit);
	loop_cancel(m->loop, &m->progress);
	if (s == STATUS_DONE)
		tell(m, VM_MOVE_COMPLETED, 0);
	else
		tell(m, s == STATUS_BAD ? VM_MOVE_FAILED : VM_MOVE_CANCELLED,
		     0);
	over(m, s);
}

void vm_move_event(struct vm_move *m, const char *name,
		   const struct qmp_data *data)
{
	const char *status = qmp_data_text(data, "status");

	if (!m->qmp)
		return;
	if (strcmp(name, "MIGRATION") == 0 && status) {
		on_status(m, status);
	} else if (strcmp(name, "MIGRATION_PASS") == 0) {
		on_pass(m, data);
	} else if (strcmp(name, "STOP") == 0) {
		on_stopped(m);
	} else if (strcmp(name, "RESUME") == 0) {
		const int64_t now = loop_now_ms(m->loop);

		tell(m, VM_MOVE_RUNNING,
		     m->stopped_ms >= 0 ? (uint64_t)(now - m->stopped_ms) : 0);
		m->stopped_ms = -1;
	} else if (strcmp(name, "SHUTDOWN") == 0 && m->transfer.active &&
		   qmp_data_bool(data, "guest")) {
		tell(m, VM_MOVE_GUEST_ENDED, 0);
	}
}

/* --- cancel ------------------------------------------------------------------------- */

static void on_poll(void *ctx);

static void on_polled(void *ctx, int result, const struct qmp_data *data,
		      const struct err *e UNUSED)
{
	struct vm_move *m = ctx;
	const enum status s = status_of_text(qmp_data_text(data, "status"));
	const int64_t now = loop_now_ms(m->loop);
	struct err why;

	if (vm_move_lost(m, result))
		return;
	if (result == 0 && s != STATUS_BUSY && !m->transfer.active) {
		if (s != STATUS_DONE)
			go_on(m);
		vm_move_end(&m->cancel, 0, NULL);
		return;
	}
	/* The event of the end may have been lost with its connection. */
	if (result == 0 && s != STATUS_BUSY)
		over(m, s);
	if (now >= m->cancel_until_ms) {
		(void)err_set(&why, ETIMEDOUT, "QEMU does not end a migration");
		vm_move_end(&m->cancel, -ETIMEDOUT, &why);
	} else if (loop_at(m->loop, now + VM_MOVE_POLL_MS, on_poll, m, &m->poll,
			   &why) < 0) {
		vm_move_end(&m->cancel, -why.code, &why);
	}
}

static void on_poll(void *ctx)
{
	struct vm_move *m = ctx;

	vm_move_ask(m, &m->cancel, "query-migrate", NULL, on_polled);
}

static void on_cancel(void *ctx, int result, const struct qmp_data *data UNUSED,
		      const struct err *e UNUSED)
{
	struct vm_move *m = ctx;

	if (!vm_move_lost(m, result))
		on_poll(m);
}

int vm_move_cancel(struct vm_move *m, vm_move_done_fn *done, void *ctx,
		   struct err *e)
{
	const int r = vm_move_begin(m, &m->cancel, done, ctx, e);

	if (r < 0)
		return r;
	m->cancel_until_ms = loop_now_ms(m->loop) + VM_MOVE_CANCEL_MS;
	vm_move_ask(m, &m->cancel, "migrate_cancel", NULL, on_cancel);
	return 0;
}

/* --- resume --------------------------------------------------------------------------- */

static void on_told(void *ctx, int result, const struct qmp_data *data UNUSED,
		    const struct err *e)
{
	struct vm_move *m = ctx;

	if (result == -EREMOTEIO)
		m->told = false; /* in its words, why not */
	if (!vm_move_lost(m, result))
		vm_move_end(&m->op, result, e);
}

static void on_final(void *ctx, int result, const struct qmp_data *data,
		     const struct err *e)
{
	struct vm_move *m = ctx;
	const enum status s = status_of_text(qmp_data_text(data, "status"));
	const bool may =
		m->side == VM_MOVE_SOURCE ? s != STATUS_BUSY : s == STATUS_DONE;
	struct err why;

	if (vm_move_lost(m, result))
		return;
	if (result < 0) {
		vm_move_end(&m->op, result, e);
	} else if (!may) {
		(void)err_set(&why, EPRECONDITION,
			      "the guest's state is not whole on this side");
		vm_move_end(&m->op, -EPRECONDITION, &why);
	} else {
		m->told = true;
		vm_move_ask(m, &m->op, "cont", NULL, on_told);
	}
}

bool vm_move_was_told(const struct vm_move *m)
{
	return m->told;
}

static void on_run_state(void *ctx, int result, const struct qmp_data *data,
			 const struct err *e)
{
	struct vm_move *m = ctx;

	if (vm_move_lost(m, result))
		return;
	if (result < 0)
		vm_move_end(&m->op, result, e);
	else if (qmp_data_bool(data, "running"))
		vm_move_end(&m->op, 0, NULL);
	else
		vm_move_ask(m, &m->op, "query-migrate", NULL, on_final);
}

int vm_move_resume(struct vm_move *m, vm_move_done_fn *done, void *ctx,
		   struct err *e)
{
	const int r = vm_move_begin(m, &m->op, done, ctx, e);

	m->told = false;
	if (r == 0)
		vm_move_ask(m, &m->op, "query-status", NULL, on_run_state);
	return r;
}

void vm_move_force(struct vm_move *m)
{
	if (!m->qmp || !m->transfer.active || m->continued)
		return;
	m->patient = true;
	set_downtime(m, VM_MOVE_DOWNTIME_MAX_MS);
}

/* --- life ------------------------------------------------------------------------------- */

int vm_move_new(struct vm_move **ret, struct loop *l, vm_move_note_fn *note,
		void *ctx, struct err *e)
{
	struct vm_move *m = calloc(1, sizeof(*m));

	if (!m)
		return err_set(e, ENOMEM, "migration");
	m->loop = l;
	m->note = note;
	m->note_ctx = ctx;
	m->stopped_ms = -1;
	*ret = m;
	return 0;
}

void vm_move_free(struct vm_move *m)
{
	if (!m)
		return;
	loop_cancel(m->loop, &m->poll);
	loop_cancel(m->loop, &m->limit);
	loop_cancel(m->loop, &m->progress);
	free(m);
}

void vm_move_up(struct vm_move *m, struct qmp *q)
{
	m->qmp = q;
}

void vm_move_down(struct vm_move *m)
{
	struct err e;

	if (m->down)
		return;
	m->qmp = NULL;
	m->down = true;
	loop_cancel(m->loop, &m->poll);
	loop_cancel(m->loop, &m->limit);
	loop_cancel(m->loop, &m->progress);
	(void)err_set(&e, ESHUTDOWN, "the UVM has ended");
	vm_move_end(&m->transfer, -ESHUTDOWN, &e);
	vm_move_end(&m->op, -ESHUTDOWN, &e);
	vm_move_end(&m->cancel, -ESHUTDOWN, &e);
}

const char *vm_move_note_name(enum vm_move_note note)
{
	static const char *const names[] = {
		[VM_MOVE_SETUP] = "setup",
		[VM_MOVE_PASS] = "pass",
		[VM_MOVE_STOPPED] = "stopped",
		[VM_MOVE_PRE_SWITCHOVER] = "pre-switchover",
		[VM_MOVE_RUNNING] = "running",
		[VM_MOVE_COMPLETED] = "completed",
		[VM_MOVE_CANCELLED] = "cancelled",
		[VM_MOVE_FAILED] = "failed",
		[VM_MOVE_PROGRESS] = "progress",
		[VM_MOVE_GUEST_ENDED] = "guest-ended",
	};

	static_assert(ARRAY_LEN(names) == VM_MOVE_NOTES, "a note has no name");
	return names[note];
}
