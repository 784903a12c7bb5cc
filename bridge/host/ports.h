/*
 * bridge/host/ports.h - the ports that a sandbox's stdio streams get
 *
 * Ports are given in rising order from WIRE_PORT_STDIO_FIRST and never twice:
 * a stream of a process that is gone cannot be taken for one of a later
 * process. A move hands the next port on, so that the destination goes on
 * above it. Source: shared specification bridge.md 7.2.
 */
#ifndef FERRY_BRIDGE_HOST_PORTS_H
#define FERRY_BRIDGE_HOST_PORTS_H

#include <stdint.h>

#include "config/err.h"

/* The word behind it means "any port" to AF_VSOCK. */
#define HOST_PORT_LAST 0xfffffffeu

/**
 * struct host_ports - the counter
 * @next:	the port that the next stream gets; HOST_PORT_LAST + 1: used up
 */
struct host_ports {
	uint32_t next;
};

/** host_ports_init() - a counter that nothing was taken from */
void host_ports_init(struct host_ports *p);

/**
 * host_ports_take() - one port, never given again
 *
 * Return: 0, or -EADDRNOTAVAIL when the last one is gone
 */
int host_ports_take(struct host_ports *p, uint32_t *ret, struct err *e);

/** host_ports_raise() - go on at @floor unless the counter is past it */
void host_ports_raise(struct host_ports *p, uint32_t floor);

#endif
