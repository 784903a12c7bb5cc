/*
 * bridge/guest/dhcp.h - an address by DHCP: one run of the image's client
 *
 * For children only: dhcp_run() blocks. The client is busybox's, called as the
 * reference calls it. The script of ferry's image configures nothing; it
 * prints what the client got in lines that begin with DHCP_LINE, and the caller
 * configures it by rtnetlink. A script that prints no such line has done it
 * itself.
 */
#ifndef FERRY_BRIDGE_GUEST_DHCP_H
#define FERRY_BRIDGE_GUEST_DHCP_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/guest/rtnl.h"
#include "config/err.h"

#define DHCP_LINE "ferry-lease "
#define DHCP_ROUTERS_MAX 4

/**
 * struct dhcp_lease - what a server gave
 * @told:	the script printed it; all else is unset without
 */
struct dhcp_lease {
	bool told;
	struct rtnl_address address;
	uint8_t prefix;
	struct rtnl_address router[DHCP_ROUTERS_MAX];
	uint8_t n_routers;
};

/**
 * dhcp_read() - the client's output; the last lease counts; pure
 * @text:	changed
 *
 * Return: 0, -EINVAL (a lease that makes no sense)
 */
int dhcp_read(char *text, struct dhcp_lease *ret, struct err *e);

/**
 * dhcp_run() - ask for a lease on @link, for @limit_ms at most
 *
 * Return: 0, -ETIMEDOUT, -ENOENT (no such client), -EIO (the client failed),
 *         -EINVAL, -errno
 */
int dhcp_run(const char *client, const char *script, const char *link,
	     int limit_ms, struct dhcp_lease *ret, struct err *e);

#endif
