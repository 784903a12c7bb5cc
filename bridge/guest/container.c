#include "bridge/guest/container.h"

#include <stdlib.h>
#include <string.h>

#include "bridge/guest/agent.h"
#include "bridge/guest/keep.h"
#include "bridge/guest/notice.h"
#include "bridge/guest/reply.h"
#include "bridge/hresult.h"
#include "config/util.h"

static const char *const state_names[] = {
	[CONTAINER_CREATING] = "creating",
	[CONTAINER_CREATED] = "created",
	[CONTAINER_RUNNING] = "running",
	[CONTAINER_TERMINATED] = "terminated",
};
_Static_assert(ARRAY_LEN(state_names) == CONTAINER_STATES,
	       "a state has no name");

const char *container_state_name(enum container_state state)
{
	return (unsigned int)state < ARRAY_LEN(state_names) ? state_names[state]
							    : "?";
}

void containers_init(struct containers *all, struct agent *a)
{
	*all = (struct containers){ .agent = a };
	list_init(&all->all);
	for (size_t i = 0; i < CONTAINER_BUCKETS; i++)
		list_init(&all->bucket[i]);
}

/* FNV-1a */
static struct list *bucket_of(struct containers *all, const char *id)
{
	uint32_t h = 2166136261u;

	for (; *id != '\0'; id++)
		h = (h ^ (uint8_t)*id) * 16777619u;
	return &all->bucket[h % CONTAINER_BUCKETS];
}

struct container *container_find(struct containers *all, const char *id)
{
	const struct list *head = bucket_of(all, id);

	for (struct list *l = head->next; l != head; l = l->next) {
		struct container *c = LIST_ITEM(l, struct container, bucket);

		if (strcmp(c->facts.id, id) == 0)
			return c;
	}
	return NULL;
}

struct container *container_by_serial(const struct containers *all,
				      uint64_t serial)
{
	for (struct list *l = all->all.next; l != &all->all; l = l->next) {
		struct container *c = LIST_ITEM(l, struct container, node);

		if (c->facts.serial == serial)
			return c;
	}
	return NULL;
}

const char *container_string(struct container *c, const char *s)
{
	return arena_strn(&c->arena, s, strlen(s));
}

static const struct container_facts no_facts = {
	.id = "",
	.bundle = "",
	.scratch = "",
	.oci = { .sandbox_id = "",
		 .sandbox_root = "",
		 .rootfs = "",
		 .cgroup = "",
		 .pod_cgroup = "",
		 .namespace = "",
		 .tee_log = "",
		 .rlimits = "" },
	.sandbox_root = "",
};

struct container *container_new(struct containers *all, const char *id)
{
	struct container *c;

	if (all->n >= CONTAINERS_MAX)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->agent = all->agent;
	c->facts = no_facts;
	arena_init(&c->arena, CONTAINER_MEMORY_MAX);
	list_init(&c->node);
	list_init(&c->bucket);
	list_init(&c->processes);
	list_init(&c->ops);
	ends_init(&c->ends);
	c->facts.id = container_string(c, id);
	if (!c->facts.id) {
		free(c);
		return NULL;
	}
	c->facts.serial = ++all->serial;
	c->named_on = all->agent->conn.number;
	list_push(&all->all, &c->node);
	list_push(bucket_of(all, id), &c->bucket);
	all->n++;
	return c;
}

/* Requests that wait for a process that is forgotten are answered. */
static void tell_waiters(struct container *c, struct process *p)
{
	struct agent *a = c->agent;
	struct list *node;

	while ((node = list_pop(&p->waiters)) != NULL) {
		struct request *r = LIST_ITEM(node, struct request, waiting);

		(void)reply_code(a, &r->to, HR_ELEMENT_NOT_FOUND);
		request_free(&a->requests, r);
	}
}

static void forget_processes(struct container *c)
{
	while (!list_empty(&c->processes)) {
		struct process *p =
			LIST_ITEM(c->processes.next, struct process, sibling);

		tell_waiters(c, p);
		process_forget(p);
	}
	c->init = NULL;
}

