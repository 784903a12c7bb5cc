#include "bridge/guest/takeover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/guest/container.h"
#include "bridge/guest/ends.h"
#include "bridge/guest/giveup.h"
#include "bridge/guest/handlers.h"
#include "bridge/guest/keep.h"
#include "bridge/guest/left.h"
#include "bridge/guest/notice.h"
#include "bridge/guest/reply.h"
#include "bridge/guest/takeoveruvm.h"
#include "bridge/hresult.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "bridge/msg_container.h"
#include "bridge/wire.h"

void takeover_again(struct agent *a, const char *what, const struct err *e)
{
	log_err("%s cannot be taken over: %s%s", what,
		e && e->text[0] != '\0' ? e->text : "no memory",
		a->pid1.poisoned ? "" : "; the next agent tries again");
	if (a->pid1.poisoned)
		return;
	slot_survived(&a->slots);
	_exit(EXIT_FAILURE);
}

void takeover_rather(const struct agent *a, const char *what)
{
	if (a->pid1.fd < 0 ||
	    (!a->pid1.stable && (a->pid1.poisoned || a->pid1.incarnation <= 1)))
		return;
	log_err("no memory for %s: that is left to the next agent", what);
	_exit(EXIT_FAILURE);
}

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
		takeover_again(a, "the state", &e);
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

static void drop_fd(struct left *left, uint64_t number, uint32_t role)
{
	int fd = left_take_fd(left, number, role);

	fd_close(&fd);
}

