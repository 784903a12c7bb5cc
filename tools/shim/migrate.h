/*
 * tools/shim/migrate.h - the ttrpc service Migration of a shim
 *
 * Calls go to the session of migration/session.h, which knows what is allowed
 * when; here is what the wire has: messages, ranges of options that no number
 * of ours can hold, timers, and the stream of notifications. What cannot be
 * carried out is refused before anything is touched.
 * Source: shared specification migration.md 7.
 */
#ifndef FERRY_TOOLS_SHIM_MIGRATE_H
#define FERRY_TOOLS_SHIM_MIGRATE_H

#include <stdbool.h>

#include "bridge/io/loop.h"
#include "build/proto/migration.pb-c.h"
#include "config/err.h"
#include "migration/session.h"
#include "tools/ttrpc/server.h"

/**
 * struct shim_migration - the session of a sandbox, and its timers
 * @there:	@session is valid: the sandbox is ready
 */
struct shim_migration {
	struct loop *loop;
	struct session_ctl session;
	bool there;
	struct loop_id idle_timer;
	struct loop_id socket_timer;
};

/* Its context is the struct shim. */
extern const struct ttrpc_service shim_migration_service;

/** shim_migration_ready() - the sandbox's controllers are there */
void shim_migration_ready(struct shim_migration *m, struct loop *loop,
			  struct sandbox_ctl *sandbox);

/** shim_migration_done() - before the controllers go */
void shim_migration_done(struct shim_migration *m);

/**
 * migrate_options() - options of the wire as ours, with their ranges
 * @from:	NULL: all defaults
 *
 * Return: 0, -EINVAL, -EPRECONDITION (checksums without TLS)
 */
int migrate_options(const MigrationOptions *from, struct vmm_options *ret,
		    struct err *e);

/**
 * struct migrate_message - a notification with all its parts
 */
struct migrate_message {
	MigrationNotificationsResponse m;
	MigrationNotification notification;
	MigrationBlackout blackout;
	PbTimestamp start;
	PbTimestamp update;
};

/** migrate_message_fill() - of a message of the session; zeros are left out */
void migrate_message_fill(struct migrate_message *out,
			  const struct session_message *m, uint64_t start_ns);

#endif
