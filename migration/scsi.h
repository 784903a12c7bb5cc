/*
 * migration/scsi.h - the disks of a VM: slots, reservations, mounts
 *
 * Theory of operation. A holder (a container's layer, its scratch disk, a
 * volume) reserves a partition of a disk and gets a GUID; that takes a slot and
 * counts, and touches nothing. Mapping a reservation attaches the disk and
 * mounts the partition unless another holder has done so; unmapping undoes what
 * nobody else needs, and forgets the reservation:
 *
 *	disk	reserved -> attached -> ejected -> detached
 *	mount	reserved -> mounted -> unmounted
 *
 *	map	detach if ejected; attach; mount
 *	unmap	unmount; eject; detach; forget
 *
 * Jobs on one slot run one after the other, jobs on different slots side by
 * side. Each looks at what is wanted now, so a disk that is wanted again while
 * it is being removed comes back. A failed unmap keeps its reservation and can
 * be repeated.
 *
 * While @migrating is set (by save and import, until resume) reserve, map,
 * unmap and boot disks are refused, and only then may a disk's path change.
 * Source: shared specification migration.md 3.6.
 */
#ifndef FERRY_MIGRATION_SCSI_H
#define FERRY_MIGRATION_SCSI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "migration/machine.h"
#include "migration/names.h"
#include "migration/op.h"
#include "migration/seams.h"
#include "migration/seq.h"

#define SCSI_CONTROLLERS_MAX 4u
#define SCSI_LUNS 64u
#define SCSI_SLOTS_MAX 256u /* SCSI_CONTROLLERS_MAX * SCSI_LUNS */
/* Mount options of one partition. */
#define SCSI_OPTIONS_MAX 64u

enum scsi_disk_state {
	SCSI_DISK_RESERVED,
	SCSI_DISK_ATTACHED,
	SCSI_DISK_EJECTED,
	SCSI_DISK_DETACHED,
	SCSI_DISK_STATES, /* number of states */
};

enum scsi_mount_state {
	SCSI_MOUNT_RESERVED,
	SCSI_MOUNT_MOUNTED,
	SCSI_MOUNT_UNMOUNTED,
	SCSI_MOUNT_STATES, /* number of states */
};

enum scsi_event {
	SCSI_EV_RESERVE,
	SCSI_EV_MAP,
	SCSI_EV_UNMAP,
	SCSI_EV_SAVE,
	SCSI_EV_REPATH,
	SCSI_EV_RESUME,
	SCSI_EVENTS, /* number of events */
};

/* The controller's own two states; tables in scsi.c. */
enum scsi_state { SCSI_READY, SCSI_MIGRATING, SCSI_STATES };

extern const struct machine scsi_machine;
extern const struct machine scsi_disk_machine;
extern const struct machine scsi_mount_machine;

/* Host side of a disk; @path owned inside, borrowed in calls. */
struct scsi_disk_config {
	char *path;
	bool read_only;
	enum vmm_disk_kind kind;
};

/* Guest side of a partition; pointers as above. */
struct scsi_mount_config {
	bool read_only;
	bool encrypted;
	bool ensure_filesystem;
	bool block_dev;
	char *filesystem; /* "": find out */
	char **options;
	size_t n_options;
};

struct scsi_mount {
	struct scsi_mount *next; /* ascending partition */
	uint64_t partition;	 /* 0: the whole disk */
	struct scsi_mount_config config;
	enum scsi_mount_state state;
	uint32_t ref_count;
	bool tried; /* a mount was asked for: unmount, whatever it said */
	char *guest_path;
};

struct scsi_disk {
	uint32_t slot;
	struct scsi_disk_config config;
	struct scsi_mount *mounts;
	enum scsi_disk_state state;
	bool boot;     /* part of the VM: never attached or detached */
	bool repathed; /* got its path of the destination */
	bool tried;    /* an attach was asked for: detach, whatever it said */
	struct scsi_ctl *ctl;
	struct seq seq;
	struct scsi_reservation *jobs; /* the first one runs */
};

/* One holder's handle, and the one job that may be on its way for it. */
struct scsi_reservation {
	struct scsi_reservation *next; /* the newest first */
	char id[NAMES_GUID_SIZE];      /* lower case */
	uint32_t slot;
	uint64_t partition;
	bool releasing; /* an unmap has begun: it counts no more */
	struct scsi_reservation *next_job; /* of the same slot */
	struct op *op;			   /* the caller's, NULL: no job */
	bool unmap;			   /* the job: unmap, else map */
};

