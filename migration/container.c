#include "migration/container.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config/util.h"
#include "migration/container_life.h"
#include "migration/lists.h"
#include "migration/sandbox.h"
#include "migration/status.h"

/* clang-format off */
static const char *const states[] = {
	[CONTAINER_NOT_CREATED] = "not created",
	[CONTAINER_CREATED] = "created",
	[CONTAINER_RUNNING] = "running",
	[CONTAINER_STOPPED] = "stopped",
	[CONTAINER_INVALID] = "invalid",
	[CONTAINER_DESTINATION_MIGRATING] = "destination-migrating",
	[CONTAINER_SOURCE_MIGRATING] = "source-migrating",
};

static const char *const events[] = {
	[CONTAINER_EV_CREATE] = "create",
	[CONTAINER_EV_START] = "start",
	[CONTAINER_EV_EXEC] = "exec",
	[CONTAINER_EV_KILL] = "kill",
	[CONTAINER_EV_QUERY] = "pids or statistics",
	[CONTAINER_EV_UPDATE] = "update",
	[CONTAINER_EV_EXIT] = "exit",
	[CONTAINER_EV_DELETE] = "delete",
	[CONTAINER_EV_DELETE_EXEC] = "delete exec",
	[CONTAINER_EV_SAVE] = "save",
	[CONTAINER_EV_PATCH] = "patch",
	[CONTAINER_EV_RESUME] = "resume",
	[CONTAINER_EV_ABORT] = "abort",
};

#define NOT_CREATED MACHINE_BIT(CONTAINER_NOT_CREATED)
#define CREATED MACHINE_BIT(CONTAINER_CREATED)
#define RUNNING MACHINE_BIT(CONTAINER_RUNNING)
#define STOPPED MACHINE_BIT(CONTAINER_STOPPED)
#define INVALID MACHINE_BIT(CONTAINER_INVALID)
#define DESTINATION MACHINE_BIT(CONTAINER_DESTINATION_MIGRATING)
#define SOURCE MACHINE_BIT(CONTAINER_SOURCE_MIGRATING)

static const struct machine_row rows[] = {
	{ NOT_CREATED, CONTAINER_EV_CREATE, MACHINE_GO, CONTAINER_CREATED, CONTAINER_INVALID, 0, "disks, layers, Create; /tasks/create" },
	{ CREATED, CONTAINER_EV_START, MACHINE_GO, CONTAINER_RUNNING, MACHINE_SAME, 0, "/tasks/start" },
	{ RUNNING, CONTAINER_EV_EXEC, MACHINE_GO, MACHINE_SAME, MACHINE_SAME, 0, "/tasks/exec-added" },
	{ CREATED | RUNNING, CONTAINER_EV_KILL, MACHINE_GO, MACHINE_SAME, MACHINE_SAME, 0, "" },
	{ STOPPED | INVALID, CONTAINER_EV_KILL, MACHINE_NOOP, MACHINE_SAME, MACHINE_SAME, 0, "" },
	{ CREATED | RUNNING, CONTAINER_EV_QUERY, MACHINE_GO, MACHINE_SAME, MACHINE_SAME, 0, "" },
	{ CREATED | RUNNING, CONTAINER_EV_UPDATE, MACHINE_GO, MACHINE_SAME, MACHINE_SAME, 0, "" },
	{ CREATED | RUNNING | SOURCE, CONTAINER_EV_EXIT, MACHINE_GO, CONTAINER_STOPPED, MACHINE_SAME, 0, "/tasks/exit" },
	{ DESTINATION, CONTAINER_EV_EXIT, MACHINE_GO, CONTAINER_STOPPED, MACHINE_SAME, 0, "the VM ended: /tasks/exit" },
	{ STOPPED | INVALID, CONTAINER_EV_EXIT, MACHINE_NOOP, MACHINE_SAME, MACHINE_SAME, 0, "" },
	{ CREATED | STOPPED | INVALID, CONTAINER_EV_DELETE, MACHINE_GO, CONTAINER_NOT_CREATED, MACHINE_SAME, 0, "releases all; /tasks/delete" },
	{ CREATED | RUNNING | STOPPED | INVALID, CONTAINER_EV_DELETE_EXEC, MACHINE_GO, MACHINE_SAME, MACHINE_SAME, 0, "/tasks/delete" },
	{ RUNNING | SOURCE, CONTAINER_EV_SAVE, MACHINE_GO, CONTAINER_SOURCE_MIGRATING, MACHINE_SAME, 0, "only with exactly the init process" },
	{ DESTINATION, CONTAINER_EV_PATCH, MACHINE_GO, MACHINE_SAME, MACHINE_SAME, 0, "layer paths, stdio, new id last" },
	{ DESTINATION, CONTAINER_EV_RESUME, MACHINE_GO, CONTAINER_RUNNING, MACHINE_SAME, 0, "opens it in the guest; /tasks/create, /tasks/start" },
	{ SOURCE, CONTAINER_EV_RESUME, MACHINE_GO, CONTAINER_RUNNING, MACHINE_SAME, 0, "stdio of every process" },
	{ RUNNING | STOPPED, CONTAINER_EV_RESUME, MACHINE_NOOP, MACHINE_SAME, MACHINE_SAME, 0, "exited meanwhile: stays so" },
	{ DESTINATION, CONTAINER_EV_ABORT, MACHINE_GO, CONTAINER_STOPPED, MACHINE_SAME, 0, "exit status 137; /tasks/exit" },
	{ CREATED | RUNNING | STOPPED | INVALID, CONTAINER_EV_ABORT, MACHINE_NOOP, MACHINE_SAME, MACHINE_SAME, 0, "" },
};
/* clang-format on */

