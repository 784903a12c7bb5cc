/*
 * Moving and configuring adapters: a child of the agent, which enters the
 * namespace where they go. It has a socket in either namespace, opened before
 * and after it entered, and needs to go back nowhere. What fails undoes what
 * was done, last first: links come back to where they were found, down, with
 * the MTU that they had.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/guest/dhcp.h"
#include "bridge/guest/network_object.h"
#include "bridge/io/fd.h"

/**
 * struct places - both namespaces; the same one on a host network
 * @home:	the agent's, to bring links back
 */
struct places {
	const struct network_work *work;
	struct rtnl from;
	struct rtnl to;
	int home;
};

/* A namespace that a runtime made may have its loopback down. */
static void loopback_up(struct places *p)
{
	struct rtnl_link lo;

	if (rtnl_link_by_name(&p->to, "lo", &lo, NULL) == 0)
		(void)rtnl_link_up(&p->to, lo.index, true, NULL);
}

static int open_places(struct places *p, struct err *e)
{
	const int netns = p->work->netns;

	if (rtnl_open(&p->from, e) < 0)
		return err_code(e);
	p->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (p->home < 0)
		return err_sys(e, "own network namespace");
	if (netns >= 0 && setns(netns, CLONE_NEWNET) < 0)
		return err_sys(e, "enter the network namespace");
	if (rtnl_open(&p->to, e) < 0)
		return err_code(e);
	loopback_up(p);
	return 0;
}

/* --- one adapter ----------------------------------------------------------- */

/* Has a child of an earlier agent brought it there? Then it is down now. */
static bool is_there(struct places *p, struct network_task *t)
{
	struct rtnl_link link;

	memcpy(t->was, t->facts.name, sizeof(t->was));
	t->mtu = t->facts.mtu;
	if (!t->again || p->work->netns < 0 || t->mtu == 0 ||
	    rtnl_link_by_mac(&p->to, t->facts.mac, &link, NULL) < 0 ||
	    rtnl_link_up(&p->to, link.index, false, NULL) < 0)
		return false;
	memcpy(t->facts.name, link.name, sizeof(link.name));
	t->index = link.index;
	t->moved = true;
	return true;
}

/* Finds the link by its name, takes it down, and brings it where it goes. Its
 * name and index may be others there. */
static int bring(struct places *p, struct network_task *t, struct err *e)
{
	struct rtnl_link link;

	if (is_there(p, t))
		return 0;
	if (rtnl_link_by_name(&p->from, t->facts.name, &link, e) < 0 ||
	    rtnl_link_up(&p->from, link.index, false, e) < 0)
		return err_code(e);
	if (t->mtu == 0)
		t->mtu = link.mtu;
	t->index = link.index;
	if (p->work->netns >= 0) {
		memcpy(t->facts.name, t->want, sizeof(t->facts.name));
		if (rtnl_link_move(&p->from, link.index, p->work->netns,
				   t->facts.name, e) < 0)
			return err_code(e);
		t->moved = true;
		if (rtnl_link_by_name(&p->to, t->facts.name, &link, e) < 0)
			return err_wrap(e, "after the move");
	}
	t->index = link.index;
	return 0;
}

static int set_mtu(struct places *p, const struct network_task *t,
		   struct err *e)
{
	if (t->facts.encap == 0)
		return 0;
	if (t->facts.encap >= t->mtu)
		return err_set(e, EINVAL, "EncapOverhead %u, MTU %u",
			       t->facts.encap, t->mtu);
	return rtnl_link_mtu(&p->to, t->index, t->mtu - t->facts.encap, e);
}

static int add_addresses(struct places *p, const struct network_task *t,
			 struct err *e)
{
	for (unsigned int i = 0; i < t->facts.n_addresses; i++) {
		const struct network_address *a = &t->facts.address[i];

		if (rtnl_address_add(&p->to, t->index, &a->address, a->prefix,
				     e) < 0)
			return err_code(e);
		if (t->facts.low_metric &&
		    rtnl_rule_add(&p->to, &a->address, RTNL_TABLE_SECOND,
				  RTNL_RULE_PRIORITY, e) < 0)
			return err_code(e);
	}
	return 0;
}

