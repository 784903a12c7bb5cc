#include "bridge/guest/process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "config/util.h"

static const char *const state_names[] = {
	[PROCESS_LIVE] = "live",
	[PROCESS_DRAINING] = "draining",
	[PROCESS_OVER] = "over",
};

const char *process_state_name(enum process_state state)
{
	return (unsigned int)state < ARRAY_LEN(state_names) ? state_names[state]
							    : "?";
}

uint32_t process_exit_code(int status)
{
	if (WIFEXITED(status))
		return (uint32_t)WEXITSTATUS(status);
	if (WIFSIGNALED(status))
		return 128U + (uint32_t)WTERMSIG(status);
	return UINT32_MAX;
}

void processes_init(struct processes *all, struct loop *l,
		    process_over_fn *over, process_reaped_fn *reaped, void *ctx)
{
	*all = (struct processes){
		.loop = l,
		.max_live = PROCESSES_MAX,
		.max_untold = PROCESS_EXITS_MAX,
		.max_told = PROCESS_TOLD_MAX,
		.on_over = over,
		.on_reaped = reaped,
		.ctx = ctx,
	};
	list_init(&all->live);
	list_init(&all->untold);
	list_init(&all->told);
	for (size_t i = 0; i < PROCESS_BUCKETS; i++)
		list_init(&all->bucket[i]);
}

static struct list *bucket_of(struct processes *all, uint32_t pid)
{
	return &all->bucket[pid % PROCESS_BUCKETS];
}

bool process_room(const struct processes *all)
{
	return all->n_live < all->max_live;
}

static uint8_t bit_of(uint32_t pid)
{
	return (uint8_t)(1u << (pid % 8));
}

static size_t byte_of(uint32_t pid)
{
	return pid % PROCESS_FORGOTTEN_BITS / 8;
}

bool process_forgotten(const struct processes *all, uint32_t pid)
{
	return (all->forgotten[byte_of(pid)] & bit_of(pid)) != 0;
}

struct process *process_find(struct processes *all, const struct container *c,
			     uint32_t pid)
{
	const struct list *head = bucket_of(all, pid);

	for (struct list *l = head->next; l != head; l = l->next) {
		struct process *p = LIST_ITEM(l, struct process, bucket);

		if ((uint32_t)p->pid == pid && p->container == c)
			return p;
	}
	return NULL;
}

struct process *process_by_pid(struct processes *all, uint32_t pid)
{
	const struct list *head = bucket_of(all, pid);

	for (struct list *l = head->next; l != head; l = l->next) {
		struct process *p = LIST_ITEM(l, struct process, bucket);

		if ((uint32_t)p->pid == pid && p->state == PROCESS_LIVE)
			return p;
	}
	return NULL;
}

/* The count of the list that the process is in. */
static size_t *count_of(struct process *p)
{
	struct processes *all = p->owner;

	if (p->state != PROCESS_OVER)
		return &all->n_live;
	if (p->init)
		return &all->n_kept;
	return p->told_on != 0 ? &all->n_told : &all->n_untold;
}

static void let_streams_go(struct process *p)
{
	for (int i = 0; i < MSG_STDIO; i++) {
		struct stream *s = p->stream[i];

		p->stream[i] = NULL;
		if (s)
			stream_forget(s);
	}
}

static void kept(struct process *p, bool forgotten)
{
	if (p->owner->on_kept)
		p->owner->on_kept(p->owner->ctx, p, forgotten);
}

void process_keep(struct process *p)
{
	kept(p, false);
}

void process_forget(struct process *p)
{
	kept(p, true);
	(*count_of(p))--;
	let_streams_go(p);
	loop_unwatch(p->owner->loop, &p->watch);
	loop_cancel(p->owner->loop, &p->timer);
	fd_close(&p->pidfd);
	fd_close(&p->terminal);
	list_remove(&p->node);
	list_remove(&p->bucket);
	list_remove(&p->sibling);
	/* Requests that wait keep no way back to it. */
	while (list_pop(&p->waiters) != NULL)
		;
	free(p);
}

static void free_all(struct list *head)
{
	while (!list_empty(head))
		process_forget(LIST_ITEM(head->next, struct process, node));
}

void processes_done(struct processes *all)
{
	all->on_kept = NULL; /* they are not gone */
	free_all(&all->live);
	free_all(&all->untold);
	free_all(&all->told);
}

static void on_pidfd(void *ctx, uint32_t events)
{
	(void)events; /* readable: it has ended */
	process_reap(ctx);
}