void container_free(struct container *c)
{
	struct containers *all = &c->agent->containers;
	const struct err gone = { .code = ENOENT,
				  .text = "the container was deleted" };

	list_remove(&c->node);
	list_remove(&c->bucket);
	all->n--;
	if (!all->closing) {
		slot_drop(&c->agent->slots, &c->slot);
		if (!c->init)
			pid1_withdraw(&c->agent->pid1, c->facts.number,
				      CONTROL_ROLE_ALL);
	}
	c->advancing = true; /* nothing begins any more */
	while (!list_empty(&c->ops))
		op_fail(LIST_ITEM(c->ops.next, struct op, node),
			HR_SYSTEM_NOT_FOUND, &gone);
	forget_processes(c);
	oom_unwatch(c->oom);
	ends_close(&c->ends);
	arena_done(&c->arena);
	free(c);
}

/* Nothing is answered any more. */
static void drop_ops(struct container *c)
{
	struct list *node;

	while ((node = list_pop(&c->ops)) != NULL) {
		struct op *op = LIST_ITEM(node, struct op, node);

		op->release(op);
	}
}

void containers_done(struct containers *all)
{
	struct list *node;

	all->closing = true;
	all->agent->processes.on_kept = NULL;
	while ((node = list_pop(&all->all)) != NULL) {
		struct container *c = LIST_ITEM(node, struct container, node);

		drop_ops(c);
		container_free(c);
	}
}

bool container_init_ended(const struct container *c)
{
	return c->init && c->init->state != PROCESS_LIVE;
}

/* --- who knows it ---------------------------------------------------------- */

bool container_known(const struct container *c)
{
	return c->named_on >= c->agent->epoch;
}

void container_named(struct container *c, bool waited)
{
	const bool news = !container_known(c);

	c->named_on = c->agent->conn.number;
	if (!news)
		return;
	notice_oom(c);
	if (reply_release(c->agent, c->facts.serial))
		c->facts.told_epoch = c->agent->epoch;
	else if (waited)
		notice_again(c);
	keep_container(c);
}

/* --- operations ------------------------------------------------------------ */

void *op_new(size_t size, struct container *c, op_fn *begin, op_fn *release)
{
	struct op *op = calloc(1, size);

	if (!op)
		return NULL;
	op->agent = c->agent;
	op->container = c;
	op->begin = begin;
	op->release = release;
	return op;
}

static void on_op_dropped(struct request *r)
{
	struct op *op = r->ctx;

	op->request = NULL;
}

/* An operation that fails at once ends inside of begin(): a loop, so that many
 * of them do not nest. */
static void advance(struct container *c)
{
	if (c->advancing)
		return;
	c->advancing = true;
	while (!list_empty(&c->ops)) {
		struct op *op = LIST_ITEM(c->ops.next, struct op, node);

		if (op->begun)
			break;
		op->begun = true;
		op->begin(op);
	}
	c->advancing = false;
}

static void push(struct op *op)
{
	struct container *c = op->container;

	list_init(&op->node);
	op->begun = false;
	list_push(&c->ops, &op->node);
	c->n_ops++;
	advance(c);
}

void op_answers(struct op *op, struct request *r)
{
	op->request = r;
	r->ctx = op;
	r->on_drop = on_op_dropped;
}

void op_queue(struct op *op, const struct answer_to *to)
{
	struct container *c = op->container;
	struct agent *a = c->agent;

	op->agent = a;
	op->request = NULL;
	if (c->n_ops < CONTAINER_OPS_MAX)
		op->request = request_new(&a->requests, to);
	if (!op->request) {
		(void)reply_error(a, to, HR_FAIL,
				  "too many requests in progress (%zu, %zu)",
				  a->requests.n, c->n_ops);
		op->release(op);
		return;
	}
	op_answers(op, op->request);
	push(op);
}

void op_queue_own(struct op *op)
{
	op->agent = op->container->agent;
	op->request = NULL;
	push(op);
}

void op_end(struct op *op)
{
	struct container *c = op->container;

	if (op->request)
		request_free(&op->agent->requests, op->request);
	op->request = NULL;
	list_remove(&op->node);
	c->n_ops--;
	op->release(op);
	advance(c);
}

void op_ok(struct op *op)
{
	if (op->request)
		(void)reply_ok(op->agent, &op->request->to);
	op_end(op);
}

void op_fail(struct op *op, uint32_t code, const struct err *e)
{
	if (op->request)
		(void)reply_error(op->agent, &op->request->to, code, "%s",
				  e->text);
	op_end(op);
}