static int add_routes(struct places *p, const struct network_task *t,
		      struct err *e)
{
	for (unsigned int i = 0; i < t->facts.n_routes; i++) {
		const struct network_route *r = &t->facts.route[i];
		struct rtnl_route route = {
			.destination = r->destination.address,
			.prefix = r->destination.prefix,
			.gateway = r->gateway,
			.index = t->index,
			.metric = r->metric,
		};

		if (t->facts.low_metric) {
			route.table = RTNL_TABLE_SECOND;
			if (route.metric == 0)
				route.metric = RTNL_METRIC_SECOND;
		}
		if (rtnl_route_via(&p->to, &route, e) < 0)
			return err_code(e);
	}
	return 0;
}

/* The lease of a server; routes of its own choice make no error. */
static int by_dhcp(struct places *p, const struct network_task *t,
		   struct err *e)
{
	const struct network_work *w = p->work;
	struct dhcp_lease lease;

	if (dhcp_run(w->dhcp_client, w->dhcp_script, t->facts.name, w->dhcp_ms,
		     &lease, e) < 0)
		return err_code(e);
	if (!lease.told)
		return 0;
	if (rtnl_address_add(&p->to, t->index, &lease.address, lease.prefix,
			     e) < 0)
		return err_code(e);
	for (unsigned int i = 0; i < lease.n_routers; i++) {
		const struct rtnl_route route = { .gateway = lease.router[i],
						  .index = t->index,
						  .metric = i };
		const int r = rtnl_route_via(&p->to, &route, e);

		if (r < 0 && r != -EEXIST)
			return r;
	}
	return 0;
}

static int configure(struct places *p, const struct network_task *t,
		     struct err *e)
{
	if (set_mtu(p, t, e) < 0 || rtnl_link_up(&p->to, t->index, true, e) < 0)
		return err_code(e);
	if (t->facts.n_addresses == 0 && by_dhcp(p, t, e) < 0)
		return err_code(e);
	if (add_addresses(p, t, e) < 0 || add_routes(p, t, e) < 0)
		return err_code(e);
	return 0;
}

/* Best effort: the error that counts is the one that led here. */
static void undo(struct places *p, struct network_task *t)
{
	if (t->index == 0)
		return; /* not touched yet */
	(void)rtnl_link_up(&p->to, t->index, false, NULL);
	if (t->facts.encap != 0)
		(void)rtnl_link_mtu(&p->to, t->index, t->mtu, NULL);
	if (t->moved)
		(void)rtnl_link_move(&p->to, t->index, p->home, t->was, NULL);
}

/* What is not there is at home, or gone. */
static void take_back(struct places *p, struct network_task *t)
{
	struct rtnl_link link;

	if (!is_there(p, t) && p->work->netns < 0 &&
	    rtnl_link_by_name(&p->from, t->facts.name, &link, NULL) == 0)
		t->index = link.index;
	undo(p, t);
	memcpy(t->facts.name, t->was, sizeof(t->was));
}

/* --- all of them ----------------------------------------------------------- */

static int run(struct places *p, struct network_work *w, struct text *out,
	       struct err *e)
{
	size_t i;
	int r = open_places(p, e);

	for (i = 0; r == 0 && i < w->n; i++) {
		if (w->back)
			take_back(p, &w->task[i]);
		else
			r = bring(p, &w->task[i], e);
		if (r == 0 && !w->back)
			r = configure(p, &w->task[i], e);
		if (r < 0)
			(void)err_wrap(e, "adapter %.40s", w->task[i].facts.id);
		text_addf(out, "%s\n", w->task[i].facts.name);
	}
	while (r < 0 && i-- > 0)
		undo(p, &w->task[i]);
	return r;
}

int network_work_run(void *arg, struct text *out, struct err *e)
{
	struct network_work *w = arg;
	struct places p = {
		.work = w, .from = { .fd = -1 }, .to = { .fd = -1 }, .home = -1
	};
	const int r = run(&p, w, out, e);

	rtnl_close(&p.from);
	rtnl_close(&p.to);
	fd_close(&p.home);
	return r;
}
