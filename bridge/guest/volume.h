/*
 * bridge/guest/volume.h - what a host has mounted in the UVM
 *
 * A volume is a disk, a combination of layers, a 9p share or a pmem region
 * that ModifySettings put somewhere. Whatever another incarnation of the agent
 * has to know about one is in a plain struct of fixed size; the mounts
 * themselves are the kernel's and outlive the agent.
 *
 * The functions that mount and unmount (disk.h, layers.h, plan9.h, vpmem.h,
 * vpci.h) may block and run in a job's child. They get a struct volume_env,
 * which says where the system is: tests say somewhere else.
 */
#ifndef FERRY_BRIDGE_GUEST_VOLUME_H
#define FERRY_BRIDGE_GUEST_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/guest/list.h"
#include "bridge/io/transport.h"
#include "config/err.h"
#include "config/text.h"

/* Longest path of a volume with its NUL. */
#define VOLUME_PATH_MAX 512
#define VOLUME_NAME_MAX 64
/* Volumes that are kept in mind, and those that DumpStacks names. */
#define VOLUMES_MAX 8192u
#define VOLUMES_DUMPED_MAX 128u
/* Longest wait for a device that the host says is there. */
#define VOLUME_WAIT_MS 30000
/* How often is looked without an announcement of the kernel. */
#define VOLUME_LOOK_MS 200

enum volume_kind {
	VOLUME_DISK,   /* a file system of a SCSI disk */
	VOLUME_LINK,   /* a link to the device of a SCSI disk */
	VOLUME_LAYERS, /* an overlay */
	VOLUME_PLAN9,
	VOLUME_PMEM,
	VOLUME_KINDS, /* number of kinds */
};

/**
 * struct volume_facts - one of them
 * @path:	where it is
 * @scratch:	layers: of the host, "": read-only
 * @bound:	layers: the directory above @path was bound to the scratch
 * @controller, @lun: disk: as the host counts
 * @partition:	disk: 0: the whole disk
 * @encrypted:	disk: by dm-crypt
 * @pmem:	number of the device
 * @mapped:	pmem: a region of it, @offset_bytes and @size_bytes
 * @device:	name below /dev
 * @filesystem:	its type
 */
struct volume_facts {
	uint32_t kind;
	char path[VOLUME_PATH_MAX];
	char scratch[VOLUME_PATH_MAX];
	char device[VOLUME_NAME_MAX];
	char filesystem[VOLUME_NAME_MAX];
	uint64_t partition;
	uint64_t offset_bytes;
	uint64_t size_bytes;
	uint32_t pmem;
	uint32_t n_layers;
	uint8_t controller;
	uint8_t lun;
	bool read_only;
	bool encrypted;
	bool mapped;
	bool bound;
};

/**
 * struct volume_env - where the system is
 * @root:	descriptor of "/"
 * @sys:	"/sys"
 * @dev:	"/dev"
 * @programs:	search path for mkfs and cryptsetup
 * @wait_ms:	VOLUME_WAIT_MS
 * @uevents:	the kernel announces devices
 * @host:	whom a 9p share is dialled at
 */
struct volume_env {
	int root;
	const char *sys;
	const char *dev;
	const char *programs;
	int64_t wait_ms;
	bool uevents;
	struct transport host;
};

/**
 * struct volume - one of them, in mind
 * @there:	it was mounted; else it is being mounted
 * @slot:	its record, see bridge/guest/keep.h
 */
struct volume {
	struct list node;
	struct volume_facts facts;
	bool there;
	uint32_t slot;
};

/**
 * struct volumes - all of them
 * @all:	oldest first
 * @on_kept:	what a later agent has to know of one has changed; @forgotten: it
 *		is about to be released. NULL: nobody wants to know
 */
struct volumes {
	struct list all;
	size_t n;
	void (*on_kept)(void *ctx, struct volume *v, bool forgotten);
	void *ctx;
};

/** volumes_init() - none */
void volumes_init(struct volumes *all);
/** volumes_done() - forget all; nothing is unmounted */
void volumes_done(struct volumes *all);

/**
 * volumes_add() - keep one in mind
 * @ret:	receives the one that is kept
 *
 * Return: 0, -ENOSPC, -ENOMEM
 */
int volumes_add(struct volumes *all, const struct volume_facts *f,
		struct volume **ret, struct err *e);

/** volumes_there() - this one is mounted now */
void volumes_there(struct volumes *all, struct volume *v,
		   const struct volume_facts *f);

/** volumes_restore() - one of an earlier agent; NULL: no memory */
struct volume *volumes_restore(struct volumes *all,
			       const struct volume_facts *f, uint32_t slot);

/** volumes_drop() - forget this one, from volumes_add(); NULL is fine */
void volumes_drop(struct volumes *all, struct volume *v);

/** volumes_find() - the newest one at @path, or NULL */
const struct volume_facts *volumes_find(const struct volumes *all,
					const char *path);

/** volumes_count() - how many are at @path */
size_t volumes_count(const struct volumes *all, const char *path);

/** volumes_forget() - all at @path are gone */
void volumes_forget(struct volumes *all, const char *path);

/** volumes_forget_below() - all at or below @path are gone: a bundle was
 * deleted */
void volumes_forget_below(struct volumes *all, const char *path);

/** volumes_dump() - a line for each, for the agent's report about itself */
void volumes_dump(const struct volumes *all, struct text *out);

/** volume_kind_name() - for people */
const char *volume_kind_name(enum volume_kind kind);

/**
 * volume_text() - copy a member of a request into the facts
 * @what:	the member's name
 *
 * Return: 0 or -EINVAL: too long
 */
int volume_text(char *to, size_t size, const char *from, const char *what,
		struct err *e);

/**
 * volume_remove() - unmount, close and remove what the facts say, as far as it
 * is there; blocks
 *
 * Return: 0 or -errno
 */
int volume_remove(const struct volume_env *env, const struct volume_facts *f,
		  struct err *e);

/**
 * volume_wait() - until @look finds something; blocks
 * @look:	returns a value above 0 when it is there, 0 when it is not yet,
 *		or -errno, which ends the wait
 *
 * The kernel's announcements are asked for before the first look; without one
 * it looks every VOLUME_LOOK_MS, and a last time when the time is over.
 *
 * Return: what @look returned, 0: not there in @env->wait_ms
 */
int volume_wait(const struct volume_env *env,
		int (*look)(void *ctx, struct err *e), void *ctx,
		struct err *e);

#endif
