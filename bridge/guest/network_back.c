/*
 * An adapter that is taken from a pod: a child brings its link back to where it
 * was found, down and with the MTU that it had. The host unplugs it there, or
 * gives it to the pod again with other settings, as at the end of a move.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/guest/network_object.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"

/* gcc loses sight of memory that only a job holds. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

/**
 * struct giving - what the child does
 * @op:		the Remove that is not answered yet
 * @guid:	of the record, which is kept as it was until the link is back
 * @netns:	where the link is
 */
struct giving {
	struct networks *all;
	struct network_op *op;
	char guid[NETWORK_ID_MAX];
	int netns;
	char name[IF_NAMESIZE];
	uint8_t mac[RTNL_MAC_SIZE];
	uint16_t encap;
};

/* A pod may call it something else by now. */
static int find(struct rtnl *n, const struct giving *g, struct rtnl_link *ret,
		struct err *e)
{
	static const uint8_t none[RTNL_MAC_SIZE];

	return memcmp(g->mac, none, sizeof(none)) == 0
		       ? rtnl_link_by_name(n, g->name, ret, e)
		       : rtnl_link_by_mac(n, g->mac, ret, e);
}

static int bring_home(struct rtnl *n, const struct giving *g, int home,
		      struct err *e)
{
	char name[IF_NAMESIZE];
	struct rtnl_link link;
	int r = find(n, g, &link, e);

	if (r == -ENODEV)
		return 0; /* unplugged before */
	if (r == 0)
		r = rtnl_link_up(n, link.index, false, e);
	if (r == 0 && g->encap != 0)
		r = rtnl_link_mtu(n, link.index, link.mtu + g->encap, e);
	if (r < 0)
		return r;
	memcpy(name, link.name, sizeof(name));
	return rtnl_link_move(n, link.index, home, name, e);
}

static int in_child(void *arg, struct text *out, struct err *e)
{
	const struct giving *g = arg;
	struct rtnl n = { .fd = -1 };
	cleanup_fd home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int r;

	(void)out;
	if (home < 0 || setns(g->netns, CLONE_NEWNET) < 0)
		return err_sys(e, "enter the network namespace");
	r = rtnl_open(&n, e);
	if (r == 0)
		r = bring_home(&n, g, home, e);
	rtnl_close(&n);
	return r;
}

static void on_given(void *ctx, const struct job_result *job)
{
	struct giving *g = ctx;
	struct network_record *r = network_record_find(g->all, g->guid);

	if (r)
		network_kept(r);
	log_info("link=%s result=%d taken from its pod", g->name, job->result);
	network_op_end(g->all, &g->op, job->result, &job->err);
	fd_close(&g->netns);
	free(g);
}

int network_give_back(const struct network_adapter *a, struct network_op **op,
		      struct err *e)
{
	struct networks *all = a->record->all;
	struct giving *g = calloc(1, sizeof(*g));
	struct job_call call = {
		.name = "network",
		.fn = in_child,
		.arg = g,
		.class = JOB_WAIT,
		.deadline_ms = NETWORK_CONFIGURE_MS,
		.done = on_given,
		.ctx = g,
	};
	int r;

	if (!g)
		return err_set(e, ENOMEM, "no memory for a network request");
	g->all = all;
	g->encap = a->facts.encap;
	memcpy(g->guid, a->record->guid, sizeof(g->guid));
	memcpy(g->name, a->facts.name, sizeof(g->name));
	memcpy(g->mac, a->facts.mac, sizeof(g->mac));
	g->netns = fcntl(a->record->netns, F_DUPFD_CLOEXEC, 3);
	call.keep = &g->netns;
	call.n_keep = 1;
	r = g->netns < 0 ? err_sys(e, "network namespace")
			 : job_call(all->jobs, &call, NULL, e);
	if (r < 0) {
		fd_close(&g->netns);
		free(g);
		return r;
	}
	g->op = *op;
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the job has it */
	*op = NULL;
	return 0;
}