/* An object of a pid; an older one of the same pid, whose process must have
 * been reaped or the pid were not free, is forgotten. */
static struct process *process_new(struct processes *all, pid_t pid,
				   struct container *c)
{
	struct process *old = process_find(all, c, (uint32_t)pid);
	struct process *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	if (old)
		process_forget(old);
	p->owner = all;
	p->container = c;
	p->pid = pid;
	p->pidfd = -1;
	p->terminal = -1;
	p->request = PROCESS_NO_REQUEST;
	list_init(&p->waiters);
	list_init(&p->node);
	list_init(&p->bucket);
	list_init(&p->sibling);
	list_push(&all->live, &p->node);
	list_push(bucket_of(all, (uint32_t)pid), &p->bucket);
	all->forgotten[byte_of((uint32_t)pid)] &=
		(uint8_t)~bit_of((uint32_t)pid);
	all->n_live++;
	all->started++;
	return p;
}

int process_adopt(struct processes *all, pid_t pid, int pidfd,
		  struct process **ret, struct err *e)
{
	struct process *p = process_new(all, pid, NULL);
	int r;

	if (!p) {
		fd_close(&pidfd);
		return err_set(e, ENOMEM, "no memory for a process");
	}
	p->pidfd = pidfd;
	r = loop_watch(all->loop, pidfd, EPOLLIN, on_pidfd, p, &p->watch, e);
	if (r < 0) {
		process_forget(p);
		return r;
	}
	*ret = p;
	return 0;
}

int process_adopt_orphan(struct processes *all, pid_t pid, struct container *c,
			 bool init, uint64_t ticket, process_settled_fn *fn,
			 void *ctx, struct process **ret, struct err *e)
{
	struct process *p = process_new(all, pid, c);

	if (!p)
		return err_set(e, ENOMEM, "no memory for a process");
	p->init = init;
	p->orphan = true;
	p->ticket = ticket;
	p->on_settled = fn;
	p->settled_ctx = ctx;
	*ret = p;
	return 0;
}

struct process *process_restore(struct processes *all, pid_t pid,
				struct container *c)
{
	struct process *p = process_new(all, pid, c);

	if (p)
		p->orphan = true;
	return p;
}

static void settle(struct process *p)
{
	process_settled_fn *fn = p->on_settled;

	p->on_settled = NULL;
	if (fn)
		fn(p->settled_ctx, p);
}

void process_settled(struct process *p, int pidfd)
{
	p->pidfd = pidfd;
	/* Not watched, its exit is still told by who reaps it. */
	if (pidfd >= 0)
		(void)loop_watch(p->owner->loop, pidfd, EPOLLIN, on_pidfd, p,
				 &p->watch, NULL);
	settle(p);
}

/* Keeps the number of remembered exits below its limits. */
static void forget_oldest(struct processes *all)
{
	if (all->n_untold > all->max_untold) {
		struct process *p =
			LIST_ITEM(all->untold.next, struct process, node);

		log_warn("an exit that nobody asked for is forgotten pid=%d",
			 (int)p->pid);
		all->forgotten[byte_of((uint32_t)p->pid)] |=
			bit_of((uint32_t)p->pid);
		process_forget(p);
	}
	if (all->n_told > all->max_told)
		process_forget(LIST_ITEM(all->told.next, struct process, node));
}

static void process_over(struct process *p)
{
	struct processes *all = p->owner;

	loop_cancel(all->loop, &p->timer);
	/* Those of an init process may have to be dialled again. */
	if (!p->init)
		let_streams_go(p);
	fd_close(&p->terminal);
	all->n_live--;
	list_remove(&p->node);
	p->state = PROCESS_OVER;
	(*count_of(p))++;
	if (!p->init)
		list_push(&all->untold, &p->node);
	kept(p, false);
	all->on_over(all->ctx, p);
	forget_oldest(all);
}

/*
 * A host that is still there reads the terminal no more, and nothing will be
 * typed either: it is hung up. The streams have closed their masters already.
 * The end of input alone is no sign, nor is a stream that was lost with its
 * host, which goes on as one that is discarded.
 */
static void check_terminal(struct process *p)
{
	const struct stream *in = p->stream[MSG_STDIN];
	const struct stream *out = p->stream[MSG_STDOUT];

	if (p->terminal < 0 || !out || !out->refused ||
	    (in && in->state != STREAM_CLOSED))
		return;
	fd_close(&p->terminal);
	kept(p, false);
}

