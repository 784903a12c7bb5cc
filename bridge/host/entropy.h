/*
 * bridge/host/entropy.h - seed the guest: exactly ENTROPY_BYTES to whoever
 * dials port 1, then close. Source: shared specification bridge.md 1.1.
 */
#ifndef FERRY_BRIDGE_HOST_ENTROPY_H
#define FERRY_BRIDGE_HOST_ENTROPY_H

#include "bridge/io/loop.h"
#include "bridge/io/transport.h"
#include "config/err.h"

#define ENTROPY_BYTES 512u
/* Connections that are served in the life of a VM; a boot takes one. */
#define ENTROPY_SERVES_MAX 8u

struct host_entropy;

/**
 * host_entropy_new() - listen on port 1
 * @loop:	event loop
 * @t:		where the guest dials
 * @served:	called after each connection that got its bytes; may be NULL
 * @ctx:	passed to @served
 * @ret:	receives the server; host_entropy_free(NULL) is fine
 * @e:		reason
 *
 * Return: 0 or -errno
 */
int host_entropy_new(struct loop *loop, const struct transport *t,
		     void (*served)(void *ctx), void *ctx,
		     struct host_entropy **ret, struct err *e);

/** host_entropy_free() - close the port. Not from within @served */
void host_entropy_free(struct host_entropy *s);

#endif
