/*
 * tools/shim/cards.h - the network cards of a pod
 *
 * The annotation CARDS_ANNOTATION of the container that begins a pod lists them
 * as the "adapters" of a pod file do (tools/pod_plan.h), eth0 first. On the
 * destination of a move they are those of this host: the card that a pod brings
 * along is connected to the endpoint in the same place here. A card whose
 * settings are the same on both hosts is none of the guest's business.
 */
#ifndef FERRY_TOOLS_SHIM_CARDS_H
#define FERRY_TOOLS_SHIM_CARDS_H

#include "config/arena.h"
#include "config/err.h"
#include "migration/sandbox.h"
#include "tools/pod_plan.h"
#include "tools/shim/oci.h"

#define CARDS_ANNOTATION "io.ferry.network.adapters"

/**
 * struct cards - of one pod
 * @namespace_id: of the guest's network, "": the pod has no cards
 * @endpoint:	@n of them
 */
struct cards {
	struct arena arena;
	char namespace_id[NAMES_GUID_SIZE];
	struct network_endpoint endpoint[POD_ADAPTERS_MAX];
	size_t n;
};

/**
 * cards_read() - what a container's annotations say
 * @ret:	filled; cards_done() in any case
 *
 * Return: 0, -EINVAL, -ENOMEM, -errno
 */
int cards_read(const struct oci_facts *f, struct cards *ret, struct err *e);
void cards_done(struct cards *c);

/** cards_pod() - begin the pod @id with the cards of its first container */
int cards_pod(const struct oci_facts *f, struct sandbox_ctl *s, const char *id,
	      struct pod_ctl **ret, struct err *e);

#endif
