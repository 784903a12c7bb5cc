/*
 * tools/pod_plan.h - the containers that one `ferry run` runs, and the file
 * that names them
 *
 *	{
 *	  "network": "none",
 *	  "containers": [
 *	    { "name": "web", "bundle": "web", "args": ["/bin/httpd", "-f"],
 *	      "env": { "PORT": "80" }, "cwd": "/", "output": "web.log",
 *	      "scratch_mib": 1024 },
 *	    { "name": "test", "bundle": "test", "main": true }
 *	  ]
 *	}
 *
 * In place of "network", adapters of the pod, eth0 first:
 *
 *	  "adapters": [
 *	    { "endpoint": "tap:vm0", "mac": "00-15-5D-01-02-03", "settings":
 *	      { "IPConfigs": [{ "IPAddress": "10.1.0.2", "PrefixLength": 24 }],
 *		"Routes": [{ "NextHop": "10.1.0.1",
 *			     "DestinationPrefix": "0.0.0.0/0" }] } },
 *	    { "endpoint": "dgram:/run/a:/run/b", "mac": "00-15-5D-01-02-04" }
 *	  ]
 *
 * An endpoint is a tap, the user network, or two unix sockets of datagrams
 * (LOCAL:REMOTE). Settings are those that a guest takes (shared specification
 * bridge.md 3.11.7); one without addresses asks a DHCP server.
 *
 * Only name and bundle are needed. Relative paths begin at the file's folder.
 * What else is in the file is not looked at.
 */
#ifndef FERRY_TOOLS_POD_PLAN_H
#define FERRY_TOOLS_POD_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/schema.h"
#include "config/arena.h"
#include "config/err.h"

/* Bytes of such a file, and containers in it. */
#define POD_FILE_MAX ((size_t)1024 * 1024)
#define POD_PLAN_CONTAINERS_MAX 60u
#define POD_NAME_MAX 63u
#define POD_ADAPTERS_MAX 8u

/**
 * struct pod_container - one of them
 * @name:	1 to POD_NAME_MAX letters, digits, '-', '_' and '.'
 * @bundle:	folder of the host
 * @args:	in place of the bundle's, when there are any
 * @env:	variables in addition
 * @cwd:	in place of the bundle's, "": that
 * @output:	file for its output, "": ferry's own
 * @main:	its end ends the pod, its code is the pod's, it gets the input
 * @scratch_mib: room for what it writes, 0: the default
 */
struct pod_container {
	const char *name;
	const char *bundle;
	struct msg_strings args;
	struct msg_pairs env;
	const char *cwd;
	const char *output;
	bool main;
	uint32_t scratch_mib;
};

enum pod_network {
	POD_NETWORK_NONE,
	POD_NETWORK_USER,     /* QEMU's own, outward only */
	POD_NETWORK_ADAPTERS, /* as the plan lists them */
};

/**
 * struct pod_adapter - one network card
 * @endpoint:	what it is connected to
 * @mac:	00-15-5D-...
 * @settings:	JSON text, NULL: none
 */
struct pod_adapter {
	const char *endpoint;
	const char *mac;
	const char *settings;
};

/**
 * struct pod_plan - all of them
 * @shared:	they share a sandbox container's namespaces; else there is one,
 *		alone
 */
struct pod_plan {
	struct arena arena;
	bool shared;
	enum pod_network network;
	struct pod_adapter *adapter;
	size_t n_adapters;
	struct pod_container *container;
	size_t n;
};

/**
 * pod_plan_read() - from a file
 * @p:		filled; needs pod_plan_done() in any case
 *
 * Return: 0, -EINVAL, -errno; @e names file and member
 */
int pod_plan_read(const char *file, struct pod_plan *p, struct err *e);

/** pod_plan_one() - one bundle alone; strings are borrowed; as above */
int pod_plan_one(const struct pod_container *c, enum pod_network network,
		 struct pod_plan *p, struct err *e);

/** pod_plan_done() - release */
void pod_plan_done(struct pod_plan *p);

/**
 * pod_adapters_parse() - adapters of a text: the array of a file's "adapters"
 * @a:		what they are in
 *
 * Return: 0, -EINVAL, -ENOMEM
 */
int pod_adapters_parse(const char *text, struct arena *a,
		       struct pod_adapter **ret, size_t *ret_n, struct err *e);

/** pod_network_parse() - "none" or "user"; 0 or -EINVAL */
int pod_network_parse(const char *text, enum pod_network *ret, struct err *e);

#endif
