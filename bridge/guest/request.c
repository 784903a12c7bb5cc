#include "bridge/guest/request.h"

#include <stdlib.h>

void requests_init(struct requests *all, struct loop *l)
{
	all->loop = l;
	all->n = 0;
	all->slots = NULL;
	all->kept = 0;
	all->max = REQUESTS_MAX;
	list_init(&all->all);
	for (size_t i = 0; i < REQUEST_BUCKETS; i++)
		list_init(&all->bucket[i]);
}

static struct list *bucket_of(struct requests *all, uint64_t id)
{
	return &all->bucket[id % REQUEST_BUCKETS]; /* ids count upwards */
}

struct request *request_new(struct requests *all, const struct answer_to *to)
{
	struct request *r;

	if (all->n >= all->max)
		return NULL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->to = *to;
	r->loop = all->loop;
	r->slot = all->kept;
	all->kept = 0;
	list_init(&r->waiting);
	list_push(&all->all, &r->node);
	list_push(bucket_of(all, to->id), &r->bucket);
	all->n++;
	return r;
}

void request_free(struct requests *all, struct request *r)
{
	list_remove(&r->node);
	list_remove(&r->bucket);
	list_remove(&r->waiting);
	if (all->slots)
		slot_drop(all->slots, &r->slot);
	loop_cancel(r->loop, &r->timer);
	all->n--;
	free(r);
}

void request_pass(struct requests *all, struct request *r)
{
	all->kept = r->slot;
	r->slot = 0;
	request_free(all, r);
}

void request_passed(struct requests *all)
{
	if (all->slots)
		slot_drop(all->slots, &all->kept);
}

struct request *request_find(struct requests *all, uint64_t id)
{
	const struct list *head = bucket_of(all, id);

	for (struct list *l = head->prev; l != head; l = l->prev) {
		struct request *r = LIST_ITEM(l, struct request, bucket);

		if (r->to.id == id)
			return r;
	}
	return NULL;
}

static void request_drop(struct requests *all, struct request *r)
{
	if (r->on_drop)
		r->on_drop(r);
	request_free(all, r);
}

void requests_done(struct requests *all)
{
	struct list *node;

	all->slots = NULL; /* they are not over */
	while ((node = list_pop(&all->all)) != NULL)
		request_drop(all, LIST_ITEM(node, struct request, node));
}

void requests_drop_id(struct requests *all, uint64_t id, uint32_t conn)
{
	struct list *head = bucket_of(all, id);
	struct list *next;

	for (struct list *l = head->next; l != head; l = next) {
		struct request *r = LIST_ITEM(l, struct request, bucket);

		next = l->next;
		if (r->to.id == id && r->to.conn < conn)
			request_drop(all, r);
	}
}

void requests_drop_before(struct requests *all, uint32_t conn)
{
	struct list *next;

	/* Oldest first, so the first newer one ends it. */
	for (struct list *l = all->all.next; l != &all->all; l = next) {
		struct request *r = LIST_ITEM(l, struct request, node);

		if (r->to.conn >= conn)
			break;
		next = l->next;
		if (r->to.keep == 0)
			request_drop(all, r);
	}
}
