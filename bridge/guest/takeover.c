#include "bridge/guest/takeover.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bridge/guest/container.h"
#include "bridge/guest/ends.h"
#include "bridge/guest/handlers.h"
#include "bridge/guest/keep.h"
#include "bridge/guest/left.h"
#include "bridge/guest/notice.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"

/* --- the state --------------------------------------------------------------- */

static void begin_anew(struct agent *a)
{
	struct err e = { 0 };

	if (slots_create(&a->slots, &e) < 0)
		log_warn("nothing will outlive this agent: %s", e.text);
	else
		pid1_deposit(&a->pid1, PID1_STATE, 0, a->slots.fd);
}

/* Return: was there one? */
static bool open_state(struct agent *a, struct left *left)
{
	const int fd = left_take_fd(left, PID1_STATE, 0);
	struct err e = { 0 };

	if (fd >= 0 && slots_open(&a->slots, fd, &e) == 0) {
		if (a->slots.damaged > 0)
			log_err("damaged records: %u", a->slots.damaged);
		return true;
	}
	if (fd >= 0)
		log_err("the state of the earlier agent is lost: %s", e.text);
	begin_anew(a);
	return false;
}

static void restore_agent(struct agent *a)
{
	struct keep_agent k;
	struct slot_view v;

	if (slot_next(&a->slots, SLOT_AGENT, 0, &v) &&
	    keep_agent_read(&v, &k)) {
		a->slot = v.handle;
		a->conn.number = k.number;
		a->epoch = k.epoch;
		a->containers.serial = k.serial;
	}
	slot_survived(&a->slots);
}

/* --- processes ---------------------------------------------------------------- */

static void take_ends(struct left *left, const struct keep_process *k,
		      struct ends *d)
{
	static const bool both[MSG_STDIO] = { true, true, false };
	struct err e = { 0 };
	int master;

	for (uint32_t i = 0; i < MSG_STDIO; i++)
		d->ours[i] = left_take_fd(left, k->number, i);
	master = left_take_fd(left, k->number, PROCESS_TERMINAL);
	if (master >= 0 && ends_master(d, both, master, &e) < 0)
		log_warn("terminal of pid=%u: %s", k->pid, e.text);
}

/* What PID 1 knows of it decides who it is. */
static void settle_process(struct agent *a, struct left *left,
			   struct process *p)
{
	struct left_process *known = left_take_process(left, p->ticket);

	if (p->state != PROCESS_LIVE) {
		if (known)
			pid1_reaped(&a->pid1, p->ticket);
		else if (left_take_ticket(left, p->ticket))
			pid1_ticket_close(&a->pid1, p->ticket);
	} else if (known && known->gone) {
		pid1_reaped(&a->pid1, p->ticket);
		process_exit_unknown(p);
	} else if (known) {
		process_settled(p, fd_take(&known->pidfd));
	} else if (left_take_ticket(left, p->ticket)) {
		pid1_register(&a->pid1, p->ticket, p->pid);
	} else {
		process_exit_unknown(p);
	}
}

static bool restore_process(struct agent *a, struct left *left,
			    const struct slot_view *v)
{
	static const uint32_t none[MSG_STDIO];
	struct keep_process k;
	struct container *c = NULL;
	struct process *p;
	struct ends d;
	struct err e = { 0 };

	if (!keep_process_read(v, &k) || k.pid == 0)
		return false;
	if (k.serial != 0)
		c = container_by_serial(&a->containers, k.serial);
	p = k.serial == 0 || c ? process_restore(&a->processes, (pid_t)k.pid, c)
			       : NULL;
	if (!p)
		return false;
	p->slot = v->handle;
	p->ticket = k.ticket;
	p->number = k.number;
	p->request = k.request;
	p->exit_code = k.exit_code;
	p->told_on = k.told_on;
	p->init = k.init;
	p->console = k.console;
	if (c)
		list_push(&c->processes, &p->sibling);
	if (c && k.init)
		c->init = p;
	ends_init(&d);
	take_ends(left, &k, &d);
	if (c && k.init && !c->facts.starting) {
		c->ends = d; /* it was not started yet */
		ends_init(&d);
	} else if (k.state != PROCESS_OVER &&
		   ends_restore(&d, &a->streams, p,
				c && k.init ? c->facts.port : none, &e) < 0)
		log_warn("streams of pid=%u: %s", k.pid, e.text);
	ends_close(&d);
	if (c && k.init && c->facts.starting)
		container_streams(c);
	process_restored(p, k.state);
	settle_process(a, left, p);
	keep_process(a, p, false);
	return true;
}

