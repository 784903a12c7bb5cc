/*
 * bridge/guest/cgroup.h - the cgroups of pods: limits, statistics, processes
 *
 * Paths are those of OCI documents: absolute below the root of the hierarchy,
 * "/pods/<sandbox>/<id>". With cgroup 2 that is one directory, with cgroup 1
 * one in each controller's hierarchy. No component may be "." or "..". All
 * here reads and writes files of cgroupfs, which does not block.
 * Source: shared specification bridge.md 3.10, 3.11.9, 4.3.
 */
#ifndef FERRY_BRIDGE_GUEST_CGROUP_H
#define FERRY_BRIDGE_GUEST_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bridge/io/loop.h"
#include "bridge/msg_metrics.h"
#include "config/arena.h"
#include "config/err.h"

#define CGROUP_ROOT_DIR "/sys/fs/cgroup"
#define CGROUP_PODS "/pods"
#define CGROUP_GCS "/gcs"
#define CGROUP_PATH_MAX 512
/* How deep and how wide trees are walked. */
#define CGROUP_DEPTH_MAX 16
#define CGROUP_DIRS_MAX 4096u
/* How often the limit of /pods is compared with the memory there is. */
#define CGROUP_REFRESH_MS 60000

enum cgroup_version {
	CGROUP_NONE, /* no hierarchy that we know: every call is an error */
	CGROUP_V1,
	CGROUP_V2,
};

struct oom_watch;

/**
 * oom_fn - processes of a cgroup were killed because memory was short
 * @kills:	all kills so far; rises with each call
 */
typedef void oom_fn(void *ctx, uint64_t kills);

/**
 * struct cgroups - the hierarchy, and what is watched in it
 * @root:	CGROUP_ROOT_DIR; tests say otherwise
 * @total:	memory of the UVM in bytes, 0: ask the kernel; for tests
 * @reserve:	bytes that /pods may not have
 * @pods_limit:	what was written last, 0: nothing yet
 * @gcs_above:	/gcs was above its threshold when it was looked at last
 */
struct cgroups {
	struct loop *loop;
	const char *root;
	enum cgroup_version version;
	uint64_t total;
	uint64_t reserve;
	uint64_t pods_limit;
	uint64_t gcs_threshold;
	bool gcs_above;
	struct loop_id refresh;
};

/**
 * cgroups_init() - find out what there is
 * @root:	where it is mounted; borrowed
 */
void cgroups_init(struct cgroups *c, struct loop *l, const char *root);
void cgroups_done(struct cgroups *c);

/**
 * cgroups_start() - on a UVM of our own: make /gcs and /pods, move the agent
 * into /gcs, limit /pods, and look after both every CGROUP_REFRESH_MS
 * @reserve:	bytes
 * @gcs_threshold: a warning is logged when /gcs goes above it
 */
int cgroups_start(struct cgroups *c, uint64_t reserve, uint64_t gcs_threshold,
		  struct err *e);

/**
 * cgroup_pods_limit() - PodCgroupMemoryLimit: /pods gets all memory but the
 * reserve; written only when it changed
 *
 * Return: 0, -ERANGE (less memory than the reserve), -errno
 */
int cgroup_pods_limit(struct cgroups *c, struct err *e);

/**
 * cgroup_pod_create() - the cgroup of a sandbox, above those of its containers
 * @path:	"/pods/<id>"
 * @resources:	LinuxResources of the OCI document as JSON text, NULL: none;
 *		devices and what is not for a pod are left out
 * @scratch:	memory for decoding
 *
 * Return: 0, -EINVAL (names the member), -errno
 */
int cgroup_pod_create(const struct cgroups *c, const char *path,
		      const char *resources, struct arena *scratch,
		      struct err *e);

/**
 * cgroup_remove() - remove a cgroup with all below it; missing is a success
 *
 * Return: 0, -EBUSY (processes live in it), -errno
 */
int cgroup_remove(const struct cgroups *c, const char *path, struct err *e);

/**
 * cgroup_stats() - LCOWMetrics of a cgroup
 * @a:		what @ret points to; lives as long
 *
 * A file that is not there counts as 0.
 * Return: 0, -ENOENT (no such cgroup), -EINVAL, -ENOMEM
 */
int cgroup_stats(const struct cgroups *c, const char *path, struct arena *a,
		 struct msg_metrics *ret, struct err *e);

/**
 * cgroup_procs() - processes in a cgroup and below it
 * @pid:	receives up to @max
 *
 * Return: how many there are, which may be more than @max, or -errno
 */
ssize_t cgroup_procs(const struct cgroups *c, const char *path, pid_t *pid,
		     size_t max, struct err *e);

/* --- out of memory (cgroup_oom.c) ------------------------------------------ */

/**
 * oom_watch() - call @fn when processes of @path are killed for want of memory
 * @path:	of a container, whose cgroup exists
 * @before:	kills that were told already, 0 for a new container
 *
 * Return: 0, -ENOENT, -ENOMEM, -errno
 */
int oom_watch(struct cgroups *c, const char *path, uint64_t before, oom_fn *fn,
	      void *ctx, struct oom_watch **ret, struct err *e);

/**
 * oom_check() - look now, and call the function if there is something new
 *
 * Called when a process of the container has ended and before that is told,
 * so that the kill is always told first.
 * Return: kills so far
 */
uint64_t oom_check(struct oom_watch *w);

/** oom_unwatch() - NULL is fine; after it @fn is not called any more */
void oom_unwatch(struct oom_watch *w);

#endif
