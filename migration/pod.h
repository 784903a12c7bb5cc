/*
 * migration/pod.h - a pod: one network and the containers that share it
 *
 * The container whose id equals the pod's is its sandbox ("pause") container:
 * it is created first, brings the network up, and is deleted last.
 * Source: shared specification migration.md 3.2.
 */
#ifndef FERRY_MIGRATION_POD_H
#define FERRY_MIGRATION_POD_H

#include <stdbool.h>

#include "migration/container.h"
#include "migration/network.h"
#include "migration/seams.h"

#define POD_CONTAINERS_MAX 1024u

struct sandbox_ctl;

/**
 * struct pod_ctl - a pod
 * @id:		containerd's
 * @gcs_id:	the guest's; equal until the first move
 * @migrating:	frozen on the source, inert at the destination
 * @containers:	in ascending order of their ids
 */
struct pod_ctl {
	struct pod_ctl *next; /* ascending id */
	struct sandbox_ctl *sandbox;
	char *id;
	char *gcs_id;
	bool migrating;
	struct network_ctl network;
	struct container_ctl *containers;
	size_t n_containers;
	struct seq seq; /* of a resume */
	struct op *op;
	struct container_ctl *resuming;	      /* its open is on its way, or */
	struct process_ctl *resuming_process; /* that of this one of it */
};

/**
 * pod_ctl_container_new() - create a container
 * @ret:	receives the container, which is there while @op runs. After a
 *		failure it is freed before @op ends, unless clearing up failed
 *		too: then it is invalid and waits to be deleted
 *
 * The sandbox container comes first. Event: created.
 * Return: 0 (see op.h), -EINVAL, -EEXIST, -EPRECONDITION (migrating, VM not
 *         running, no sandbox container), -EEXHAUSTED, -ENOMEM
 */
int pod_ctl_container_new(struct pod_ctl *p, const struct container_spec *spec,
			  struct container_ctl **ret, struct op *op,
			  struct err *e);

/** pod_ctl_insert() - into the list; pod_ctl_remove() - out of it */
void pod_ctl_insert(struct pod_ctl *p, struct container_ctl *c);
void pod_ctl_remove(struct pod_ctl *p, struct container_ctl *c);

/** pod_ctl_container() - by containerd's id; NULL: none */
struct container_ctl *pod_ctl_container(const struct pod_ctl *p,
					const char *id);

/** pod_ctl_guest_container() - by the guest's id; NULL: none */
struct container_ctl *pod_ctl_guest_container(const struct pod_ctl *p,
					      const char *gcs_id);

#endif
