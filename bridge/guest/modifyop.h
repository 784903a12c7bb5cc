/* bridge/guest/modifyop.h - one operation of ModifySettings, and the table of
 * resources, for the files that make it up */
#ifndef FERRY_BRIDGE_GUEST_MODIFYOP_H
#define FERRY_BRIDGE_GUEST_MODIFYOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/guest/modify.h"
#include "bridge/guest/request.h"
#include "bridge/guest/volume.h"
#include "bridge/msg_settings.h"
#include "config/arena.h"

enum modify_verb {
	MODIFY_ADD,
	MODIFY_REMOVE,
	MODIFY_UPDATE,
	MODIFY_VERBS, /* number of verbs */
};

/* The settings of any resource. */
union modify_settings {
	struct msg_mapped_virtual_disk disk;
	struct msg_scsi_device scsi;
	struct msg_combined_layers layers;
	struct msg_mapped_directory plan9;
	struct msg_vpmem_device vpmem;
	struct msg_vpci_device vpci;
	struct msg_network network;
	struct msg_security_policy policy;
	struct msg_security_policy_fragment fragment;
};

/**
 * struct modify_key - what an operation has to do with
 * @path:	borrowed
 * @write:	it changes what is there
 */
struct modify_key {
	const char *path;
	bool write;
};

#define MODIFY_NO_DISK (-1)

/**
 * struct modify_op - one of them
 * @request:	NULL: nobody waits for the answer any more
 * @arena:	what @settings and @key point at
 * @facts:	what it is about
 * @volume:	Add: its place in the table of volumes
 * @disk:	controller and LUN, MODIFY_NO_DISK: none
 * @wait_ms:	added to the time of its job: for a device to come
 * @make_ms:	the same: to make a file system
 * @begun:	its job was submitted
 * @undone:	children that were started for that and told nothing
 * @why:	while it is being undone: what to answer
 */
struct modify_op {
	struct list node;
	struct modify *all;
	struct request *request;
	struct arena arena;
	const struct modify_resource *resource;
	enum modify_verb verb;
	union modify_settings settings;
	struct volume_facts facts;
	struct volume *volume;
	struct modify_key *key;
	size_t n_keys;
	int disk;
	int64_t wait_ms;
	int64_t make_ms;
	bool begun;
	unsigned int undone;
	struct err why;
};

/* Checks the settings, fills in facts and keys. Return: 0, 1 (there is nothing
 * to do), or -errno */
typedef int modify_check_fn(struct modify_op *op, struct err *e);
/* Does it, in a job's child. Return: 0 or -errno */
typedef int modify_run_fn(const struct volume_env *env, struct modify_op *op,
			  struct err *e);
/* Does it without a job: answers, or keeps the request. */
typedef void modify_direct_fn(struct call *c, enum modify_verb verb,
			      const union modify_settings *s);

/**
 * struct modify_resource - one kind of resource
 * @name:	ResourceType
 * @verbs:	1 << enum modify_verb, added; 0: the verb does not matter
 * @bare:	it has no settings
 * @volume:	an Add of it is a volume
 * @direct:	NULL: it is checked, then run as a job
 */
struct modify_resource {
	const char *name;
	unsigned int verbs;
	bool bare;
	bool volume;
	modify_check_fn *check;
	modify_run_fn *run;
	modify_direct_fn *direct;
};

/** modify_resource() - by ResourceType, or NULL */
const struct modify_resource *modify_resource(const char *name);

/** modify_conflict() - must @later wait for @earlier? */
bool modify_conflict(const struct modify_op *later,
		     const struct modify_op *earlier);

#endif
