/*
 * bridge/guest/vpmem.h - VPMemDevice: a pmem region with a read-only ext4
 *
 * A region of a device gets a read-only dm-linear device, made by ioctl.
 * Source: shared specification bridge.md 3.11.5.
 */
#ifndef FERRY_BRIDGE_GUEST_VPMEM_H
#define FERRY_BRIDGE_GUEST_VPMEM_H

#include "bridge/guest/volume.h"
#include "bridge/msg_settings.h"
#include "config/err.h"

/** vpmem_check() - as disk_check() */
int vpmem_check(const struct msg_vpmem_device *m, struct volume_facts *f,
		struct err *e);

/** vpmem_add() - wait for it, map and mount it; blocks. Return: 0 or -errno */
int vpmem_add(const struct volume_env *env, struct volume_facts *f,
	      struct err *e);

/** vpmem_remove() - see volume_remove() */
int vpmem_remove(const struct volume_env *env, const struct volume_facts *f,
		 struct err *e);

#endif
