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
#include "tools/qemu/vm_move.h"
#include "tools/ttrpc/server.h"

/* An orchestrator that asks how far it is, and then asks no more, is dead. */
#define MIGRATE_SILENCE_MS 10000

/* A destination that nobody calls, and that was not let go on, ends. */
#define MIGRATE_UNWANTED_MS 20000

/* Upper bounds of the buckets, in ms; above the last there is one more. */
#define MOVE_BUCKETS 12u
extern const uint32_t move_bucket_ms[MOVE_BUCKETS];

/** struct move_times - a histogram */
struct move_times {
	uint64_t bucket[MOVE_BUCKETS + 1];
	uint64_t sum_ms;
};

/**
 * struct move_counts - moves that this shim took part in; first index: origin
 * @ended:	by their result
 * @blackout:	how long the guest stood still, as far as this side saw it
 * @reconnect:	destinations: from running to answering
 */
struct move_counts {
	uint64_t ended[SESSION_DESTINATION + 1][SESSION_RECOVERY_FAILED + 1];
	struct move_times blackout[SESSION_DESTINATION + 1];
	struct move_times reconnect;
};

/** move_times_add() - one more */
void move_times_add(struct move_times *t, uint64_t ms);

/**
 * struct shim_migration - the session of a sandbox, and its timers
 * @there:	@session is valid: the sandbox is ready, or is to come
 * @completed_ms, @running_ms: of a destination: moments of the loop's clock
 * @reconnect_ms: from there until the guest had called
 * @stopped_ns, @running_ns: of the wall clock
 * @silence:	who asked how far it is asks no more
 * @judged:	a lease tells who may let the guest go on
 * @back:	of a source that goes on by itself
 * @unwanted:	of a destination: nobody calls it any more
 * @seen:	the orchestrator knows how it ended and asks no more
 * @watch:	listens for the failure of a transfer; in the session while it has
 *		an id
 */
struct shim_migration {
	struct loop *loop;
	struct session_ctl session;
	bool there;
	bool seen;
	struct loop_id idle_timer;
	struct loop_id socket_timer;
	int64_t completed_ms;
	int64_t running_ms;
	uint64_t reconnect_ms;
	uint64_t stopped_ns;
	uint64_t running_ns;
	struct loop_id silence;
	bool judged;
	struct op back;
	void (*unwanted)(void *owner);
	void *owner;
	struct session_listener watch;
	struct move_counts counts;
};

/* Its context is the struct shim. */
extern const struct ttrpc_service shim_migration_service;

/** shim_migration_ready() - the sandbox's controllers are there */
void shim_migration_ready(struct shim_migration *m, struct loop *loop,
			  struct sandbox_ctl *sandbox);

/** shim_migration_note() - what QEMU says of the move, as a notification */
void shim_migration_note(struct shim_migration *m, enum vm_move_note note,
			 uint64_t number);

/** shim_migration_touch() - somebody called: the time without a call begins
 * anew */
void shim_migration_touch(struct shim_migration *m);

/** shim_migration_asked() - the orchestrator is there, and will ask again */
void shim_migration_asked(struct shim_migration *m, bool judged);

/** shim_migration_expect() - a destination: @unwanted is called, perhaps again
 * and again, while nobody calls */
void shim_migration_expect(struct shim_migration *m,
			   void (*unwanted)(void *owner), void *owner);

/** shim_migration_arrived() - the guest has called its new host */
void shim_migration_arrived(struct shim_migration *m);

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