void process_check(struct process *p)
{
	if (p->state == PROCESS_LIVE)
		check_terminal(p);
	if (p->state != PROCESS_DRAINING)
		return;
	for (int i = 0; i < MSG_STDIO; i++) {
		if (p->stream[i] && !stream_drained(p->stream[i]))
			return;
	}
	process_over(p);
}

static void on_drain_limit(void *ctx)
{
	process_over(ctx);
}

void process_told(struct process *p, uint32_t conn)
{
	struct processes *all = p->owner;

	(*count_of(p))--;
	p->told_on = conn;
	(*count_of(p))++;
	kept(p, false);
	if (p->init)
		return; /* it answers again */
	list_remove(&p->node);
	list_push(&all->told, &p->node);
}

/* The exit code is known: what is left is what it wrote. */
static void process_exited(struct process *p)
{
	struct loop *l = p->owner->loop;

	loop_unwatch(l, &p->watch);
	fd_close(&p->pidfd);
	for (int i = 0; i < MSG_STDIO; i++) {
		if (p->stream[i])
			stream_process_exited(p->stream[i]);
	}
	/* Without a timer it would only wait longer for its outputs. */
	(void)loop_at(l, loop_now_ms(l) + PROCESS_DRAIN_MS, on_drain_limit, p,
		      &p->timer, NULL);
	process_check(p);
}

static void process_ended(struct process *p, uint32_t exit_code)
{
	p->exit_code = exit_code;
	p->state = PROCESS_DRAINING;
	kept(p, false); /* before anybody can forget it */
	loop_cancel(p->owner->loop, &p->timer);
	p->owner->on_reaped(p->owner->ctx, p);
	process_exited(p);
}

static void on_tell_limit(void *ctx)
{
	process_exit_unknown(ctx);
}

/* PID 1 has seen it too, and will tell. */
static void wait_to_be_told(struct process *p)
{
	struct loop *l = p->owner->loop;

	loop_unwatch(l, &p->watch);
	if (loop_at(l, loop_now_ms(l) + PROCESS_TELL_MS, on_tell_limit, p,
		    &p->timer, NULL) < 0)
		process_exit_unknown(p);
}

void process_exit_told(struct process *p, int status)
{
	if (p->state != PROCESS_LIVE)
		return;
	settle(p);
	process_ended(p, process_exit_code(status));
}

void process_exit_unknown(struct process *p)
{
	if (p->state != PROCESS_LIVE)
		return;
	log_warn("exit code of pid=%d is not known", (int)p->pid);
	settle(p);
	process_ended(p, UINT32_MAX);
}

static uint32_t exit_code_of(const siginfo_t *info)
{
	const uint32_t n = (uint32_t)info->si_status;

	return info->si_code == CLD_EXITED ? n & 0xffu : 128u + (n & 0x7fu);
}

void process_reap(struct process *p)
{
	const pid_t pid = p->pid;
	siginfo_t info = { 0 };
	int r;

	if (p->state != PROCESS_LIVE)
		return;
	if (p->orphan && p->ticket != 0) {
		wait_to_be_told(p);
		return;
	}
	do {
		r = waitid(P_PID, (id_t)pid, &info,
			   WEXITED | WNOHANG | WNOWAIT);
	} while (r < 0 && errno == EINTR);
	if (r == 0 && info.si_pid == 0)
		return;
	/* Not our child any more: somebody else took its exit code. */
	process_ended(p, r < 0 ? UINT32_MAX : exit_code_of(&info));
	if (r == 0)
		(void)waitpid(pid, NULL, WNOHANG); /* it is kept now */
}

void process_restored(struct process *p, enum process_state state)
{
	struct processes *all = p->owner;

	if (state == PROCESS_DRAINING) {
		p->state = state;
		process_exited(p);
	} else if (state == PROCESS_OVER) {
		list_remove(&p->node);
		all->n_live--;
		p->state = state;
		(*count_of(p))++;
		if (!p->init)
			list_push(p->told_on != 0 ? &all->told : &all->untold,
				  &p->node);
	}
}

int process_signal(const struct process *p, int signal, struct err *e)
{
	if (p->state != PROCESS_LIVE)
		return err_set(e, ESRCH, "process %d has ended", (int)p->pid);
	if (signal < 1 || signal > SIGRTMAX)
		return err_set(e, EINVAL, "%d is not a signal", signal);
	if (p->pidfd < 0)
		return err_set(e, ESRCH, "process %d cannot be signalled",
			       (int)p->pid);
	if (syscall(SYS_pidfd_send_signal, p->pidfd, signal, NULL, 0) < 0)
		return err_sys(e, "signal %d to process %d", signal,
			       (int)p->pid);
	return 0;
}
