/*
 * bridge/host/track.h - which containers somebody waits for the end of
 *
 * One entry for each container id. The guest's notice takes the entry out and
 * is handed to it: it comes once. A notice for a container that nobody tracks
 * never harms the bridge (W-H3): it is remembered, up to TRACK_EARLY_MAX of
 * them, because after a move the notice may be here before the container was
 * opened (bridge.md 6.5, migration.md W7). Opening takes it; creating a
 * container of the same name drops it, since it was about another one.
 */
#ifndef FERRY_BRIDGE_HOST_TRACK_H
#define FERRY_BRIDGE_HOST_TRACK_H

#include <stdbool.h>
#include <stddef.h>

#include "bridge/msg.h"
#include "config/err.h"

#define TRACK_BUCKETS 256u
/* Longest container id, with its NUL; longer ones are refused. */
#define TRACK_ID_MAX 256u
/* Longest type of a notice that is remembered, with its NUL. */
#define TRACK_TYPE_MAX 24u
/* Notices that are remembered for containers nobody tracks yet. */
#define TRACK_EARLY_MAX 512u

/* The notice came; @type is "UnexpectedExit" or the like, never NULL. */
typedef void host_tracked_fn(void *ctx, const char *type);

/**
 * struct host_tracked - one entry, embedded; zero is not tracked
 * @id:		container id, borrowed for as long as it is tracked
 */
struct host_tracked {
	const char *id;
	host_tracked_fn *ended;
	void *ctx;
	struct host_track *track;
	struct host_tracked *next;
};

struct host_early_notice;

/**
 * struct host_track - the table; embedded, zero is empty
 * @early:	notices without a container, newest first
 */
struct host_track {
	struct host_tracked *bucket[TRACK_BUCKETS];
	size_t n;
	struct host_early_notice *early;
	size_t n_early;
};

/** host_track_done() - forget everything; entries stay their owners' */
void host_track_done(struct host_track *t);

/**
 * host_track_add() - track a container
 * @entry:	not tracked; @id, @ended, @ctx set by the caller
 *
 * Return: 0, -EEXIST (tracked already), -EINVAL (no or too long an id)
 */
int host_track_add(struct host_track *t, struct host_tracked *entry,
		   struct err *e);

/** host_track_remove() - track it no more; fine when it is not tracked */
void host_track_remove(struct host_tracked *entry);

/** host_track_notice() - hand on a notice; return: is the container tracked? */
bool host_track_notice(struct host_track *t, const struct msg_notification *n);

/**
 * host_track_remember() - keep the notice of a container that nobody tracks
 *
 * Return: false: there is no room, or it is not one to keep
 */
bool host_track_remember(struct host_track *t,
			 const struct msg_notification *n);

/**
 * host_track_take_early() - take the remembered notice of a container
 * @type:	receives its type, TRACK_TYPE_MAX bytes
 *
 * Return: was there one?
 */
bool host_track_take_early(struct host_track *t, const char *id, char *type);

#endif
