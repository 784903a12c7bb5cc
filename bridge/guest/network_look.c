/*
 * Waiting for interfaces: announcements of rtnetlink say when to look, a timer
 * looks too, and gives up at the deadline of each.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "bridge/guest/network_object.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"

static void on_links(void *ctx, uint32_t events)
{
	struct networks *all = ctx;

	(void)events;
	rtnl_monitor_drain(all->monitor);
	network_look(all);
}

static void on_look(void *ctx)
{
	network_look(ctx);
}

static void found(struct network_adapter *a, struct rtnl *n, const char *name)
{
	struct network_record *r = a->record;
	struct rtnl_link link;

	(void)snprintf(a->facts.name, sizeof(a->facts.name), "%s", name);
	if (rtnl_link_by_name(n, name, &link, NULL) == 0) {
		memcpy(a->facts.mac, link.mac, sizeof(link.mac));
		a->facts.mtu = link.mtu;
	}
	a->state = NETWORK_FOUND;
	list_remove(&a->waiting);
	network_kept(r);
	log_debug("adapter=%s namespace=%s link=%s found", a->facts.id, r->guid,
		  name);
	if (r->assigned)
		network_sync(r);
	else
		network_op_end(r->all, &a->op, 0, NULL);
}

static void given_up(struct network_adapter *a, const struct err *why)
{
	struct err e = *why;

	(void)err_wrap(&e, "adapter %s", a->facts.id);
	network_op_end(a->record->all, &a->op, err_code(&e), &e);
	network_adapter_free(a);
}

/* One look at each adapter that is waited for. */
static void look_at_each(struct networks *all, struct rtnl *n)
{
	const int64_t now = loop_now_ms(all->loop);
	struct list *next;

	for (struct list *p = all->waiting.next; p != &all->waiting; p = next) {
		struct network_adapter *a =
			LIST_ITEM(p, struct network_adapter, waiting);
		char name[IF_NAMESIZE];
		struct err e = { 0 };
		const int r = network_find(all->sys, n, &a->facts, name, &e);

		next = p->next;
		if (r == 0)
			found(a, n, name);
		else if (r != -ENODEV || now >= a->deadline_ms)
			given_up(a, &e);
	}
}

void network_look_end(struct networks *all)
{
	loop_cancel(all->loop, &all->timer);
	loop_unwatch(all->loop, &all->monitor_watch);
	fd_close(&all->monitor);
}

/* Without announcements the timer alone looks. */
static void subscribe(struct networks *all)
{
	struct err e = { 0 };

	if (all->monitor >= 0)
		return;
	all->monitor = rtnl_monitor(&e);
	if (all->monitor < 0 ||
	    loop_watch(all->loop, all->monitor, EPOLLIN, on_links, all,
		       &all->monitor_watch, &e) < 0) {
		log_warn("links are looked for by time: %s", e.text);
		fd_close(&all->monitor);
	}
}

void network_look(struct networks *all)
{
	struct rtnl n = { .fd = -1 };
	struct err e = { 0 };

	if (list_empty(&all->waiting)) {
		network_look_end(all);
		return;
	}
	subscribe(all); /* first, so that nothing comes in between */
	if (rtnl_open(&n, &e) == 0) {
		look_at_each(all, &n);
		rtnl_close(&n);
	}
	if (list_empty(&all->waiting)) {
		network_look_end(all);
		return;
	}
	if (loop_at(all->loop, loop_now_ms(all->loop) + NETWORK_LOOK_MS,
		    on_look, all, &all->timer, &e) == 0)
		return;
	while (!list_empty(&all->waiting))
		given_up(LIST_ITEM(all->waiting.next, struct network_adapter,
				   waiting),
			 &e);
}
