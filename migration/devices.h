/*
 * migration/devices.h - assigned PCI devices and shared directories of a VM:
 * what cannot move
 *
 * They have no migrating states. A save succeeds without output while nothing
 * is tracked, and is refused otherwise: the guest holds a device of this host,
 * or a connection to a directory of it. A sandbox that was made for migration
 * has neither (L7).
 * Source: shared specification migration.md 3.7.
 */
#ifndef FERRY_MIGRATION_DEVICES_H
#define FERRY_MIGRATION_DEVICES_H

#include <stddef.h>

#include "config/err.h"
#include "migration/names.h"

#define DEVICES_MAX 64u

enum device_kind {
	DEVICE_VPCI,  /* an assigned PCI function; its id is a VMBus GUID */
	DEVICE_PLAN9, /* a shared directory; its id is the share's name */
	DEVICE_KINDS, /* number of kinds */
};

struct device {
	enum device_kind kind;
	char id[NAMES_GUID_SIZE];
	char *host; /* PCI address, or directory; owned */
	unsigned holders;
};

struct devices {
	struct device *device;
	size_t n;
};

/** devices_done() - forget all */
void devices_done(struct devices *d);

/**
 * devices_hold() - one more holder of a device; the first makes it known
 *
 * Return: 0, -EINVAL (id), -EEXHAUSTED, -ENOMEM
 */
int devices_hold(struct devices *d, enum device_kind kind, const char *id,
		 const char *host, struct err *e);

/** devices_drop() - one holder less; -ENOENT: nobody held it */
int devices_drop(struct devices *d, enum device_kind kind, const char *id,
		 struct err *e);

/** devices_check_save() - 0, or -EPRECONDITION that names the first */
int devices_check_save(const struct devices *d, struct err *e);

#endif
