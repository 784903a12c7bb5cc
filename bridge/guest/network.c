#include "bridge/guest/network.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "bridge/guest/answer.h"
#include "bridge/guest/network_object.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"

/* gcc loses sight of memory that only a list holds. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

#define RECORD(n) LIST_ITEM(n, struct network_record, node)

/* --- operations ------------------------------------------------------------ */

struct network_op *network_op_new(network_done_fn *done, void *ctx,
				  struct err *e)
{
	struct network_op *op = calloc(1, sizeof(*op));

	if (!op) {
		(void)err_set(e, ENOMEM, "no memory for a network request");
		return NULL;
	}
	list_init(&op->node);
	op->done = done;
	op->ctx = ctx;
	return op;
}

static void tell_ended(void *ctx)
{
	struct networks *all = ctx;
	struct list now;
	struct list *node;

	list_init(&now);
	list_move_all(&now, &all->ended); /* a callback may end others */
	while ((node = list_pop(&now))) {
		struct network_op *op =
			LIST_ITEM(node, struct network_op, node);

		op->done(op->ctx, op->result, &op->why);
		free(op);
	}
}

/* The end is told in the next turn: nobody is called back while he calls. */
void network_op_end(struct networks *all, struct network_op **op, int result,
		    const struct err *why)
{
	struct err e = { 0 };

	if (!*op)
		return;
	(*op)->result = result;
	if (why)
		(*op)->why = *why;
	list_push(&all->ended, &(*op)->node);
	*op = NULL;
	if (loop_at(all->loop, loop_now_ms(all->loop), tell_ended, all,
		    &all->ended_timer, &e) < 0)
		log_err("the end of a network request waits for the next: %s",
			e.text);
}

/* --- records and adapters -------------------------------------------------- */

void network_kept(struct network_record *r)
{
	if (r->all->on_kept)
		r->all->on_kept(r->all->kept_ctx, r, false);
}

struct network_record *network_record_find(const struct networks *all,
					   const char *guid)
{
	for (struct list *n = all->all.next; n != &all->all; n = n->next)
		if (strcasecmp(RECORD(n)->guid, guid) == 0)
			return RECORD(n);
	return NULL;
}

static struct network_adapter *adapter_find(const struct network_record *r,
					    const char *id)
{
	for (struct list *n = r->adapters.next; n != &r->adapters; n = n->next)
		if (strcasecmp(NETWORK_ADAPTER(n)->facts.id, id) == 0)
			return NETWORK_ADAPTER(n);
	return NULL;
}

struct network_record *network_record_get(struct networks *all,
					  const char *guid, struct err *e)
{
	struct network_record *r = network_record_find(all, guid);
	char id[NETWORK_ID_MAX];

	if (r)
		return r;
	if (network_id_read(guid, id, e) < 0) {
		(void)err_wrap(e, "network namespace");
		return NULL;
	}
	if (all->n >= NETWORK_RECORDS_MAX) {
		(void)err_set(e, ENOSPC, "%zu network namespaces", all->n);
		return NULL;
	}
	r = calloc(1, sizeof(*r));
	if (!r) {
		(void)err_set(e, ENOMEM, "no memory for a network namespace");
		return NULL;
	}
	memcpy(r->guid, id, sizeof(id));
	r->all = all;
	r->netns = -1;
	list_init(&r->adapters);
	list_push(&all->all, &r->node);
	all->n++;
	return r;
}

struct network_adapter *network_adapter_new(struct network_record *r,
					    const struct network_facts *f,
					    struct err *e)
{
	struct network_adapter *a = calloc(1, sizeof(*a));

	if (!a) {
		(void)err_set(e, ENOMEM, "no memory for an adapter");
		return NULL;
	}
	a->facts = *f;
	a->record = r;
	list_init(&a->waiting);
	list_push(&r->adapters, &a->node);
	r->n_adapters++;
	return a;
}

