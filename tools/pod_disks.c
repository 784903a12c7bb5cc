/* The disks of tools/pod_run.h: started together, told as one progress */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "tools/pod_run_own.h"

#define MIB ((uint64_t)1024 * 1024)

bool pod_disk_ready(const struct pod_disk *d)
{
	return d->disk.fd >= 0;
}

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
	const struct pod_disk *d = ctx;

	report_progress(d->run->c.report, d->of, done, total);
}

static void on_done(void *ctx, int result, struct disk *disk,
		    const struct err *e)
{
	struct pod_disk *d = ctx;
	struct pod_run *p = d->run;
	struct err why;

	disk_job_free(d->job);
	d->job = NULL;
	if (d->of)
		report_progress_end(p->c.report);
	if (result < 0) {
		why = *e;
		(void)err_wrap(&why, d->of ? "root file system" : "scratch");
		pod_failed(p, &why);
		return;
	}
	d->disk = *disk;
	pod_advance(p);
}

static int start(struct pod_disk *d, uint64_t scratch, struct err *e)
{
	const struct disk_wish w = {
		.source = d->of,
		.fs = d->run->c.fs,
		.size = scratch,
	};
	const struct disk_handler h = {
		.progress = d->of ? on_progress : NULL,
		.done = on_done,
		.ctx = d,
	};

	return disk_start(d->run->c.loop, &w, &h, &d->job, e);
}

/* The disk of a folder, the same for all who have it. */
static struct pod_disk *layer_of(struct pod_run *p, const char *folder)
{
	struct pod_disk *d = p->layer;

	while (d < p->layer + p->n_layers && strcmp(d->of, folder) != 0)
		d++;
	if (d == p->layer + p->n_layers) {
		*d = (struct pod_disk){ .run = p, .of = folder };
		d->disk.fd = -1;
		p->n_layers++;
	}
	return d;
}

int pod_run_disks(struct pod_run *p, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < p->n; i++)
		p->item[i].layer =
			layer_of(p, bundle_rootfs(p->item[i].bundle));
	for (size_t i = 0; r == 0 && i < p->n_layers; i++)
		r = start(&p->layer[i], 0, e);
	for (size_t i = 0; r == 0 && i < p->n; i++) {
		const struct pod_container *c = p->item[i].spec;
		uint64_t size = c ? c->scratch_mib * MIB : DISK_SCRATCH_MIN;

		r = start(&p->item[i].scratch,
			  size ? size : DISK_SCRATCH_DEFAULT, e);
	}
	return r;
}

void pod_disks_done(struct pod_run *p)
{
	for (size_t i = 0; i < p->n; i++) {
		disk_job_free(p->item[i].scratch.job);
		disk_done(&p->item[i].scratch.disk);
	}
	for (size_t i = 0; i < p->n_layers; i++) {
		disk_job_free(p->layer[i].job);
		disk_done(&p->layer[i].disk);
	}
}
