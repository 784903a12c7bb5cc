/* tests/unit/fake_world_ops.h - the functions behind tests/unit/fake_world.h */
#ifndef FERRY_TESTS_UNIT_FAKE_WORLD_OPS_H
#define FERRY_TESTS_UNIT_FAKE_WORLD_OPS_H

static const char *world_slot(uint32_t controller, uint32_t lun, char ret[16])
{
	(void)snprintf(ret, 16, "%u:%u", controller % 4, lun % 64);
	return ret;
}

static int world_create(void *ctx, const struct vmm_config *c, struct op *op,
			struct err *e)
{
	struct world *w = ctx;
	char slot[16];
	size_t i;

	w->disks.n = w->nics.n = 0;
	for (i = 0; i < c->n_disks && c->compat; i++)
		set_add(&w->disks, world_slot(c->disks[i].controller,
					      c->disks[i].lun, slot));
	for (i = 0; i < c->n_nics && c->compat; i++)
		set_add(&w->nics, c->nics[i].id);
	return world_start(ctx, c->compat ? W_DESTINATION_CREATE : W_CREATE,
			   c->id, "", op, e);
}

static int world_vm_start(void *ctx, struct op *op, struct err *e)
{
	return world_start(ctx, W_START, "", "", op, e);
}

static int world_stop(void *ctx, struct op *op, struct err *e)
{
	return world_start(ctx, W_STOP, "", "", op, e);
}

static int world_disk_add(void *ctx, const struct vmm_disk *d, struct op *op,
			  struct err *e)
{
	char slot[16];

	return world_start(ctx, W_DISK_ADD,
			   world_slot(d->controller, d->lun, slot), "", op, e);
}

static int world_disk_remove(void *ctx, uint32_t controller, uint32_t lun,
			     struct op *op, struct err *e)
{
	char slot[16];

	return world_start(ctx, W_DISK_REMOVE,
			   world_slot(controller, lun, slot), "", op, e);
}

static int world_nic_add(void *ctx, const struct vmm_nic *n, struct op *op,
			 struct err *e)
{
	return world_start(ctx, W_NIC_ADD, n->id, "", op, e);
}

static int world_nic_remove(void *ctx, const char *id, struct op *op,
			    struct err *e)
{
	return world_start(ctx, W_NIC_REMOVE, id, "", op, e);
}

static int world_adopt(void *ctx, const void *info, size_t len, struct op *op,
		       struct err *e)
{
	if (len == 0 || !info)
		return err_set(e, EINVAL, "socket: too short");
	return world_start(ctx, W_ADOPT, "", "", op, e);
}

static void world_transport_close(void *ctx UNUSED)
{
}

#define WORLD_SIMPLE(name, kind)                                               \
	static int name(void *ctx, struct op *op, struct err *e)               \
	{                                                                      \
		return world_start(ctx, kind, "", "", op, e);                  \
	}

WORLD_SIMPLE(world_transfer, W_TRANSFER)
WORLD_SIMPLE(world_migrate_cancel, W_CANCEL)
WORLD_SIMPLE(world_reconnect, W_RECONNECT)

static int world_lease_hold(void *ctx, const char *path UNUSED,
			    const char *machine UNUSED, uint64_t epoch,
			    const char **ret, struct err *e UNUSED)
{
	struct world *w = ctx;

	w->lease = &w->own_lease;
	*w->lease = (struct world_lease){ .there = true,
					  .holder = w,
					  .epoch = epoch };
	*ret = "/lease";
	return 0;
}

static int world_lease_open(void *ctx, const char *path UNUSED,
			    const struct lease_claim *claim, struct err *e)
{
	struct world *w = ctx;

	w->lease = w->peer ? w->peer->lease : NULL;
	if (!w->lease)
		return err_set(e, EPRECONDITION, "no lease");
	return w->lease->epoch == claim->from
		       ? 0
		       : err_set(e, ESTALE, "it went on in epoch %u",
				 (unsigned)w->lease->epoch);
}

static int world_finalize(void *ctx, enum vmm_outcome outcome,
			  const struct lease_claim *claim, struct op *op,
			  struct err *e)
{
	struct world *w = ctx;

	w->claims = claim != NULL;
	if (claim)
		w->claim = *claim;
	return world_start(
		ctx, outcome == VMM_STOP ? W_FINALIZE_STOP : W_FINALIZE_RESUME,
		"", "", op, e);
}

static int world_source_init(void *ctx, const struct vmm_options *o UNUSED,
			     struct op *op, struct err *e)
{
	return world_start(ctx, W_SOURCE_INIT, "", "", op, e);
}

