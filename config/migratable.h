/*
 * config/migratable.h - what a sandbox must not have if it is to migrate
 *
 * Checked when the sandbox is built and when a container is created in it, not
 * when it is saved. Two tables hold the rules: the column @not_migratable of
 * the catalogue for annotations, migratable_rules for everything else.
 * Source: shared specification cmdline.md 11.
 */
#ifndef FERRY_CONFIG_MIGRATABLE_H
#define FERRY_CONFIG_MIGRATABLE_H

#include "config/annotation_map.h"
#include "config/err.h"
#include "config/options.h"

enum migratable_rule {
	MIGRATABLE_DEVICE,
	MIGRATABLE_HARDWARE_POLICY,
	MIGRATABLE_CLASSIC,
	MIGRATABLE_SHARE,
	MIGRATABLE_PHYSICAL_DISK,
	MIGRATABLE_LOG_PORT,
	MIGRATABLE_RULES, /* number of rules */
};

/* What is refused and why; constant text, phrases without a full stop. */
struct migratable_row {
	const char *what;
	const char *why;
};

extern const struct migratable_row migratable_rules[MIGRATABLE_RULES];

/* Where the files of a mount come from. */
enum mount_origin {
	MOUNT_GUEST, /* made in the guest: tmpfs, sandbox://, ... */
	MOUNT_DISK,  /* a file of the host that the guest has as a disk */
	MOUNT_SHARE, /* a directory of the host over file sharing */
	MOUNT_PHYSICAL_DISK, /* a disk of the host itself */
};

/* One mount of a container. */
struct container_mount {
	const char *destination;
	enum mount_origin origin;
};

/**
 * struct migratable_container - what the check looks at
 * @annotations: of the container, before anything is expanded
 * @mounts:	all of them
 * @n_mounts:	entries of @mounts
 * @devices:	devices of the host that the container asks for
 * @n_devices:	entries of @devices
 */
struct migratable_container {
	const struct annotation_map *annotations;
	const struct container_mount *mounts;
	size_t n_mounts;
	const struct sandbox_device *devices;
	size_t n_devices;
};

/**
 * migratable_choose() - fill @o->migratable and @o->forwarder
 * @o:		options whose annotations have been read
 * @a:		the annotations, to see which of the two keys are there
 * @r:		forwarder that was asked for
 * @e:		annotation-conflict (both keys, different meaning; strict),
 *		migration-incompatible (migratable and classic)
 *
 * Compat mode does what the reference does: only the newer key counts, and
 * migration means relay.
 * Return: 0 or -EINVAL
 */
int migratable_choose(struct sandbox_options *o, const struct annotation_map *a,
		      const struct runtime_options *r, struct err *e);

/**
 * migratable_check() - strict mode: does a migratable sandbox set anything
 * that cannot follow it?
 * @o:		options, complete
 * @a:		the annotations
 * @r:		assigned devices
 * @e:		migration-incompatible, names the key
 *
 * Return: 0 or -EINVAL
 */
int migratable_check(const struct sandbox_options *o,
		     const struct annotation_map *a,
		     const struct runtime_options *r, struct err *e);

/**
 * migratable_mount_origin() - of a mount as an OCI document on the host has it
 * @type:	type of the mount: "bind", "physical-disk", "virtual-disk", ...
 * @source:	its source; sandbox://, sandbox-tmp://, hugepages:// and uvm://
 *		are in the guest
 *
 * The agent knows what it mounted and needs no guess.
 */
enum mount_origin migratable_mount_origin(const char *type, const char *source);

/**
 * migratable_check_container() - may this container be created in a migratable
 * sandbox?
 * @lock:	what the sandbox was built from (config/annotation_lock.h), or NULL
 *		where another one compares it
 * @c:		the container
 * @e:		migration-incompatible, names annotation, mount or device;
 *		annotation-unsupported, annotation-malformed
 *
 * For the caller to ask only when the sandbox is migratable.
 * Return: 0, -EINVAL, -ENOMEM
 */
int migratable_check_container(const struct annotation_map *lock,
			       const struct migratable_container *c,
			       struct err *e);

#endif
