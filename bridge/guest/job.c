/*
 * Theory of operation. A submitted job is put into the queue of its class and
 * a timer that is due at once is set: nothing is started, and nobody told,
 * from inside job_call() or job_exec(). pump() starts what has a slot; it is
 * also called whenever a job ends. Two things belong to a running job: its
 * pidfd, whose readability is its end, and its captures, which are read as
 * they fill, and once more, as far as bytes are there, at the end.
 */
#include "bridge/guest/job.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "bridge/guest/jobchild.h"
#include "bridge/guest/jobobject.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "config/util.h"

/* Children that are started in one turn of the loop. */
#define STARTS_TURN 16

static const char *const state_names[] = {
	[JOB_QUEUED] = "queued",
	[JOB_RUNNING] = "running",
	[JOB_KILLED] = "killed",
	[JOB_STUCK] = "stuck",
};
static_assert(ARRAY_LEN(state_names) == JOB_STATES, "a state has no name");

static const size_t slots[] = {
	[JOB_WORK] = JOBS_WORK_MAX,
	[JOB_WAIT] = JOBS_WAIT_MAX,
};
static_assert(ARRAY_LEN(slots) == JOB_CLASSES, "a class has no slots");

static void on_pump(void *ctx);

/* --- the end of a job ------------------------------------------------------ */

void job_free(struct job *j)
{
	struct loop *l = j->owner->loop;

	list_remove(&j->node);
	loop_unwatch(l, &j->watch);
	loop_cancel(l, &j->timer);
	capture_done(&j->out);
	capture_done(&j->errors);
	fd_close(&j->pidfd);
	for (int i = 0; i < 3; i++)
		fd_close(&j->stdio[i]);
	arena_done(&j->arena);
	free(j);
}

static void set_outputs(const struct job *j, struct job_result *r)
{
	r->out = capture_text(&j->out);
	r->out_len = j->out.len;
	r->out_cut = j->out.cut;
	r->errors = capture_text(&j->errors);
	r->errors_len = j->errors.len;
	r->errors_cut = j->errors.cut;
}

static void tell(struct job *j, struct job_result *r)
{
	if (j->call.done)
		j->call.done(j->call.ctx, r);
}

/* Told, and then forgotten. */
static void job_over(struct job *j, struct job_result *r)
{
	list_remove(&j->node); /* whatever the caller does, it is not seen */
	tell(j, r);
	job_free(j);
}

static void killed_words(const struct job *j, struct job_result *r)
{
	if (j->why == -ETIMEDOUT)
		r->result = err_set(&r->err, ETIMEDOUT,
				    "%s: no end within %" PRId64 " ms",
				    j->call.name, j->call.deadline_ms);
	else
		r->result = err_set(&r->err, ECANCELED, "%s: cancelled",
				    j->call.name);
}

/* The report of a forked child that ended by itself. */
static void read_report(const struct job *j, int status, struct job_result *r)
{
	struct job_report report;

	if (j->out.cut || j->out.len < sizeof(report)) {
		r->result = err_set(&r->err, EPROTO,
				    "%s: ended with status 0x%x, nothing told",
				    j->call.name, (unsigned int)status);
		return;
	}
	memcpy(&report, j->out.buf, sizeof(report));
	if (report.out_len != j->out.len - sizeof(report)) {
		r->result = err_set(&r->err, EPROTO, "%s: half an answer",
				    j->call.name);
		return;
	}
	r->result = report.result;
	r->err = report.err;
	r->err.text[sizeof(r->err.text) - 1] = '\0';
	r->out = j->out.buf + sizeof(report);
	r->out_len = report.out_len;
}

static int exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

static void job_ended(struct job *j, int status)
{
	struct job_result r = { .out = "", .errors = "" };

	j->owner->n_running[j->call.class]--;
	capture_finish(&j->out);
	capture_finish(&j->errors);
	if (j->state == JOB_KILLED && WIFSIGNALED(status)) {
		if (!j->call.fn)
			set_outputs(j, &r);
		killed_words(j, &r);
	} else if (j->call.fn) {
		read_report(j, status, &r);
	} else {
		set_outputs(j, &r);
		r.result = exit_code(status);
	}
	job_over(j, &r);
}

