/*
 * tools/qemu/plug.h - disks and network cards that come and go while a UVM runs
 *
 * Theory of operation. QEMU knows a device by two names: the backend (a block
 * node, a network end) and the device that the guest sees. Adding makes the
 * one, then the other; whatever fails takes the steps before it back. Removing
 * goes the other way, and waits between the two for QEMU's event that the guest
 * has let go:
 *
 *	GONE --add--> ADDING --> THERE --remove--> REMOVING --> GONE
 *	  ^-- undone --/           ^---- refused ----/   \--> STUCK
 *
 * STUCK is a device that did not go in time. It goes silently when the guest
 * lets go at last; removing it again is allowed, adding to its address is not.
 *
 * Addresses are fixed: a disk is at controller C, LUN L of the controllers that
 * qemu_argv() made, a card in port N. A migration destination plugs the same
 * disks and cards at the same addresses before the state comes; QEMU knows them
 * by address, not by name (shared specification migration.md 9.1).
 *
 * Operations at different addresses run side by side, one at a time at each.
 */
#ifndef FERRY_TOOLS_QEMU_PLUG_H
#define FERRY_TOOLS_QEMU_PLUG_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/io/loop.h"
#include "config/err.h"
#include "tools/qemu/argv.h"
#include "tools/qemu/qmp.h"

/* QEMU answers each step at once, unless the host is very busy. */
#define PLUG_STEP_MS 15000
/* A disk leaves at once; a card waits for the guest's kernel. */
#define PLUG_LEAVE_MS 30000
/* A guest that boots does not hear that its card shall go: ask it again. */
#define PLUG_AGAIN_MS 3000

enum plug_image {
	PLUG_RAW,
	PLUG_QCOW2,
	PLUG_DEVICE, /* a block device of the host */
	PLUG_NBD,    /* served by another machine */
	PLUG_IMAGES,
};

/**
 * struct plug_disk - one disk
 * @controller:	below the number of controllers
 * @lun:	below QEMU_LUNS
 * @path:	absolute, UTF-8; PLUG_NBD: nbd://HOST:PORT/EXPORT
 * @image:	what @path is
 * @read_only:	QEMU opens it so, and tells the guest
 */
struct plug_disk {
	uint32_t controller;
	uint32_t lun;
	const char *path;
	enum plug_image image;
	bool read_only;
};

enum plug_net {
	PLUG_NET_TAP,	/* an open tap device: @fd */
	PLUG_NET_USER,	/* QEMU's own network, outward only */
	PLUG_NET_DGRAM, /* frames over unix datagrams: @local, @remote */
	PLUG_NETS,
};

/**
 * struct plug_nic - one network card
 * @port:	below the number of ports
 * @mac:	"00:15:5d:..." or "00-15-5D-..."
 * @net:	what it is connected to
 * @fd:		PLUG_NET_TAP, borrowed for the call
 * @local, @remote: PLUG_NET_DGRAM, paths of sockets
 */
struct plug_nic {
	uint32_t port;
	const char *mac;
	enum plug_net net;
	int fd;
	const char *local;
	const char *remote;
};

/**
 * plug_done_fn - the end of one operation
 * @result:	0; -EREMOTEIO (QEMU refused), -ETIMEDOUT (the guest does not let
 *		go, or QEMU is silent), -EBUSY (the guest refused),
 *		-ESHUTDOWN (the UVM has ended)
 * @e:		reason, for the call; NULL when @result is 0
 *
 * Never called from within the function that began the operation.
 */
typedef void plug_done_fn(void *ctx, int result, const struct err *e);

struct plug;

/**
 * plug_new() - nothing is plugged
 * @l:		loop, borrowed
 * @scsi:	number of SCSI controllers
 * @nics:	number of ports for cards
 *
 * Return: 0 or -ENOMEM
 */
int plug_new(struct plug **ret, struct loop *l, uint32_t scsi, uint32_t nics,
	     struct err *e);

/** plug_free() - no callbacks; not before @q's owner is freed. NULL is fine */
void plug_free(struct plug *p);

/** plug_up() - the monitor is there; borrowed until plug_down() */
void plug_up(struct plug *p, struct qmp *q);

/** plug_event() - hand on a QMP event; others than its own are ignored */
void plug_event(struct plug *p, const char *name, const struct qmp_data *data);

/** plug_down() - the UVM has ended: whatever is under way fails */
void plug_down(struct plug *p);

/**
 * plug_disk_add(), plug_nic_add() - begin to add
 * @done:	the end; may be NULL
 *
 * Return: 0; -EINVAL (address, path or MAC), -EEXIST (the address is taken),
 *         -EBUSY (an operation there is under way, or it is stuck; or another
 *         card's descriptor is on its way), -ESHUTDOWN, or of qmp_send()
 */
int plug_disk_add(struct plug *p, const struct plug_disk *d, plug_done_fn *done,
		  void *ctx, struct err *e);
int plug_nic_add(struct plug *p, const struct plug_nic *n, plug_done_fn *done,
		 void *ctx, struct err *e);

/**
 * plug_disk_remove(), plug_nic_remove() - begin to remove
 *
 * Return: 0; -ENOENT (nothing is there), -EINVAL, -EBUSY, -ESHUTDOWN, or of
 *         qmp_send()
 */
int plug_disk_remove(struct plug *p, uint32_t controller, uint32_t lun,
		     plug_done_fn *done, void *ctx, struct err *e);
int plug_nic_remove(struct plug *p, uint32_t port, plug_done_fn *done,
		    void *ctx, struct err *e);

/** plug_disk_there(), plug_nic_there() - is something plugged, and stays? */
bool plug_disk_there(const struct plug *p, uint32_t controller, uint32_t lun);
bool plug_nic_there(const struct plug *p, uint32_t port);

#endif
