/*
 * tools/shim/stats.h - statistics and limits of a container, between the words
 * of the bridge and those of containerd
 */
#ifndef FERRY_TOOLS_SHIM_STATS_H
#define FERRY_TOOLS_SHIM_STATS_H

#include <stddef.h>

#include "bridge/host/calls.h"
#include "bridge/msg_metrics.h"
#include "config/err.h"
#include "tools/ttrpc/server.h"

/* The type of the statistics in an answer. */
#define STATS_URL "io.containerd.cgroups.v1.Metrics"

/** stats_reply() - answer a call of Stats */
void stats_reply(struct ttrpc_call *call, const struct msg_metrics *m);

/**
 * stats_update() - limits of a running container
 * @document:	OCI's LinuxResources, JSON text; @len bytes
 *
 * Return: as host_client_call(); -EINVAL: not JSON
 */
int stats_update(struct host_client *c, const char *container_id,
		 const void *document, size_t len, const struct host_done *done,
		 struct err *e);

#endif
