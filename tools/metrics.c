/*
 * tools/metrics.c - ferry metrics: counters of sandboxes as Prometheus text
 *
 * Without a name all that run are asked; one that ends meanwhile is left out.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build/proto/ferry.pb-c.h"
#include "config/util.h"
#include "tools/metrics_text.h"
#include "tools/remote.h"
#include "tools/sandboxes.h"
#include "tools/small.h"
#include "tools/tool.h"

#define LABELS_MAX 16u
/* Sandboxes that are asked at once. */
#define SANDBOXES_MAX 1024u
#define METRICS_MS 5000

struct asked {
	struct metrics_text *text;
	struct remote *remote;
	int result;
	struct err *e;
};

static int take_sample(struct asked *a, struct metrics_group *g,
		       const FerrySample *s)
{
	const char *label[2 * LABELS_MAX];
	const struct metrics_sample sample = {
		.suffix = s->suffix,
		.label = label,
		.n_labels = s->n_labels,
		.value = s->value,
	};

	if (s->n_labels > LABELS_MAX)
		return err_set(a->e, E2BIG, "%zu labels", s->n_labels);
	for (size_t i = 0; i < s->n_labels; i++) {
		label[2 * i] = s->labels[i]->name;
		label[2 * i + 1] = s->labels[i]->value;
	}
	return metrics_text_sample(a->text, g, a->remote->name, &sample, a->e);
}

static void on_metrics(void *ctx, const ProtobufCMessage *m)
{
	const FerryMetricsResponse *r = (const void *)m;
	struct asked *a = ctx;
	struct metrics_group *g = NULL;

	for (size_t i = 0; i < r->n_metrics && a->result == 0; i++) {
		const FerryMetric *one = r->metrics[i];

		a->result = metrics_text_group(a->text, one->name, one->help,
					       one->type, &g, a->e);
		for (size_t k = 0; k < one->n_samples && a->result == 0; k++)
			a->result = take_sample(a, g, one->samples[k]);
	}
}

static int ask(struct metrics_text *t, const char *name, struct err *e)
{
	FerryMetricsRequest q = FERRY_METRICS_REQUEST__INIT;
	struct remote r = { 0 };
	struct asked a = { .text = t, .remote = &r, .e = e };
	int n = remote_open(name, &r, e);

	if (n == 0)
		n = remote_ask(&r, "Metrics", &q.base,
			       &ferry_metrics_response__descriptor, on_metrics,
			       &a, METRICS_MS, e);
	remote_close(&r);
	return n < 0 ? n : a.result;
}

/* --- all of them ---------------------------------------------------------------- */

struct names {
	char name[SANDBOXES_MAX][RUNDIR_NAME_MAX];
	size_t n;
};

static void on_folder(void *ctx, const char *name, const char *path UNUSED,
		      bool alive)
{
	struct names *all = ctx;

	if (alive && all->n < SANDBOXES_MAX && strlen(name) < RUNDIR_NAME_MAX)
		memcpy(all->name[all->n++], name, strlen(name) + 1);
}

static int ask_all(struct metrics_text *t, struct err *e)
{
	static struct names all;
	int n = rundir_each(rundir_base(), on_folder, &all, e);

	for (size_t i = 0; i < all.n && n == 0; i++) {
		n = ask(t, all.name[i], e);
		if (n == -ENOENT || n == -ETIMEDOUT || n == -ENOTCONN)
			n = 0;
	}
	return n;
}

static int run_metrics(const struct words *w)
{
	static struct metrics_text t;
	struct text out;
	struct err e;
	int n;

	metrics_text_init(&t);
	text_heap(&out, METRICS_BYTES_MAX);
	n = w->n ? ask(&t, w->word[0], &e) : ask_all(&t, &e);
	if (n == 0)
		metrics_text_print(&t, &out);
	if (n == 0 && out.full)
		n = err_set(&e, E2BIG, "too many metrics");
	if (n == 0)
		(void)fputs(text_str(&out), stdout);
	text_done(&out);
	metrics_text_done(&t);
	return n < 0 ? tool_fail(&e) : TOOL_OK;
}

int tool_metrics(int argc, char **argv)
{
	static const struct small s = {
		.name = "metrics",
		.help = "usage: ferry metrics [SANDBOX]\n"
			"\n"
			"Prints what a sandbox, or each that runs, has counted, "
			"in Prometheus' text\nformat: connections, requests, "
			"bytes, drops, moves.\n",
		.options = "",
		.max = 1,
	};

	return small_run(&s, argc, argv, run_metrics);
}
