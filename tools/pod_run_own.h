/* tools/pod_run_own.h - what the parts of tools/pod_run.h share */
#ifndef FERRY_TOOLS_POD_RUN_OWN_H
#define FERRY_TOOLS_POD_RUN_OWN_H

#include "migration/container.h"
#include "migration/op.h"
#include "migration/sandbox.h"
#include "tools/bundle.h"
#include "tools/ops.h"
#include "tools/pod_run.h"

/* One disk in the making, or ready. */
struct pod_disk {
	struct pod_run *run;
	const char *of; /* folder, NULL: an empty one */
	struct disk_job *job;
	struct disk disk;
};

enum pod_stage {
	POD_WAITING,
	POD_CREATING,
	POD_STARTING,
	POD_RUNNING,
	POD_ENDED,
};

/**
 * struct pod_item - one container
 * @spec:	NULL: the sandbox container
 * @layer:	of its root file system, shared
 * @scratch:	its own
 * @out_fd:	file for its output, -1: ferry's own
 */
struct pod_item {
	struct pod_run *run;
	const struct pod_container *spec;
	const char *id;
	struct bundle *bundle;
	bool terminal;
	struct pod_disk *layer;
	struct pod_disk scratch;
	int out_fd;
	struct container_ctl *ctl;
	struct op op;
	enum pod_stage stage;
	uint32_t status;
};

struct pod_run {
	struct pod_run_config c;
	struct pod_item *item; /* the sandbox container first */
	size_t n;
	struct pod_disk *layer;
	size_t n_layers;
	struct sandbox *sandbox;
	struct ops *ops;
	struct sandbox_ctl ctl;
	bool has_ctl;
	struct pod_ctl *pod;
	struct op boot;
	bool booted;
	bool over;
	int64_t progress_ms; /* when it was told last */
};

/** pod_item_main() - the one whose end and streams count; NULL: all alike */
struct pod_item *pod_item_main(const struct pod_run *p);

/** pod_pause_open() - the bundle of the sandbox container */
int pod_pause_open(struct bundle **ret, struct err *e);

/** pod_item_document() - the text for the guest */
int pod_item_document(struct pod_item *i, struct text *out, struct err *e);

/** pod_network_add() - the pod's network, as the plan wants it */
int pod_network_add(struct pod_run *p, struct err *e);

/** pod_namespace() - of the pod's network, "": none */
const char *pod_namespace(const struct pod_run *p);

/** pod_streams - opens "fd:N" */
extern const struct ops_streams pod_streams;

/** pod_disks_done() - let go of all disks */
void pod_disks_done(struct pod_run *p);

/** pod_disk_ready() - is it there? */
bool pod_disk_ready(const struct pod_disk *d);

/** pod_failed() - the first reason counts */
void pod_failed(struct pod_run *p, const struct err *why);

/** pod_advance() - do what can be done now */
void pod_advance(struct pod_run *p);

#endif
