/* The child that moves and configures adapters, seen from the agent. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/guest/network_object.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"
#include "config/util.h"

static const char *const state_names[] = {
	[NETWORK_WAITS] = "waits",
	[NETWORK_FOUND] = "found",
	[NETWORK_MOVES] = "moves",
	[NETWORK_UP] = "up",
};
_Static_assert(ARRAY_LEN(state_names) == NETWORK_ADAPTER_STATES,
	       "a state has no name");

void networks_dump(const struct networks *all, struct text *out)
{
	text_addf(out, "networks n=%zu\n", all->n);
	for (struct list *n = all->all.next; n != &all->all; n = n->next) {
		struct network_record *r =
			LIST_ITEM(n, struct network_record, node);

		text_addf(out, "network %s assigned=%d adapters=%zu\n", r->guid,
			  r->assigned, r->n_adapters);
		for (struct list *p = r->adapters.next; p != &r->adapters;
		     p = p->next)
			text_addf(out, "  adapter %s link=%s state=%s\n",
				  NETWORK_ADAPTER(p)->facts.id,
				  NETWORK_ADAPTER(p)->facts.name,
				  state_names[NETWORK_ADAPTER(p)->state]);
	}
}

/* The names that the links have now, a line each. */
static void take_names(struct network_work *w, const char *text)
{
	for (size_t i = 0; i < w->n; i++) {
		const size_t len = strcspn(text, "\n");
		struct network_adapter *a = w->task[i].adapter;

		if (a && len > 0 && len < sizeof(a->facts.name))
			(void)snprintf(a->facts.name, sizeof(a->facts.name),
				       "%.*s", (int)len, text);
		text += len + (text[len] == '\n');
	}
}

/* Nobody lives in it after all: adapters that were added meanwhile wait for
 * the next one, and whoever added them has nothing to wait for. */
static void unassign(struct network_record *r)
{
	r->assigned = false;
	r->back = false;
	fd_close(&r->netns);
	network_kept(r);
	for (struct list *p = r->adapters.next; p != &r->adapters; p = p->next)
		if (NETWORK_ADAPTER(p)->state == NETWORK_FOUND)
			network_op_end(r->all, &NETWORK_ADAPTER(p)->op, 0,
				       NULL);
}

/* The adapters are where they belong, or where they were. */
static void settle(struct network_record *r, struct network_work *w,
		   const struct job_result *job)
{
	const bool assigning = r->op != NULL;
	const bool all = assigning || w->back;

	if (job->result == 0)
		take_names(w, job->out);
	for (size_t i = 0; i < w->n; i++) {
		struct network_adapter *a = w->task[i].adapter;

		if (!a)
			continue;
		a->again = false;
		a->state = job->result == 0 && !w->back ? NETWORK_UP
							: NETWORK_FOUND;
	}
	network_kept(r);
	for (size_t i = 0; i < w->n; i++) {
		struct network_adapter *a = w->task[i].adapter;

		if (!a)
			continue;
		log_info("adapter=%s namespace=%s link=%s state=%s",
			 a->facts.id, r->guid, a->facts.name,
			 state_names[a->state]);
		/* One that failed alone is as if it had never been added. */
		network_op_end(r->all, &a->op, job->result, &job->err);
		if (job->result < 0 && !all)
			network_adapter_free(a);
	}
	if (w->back || (assigning && job->result < 0))
		unassign(r);
	network_op_end(r->all, &r->op, job->result, &job->err);
}

static void on_work_done(void *ctx, const struct job_result *job)
{
	struct network_work *w = ctx;
	struct network_record *r = w->record;

	if (r) {
		r->work = NULL;
		settle(r, w, job);
		network_sync(r);
	}
	fd_close(&w->netns);
	free(w);
}

/* How many adapters the next child takes: all for an assignment, so that it
 * stands or falls as one; else one, which fails alone. */
static size_t count_found(struct network_record *r)
{
	size_t n = 0;

	for (struct list *p = r->adapters.next; p != &r->adapters; p = p->next)
		n += NETWORK_ADAPTER(p)->state == NETWORK_FOUND;
	return r->op || r->back || n == 0 ? n : 1;
}

/* The first number that no adapter of the pod has. */
static unsigned int free_number(const struct network_record *r)
{
	char name[IF_NAMESIZE] = "eth0";
	unsigned int number = 0;

	for (struct list *p = r->adapters.next; p != &r->adapters;) {
		const struct network_adapter *a = NETWORK_ADAPTER(p);

		p = p->next;
		if (a->state != NETWORK_UP || strcmp(a->facts.name, name) != 0)
			continue;
		(void)snprintf(name, sizeof(name), "eth%u", ++number);
		p = r->adapters.next;
	}
	return number;
}