/* Return: true: the child has ended and the job is gone */
static bool job_reap(struct job *j)
{
	int status = 0;
	siginfo_t info = { 0 };
	const int r =
		waitid(P_PID, (id_t)j->pid, &info, WEXITED | WNOHANG | WNOWAIT);

	if (r == 0 && info.si_pid == 0)
		return false;
	/* Its number is the group's as long as it is not reaped. */
	if (r == 0 && (j->call.fn || j->state != JOB_RUNNING))
		(void)kill(-j->pid, SIGKILL);
	if (r < 0 || waitpid(j->pid, &status, WNOHANG) < 0)
		status = SIGKILL; /* somebody else took its status */
	if (j->state == JOB_STUCK) {
		j->owner->n_stuck--;
		job_free(j);
	} else {
		job_ended(j, status);
	}
	return true;
}

static void on_pidfd(void *ctx, uint32_t events)
{
	struct job *j = ctx;
	struct jobs *all = j->owner;

	(void)events; /* readable: it has ended */
	if (job_reap(j))
		on_pump(all);
}

/* SIGKILL did not end it: whoever waits is told. */
static void job_stuck(struct job *j)
{
	struct jobs *all = j->owner;
	struct job_result r = { .out = "", .errors = "" };

	log_warn("%s: killed, and does not end pid=%d", j->call.name, j->pid);
	all->n_running[j->call.class]--;
	all->n_stuck++;
	j->state = JOB_STUCK;
	capture_close(&j->out);
	capture_close(&j->errors);
	killed_words(j, &r);
	list_remove(&j->node);
	list_push(&all->stuck, &j->node);
	tell(j, &r);
	on_pump(all);
}

static void on_timer(void *ctx);

static void job_kill(struct job *j, int why)
{
	struct jobs *all = j->owner;

	j->state = JOB_KILLED;
	j->why = why;
	(void)kill(-j->pid, SIGKILL);
	(void)kill(j->pid, SIGKILL); /* it may not lead its group yet */
	/* Without the timer a stuck child keeps its slot, no more. */
	(void)loop_at(all->loop, loop_now_ms(all->loop) + JOB_KILL_MS, on_timer,
		      j, &j->timer, NULL);
}

static void on_timer(void *ctx)
{
	struct job *j = ctx;

	if (j->state == JOB_KILLED) {
		job_stuck(j);
		return;
	}
	j->owner->expired++;
	job_kill(j, -ETIMEDOUT);
}

/* --- start ----------------------------------------------------------------- */

static int watch_child(struct job *j, const struct job_child *child,
		       struct err *e)
{
	struct jobs *all = j->owner;
	int r;