static int world_compat(void *ctx, const void **ret, size_t *ret_len,
			struct op *op, struct err *e)
{
	*ret = "{\"v\":1}";
	*ret_len = 7;
	return world_start(ctx, W_COMPAT, "", "", op, e);
}

static int world_source_start(void *ctx, uint32_t number UNUSED, struct op *op,
			      struct err *e)
{
	return world_start(ctx, W_SOURCE_START, "", "", op, e);
}

static int world_destination_start(void *ctx, uint32_t number UNUSED,
				   struct op *op, struct err *e)
{
	return world_start(ctx, W_DESTINATION_START, "", "", op, e);
}

static int world_grant(void *ctx, const struct vmm_disk *d, struct op *op,
		       struct err *e)
{
	return world_start(ctx, W_GRANT, d->path, "", op, e);
}

static const struct vmm_ops world_vmm = {
	.transport_adopt = world_adopt,
	.transport_close = world_transport_close,
	.transfer = world_transfer,
	.migrate_cancel = world_migrate_cancel,
	.finalize = world_finalize,
	.source_init = world_source_init,
	.compat = world_compat,
	.source_start = world_source_start,
	.destination_start = world_destination_start,
	.disk_grant = world_grant,
	.lease_hold = world_lease_hold,
	.lease_open = world_lease_open,
	.create = world_create,
	.start = world_vm_start,
	.stop = world_stop,
	.disk_add = world_disk_add,
	.disk_remove = world_disk_remove,
	.nic_add = world_nic_add,
	.nic_remove = world_nic_remove,
};

static int world_listen(void *ctx, struct op *op, struct err *e)
{
	return world_start(ctx, W_LISTEN, "", "", op, e);
}

static int world_connect(void *ctx, bool cold UNUSED, struct op *op,
			 struct err *e)
{
	return world_start(ctx, W_CONNECT, "", "", op, e);
}

static void world_close(void *ctx)
{
	struct world *w = ctx;

	w->bridge = false;
}

static void world_set_migrating(void *ctx, bool on)
{
	struct world *w = ctx;

	w->migrating = on;
}

static int world_mount(void *ctx, const struct guest_mount *m, struct op *op,
		       struct err *e)
{
	char slot[16];

	return world_start(ctx, W_MOUNT, m->path,
			   world_slot(m->controller, m->lun, slot), op, e);
}

static int world_unmount(void *ctx, const struct guest_mount *m, struct op *op,
			 struct err *e)
{
	char slot[16];

	return world_start(ctx, W_UNMOUNT, m->path,
			   world_slot(m->controller, m->lun, slot), op, e);
}

static int world_eject(void *ctx, uint32_t controller, uint32_t lun,
		       struct op *op, struct err *e)
{
	char slot[16];

	return world_start(ctx, W_EJECT, world_slot(controller, lun, slot), "",
			   op, e);
}

static int world_combine(void *ctx, const struct guest_layers *l, struct op *op,
			 struct err *e)
{
	const struct world *w = ctx;
	size_t i;

	for (i = 0; i < l->n_layers && w->vm_exists; i++)
		assert_true(set_has(&w->mounts, l->layers[i]));
	return world_start(ctx, W_COMBINE, l->rootfs, "", op, e);
}

static int world_uncombine(void *ctx, const struct guest_layers *l,
			   struct op *op, struct err *e)
{
	return world_start(ctx, W_UNCOMBINE, l->rootfs, "", op, e);
}

static int world_guest_nic_add(void *ctx, const struct guest_nic *n,
			       struct op *op, struct err *e)
{
	return world_start(ctx, W_GUEST_NIC_ADD, n->id, "", op, e);
}

static int world_guest_nic_remove(void *ctx, const struct guest_nic *n,
				  struct op *op, struct err *e)
{
	return world_start(ctx, W_GUEST_NIC_REMOVE, n->id, "", op, e);
}

static int world_container_create(void *ctx, const struct guest_container *c,
				  struct op *op, struct err *e)
{
	return world_start(ctx, W_CONTAINER_CREATE, c->id, "", op, e);
}

static int world_container_delete(void *ctx, const char *id, struct op *op,
				  struct err *e)
{
	return world_start(ctx, W_CONTAINER_DELETE, id, "", op, e);
}

static int world_process_start(void *ctx, const struct guest_process *p,
			       struct op *op, struct err *e)
{
	char name[160];

	(void)snprintf(name, sizeof(name), "%s/%s", p->container_id,
		       p->exec_id);
	return world_start(ctx, W_PROCESS_START, name, p->container_id, op, e);
}

static int world_process_signal(void *ctx, const char *container_id,
				const char *exec_id, int32_t signal UNUSED,
				struct op *op, struct err *e)
{
	char name[160];

