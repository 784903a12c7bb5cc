/*
 * migration/devices.h - assigned PCI devices and shared directories of a VM
 *
 * A live migration cannot take them along: the guest drives hardware of this
 * host, or holds a connection to a directory of it. It is refused by the name
 * of the first (L7), and a sandbox that was made for migration has none.
 *
 * A save to a file on one host can: the owner detaches each before the guest is
 * stopped, devices_detached() notes it, and the state says what there was, how
 * far it had come, and which containers hold it. A restore begins with all of
 * them detached and attaches them again (devices_waiting()).
 *
 *	reserved -> attached -> mounted (shares)	stage, saved
 *	detached					beside it: not now
 *
 * A device goes with its last holder. Holders are containers, by the guest's
 * ids. Source: shared specification migration.md 3.7, design D14.
 */
#ifndef FERRY_MIGRATION_DEVICES_H
#define FERRY_MIGRATION_DEVICES_H

#include <stdbool.h>
#include <stddef.h>

#include "config/err.h"
#include "migration/names.h"

#define DEVICES_MAX 64u

enum device_kind {
	DEVICE_VPCI,  /* an assigned PCI function; its id is a VMBus GUID */
	DEVICE_PLAN9, /* a shared directory; its id is that of a reservation */
	DEVICE_KINDS, /* number of kinds */
};

enum device_stage {
	DEVICE_RESERVED,
	DEVICE_ATTACHED,
	DEVICE_MOUNTED, /* a share, in the guest */
	DEVICE_STAGES,	/* number of stages */
};

/**
 * struct device_spec - what is held; borrowed for the call
 * @id:		GUID
 * @host:	PCI address, or directory
 * @name:	of a share, in the VM
 * @guest_path:	of a share
 */
struct device_spec {
	enum device_kind kind;
	const char *id;
	const char *host;
	const char *name;
	const char *guest_path;
	bool read_only;
};

struct device {
	enum device_kind kind;
	char id[NAMES_GUID_SIZE]; /* lower case */
	char *host;		  /* these are owned */
	char *name;
	char *guest_path;
	bool read_only;
	enum device_stage stage;
	bool detached;
	char **holder; /* ascending */
	size_t n_holders;
};

struct devices {
	struct device *device; /* ascending kind, then id */
	size_t n;
};

/** devices_done() - forget all */
void devices_done(struct devices *d);

/**
 * devices_hold() - one more holder of a device; the first makes it known
 *
 * Return: 0, -EINVAL (id, path), -EEXIST (held by it already, or known with
 *         another host, name or path), -EEXHAUSTED, -ENOMEM
 */
int devices_hold(struct devices *d, const struct device_spec *spec,
		 const char *container, struct err *e);

/** devices_drop() - one holder less; -ENOENT: it did not hold it */
int devices_drop(struct devices *d, enum device_kind kind, const char *id,
		 const char *container, struct err *e);

/** devices_find() - NULL: not known */
struct device *devices_find(const struct devices *d, enum device_kind kind,
			    const char *id);

/**
 * devices_stage() - it has come so far, or gone back; it is not detached
 *
 * Return: 0, -ENOENT, -EPRECONDITION (more than one step, a device mounted)
 */
int devices_stage(struct devices *d, enum device_kind kind, const char *id,
		  enum device_stage stage, struct err *e);

/** devices_detached() - for a save: not now; the stage is kept; 0, -ENOENT */
int devices_detached(struct devices *d, enum device_kind kind, const char *id,
		     struct err *e);

/** devices_waiting() - the first that has to be attached again; NULL: none */
struct device *devices_waiting(const struct devices *d);

/** devices_check_save() - 0, or -EPRECONDITION that names the first */
int devices_check_save(const struct devices *d, struct err *e);

/** devices_check_file() - for a save to a file: is each detached? */
int devices_check_file(const struct devices *d, struct err *e);

#endif
