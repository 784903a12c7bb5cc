/*
 * bridge/guest/oci_doc.h - an OCI document as JSON nodes; for bridge/guest/oci*
 * alone
 *
 * Getters name the member in their errors ("$.mounts[3].source: want string").
 * null is absent, as the reference reads it. What a getter returns belongs to
 * the tree; what a setter is given becomes the tree's, also when it fails.
 */
#ifndef FERRY_BRIDGE_GUEST_OCI_DOC_H
#define FERRY_BRIDGE_GUEST_OCI_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <json-c/json.h>

#include "bridge/guest/oci.h"
#include "config/err.h"

/* Annotations that the guest reads. */
#define ANN_TYPE "io.kubernetes.cri.container-type"
#define ANN_SANDBOX "io.kubernetes.cri.sandbox-id"
#define ANN_VIRTUAL_POD "io.microsoft.cri.virtual-pod-id"
#define ANN_SKIP_NETWORK "io.microsoft.cri.skip-pod-networking"
#define ANN_PRIVILEGED "io.microsoft.virtualmachine.lcow.privileged"
#define ANN_HOST_NETWORK "io.microsoft.virtualmachine.lcow.hostnetwork"
#define ANN_POLICY_ENV "io.microsoft.virtualmachine.lcow.securitypolicy.env"
#define ANN_CORE "io.microsoft.lcow.rlimitcore"
#define ANN_SHM "io.microsoft.lcow.shm.size-kb"
#define ANN_TEE_PATH "io.microsoft.container.lcow.tee-log-path"
#define ANN_TEE_MOUNT "io.microsoft.container.lcow.tee-log-dir-mount"
#define ANN_VSOCK "io.ferry.vsock"

/* Longest place of a member in words, with its NUL. */
#define DOC_PLACE_MAX 96

/* The tree is released when its scope ends. */
static inline void doc_put(json_object **v)
{
	json_object_put(*v);
	*v = NULL;
}
#define cleanup_doc __attribute__((cleanup(doc_put))) json_object

/**
 * doc_parse() - text to tree, after json_check()
 * @what:	for errors: "document"
 *
 * Return: 0, -EINVAL, -ENOMEM
 */
int doc_parse(const char *text, const char *what, json_object **ret,
	      struct err *e);

/**
 * doc_member() - a member of a known type
 * @at:		where @in is: "$", "$.linux"
 * @ret:	NULL when absent
 *
 * Return: 0, -EINVAL (another type)
 */
int doc_member(json_object *in, const char *at, const char *name,
	       json_type type, json_object **ret, struct err *e);

/** doc_need() - as doc_member(); absent is -EINVAL */
int doc_need(json_object *in, const char *at, const char *name, json_type type,
	     json_object **ret, struct err *e);

/** doc_string() - a string without NUL; "" when absent */
int doc_string(json_object *in, const char *at, const char *name,
	       const char **ret, struct err *e);

/** doc_bool() - false when absent */
int doc_bool(json_object *in, const char *at, const char *name, bool *ret,
	     struct err *e);

/**
 * doc_element() - element @i of an array, which must be of @type
 * @at:		of the array; @place receives where the element is
 */
int doc_element(json_object *array, const char *at, size_t i, json_type type,
		char place[DOC_PLACE_MAX], json_object **ret, struct err *e);

/** doc_set() - set or replace a member; NULL @v is -ENOMEM */
int doc_set(json_object *in, const char *name, json_object *v, struct err *e);

/** doc_append() - add to an array; NULL @v is -ENOMEM */
int doc_append(json_object *array, json_object *v, struct err *e);

/** doc_make() - the object or array @name, made empty when absent */
int doc_make(json_object *in, const char *at, const char *name, json_type type,
	     json_object **ret, struct err *e);

/** doc_strings() - a new array of strings, NULL at their end; or NULL */
json_object *doc_strings(const char *const *item);

/**
 * doc_text() - the tree as text
 *
 * Return: 0, -ENOMEM, -EFBIG (over OCI_TEXT_MAX)
 */
int doc_text(json_object *v, struct text *out, struct err *e);

/* --- annotations ----------------------------------------------------------- */

/** doc_annotation() - its value, "" when absent */
int doc_annotation(json_object *doc, const char *key, const char **ret,
		   struct err *e);

/** doc_flag() - a boolean annotation in any of Go's forms; else -EINVAL */
int doc_flag(json_object *doc, const char *key, bool deflt, bool *ret,
	     struct err *e);

/* --- pieces that oci_read() and oci_prepare() share (oci_read.c) ------------ */

/** doc_core_limit() - annotation rlimitcore becomes an RLIMIT_CORE of process */
int doc_core_limit(json_object *doc, struct err *e);

/** doc_cwd() - is it a working directory that a process may ask for? */
int doc_cwd(const char *at, const char *cwd, struct err *e);

/** doc_rootfs() - root.path, absolute; relative ones are below @bundle */
int doc_rootfs(json_object *doc, const char *bundle, struct text *out,
	       struct err *e);

/** doc_tee() - annotation tee-log-path as "logs/...", nothing when absent */
int doc_tee(json_object *doc, struct text *out, struct err *e);

/* --- the work of oci_prepare() ------------------------------------------------ */

/**
 * struct oci_prep - one document on its way
 * @w:		what was asked for
 * @doc:	the tree; @process, @linux_, @mounts are parts of it
 * @bundle, @sandbox, @rootfs: their folders
 * @sources:	bound sources so far
 * @result:	what comes back
 */
struct oci_prep {
	const struct oci_work *w;
	json_object *doc;
	json_object *process;
	json_object *linux_;
	json_object *mounts;
	int bundle;
	int sandbox;
	int rootfs;
	unsigned int sources;
	struct oci_prepared result;
	struct err *e;
};

/* Folder of a bundle in which sources of mounts are bound. */
#define OCI_SOURCES "sources"

/* Steps; 0 or -errno, @p->e filled. */
int oci_step_mounts(struct oci_prep *p); /* oci_mounts.c */
int oci_step_etc(struct oci_prep *p);
int oci_step_shm(struct oci_prep *p);
int oci_step_tee(struct oci_prep *p);
int oci_step_devices(struct oci_prep *p); /* oci_devices.c */
int oci_step_assigned(struct oci_prep *p);
int oci_step_device_rules(struct oci_prep *p);

/** oci_rule() - append to linux.resources.devices */
int oci_rule(struct oci_prep *p, bool allow, const char *type,
	     const unsigned int number[2], const char *access);

/** oci_open() - open a path that guestpath_check() takes, made when missing */
int oci_open(int root, const char *path, mode_t mode, struct err *e);

/* Shared folders of a sandbox (oci_remove.c undoes what oci_prepare.c does). */
#define OCI_SHARED "sandboxMounts"
#define OCI_SHARED_TMPFS "sandboxTmpfsMounts"
#define OCI_HUGEPAGES "hugepages"

#endif