static void restore_processes(struct agent *a, struct left *left)
{
	struct slot_view v = { 0 };

	while (slot_next(&a->slots, SLOT_PROCESS, v.handle, &v)) {
		uint32_t handle = v.handle;

		if (!restore_process(a, left, &v))
			slot_drop(&a->slots, &handle);
		slot_survived(&a->slots);
	}
}

/* --- containers --------------------------------------------------------------- */

static void restore_containers(struct agent *a)
{
	struct slot_view v = { 0 };

	while (slot_next(&a->slots, SLOT_CONTAINER, v.handle, &v)) {
		uint32_t handle = v.handle;

		if (!keep_container_read(a, &v))
			slot_drop(&a->slots, &handle);
		slot_survived(&a->slots);
	}
}

/* What was in progress goes on, or is undone. */
static void settle_container(struct container *c)
{
	if (c->facts.state == CONTAINER_CREATING || !c->init) {
		container_abandon(c);
		return;
	}
	if (c->facts.state == CONTAINER_TERMINATED) {
		if (!c->facts.told)
			notice_send(c);
		keep_container(c);
		return;
	}
	container_watch_oom(c);
	if (c->init->state != PROCESS_LIVE)
		container_process_reaped(c->init);
	if (c->init->state == PROCESS_OVER)
		container_process_over(c->init);
	else if (c->facts.state == CONTAINER_CREATED && c->facts.starting)
		container_start_again(c);
}

static void settle_containers(struct agent *a)
{
	struct list *next;

	for (struct list *l = a->containers.all.next; l != &a->containers.all;
	     l = next) {
		next = l->next;
		settle_container(LIST_ITEM(l, struct container, node));
	}
}

/* --- requests ----------------------------------------------------------------- */

static void restore_wait(struct agent *a, const struct slot_view *v)
{
	struct keep_wait k;
	struct container *c = NULL;
	struct process *p = NULL;
	uint32_t handle = v->handle;

	if (keep_wait_read(v, &k)) {
		c = container_by_serial(&a->containers, k.serial);
		if (k.serial == 0 || c)
			p = process_find(&a->processes, c, k.pid);
	}
	if (p)
		process_wait_again(a, p, &k.to, handle);
	else
		slot_drop(&a->slots, &handle);
}

static void restore_waits(struct agent *a)
{
	struct slot_view v = { 0 };

	while (slot_next(&a->slots, SLOT_REQUEST, v.handle, &v)) {
		restore_wait(a, &v);
		slot_survived(&a->slots);
	}
}

/* --- all of it ---------------------------------------------------------------- */

static void restore(struct agent *a, struct left *left)
{
	restore_agent(a);
	restore_containers(a);
	restore_processes(a, left);
	restore_waits(a);
	settle_containers(a);
	log_info("taken over from an earlier agent: incarnation=%llu "
		 "containers=%zu processes=%zu set_aside=%u",
		 (unsigned long long)a->pid1.incarnation, a->containers.n,
		 a->processes.n_live, a->slots.aside);
}

int takeover(struct agent *a, struct err *e)
{
	struct left left;
	bool was;
	int r;

	if (a->pid1.fd < 0)
		return 0;
	r = left_read(&left, &a->pid1, e);
	if (r == 0) {
		was = open_state(a, &left);
		if (was)
			restore(a, &left);
		left_give_back(&left, &a->pid1);
		keep_agent(a);
		r = pid1_go_on(&a->pid1, e);
		/* Some agent before has said so: this one is as good. */
		if (r == 0 && was)
			pid1_stable(&a->pid1);
	}
	left_done(&left);
	return r;
}
