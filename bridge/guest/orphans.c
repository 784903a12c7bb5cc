#include "bridge/guest/orphans.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/guest/keep.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"

static int open_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* PID 1 does not know it, but it may live: its end can be seen at least. */
static void settle_unregistered(struct process *p, const struct pid1_told *t)
{
	log_warn("process pid=%d is not looked after: %s", (int)p->pid,
		 strerror(-t->result));
	process_settled(p, t->result == -ESRCH ? -1 : open_pidfd(p->pid));
	if (p->pidfd < 0)
		process_exit_unknown(p);
}

static bool on_told(void *ctx, struct pid1_told *t)
{
	struct orphans *o = ctx;
	struct process *p = process_by_pid(o->processes, (uint32_t)t->pid);

	if (!p || !p->orphan || p->ticket != t->ticket)
		return false;
	if (t->registered && t->result < 0)
		settle_unregistered(p, t);
	else if (t->exited)
		process_exit_told(p, t->status);
	else
		process_settled(p, fd_take(&t->pidfd));
	return true;
}

/*
 * Nobody tells any more, and a later death would be the end of everything. But an
 * agent that was stable is started again, with a PID 1, and one that takes over is
 * if the ones before were. Each ends here and now: what it did next, records would
 * tell of, and descriptors that go with them PID 1 would not have. Any other goes
 * on: of its processes those that are not settled are told to be.
 */
static void on_lost(void *ctx)
{
	struct orphans *o = ctx;
	struct list *next;

	if (o->pid1->stable ||
	    (o->pid1->incarnation > 1 && !o->pid1->poisoned)) {
		log_err("the agent ends: the next one has a PID 1");
		slot_survived(o->slots);
		_exit(EXIT_FAILURE);
	}
	for (struct list *l = o->processes->live.next; l != &o->processes->live;
	     l = next) {
		struct process *p = LIST_ITEM(l, struct process, node);

		next = l->next;
		if (p->orphan && p->on_settled)
			process_settled(p, open_pidfd(p->pid));
	}
}

void orphans_init(struct orphans *o, struct pid1 *pid1,
		  struct processes *processes, struct slots *slots)
{
	*o = (struct orphans){ .pid1 = pid1,
			       .processes = processes,
			       .slots = slots };
	pid1_listen(pid1, on_told, on_lost, o);
}

static void one_closed(struct orphans *o)
{
	if (--o->open == 0)
		o->n_exits = 0;
}

uint64_t orphans_open(struct orphans *o)
{
	o->open++;
	return pid1_ticket(o->pid1);
}

void orphans_opened(struct orphans *o)
{
	o->open++;
}

void orphans_close(struct orphans *o, uint64_t ticket)
{
	pid1_ticket_close(o->pid1, ticket);
	one_closed(o);
}

void orphans_reaped(struct orphans *o, pid_t pid, int status)
{
	if (o->open == 0)
		return;
	if (o->n_exits == ORPHANS_EXITS_MAX) {
		log_warn("exit of orphan pid=%d is forgotten",
			 (int)o->exits[0].pid);
		memmove(&o->exits[0], &o->exits[1],
			sizeof(o->exits) - sizeof(o->exits[0]));
		o->n_exits--;
	}
	o->exits[o->n_exits].pid = pid;
	o->exits[o->n_exits].status = status;
	o->n_exits++;
}

/* Return: was its exit seen? */
static bool claim(struct orphans *o, pid_t pid, int *ret_status)
{
	for (size_t i = o->n_exits; i > 0; i--) {
		if (o->exits[i - 1].pid != pid)
			continue;
		*ret_status = o->exits[i - 1].status;
		o->exits[i - 1].pid = 0;
		return true;
	}
	return false;
}

static void settle_own_child(struct orphans *o, struct process *p)
{
	siginfo_t info = { 0 };
	int status = 0, pidfd;

	if (claim(o, p->pid, &status)) {
		process_exit_told(p, status);
		return;
	}
	pidfd = open_pidfd(p->pid);
	/* It must be a child of ours, else the number is somebody else's; of a
	 * lost PID 1's children the end can be seen at least. */
	if (pidfd < 0 ||
	    (p->ticket == 0 && waitid(P_PID, (id_t)p->pid, &info,
				      WEXITED | WNOHANG | WNOWAIT) < 0)) {
		fd_close(&pidfd);
		process_exit_unknown(p);
		return;
	}
	process_settled(p, pidfd);
}

int orphans_adopt(struct orphans *o, uint64_t ticket, pid_t pid,
		  struct container *c, const struct keep_process *kept,
		  uint32_t slot, process_settled_fn *fn, void *ctx,
		  struct err *e)
{
	struct process *p = NULL;
	const int r = process_adopt_orphan(o->processes, pid, c, kept->init,
					   ticket, fn, ctx, &p, e);

	if (r < 0) {
		orphans_close(o, ticket);
		return r;
	}
	p->number = kept->number;
	p->request = kept->request;
	p->slot = slot;
	memcpy(p->port, kept->port, sizeof(p->port));
	process_keep(p);
	if (ticket != 0 && o->pid1->fd >= 0)
		pid1_register(o->pid1, ticket, pid);
	else
		settle_own_child(o, p);
	one_closed(o);
	return 0;
}
