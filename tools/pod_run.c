/*
 * Theory of operation, beside that of the header: pod_advance() looks at every
 * container and begins what can be begun; each end of an operation comes back
 * to it. A failure is told once, and whoever hears of it ends the sandbox,
 * which ends every operation that is still under way.
 */
#include "tools/pod_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"
#include "tools/pod_run_own.h"
#include "tools/start_code.h"
#include "tools/tool.h"

/* Ids in a UVM that has nothing else. */
#define POD_ID "pod"
#define STREAM_MAX 16

struct pod_item *pod_item_main(const struct pod_run *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->item[i].spec && p->item[i].spec->main)
			return &p->item[i];
	return NULL;
}

/* --- ends -------------------------------------------------------------------------- */

static void failed(struct pod_run *p, int code, const struct err *why)
{
	if (p->over)
		return;
	p->over = true;
	p->c.failed(p->c.ctx, code, why);
}

void pod_failed(struct pod_run *p, const struct err *why)
{
	failed(p, TOOL_CANNOT_RUN, why);
}

/* Of several containers, which one it is. */
static int of_item(const struct pod_item *i, struct err *e)
{
	return i->run->c.plan->shared ? err_wrap(e, "container %s", i->id)
				      : err_code(e);
}

static void item_failed(struct pod_item *i, const struct err *why)
{
	struct err e = *why;

	(void)of_item(i, &e);
	failed(i->run, runtime_code(why), &e);
}

/* All that count have ended: the code of the main one, or the first failure. */
static void look_for_end(struct pod_run *p)
{
	const struct pod_item *m = pod_item_main(p);
	uint32_t code = 0;

	if (p->over || (m && m->stage != POD_ENDED))
		return;
	for (size_t i = 0; i < p->n; i++) {
		const struct pod_item *x = &p->item[i];

		if (!m && x->spec && x->stage != POD_ENDED)
			return;
		if (x->spec && code == 0 && x->stage == POD_ENDED)
			code = x->status;
	}
	p->over = true;
	p->c.ended(p->c.ctx, (int)(m ? m->status : code));
}

/* --- the life of a container ---------------------------------------------------------- */

static void on_exited(struct op *op, int result, const struct err *e)
{
	struct pod_item *i = op->ctx;
	struct err why;

	i->stage = POD_ENDED;
	i->status = (uint32_t)op->value;
	if (i->run->over)
		return;
	if (result < 0) {
		item_failed(i, e);
		return;
	}
	if (!i->spec) {
		(void)err_set(&why, EIO, "it ended with %u", i->status);
		item_failed(i, &why);
		return;
	}
	look_for_end(i->run);
}

static void on_started(struct op *op, int result, const struct err *e)
{
	struct pod_item *i = op->ctx;
	struct pod_run *p = i->run;
	struct err why;

	if (p->over)
		return;
	if (result < 0) {
		item_failed(i, e);
		return;
	}
	i->stage = POD_RUNNING;
	i->op = (struct op){ .done = on_exited, .ctx = i };
	if (i->spec)
		report_phase(p->c.report, "process-started");
	if (i == pod_item_main(p))
		p->c.started(p->c.ctx, i->terminal);
	if (process_ctl_wait(i->ctl->init, &i->op, &why) < 0)
		item_failed(i, &why);
	else
		pod_advance(p);
}

static void on_created(struct op *op, int result, const struct err *e)
{
	struct pod_item *i = op->ctx;
	struct err why;

	if (i->run->over)
		return;
	if (result < 0) {
		i->ctl = NULL;
		item_failed(i, e);
		return;
	}
	if (i->spec)
		report_phase(i->run->c.report, "container-created");
	i->stage = POD_STARTING;
	i->op = (struct op){ .done = on_started, .ctx = i };
	if (process_ctl_start(i->ctl->init, &i->op, &why) < 0)
		item_failed(i, &why);
}

/* Input is the main container's, output goes where the plan says. */
static void streams(const struct pod_item *i, char words[][STREAM_MAX],
		    const char *path[GUEST_STREAMS])
{
	const bool main = i == pod_item_main(i->run);
	const bool in = main && (i->run->c.interactive || i->terminal ||
				 !isatty(STDIN_FILENO));

	for (int s = 0; s < GUEST_STREAMS; s++) {
		const bool file = s != GUEST_STDIN && i->out_fd >= 0;

		(void)snprintf(words[s], STREAM_MAX, "fd:%d",
			       file ? i->out_fd : s);
		path[s] = words[s];
	}
	if (!in)
		path[GUEST_STDIN] = "";
	if (i->terminal)
		path[GUEST_STDERR] = "";
	if (!i->spec)
		path[GUEST_STDOUT] = path[GUEST_STDERR] = "";
}

