/*
 * bridge/guest/plan9.h - MappedDirectory: a folder of the host, over 9p
 *
 * The guest dials the host's port, and the kernel speaks 9p on the connection.
 * A share does not survive a migration. Source: shared specification bridge.md
 * 3.11.4. The reference also passes "noload", which 9p does not know: ferry
 * does not.
 */
#ifndef FERRY_BRIDGE_GUEST_PLAN9_H
#define FERRY_BRIDGE_GUEST_PLAN9_H

#include "bridge/guest/volume.h"
#include "bridge/msg_settings.h"
#include "config/err.h"

/* Of the connection, both ways, and of a message. */
#define PLAN9_BUFFER 65536
/* Longest wait for the host to answer the dial. */
#define PLAN9_DIAL_MS 10000

/** plan9_check() - as disk_check() */
int plan9_check(const struct msg_mapped_directory *m, bool add,
		struct volume_facts *f, struct err *e);

/** plan9_add() - dial and mount; blocks. Return: 0 or -errno */
int plan9_add(const struct volume_env *env,
	      const struct msg_mapped_directory *m, struct volume_facts *f,
	      struct err *e);

/** plan9_remove() - see volume_remove() */
int plan9_remove(const struct volume_env *env, const struct volume_facts *f,
		 struct err *e);

#endif
