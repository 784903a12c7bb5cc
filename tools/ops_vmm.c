/*
 * Theory of operation: the VM runs when the controllers come to it, so that
 * creating and starting it is done at once. A disk or a card that is not there
 * is removed already. What belongs to migration is in ops_move.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bridge/io/fd.h"
#include "config/util.h"
#include "tools/ops_own.h"
#include "tools/qemu/nbd.h"
#include "tools/qemu/plug.h"

#define TAP "tap:"
#define DGRAM "dgram:"
#define QCOW2 ".qcow2"
#define SOCKET_MAX 108

/* --- life ------------------------------------------------------------------------ */

static int at_once(const struct ops *o, struct op *op, struct err *e)
{
	if (!ops_client(o, e))
		return -e->code;
	op_end(op, 0, NULL);
	return 0;
}

static int create(void *ctx, const struct vmm_config *c, struct op *op,
		  struct err *e)
{
	return c->compat ? ops_move_create(ctx, c, op, e) : at_once(ctx, op, e);
}

static int start(void *ctx, struct op *op, struct err *e)
{
	return at_once(ctx, op, e);
}

static int stop(void *ctx, struct op *op, struct err *e)
{
	struct ops *o = ctx;

	if (o->stop)
		return err_set(e, EBUSY, "the VM is being stopped");
	if (o->ended) {
		op_end(op, 0, NULL);
		return 0;
	}
	if (!o->c.sandbox) { /* a destination that never came to be */
		op_end(op, 0, NULL);
		return 0;
	}
	o->stop = op;
	if (o->move.destination && !o->move.transferred)
		sandbox_kill(o->c.sandbox); /* nobody there to be asked */
	else
		sandbox_shutdown(o->c.sandbox);
	return 0;
}

/* --- devices ------------------------------------------------------------------------ */

static void on_plugged(void *ctx, int result, const struct err *e)
{
	op_end(ctx, result, e);
}

/* 0 with the op ended: nothing was there. */
static int unplugged(int r, struct op *op)
{
	if (r != -ENOENT)
		return r;
	op_end(op, 0, NULL);
	return 0;
}

static struct plug *plug_of(const struct ops *o, struct err *e)
{
	struct plug *p =
		o->ended || !o->c.sandbox ? NULL : sandbox_plug(o->c.sandbox);

	if (!p)
		(void)err_set(e, ESHUTDOWN, "the sandbox has ended");
	return p;
}

/*
 * The format goes by the name, never by the content: a guest that may write to
 * a raw disk could make it look like something else.
 */
static enum plug_image image_of(const struct vmm_disk *d)
{
	const size_t n = strlen(d->path);
	const size_t n_end = strlen(QCOW2);

	if (d->kind == VMM_DISK_DEVICE)
		return PLUG_DEVICE;
	if (nbd_is(d->path))
		return PLUG_NBD;
	return n > n_end && strcmp(d->path + n - n_end, QCOW2) == 0 ? PLUG_QCOW2
								    : PLUG_RAW;
}

int ops_disk_add(void *ctx, const struct vmm_disk *d, struct op *op,
		 struct err *e)
{
	struct plug_disk disk = {
		.controller = d->controller,
		.lun = d->lun,
		.path = d->path,
		.image = image_of(d),
		.read_only = d->read_only,
	};
	struct plug *p = plug_of(ctx, e);
	char line[NBD_LINE_MAX];

	if (!p)
		return -e->code;
	if (disk.image == PLUG_NBD) {
		const int r = nbd_read(d->path, line, e);

		if (r < 0)
			return r;
		disk.path = line;
	}
	return plug_disk_add(p, &disk, on_plugged, op, e);
}

static int disk_remove(void *ctx, uint32_t controller, uint32_t lun,
		       struct op *op, struct err *e)
{
	struct plug *p = plug_of(ctx, e);

	if (!p)
		return -e->code;
	return unplugged(
		plug_disk_remove(p, controller, lun, on_plugged, op, e), op);
}

static int tap_open(const char *name, int *ret, struct err *e)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	cleanup_fd fd = -1;

	if (!*name || strlen(name) >= sizeof(r.ifr_name))
		return err_set(e, EINVAL, "'%.40s' is not the name of a tap",
			       name);
	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_sys(e, "/dev/net/tun");
	if (ioctl(fd, TUNSETIFF, &r) < 0)
		return err_sys(e, "tap %s", name);
	*ret = fd_take(&fd);
	return 0;
}

static int dgram_paths(const char *words, char local[SOCKET_MAX],
		       struct plug_nic *nic, struct err *e)
{
	const char *colon = strchr(words, ':');
	const size_t n = colon ? (size_t)(colon - words) : 0;

	if (n == 0 || n >= SOCKET_MAX || strlen(colon + 1) >= SOCKET_MAX)
		return err_set(e, EINVAL, "want dgram:LOCAL:REMOTE");
	(void)snprintf(local, SOCKET_MAX, "%.*s", (int)n, words);
	nic->net = PLUG_NET_DGRAM;
	nic->local = local;
	nic->remote = colon + 1;
	return 0;
}

