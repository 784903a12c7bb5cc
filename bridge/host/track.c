#include "bridge/host/track.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct host_early_notice {
	struct host_early_notice *next;
	char id[TRACK_ID_MAX];
	char type[TRACK_TYPE_MAX];
};

/* FNV-1a; the host chooses the ids, so nobody gains from collisions. */
static struct host_tracked **bucket_of(struct host_track *t, const char *id)
{
	uint32_t h = 2166136261u;

	for (; *id; id++)
		h = (h ^ (uint8_t)*id) * 16777619u;
	return &t->bucket[h % TRACK_BUCKETS];
}

/* Where the entry of @id hangs, or the end of its chain. */
static struct host_tracked **find(struct host_track *t, const char *id)
{
	struct host_tracked **at = bucket_of(t, id);

	while (*at && strcmp((*at)->id, id) != 0)
		at = &(*at)->next;
	return at;
}

int host_track_add(struct host_track *t, struct host_tracked *entry,
		   struct err *e)
{
	struct host_tracked **at;

	if (!entry->id[0] || strlen(entry->id) >= TRACK_ID_MAX)
		return err_set(e, EINVAL,
			       "a container id has 1 to %u characters",
			       TRACK_ID_MAX - 1);
	at = find(t, entry->id);
	if (*at)
		return err_set(e, EEXIST, "container %s exists already",
			       entry->id);
	entry->next = NULL;
	entry->track = t;
	*at = entry;
	t->n++;
	return 0;
}

void host_track_remove(struct host_tracked *entry)
{
	struct host_tracked **at;

	if (!entry->track)
		return;
	at = find(entry->track, entry->id);
	*at = entry->next;
	entry->track->n--;
	entry->track = NULL;
}

static struct host_early_notice **find_early(struct host_track *t,
					     const char *id)
{
	struct host_early_notice **at = &t->early;

	while (*at && strcmp((*at)->id, id) != 0)
		at = &(*at)->next;
	return at;
}

bool host_track_remember(struct host_track *t,
			 const struct msg_notification *msg)
{
	const char *id = msg->base.container_id;
	struct host_early_notice *n = *find_early(t, id);

	if (!n) {
		if (t->n_early >= TRACK_EARLY_MAX || !id[0] ||
		    strlen(id) >= sizeof(n->id))
			return false;
		n = calloc(1, sizeof(*n));
		if (!n)
			return false;
		memcpy(n->id, id, strlen(id));
		n->next = t->early;
		t->early = n;
		t->n_early++;
	}
	(void)snprintf(n->type, sizeof(n->type), "%s", msg->type);
	return true;
}

bool host_track_notice(struct host_track *t, const struct msg_notification *n)
{
	struct host_tracked *entry = *find(t, n->base.container_id);

	if (!entry)
		return false;
	host_track_remove(entry);
	entry->ended(entry->ctx, n->type);
	return true;
}

bool host_track_take_early(struct host_track *t, const char *id, char *type)
{
	struct host_early_notice **at = find_early(t, id);
	struct host_early_notice *n = *at;

	if (!n)
		return false;
	*at = n->next;
	t->n_early--;
	memcpy(type, n->type, TRACK_TYPE_MAX);
	free(n);
	return true;
}

void host_track_done(struct host_track *t)
{
	for (size_t i = 0; i < TRACK_BUCKETS; i++)
		while (t->bucket[i])
			host_track_remove(t->bucket[i]);
	while (t->early) {
		struct host_early_notice *n = t->early;

		t->early = n->next;
		free(n);
	}
	t->n_early = 0;
}