static struct container_disk disk_of(const struct pod_disk *d, bool read_only)
{
	return (struct container_disk){
		.disk = { .path = (char *)(uintptr_t)d->disk.path,
			  .read_only = read_only,
			  .kind = VMM_DISK_IMAGE },
		.mount = { .read_only = read_only,
			   .filesystem = (char *)(uintptr_t)disk_fs_name(
				   d->disk.fs) },
	};
}

static void create(struct pod_item *i)
{
	const struct container_disk layer = disk_of(i->layer, true);
	char words[GUEST_STREAMS][STREAM_MAX];
	struct container_spec spec = {
		.id = i->id,
		.bundle = bundle_rootfs(i->bundle),
		.layers = &layer,
		.n_layers = 1,
		.scratch = disk_of(&i->scratch, false),
		.init = { .terminal = i->terminal },
	};
	struct text document;
	struct err e;
	int r;

	text_heap(&document, BUNDLE_DOCUMENT_MAX);
	r = pod_item_document(i, &document, &e);
	if (r == 0) {
		spec.document = text_str(&document);
		streams(i, words, spec.init.stdio);
		i->stage = POD_CREATING;
		i->op = (struct op){ .done = on_created, .ctx = i };
		r = pod_ctl_container_new(i->run->pod, &spec, &i->ctl, &i->op,
					  &e);
	}
	text_done(&document);
	if (r < 0)
		item_failed(i, &e);
}

void pod_advance(struct pod_run *p)
{
	for (size_t i = 0; i < p->n && p->booted && !p->over; i++) {
		struct pod_item *x = &p->item[i];

		if (x->stage != POD_WAITING || !pod_disk_ready(x->layer) ||
		    !pod_disk_ready(&x->scratch))
			continue;
		if (x->spec && p->c.plan->shared &&
		    p->item[0].stage != POD_RUNNING)
			continue;
		create(x);
	}
}

/* --- the sandbox ------------------------------------------------------------------------ */

static void on_process_exited(void *ctx, const char *container_id,
			      const char *exec_id, uint32_t status,
			      uint64_t at_ns,
			      const struct host_process_end *end)
{
	struct pod_run *p = ctx;
	struct err e;

	if (!p->over && end->output_held)
		report_warning(
			p->c.report,
			"something that a process left behind keeps its output open; closed");
	if (!p->over && end->exited && end->output_cut) {
		(void)err_set(&e, EIO, "output of %s could not all be written",
			      container_id);
		pod_failed(p, &e);
	}
	(void)sandbox_ctl_process_exited(&p->ctl, container_id, exec_id, status,
					 at_ns);
}

static void on_vm_exited(void *ctx)
{
	struct pod_run *p = ctx;

	p->over = true; /* the sandbox's owner knows why */
	if (p->has_ctl)
		sandbox_ctl_vm_exited(&p->ctl);
}

static void on_booted(struct op *op, int result, const struct err *e)
{
	struct pod_run *p = op->ctx;
	struct err why;

	if (p->over)
		return;
	if (result < 0) {
		pod_failed(p, e);
		return;
	}
	if (sandbox_ctl_pod_new(&p->ctl, p->item[0].id, pod_namespace(p),
				&p->pod, &why) < 0 ||
	    pod_network_add(p, &why) < 0) {
		pod_failed(p, &why);
		return;
	}
	p->booted = true;
	pod_advance(p);
}

/* The task service's events: nobody listens here. */
static void no_event(void *ctx UNUSED, const struct task_event *t UNUSED)
{
}

static const struct task_events no_events = {
	.created = no_event,
	.started = no_event,
	.exec_added = no_event,
	.exec_started = no_event,
	.exit = no_event,
	.deleted = no_event,
	.oom = no_event,
};

/* Two disks for each container, at most. */
static uint32_t controllers(const struct pod_run *p)
{
	return 1 + (uint32_t)(2 * p->n / QEMU_LUNS);
}

void pod_run_devices(const struct pod_run *p, struct sandbox_config *config)
{
	config->scsi = controllers(p);
	config->nics = p->c.plan->network == POD_NETWORK_USER
			       ? 1
			       : (uint32_t)p->c.plan->n_adapters;
}