/* The kernel numbers cards as they come; the first of a pod is its eth0. */
static void want_name(struct network_task *t, unsigned int number)
{
	const char *name = t->facts.name;

	if (strncmp(name, "eth", 3) == 0 && name[3] >= '0' && name[3] <= '9')
		(void)snprintf(t->want, sizeof(t->want), "eth%u", number);
	else
		memcpy(t->want, name, sizeof(t->want));
}

static int work_start(struct network_record *r, size_t n, struct err *e)
{
	const struct networks *all = r->all;
	struct network_work *w = calloc(1, sizeof(*w) + n * sizeof(w->task[0]));
	struct job_call call = {
		.name = "network",
		.fn = network_work_run,
		.arg = w,
		.class = JOB_WAIT,
		.deadline_ms = NETWORK_CONFIGURE_MS,
		.done = on_work_done,
		.ctx = w,
	};
	unsigned int number = 0;
	int code;

	if (!w)
		return err_set(e, ENOMEM, "no memory for a network request");
	w->record = r;
	w->back = r->back;
	w->dhcp_client = all->dhcp_client;
	w->dhcp_script = all->dhcp_script;
	w->dhcp_ms = all->dhcp_ms;
	for (struct list *p = r->adapters.next; w->n < n; p = p->next) {
		struct network_adapter *a = NETWORK_ADAPTER(p);

		number++;
		if (a->state != NETWORK_FOUND)
			continue;
		a->state = NETWORK_MOVES;
		w->task[w->n].adapter = a;
		w->task[w->n].facts = a->facts;
		w->task[w->n].again = a->again;
		want_name(&w->task[w->n++],
			  r->op ? number - 1 : free_number(r));
		if (a->facts.n_addresses == 0)
			call.deadline_ms += all->dhcp_ms;
	}
	network_kept(r);
	w->netns = r->netns < 0 ? -1 : fcntl(r->netns, F_DUPFD_CLOEXEC, 3);
	call.keep = &w->netns;
	call.n_keep = w->netns >= 0;
	code = r->netns >= 0 && w->netns < 0
		       ? err_sys(e, "network namespace")
		       : job_call(all->jobs, &call, &w->job, e);
	if (code < 0) {
		for (size_t i = 0; i < n; i++)
			w->task[i].adapter->state = NETWORK_FOUND;
		fd_close(&w->netns);
		free(w);
		return code;
	}
	r->work = w;
	return 0;
}

/* The child could not be started: whoever waits for it hears that. */
static void sync_failed(struct network_record *r, const struct err *why)
{
	struct list *next;

	if (r->op || r->back) {
		network_op_end(r->all, &r->op, err_code(why), why);
		unassign(r);
		return;
	}
	for (struct list *p = r->adapters.next; p != &r->adapters; p = next) {
		struct network_adapter *a = NETWORK_ADAPTER(p);

		next = p->next;
		if (a->state == NETWORK_FOUND && a->op) {
			network_op_end(r->all, &a->op, err_code(why), why);
			network_adapter_free(a);
		}
	}
}

void network_sync(struct network_record *r)
{
	const size_t n = count_found(r);
	struct err e = { 0 };

	if (r->work || !r->assigned || (n == 0 && !r->op))
		return;
	if (work_start(r, n, &e) < 0)
		sync_failed(r, &e);
}

/* --- of an earlier agent ---------------------------------------------------- */

static void to_be_moved(struct network_adapter *a)
{
	a->state = NETWORK_FOUND;
	a->again = true;
}

void network_go_on(struct network_record *r)
{
	for (struct list *p = r->adapters.next; p != &r->adapters; p = p->next)
		if (NETWORK_ADAPTER(p)->state == NETWORK_MOVES)
			to_be_moved(NETWORK_ADAPTER(p));
	network_sync(r);
}

void network_take_back(struct network_record *r)
{
	log_warn("network namespace %s: its pod is gone", r->guid);
	for (struct list *p = r->adapters.next; p != &r->adapters; p = p->next)
		if (NETWORK_ADAPTER(p)->state != NETWORK_WAITS)
			to_be_moved(NETWORK_ADAPTER(p));
	r->back = true;
	if (count_found(r) == 0)
		unassign(r);
	network_sync(r);
}
