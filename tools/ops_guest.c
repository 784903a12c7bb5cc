/*
 * Theory of operation: each operation is one call of the bridge, whose context
 * is the op itself. The sandbox has negotiated before the controllers come, or
 * waits for its guest, with the bridge's listener bound, before it can.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/host/settings.h"
#include "bridge/hresult.h"
#include "config/util.h"
#include "migration/container.h"
#include "tools/ops_own.h"

/* Bytes that the settings of one network card may decode to. */
#define NIC_SETTINGS_MAX ((size_t)256 * 1024)

/* --- calls ------------------------------------------------------------------------ */

/* op->impl is the struct ops while its call is under way. */
static void on_done(void *ctx, const void *result UNUSED,
		    const struct host_failure *f)
{
	struct op *op = ctx;
	const struct ops *o = op->impl;
	struct err e;
	int r = 0;

	if (f)
		r = ops_fail(o, f, &e);
	op_end(op, r, r < 0 ? &e : NULL);
}

static struct host_done done_of(struct ops *o, struct op *op)
{
	op->impl = o;
	return (struct host_done){ .fn = on_done, .ctx = op };
}

/* --- the bridge ---------------------------------------------------------------------- */

static int at_once(struct ops *o, struct op *op, struct err *e)
{
	if (!ops_client(o, e))
		return -e->code;
	op_end(op, 0, NULL);
	return 0;
}

static int bridge_listen(void *ctx, struct op *op, struct err *e)
{
	return at_once(ctx, op, e);
}

static int bridge_connect(void *ctx, bool cold, struct op *op, struct err *e)
{
	return cold ? at_once(ctx, op, e) : ops_move_reach(ctx, op, e);
}

static int bridge_reconnect(void *ctx, struct op *op, struct err *e)
{
	return ops_move_reach(ctx, op, e);
}

static bool bridge_connected(void *ctx)
{
	const struct host_client *c = ops_client(ctx, NULL);

	return c && host_client_state(c) == HOST_READY;
}

static void bridge_migrating(void *ctx, bool on)
{
	struct host_client *c = ops_client(ctx, NULL);

	if (c)
		host_client_set_migrating(c, on);
}

/* The client is the sandbox's and goes with it. */
static void bridge_close(void *ctx UNUSED)
{
}

static uint32_t bridge_next_port(void *ctx)
{
	struct host_client *c = ops_client(ctx, NULL);

	return c ? host_client_ports(c)->next : 0;
}

static uint64_t bridge_next_id(void *ctx)
{
	const struct host_client *c = ops_client(ctx, NULL);

	return c ? host_client_next_id(c) : 0;
}

static void bridge_raise(void *ctx, uint32_t port, uint64_t id)
{
	struct host_client *c = ops_client(ctx, NULL);

	if (c && port)
		host_ports_raise(host_client_ports(c), port);
	if (c && id)
		host_client_raise_id(c, id);
}

/* --- disks ---------------------------------------------------------------------------- */

static int modify_disk(struct ops *o, enum host_modify how,
		       const struct guest_mount *m, struct op *op,
		       struct err *e)
{
	const struct host_done done = done_of(o, op);
	const struct msg_mapped_virtual_disk disk = {
		.mount_path = m->path,
		.lun = (uint8_t)m->lun,
		.controller = (uint8_t)m->controller,
		.partition = m->partition,
		.read_only = m->read_only,
		.encrypted = m->encrypted,
		/* Only read from; the table of the message has no const. */
		.options = { .item = (const char **)(uintptr_t)m->options,
			     .n = m->n_options },
		.block_dev = m->block_dev,
		.ensure_filesystem = m->ensure_filesystem,
		.filesystem = m->filesystem ? m->filesystem : "",
	};
	struct host_client *c = ops_client(o, e);

	return c ? host_modify_disk(c, how, &disk, &done, NULL, e) : -e->code;
}

static int disk_mount(void *ctx, const struct guest_mount *m, struct op *op,
		      struct err *e)
{
	return modify_disk(ctx, HOST_ADD, m, op, e);
}

static int disk_unmount(void *ctx, const struct guest_mount *m, struct op *op,
			struct err *e)
{
	return modify_disk(ctx, HOST_REMOVE, m, op, e);
}

