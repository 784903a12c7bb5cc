/* init/streams.h - standard streams become connections to host ports */
#ifndef FERRY_INIT_STREAMS_H
#define FERRY_INIT_STREAMS_H

#include <stdint.h>

#include "bridge/io/transport.h"
#include "config/err.h"

/* Longest wait for one connection. */
#define STREAMS_DEADLINE_MS 10000

/**
 * streams_connect() - dial, then move the sockets to descriptors 0, 1, 2
 * @t:		where the host is
 * @ports:	host ports of 0, 1, 2; 0: leave the descriptor alone; equal
 *		ports share one connection
 * @e:		reason
 *
 * All connections stand before the first descriptor is changed; the sockets
 * there are blocking, and no other descriptor is left open.
 * Return: 0 or -errno
 */
int streams_connect(const struct transport *t, const uint32_t ports[3],
		    struct err *e);

#endif
