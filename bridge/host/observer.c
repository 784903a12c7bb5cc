#include "bridge/host/observer.h"

#include <stddef.h>

void host_observer_add(struct host_observers *all, struct host_observer *o)
{
	o->prev = NULL;
	o->next = all->first;
	if (all->first)
		all->first->prev = o;
	all->first = o;
}

void host_observer_remove(struct host_observers *all, struct host_observer *o)
{
	if (all->cursor == o)
		all->cursor = o->next;
	if (o->prev)
		o->prev->next = o->next;
	else
		all->first = o->next;
	if (o->next)
		o->next->prev = o->prev;
	o->prev = NULL;
	o->next = NULL;
}

/* The next observer of a round that began with all->cursor = all->first. */
static struct host_observer *next_of(struct host_observers *all)
{
	struct host_observer *o = all->cursor;

	if (o)
		all->cursor = o->next;
	return o;
}

void host_observer_ready(struct host_observers *all,
			 const struct host_guest *guest)
{
	struct host_observer *o;

	all->cursor = all->first;
	while ((o = next_of(all)) != NULL)
		if (o->ready)
			o->ready(o->ctx, guest);
}

void host_observer_thawed(struct host_observers *all)
{
	struct host_observer *o;

	all->cursor = all->first;
	while ((o = next_of(all)) != NULL)
		if (o->thawed)
			o->thawed(o->ctx);
}

void host_observer_lost(struct host_observers *all, const struct err *why)
{
	struct host_observer *o;

	all->cursor = all->first;
	while ((o = next_of(all)) != NULL)
		if (o->lost)
			o->lost(o->ctx, why);
}

void host_observer_failed(struct host_observers *all, const struct err *why)
{
	struct host_observer *o;

	all->cursor = all->first;
	while ((o = next_of(all)) != NULL)
		if (o->failed)
			o->failed(o->ctx, why);
}

bool host_observer_notification(struct host_observers *all,
				const struct msg_notification *n)
{
	struct host_observer *o;
	bool known = false;

	all->cursor = all->first;
	while ((o = next_of(all)) != NULL)
		if (o->notification && o->notification(o->ctx, n))
			known = true;
	return known;
}

void host_observer_out_of_memory(struct host_observers *all,
				 const char *container_id, uint64_t count)
{
	struct host_observer *o;

	all->cursor = all->first;
	while ((o = next_of(all)) != NULL)
		if (o->out_of_memory)
			o->out_of_memory(o->ctx, container_id, count);
}
