/*
 * tools/shim/tasks.h - containers of a sandbox, as the task service knows them
 *
 * Theory of operation. A task is made of a bundle on the host. Its root file
 * system, a folder there, becomes a read-only disk; a sparse disk is for what
 * it writes. When both are made and the sandbox is ready, the controllers
 * (migration/) plug and mount them and create the container in the guest:
 *
 *	MAKING -> CREATING -> THERE -> DELETING -> gone
 *	     \-------\----- failure: gone
 *
 * A create that failed, and whose way back failed as well, leaves a task that is
 * THERE, with an invalid container, so that its deletion can be asked for.
 * Until it is THERE nothing else can be done with it. What it is from then on,
 * its controller knows. A task by itself is a pod of its own; members of a pod
 * name it by CRI's annotations.
 */
#ifndef FERRY_TOOLS_SHIM_TASKS_H
#define FERRY_TOOLS_SHIM_TASKS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/err.h"
#include "config/text.h"
#include "migration/op.h"
#include "migration/sandbox.h"
#include "tools/bundle.h"
#include "tools/disk/disk.h"
#include "tools/ops.h"
#include "tools/sandbox.h"
#include "tools/shim/oci.h"

#define TASKS_MAX 512u

struct shim;

/* Annotation of a container that comes with a VM: its id on the source. */
#define SHIM_SOURCE_ID "io.microsoft.migration.source-container-id"

/*
 * Annotations of a container whose disks are there already, under names that
 * other hosts have for them too: absolute paths of raw images, ".qcow2" images,
 * block devices, or ".nbd" files (tools/qemu/nbd.h). The root file system is
 * read-only, ext4 unless the third one says erofs; what the container writes
 * goes to an ext4 one. Either both are given or none.
 */
#define SHIM_DISK_ROOTFS "ferry.disk.rootfs"
#define SHIM_DISK_ROOTFS_FS "ferry.disk.rootfs-fs"
#define SHIM_DISK_SCRATCH "ferry.disk.scratch"

enum task_stage {
	TASK_MAKING,
	TASK_CREATING,
	TASK_THERE,
	TASK_DELETING,
};

/* One of a task's disks, or of those in the making; @named: it is not ours. */
struct task_disk {
	struct shim_task *task;
	char *named;
	struct disk_job *job;
	struct disk disk;
	bool ready;
};

struct shim_tasks;

/**
 * struct shim_task - one container
 * @id:		containerd's
 * @dir:	bundle, on the host
 * @stdio:	of its first process
 * @mounted:	its root file system was mounted here, by us
 * @ctl:	from CREATING on
 * @op:	of the controllers
 * @caller:	who waits for its creation or deletion
 */
struct shim_task {
	struct shim_task *next;
	struct shim_tasks *table;
	enum task_stage stage;
	char *id;
	char *dir;
	char *stdio[GUEST_STREAMS];
	bool terminal;
	bool mounted;
	struct oci_facts facts;
	struct bundle *bundle;
	struct task_disk rootfs;
	struct task_disk scratch;
	struct container_ctl *ctl;
	struct op op;
	struct op *caller;
	uint32_t pid;
	uint32_t exit_status;
	uint64_t exited_at_ns;
};

/**
 * struct shim_tasks - all of them, and the controllers
 * @booted:	containers may be created
 * @ctl:	valid while @has_ctl
 */
struct shim_tasks {
	struct shim *shim;
	struct shim_task *first;
	size_t n;
	struct ops *ops;
	struct sandbox_ctl ctl;
	bool has_ctl;
	bool booted;
	struct op boot;
	struct text compat; /* the statement, for one step of an export */
};

/* A mount that containerd asks for below the bundle. */
struct task_mount {
	const char *type;
	const char *source;
	const char *options; /* comma separated, for the file system */
	unsigned long flags; /* MS_* */
};

/**
 * struct task_wish - what to create; borrowed for the call
 * @source_id:	it has come here with its VM, and had this id there; NULL: the
 *		annotation SHIM_SOURCE_ID tells
 * @mounts:	that make up the root file system, one over the other; none: it
 *		is there already
 */
struct task_wish {
	const char *source_id;
	const char *id;
	const char *dir;
	const char *stdio[GUEST_STREAMS];
	bool terminal;
	const struct task_mount *mounts;
	size_t n_mounts;
};

/**
 * shim_task_create() - from a bundle to a created container
 * @op:		ends when it is there; value: 0, its process has no number yet
 *
 * Return: 0 (see op.h), -EINVAL, -EEXIST, -ENOSPC, -errno
 */
int shim_task_create(struct shim_tasks *t, const struct task_wish *wish,
		     struct op *op, struct err *e);

/** shim_task_find() - by id, NULL: none */
struct shim_task *shim_task_find(const struct shim_tasks *t, const char *id);

/**
 * shim_task_delete() - release everything; the task is gone before op ends
 * with 0. A failure can be repeated
 *
 * Return: 0 (see op.h), -EBADFD (not there, or its process runs)
 */
int shim_task_delete(struct shim_task *task, struct op *op, struct err *e);

/** shim_tasks_ready() - the sandbox is ready; 0 or -errno */
int shim_tasks_ready(struct shim_tasks *t, struct sandbox *s, struct err *e);

/** shim_tasks_wait() - a destination: there is no sandbox yet; 0 or -errno */
int shim_tasks_wait(struct shim_tasks *t, struct err *e);

/** shim_tasks_arrived() - the guest has come; containers may be created */
void shim_tasks_arrived(struct shim_tasks *t);

/* Of task_disks.c. */

/**
 * task_named_disks() - take the disks that the annotations name, if they do
 *
 * Return: 1 (they do), 0, -EINVAL, -ENOMEM, -errno (one cannot be opened)
 */
int task_named_disks(struct shim_task *task, struct err *e);

/** task_disk_check() - a file or a block device? nothing else is ever opened */
int task_disk_check(const char *path, struct err *e);

/** task_disk_name() - take the disk at @path under that name */
int task_disk_name(struct task_disk *d, const char *path, bool read_only,
		   struct err *e);

/** task_disk_of() - for the controllers */
struct container_disk task_disk_of(const struct task_disk *d, bool read_only);

/** task_disk_path() - the path for QEMU */
const char *task_disk_path(const struct task_disk *d);

/** task_streams() - of task_streams.c: who opens streams, and the UVM's */
void task_streams(struct shim_tasks *t, struct ops_config *ret);

/* Of tasks_move.c: a task whose container has come with its VM. */

/** task_take_disks() - hold on to its disks; @source_id names the container */
int task_take_disks(struct shim_task *task, const char *source_id,
		    struct err *e);

/** task_patch() - it gets its place here; the end goes to task->caller */
int task_patch(struct shim_task *task, const char *source_id, struct err *e);

/** task_bundle_path() - of a bundle that came with its container */
#define TASK_BUNDLE_MAX 512u
void task_bundle_path(const struct shim *s, const char *id,
		      char ret[TASK_BUNDLE_MAX]);

/** task_bundle_remove() - fine when it did not come so */
void task_bundle_remove(const struct shim_task *task);

/** task_give_up() - a task that never came to be; its caller is told */
void task_give_up(struct shim_task *task, int result, const struct err *e);

/** shim_tasks_ended() - the sandbox has ended; before sandbox_free() */
void shim_tasks_ended(struct shim_tasks *t);

/** shim_tasks_done() - after sandbox_free() */
void shim_tasks_done(struct shim_tasks *t);

#endif