	(void)snprintf(name, sizeof(name), "%s/%s", container_id, exec_id);
	return world_start(ctx, W_PROCESS_SIGNAL, name, "", op, e);
}

static void world_process_close(void *ctx UNUSED,
				const char *container_id UNUSED,
				const char *exec_id UNUSED)
{
}

static bool world_connected(void *ctx)
{
	const struct world *w = ctx;

	return w->bridge;
}

static uint32_t world_next_port(void *ctx)
{
	const struct world *w = ctx;

	return w->port;
}

static uint64_t world_next_id(void *ctx)
{
	const struct world *w = ctx;

	return w->id;
}

static void world_raise(void *ctx, uint32_t port, uint64_t id)
{
	struct world *w = ctx;

	w->port = port > w->port ? port : w->port;
	w->id = id > w->id ? id : w->id;
}

static int world_container_open(void *ctx, const char *id, struct op *op,
				struct err *e)
{
	return world_start(ctx, W_CONTAINER_OPEN, id, "", op, e);
}

static int world_process_state(void *ctx, const char *container_id,
			       const char *exec_id,
			       uint32_t port[GUEST_STREAMS],
			       uint64_t *ret_wait_id, struct err *e UNUSED)
{
	const struct world *w = ctx;
	char name[160];
	uint32_t i, n;

	(void)snprintf(name, sizeof(name), "%s/%s", container_id, exec_id);
	for (n = 0; n < w->processes.n; n++)
		if (strcmp(w->processes.name[n], name) == 0)
			break;
	for (i = 0; i < GUEST_STREAMS; i++)
		port[i] = 0x40000001u + n * GUEST_STREAMS + i;
	*ret_wait_id = n + 1;
	return 0;
}

static int world_process_attach(void *ctx, const struct guest_process *p,
				struct op *op, struct err *e)
{
	return world_start(ctx, W_PROCESS_ATTACH, p->container_id, "", op, e);
}

static int world_process_open(void *ctx, const struct guest_process *p,
			      struct op *op, struct err *e)
{
	struct world *w = ctx;
	char name[160];

	/* O6: numbers of the source are below where this host goes on. */
	assert_true(p->wait_id > 0 && p->wait_id <= w->id);
	assert_true(p->port[0] < w->port);
	assert_false(w->migrating); /* O5 */
	(void)snprintf(name, sizeof(name), "%s/%s", p->container_id,
		       p->exec_id);
	return world_start(ctx, W_PROCESS_OPEN, name, "", op, e);
}

static const struct guest_ops world_guest = {
	.reconnect = world_reconnect,
	.connected = world_connected,
	.next_port = world_next_port,
	.next_id = world_next_id,
	.raise = world_raise,
	.container_open = world_container_open,
	.process_state = world_process_state,
	.process_attach = world_process_attach,
	.process_open = world_process_open,
	.listen = world_listen,
	.connect = world_connect,
	.close = world_close,
	.set_migrating = world_set_migrating,
	.disk_mount = world_mount,
	.disk_unmount = world_unmount,
	.disk_eject = world_eject,
	.layers_combine = world_combine,
	.layers_remove = world_uncombine,
	.nic_add = world_guest_nic_add,
	.nic_remove = world_guest_nic_remove,
	.container_create = world_container_create,
	.container_delete = world_container_delete,
	.process_start = world_process_start,
	.process_signal = world_process_signal,
	.process_close = world_process_close,
};

static void world_hear(struct world *w, const char *what,
		       const struct task_event *t)
{
	text_addf(&w->heard, "%s %s%s%s", what, t->container_id,
		  t->exec_id[0] ? "/" : "", t->exec_id);
	if (strcmp(what, "exit") == 0 || strcmp(what, "deleted") == 0)
		text_addf(&w->heard, "=%u", t->exit_status);
	text_add(&w->heard, "\n");
}

#define WORLD_EVENT(name)                                                      \
	static void world_heard_##name(void *ctx, const struct task_event *t)  \
	{                                                                      \
		world_hear(ctx, #name, t);                                     \
	}

WORLD_EVENT(created)
WORLD_EVENT(started)
WORLD_EVENT(exec_added)
WORLD_EVENT(exec_started)
WORLD_EVENT(exit)
WORLD_EVENT(deleted)
WORLD_EVENT(oom)

static const struct task_events world_events = {
	world_heard_created,	  world_heard_started, world_heard_exec_added,
	world_heard_exec_started, world_heard_exit,    world_heard_deleted,
	world_heard_oom,
};

static uint64_t world_now(void *ctx)
{
	struct world *w = ctx;

	return ++w->clock;
}

#endif