const struct machine container_machine = {
	.name = "container",
	.states = states,
	.n_states = ARRAY_LEN(states),
	.events = events,
	.n_events = ARRAY_LEN(events),
	.rows = rows,
	.n_rows = ARRAY_LEN(rows),
};

const struct seams *container_ctl_seams(const struct container_ctl *c)
{
	return &c->pod->sandbox->seams;
}

bool container_ctl_is_sandbox(const struct container_ctl *c)
{
	return strcmp(c->id, c->pod->id) == 0;
}

int container_ctl_check(const struct container_ctl *c,
			enum container_event event, struct err *e)
{
	int r = machine_check(&container_machine, c->state, event, e);

	return r < 0 ? r : 0;
}

struct process_ctl *container_ctl_process(const struct container_ctl *c,
					  const char *exec_id)
{
	struct process_ctl *p;

	for (p = c->processes; p; p = p->next)
		if (strcmp(p->exec_id, exec_id) == 0)
			return p;
	return NULL;
}

static void layers_free(struct container_layer *layers, size_t n)
{
	size_t i;

	for (i = 0; layers && i < n; i++)
		free(layers[i].guest_path);
	free(layers);
}

static void release(struct container_ctl *c)
{
	assert(!c->seq.busy);
	while (c->processes)
		process_ctl_free(c->processes);
	layers_free(c->layers, c->n_layers);
	layers_free(c->disks, c->n_disks);
	free(c->scratch.guest_path);
	free(c->id);
	free(c->gcs_id);
	free(c->bundle);
	free(c->guest_bundle);
	free(c->rootfs);
	free(c->document);
	free(c);
}

void container_ctl_free(struct container_ctl *c)
{
	pod_ctl_remove(c->pod, c);
	release(c);
}

int container_ctl_paths(struct container_ctl *c, struct err *e)
{
	free(c->guest_bundle);
	free(c->rootfs);
	c->guest_bundle =
		names_join("/run/gcs/pods/%s/%s", c->pod->gcs_id, c->gcs_id);
	c->rootfs = names_join("/run/gcs/pods/%s/%s/rootfs", c->pod->gcs_id,
			       c->gcs_id);
	if (!c->guest_bundle || !c->rootfs)
		return err_set(e, ENOMEM, "container: no memory");
	return 0;
}

static int new_parts(struct container_ctl *c, const struct container_spec *spec,
		     struct err *e)
{
	struct process_spec init = spec->init;
	int r;

	if (names_copy(spec->id, &c->id, e) < 0 ||
	    names_copy(spec->id, &c->gcs_id, e) < 0 ||
	    names_copy(spec->bundle, &c->bundle, e) < 0 ||
	    names_copy(spec->document, &c->document, e) < 0)
		return -ENOMEM;
	c->layers = calloc(spec->n_layers + 1, sizeof(*c->layers));
	c->disks = calloc(spec->n_disks + 1, sizeof(*c->disks));
	if (container_ctl_paths(c, e) < 0 || !c->layers || !c->disks)
		return err_set(e, ENOMEM, "container: no memory");
	c->n_layers = spec->n_layers;
	c->n_disks = spec->n_disks;
	c->has_scratch = spec->n_layers > 0 && spec->scratch.disk.path;
	init.exec_id = "";
	init.document = NULL;
	r = process_ctl_new(c, &init, &c->init, e);
	return r < 0 ? r : 0;
}

struct container_ctl *container_ctl_new(struct pod_ctl *p,
					const struct container_spec *spec,
					struct err *e)
{
	struct container_ctl *c = calloc(1, sizeof(*c));

	if (!c) {
		(void)err_set(e, ENOMEM, "container: no memory");
		return NULL;
	}
	c->pod = p;
	if (new_parts(c, spec, e) < 0) {
		release(c);
		return NULL;
	}
	return c;
}

int container_ctl_exec(struct container_ctl *c, const struct process_spec *spec,
		       struct process_ctl **ret, struct err *e)
{
	const struct seams *s = container_ctl_seams(c);
	struct task_event event;
	int r = container_ctl_check(c, CONTAINER_EV_EXEC, e);

	if (r < 0)
		return r;
	if (!spec->exec_id || !spec->exec_id[0] || !spec->document)
		return err_set(e, EINVAL, "exec: id or process is missing");
	r = process_ctl_new(c, spec, ret, e);
	if (r < 0)
		return r;
	process_ctl_event(*ret, &event);
	s->events->exec_added(s->events_ctx, &event);
	return 0;
}

void container_ctl_init_exited(struct container_ctl *c)
{
	if (machine_check(&container_machine, c->state, CONTAINER_EV_EXIT,
			  NULL) == MACHINE_GO)
		c->state = CONTAINER_STOPPED;
}

static void end_one(struct process_ctl *p, uint32_t status, uint64_t now_ns)
{
	if (p->state == PROCESS_DESTINATION_MIGRATING)
		status = TASK_EXIT_ABORTED; /* it never ran here */
	process_ctl_exited(p, status, now_ns);
}

/* Execs first: containerd hears of the end of a container last. */
void container_ctl_end_all(struct container_ctl *c, uint32_t status,
			   uint64_t now_ns)
{
	struct process_ctl *p;

	for (p = c->processes; p; p = p->next)
		if (p != c->init)
			end_one(p, status, now_ns);
	if (c->init)
		end_one(c->init, status, now_ns);
}

void container_ctl_cancel(struct container_ctl *c)
{
	seq_cancel(&c->seq);
}
