/* Announcing the addresses of all adapters: a child for each namespace. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/guest/announce.h"
#include "bridge/guest/network_object.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"

/* gcc does not see that a job keeps its argument. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

/**
 * struct round - one announcement of everything
 * @left:	children that have not ended
 * @sent:	addresses so far
 */
struct round {
	struct networks *all;
	struct network_op *op;
	size_t left;
	int sent;
};

/* What one child announces. */
struct part {
	struct round *round;
	int netns;
	size_t n;
	struct network_facts facts[];
};

/* In the child. Return: addresses that were announced, or -errno */
static int announce_run(void *arg, struct text *out, struct err *e)
{
	const struct part *p = arg;
	struct rtnl n = { .fd = -1 };
	int sent = 0;

	(void)out;
	if (p->netns >= 0 && setns(p->netns, CLONE_NEWNET) < 0)
		return err_sys(e, "enter the network namespace");
	if (rtnl_open(&n, e) < 0)
		return err_code(e);
	for (size_t i = 0; i < p->n; i++) {
		const struct network_facts *f = &p->facts[i];
		struct rtnl_link link;

		if (rtnl_link_by_name(&n, f->name, &link, e) < 0)
			continue; /* taken away meanwhile */
		for (unsigned int k = 0; k < f->n_addresses; k++)
			sent += announce_address(&link, &f->address[k].address,
						 e) == 0;
	}
	rtnl_close(&n);
	return sent;
}

static void round_end(struct round *r)
{
	network_op_end(r->all, &r->op, r->sent, NULL);
	free(r);
}

static void on_part(void *ctx, const struct job_result *job)
{
	struct part *p = ctx;
	struct round *r = p->round;

	if (job->result < 0)
		log_warn("addresses were not announced: %s", job->err.text);
	else
		r->sent += job->result;
	fd_close(&p->netns);
	free(p);
	if (--r->left == 0)
		round_end(r);
}

static struct part *part_new(struct network_record *record)
{
	struct part *p = calloc(1, sizeof(*p) + record->n_adapters *
							sizeof(p->facts[0]));

	if (!p)
		return NULL;
	p->netns = record->netns < 0 ? -1
				     : fcntl(record->netns, F_DUPFD_CLOEXEC, 3);
	for (struct list *n = record->adapters.next; n != &record->adapters;
	     n = n->next)
		if (NETWORK_ADAPTER(n)->state == NETWORK_UP)
			p->facts[p->n++] = NETWORK_ADAPTER(n)->facts;
	return p;
}

static int part_start(struct round *r, struct network_record *record,
		      struct err *e)
{
	struct part *p = part_new(record);
	const struct job_call call = {
		.name = "announce",
		.fn = announce_run,
		.arg = p,
		.class = JOB_WAIT,
		.deadline_ms = NETWORK_CONFIGURE_MS,
		.keep = p ? &p->netns : NULL,
		.n_keep = p && p->netns >= 0,
		.done = on_part,
		.ctx = p,
	};
	int code;

	if (!p)
		return err_set(e, ENOMEM, "no memory for an announcement");
	p->round = r;
	code = record->netns >= 0 && p->netns < 0
		       ? err_sys(e, "network namespace")
		       : job_call(r->all->jobs, &call, NULL, e);
	if (code < 0) {
		fd_close(&p->netns);
		free(p);
		return code;
	}
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the job has it */
	r->left++;
	return 0;
}

int network_announce(struct networks *all, network_done_fn *done, void *ctx,
		     struct err *e)
{
	struct round *r = calloc(1, sizeof(*r));

	if (!r)
		return err_set(e, ENOMEM, "no memory for an announcement");
	r->all = all;
	r->op = network_op_new(done, ctx, e);
	if (!r->op) {
		free(r);
		return err_code(e);
	}
	for (struct list *n = all->all.next; n != &all->all; n = n->next) {
		struct network_record *record =
			LIST_ITEM(n, struct network_record, node);
		struct err why = { 0 };

		if (record->assigned && record->n_adapters > 0 &&
		    part_start(r, record, &why) < 0)
			log_warn("addresses of %s were not announced: %s",
				 record->guid, why.text);
	}
	if (r->left == 0)
		round_end(r);
	return 0;
}
