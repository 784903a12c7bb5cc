#include "bridge/guest/takeoveruvm.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "bridge/guest/container.h"
#include "bridge/guest/keep.h"
#include "bridge/guest/network_object.h"
#include "bridge/guest/takeover.h"
#include "bridge/io/fd.h"
#include "bridge/io/log.h"

/* Bytes of the list of mounts that are read at once. */
#define MOUNTS_STEP ((size_t)16384)

/* --- networks ------------------------------------------------------------------ */

/* Is there a pod, or what stands for one, in that namespace? */
static bool has_pod(const struct agent *a, const char *guid)
{
	for (struct list *l = a->containers.all.next; l != &a->containers.all;
	     l = l->next) {
		const struct container *c =
			LIST_ITEM(l, struct container, node);

		if (c->facts.oci.kind != OCI_WORKLOAD &&
		    !container_half_made(c) &&
		    strcasecmp(c->facts.oci.namespace, guid) == 0)
			return true;
	}
	return false;
}

static void restore_network(struct agent *a, struct left *left,
			    const struct slot_view *v)
{
	uint32_t handle = v->handle;
	struct network_record *r = keep_network_read(a, v);

	if (!r) {
		takeover_again(a, "a network", NULL);
		slot_drop(&a->slots, &handle);
		return;
	}
	if (!r->assigned)
		return;
	if (r->number != 0)
		r->netns = left_take_fd(left, r->number, 0);
	if (r->number != 0 && r->netns < 0) {
		log_warn("network namespace %s is lost", r->guid);
		network_forget(&a->networks, r->guid);
	} else if (has_pod(a, r->guid)) {
		network_go_on(r);
	} else {
		network_take_back(r);
	}
}

/* Once it is known which containers there are. */
void takeover_networks(struct agent *a, struct left *left)
{
	struct slot_view v = { 0 };

	while (slot_next(&a->slots, SLOT_NETWORK, v.handle, &v)) {
		restore_network(a, left, &v);
		slot_survived(&a->slots);
	}
	network_look(&a->networks);
}

/* --- volumes, policy ------------------------------------------------------------ */

/* Is anything mounted at @path, as far as /proc/self/mountinfo was read? */
static bool is_mounted(const char *mounts, const char *path)
{
	const size_t n = strlen(path);

	for (const char *p = strstr(mounts, path); p; p = strstr(p + 1, path))
		if (p > mounts && p[-1] == ' ' && p[n] == ' ')
			return true;
	return false;
}

static char *read_mounts(void)
{
	cleanup_fd fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	char *text = NULL;
	size_t size = 0, at = 0;
	ssize_t n = 1;

	while (fd >= 0 && n > 0) {
		char *more = at + MOUNTS_STEP < size
				     ? text
				     : realloc(text, size += 2 * MOUNTS_STEP);

		if (!more)
			break;
		text = more;
		n = read(fd, text + at, MOUNTS_STEP);
		at += n > 0 ? (size_t)n : 0;
		text[at] = '\0';
	}
	if (n == 0)
		return text;
	free(text); /* half of it would say that the others are gone */
	return NULL;
}

static void restore_volume(struct agent *a, const char *mounts,
			   const struct slot_view *v)
{
	struct volume_facts f;
	struct volume *vol = NULL;
	bool there = false;
	uint32_t handle = v->handle;

	if (keep_volume_read(v, &f, &there))
		vol = volumes_restore(&a->modify.volumes, &f, handle);
	if (!vol) {
		takeover_again(a, "a volume", NULL);
		slot_drop(&a->slots, &handle);
		return;
	}
	vol->there = there;
	if (!there)
		modify_undo(&a->modify, vol);
	else if (f.kind != VOLUME_LINK && mounts && !is_mounted(mounts, f.path))
		modify_gone(&a->modify, vol);
}

void takeover_volumes(struct agent *a)
{
	char *mounts = read_mounts();
	struct slot_view v = { 0 };

	while (slot_next(&a->slots, SLOT_VOLUME, v.handle, &v)) {
		restore_volume(a, mounts, &v);
		slot_survived(&a->slots);
	}
	free(mounts);
	if (slot_next(&a->slots, SLOT_POLICY, 0, &v))
		keep_policy_read(a, &v);
	slot_survived(&a->slots);
}
