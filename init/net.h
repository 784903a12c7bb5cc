/* init/net.h - the loopback interface */
#ifndef FERRY_INIT_NET_H
#define FERRY_INIT_NET_H

#include "config/err.h"

/**
 * net_lo_up() - bring lo up over IPv4 and IPv6; a family that the kernel has
 * not is skipped
 *
 * Return: 0 or -errno
 */
int net_lo_up(struct err *e);

#endif