static int endpoint(const char *words, char local[SOCKET_MAX],
		    struct plug_nic *nic, struct err *e)
{
	nic->fd = -1;
	if (strncmp(words, TAP, strlen(TAP)) == 0) {
		nic->net = PLUG_NET_TAP;
		return tap_open(words + strlen(TAP), &nic->fd, e);
	}
	if (strncmp(words, DGRAM, strlen(DGRAM)) == 0)
		return dgram_paths(words + strlen(DGRAM), local, nic, e);
	if (strcmp(words, "user") != 0)
		return err_set(e, EINVAL,
			       "'%.60s' is not tap:NAME, user or dgram:...",
			       words);
	nic->net = PLUG_NET_USER;
	return 0;
}

/* The port of a card; QEMU_NICS_MAX: none. */
static uint32_t port_of(const struct ops *o, const char *id)
{
	uint32_t i = 0;

	while (i < QEMU_NICS_MAX && strcmp(o->nic[i].id, id) != 0)
		i++;
	return i;
}

/* For a new card: QEMU knows those that a move brings by their ports. */
static uint32_t free_port(const struct ops *o, const char *id)
{
	uint32_t i;

	for (i = 0; i < QEMU_NICS_MAX; i++)
		if (!o->nic[i].id[0] && strcmp(o->nic[i].expected, id) == 0)
			return i;
	for (i = 0; i < QEMU_NICS_MAX; i++)
		if (!o->nic[i].id[0] && !o->nic[i].expected[0])
			return i;
	return i;
}

static struct ops_nic *of_mac(struct ops *o, const char *mac)
{
	for (uint32_t i = 0; i < QEMU_NICS_MAX; i++)
		if (o->nic[i].id[0] && strcasecmp(o->nic[i].mac, mac) == 0)
			return &o->nic[i];
	return NULL;
}

const char *ops_card(const struct ops *o, uint32_t port)
{
	return port < QEMU_NICS_MAX ? o->nic[port].id : NULL;
}

void ops_card_expect(struct ops *o, uint32_t port, const char *id)
{
	if (port < QEMU_NICS_MAX)
		(void)snprintf(o->nic[port].expected,
			       sizeof(o->nic[port].expected), "%s", id);
}

/* A card that did not come, or has gone, leaves its port to another. */
static void on_nic(void *ctx, int result, const struct err *e)
{
	struct ops_nic *n = ctx;
	struct op *op = n->op;

	n->op = NULL;
	if ((result == 0) == n->removing)
		n->id[0] = '\0';
	op_end(op, result, e);
}

int ops_nic_add(void *ctx, const struct vmm_nic *n, struct op *op,
		struct err *e)
{
	struct ops *o = ctx;
	struct plug *p = plug_of(o, e);
	struct plug_nic nic = { .mac = n->mac };
	struct ops_nic *at;
	char local[SOCKET_MAX];
	int r;

	if (!p)
		return -e->code;
	if (port_of(o, n->id) < QEMU_NICS_MAX)
		return err_set(e, EEXIST, "card %s is there already", n->id);
	if (strlen(n->id) >= sizeof(at->id) ||
	    strlen(n->mac) >= sizeof(at->mac))
		return err_set(e, EINVAL, "card %.60s: id or MAC", n->id);
	at = of_mac(o, n->mac);
	if (at && !at->op) { /* it came with the VM, on its endpoint */
		(void)snprintf(at->id, sizeof(at->id), "%s", n->id);
		op_end(op, 0, NULL);
		return 0;
	}
	nic.port = free_port(o, n->id);
	if (nic.port == QEMU_NICS_MAX)
		return err_set(e, ENOSPC, "no port for another card");
	at = &o->nic[nic.port];
	r = endpoint(n->endpoint, local, &nic, e);
	if (r == 0)
		r = plug_nic_add(p, &nic, on_nic, at, e);
	fd_close(&nic.fd);
	if (r < 0)
		return r;
	(void)snprintf(at->id, sizeof(at->id), "%s", n->id);
	(void)snprintf(at->mac, sizeof(at->mac), "%s", n->mac);
	at->expected[0] = '\0';
	at->op = op;
	at->removing = false;
	return 0;
}

static int nic_remove(void *ctx, const char *id, struct op *op, struct err *e)
{
	struct ops *o = ctx;
	struct plug *p = plug_of(o, e);
	const uint32_t port = port_of(o, id);
	int r;

	if (!p)
		return -e->code;
	if (port == QEMU_NICS_MAX || !*id)
		return unplugged(-ENOENT, op);
	r = plug_nic_remove(p, port, on_nic, &o->nic[port], e);
	if (r < 0)
		return unplugged(r, op);
	o->nic[port].op = op;
	o->nic[port].removing = true;
	return 0;
}

const struct vmm_ops ops_vmm = {
	.create = create,
	.start = start,
	.stop = stop,
	.disk_add = ops_disk_add,
	.disk_remove = disk_remove,
	.nic_add = ops_nic_add,
	.nic_remove = nic_remove,
	.transport_adopt = ops_move_adopt,
	.transport_close = ops_move_close,
	.transfer = ops_move_transfer,
	.migrate_cancel = ops_move_cancel,
	.finalize = ops_move_finalize,
	.source_init = ops_move_init,
	.compat = ops_move_compat,
	.source_start = ops_move_start,
	.disk_grant = ops_move_grant,
	.destination_start = ops_move_start,
	.lease_hold = ops_move_hold,
	.lease_open = ops_move_open,
};