	j->pid = child->pid;
	j->pidfd = child->pidfd;
	j->errors.fd = child->errors; /* owned, whatever fails below */
	r = capture_open(&j->out, child->out, e);
	if (r == 0)
		r = capture_open(&j->errors, child->errors, e);
	if (r == 0)
		r = loop_watch(all->loop, j->pidfd, EPOLLIN, on_pidfd, j,
			       &j->watch, e);
	if (r == 0)
		r = loop_at(all->loop,
			    loop_now_ms(all->loop) + j->call.deadline_ms,
			    on_timer, j, &j->timer, e);
	if (r < 0) {
		(void)kill(-j->pid, SIGKILL);
		(void)kill(j->pid, SIGKILL);
		while (waitpid(j->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	return r;
}

static int job_start(struct job *j, struct err *e)
{
	const struct jobs *all = j->owner;
	struct job_child child = { .pid = -1, .pidfd = -1 };
	int r;

	if (j->call.fn) {
		r = job_child_fork(all, &j->call, &child, e);
	} else {
		memcpy(j->spawn.stdio, j->stdio, sizeof(j->stdio));
		r = job_child_spawn(j->spawn, &child, e);
		for (int i = 0; i < 3; i++)
			fd_close(&j->stdio[i]);
	}
	if (r == 0)
		r = watch_child(j, &child, e);
	return r;
}

/* Starts a job, or tells why it does not start. */
static void job_begin(struct job *j)
{
	struct jobs *all = j->owner;
	struct job_result r = { .out = "", .errors = "" };

	all->n_queued--;
	if (j->cancelled) {
		j->why = -ECANCELED;
		killed_words(j, &r);
		job_over(j, &r);
		return;
	}
	r.result = job_start(j, &r.err);
	if (r.result < 0) {
		(void)err_wrap(&r.err, "%s", j->call.name);
		job_over(j, &r);
		return;
	}
	j->state = JOB_RUNNING;
	all->started++;
	all->n_running[j->call.class]++;
	list_push(&all->running, &j->node);
}

/* Takes the next job that may begin out of its queue, or NULL. */
static struct job *next_job(struct jobs *all)
{
	struct list *node = list_pop(&all->cancelled);

	for (int c = 0; !node && c < JOB_CLASSES; c++) {
		if (all->n_running[c] < slots[c] &&
		    all->n_stuck < JOBS_STUCK_MAX)
			node = list_pop(&all->queued[c]);
	}
	return node ? LIST_ITEM(node, struct job, node) : NULL;
}

int jobs_pump_soon(struct jobs *all, struct err *e)
{
	return loop_at(all->loop, loop_now_ms(all->loop), on_pump, all,
		       &all->pump, e);
}

static void on_pump(void *ctx)
{
	struct jobs *all = ctx;
	struct job *j;
	int n = 0;

	while ((n < STARTS_TURN || jobs_pump_soon(all, NULL) < 0) &&
	       (j = next_job(all)) != NULL) {
		job_begin(j);
		n++;
	}
}

void job_cancel(struct job *j)
{
	switch (j->state) {
	case JOB_QUEUED:
		j->cancelled = true;
		list_remove(&j->node);
		list_push(&j->owner->cancelled, &j->node);
		/* Without the timer it is told when the next job ends. */
		(void)jobs_pump_soon(j->owner, NULL);
		return;
	case JOB_RUNNING:
		job_kill(j, -ECANCELED);
		return;
	case JOB_KILLED:
	case JOB_STUCK:
	case JOB_STATES:
		return; /* it is being ended */
	}
}

bool jobs_reap(struct jobs *all, pid_t pid)
{
	struct list *const heads[] = { &all->running, &all->stuck };

	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		for (struct list *n = heads[i]->next; n != heads[i];
		     n = n->next) {
			struct job *j = LIST_ITEM(n, struct job, node);

			if (j->pid != pid)
				continue;
			if (job_reap(j))
				on_pump(all);
			return true;
		}
	}
	return false;
}

/* --- all of them ----------------------------------------------------------- */

void jobs_init(struct jobs *all, struct loop *l, const struct rlimit *nofile)
{
	*all = (struct jobs){ .loop = l, .nofile = nofile, .locks = -1 };
	list_init(&all->running);
	list_init(&all->stuck);
	list_init(&all->cancelled);
	for (int c = 0; c < JOB_CLASSES; c++)
		list_init(&all->queued[c]);
}

/* One that does not end, whatever it is sent, is left to the reaper. */
static void end_all(struct list *head)
{
	struct list *node;

	while ((node = list_pop(head)) != NULL) {
		struct job *j = LIST_ITEM(node, struct job, node);

		if (j->pid > 0) {
			(void)kill(-j->pid, SIGKILL);
			(void)kill(j->pid, SIGKILL);
			if (j->state != JOB_STUCK)
				(void)waitpid(j->pid, NULL, 0);
		}
		job_free(j);
	}
}

void jobs_done(struct jobs *all)
{
	if (!all->loop)
		return;
	end_all(&all->running);
	end_all(&all->stuck);
	end_all(&all->cancelled);
	for (int c = 0; c < JOB_CLASSES; c++)
		end_all(&all->queued[c]);
	loop_cancel(all->loop, &all->pump);
	*all = (struct jobs){ 0 };
}

void jobs_dump(const struct jobs *all, struct text *out)
{
	const struct list *const heads[] = { &all->running, &all->stuck };

	text_addf(out,
		  "jobs started=%" PRIu64 " expired=%" PRIu64
		  " work=%zu wait=%zu queued=%zu stuck=%zu\n",
		  all->started, all->expired, all->n_running[JOB_WORK],
		  all->n_running[JOB_WAIT], all->n_queued, all->n_stuck);
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		for (struct list *n = heads[i]->next; n != heads[i];
		     n = n->next) {
			const struct job *j = LIST_ITEM(n, struct job, node);

			text_addf(out, "job %s state=%s pid=%d\n", j->call.name,
				  state_names[j->state], j->pid);
		}
	}
}