void network_adapter_waits(struct network_adapter *a)
{
	struct networks *all = a->record->all;

	a->deadline_ms = loop_now_ms(all->loop) + all->wait_ms;
	list_push(&all->waiting, &a->waiting);
}

static void adapter_free(struct network_adapter *a)
{
	struct network_work *w = a->record->work;

	for (size_t i = 0; w && i < w->n; i++)
		if (w->task[i].adapter == a)
			w->task[i].adapter = NULL;
	list_remove(&a->waiting);
	list_remove(&a->node);
	a->record->n_adapters--;
	free(a->op); /* ended before, but at the end of all */
	free(a);
}

void network_adapter_free(struct network_adapter *a)
{
	struct network_record *r = a->record;

	adapter_free(a);
	network_kept(r);
}

static void record_free(struct network_record *r)
{
	struct networks *all = r->all;
	struct list *node;

	if (all->on_kept)
		all->on_kept(all->kept_ctx, r, true);
	while ((node = list_pop(&r->adapters)))
		adapter_free(NETWORK_ADAPTER(node));
	if (r->work) {
		r->work->record = NULL;
		job_cancel(r->work->job);
	}
	list_remove(&r->node);
	r->all->n--;
	free(r->op);
	fd_close(&r->netns);
	free(r);
}

/* --- requests -------------------------------------------------------------- */

static int add(struct networks *all, const struct msg_network *m,
	       const struct answer_to *to, network_done_fn *done, void *ctx,
	       struct err *e)
{
	struct network_op *op;
	struct network_adapter *a;
	struct network_record *r;
	struct network_facts facts;

	if (network_facts_read(m, &facts, e) < 0)
		return err_code(e);
	r = network_record_get(all, m->namespace_id, e);
	if (!r)
		return err_code(e);
	if (adapter_find(r, facts.id))
		return err_set(e, EEXIST, "adapter %s is there already",
			       facts.id);
	if (r->n_adapters >= NETWORK_ADAPTERS_MAX)
		return err_set(e, ENOSPC, "%zu adapters", r->n_adapters);
	facts.low_metric = m->policy_based_routing && r->n_adapters > 0;
	op = network_op_new(done, ctx, e);
	a = op ? network_adapter_new(r, &facts, e) : NULL;
	if (!a) {
		free(op);
		return err_code(e);
	}
	a->op = op;
	a->request = to ? to->id : 0;
	a->conn = to ? to->conn : 0;
	network_kept(r);
	network_adapter_waits(a);
	network_look(all);
	return 0;
}

static int remove_adapter(struct networks *all, const struct msg_network *m,
			  network_done_fn *done, void *ctx, struct err *e)
{
	struct network_record *r = network_record_find(all, m->namespace_id);
	struct network_adapter *a = r ? adapter_find(r, m->id) : NULL;
	struct network_op *op = network_op_new(done, ctx, e);
	const struct err gone = { .code = ECANCELED,
				  .text = "the adapter was removed" };
	int code = 0;

	if (!op)
		return err_code(e);
	if (a && a->state == NETWORK_UP && r->netns >= 0)
		code = network_give_back(a, &op, e);
	if (code < 0) {
		free(op);
		return code;
	}
	if (a) {
		network_op_end(all, &a->op, -ECANCELED, &gone);
		/* One that is on its way back is kept until it is there. */
		if (op)
			network_adapter_free(a);
		else
			adapter_free(a);
	}
	/* What nobody uses and says nothing needs no record. */
	if (r && r->n_adapters == 0 && !r->assigned)
		record_free(r);
	network_op_end(all, &op, 0, NULL);
	return 0;
}

int network_modify(struct networks *all, const char *request_type,
		   const struct msg_network *m, const struct answer_to *to,
		   network_done_fn *done, void *ctx, struct err *e)
{
	if (request_type[0] == '\0' || strcmp(request_type, "Add") == 0)
		return add(all, m, to, done, ctx, e);
	if (strcmp(request_type, "Remove") == 0)
		return remove_adapter(all, m, done, ctx, e);
	return err_set(e, EOPNOTSUPP, "Network: no such request type '%.32s'",
		       request_type);
}

