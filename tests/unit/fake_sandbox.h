/*
 * tests/unit/fake_sandbox.h - a sandbox with the usual things in it, over
 * tests/unit/fake_world.h
 */
#ifndef FERRY_TESTS_UNIT_FAKE_SANDBOX_H
#define FERRY_TESTS_UNIT_FAKE_SANDBOX_H

#include "tests/unit/fake_world.h"

static inline int world_boot(struct world *w)
{
	const struct vm_spec spec = {
		.id = "sandbox@vm",
		.document = "{}",
		.document_len = 2,
		.n_controllers = 1,
		.migratable = true,
		.architecture = "amd64",
	};
	struct op op = { 0 };
	struct err e;
	int r = vm_ctl_set(&w->s.vm, &spec, &e);

	if (r < 0)
		return r;
	return world_wait(w, vm_ctl_boot(&w->s.vm, world_op(w, &op), &e));
}

static inline int world_pod(struct world *w, const char *id,
			    struct pod_ctl **ret)
{
	const struct network_endpoint nic = {
		.endpoint_id = (char[]){ "tap0" },
		.mac = (char[]){ "00-15-5D-00-00-01" },
		.name = (char[]){ "pod-eth0" },
		.settings = (char[]){ "{}" },
	};
	struct err e;
	int r = sandbox_ctl_pod_new(&w->s, id, "ns-1", ret, &e);

	return r < 0 ? r : network_ctl_add(&(*ret)->network, &nic, &e);
}

static inline int world_container(struct world *w, struct pod_ctl *p,
				  const char *id, struct container_ctl **ret)
{
	char scratch[64], bundle[64];
	struct container_disk layers[2] = {
		{ .disk = { .path = (char[]){ "/img/base" },
			    .read_only = true } },
		{ .disk = { .path = (char[]){ "/img/app" },
			    .read_only = true } },
	};
	const struct container_spec spec = {
		.id = id,
		.bundle = bundle,
		.document = "{}",
		.layers = layers,
		.n_layers = 2,
		.scratch = { .disk = { .path = scratch } },
		.init = { .stdio = { "/in", "/out", "/err" } },
	};
	struct op op = { 0 };
	struct err e;

	(void)snprintf(scratch, sizeof(scratch), "/scratch/%s", id);
	(void)snprintf(bundle, sizeof(bundle), "/bundle/%s", id);
	layers[0].mount.read_only = layers[1].mount.read_only = true;
	return world_wait(
		w, pod_ctl_container_new(p, &spec, ret, world_op(w, &op), &e));
}

static inline int world_run_init(struct world *w, struct container_ctl *c)
{
	struct op op = { 0 };
	struct err e;

	return world_wait(w, process_ctl_start(c->init, world_op(w, &op), &e));
}

/* The guest tells an exit. */
static inline void world_exit(struct world *w, const char *gcs_id,
			      const char *exec_id, uint32_t status)
{
	char name[160];

	(void)snprintf(name, sizeof(name), "%s/%s", gcs_id, exec_id);
	set_drop(&w->processes, name);
	(void)sandbox_ctl_process_exited(&w->s, gcs_id, exec_id, status,
					 ++w->clock);
}

#endif