static int control(struct pod_run *p, struct err *e)
{
	const struct ops_config config = {
		.loop = p->c.loop,
		.sandbox = p->sandbox,
		.streams = pod_streams,
		.process_exited = on_process_exited,
		.vm_exited = on_vm_exited,
		.ctx = p,
	};
	static const char document[] = "{}";
	const struct vm_spec vm = {
		.id = POD_ID,
		.document = document,
		.document_len = sizeof(document) - 1,
		.n_controllers = controllers(p),
		.architecture = "amd64",
	};
	struct seams seams = { .events = &no_events };
	int r = ops_new(&config, &p->ops, e);

	if (r < 0)
		return r;
	ops_seams(p->ops, &seams);
	r = sandbox_ctl_init(&p->ctl, POD_ID, &seams, e);
	p->has_ctl = r == 0;
	if (r == 0)
		r = vm_ctl_set(&p->ctl.vm, &vm, e);
	p->boot = (struct op){ .done = on_booted, .ctx = p };
	return r < 0 ? r : vm_ctl_boot(&p->ctl.vm, &p->boot, e);
}

void pod_run_ready(struct pod_run *p, struct sandbox *s)
{
	struct err e;

	p->sandbox = s;
	if (!p->over && control(p, &e) < 0)
		pod_failed(p, &e);
}

void pod_run_ended(struct pod_run *p)
{
	p->over = true;
	if (p->ops)
		ops_ended(p->ops);
}

/* --- beginning and end --------------------------------------------------------------------- */

static int open_item(struct pod_run *p, const struct pod_container *spec,
		     struct err *e)
{
	struct pod_item *i = &p->item[p->n++];
	int r;

	i->run = p;
	i->spec = spec;
	i->id = spec ? spec->name : POD_ID;
	i->out_fd = -1;
	i->scratch.run = p;
	i->scratch.disk.fd = -1;
	if (!spec)
		return pod_pause_open(&i->bundle, e);
	r = bundle_open(spec->bundle, &i->bundle, e);
	if (r < 0)
		return of_item(i, e);
	/* A bundle's wish for a terminal counts where there is one. */
	i->terminal = spec->main &&
		      (p->c.tty || (bundle_terminal(i->bundle) &&
				    isatty(STDIN_FILENO) && !*spec->output));
	if (!*spec->output)
		return 0;
	i->out_fd = open(spec->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			 0666);
	return i->out_fd < 0 ? err_sys(e, "%s", spec->output) : 0;
}

int pod_run_new(const struct pod_run_config *c, struct pod_run **ret,
		struct err *e)
{
	struct pod_run *p = calloc(1, sizeof(*p));
	int r = 0;

	if (!p)
		return err_set(e, ENOMEM, "pod");
	p->c = *c;
	p->item = calloc(c->plan->n + 1, sizeof(*p->item));
	p->layer = calloc(c->plan->n + 1, sizeof(*p->layer));
	if (!p->item || !p->layer)
		r = err_set(e, ENOMEM, "pod");
	if (r == 0 && c->plan->shared)
		r = open_item(p, NULL, e);
	for (size_t i = 0; r == 0 && i < c->plan->n; i++)
		r = open_item(p, &c->plan->container[i], e);
	if (r < 0) {
		pod_run_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void pod_run_free(struct pod_run *p)
{
	if (!p)
		return;
	if (p->has_ctl)
		sandbox_ctl_done(&p->ctl);
	ops_free(p->ops);
	pod_disks_done(p);
	for (size_t i = 0; i < p->n; i++) {
		bundle_free(p->item[i].bundle);
		fd_close(&p->item[i].out_fd);
	}
	free(p->item);
	free(p->layer);
	free(p);
}

/* --- signals ---------------------------------------------------------------------------------- */

static void on_signalled(struct op *op, int result UNUSED,
			 const struct err *e UNUSED)
{
	free(op);
}

static bool signal_item(struct pod_item *i, int number)
{
	struct op *op;
	struct err e;

	if (!i->spec || i->stage != POD_RUNNING)
		return false;
	op = calloc(1, sizeof(*op));
	if (!op)
		return false;
	op->done = on_signalled;
	if (process_ctl_kill(i->ctl->init, (uint32_t)number, op, &e) == 0)
		return true;
	free(op);
	return false;
}

bool pod_run_signal(struct pod_run *p, int number)
{
	struct pod_item *m = pod_item_main(p);
	bool any = false;

	if (m)
		return signal_item(m, number);
	for (size_t i = 0; i < p->n; i++)
		any = signal_item(&p->item[i], number) || any;
	return any;
}

void pod_run_resize(struct pod_run *p, uint16_t height, uint16_t width)
{
	const struct host_done nobody = { 0 };
	const struct pod_item *m = pod_item_main(p);
	struct host_process *process;
	struct err e;

	if (!m || !m->terminal || m->stage != POD_RUNNING)
		return;
	process = ops_process(p->ops, m->id, "");
	if (process)
		(void)host_process_resize(process, height, width, &nobody,
					  &e); /* it may have ended just now */
}