bool network_asked(struct networks *all, const struct answer_to *to,
		   network_done_fn *done, void *ctx)
{
	struct network_adapter *a = NULL;
	struct network_op *op;

	for (struct list *n = all->all.next; n != &all->all && !a; n = n->next)
		for (struct list *p = RECORD(n)->adapters.next;
		     p != &RECORD(n)->adapters && !a; p = p->next)
			if (NETWORK_ADAPTER(p)->request == to->id &&
			    NETWORK_ADAPTER(p)->conn == to->conn)
				a = NETWORK_ADAPTER(p);
	op = a && !a->op ? network_op_new(done, ctx, NULL) : NULL;
	if (!op)
		return false;
	a->op = op;
	if (a->state == NETWORK_UP ||
	    (a->state == NETWORK_FOUND && !a->record->assigned))
		network_op_end(all, &a->op, 0, NULL);
	return true;
}

bool network_exists(const struct networks *all, const char *guid)
{
	return network_record_find(all, guid) != NULL;
}

int network_create(struct networks *all, const char *guid, struct err *e)
{
	return network_record_get(all, guid, e) ? 0 : err_code(e);
}

/* @netns: taken, -1: the agent's */
static int assign(struct networks *all, const char *guid, int netns,
		  network_done_fn *done, void *ctx, struct err *e)
{
	struct network_record *r = network_record_find(all, guid);
	cleanup_fd fd = netns;

	if (!r)
		return err_set(e, ENOENT, "no network namespace %.40s", guid);
	if (r->assigned)
		return err_set(e, EBUSY,
			       "network namespace %s was assigned before",
			       r->guid);
	r->op = network_op_new(done, ctx, e);
	if (!r->op)
		return err_code(e);
	r->assigned = true;
	r->netns = fd_take(&fd);
	network_kept(r);
	network_sync(r);
	return 0;
}

int network_assign(struct networks *all, const char *guid, pid_t init_pid,
		   network_done_fn *done, void *ctx, struct err *e)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)init_pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "network namespace of process %d",
			       (int)init_pid);
	return assign(all, guid, fd, done, ctx, e);
}

int network_host(struct networks *all, const char *guid, network_done_fn *done,
		 void *ctx, struct err *e)
{
	return assign(all, guid, -1, done, ctx, e);
}

void network_forget(struct networks *all, const char *guid)
{
	struct network_record *r = network_record_find(all, guid);
	const struct err gone = { .code = ECANCELED,
				  .text = "the network namespace is gone" };

	if (!r)
		return;
	for (struct list *p = r->adapters.next; p != &r->adapters; p = p->next)
		network_op_end(all, &NETWORK_ADAPTER(p)->op, -ECANCELED, &gone);
	network_op_end(all, &r->op, -ECANCELED, &gone);
	record_free(r);
}

/* --- all ------------------------------------------------------------------- */

void networks_init(struct networks *all, struct loop *l, struct jobs *jobs)
{
	*all = (struct networks){ .loop = l,
				  .jobs = jobs,
				  .sys = "/sys",
				  .dhcp_client = NETWORK_DHCP_CLIENT,
				  .dhcp_script = NETWORK_DHCP_SCRIPT,
				  .dhcp_ms = NETWORK_DHCP_MS,
				  .wait_ms = NETWORK_WAIT_MS,
				  .monitor = -1 };
	list_init(&all->all);
	list_init(&all->waiting);
	list_init(&all->ended);
}

void networks_done(struct networks *all)
{
	struct list *node;

	all->on_kept = NULL; /* they are not over */
	while ((node = list_pop(&all->all)))
		record_free(RECORD(node));
	while ((node = list_pop(&all->ended)))
		free(LIST_ITEM(node, struct network_op, node));
	network_look_end(all);
	loop_cancel(all->loop, &all->ended_timer);
}
