/*
 * bridge/guest/modify.h - ModifySettings for the UVM
 *
 * A request becomes an operation. What it says is checked at once; what may
 * block runs as a job. Order: an operation waits for every earlier one that
 * has to do with the same disk, or with a path that is the same, above, or
 * below, unless both only read it (two containers on one layer); all others go
 * on side by side, so that one slow disk holds up nobody else. An operation
 * outlives the connection of its request.
 *
 * An Add whose job was killed at its deadline is undone by a second job before
 * it is answered; one that fails by itself has undone what it did. What is
 * mounted is in a table (volume.h) that another incarnation can be given.
 * Source: shared specification bridge.md 3.11.
 */
#ifndef FERRY_BRIDGE_GUEST_MODIFY_H
#define FERRY_BRIDGE_GUEST_MODIFY_H

#include <stddef.h>
#include <stdint.h>

#include "bridge/guest/list.h"
#include "bridge/guest/volume.h"
#include "bridge/msg_settings.h"
#include "config/err.h"
#include "config/text.h"

/* Operations in progress, and memory for the settings of one. */
#define MODIFY_OPS_MAX 4096u
#define MODIFY_MEMORY_MAX ((size_t)4 << 20)
/* A job's time beside the wait for a device: mounting; making a file system.
 * With all of it the host, which gives up after 5 minutes, has its answer. */
#define MODIFY_MOUNT_MS 60000
#define MODIFY_MAKE_MS 120000
#define MODIFY_UNDO_MS 30000

struct agent;
struct call;
struct request;

/**
 * struct modify - the operations of an agent
 * @env:	where the system is; @env.root is owned
 * @volumes:	what is mounted, or being mounted
 * @mount_ms:	MODIFY_MOUNT_MS
 * @make_ms:	MODIFY_MAKE_MS
 * @ops:	in progress, oldest first
 */
struct modify {
	struct agent *agent;
	struct volume_env env;
	struct volumes volumes;
	int64_t mount_ms;
	int64_t make_ms;
	struct list ops;
	size_t n;
};

/**
 * modify_init() - nothing in progress
 * @a:		borrowed; its flags are set
 *
 * Return: 0 or -errno
 */
int modify_init(struct modify *all, struct agent *a, struct err *e);

/** modify_done() - forget all, after the jobs; what is mounted stays */
void modify_done(struct modify *all);

/** modify_uvm() - serve a request that names the UVM; answered now or later */
void modify_uvm(struct call *c, const struct msg_modify_settings *m);

/** modify_network_asked() - @r, of an earlier agent, asked for an adapter.
 * Return: false: there is none such */
bool modify_network_asked(struct modify *all, struct request *r);

/** modify_volume_asked() - the same of a volume: it is there, and @r, which an
 * agent died before it answered, is answered */
bool modify_volume_asked(struct modify *all, struct request *r);

/** modify_undo() - an agent died while it made @v; others wait for it */
void modify_undo(struct modify *all, struct volume *v);

/** modify_gone() - what @v is about went while there was no agent, or one died
 * while it took it away; the containers are known. @v is gone, or will be */
void modify_gone(struct modify *all, struct volume *v);

/** modify_dump() - for the agent's report about itself */
void modify_dump(const struct modify *all, struct text *out);

#endif
