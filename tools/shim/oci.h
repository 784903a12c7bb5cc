/*
 * tools/shim/oci.h - what a shim has to know of a bundle's config.json before
 * anything is done with it
 *
 * Which pod the container belongs to, and whether it may be in this sandbox: in
 * a migratable one nothing may be asked for that cannot follow it to another
 * host, and annotations that shaped the UVM mean what they meant when it was
 * built (config/migratable.h, config/annotation_lock.h).
 */
#ifndef FERRY_TOOLS_SHIM_OCI_H
#define FERRY_TOOLS_SHIM_OCI_H

#include <stdbool.h>

#include "config/annotation_map.h"
#include "config/err.h"

/* CRI's annotations, as containerd and cri-o write them. */
#define OCI_CONTAINER_TYPE "io.kubernetes.cri.container-type"
#define OCI_SANDBOX_ID "io.kubernetes.cri.sandbox-id"

/* What a config.json may decode to. */
#define OCI_BYTES_MAX ((size_t)16 * 1024 * 1024)

enum oci_kind {
	OCI_ALONE,     /* a container by itself */
	OCI_SANDBOX,   /* first of a pod */
	OCI_CONTAINER, /* member of a pod */
};

/**
 * struct oci_facts - of one document
 * @pod_id:	id of the pod that it belongs to, of OCI_CONTAINER
 * @annotations: all of them
 */
struct oci_facts {
	enum oci_kind kind;
	char pod_id[257];
	struct annotation_map annotations;
};

/**
 * oci_facts_read() - of the bundle in @dir
 * @lock:	NULL: the sandbox is not migratable, or is not there yet
 * @ret:	filled; oci_facts_done() in any case
 * @e:		names annotation, mount or device
 *
 * Return: 0, -ENOENT, -EINVAL, -E2BIG, -ENOMEM, -errno
 */
int oci_facts_read(const char *dir, const struct annotation_map *lock,
		   struct oci_facts *ret, struct err *e);

/** oci_facts_check() - the same of a text */
int oci_facts_check(const char *text, size_t len,
		    const struct annotation_map *lock, struct oci_facts *ret,
		    struct err *e);

void oci_facts_done(struct oci_facts *f);

#endif
