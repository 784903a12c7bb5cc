/*
 * bridge/guest/movable.h - may a container be created in a UVM that is to be
 * migrated?
 *
 * Asked when it is created, not when the UVM moves (config/migratable.h has the
 * rules). PID 1 says what kind of UVM it is. The agent knows what it has
 * mounted: a mount whose source is on a share of the host cannot follow. The
 * lock of the sandbox's annotations is the host's to compare.
 */
#ifndef FERRY_BRIDGE_GUEST_MOVABLE_H
#define FERRY_BRIDGE_GUEST_MOVABLE_H

#include "bridge/guest/volume.h"
#include "config/arena.h"
#include "config/err.h"

/**
 * movable_check() - a document that oci_read() has accepted
 * @document:	OciSpecification, JSON text
 * @volumes:	what the host has mounted
 * @a:		memory for the decoded document
 * @e:		names the annotation, the mount or the device
 *
 * Return: 0, -EINVAL, -ENOMEM
 */
int movable_check(const char *document, const struct volumes *volumes,
		  struct arena *a, struct err *e);

#endif