static void take_ends(struct agent *a, struct left *left,
		      const struct keep_process *k, struct ends *d)
{
	static const bool both[MSG_STDIO] = { true, true, false };
	struct err e = { 0 };
	int master;

	for (uint32_t i = 0; i < MSG_STDIO; i++)
		d->ours[i] = left_take_fd(left, k->number, i);
	/* Of a stream that has no record: it begins again, and so do these. */
	for (uint32_t i = 0; i < MSG_STDIO; i++) {
		drop_fd(left, k->number, PROCESS_FILE + i);
		drop_fd(left, k->number, PROCESS_MID + i);
	}
	master = left_take_fd(left, k->number, PROCESS_TERMINAL);
	if (master >= 0 && ends_master(d, both, master, &e) < 0)
		takeover_again(a, "a terminal", &e);
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

/* Return: the process, without its ends; NULL: there is none any more */
static struct process *restore_process(struct agent *a,
				       const struct slot_view *v)
{
	struct keep_process k;
	struct container *c = NULL;
	struct process *p;

	if (!keep_process_read(v, &k) || k.pid == 0)
		return NULL;
	if (k.serial != 0)
		c = container_by_serial(&a->containers, k.serial);
	p = k.serial == 0 || c ? process_restore(&a->processes, (pid_t)k.pid, c)
			       : NULL;
	if (!p) {
		if (k.serial == 0 || c)
			takeover_again(a, "a process", NULL);
		return NULL;
	}
	p->slot = v->handle;
	p->ticket = k.ticket;
	p->number = k.number;
	p->request = k.request;
	p->exit_code = k.exit_code;
	p->told_on = k.told_on;
	p->init = k.init;
	p->console = k.console;
	p->carried = k.carried;
	memcpy(p->port, k.port, sizeof(p->port));
	if (c)
		list_push(&c->processes, &p->sibling);
	if (c && k.init)
		c->init = p;
	return p;
}

static bool is_exec(const struct slot_view *v)
{
	struct keep_process k;

	return keep_process_read(v, &k) && k.pid == 0 && k.call != 0;
}

static void restore_processes(struct agent *a)
{
	struct slot_view v = { 0 };

	while (slot_next(&a->slots, SLOT_PROCESS, v.handle, &v)) {
		uint32_t handle = v.handle;

		if (!restore_process(a, &v) && !is_exec(&v))
			slot_drop(&a->slots, &handle);
		slot_survived(&a->slots);
	}
}

static bool has_port(const struct process *p)
{
	return (p->port[0] | p->port[1] | p->port[2]) != 0;
}

/* Streams of the session that have begun have their ends. */
static void restore_ends(struct agent *a, struct process *p, struct ends *d)
{
	struct container *c = p->container;
	const bool session = a->resume.exists && has_port(p);
	static const uint32_t none[MSG_STDIO];
	int sock[MSG_STDIO] = { -1, -1, -1 };
	struct err e = { 0 };

	if (session && p->carried) {
		for (int i = 0; p->console && i < MSG_STDIO; i++)
			fd_close(&d->ours[i]);
	} else if (session &&
		   ends_connect(d, &a->streams, p, sock, p->port, &e) < 0) {
		takeover_again(a, "the streams of a process", &e);
	}
	if (ends_restore(d, &a->streams, p,
			 p->init && !has_port(p) ? c->facts.port : none,
			 &e) < 0)
		takeover_again(a, "the streams of a process", &e);
	if (p->init)
		container_streams(c);
}

static void settle_ends(struct agent *a, struct left *left, struct process *p,
			const struct keep_process *k)
{
	struct container *c = p->container;
	struct ends d;

	ends_init(&d);
	take_ends(a, left, k, &d);
	if (c && k->init && !c->facts.starting) {
		c->ends = d; /* it was not started yet */
		return;
	}
	if (k->state != PROCESS_OVER)
		restore_ends(a, p, &d);
	ends_close(&d);
}

static void settle_processes(struct agent *a, struct left *left)
{
	struct slot_view v = { 0 };

	while (slot_next(&a->slots, SLOT_PROCESS, v.handle, &v)) {
		struct keep_process k;
		struct process *p = NULL;

		if (keep_process_read(&v, &k))
			p = process_find(
				&a->processes,
				container_by_serial(&a->containers, k.serial),
				k.pid);
		if (p && p->slot == v.handle) {
			settle_ends(a, left, p, &k);
			process_restored(p, k.state);
			settle_process(a, left, p);
			keep_process(a, p, false);
		}
		slot_survived(&a->slots);
	}
}

/* Execs that the runtime was starting; what it has left will tell. */
static void restore_execs(struct agent *a, struct left *left)
{
	struct slot_view v = { 0 };

	while (slot_next(&a->slots, SLOT_PROCESS, v.handle, &v)) {
		struct keep_process k;
		struct container *c = NULL;
		uint32_t handle = v.handle;
		struct ends d;

		if (keep_process_read(&v, &k) && k.pid == 0)
			c = container_by_serial(&a->containers, k.serial);
		ends_init(&d);
		if (c && left_take_ticket(left, k.ticket)) {
			take_ends(a, left, &k, &d);
			container_exec_again(
				c, &k, handle, &d,
				left_take_fd(left, k.number, PROCESS_CONSOLE));
		} else if (k.pid == 0) {
			slot_drop(&a->slots, &handle);
		}
		slot_survived(&a->slots);
	}
}

/* --- streams of the session --------------------------------------------------- */

static void restore_stream(struct agent *a, struct left *left,
			   const struct slot_view *v)
{
	struct carry_new n;
	struct process *p;
	uint32_t handle = v->handle;
	struct err e = { 0 };

	if (!keep_stream_read(v, &n) || !a->resume.exists) {
		slot_drop(&a->slots, &handle);
		return;
	}
	n.word = v->word;
	n.file = left_take_fd(left, n.number, PROCESS_FILE + n.role);
	/* The last agent died when it was over. */
	if (n.file < 0) {
		slot_drop(&a->slots, &handle);
		return;
	}
	n.end = left_take_fd(left, n.number, n.role);
	n.mid = left_take_fd(left, n.number, PROCESS_MID + n.role);
	p = process_find(&a->processes,
			 container_by_serial(&a->containers, n.serial), n.pid);
	if (p && (p->number != n.number || p->told_on != 0))
		p = NULL;
	if (ends_carry_on(&a->streams, p, &n, &e) < 0)
		takeover_again(a, "a stream", &e);
}

static void restore_streams(struct agent *a, struct left *left)
{
	struct slot_view v = { 0 };

	while (slot_next(&a->slots, SLOT_STREAM, v.handle, &v)) {
		restore_stream(a, left, &v);
		slot_survived(&a->slots);
	}
}

/* --- containers --------------------------------------------------------------- */

static void restore_containers(struct agent *a)
{
	struct slot_view v = { 0 };

	while (slot_next(&a->slots, SLOT_CONTAINER, v.handle, &v)) {
		uint32_t handle = v.handle;

		if (!keep_container_read(a, &v)) {
			takeover_again(a, "a container", NULL);
			slot_drop(&a->slots, &handle);
		}
		slot_survived(&a->slots);
	}
}

/* The agent died before its notice was in the outbox. */
static bool is_unsent(const struct container *c)
{
	const struct agent *a = c->agent;

	return a->resume.exists && c->facts.told_epoch == a->epoch &&
	       c->facts.told_frame > a->resume.out.put;
}

/* What was in progress goes on, or is undone. */
static void settle_container(struct container *c)
{
	if (container_half_made(c)) {
		container_abandon(c);
		return;
	}
	if (c->facts.state == CONTAINER_TERMINATED) {
		if (!c->facts.told || is_unsent(c))
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

/* One that will come again is forgotten. */
static void restore_request(struct agent *a, const struct slot_view *v)
{
	struct keep_request k;
	uint32_t handle = v->handle;

	if (!keep_request_read(v, &k) ||
	    (a->resume.exists && k.frame > a->resume.in.taken))
		slot_drop(&a->slots, &handle);
	a->requests.kept = handle;
	if (handle != 0 && !request_new(&a->requests, &k.to))
		takeover_again(a, "a request", NULL);
	request_passed(&a->requests);
}

/* And so is one that was answered. */
static void restore_requests(struct agent *a)
{
	struct slot_view v = { 0 };

	while (slot_next(&a->slots, SLOT_REQUEST, v.handle, &v)) {
		restore_request(a, &v);
		slot_survived(&a->slots);
	}
	v.handle = 0;
	while (slot_next_aside(&a->slots, SLOT_REQUEST, v.handle, &v)) {
		restore_request(a, &v);
		slot_left(&a->slots);
	}
	if (a->resume.exists)
		resume_answered(a);
}

static struct process *started_by(struct list *head, uint64_t id)
{
	for (struct list *l = head->next; l != head; l = l->next) {
		struct process *p = LIST_ITEM(l, struct process, node);

		if (p->request == id)
			return p;
	}
	return NULL;
}

/* What came of it, if that can be known. */
static void settle_request(struct agent *a, struct request *r,
			   const struct keep_request *k)
{
	struct container *c =
		k->pid != 0 ? container_by_serial(&a->containers, k->serial)
			    : container_find(&a->containers, k->container);
	struct process *p = NULL;

	if (k->pid != 0 && (k->serial == 0 || c))
		p = process_find(&a->processes, c, k->pid);
	if (p) {
		process_wait_again(a, p, r, k->until_ms);
		return;
	}
	/* A create is done when it is kept so, a delete when nothing is left. */
	if (k->container[0] != '\0' &&
	    ((k->to.type == WIRE_CREATE && c && c->init &&
	      c->facts.state != CONTAINER_CREATING &&
	      c->init->request == k->to.id) ||
	     (k->to.type == WIRE_DELETE_CONTAINER_STATE && !c))) {
		const struct msg_create_result done = {
			.base = { .activity_id = r->to.activity },
		};

		(void)reply_with(a, &r->to, &msg_create_result_schema, &done);
		request_free(&a->requests, r);
		return;
	}
	if (k->to.type == WIRE_CREATE && c && container_abandon_asked(c, r))
		return;
	if (k->to.type == WIRE_MODIFY_SETTINGS &&
	    (modify_network_asked(&a->modify, r) ||
	     modify_volume_asked(&a->modify, r)))
		return;
	if (k->pid == 0 && k->to.type == WIRE_EXECUTE_PROCESS) {
		if (c && c->init && c->init->request == k->to.id) {
			container_start_asked(c, r);
			return;
		}
		if (c && container_exec_asked(c, r))
			return;
		p = started_by(&a->processes.live, k->to.id);
		if (!p)
			p = started_by(&a->processes.untold, k->to.id);
	}
	if (p) {
		process_answer_start(a, r, p);
		return;
	}
	/* What a change of settings had begun is undone before another one. */
	(void)reply_error(a, &r->to,
			  k->to.type == WIRE_MODIFY_SETTINGS ? HR_RETRY
							     : HR_FAIL,
			  "the agent was restarted while it served this");
	request_free(&a->requests, r);
}

static void settle_requests(struct agent *a)
{
	struct slot_view v = { 0 };

	while (slot_next(&a->slots, SLOT_REQUEST, v.handle, &v)) {
		struct keep_request k;
		struct request *r = NULL;

		if (keep_request_read(&v, &k))
			r = request_find(&a->requests, k.to.id);
		if (r && r->slot == v.handle)
			settle_request(a, r, &k);
		slot_survived(&a->slots);
	}
}

/* --- all of it ---------------------------------------------------------------- */

static void restore(struct agent *a, struct left *left)
{
	restore_agent(a);
	(void)resume_restore(a, left_take_fd(left, PID1_OUTBOX, 0));
	restore_containers(a);
	takeover_volumes(a);
	restore_processes(a);
	restore_streams(a, left);
	restore_requests(a);
	settle_processes(a, left);
	takeover_networks(a, left);
	settle_containers(a);
	restore_execs(a, left);
	settle_requests(a);
	giveup(a);
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
		a->jobs.locks = a->pid1.incarnation > 0 ? a->slots.fd : -1;
		a->jobs.number = a->pid1.incarnation;
		if (was)
			restore(a, &left);
		left_give_back(&left, &a->pid1, was);
		keep_agent(a);
		r = pid1_go_on(&a->pid1, e);
		/* Some agent before has said so: this one is as good. */
		if (r == 0 && was)
			pid1_stable(&a->pid1);
	}
	left_done(&left);
	if (r == 0 && a->pid1.fd < 0)
		r = err_set(e, EPIPE, "it was lost");
	if (r < 0 && a->pid1.incarnation > 1)
		takeover_again(a, "what PID 1 has", e);
	return r;
}