struct scsi_ctl {
	const struct seams *seams;
	uint32_t n_controllers;
	enum scsi_state state;
	bool vm_gone; /* everything has been released with the VM */
	struct scsi_disk *slot[SCSI_SLOTS_MAX];
	struct scsi_reservation *reservations;
	uint64_t next_number; /* of the next GUID */
};

/** scsi_ctl_init() - no disks; @n_controllers is 1 to 4 */
void scsi_ctl_init(struct scsi_ctl *c, uint32_t n_controllers,
		   const struct seams *seams);

/** scsi_ctl_done() - forget all; no operation may be on its way */
void scsi_ctl_done(struct scsi_ctl *c);

/**
 * scsi_ctl_boot_disk() - note a disk that the VM has from its start
 *
 * Return: 0, -EINVAL, -EEXIST (slot or path taken), -EPRECONDITION, -ENOMEM
 */
int scsi_ctl_boot_disk(struct scsi_ctl *c, uint32_t slot,
		       const struct scsi_disk_config *d, struct err *e);

/**
 * scsi_ctl_reserve() - hold one partition of one disk
 * @d:		path resolved; a disk that is there already is shared when mode
 *		and kind agree
 * @partition:	0: the whole disk
 * @m:		has to agree with other holders' of the same partition
 * @ret_id:	receives the GUID
 *
 * Return: 0, -EINVAL (paths, or other holders want it otherwise),
 *         -ENOSPC (no slot left), -EPRECONDITION (migrating), -ENOMEM
 */
int scsi_ctl_reserve(struct scsi_ctl *c, const struct scsi_disk_config *d,
		     uint64_t partition, const struct scsi_mount_config *m,
		     char ret_id[NAMES_GUID_SIZE], struct err *e);

/**
 * scsi_ctl_map() - attach and mount what a reservation holds
 *
 * Idempotent. Return: 0 (see op.h), -ENOENT, -EPRECONDITION, -EBUSY (it is on
 *         its way)
 */
int scsi_ctl_map(struct scsi_ctl *c, const char *id, struct op *op,
		 struct err *e);

/**
 * scsi_ctl_unmap() - give a reservation back, mapped or not
 *
 * After a failure the reservation is still there and the call can be repeated.
 * Return: 0 (see op.h), -ENOENT, -EPRECONDITION, -EBUSY (it is on its way)
 */
int scsi_ctl_unmap(struct scsi_ctl *c, const char *id, struct op *op,
		   struct err *e);

/** scsi_ctl_guest_path() - where a reservation is visible; NULL: unknown id */
const char *scsi_ctl_guest_path(const struct scsi_ctl *c, const char *id);

/** scsi_ctl_find() - by id, either case; NULL: none */
struct scsi_reservation *scsi_ctl_find(const struct scsi_ctl *c,
				       const char *id);

/** scsi_ctl_mount_of() - what a reservation holds; NULL: nothing */
struct scsi_mount *scsi_ctl_mount_of(const struct scsi_ctl *c,
				     const struct scsi_reservation *r);

/** scsi_ctl_vm_gone() - the VM ended: unmapping is bookkeeping from now on */
void scsi_ctl_vm_gone(struct scsi_ctl *c);

/* --- migration --- */

/**
 * scsi_ctl_check_save() - could it be saved now?
 *
 * Every disk reserved or attached, every mount reserved or mounted, nothing on
 * its way. Return: 0 or -EPRECONDITION, names disk and state
 */
int scsi_ctl_check_save(const struct scsi_ctl *c, struct err *e);

/** scsi_ctl_freeze() - refuse changes until scsi_ctl_resume(); repeatable */
void scsi_ctl_freeze(struct scsi_ctl *c);

/** scsi_ctl_resume() - changes again; -EPRECONDITION when not frozen */
int scsi_ctl_resume(struct scsi_ctl *c, struct err *e);

/**
 * scsi_ctl_check_repath() - may the disk behind a reservation get this path?
 *
 * Another reservation of the same disk that was given another path, or another
 * disk with the same path, is an error (two containers must agree).
 * Return: 0, -ENOENT, -EINVAL, -EPRECONDITION (not frozen)
 */
int scsi_ctl_check_repath(const struct scsi_ctl *c, const char *id,
			  const char *path, struct err *e);

/** scsi_ctl_repath_take() - after a good check; takes the heap string over */
void scsi_ctl_repath_take(struct scsi_ctl *c, const char *id, char **path);

#endif