static int disk_eject(void *ctx, uint32_t controller, uint32_t lun,
		      struct op *op, struct err *e)
{
	struct ops *o = ctx;
	const struct host_done done = done_of(o, op);
	const struct msg_scsi_device device = {
		.controller = (uint8_t)controller,
		.lun = (uint8_t)lun,
	};
	struct host_client *c = ops_client(o, e);

	return c ? host_unplug_disk(c, &device, &done, NULL, e) : -e->code;
}

/* --- layers ---------------------------------------------------------------------------- */

static int modify_layers(struct ops *o, enum host_modify how,
			 const struct guest_layers *l, struct op *op,
			 struct err *e)
{
	const struct host_done done = done_of(o, op);
	struct msg_layer layer[CONTAINER_LAYERS_MAX];
	const struct msg_combined_layers layers = {
		.container_id = l->container_id,
		.container_root_path = l->rootfs,
		.layer = layer,
		.n_layers = l->n_layers,
		.scratch_path = l->scratch,
	};
	struct host_client *c = ops_client(o, e);

	if (!c)
		return -e->code;
	if (l->n_layers > CONTAINER_LAYERS_MAX)
		return err_set(e, E2BIG, "more than %u layers",
			       CONTAINER_LAYERS_MAX);
	for (size_t i = 0; i < l->n_layers; i++)
		layer[i] = (struct msg_layer){ .id = "",
					       .path = l->layers[i],
					       .path_type = "",
					       .cache = "" };
	return host_modify_layers(c, how, &layers, &done, NULL, e);
}

static int layers_combine(void *ctx, const struct guest_layers *l,
			  struct op *op, struct err *e)
{
	return modify_layers(ctx, HOST_ADD, l, op, e);
}

static int layers_remove(void *ctx, const struct guest_layers *l, struct op *op,
			 struct err *e)
{
	return modify_layers(ctx, HOST_REMOVE, l, op, e);
}

/* --- cards ------------------------------------------------------------------------------- */

static int modify_nic(struct ops *o, enum host_modify how,
		      const struct guest_nic *n, struct op *op, struct err *e)
{
	const struct host_done done = done_of(o, op);
	const char *settings = n->settings && *n->settings ? n->settings : "{}";
	struct host_client *c = ops_client(o, e);
	struct msg_network m;
	struct arena a;
	int r;

	if (!c)
		return -e->code;
	arena_init(&a, NIC_SETTINGS_MAX);
	r = msg_decode(&msg_network_schema, settings, strlen(settings), &a, &m,
		       e);
	if (r == 0) {
		m.namespace_id = n->namespace_id;
		m.id = n->id;
		if (n->mac)
			m.mac_address = n->mac;
		r = host_modify_network(c, how, &m, &done, NULL, e);
	} else {
		(void)err_wrap(e, "settings of card %s", n->id);
	}
	arena_done(&a);
	return r;
}

static int nic_add(void *ctx, const struct guest_nic *n, struct op *op,
		   struct err *e)
{
	return modify_nic(ctx, HOST_ADD, n, op, e);
}

static int nic_remove(void *ctx, const struct guest_nic *n, struct op *op,
		      struct err *e)
{
	return modify_nic(ctx, HOST_REMOVE, n, op, e);
}

const struct guest_ops ops_guest = {
	.listen = bridge_listen,
	.connect = bridge_connect,
	.reconnect = bridge_reconnect,
	.connected = bridge_connected,
	.set_migrating = bridge_migrating,
	.close = bridge_close,
	.next_port = bridge_next_port,
	.next_id = bridge_next_id,
	.raise = bridge_raise,
	.disk_mount = disk_mount,
	.disk_unmount = disk_unmount,
	.disk_eject = disk_eject,
	.layers_combine = layers_combine,
	.layers_remove = layers_remove,
	.nic_add = nic_add,
	.nic_remove = nic_remove,
	.container_create = ops_container_create,
	.container_delete = ops_container_delete,
	.container_open = ops_container_open,
	.process_start = ops_process_start,
	.process_signal = ops_process_signal,
	.process_close = ops_process_close,
	.process_state = ops_process_state,
	.process_attach = ops_process_attach,
	.process_open = ops_process_open,
	.session_save = ops_session_save,
	.session_thaw = ops_session_thaw,
	.process_streams = ops_process_streams,
	.others_save = ops_others_save,
	.others_give = ops_others_give,
};
